//! The chip, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::cortex_m;
use embassy_nrf::pac::{ACL, POWER, acl::vals::Write};

use crate::{Flash, HANDOVER, Hardware, Watchdog, layout};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// The chip's interrupts (numbers 0 to 47).
const INTERRUPTS: u32 = 48;

/// How long to wait when nothing verifies before everything is tried again, in steps of the 64 MHz clock: a second.
const RETRY: u32 = 64_000_000;

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

    /// Why the processor started (POWER): reasons stay until they are cleared, which this does. The pin comes first, for it may
    /// set the others, too (anomaly 136).
    fn reset_reason(&mut self) -> Option<ResetReason> {
        let reasons = POWER.resetreas();
        let found = reasons.read();
        reasons.write_value(found);
        Some(match found {
            _ if found.resetpin() => ResetReason::Pin,
            _ if found.dog() => ResetReason::Watchdog,
            _ if found.lockup() => ResetReason::LockUp,
            _ if found.sreq() => ResetReason::Software,
            // A debugger.
            _ if found.dif() => ResetReason::Pin,
            // It was off, and something woke it.
            _ if found.off() || found.lpcomp() || found.nfc() || found.vbus() => {
                ResetReason::PowerOn
            }
            // Neither power-on nor brown-out sets a bit.
            _ if found.0 == 0 => ResetReason::PowerOn,
            _ => ResetReason::Unknown,
        })
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        HANDOVER.load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        HANDOVER.store(block);
    }

    /// No program can write what the access control lists name until the next reset (ACL).
    fn protect(&mut self, running: Slot) {
        let slot = running.of(&layout::LAYOUT.slots);
        let regions = [
            (layout::bootloader::OFFSET, layout::bootloader::SIZE),
            (slot.offset, layout::LAYOUT.slot_size),
        ];
        for (number, (start, size)) in regions.into_iter().enumerate() {
            let list = ACL.acl(number);
            list.addr().write_value(start);
            list.perm()
                .write(|permissions| permissions.set_write(Write::Disable));
            list.size().write_value(size);
        }
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
        // SAFETY: `Verified` says that a program for this processor lies there, as its `Entry` demands; the layout asserts
        // its alignment. Nothing of the bootloader is used any more, nor what is cleared, and `main` is no handler.
        unsafe { cortex_m::jump(image.address(), clears) }
    }
}
