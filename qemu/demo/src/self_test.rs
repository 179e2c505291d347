//! The demo's self-test: is the flash what it should be? And what a bad release does to its stack.

use bistable_core::layout::HEADER_LEN;
use bistable_updater::Platform as _;
use board::stack;
use defmt::info;
use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};

use crate::layout::LAYOUT;
use crate::platform::Hardware;

/// Programs the last unit of each slot's header with what it holds, if it was ever programmed: flash
/// that takes a second program since the last erase is not the flash that the updater relies on.
pub(crate) fn flash_refuses_a_second_program(platform: &mut Hardware) -> bool {
    const UNIT: usize = 4;
    bistable_core::layout::Slot::BOTH.into_iter().all(|slot| {
        let (flash, _) = platform.slot_flash(slot);
        let at = slot.of(&LAYOUT.slots).offset + (HEADER_LEN - UNIT) as u32;
        let mut unit = [0; UNIT];
        if flash.read(at, &mut unit).is_err() {
            return false;
        }
        // A header ends in zeros; erased flash holds none.
        let refused = unit != [0; UNIT] || flash.write(at, &unit).is_err();
        info!("slot {}: a second program is refused: {}", slot, refused);
        refused
    })
}

/// Goes down in the stack until less than a few KiB of it are free. Returns how many bytes were never used.
#[inline(never)]
pub(crate) fn use_stack() -> u32 {
    let mut used = [0xA5_u8; 1024];
    core::hint::black_box(&mut used);
    let free = stack::free();
    let deeper = match free > 4096 {
        true => use_stack(),
        false => free,
    };
    core::hint::black_box(&mut used);
    deeper
}
