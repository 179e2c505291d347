//! The chip, as the bootloader sees it.

use bistable_bootloader::Board;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_core::version::Version;
use bistable_port::riscv;
use rp235x_hal::block::{Architecture, Block, Security, item_entry_point, item_image_type_exe};

use crate::{Flash, HANDOVER, Hardware, MARK, Watchdog, layout};

/// The bootloader's own version.
pub const VERSION: Version = Version::new(0, 1, 0);

/// How long to wait when nothing verifies before everything is tried again, in steps of the 150 MHz clock: a second.
const RETRY: u32 = 150_000_000;

/// Tells the ROM that this is for the RISC-V processors, and that it begins behind this block. The code sets its stack itself.
#[used]
#[unsafe(link_section = ".image_definition")]
static IMAGE_DEFINITION: Block<4> = {
    use layout::{bootloader, flash_main};
    let start = flash_main::ADDRESS + bootloader::OFFSET + bootloader::HEAD;
    let [entry, address, stack] = item_entry_point(start, layout::APPLICATION_RAM.end);
    let image = item_image_type_exe(Security::Unspecified, Architecture::Riscv);
    Block::new([image, entry, address, stack])
};

/// Finds out why the processor started, arms the watchdog, and starts crystal and PLL: the ring oscillator, which the chip
/// starts with, has 12 MHz more or less, and hashing an image would take 12 times as long.
pub(crate) fn wake_up() -> ResetReason {
    let mut chip = crate::peripherals();
    let watchdog = chip.WATCHDOG.reason().read();
    let power = chip.POWMAN.chip_reset().read();
    // The ROM has the watchdog reset the chip, too: at power-on, to change from Arm to RISC-V (5.2.1).
    let is_ours = chip.WATCHDOG.scratch0().read().bits() == MARK;
    let reason = match () {
        () if is_ours && watchdog.timer().bit() => ResetReason::Watchdog,
        () if is_ours && watchdog.force().bit() => ResetReason::Software,
        () if power.had_bor().bit() || power.had_glitch_detect().bit() => ResetReason::BrownOut,
        () if power.had_run_low().bit() || power.had_dp_reset_req().bit() => ResetReason::Pin,
        () if power.had_rescue().bit() || power.had_hzd_sys_reset_req().bit() => ResetReason::Pin,
        () if power.had_por().bit() || !is_ours => ResetReason::PowerOn,
        () => ResetReason::Unknown,
    };
    // Armed before, for a crystal may not start.
    crate::feed();
    crate::start_clocks(&mut chip);
    reason
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

    fn reset_reason(&mut self) -> Option<ResetReason> {
        Some(self.reset_reason)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        HANDOVER.load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        HANDOVER.store(block);
    }

    fn recover(&mut self) {
        crate::feed();
        ::riscv::asm::delay(RETRY);
    }

    fn jump(self, image: Verified, clears_ram: bool) -> ! {
        riscv::clean_up();
        let clears = match clears_ram {
            true => layout::APPLICATION_RAM,
            false => 0..0,
        };
        // SAFETY: `Verified` says that a program for this processor lies there, as its `Entry` demands; the layout asserts
        // its alignment. Nothing of the bootloader is used any more, and its RAM may be cleared.
        unsafe { riscv::jump(image.address(), clears) }
    }
}
