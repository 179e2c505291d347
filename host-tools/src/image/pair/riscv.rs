//! The instructions of RISC-V that hold an address in the slot, or the way from there to something that does not move.
//!
//! Addresses are made of two instructions: the upper 20 bits, and then the lower 12 as a signed number, so that
//! the upper part is 1 more where the lower one is negative. `D` is the distance of the slots:
//!
//! | field | holds | as linked for B |
//! | --- | --- | --- |
//! | LUI, C.LUI: immediate | the upper bits of an address in the slot | A + upper part of D, and 1 more if the lower part may carry |
//! | AUIPC: immediate | the upper bits of the way from the slot to RAM or ROM | A − the same |
//! | | … from code that runs in RAM to the slot | A + the same |
//! | immediate of ADDI, JALR, a load (I-type) or a store (S-type) | the lower bits of either | A ± lower part of D |
//! | JAL: immediate | the way from the slot to something within 1 MiB, or back | A ∓ D |
//!
//! What this cannot tell: each half is judged by itself, so two halves that carry a part of `D` each, and not the
//! same address, pass; and so does a difference in a lower half alone, by the lower part of `D` or its negative. The second needs
//! slots whose distance is no multiple of 4 KiB: where it is one, lower halves must be equal. A constant that differs
//! by just `D` looks like an address in any case. Such a build is not deterministic, which two builds of one slot show.
//!
//! Formats and opcodes: RISC-V Unprivileged ISA, version 20240411, 2.3 and 27.5; the parts of an address: RISC-V
//! ELF psABI 1.0, 8.4.

/// The length of the instruction that `a` and `b` begin with, if its immediate was moved by `distance`.
pub(super) fn field(a: &[u8], b: &[u8], distance: u32) -> Option<usize> {
    let (a, b) = (Instruction::decode(a)?, Instruction::decode(b)?);
    let difference = b.immediate.wrapping_sub(a.immediate);
    let moved = match a.part {
        Part::Upper => is_upper(difference, distance),
        Part::UpperOfWay => {
            is_upper(difference, distance) || is_upper(difference.wrapping_neg(), distance)
        }
        // Nothing comes here whose lower part stays: then the instructions are equal.
        Part::Lower => [difference, difference.wrapping_neg()]
            .into_iter()
            .any(|difference| (difference ^ distance) & LOWER == 0),
        Part::Way => difference == distance || difference.wrapping_neg() == distance,
    };
    (a.operation == b.operation && moved).then_some(a.len)
}

/// Where the linker wrote a shorter way in one of them, because there it reaches: it does that ("relaxation")
/// unless told otherwise. Up to that place, the instructions of both differ in immediates only.
pub(super) fn relaxed_at(a: &[u8], b: &[u8], distance: u32) -> Option<usize> {
    let mut at = 0;
    loop {
        let (a, b) = (a.get(at..)?, b.get(at..)?);
        if is_shortened(a, b) || is_shortened(b, a) {
            return Some(at);
        }
        at += match (word(a), word(b)) {
            (Some(a), Some(b)) if b.wrapping_sub(a) == distance => 4,
            _ if opcode(a)? == opcode(b)? => len(a)?,
            _ => return None,
        };
    }
}

/// Whether `long` is two instructions of which the linker made one, `short`: a call or a jump (AUIPC, JALR: JAL, C.JAL
/// or C.J), or the same instruction in two bytes (LUI: C.LUI).
fn is_shortened(long: &[u8], short: &[u8]) -> bool {
    let register = |word: u32, at: u32| (word >> at) & 0x1F;
    let Some((first, short_half)) = word(long).zip(half(short)) else {
        return false;
    };
    let rd = register(first, 7);
    match (first & OPCODE, opcode(short)) {
        (LUI, Some(C_LUI)) => rd == register(short_half, 7),
        (AUIPC, Some(jump)) => {
            let Some(second) = long.get(4..).and_then(word) else {
                return false;
            };
            let is_pair = second & (OPCODE | FUNCT3) == JALR && register(second, 15) == rd;
            let link = register(second, 7);
            let same_link = match jump {
                JAL => register(short_half, 7) == link,
                C_JAL => link == 1,
                C_J => link == 0,
                _ => false,
            };
            is_pair && same_link
        }
        _ => false,
    }
}

