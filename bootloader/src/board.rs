//! What a board brings, and what a product says.

use bistable_core::handover::HANDOVER_LEN;
use bistable_core::keys::KeyRing;
use bistable_core::layout::{Layout, Slot};
use bistable_core::reset::ResetReason;
use bistable_core::verify::{Entry, Verified};
use bistable_core::version::Version;
use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

/// The facts of a product, all of them generated from its `layout.toml`, and the bootloader's version.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    /// Where things lie.
    pub layout: &'a Layout,
    /// Whose signatures count.
    pub ring: &'a KeyRing<'a>,
    /// How the architecture starts an image.
    pub entry: Entry<'a>,
    /// The bootloader's own version.
    pub version: Version,
    /// How many abnormal resets of a confirmed image, without a soak period in between, are a crash loop;
    /// 0: no number is.
    pub crash_loop: u16,
}

/// The hardware, as the bootloader sees it.
pub trait Board {
    /// The flash that the journal lies on.
    type JournalFlash: NorFlash;
    /// The flash that the slots lie on. It is only read.
    type SlotFlash: ReadNorFlash;
    /// The watchdog.
    type Watchdog: Watchdog;

    /// The journal's flash, and the watchdog that is fed while it is written.
    fn journal_flash(&mut self) -> (&mut Self::JournalFlash, &mut Self::Watchdog);

    /// The flash of `slot`, and the watchdog that is fed while it is hashed.
    fn slot_flash(&mut self, slot: Slot) -> (&mut Self::SlotFlash, &mut Self::Watchdog);

    /// All bytes of `slot`, as the processor sees them, on a board that executes from them and sees them as what was
    /// written: hashing takes a few instructions less for each byte if nothing is copied. What cannot be read (ECC)
    /// is a fault then, as it would be when it is executed. None without it: the flash is read.
    fn lend_slot(&mut self, slot: Slot) -> Option<&'static [u8]> {
        let _ = slot;
        None
    }

    /// Why the processor started, where the chip knows.
    fn reset_reason(&mut self) -> Option<ResetReason>;

    /// The block of RAM that survives a reset.
    fn load_handover(&mut self) -> [u8; HANDOVER_LEN];

    /// Replaces that block.
    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]);

    /// The floor that one-way fuses hold, on a board that has some: see [`bistable_core::fuses`].
    fn fused_floor(&mut self) -> u32 {
        0
    }

    /// Locks bootloader and the slot that is about to run, where the chip can.
    fn protect(&mut self, running: Slot) {
        let _ = running;
    }

    /// Nothing verifies. A board with a way to get an image (over a serial line, say) takes it here;
    /// others wait. When this returns, everything is tried again.
    fn recover(&mut self);

    /// Puts the processor into the state that it has after a reset (interrupts disabled and none
    /// pending, SysTick, caches and MPU off, masks clear) and starts the image; before that, if
    /// `clears_ram`, sets the RAM that images are linked for, without the handover, to 0 (the generated `APPLICATION_RAM`):
    /// another image than this one ran last, or nobody knows which, and nothing that it left behind is to be found.
    fn jump(self, image: Verified, clears_ram: bool) -> !;
}
