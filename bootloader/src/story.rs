//! What happens between reset and jump.

use bistable_core::admit::Terms;
use bistable_core::choose::{Against, Candidate, Found, Role, choose, rebuild, settle_in_place};
use bistable_core::digest::Digest;
use bistable_core::handover::{Handover, JournalHealth, Standing};
use bistable_core::journal::{Journal, Opened};
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::reset::reset_reason;
use bistable_core::state::{SlotState, Snapshot};
use bistable_core::verify::{Rules, Verified, verify};
use bistable_core::watchdog::Watchdog as _;

use crate::board::{Board, Product};
use crate::log::{info, warning};

/// What is about to boot: verified, recorded and handed over.
pub struct Ready {
    /// The image.
    pub image: Verified,
    /// As what it boots.
    pub role: Role,
    /// The state that the journal holds now.
    pub snapshot: Snapshot,
    /// What the application is told.
    pub handover: Handover,
}

/// Boots, and never returns: if nothing verifies, the board's recovery is asked, again and again.
pub fn boot<B: Board>(mut board: B, product: &Product<'_>) -> ! {
    loop {
        board = try_to_boot(board, product);
        warning!("nothing verifies: recovery");
        board.recover();
    }
}

/// Returns if nothing verifies.
#[inline(never)] // in the loop above, addresses in its frame would be computed ahead, some 200 bytes of text
fn try_to_boot<B: Board>(mut board: B, product: &Product<'_>) -> B {
    if let Some(ready) = prepare(&mut board, product) {
        board.protect(ready.image.slot());
        board.jump(ready.image);
    }
    board
}

/// All that comes before the jump. `None`: nothing verifies.
pub fn prepare<B: Board>(board: &mut B, product: &Product<'_>) -> Option<Ready> {
    board.slot_flash(Slot::A).1.feed();
    let last = Handover::decode(&board.load_handover());
    let reset = reset_reason(board.reset_reason(), last.as_ref().map(Handover::retained));
    let mut handover = Handover {
        bootloader: product.version,
        ..Handover::after_reset(last, reset)
    };
    let failed_by_reset = handover.failed_by_reset();
    if failed_by_reset.is_some() {
        handover.note = None; // it counts once: where nothing else verifies, this is tried again
    }
    info!("bootloader {}, reset: {}", product.version, reset);
    let mut boot = Boot {
        board,
        product,
        failed_by_reset,
        handover,
        journal: Journal::new(product.layout.journal, product.layout.digest),
    };
    boot.keep_handover();
    let (image, role, snapshot) = boot.run()?;
    boot.hand_over(&image, role, &snapshot);
    info!(
        "starting {} in slot {} as {}",
        image.digest(),
        image.slot(),
        role
    );
    Some(Ready {
        image,
        role,
        snapshot,
        handover: boot.handover,
    })
}

struct Boot<'b, B> {
    board: &'b mut B,
    product: &'b Product<'b>,
    handover: Handover,
    /// The slot whose verification ended in a reset twice in a row.
    failed_by_reset: Option<Slot>,
    journal: Journal,
}

impl<'b, B: Board> Boot<'b, B> {
    /// Opens the journal and finds what to boot by it: the image, as what, and the state that is recorded
    /// now. A write that fails is followed by another look at the journal, and nothing more is recorded in
    /// this boot: no trial is started.
    fn run(&mut self) -> Option<(Verified, Role, Snapshot)> {
        loop {
            let (flash, watchdog) = self.board.journal_flash();
            let opened = self.journal.open(flash, watchdog);
            let (mut snapshot, health) = match &opened {
                Opened::Sound { snapshot, rewrites } => (
                    *snapshot,
                    match rewrites {
                        0 => JournalHealth::Whole,
                        _ => JournalHealth::Healed,
                    },
                ),
                Opened::GaveUp(snapshot) => (*snapshot, JournalHealth::WornOut),
                Opened::Lost => self.rebuild()?,
            };
            self.handover.journal = self.handover.journal.max(health);
            let may_record = self.handover.journal != JournalHealth::WornOut;
            info!("journal: {}", self.handover.journal);
            let (image, candidate, against) = self.select(&snapshot, !may_record)?;
            if !may_record || !settle_in_place(&mut snapshot, against, &candidate) {
                return Some((image, candidate.role, snapshot));
            }
            let (flash, watchdog) = self.board.journal_flash();
            if self.journal.write(flash, watchdog, &snapshot).is_ok() {
                return Some((image, candidate.role, snapshot));
            }
            warning!("the journal could not be written");
            self.handover.journal = JournalHealth::WornOut;
        }
    }