/// Which part of an address, or of a way, an instruction holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The upper 20 bits of an address.
    Upper,
    /// The upper 20 bits of a way.
    UpperOfWay,
    /// The lower 12 bits of either.
    Lower,
    /// All of a way.
    Way,
}

/// An instruction with an immediate, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Instruction {
    part: Part,
    /// All but the immediate: which instruction, which registers.
    operation: u32,
    /// Sign-extended, in bytes: that of LUI is the address whose upper bits it holds.
    immediate: u32,
    /// In bytes.
    len: usize,
}

const OPCODE: u32 = 0x7F;
const FUNCT3: u32 = 0x7000;
const LUI: u32 = 0x37;
const AUIPC: u32 = 0x17;
const JAL: u32 = 0x6F;
const JALR: u32 = 0x67;
const ADDI: u32 = 0x13;
const LOAD: u32 = 0x03;
const LOAD_FP: u32 = 0x07;
const STORE: u32 = 0x23;
const STORE_FP: u32 = 0x27;

/// Of instructions of two bytes, funct3 and quadrant.
const COMPRESSED: u32 = 0xE003;
const C_LUI: u32 = 0x6001;
const C_JAL: u32 = 0x2001;
const C_J: u32 = 0xA001;

/// The lower part of an address.
const LOWER: u32 = 0xFFF;

impl Instruction {
    /// The instruction that `bytes` begin with, if it can hold a part of an address.
    fn decode(bytes: &[u8]) -> Option<Self> {
        if len(bytes)? == 2 {
            return Self::compressed(half(bytes)?);
        }
        let word = word(bytes)?;
        let signed = word as i32;
        let (part, immediate, bits) = match word & OPCODE {
            LUI => (Part::Upper, word & !LOWER, !LOWER),
            AUIPC => (Part::UpperOfWay, word & !LOWER, !LOWER),
            JAL => {
                // 31 │ 30:21 │ 20 │ 19:12 hold imm[20 │ 10:1 │ 11 │ 19:12].
                let sign = (signed >> 11) as u32 & 0xFFF0_0000;
                let rest = (word >> 20) & 0x7FE | (word >> 9) & 0x800 | word & 0xF_F000;
                (Part::Way, sign | rest, !LOWER)
            }
            JALR | ADDI if word & FUNCT3 == 0 => (Part::Lower, (signed >> 20) as u32, I_TYPE),
            LOAD | LOAD_FP => (Part::Lower, (signed >> 20) as u32, I_TYPE),
            STORE | STORE_FP => {
                let upper = (signed >> 20) as u32 & !0x1F;
                (Part::Lower, upper | (word >> 7) & 0x1F, S_TYPE)
            }
            _ => return None,
        };
        Some(Self {
            part,
            operation: word & !bits,
            immediate,
            len: 4,
        })
    }

    /// C.LUI: bits 12 and 6:2 hold nzimm[17 │ 16:12]. With register 2 it is C.ADDI16SP.
    fn compressed(half: u32) -> Option<Self> {
        let register = (half >> 7) & 0x1F;
        let immediate = (half & 0x1000) << 19 | (half & 0x7C) << 24;
        let immediate = (immediate as i32 >> 14) as u32;
        let is_one = half & COMPRESSED == C_LUI && ![0, 2].contains(&register) && immediate != 0;
        is_one.then_some(Self {
            part: Part::Upper,
            operation: half & !0x107C,
            immediate,
            len: 2,
        })
    }
}

/// Where the immediate is in an instruction of the I-type: 31:20 hold imm[11:0].
const I_TYPE: u32 = 0xFFF0_0000;

/// In one of the S-type: 31:25 and 11:7 hold imm[11:5 │ 4:0].
const S_TYPE: u32 = 0xFE00_0F80;

/// Whether two upper parts differ by `difference` because what they are of differs by `distance`.
fn is_upper(difference: u32, distance: u32) -> bool {
    let (upper, lower) = (distance & !LOWER, distance & LOWER);
    difference == upper || (lower != 0 && difference == upper.wrapping_add(LOWER + 1))
}

