//! Two links of one program: what differs must be addresses.
//!
//! Each byte that differs must belong to a field that holds an address in the slot, so that its value
//! in B is that in A and the distance of the slots:
//!
//! | field | where | as linked for B |
//! | --- | --- | --- |
//! | 32-bit word, little-endian | at a 2-aligned offset | A + distance |
//! | immediate of MOVW (Armv7-M, encoding T3) | at a 2-aligned offset | A + low half of the distance |
//! | immediate of MOVT (encoding T1) | the same | A + high half, and 1 more if the low half may carry |
//!
//! Whatever else differs comes from a build that is not deterministic, and is refused. The device does
//! not depend on this: it compares digests.

use bistable_core::digest::Digest;
use bistable_core::layout::Slot;

use crate::Error;
use crate::image::elf::Link;

/// One program for both slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// As it lies in A, and as it lies in B.
    pub payloads: [Vec<u8>; 2],
}

impl Pair {
    /// Joins two links of one program.
    ///
    /// # Errors
    /// They differ in more than addresses.
    pub fn new(a: Link, b: Link) -> Result<Self, Error> {
        let hint = "the build is not deterministic: both links need the same sources, toolchain, features and paths";
        if a.payload.len() != b.payload.len() {
            return Err(Error::unexpected(
                &b.path,
                format!("{} bytes to program", b.payload.len()),
                format!("{}, as in {}", a.payload.len(), a.path.display()),
                hint,
            ));
        }
        let distance = b.address.wrapping_sub(a.address);
        if let Some(at) = first_unexplained(&a.payload, &b.payload, distance) {
            let byte = |link: &Link| link.payload.get(at).copied().unwrap_or_default();
            return Err(Error::unexpected(
                &b.path,
                format!(
                    "byte {:#04x} at offset {at:#x} of the payload, in {}",
                    byte(&b),
                    b.symbol_at(at)
                ),
                format!(
                    "{:#04x} as in {}, or an address {distance:#x} higher",
                    byte(&a),
                    a.path.display()
                ),
                hint,
            ));
        }
        Ok(Self {
            payloads: [a.payload, b.payload],
        })
    }

    /// As it lies in `slot`.
    #[must_use]
    pub fn payload(&self, slot: Slot) -> &[u8] {
        slot.of::<Vec<u8>>(&self.payloads)
    }

    /// Its digests, as it lies in A and as it lies in B.
    #[must_use]
    pub fn digests(&self) -> [Digest; 2] {
        Slot::BOTH.map(|slot| Digest::of(self.payload(slot)))
    }
}

/// The first byte that differs and belongs to no address.
fn first_unexplained(a: &[u8], b: &[u8], distance: u32) -> Option<usize> {
    let mut explained_to = 0;
    for (at, (in_a, in_b)) in a.iter().zip(b).enumerate() {
        if in_a == in_b || at < explained_to {
            continue;
        }
        // Any field that this byte is in begins at most three bytes before it.
        let field = (at.saturating_sub(3)..=at)
            .filter(|start| start.is_multiple_of(2))
            .find(|start| {
                let field = |bytes: &[u8]| bytes.get(*start..)?.first_chunk().copied();
                match (field(a), field(b)) {
                    (Some(in_a), Some(in_b)) => is_moved_address(in_a, in_b, distance),
                    _ => false,
                }
            });
        match field {
            Some(start) => explained_to = start + 4,
            None => return Some(at),
        }
    }
    None
}

fn is_moved_address(a: [u8; 4], b: [u8; 4], distance: u32) -> bool {
    let (word_a, word_b) = (u32::from_le_bytes(a), u32::from_le_bytes(b));
    if word_b.wrapping_sub(word_a) == distance {
        return true;
    }
    let (Some(a), Some(b)) = (WideMove::decode(a), WideMove::decode(b)) else {
        return false;
    };
    let difference = b.immediate.wrapping_sub(a.immediate);
    let (low, high) = (distance as u16, (distance >> 16) as u16);
    let same_instruction = a.opcode == b.opcode;
    let consistent = match a.opcode & WideMove::TOP {
        0 => difference == low,
        _ => difference == high || (low != 0 && difference == high.wrapping_add(1)),
    };
    same_instruction && consistent
}

/// MOVW or MOVT, taken apart (Armv7-M Architecture Reference Manual, A7.7.76 and A7.7.79):
///
/// ```text
///   1 1 1 1 0 i 1 0 t 1 0 0 imm4 │ 0 imm3 Rd imm8       immediate = imm4:i:imm3:imm8, t: MOVT
/// ```
struct WideMove {
    /// All but the immediate: which instruction, which register.
    opcode: u32,
    immediate: u16,
}

impl WideMove {
    /// The bit in which MOVT differs from MOVW.
    const TOP: u32 = 0x0080_0000;
    /// The bits of the immediate: i, imm4, imm3, imm8.
    const IMMEDIATE: u32 = 0x040F_70FF;

