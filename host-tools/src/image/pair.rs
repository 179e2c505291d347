//! Two links of one program: what differs must be addresses.
//!
//! Each byte that differs must belong to a field that holds an address in the slot, or the way to one. Two kinds of
//! field are known: a 32-bit word (little-endian, at a 2-aligned offset), whose value in B is that in A and the
//! distance of the slots, and an instruction of the Cortex-M (`cortex_m`) or of RISC-V (`riscv`).
//!
//! Whatever else differs comes from a build that is not deterministic, or from a linker that chose other
//! instructions for the other address, and is refused. The device does not depend on this: it compares digests.

mod cortex_m;
mod riscv;

use bistable_core::digest::Digest;
use bistable_core::layout::Slot;
use bistable_layout::product::Architecture;

use crate::Error;
use crate::image::elf::Link;

/// What mends a build that gives other bytes each time.
const NOT_DETERMINISTIC: &str = "the build is not deterministic: both links need the same sources, toolchain, features and paths";

/// What keeps a linker for RISC-V from choosing instructions by their distance to what they call.
const NO_RELAXATION: &str = "turn linker relaxation off in the package's build script, with \
    `println!(\"cargo::rustc-link-arg-bins=--no-relax\");` (where a C compiler links: -Wl,--no-relax)";

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
        let moved = Moved {
            architecture: a.architecture,
            distance: b.address.wrapping_sub(a.address),
        };
        if moved.is_one_link(&a, &b) {
            return Err(one_link(&a, &b));
        }
        let unexplained = moved.first_unexplained(&a.payload, &b.payload);
        if a.payload.len() == b.payload.len() && unexplained.is_none() {
            return Ok(Self {
                payloads: [a.payload, b.payload],
            });
        }
        if let Some(at) = moved.relaxed_at(&a.payload, &b.payload) {
            return Err(relaxed(&a, &b, at));
        }
        Err(match unexplained {
            Some(at) if a.payload.len() == b.payload.len() => unlike(&a, &b, at, moved.distance),
            _ => not_as_long(&a, &b),
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

fn one_link(a: &Link, b: &Link) -> Error {
    Error::unexpected(
        &b.path,
        format!("the same bytes as in {}", a.path.display()),
        format!("a program linked for {:#x}", b.address),
        "link it for each slot; bytes for both slots are taken from ELF files, which say where they were linked",
    )
}

/// The linker wrote shorter instructions at offset `at` of one of them, because what they reach is near.
fn relaxed(a: &Link, b: &Link, at: usize) -> Error {
    Error::unexpected(
        &b.path,
        format!(
            "other instructions at offset {at:#x} of the payload for slot B, in {}, and {} bytes",
            b.symbol_at(at),
            b.payload.len()
        ),
        format!(
            "those for slot A, and {} bytes, as in {}: what they reach is near from one slot only, and there the \
             linker relaxed them",
            a.payload.len(),
            a.path.display(),
        ),
        NO_RELAXATION,
    )
}

fn not_as_long(a: &Link, b: &Link) -> Error {
    let (symbol, hint) = first_unlike(a, b);
    Error::unexpected(
        &b.path,
        format!("{} bytes to program{symbol}", b.payload.len()),
        format!("{}, as in {}", a.payload.len(), a.path.display()),
        hint,
    )
}

fn unlike(a: &Link, b: &Link, at: usize, distance: u32) -> Error {
    let byte = |link: &Link| link.payload.get(at).copied().unwrap_or_default();
    let (symbol, hint) = first_unlike(a, b);
    Error::unexpected(
        &b.path,
        format!(
            "byte {:#04x} at offset {at:#x} of the payload, in {}{symbol}",
            byte(b),
            b.symbol_at(at)
        ),
        format!(
            "{:#04x} as in {}, or an address {distance:#x} higher",
            byte(a),
            a.path.display()
        ),
        hint,
    )
}

/// The first symbol that has another place or length, and what to do about it.
fn first_unlike(a: &Link, b: &Link) -> (String, String) {
    let symbol = b.first_unlike(a).map(|symbol| format!(" ({symbol})"));
    let may_be_relaxed = symbol.is_some() || a.payload.len() != b.payload.len();
    let hint = match a.architecture {
        Architecture::Riscv32 if may_be_relaxed => {
            format!("{NO_RELAXATION}; if it is off, {NOT_DETERMINISTIC}")
        }
        _ => NOT_DETERMINISTIC.to_owned(),
    };
    (symbol.unwrap_or_default(), hint)
}

/// How a program was moved from one slot to the other.
#[derive(Clone, Copy)]
struct Moved {
    architecture: Architecture,
    /// By so many bytes, modulo 2³².
    distance: u32,
}

impl Moved {
    /// Whether both are the program of one slot. A Cortex-M's vector table says which; where there is none, a
    /// program without any address would look the same, and is believed only if its file says where it lies.
    fn is_one_link(self, a: &Link, b: &Link) -> bool {
        let unsaid = !(a.says_where && b.says_where);
        let tells_nothing = self.architecture == Architecture::Riscv32 && self.distance != 0;
        tells_nothing && unsaid && a.payload == b.payload
    }

    /// The first byte that differs and belongs to no address.
    fn first_unexplained(self, a: &[u8], b: &[u8]) -> Option<usize> {
        let mut explained_to = 0;
        for (at, (in_a, in_b)) in a.iter().zip(b).enumerate() {
            if in_a == in_b || at < explained_to {
                continue;
            }
            // Any field that this byte is in begins at most three bytes before it.
            let field = (at.saturating_sub(3)..=at)
                .filter(|start| start.is_multiple_of(2))
                .filter_map(|start| {
                    let len = self.field(a.get(start..)?, b.get(start..)?)?;
                    Some(start + len)
                })
                .find(|end| *end > at);
            match field {
                Some(end) => explained_to = end,
                None => return Some(at),
            }
        }
        None
    }

    /// How many bytes the field has that `a` and `b` begin with, if it holds an address and was moved.
    fn field(self, a: &[u8], b: &[u8]) -> Option<usize> {
        let word = |bytes: &[u8]| bytes.first_chunk().copied().map(u32::from_le_bytes);
        if word(b)?.wrapping_sub(word(a)?) == self.distance {
            return Some(4);
        }
        match self.architecture {
            Architecture::CortexM => cortex_m::field(a, b, self.distance),
            Architecture::Riscv32 => riscv::field(a, b, self.distance),
        }
    }

    /// Where the linker began to choose other instructions for the other address.
    fn relaxed_at(self, a: &[u8], b: &[u8]) -> Option<usize> {
        match self.architecture {
            Architecture::CortexM => None,
            Architecture::Riscv32 => riscv::relaxed_at(a, b, self.distance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTANCE: u32 = 0x0008_0000;

    const BOTH: [Architecture; 2] = [Architecture::CortexM, Architecture::Riscv32];

    pub(super) fn first_unexplained(
        architecture: Architecture,
        a: &[u8],
        b: &[u8],
        distance: u32,
    ) -> Option<usize> {
        let moved = Moved {
            architecture,
            distance,
        };
        moved.first_unexplained(a, b)
    }

    #[test]
    fn words_that_differ_by_the_distance_are_explained_wherever_they_lie() {
        for architecture in BOTH {
            let unexplained =
                |a: &[u8], b: &[u8], distance| first_unexplained(architecture, a, b, distance);
            for offset in [0, 2, 4, 6] {
                let mut a = [0x55; 16];
                let mut b = a;
                a[offset..offset + 4].copy_from_slice(&0x2102_1235_u32.to_le_bytes());
                b[offset..offset + 4].copy_from_slice(&0x210A_1235_u32.to_le_bytes());
                assert_eq!(unexplained(&a, &b, DISTANCE), None, "{offset}");
                assert_eq!(unexplained(&a, &b, DISTANCE * 2), Some(offset + 2));
            }
            let a = [[0x55; 2].as_slice(), &0x21FF_FFFF_u32.to_le_bytes()].concat();
            let b = [[0x55; 2].as_slice(), &0x2207_FFFF_u32.to_le_bytes()].concat();
            assert_eq!(unexplained(&a, &b, DISTANCE), None, "a carry");
        }
    }

    #[test]
    fn a_byte_that_differs_for_no_reason_is_found_behind_explained_ones() {
        for architecture in BOTH {
            let unexplained = |a: &[u8], b: &[u8]| first_unexplained(architecture, a, b, DISTANCE);
            let mut a = [0; 64];
            let mut b = a;
            a[8..12].copy_from_slice(&0x2102_0000_u32.to_le_bytes());
            b[8..12].copy_from_slice(&0x210A_0000_u32.to_le_bytes());
            b[33] = 1;
            assert_eq!(unexplained(&a, &b), Some(33));
            b[33] = 0;
            b[63] = 1;
            assert_eq!(unexplained(&a, &b), Some(63));
        }
    }
}
