//! Whether the routine that runs while the flash chips are busy can do so: a look at its instructions in the linked
//! program (RISC-V Unprivileged ISA, chapters 2 and 26, RV32IC).
//!
//! It must lie in RAM, leave nowhere but to its caller, and use no address but those that it is handed: no call, no
//! jump out of itself, no address relative to the program counter, the stack or a global pointer, and no load or store
//! through a register that any `lui` fills. One that has the chip's ROM do the work may call what it is handed, too, and
//! keep registers on the stack, which is in RAM. It does not follow values: an address put together by shifting and adding, or
//! moved from one register to another, is not found.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _};

/// The routine's name in the program.
const NAME: &str = "bistable_ram_routine";

/// Why the routine cannot run while nothing can be fetched from flash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// The file is no program with the routine in it.
    Unreadable(String),
    /// It is linked where the program's code is, in flash.
    InFlash {
        /// Where.
        address: u32,
    },
    /// It has an instruction that it must not have.
    Instruction {
        /// Where.
        address: u32,
        /// The instruction; one of 16 bits in the lower half.
        found: u32,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Display for Unfit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(cause) => write!(f, "no routine {NAME} to look at: {cause}"),
            Self::InFlash { address } => write!(
                f,
                "{NAME} lies at {address:#x}, which is not copied to RAM; put it into .data"
            ),
            Self::Instruction {
                address,
                found,
                problem,
            } => write!(f, "{NAME} at {address:#x}: {found:#010x} {problem}"),
        }
    }
}

impl std::error::Error for Unfit {}

/// What a routine may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum May {
    /// Everything itself: it calls nothing.
    CallNothing,
    /// Call addresses that it is handed, such as those of a ROM's functions, and use the stack.
    CallWhatItIsHanded,
}

/// Looks at the routine in `elf`, a linked program of 32-bit RISC-V.
///
/// # Errors
///
/// What is wrong first.
pub fn check(elf: &[u8], may: May) -> Result<(), Unfit> {
    let unreadable = |cause: &str| Unfit::Unreadable(cause.to_owned());
    let file = object::File::parse(elf).map_err(|cause| unreadable(&cause.to_string()))?;
    let symbol = file
        .symbols()
        .find(|symbol| symbol.name() == Ok(NAME) && symbol.size() > 0)
        .ok_or_else(|| unreadable("no such symbol"))?;
    let code = symbol.address()..symbol.address() + symbol.size();
    let segment = file
        .segments()
        .find(|segment| {
            segment.address() <= code.start && code.end <= segment.address() + segment.size()
        })
        .ok_or_else(|| unreadable("no segment has it"))?;
    // What is copied to RAM is loaded elsewhere than it runs, so it is written to, too.
    if !is_writable(segment.flags()) {
        let address = code.start as u32;
        return Err(Unfit::InFlash { address });
    }
    let bytes = segment
        .data_range(code.start, symbol.size())
        .ok()
        .flatten()
        .ok_or_else(|| unreadable("it is not in the file"))?;
    check_code(bytes, code.start as u32, may)
}

fn is_writable(flags: object::SegmentFlags) -> bool {
    matches!(flags, object::SegmentFlags::Elf { p_flags } if p_flags & object::elf::PF_W != 0)
}

/// Looks at the instructions `code` of the whole routine, which runs at `start`.
fn check_code(code: &[u8], start: u32, may: May) -> Result<(), Unfit> {
    let range = start..start.wrapping_add(code.len() as u32);
    let mut made = 0_u32; // a bit for each register that ever holds a constant
    let mut used = Vec::new(); // registers that addresses are made of, and by whom
    let mut rest = code;
    let mut address = start;
    let mut ends_in_return = false;
    while !rest.is_empty() {
        let (found, length) = match *rest {
            [a, b, ..] if a & 3 != 3 => (u32::from(u16::from_le_bytes([a, b])), 2),
            [a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]), 4),
            _ => return Err(unfit(address, 0, "is half an instruction")),
        };
        let effect = match length {
            2 => compressed(found as u16, may),
            _ => full(found, may),
        }
        .map_err(|problem| unfit(address, found, problem))?;
        match effect {
            Effect::Calculates | Effect::Returns => {}
            Effect::Constant(register) => made |= 1 << register,
            Effect::Memory(register) | Effect::Calls(register) => {
                used.push((register, address, found))
            }
            Effect::Jump(offset) => check_target(&range, address, found, offset)?,
        }
        ends_in_return = effect == Effect::Returns;
        rest = &rest[length..];
        address = address.wrapping_add(length as u32);
    }
    if !ends_in_return {
        return Err(unfit(address, 0, "is behind the routine, where it goes on"));
    }
    match used.iter().find(|(register, ..)| made & 1 << register != 0) {
        Some((_, address, found)) => Err(unfit(
            *address,
            *found,
            "uses an address that may be a constant",
        )),
        None => Ok(()),
    }
}

