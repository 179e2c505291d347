//! What happens between reset and jump.

use bistable_core::admit::Terms;
use bistable_core::choose::{Against, Found, Role, choose, rebuild, settle_in_place};
use bistable_core::digest::Digest;
use bistable_core::handover::{Handover, JournalHealth, Standing};
use bistable_core::journal::{Journal, Opened};
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::reset::reset_reason;
use bistable_core::state::Snapshot;
use bistable_core::verify::{Rules, Verified, verify_lent};
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
    /// Whether another image ran last, or nobody knows which.
    pub is_another: bool,
}

/// Boots, and never returns: if nothing verifies, the board's recovery is asked, again and again.
pub fn boot<B: Board>(mut board: B, product: &Product<'_>) -> ! {
    loop {
        if let Some(ready) = prepare(&mut board, product) {
            board.protect(ready.image.slot());
            board.jump(ready.image, ready.is_another);
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
    let mut handover = Handover {
        bootloader: product.version,
        ..Handover::after_reset(last, reset)
    };
    let failed_by_reset = handover.take_failed_by_reset();
    info!("bootloader {}, reset: {}", product.version, reset);
    let terms = Terms::of_the_factory(product.layout, product.version, board.fused_floor());
    let mut boot = Boot {
        board,
        product,
        failed_by_reset,
        handover,
        journal: Journal::new(product.layout.journal, product.layout.digest),
        rules: Rules {
            ring: product.ring,
            revoked: Revoked::default(),
            terms,
            entry: product.entry,
        },
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
    /// What images must agree with: the factory's terms, until the journal says more.
    rules: Rules<'b>,
}

impl<'b, B: Board> Boot<'b, B> {
    /// Finds what to boot by the journal, records it and hands over. A write that fails is followed by
    /// another look at the journal, and nothing more is recorded in this boot: no trial is started.
    fn run(&mut self) -> Option<Ready> {
        loop {
            let mut opened = self.open_journal();
            let (Opened::Sound { snapshot, .. } | Opened::GaveUp(snapshot)) = &mut opened else {
                return None;
            };
            let may_record = self.handover.journal != JournalHealth::WornOut;
            let Some((image, role, against)) = &self.select(snapshot, !may_record) else {
                return None;
            };
            if !may_record || !settle_in_place(snapshot, *against, *role) || self.record(snapshot) {
                let is_another = self.hand_over(image, *role);
                return Some(Ready {
                    image: *image,
                    role: *role,
                    snapshot: *snapshot,
                    handover: self.handover,
                    is_another,
                });
            }
        }
    }

    /// Whether it could be recorded.
    fn record(&mut self, snapshot: &Snapshot) -> bool {
        let (flash, watchdog) = self.board.journal_flash();
        let written = self.journal.write(flash, watchdog, snapshot).is_ok();
        if !written {
            warning!("the journal could not be written");
            self.handover.journal = JournalHealth::WornOut;
        }
        written
    }

    /// What the journal says, or what it is made to say if it is lost.
    fn open_journal(&mut self) -> Opened {
        let (flash, watchdog) = self.board.journal_flash();
        let opened = self.journal.open(flash, watchdog);
        let health = match opened {
            Opened::Sound { rewrites: 0, .. } => JournalHealth::Whole,
            Opened::Sound { .. } => JournalHealth::Healed,
            Opened::GaveUp(_) => JournalHealth::WornOut,
            Opened::Lost => return self.rebuild(),
        };
        self.journal_is(health);
        opened
    }

    /// The journal says nothing: whatever is acceptable makes the state. Lost if nothing is.
    fn rebuild(&mut self) -> Opened {
        warning!("the journal is lost");
        let floor = self.rules.terms.floor;
        let found = [self.find(Slot::A), self.find(Slot::B)];
        let rebuilt = rebuild(found, floor);
        let Some(snapshot) = &rebuilt else {
            return Opened::Lost;
        };
        let (flash, watchdog) = self.board.journal_flash();
        if self.journal.format(flash, watchdog, snapshot).is_ok() {
            self.journal_is(JournalHealth::Rebuilt);
            return Opened::Sound {
                snapshot: *snapshot,
                rewrites: 0,
            };
        }
        warning!("the journal could not be formatted");
        self.journal_is(JournalHealth::WornOut);
        Opened::GaveUp(*snapshot)
    }

    fn find(&mut self, slot: Slot) -> Option<Found> {
        let image = self.verify(slot, None);
        image.as_ref().ok().map(Found::new)
    }

    fn journal_is(&mut self, health: JournalHealth) {
        self.handover.journal = self.handover.journal.max(health);
        info!("journal: {}", self.handover.journal);
    }

    /// Chooses and verifies until a candidate holds, and says what spoke against others.
    fn select(
        &mut self,
        snapshot: &Snapshot,
        no_trials: bool,
    ) -> Option<(Verified, Role, Against)> {
        let crashed = self
            .handover
            .crashes(snapshot.active, self.product.crash_loop);
        let mut against = Against {
            trials: no_trials,
            crashed: crashed && !no_trials,
            ..Against::default()
        };
        self.rules.revoked = snapshot.revoked;
        self.rules.terms.go_by(snapshot);
        loop {
            let candidate = choose(snapshot, self.handover.reset, against)?;
            match self.verify(candidate.slot, Some(candidate.image.digest)) {
                Ok(image) => return Some((image, candidate.role, against)),
                Err(_) => against = against.with_failed(candidate.slot),
            }
        }
    }

    /// Verifies, once more before a failure is believed, with a note of it in the handover.
    fn verify(&mut self, slot: Slot, expected: Option<Digest>) -> Result<Verified, Refusal> {
        self.note(Some(slot));
        let verdict = if self.failed_by_reset == Some(slot) {
            Err(Refusal::ResetWhileVerifying)
        } else {
            self.verify_once(slot, expected)
                .or_else(|_| self.verify_once(slot, expected))
        };
        if let Err(refusal) = verdict {
            warning!("slot {} refused: {}", slot, refusal);
            self.handover.refused = Some((slot, refusal));
        }
        self.note(None);
        verdict
    }

    fn verify_once(&mut self, slot: Slot, expected: Option<Digest>) -> Result<Verified, Refusal> {
        let lent = self.board.lend_slot(slot);
        let (flash, watchdog) = self.board.slot_flash(slot);
        verify_lent(flash, lent, slot, expected, &self.rules, watchdog)
    }

    /// Remembers across a reset that verification of this slot has begun, or that it has ended.
    #[inline(always)] // both calls are smaller without one
    fn note(&mut self, slot: Option<Slot>) {
        if self.handover.note != slot {
            self.handover.note_resets = 0;
        }
        self.handover.note = slot;
        self.keep_handover();
    }

    /// Whether another image ran last.
    fn hand_over(&mut self, image: &Verified, role: Role) -> bool {
        self.handover.running = Some(image.slot());
        self.handover.standing = match role {
            Role::Trial(_) | Role::LastResort => Standing::Trial,
            Role::Active | Role::Other => Standing::Confirmed,
        };
        let is_another = self.handover.digest != image.digest();
        if is_another {
            self.handover.abnormal = 0;
        }
        self.handover.digest = image.digest();
        self.keep_handover();
        is_another
    }

    fn keep_handover(&mut self) {
        self.board.store_handover(&self.handover.encode());
    }
}
