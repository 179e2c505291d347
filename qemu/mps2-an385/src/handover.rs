//! The handover block at the start of RAM, and the watchdog's last words in it.

use bistable_core::handover::HANDOVER_LEN;

use crate::memory;

/// Reads the block.
pub fn load() -> [u8; HANDOVER_LEN] {
    memory::load()
}

/// Replaces the block.
pub fn store(block: &[u8; HANDOVER_LEN]) {
    memory::store(block);
}

/// For [`last_words!`](crate::last_words): notes for the next boot that the watchdog barked, and where.
pub extern "C" fn note_watchdog(program_counter: u32) {
    memory::BLOCK.note_watchdog(program_counter);
}