fn check_target(range: &Range<u32>, address: u32, found: u32, offset: i32) -> Result<(), Unfit> {
    match range.contains(&address.wrapping_add_signed(offset)) {
        true => Ok(()),
        false => Err(unfit(address, found, "jumps out of the routine")),
    }
}

const fn unfit(address: u32, found: u32, problem: &'static str) -> Unfit {
    Unfit::Instruction {
        address,
        found,
        problem,
    }
}

/// What an instruction does, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Something with registers, or nothing that matters.
    Calculates,
    /// Makes a constant of more than 12 bits in a register.
    Constant(u32),
    /// Loads or stores at an address in a register.
    Memory(u32),
    /// Calls an address in a register.
    Calls(u32),
    /// May go on so many bytes from here.
    Jump(i32),
    /// Returns.
    Returns,
}

const LINK: u32 = 1;
const STACK: u32 = 2;
const THREAD: u32 = 4;
const CALLS: &str = "calls or jumps to an address that it makes";
const OTHER: &str = "is none that this routine needs";
const OUTSIDE: &str = "uses an address that it was not handed";

/// An instruction of 32 bits.
fn full(word: u32, may: May) -> Result<Effect, &'static str> {
    let destination = bits(word, 7, 5);
    let base = bits(word, 15, 5);
    let sign = |value: u32, width: u32| (value << (32 - width)) as i32 >> (32 - width);
    match bits(word, 0, 7) {
        0x13 | 0x33 | 0x0F => Ok(Effect::Calculates),
        0x37 => Ok(Effect::Constant(destination)),
        0x03 | 0x23 => memory(base, may),
        0x63 => {
            let offset = bits(word, 31, 1) << 12
                | bits(word, 7, 1) << 11
                | bits(word, 25, 6) << 5
                | bits(word, 8, 4) << 1;
            Ok(Effect::Jump(sign(offset, 13)))
        }
        0x6F if destination == 0 => {
            let offset = bits(word, 31, 1) << 20
                | bits(word, 12, 8) << 12
                | bits(word, 20, 1) << 11
                | bits(word, 21, 10) << 1;
            Ok(Effect::Jump(sign(offset, 21)))
        }
        // Reads the time.
        0x73 if word & 0xFFFF_F000 == 0xC010_2000 => Ok(Effect::Calculates),
        0x67 if word == 0x0000_8067 => Ok(Effect::Returns),
        0x67 if destination == LINK && base != 0 && word >> 20 == 0 => call(base, may),
        0x67 | 0x6F => Err(CALLS),
        0x17 => Err(OUTSIDE),
        _ => Err(OTHER),
    }
}

/// An instruction of 16 bits.
fn compressed(half: u16, may: May) -> Result<Effect, &'static str> {
    let word = u32::from(half);
    let sign = |value: u32, width: u32| (value << (32 - width)) as i32 >> (32 - width);
    let (first, second) = (bits(word, 7, 5), bits(word, 2, 5));
    match (bits(word, 0, 2), bits(word, 13, 3)) {
        (0, 2 | 6) => memory(8 + bits(word, 7, 3), may),
        (1, 0 | 2 | 4) | (2, 0) => Ok(Effect::Calculates),
        (1, 3) if first != STACK => Ok(Effect::Constant(first)),
        (1, 3) | (2, 2 | 6) => memory(STACK, may),
        (1, 5) => {
            let offset = bits(word, 12, 1) << 11
                | bits(word, 8, 1) << 10
                | bits(word, 9, 2) << 8
                | bits(word, 6, 1) << 7
                | bits(word, 7, 1) << 6
                | bits(word, 2, 1) << 5
                | bits(word, 11, 1) << 4
                | bits(word, 3, 3) << 1;
            Ok(Effect::Jump(sign(offset, 12)))
        }
        (1, 6 | 7) => {
            let offset = bits(word, 12, 1) << 8
                | bits(word, 5, 2) << 6
                | bits(word, 2, 1) << 5
                | bits(word, 10, 2) << 3
                | bits(word, 3, 2) << 1;
            Ok(Effect::Jump(sign(offset, 9)))
        }
        (1, 1) => Err(CALLS),
        (2, 4) => match (bits(word, 12, 1), first, second) {
            (0, LINK, 0) => Ok(Effect::Returns),
            (1, 1.., 0) => call(first, may),
            (_, _, 0) => Err(CALLS),
            _ => Ok(Effect::Calculates),
        },
        (0 | 2, _) => Err(OUTSIDE),
        _ => Err(OTHER),
    }
}

/// Not relative to 0, to the global or the thread pointer, and to the stack only where that may be used.
const fn memory(base: u32, may: May) -> Result<Effect, &'static str> {
    match base {
        STACK if matches!(may, May::CallWhatItIsHanded) => Ok(Effect::Calculates),
        0 | STACK..=THREAD => Err(OUTSIDE),
        _ => Ok(Effect::Memory(base)),
    }
}

