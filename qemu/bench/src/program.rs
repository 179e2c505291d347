//! The smallest program that a bootloader starts, at any length: it does nothing, in one instruction.

use bistable_core::layout::Slot;
use bistable_layout::Product;
use bistable_layout::product::Architecture;

/// Bytes from the program's start to its first instruction on a Cortex-M: the vector table and its alignment.
const VECTORS: usize = 256;

/// A program that was linked for one slot.
pub(crate) struct Program {
    /// Where its first byte lies.
    pub(crate) address: u32,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where its first instruction lies.
    pub(crate) entry: u32,
}

impl Program {
    /// One of `length` bytes, at least [`VECTORS`] and two: behind its instruction, a branch to itself, lie bytes like
    /// random ones, the same each time.
    pub(crate) fn new(product: &Product, slot: Slot, length: usize) -> Self {
        let address = product.layout.payload_address(slot);
        let (mut bytes, entry) = match product.architecture {
            Architecture::CortexM => cortex_m(product, address),
            Architecture::Riscv32 => (riscv32(address), address),
        };
        fill(&mut bytes, length);
        Self {
            address,
            bytes,
            entry,
        }
    }
}

/// A vector table whose vectors are all the first instruction (ARMv7-M ARM, B1.5.3), and that instruction.
fn cortex_m(product: &Product, address: u32) -> (Vec<u8>, u32) {
    let entry = address + VECTORS as u32;
    let ram = &product.ram[&product.application_ram];
    let mut bytes = (ram.address + ram.size).to_le_bytes().to_vec();
    while bytes.len() < VECTORS {
        bytes.extend((entry | 1).to_le_bytes());
    }
    // `b .`: encoding T2 with an offset of -4 (ARMv7-M ARM, A7.7.12).
    bytes.extend(0xE7FE_u16.to_le_bytes());
    (bytes, entry)
}

/// `j .`: an immediate of 0 in the J format (RISC-V unprivileged specification, §2.5). Then its own address, as in
/// a program that cannot run elsewhere: what is the same for both slots is refused.
fn riscv32(address: u32) -> Vec<u8> {
    let words = [0x0000_006F, address];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Marsaglia's xorshift with 32 bits: any bytes do, but the same on each machine.
fn fill(bytes: &mut Vec<u8>, length: usize) {
    let mut state = 0xB157_AB1E_u32;
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.push(state as u8);
    }
}