    /// The journal says nothing: whatever is acceptable makes the state.
    fn rebuild(&mut self) -> Option<(Snapshot, JournalHealth)> {
        warning!("the journal is lost");
        let layout = self.product.layout;
        let rules = self.rules(Revoked::default(), layout.factory_floor, None);
        let mut found = [None; 2];
        for slot in Slot::BOTH {
            if let Ok(image) = self.verify(slot, None, &rules) {
                *slot.of_mut(&mut found) = Some(Found::new(&image));
            }
        }
        let snapshot = rebuild(found, layout.factory_floor)?;
        let (flash, watchdog) = self.board.journal_flash();
        if self.journal.format(flash, watchdog, &snapshot).is_ok() {
            return Some((snapshot, JournalHealth::Rebuilt));
        }
        warning!("the journal could not be formatted");
        Some((snapshot, JournalHealth::WornOut))
    }

    /// Chooses and verifies until a candidate holds, and says what spoke against others.
    fn select(
        &mut self,
        snapshot: &Snapshot,
        no_trials: bool,
    ) -> Option<(Verified, Candidate, Against)> {
        let mut against = Against {
            trials: no_trials,
            ..Against::default()
        };
        let terms = Terms::new(self.product.layout, self.product.version, snapshot);
        let rules = self.rules(snapshot.revoked, terms.floor, terms.schema);
        loop {
            let candidate = choose(snapshot, self.handover.reset, against)?;
            let expected = Some(candidate.image.digest);
            match self.verify(candidate.slot, expected, &rules) {
                Ok(image) => return Some((image, candidate, against)),
                Err(_) => against = against.with_failed(candidate.slot),
            }
        }
    }

    fn rules(&self, revoked: Revoked, floor: u32, schema: Option<u16>) -> Rules<'b> {
        Rules {
            ring: self.product.ring,
            revoked,
            terms: Terms {
                layout: self.product.layout,
                bootloader: self.product.version,
                floor,
                schema,
            },
            entry: self.product.entry,
        }
    }

    /// Verifies, once more before a failure is believed, with a note of it in the handover.
    fn verify(
        &mut self,
        slot: Slot,
        expected: Option<Digest>,
        rules: &Rules<'_>,
    ) -> Result<Verified, Refusal> {
        self.note(Some(slot));
        let verdict = if self.failed_by_reset == Some(slot) {
            Err(Refusal::ResetWhileVerifying)
        } else {
            self.verify_once(slot, expected, rules)
                .or_else(|_| self.verify_once(slot, expected, rules))
        };
        if let Err(refusal) = verdict {
            warning!("slot {} refused: {}", slot, refusal);
            self.handover.refused = Some((slot, refusal));
        }
        self.note(None);
        verdict
    }

    fn verify_once(
        &mut self,
        slot: Slot,
        expected: Option<Digest>,
        rules: &Rules<'_>,
    ) -> Result<Verified, Refusal> {
        let (flash, watchdog) = self.board.slot_flash(slot);
        verify(flash, slot, expected, rules, watchdog)
    }

    /// Remembers across a reset that verification of this slot has begun, or that it has ended.
    fn note(&mut self, slot: Option<Slot>) {
        if self.handover.note != slot {
            self.handover.note_resets = 0;
        }
        self.handover.note = slot;
        self.keep_handover();
    }

    fn hand_over(&mut self, image: &Verified, role: Role, snapshot: &Snapshot) {
        self.handover.running = Some(image.slot());
        self.handover.standing = match role {
            Role::Trial(_) | Role::LastResort => Standing::Trial,
            Role::Active | Role::Other => Standing::Confirmed,
        };
        (self.handover.attempts, self.handover.power) = match image.slot().of(&snapshot.slots) {
            SlotState::Trial(_, budget) => (budget.attempts, budget.power),
            _ => (0, 0),
        };
        self.handover.digest = image.digest();
        self.keep_handover();
    }

    fn keep_handover(&mut self) {
        self.board.store_handover(&self.handover.encode());
    }
}