/// The address is in a register.
const fn call(register: u32, may: May) -> Result<Effect, &'static str> {
    match may {
        May::CallNothing => Err(CALLS),
        May::CallWhatItIsHanded => Ok(Effect::Calls(register)),
    }
}

const fn bits(word: u32, lowest: u32, count: u32) -> u32 {
    word >> lowest & ((1 << count) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETURN: u32 = 0x0000_8067;

    fn problem(words: &[u32]) -> Option<&'static str> {
        problem_of(words, May::CallNothing)
    }

    fn problem_of(words: &[u32], may: May) -> Option<&'static str> {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        match check_code(&code, 0x8000_0100, may) {
            Ok(()) => None,
            Err(Unfit::Instruction { problem, .. }) => Some(problem),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn loads_stores_and_loops_over_what_it_is_handed_are_fit() {
        let load = 0x0005_A283; // lw t0, 0(a1)
        let store = 0x0055_2023; // sw t0, 0(a0)
        let back = 0xFE02_9CE3; // bnez t0, -8
        assert_eq!(problem(&[load, store, back, RETURN]), None);
    }

    #[test]
    fn calls_and_jumps_out_of_it_are_not() {
        assert_eq!(problem(&[0x0000_00EF, RETURN]), Some(CALLS)); // jal
        assert_eq!(problem(&[0x0002_8067, RETURN]), Some(CALLS)); // jr t0
        assert_eq!(problem(&[0x9282_9282, RETURN]), Some(CALLS)); // c.jalr t0
        assert_eq!(problem(&[0x2001_2001, RETURN]), Some(CALLS)); // c.jal
        let out = Some("jumps out of the routine");
        assert_eq!(problem(&[0x0080_006F, RETURN]), out); // j behind the end
        assert_eq!(problem(&[0xFE02_9EE3, RETURN]), out); // bnez before the start
    }

    #[test]
    fn addresses_that_it_was_not_handed_are_not() {
        assert_eq!(problem(&[0x0000_0297, RETURN]), Some(OUTSIDE)); // auipc
        assert_eq!(problem(&[0x0001_2283, RETURN]), Some(OUTSIDE)); // lw t0, 0(sp)
        assert_eq!(problem(&[0x0001_A283, RETURN]), Some(OUTSIDE)); // lw t0, 0(gp)
        assert_eq!(problem(&[0x4282_4282, RETURN]), Some(OUTSIDE)); // c.lwsp
        let made = Some("uses an address that may be a constant");
        // lui t0, 0x22200; lw t1, 0(t0)
        assert_eq!(problem(&[0x2220_02B7, 0x0002_A303, RETURN]), made);
    }

    #[test]
    fn going_on_behind_its_end_is_not() {
        let behind = Some("is behind the routine, where it goes on");
        assert_eq!(problem(&[0x0005_A283]), behind);
        assert_eq!(problem(&[]), behind);
    }

    #[test]
    fn what_may_call_calls_what_it_loads_and_keeps_the_way_back_on_the_stack() {
        let calls = [
            0xC606_1141, // c.addi sp, -16; c.sw ra, 12(sp)
            0x0005_2283, // lw t0, 0(a0)
            0x40B2_9282, // c.jalr t0; c.lw ra, 12(sp)
            0x8082_0141, // c.addi sp, 16; ret
        ];
        assert_eq!(problem_of(&calls, May::CallWhatItIsHanded), None);
        assert_eq!(problem(&calls), Some(OUTSIDE));
        let wide = [0x0005_2283, 0x0002_80E7, RETURN]; // lw t0, 0(a0); jalr t0
        assert_eq!(problem_of(&wide, May::CallWhatItIsHanded), None);
        assert_eq!(problem(&wide), Some(CALLS));
    }

    #[test]
    fn what_may_call_calls_nothing_by_an_address_of_its_own() {
        let may = May::CallWhatItIsHanded;
        // lui t0, 0x10000; jalr t0
        let made = Some("uses an address that may be a constant");
        assert_eq!(problem_of(&[0x1000_02B7, 0x0002_80E7, RETURN], may), made);
        assert_eq!(problem_of(&[0x0000_00EF, RETURN], may), Some(CALLS)); // jal
        assert_eq!(problem_of(&[0x0042_80E7, RETURN], may), Some(CALLS)); // jalr 4(t0)
        assert_eq!(problem_of(&[0x0002_8067, RETURN], may), Some(CALLS)); // jr t0
        assert_eq!(problem_of(&[0x0000_0297, RETURN], may), Some(OUTSIDE)); // auipc
        assert_eq!(problem_of(&[0x0001_A283, RETURN], may), Some(OUTSIDE)); // lw t0, 0(gp)
    }

    #[test]
    fn a_file_that_is_no_program_is_refused() {
        let refused = check(b"no ELF", May::CallNothing);
        assert!(matches!(refused, Err(Unfit::Unreadable(_))));
    }
}
