//! What happens between reset and jump.

use bistable_core::admit::Terms;
use bistable_core::choose::{Against, Candidate, Found, Role, choose, rebuild, settle};
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
        if let Some(ready) = prepare(&mut board, product) {
            board.protect(ready.image.slot());
            board.jump(ready.image);
        }
        warning!("nothing verifies: recovery");
        board.recover();
    }
}

/// All that comes before the jump. `None`: nothing verifies.
pub fn prepare<B: Board>(board: &mut B, product: &Product<'_>) -> Option<Ready> {
    board.slot_flash(Slot::A).1.feed();
    let last = Handover::decode(&board.load_handover());
    let reset = reset_reason(board.reset_reason(), last.as_ref().map(Handover::retained));
    let handover = Handover {
        bootloader: product.version,
        ..Handover::after_reset(last, reset)
    };
    info!("bootloader {}, reset: {}", product.version, reset);
    let mut boot = Boot {
        board,
        product,
        failed_by_reset: handover.failed_by_reset(),
        handover,
        journal: Journal::new(product.layout.journal, product.layout.digest),
    };
    boot.keep_handover();
    let ready = boot.run()?;
    info!(
        "starting {} in slot {} as {}",
        ready.image.digest(),
        ready.image.slot(),
        ready.role
    );
    Some(ready)
}

struct Boot<'b, B> {
    board: &'b mut B,
    product: &'b Product<'b>,
    handover: Handover,
    /// The slot whose verification ended in a reset twice in a row.
    failed_by_reset: Option<Slot>,
    journal: Journal,
}

impl<B: Board> Boot<'_, B> {
    /// Opens the journal and boots what it says. A write that fails is followed by another look at
    /// the journal; when it fails again, nothing is recorded in this boot and no trial is started.
    fn run(&mut self) -> Option<Ready> {
        let mut may_record = true;
        loop {
            let (flash, watchdog) = self.board.journal_flash();
            let opened = self.journal.open(flash, watchdog);
            let (snapshot, health) = match opened {
                Opened::Sound {
                    snapshot,
                    rewrites: 0,
                } => (snapshot, JournalHealth::Whole),
                Opened::Sound { snapshot, .. } => (snapshot, JournalHealth::Healed),
                Opened::GaveUp(snapshot) => {
                    may_record = false;
                    (snapshot, JournalHealth::WornOut)
                }
                Opened::Lost => return self.run_without_journal(),
            };
            self.handover.journal = self.handover.journal.max(health);
            info!("journal: {}", self.handover.journal);
            let (image, candidate, after) = self.select(&snapshot, !may_record)?;
            let snapshot = match after {
                Some(after) if may_record => {
                    let (flash, watchdog) = self.board.journal_flash();
                    if self.journal.write(flash, watchdog, &after).is_err() {
                        warning!("the journal could not be written");
                        may_record = false;
                        continue;
                    }
                    after
                }
                _ => snapshot,
            };
            return Some(self.hand_over(image, candidate.role, snapshot));
        }
    }

    /// The journal says nothing: whatever is acceptable makes the state.
    fn run_without_journal(&mut self) -> Option<Ready> {
        warning!("the journal is lost");
        self.handover.journal = JournalHealth::Rebuilt;
        let layout = self.product.layout;
        let terms = Terms {
            layout,
            bootloader: self.product.version,
            floor: layout.factory_floor,
            schema: None,
        };
        let images = Slot::BOTH.map(|slot| self.verify(slot, None, Revoked::default(), terms).ok());
        let found = images.map(|image| image.as_ref().map(Found::new));
        let snapshot = rebuild(found, layout.factory_floor)?;
        let (flash, watchdog) = self.board.journal_flash();
        if self.journal.format(flash, watchdog, &snapshot).is_ok() {
            return self.run();
        }
        warning!("the journal could not be formatted");
        self.handover.journal = JournalHealth::WornOut;
        let image = (*snapshot.active.of(&images))?;
        Some(self.hand_over(image, Role::Active, snapshot))
    }

    /// Chooses and verifies until a candidate holds, and says what is to be recorded for it.
    fn select(
        &mut self,
        snapshot: &Snapshot,
        no_trials: bool,
    ) -> Option<(Verified, Candidate, Option<Snapshot>)> {
        let mut against = Against {
            trials: no_trials,
            ..Against::default()
        };
        if let Some(slot) = self.failed_by_reset {
            self.refused(slot, Refusal::ResetWhileVerifying);
            against = against.with_failed(slot);
        }
        let terms = Terms::new(self.product.layout, self.product.version, snapshot);
        loop {
            let candidate = choose(snapshot, self.handover.reset, against)?;
            let digest = Some(candidate.image.digest);
            self.note(Some(candidate.slot));
            let verdict = self
                .verify(candidate.slot, digest, snapshot.revoked, terms)
                .or_else(|_| self.verify(candidate.slot, digest, snapshot.revoked, terms));
            self.note(None);
            match verdict {
                Ok(image) => {
                    let after = settle(snapshot, against, candidate);
                    return Some((image, candidate, after));
                }
                Err(refusal) => {
                    self.refused(candidate.slot, refusal);
                    against = against.with_failed(candidate.slot);
                }
            }
        }
    }

    fn verify(
        &mut self,
        slot: Slot,
        expected: Option<Digest>,
        revoked: Revoked,
        terms: Terms<'_>,
    ) -> Result<Verified, Refusal> {
        let rules = Rules {
            ring: self.product.ring,
            revoked,
            terms,
            entry: self.product.entry,
        };
        let (flash, watchdog) = self.board.slot_flash(slot);
        verify(flash, slot, expected, &rules, watchdog)
    }

    /// Remembers across a reset that verification of this slot has begun, or that it has ended.
    fn note(&mut self, slot: Option<Slot>) {
        if self.handover.note != slot {
            self.handover.note_resets = 0;
        }
        self.handover.note = slot;
        self.keep_handover();
    }

    fn refused(&mut self, slot: Slot, refusal: Refusal) {
        warning!("slot {} refused: {}", slot, refusal);
        self.handover.refused = Some((slot, refusal));
    }

    fn keep_handover(&mut self) {
        self.board.store_handover(&self.handover.encode());
    }

    fn hand_over(&mut self, image: Verified, role: Role, snapshot: Snapshot) -> Ready {
        let (attempts, power) = match snapshot.slot(image.slot()) {
            SlotState::Trial(_, budget) => (budget.attempts, budget.power),
            _ => (0, 0),
        };
        self.handover.running = Some(image.slot());
        self.handover.standing = match role {
            Role::Trial(_) | Role::LastResort => Standing::Trial,
            Role::Active | Role::Other => Standing::Confirmed,
        };
        self.handover.attempts = attempts;
        self.handover.power = power;
        self.handover.digest = image.digest();
        self.keep_handover();
        Ready {
            image,
            role,
            snapshot,
            handover: self.handover,
        }
    }
}
