//! The conformance suite of each port: it runs in the bootloader's place, on the port's own drivers, and says on the
//! serial line what it learns, or the first promise that is not kept.
//!
//! `docs/conformance.md` says what is tried. It takes a few minutes on a chip, resets it five times, and asks once for the power to be
//! cut. Slot B is erased.
#![no_std]
#![no_main]

use bistable_bootloader::Board;
use bistable_conformance::board::{Step, Then};
use bistable_conformance::{Breach, platform};
use bistable_updater::Platform;
use board::{Hardware, Line, layout};
use embedded_io::Write as _;
use embedded_storage::nor_flash::NorFlash;

/// Bytes of an erase sector, of the journal and of the slots: the suite asks for both on one flash.
const SECTOR: u32 = {
    let journal = <<Hardware as Board>::JournalFlash as NorFlash>::ERASE_SIZE;
    let slots = <<Hardware as Platform>::SlotFlash as NorFlash>::ERASE_SIZE;
    assert!(journal == slots);
    journal as u32
};

/// Sectors in which nothing lies: the first ones of slot B.
const SCRATCH: core::ops::Range<u32> = {
    let start = layout::LAYOUT.slots[1].offset;
    let sectors = if SECTOR < 1024 { 8 } else { 4 };
    start..start + sectors * SECTOR
};

#[board::entry]
fn main() -> ! {
    let (mut hardware, mut line) = board::start();
    let then = match step(&mut hardware, &mut line) {
        Ok(then) => then,
        Err(breach) => {
            let _ = write!(line, "not kept: {breach}\r\n"); // Who does not listen does not hear it.
            Then::Nothing
        }
    };
    match then {
        Then::Reset => board::reset(),
        Then::Hang => hang(),
        Then::AwaitPowerCut | Then::Nothing => loop {
            board::feed();
        },
    }
}

fn step(hardware: &mut Hardware, line: &mut Line) -> Result<Then, Breach> {
    let mut clock = board::now;
    let Step { learnt, then } =
        bistable_conformance::board(hardware, &layout::LAYOUT, SCRATCH, Some(&mut clock))?;
    let _ = write!(line, "{learnt}\r\n");
    if then == Then::Nothing {
        let facts = platform(hardware, SCRATCH, SCRATCH)?;
        let _ = write!(line, "the platform keeps the contract: {facts}\r\n");
    }
    let _ = write!(line, "{then}\r\n");
    let _ = line.flush();
    Ok(then)
}

/// Waits for the watchdog, with interrupts disabled.
fn hang() -> ! {
    critical_section::with(|_| {
        loop {
            core::hint::spin_loop();
        }
    })
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    board::reset()
}
