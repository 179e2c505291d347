//! The instructions of a Cortex-M that hold an address in the slot.
//!
//! | field | as linked for B |
//! | --- | --- |
//! | immediate of MOVW (Armv7-M, encoding T3) | A + low half of the distance |
//! | immediate of MOVT (encoding T1) | A + high half, and 1 more if the low half may carry |

/// The length of the instruction that `a` and `b` begin with, if its immediate was moved by `distance`.
pub(super) fn field(a: &[u8], b: &[u8], distance: u32) -> Option<usize> {
    let [a, b] = [a, b].map(|bytes| bytes.first_chunk().copied().and_then(WideMove::decode));
    let (a, b) = (a?, b?);
    let difference = b.immediate.wrapping_sub(a.immediate);
    let (low, high) = (distance as u16, (distance >> 16) as u16);
    let same_instruction = a.opcode == b.opcode;
    let consistent = match a.opcode & WideMove::TOP {
        0 => difference == low,
        _ => difference == high || (low != 0 && difference == high.wrapping_add(1)),
    };
    (same_instruction && consistent).then_some(4)
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
    use super::super::tests::first_unexplained;
    use super::*;
    use bistable_layout::product::Architecture::CortexM;

    const DISTANCE: u32 = 0x0008_0000;

    /// From internal flash at 0x0804_0000 to QSPI at 0x9000_0000: more than half of the address space.
    const FAR: u32 = 0x87FC_0000;

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
    fn halves_of_an_address_in_instructions_are_explained() {
        for address in [0x2102_1234_u32, 0x2102_F800] {
            for distance in [DISTANCE, 0x0008_1000, FAR, FAR - 0x1000] {
                let moved = address.wrapping_add(distance);
                let link = |address: u32| {
                    let low = wide_move(false, 1, address as u16);
                    let high = wide_move(true, 1, (address >> 16) as u16);
                    [[0xBF, 0x00].as_slice(), &low, &high].concat()
                };
                let (a, b) = (link(address), link(moved));
                assert_eq!(
                    first_unexplained(CortexM, &a, &b, distance),
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
            first_unexplained(CortexM, &a, &wide_move(true, 2, 0x210A), DISTANCE),
            Some(2)
        );
        assert_eq!(
            first_unexplained(CortexM, &a, &wide_move(true, 1, 0x210B), DISTANCE),
            Some(2)
        );
        assert_eq!(
            first_unexplained(CortexM, &a, &wide_move(false, 1, 0x210A), DISTANCE),
            Some(0)
        );
    }
}
