//! What hardware watches while code runs: known-good stays, and what never falls does not.

use bistable_core::journal::COPIES;
use bistable_core::layout::Slot;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{SlotState, Snapshot};

use super::hardware::Hardware;
use super::invariants::{Invariant, Violation};

impl Hardware {
    /// The code says that what it wrote last is durable.
    pub(super) fn reported(&mut self) {
        let Some(after) = self.attempted.take() else {
            return;
        };
        if let Some(before) = self.durable.replace(after.clone())
            && let Some(what) = forgotten(&before.snapshot, &after.snapshot)
        {
            self.violate(Invariant::Monotone, what);
        }
    }

    /// Known-good stays: what the state calls good reads the same at every boot.
    pub(super) fn check_known_good(&mut self) {
        let Some(durable) = self.durable.clone() else {
            return;
        };
        for slot in Slot::BOTH {
            let state = durable.snapshot.slot(slot);
            let (SlotState::Confirmed(_) | SlotState::Trial(..)) = state else {
                continue;
            };
            let flash = &self.flashes[0];
            let whole = self.slot_range(slot);
            let cells = flash.truth.cells().iter().map(|cell| cell.at);
            let last = cells.filter(|at| whole.contains(at)).max();
            let used = whole.start..last.unwrap_or(whole.start) + 1;
            if flash.truth.comes_and_goes(&flash.shape, &used) {
                let what = format!("slot {slot:?} is called {state:?}, and comes and goes");
                self.violate(Invariant::KnownGood, what);
            }
        }
    }

    /// Remembers the first violation.
    pub(super) fn violate(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    /// Known-good stays: what lies in a slot is not touched while the state calls it good.
    pub(super) fn touches(&mut self, flash: usize, at: u32, how: &str) {
        let Some(slot) = self.slot_at(flash, at) else {
            let what = format!("{at:#x}, neither journal nor slot, is {how}");
            return self.violate(Invariant::KnownGood, what);
        };
        let durable = self.durable.as_ref();
        let when = match durable.map(|durable| durable.snapshot.slot(slot)) {
            Some(SlotState::Confirmed(_)) => format!("at {at:#x} while it is Confirmed"),
            Some(SlotState::Trial(..)) => format!("at {at:#x} while it is on Trial"),
            Some(_) => return,
            None => "by the bootloader".to_owned(),
        };
        let what = format!("slot {slot:?} is {how} {when}");
        self.violate(Invariant::KnownGood, what);
    }

    /// The newest snapshot, if all sectors are whole.
    pub(super) fn journal_says(&mut self) -> Option<Snapshot> {
        let flash = &mut self.flashes[self.journal];
        let mut newest = (0, None);
        for sector in 0..self.layout.journal.sectors {
            let sector = flash.shape.journal_sector(sector.into());
            let mut first = None;
            for at in sector.step_by(SNAPSHOT_LEN).take(COPIES.into()) {
                let mut bytes = [0; SNAPSHOT_LEN];
                flash.read(at, &mut bytes, &mut self.choices).ok()?;
                if *first.get_or_insert(bytes) != bytes {
                    return None;
                }
            }
            let first = first?;
            let says = snapshot::decode_valid(&first, self.layout.digest)?;
            if snapshot::sequence(&first) > newest.0 {
                newest = (snapshot::sequence(&first), Some(says));
            }
        }
        newest.1
    }
}

/// What never falls, and did: floor, revocations, rejections.
fn forgotten(before: &Snapshot, after: &Snapshot) -> Option<String> {
    if after.floor < before.floor {
        return Some(format!(
            "the floor falls from {} to {}",
            before.floor, after.floor
        ));
    }
    if before.revoked.union(after.revoked) != after.revoked {
        return Some("a revoked key is trusted again".to_owned());
    }
    let rejected = before.slots.iter().filter_map(|slot| match slot {
        SlotState::Rejected(image, _) => Some((image.digest, image.sequence)),
        _ => None,
    });
    let listed = before.rejected.iter().flatten();
    let mut all = rejected.chain(listed.map(|entry| (entry.digest, entry.sequence)));
    let lost = all.find(|(digest, sequence)| {
        after.rejection(*digest).is_none() && *sequence > after.forgotten
    });
    lost.map(|(digest, _)| format!("the rejection of {digest:?} is forgotten"))
}