    fn decode([a, b, c, d]: [u8; 4]) -> Option<Self> {
        let first = u16::from_le_bytes([a, b]);
        let second = u16::from_le_bytes([c, d]);
        if first & 0xFB70 != 0xF240 || second & 0x8000 != 0 {
            return None;
        }
        let imm4 = first & 0xF;
        let i = (first >> 10) & 1;
        let imm3 = (second >> 12) & 7;
        let imm8 = second & 0xFF;
        Some(Self {
            opcode: (u32::from(first) << 16 | u32::from(second)) & !Self::IMMEDIATE,
            immediate: imm4 << 12 | i << 11 | imm3 << 8 | imm8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTANCE: u32 = 0x0008_0000;

    /// MOVW (`top` false) or MOVT into a register.
    fn wide_move(top: bool, register: u16, immediate: u16) -> [u8; 4] {
        let t = u16::from(top) << 7;
        let first = 0xF240 | t | (immediate >> 12) | ((immediate >> 11) & 1) << 10;
        let second = ((immediate >> 8) & 7) << 12 | register << 8 | (immediate & 0xFF);
        let ([a, b], [c, d]) = (first.to_le_bytes(), second.to_le_bytes());
        [a, b, c, d]
    }

    #[test]
    fn the_instructions_are_those_of_the_assembler() {
        // movw r0, #0x1234 and movt r0, #0x2102, as llvm-mc encodes them.
        assert_eq!(wide_move(false, 0, 0x1234), [0x41, 0xF2, 0x34, 0x20]);
        assert_eq!(wide_move(true, 0, 0x2102), [0xC2, 0xF2, 0x02, 0x10]);
        for immediate in [0, 1, 0x0800, 0x1234, 0x8000, 0xFFFF] {
            for top in [false, true] {
                let decoded = WideMove::decode(wide_move(top, 3, immediate)).unwrap();
                assert_eq!(decoded.immediate, immediate);
                assert_eq!(decoded.opcode & WideMove::TOP != 0, top);
            }
        }
    }

    #[test]
    fn words_that_differ_by_the_distance_are_explained_wherever_they_lie() {
        for offset in [0, 2, 4, 6] {
            let mut a = [0x55; 16];
            let mut b = a;
            a[offset..offset + 4].copy_from_slice(&0x2102_1235_u32.to_le_bytes());
            b[offset..offset + 4].copy_from_slice(&0x210A_1235_u32.to_le_bytes());
            assert_eq!(first_unexplained(&a, &b, DISTANCE), None, "{offset}");
            assert_eq!(first_unexplained(&a, &b, DISTANCE * 2), Some(offset + 2));
        }
        let a = [[0x55; 2].as_slice(), &0x21FF_FFFF_u32.to_le_bytes()].concat();
        let b = [[0x55; 2].as_slice(), &0x2207_FFFF_u32.to_le_bytes()].concat();
        assert_eq!(first_unexplained(&a, &b, DISTANCE), None, "a carry");
    }

    #[test]
    fn halves_of_an_address_in_instructions_are_explained() {
        for address in [0x2102_1234_u32, 0x2102_F800] {
            for distance in [DISTANCE, 0x0008_1000] {
                let moved = address + distance;
                let link = |address: u32| {
                    let low = wide_move(false, 1, address as u16);
                    let high = wide_move(true, 1, (address >> 16) as u16);
                    [[0xBF, 0x00].as_slice(), &low, &high].concat()
                };
                let (a, b) = (link(address), link(moved));
                assert_eq!(
                    first_unexplained(&a, &b, distance),
                    None,
                    "{address:#x} {distance:#x}"
                );
            }
        }
    }

    #[test]
    fn another_register_or_another_distance_is_not_an_address() {
        let a = wide_move(true, 1, 0x2102);
        assert_eq!(
            first_unexplained(&a, &wide_move(true, 2, 0x210A), DISTANCE),
            Some(2)
        );
        assert_eq!(
            first_unexplained(&a, &wide_move(true, 1, 0x210B), DISTANCE),
            Some(2)
        );
        assert_eq!(
            first_unexplained(&a, &wide_move(false, 1, 0x210A), DISTANCE),
            Some(0)
        );
    }

    #[test]
    fn a_byte_that_differs_for_no_reason_is_found_behind_explained_ones() {
        let mut a = [0; 64];
        let mut b = a;
        a[8..12].copy_from_slice(&0x2102_0000_u32.to_le_bytes());
        b[8..12].copy_from_slice(&0x210A_0000_u32.to_le_bytes());
        b[33] = 1;
        assert_eq!(first_unexplained(&a, &b, DISTANCE), Some(33));
        b[33] = 0;
        b[63] = 1;
        assert_eq!(first_unexplained(&a, &b, DISTANCE), Some(63));
    }
}