/// What two instructions that differ in immediates and registers only have in common.
fn opcode(bytes: &[u8]) -> Option<u32> {
    match len(bytes)? {
        2 => Some(half(bytes)? & COMPRESSED),
        _ => Some(word(bytes)? & OPCODE),
    }
}

/// Length of the instruction that `bytes` begin with: 2 unless its two lowest bits are set.
fn len(bytes: &[u8]) -> Option<usize> {
    let is_whole = half(bytes)? & 3 == 3;
    Some(if is_whole { 4 } else { 2 })
}

fn half(bytes: &[u8]) -> Option<u32> {
    let half = bytes.first_chunk().copied().map(u16::from_le_bytes)?;
    Some(half.into())
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::first_unexplained;
    use super::*;
    use bistable_layout::product::Architecture::Riscv32;

    /// Of the slots: two of them do not differ in the lower parts of their addresses.
    const DISTANCE: u32 = 0x0020_0000;

    fn instruction(bytes: &[u8]) -> Instruction {
        Instruction::decode(bytes).unwrap()
    }

    /// What the assembler makes of `lui register, upper` or `auipc`.
    fn upper(opcode: u32, register: u32, upper: u32) -> [u8; 4] {
        (upper << 12 | register << 7 | opcode).to_le_bytes()
    }

    /// `addi register, register, lower`, or a JALR or load likewise.
    fn lower(opcode: u32, register: u32, lower: u32) -> [u8; 4] {
        (lower << 20 | register << 15 | register << 7 | opcode).to_le_bytes()
    }

    /// `sw register, lower(register)`.
    fn store(register: u32, lower: u32) -> [u8; 4] {
        let (high, low) = ((lower >> 5) & 0x7F, lower & 0x1F);
        let word = high << 25 | register << 20 | register << 15 | 2 << 12 | low << 7 | STORE;
        word.to_le_bytes()
    }

    /// Both instructions of an address or of a way, with the carry of the assembler's %hi and %pcrel_hi.
    fn both(opcode: u32, value: u32, lower: impl Fn(u32) -> [u8; 4]) -> Vec<u8> {
        let high = value.wrapping_add(0x800) >> 12;
        [upper(opcode, 10, high), lower(value & LOWER)].concat()
    }

    #[test]
    fn the_instructions_are_those_of_the_assembler() {
        // As llvm-mc encodes them.
        assert_eq!(upper(LUI, 10, 0x22201), [0x37, 0x15, 0x20, 0x22]);
        assert_eq!(upper(AUIPC, 1, 0xFFF7F), [0x97, 0xF0, 0xF7, 0xFF]);
        assert_eq!(lower(ADDI, 10, 0x234), [0x13, 0x05, 0x45, 0x23]);
        assert_eq!(lower(JALR, 1, 0xFE6), [0xE7, 0x80, 0x60, 0xFE]);
        let cases: [(&[u8], Part, i32); 12] = [
            (&[0x37, 0x15, 0x20, 0x22], Part::Upper, 0x2220_1000), // lui a0, 0x22201
            (&[0x97, 0xF0, 0xF7, 0xFF], Part::UpperOfWay, -0x8_1000), // auipc ra, 0xfff7f
            (&[0x13, 0x05, 0x45, 0x23], Part::Lower, 0x234),       // addi a0, a0, 0x234
            (&[0x03, 0xA5, 0xC4, 0x7F], Part::Lower, 0x7FC),       // lw a0, 0x7fc(s1)
            (&[0x83, 0x45, 0x25, 0x01], Part::Lower, 0x12),        // lbu a1, 0x12(a0)
            (&[0x23, 0xAE, 0xA4, 0xFE], Part::Lower, -4),          // sw a0, -4(s1)
            (&[0xE7, 0x80, 0x60, 0xFE], Part::Lower, -26),         // jalr ra, -26(ra)
            (&[0xEF, 0xF0, 0xF7, 0x7F], Part::Way, 0x7_FFFE),      // jal ra, 0x7fffe
            (&[0x6F, 0x00, 0x00, 0x80], Part::Way, -0x10_0000),    // jal x0, -0x100000
            (&[0x21, 0x65], Part::Upper, 0x8000),                  // c.lui a0, 8
            (&[0x7D, 0x65], Part::Upper, 0x1_F000),                // c.lui a0, 31
            (&[0x01, 0x75], Part::Upper, -0x2_0000),               // c.lui a0, 0xfffe0
        ];
        for (bytes, part, immediate) in cases {
            let decoded = instruction(bytes);
            assert_eq!(decoded.part, part, "{bytes:x?}");
            assert_eq!(decoded.immediate as i32, immediate, "{bytes:x?}");
            assert_eq!(decoded.len, bytes.len());
        }
        // c.addi16sp sp, 32; c.add a0, a1; add a0, a0, a1; xori a0, a0, 3
        for bytes in [0x6105, 0x952E, 0x00B5_0533, 0x0035_4513_u32] {
            assert_eq!(Instruction::decode(&bytes.to_le_bytes()), None, "{bytes:x}");
        }
    }

    #[test]
    fn both_parts_of_an_address_in_the_slot_are_explained() {
        for address in [0x2220_1234_u32, 0x2220_1FFC, 0x2220_1800, 0x2220_17FF] {
            for distance in [DISTANCE, 0x2_8800, 0x1_0004, 0xFFFD_7800, 0x87FC_0000] {
                let links = [address, address.wrapping_add(distance)];
                for lower in [
                    |low| lower(ADDI, 10, low),
                    |low| lower(LOAD, 10, low),
                    |low| store(10, low),
                ] {
                    let [a, b] = links.map(|value| both(LUI, value, lower));
                    let found = first_unexplained(Riscv32, &a, &b, distance);
                    assert_eq!(found, None, "{address:#x} {distance:#x}");
                }
            }
        }
    }

    #[test]
    fn the_way_to_what_does_not_move_is_shorter_by_the_distance_and_back_it_is_longer() {
        let at = 0x2220_1016_u32;
        for target in [0x8000_0090_u32, 0x2000_0FFC, 0x8000_0816, 0x2218_0000] {
            for distance in [DISTANCE, 0x2_8800, 0x1_0004] {
                let jump = |low| lower(JALR, 10, low);
                let there = |at: u32| both(AUIPC, target.wrapping_sub(at), jump);
                let back = |at: u32| both(AUIPC, at.wrapping_sub(target), jump);
                for (a, b) in [
                    (there(at), there(at + distance)),
                    (back(at), back(at + distance)),
                ] {
                    let found = first_unexplained(Riscv32, &a, &b, distance);
                    assert_eq!(found, None, "{target:#x} {distance:#x}");
                }
            }
        }
    }

    #[test]
    fn a_jump_that_reaches_the_same_place_from_both_slots_is_explained() {
        // jal ra, 0x7fffe and jal ra, 0x3fffe
        let a = [0xEF, 0xF0, 0xF7, 0x7F];
        let b = [0xEF, 0xF0, 0xF3, 0x7F];
        assert_eq!(instruction(&b).immediate, 0x3_FFFE);
        assert_eq!(first_unexplained(Riscv32, &a, &b, 0x4_0000), None);
        assert_eq!(first_unexplained(Riscv32, &a, &b, 0x2_0000), Some(2));
        // To the other side of the chip's address space, and yet not 2 MiB apart.
        let far = [0x6F, 0x00, 0x00, 0x80];
        let near = [0x6F, 0x00, 0x00, 0x00];
        assert_eq!(first_unexplained(Riscv32, &near, &far, DISTANCE), Some(3));
    }

    #[test]
    fn an_address_in_two_bytes_is_explained_and_its_neighbour_is_not() {
        let link = |upper: u8, next: u8| [0x01, 0x65 | (upper >> 5) << 4, next, 0x00];
        let c_lui = |upper: u8, next: u8| {
            let mut bytes = link(upper, next);
            bytes[0] |= (upper & 0x1F) << 2;
            bytes
        };
        let (a, b) = (c_lui(8, 7), c_lui(24, 7));
        assert_eq!(first_unexplained(Riscv32, &a, &b, 0x1_0000), None);
        assert_eq!(first_unexplained(Riscv32, &a, &b, 0x2_0000), Some(0));
        let other = c_lui(24, 8);
        assert_eq!(first_unexplained(Riscv32, &a, &other, 0x1_0000), Some(2));
    }

    #[test]
    fn another_register_another_distance_or_another_instruction_is_not_an_address() {
        let a = upper(LUI, 10, 0x22201);
        for (b, at) in [
            (upper(LUI, 11, 0x22401), 0),
            (upper(LUI, 10, 0x22402), 1),
            (upper(AUIPC, 10, 0x22401), 0),
        ] {
            let found = first_unexplained(Riscv32, &a, &b, DISTANCE);
            assert_eq!(found, Some(at), "{b:x?}");
        }
        // The lower part of an address stays, if the slots lie whole pages apart.
        let (a, b) = (lower(ADDI, 10, 4), lower(ADDI, 10, 8));
        assert_eq!(first_unexplained(Riscv32, &a, &b, DISTANCE), Some(2));
        // andi a0, a0, 4 and 8: no address is made like that.
        let (a, b) = ([0x13, 0x75, 0x45, 0], [0x13, 0x75, 0x85, 0]);
        assert_eq!(first_unexplained(Riscv32, &a, &b, 4), Some(2));
    }

    #[test]
    fn a_call_that_reaches_from_one_slot_only_is_relaxation() {
        // c.addi sp, -16; auipc t0, 0; addi t0, t0, 120 or 128: what lies behind the call has moved.
        let before = |low: u32| {
            let way = [upper(AUIPC, 5, 0), lower(ADDI, 5, low)].concat();
            [[0x41, 0x11].as_slice(), &way].concat()
        };
        // auipc ra, 0xffd7f; jalr ra, -20(ra), and jal ra, -0x81014: what rust-lld makes of one call.
        let call = [0x97, 0xF0, 0xD7, 0xFF, 0xE7, 0x80, 0xC0, 0xFE];
        let tail = [0x17, 0x03, 0xD8, 0xFF, 0x67, 0x00, 0x03, 0x01];
        let jal = [0xEF, 0xE0, 0xD7, 0xFE].as_slice();
        for (long, short) in [
            (call, jal),
            (call, &[0x05, 0x28]), // c.jal 0x30
            (tail, &[0xFD, 0xBF]), // c.j -2
        ] {
            let near = [&before(120), short, &[0x82, 0x80]].concat();
            let far = [before(128).as_slice(), &long, &[0x82, 0x80]].concat();
            assert_eq!(relaxed_at(&near, &far, DISTANCE), Some(10), "{short:x?}");
            assert_eq!(relaxed_at(&far, &near, DISTANCE), Some(10), "{short:x?}");
        }
        // A jump where the other has a call, and code that just is another.
        for other in [[0xFD, 0xBF], [0x05, 0x05]] {
            let near = [&before(120), other.as_slice(), &[0x82, 0x80]].concat();
            let far = [before(128).as_slice(), &call, &[0x82, 0x80]].concat();
            assert_eq!(relaxed_at(&near, &far, DISTANCE), None, "{other:x?}");
        }
    }

    #[test]
    fn an_address_that_fits_into_two_bytes_in_one_slot_only_is_relaxation() {
        // c.lui a0, 8 and lui a0, 0x28
        let (short, long) = ([0x21, 0x65, 0x82, 0x80], upper(LUI, 10, 0x28));
        assert_eq!(relaxed_at(&short, &long, 0x2_0000), Some(0));
        assert_eq!(relaxed_at(&short, &upper(LUI, 11, 0x28), 0x2_0000), None);
    }

    #[test]
    fn addresses_before_it_hide_no_relaxation() {
        let link = |address: u32, call: &[u8]| [&address.to_le_bytes(), call].concat();
        let near = link(0x2220_1003, &[0xEF, 0xE0, 0xD7, 0xFE]);
        let call = [0x97, 0xF0, 0xD7, 0xFF, 0xE7, 0x80, 0xC0, 0xFE];
        let far = link(0x2222_9804, &call);
        assert_eq!(relaxed_at(&near, &far, 0x2_8801), Some(4));
    }
}
