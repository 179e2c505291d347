//! A board in memory: what the bootloader would see, and what it did.

use bistable_bootloader::{Board, Ready, prepare};
use bistable_core::fuses::{Fuses, NotRaised};
use bistable_core::handover::{HANDOVER_LEN, Handover};
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::Slot;
use bistable_core::reset::ResetReason;
use bistable_core::state::Snapshot;
use bistable_core::transition::{Event, transition};
use bistable_core::verify::Verified;
use bistable_core::watchdog::Watchdog;

use crate::fixtures::product;
use crate::flash::Flash;

/// Sectors of the journal's flash.
pub type JournalFlash = Flash<8, 2048>;

/// Sectors of the slots' flash.
pub type SlotFlash = Flash<8, 1024>;

/// Counts how often it was fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fed(pub u64);

impl Watchdog for Fed {
    fn feed(&mut self) {
        self.0 += 1;
    }
}

/// Fuses that hold any floor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoryFuses {
    /// What they hold.
    pub floor: u32,
    /// How often they were raised.
    pub raised: u32,
    /// Whether they cannot be raised any more.
    pub used_up: bool,
}

impl Fuses for MemoryFuses {
    fn floor(&mut self) -> u32 {
        self.floor
    }

    fn raise(&mut self, floor: u32) -> Result<(), NotRaised> {
        if self.used_up {
            return Err(NotRaised);
        }
        self.raised += 1;
        self.floor = self.floor.max(floor);
        Ok(())
    }
}

/// A board with nothing on its flash.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Three sectors.
    pub journal: JournalFlash,
    /// Both slots.
    pub slots: SlotFlash,
    /// The watchdog.
    pub watchdog: Fed,
    /// The fuses.
    pub fuses: MemoryFuses,
    /// RAM that survives a reset.
    pub retained: [u8; HANDOVER_LEN],
    /// What the next reset's reason will be; `None` if the chip does not know.
    pub reset: Option<ResetReason>,
    /// Every handover that was stored, in order.
    pub stored: Vec<Handover>,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// A board with nothing on its flash.
    #[must_use]
    pub fn new() -> Self {
        Self {
            journal: Flash::new(3),
            slots: Flash::new(32),
            watchdog: Fed::default(),
            fuses: MemoryFuses::default(),
            retained: [0; HANDOVER_LEN],
            reset: Some(ResetReason::PowerOn),
            stored: Vec::new(),
        }
    }

    /// With this state in its journal.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn with_journal(mut self, snapshot: &Snapshot) -> Self {
        let formatted = open_journal().format(&mut self.journal, &mut self.watchdog, snapshot);
        formatted.expect("a journal that can be formatted");
        self
    }

    /// What the bootloader does after a reset for this reason; RAM does not survive a power-on, and one that
    /// software asked for was announced.
    pub fn boot(&mut self, reset: ResetReason) -> Option<Ready> {
        if let (ResetReason::Software, Some(handover)) = (reset, self.handover()) {
            let announced = true;
            self.retained = Handover {
                announced,
                ..handover
            }
            .encode();
        }
        if reset == ResetReason::PowerOn {
            self.retained = [0xa5; HANDOVER_LEN];
            self.journal.power_on();
            self.slots.power_on();
        }
        self.reset = Some(reset);
        self.stored.clear();
        prepare(self, &product())
    }

    /// What the application, or the updater in it, makes of the state.
    ///
    /// # Panics
    /// If the journal is not sound, or the event cannot happen.
    pub fn happens(&mut self, event: Event) {
        let mut journal = open_journal();
        let Opened::Sound { snapshot, .. } = journal.open(&mut self.journal, &mut self.watchdog)
        else {
            panic!("the journal is not sound");
        };
        if let Some(after) = transition(&snapshot, event).expect("an event that can happen") {
            let written = journal.write(&mut self.journal, &mut self.watchdog, &after);
            written.expect("a journal that can be written");
        }
    }

    /// What the journal says now; a copy is opened, so that looking changes nothing.
    #[must_use]
    pub fn state(&self) -> Opened {
        open_journal().open(&mut self.journal.clone(), &mut Fed::default())
    }

    /// The handover as it was left.
    #[must_use]
    pub fn handover(&self) -> Option<Handover> {
        Handover::decode(&self.retained)
    }
}

fn open_journal() -> Journal {
    Journal::new(product().layout.journal, product().layout.digest)
}

impl Board for Bench {
    type JournalFlash = JournalFlash;
    type SlotFlash = SlotFlash;
    type Watchdog = Fed;

    fn journal_flash(&mut self) -> (&mut JournalFlash, &mut Fed) {
        (&mut self.journal, &mut self.watchdog)
    }

    fn slot_flash(&mut self, _: Slot) -> (&mut SlotFlash, &mut Fed) {
        (&mut self.slots, &mut self.watchdog)
    }

    fn reset_reason(&mut self) -> Option<ResetReason> {
        self.reset
    }

    fn load_handover(&mut self) -> [u8; HANDOVER_LEN] {
        self.retained
    }

    fn store_handover(&mut self, block: &[u8; HANDOVER_LEN]) {
        self.retained = *block;
        self.stored.extend(Handover::decode(block));
    }

    fn fused_floor(&mut self) -> u32 {
        self.fuses.floor
    }

    fn recover(&mut self) {}

    fn jump(self, _: Verified, _: bool) -> ! {
        panic!("tests look at what would be jumped to");
    }
}
