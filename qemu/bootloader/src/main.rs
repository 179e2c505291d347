//! The bootloader of each board: the library's story on the hardware of whichever board its package names.
#![no_std]
#![no_main]

use bistable_bootloader::{Board, Product, boot};
use bistable_core::fuses::Fuses as _;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use board::flash::{self, Flash};
use board::fuses::FloorFuses;
use board::watchdog::Watchdog;
use board::{clock, handover, jump};

#[expect(
    dead_code,
    unreachable_pub,
    reason = "generated, for every firmware of the product"
)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

const PRODUCT: Product<'static> = Product {
    layout: &layout::LAYOUT,
    ring: &layout::KEY_RING,
    entry: layout::ENTRY,
    version: Version::new(
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    ),
    crash_loop: layout::CRASH_LOOP,
};

const fn number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a version number that does not fit 16 bits"),
    }
}

// The board library has the handover's place and the flash's, the layout has them for everybody else.
const _: () = assert!(layout::HANDOVER_ADDRESS == board::memory::ADDRESS);
const _: () = assert!(layout::HANDOVER_SIZE as usize == board::memory::SIZE);
const _: () = assert!(layout::flash_main::ADDRESS == flash::ADDRESS);

/// How long to wait when nothing verifies before everything is tried again, in milliseconds.
const RETRY_MS: u32 = 1_000;

board::last_words!(handover::note_watchdog);

#[board::entry]
fn main() -> ! {
    clock::start();
    #[cfg(feature = "log")]
    board::log::start(board::log::Speaker::Bootloader, "bootloader");
    // SAFETY: the bootloader runs from a memory of its own and its data lie in RAM; of the flash it writes nothing
    // but the journal, in which there is neither code nor constants.
    let opened = unsafe { flash::open() };
    match opened {
        Ok(flash) => boot(
            Hardware {
                flash,
                watchdog: Watchdog,
            },
            &PRODUCT,
        ),
        // Nothing was ever flashed here.
        Err(_) => board::reset::reset(),
    }
}

struct Hardware {
    flash: Flash,
    watchdog: Watchdog,
}

impl Board for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Watchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Flash, &mut Watchdog) {
        (&mut self.flash, &mut self.watchdog)
    }

    #[inline(always)] // a constant: what else would read the flash is left out
    fn lend_slot(&mut self, slot: Slot) -> Option<&'static [u8]> {
        let start = layout::LAYOUT.payload_address(slot) - layout::LAYOUT.payload_offset;
        // SAFETY: the layout has the slot on the flash that is open. This program writes the journal of it alone, and
        // until the jump no other program runs.
        Some(unsafe { flash::lend(start - flash::ADDRESS, layout::LAYOUT.slot_size) })
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        board::reset::reason()
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        handover::load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        handover::store(block);
    }

    fn recover(&mut self) {
        clock::wait(RETRY_MS, board::watchdog::feed);
    }

    fn fused_floor(&mut self) -> u32 {
        FloorFuses::new().floor()
    }

    fn jump(self, image: Verified, clears_ram: bool) -> ! {
        jump::clean_up();
        let clears = match clears_ram {
            true => layout::APPLICATION_RAM,
            false => 0..0,
        };
        // SAFETY: `Verified` says that a program for this processor lies there, as its `Entry` demands; the
        // layout asserts its alignment. Nothing of the bootloader is used any more, its RAM may be cleared,
        // and `main` is no handler.
        unsafe { jump::jump(image.address(), clears) }
    }
}

#[cfg(not(feature = "log"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    board::reset::reset()
}
