//! The conformance suite of each board: it runs in the bootloader's place, on the board's own drivers, and logs facts or
//! the first breach.
#![no_std]
#![no_main]

use bistable_bootloader::Board;
use bistable_conformance::board::{Step, Then};
use bistable_conformance::{Breach, handles, platform};
use bistable_core::fuses::Fuses as _;
use bistable_core::handover::HANDOVER_LEN;
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::verify::Verified;
use bistable_updater::Platform;
use board::flash::{self, Flash};
use board::fuses::FloorFuses;
use board::watchdog::Watchdog;
use board::{clock, handover, reset};
use defmt::{Display2Format, error, info};

#[expect(
    dead_code,
    unreachable_pub,
    reason = "generated, for every firmware of the product"
)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

/// Sectors for the suite of the board: records, marks, and two for the flash. Slot B holds nothing here.
const IN_SLOT_B: core::ops::Range<u32> = {
    let start = layout::LAYOUT.slots[1].offset;
    start..start + 4 * SECTOR
};

/// The flash's last sectors, where nothing lies on any board.
const AT_THE_END: core::ops::Range<u32> = {
    let end = layout::flash_main::SIZE;
    end - 2 * SECTOR..end
};

const SECTOR: u32 = layout::flash_main::ERASE_SIZE;

board::last_words!(handover::note_watchdog);

#[board::entry]
fn main() -> ! {
    clock::start();
    board::log::start(board::log::Speaker::Bootloader, "bootloader");
    // SAFETY: this program runs from the bootloader's memory and its data lie in RAM; of the flash only slot B and
    // the last sectors are written, in which there is neither code nor constants.
    let one = unsafe { flash::open() };
    // SAFETY: as above.
    let other = unsafe { flash::open() };
    let (Ok(one), Ok(other)) = (one, other) else {
        error!("there is no flash");
        wait()
    };
    let mut hardware = Hardware {
        journal: one,
        slots: other,
        watchdog: Watchdog,
        fuses: FloorFuses::new(),
    };
    match step(&mut hardware) {
        Ok(then) => follow(then),
        Err(breach) => {
            error!("not kept: {}", Display2Format(&breach));
            wait()
        }
    }
}

fn step(hardware: &mut Hardware) -> Result<Then, Breach> {
    let mut clock = clock::now;
    let Step { learnt, then } =
        bistable_conformance::board(hardware, &layout::LAYOUT, IN_SLOT_B, Some(&mut clock))?;
    info!("{}", Display2Format(&learnt));
    if then == Then::Nothing {
        let facts = platform(hardware, AT_THE_END, AT_THE_END)?;
        info!(
            "the platform keeps the contract: {}",
            Display2Format(&facts)
        );
        let Hardware {
            journal,
            slots,
            watchdog,
            ..
        } = hardware;
        handles(journal, slots, AT_THE_END, watchdog)?;
        info!("two handles of the flash see the same");
        match board::self_test::run() {
            Ok(learnt) => info!("the flash driver's waits: {}", learnt),
            Err(problem) => {
                error!("not kept: {}", problem);
                wait()
            }
        }
    }
    info!("{}", Display2Format(&then));
    Ok(then)
}

fn follow(then: Then) -> ! {
    match then {
        Then::Reset => reset::reset(),
        // The board's own `hang` may leave the watchdog's early warning on: nothing is to help the watchdog here.
        Then::Hang => critical_section::with(|_| {
            loop {
                core::hint::spin_loop();
            }
        }),
        Then::AwaitPowerCut | Then::Nothing => wait(),
    }
}

/// For the power to be cut.
fn wait() -> ! {
    loop {
        bistable_core::watchdog::Watchdog::feed(&mut Watchdog);
    }
}

struct Hardware {
    journal: Flash,
    slots: Flash,
    watchdog: Watchdog,
    fuses: FloorFuses,
}

impl Board for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Watchdog) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Flash, &mut Watchdog) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        reset::reason()
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        handover::load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        handover::store(block);
    }

    fn fused_floor(&mut self) -> u32 {
        self.fuses.floor()
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        wait() // Nothing is verified here, so nothing can be jumped to.
    }
}

impl Platform for Hardware {
    type JournalFlash = Flash;
    type SlotFlash = Flash;
    type Watchdog = Watchdog;
    type Fuses = FloorFuses;

    fn journal_flash(&mut self) -> (&mut Flash, &mut Watchdog) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _slot: Slot) -> (&mut Flash, &mut Watchdog) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        handover::load()
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        handover::store(block);
    }

    fn fuses(&mut self) -> &mut FloorFuses {
        &mut self.fuses
    }

    fn now(&self) -> u64 {
        clock::now()
    }

    fn reset(&mut self) -> ! {
        reset::reset()
    }
}
