//! The chip, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::{cortex_m, forward};
use embassy_nrf::pac::{MPU, POWER};

use crate::{BLOCK, BOOTLOADER, Flash, HANDOVER, Hardware, Watchdog, layout};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// The processor's interrupts, of which the chip has 26.
const INTERRUPTS: u32 = 32;

/// As many blocks as a slot has, a bit for each. The layout has whole ones in the slots and in the bootloader.
const SLOT: u64 = (1 << (layout::LAYOUT.slot_size / BLOCK)) - 1;

/// How long to wait when nothing verifies before everything is tried again, in steps of the 16 MHz clock: a second.
const RETRY: u32 = 16_000_000;

/// The word of RAM that names the vector table of the program that runs.
const VECTOR_TABLE: u32 = forward::word(layout::HANDOVER_ADDRESS, layout::HANDOVER_SIZE);

bistable_port::forward_interrupts!(VECTOR_TABLE);

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

    /// Why the processor started (POWER): several may be set, for they stay until they are cleared, which this does.
    fn reset_reason(&mut self) -> Option<ResetReason> {
        let reasons = POWER.resetreas();
        let found = reasons.read();
        reasons.write_value(found);
        Some(match found {
            _ if found.dog() => ResetReason::Watchdog,
            _ if found.lockup() => ResetReason::LockUp,
            _ if found.sreq() => ResetReason::Software,
            _ if found.resetpin() => ResetReason::Pin,
            // A debugger.
            _ if found.dif() => ResetReason::Pin,
            // Neither power-on nor brown-out sets a bit; or it was off, and something woke it.
            _ if found.0 == 0 || found.off() || found.lpcomp() => ResetReason::PowerOn,
            _ => ResetReason::Unknown,
        })
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        HANDOVER.load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        HANDOVER.store(block);
    }

    fn protect(&mut self, running: Slot) {
        let first = running.of(&layout::LAYOUT.slots).offset / BLOCK;
        let protected = u64::from(BOOTLOADER) | SLOT << first;
        MPU.protenset0().write(|it| it.0 = protected as u32);
        MPU.protenset1().write(|it| it.0 = (protected >> 32) as u32);
    }

    fn recover(&mut self) {
        crate::feed();
        ::cortex_m::asm::delay(RETRY);
    }

    fn jump(self, image: Verified, clears_ram: bool) -> ! {
        cortex_m::clean_up::<INTERRUPTS>();
        let clears = match clears_ram {
            true => layout::APPLICATION_RAM,
            false => 0..0,
        };
        // SAFETY: `Verified` says that a program for this processor lies there, as its `Entry` demands. Nothing of the
        // bootloader is used any more but its forwarder, whose word lies in the handover block, which is not cleared;
        // `main` is no handler.
        unsafe { forward::jump(image.address(), clears, VECTOR_TABLE) }
    }
}
