//! What one update costs the flash, of embassy-boot and of Bistable, counted by the same flash.

use bistable_tests::flash::{Counts, Flash};
use bistable_tests::random::Random;
use embassy_boot::State;
use serde::{Deserialize, Serialize};

use crate::bistable;
use crate::life::{PAGE, Partitions, prepare, shared, update, with_updater};

/// Length of the image, in bytes.
pub(crate) const IMAGE: usize = 256 * 1024;

/// Length of a slot, in bytes.
pub(crate) const SLOT: u32 = 512 * 1024;

/// A flash with the write units of an nRF52840 and its pages.
pub(crate) type Chip = Flash<4, { PAGE as usize }>;

/// Erased sectors and programmed bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Erased sectors.
    pub(crate) erases: u64,
    /// Program calls.
    pub(crate) programs: u64,
    /// Bytes that they programmed.
    pub(crate) bytes: u64,
    /// How often the sector was erased that was erased most.
    pub(crate) most_erased: u64,
}

impl Cost {
    /// What was done between two looks.
    pub(crate) fn between(before: &Counts, after: &Counts) -> Self {
        let erases = after.erases.iter().zip(&before.erases);
        let erases: Vec<u64> = erases.map(|(after, before)| after - before).collect();
        Self {
            erases: erases.iter().sum(),
            programs: after.programs - before.programs,
            bytes: after.bytes - before.bytes,
            most_erased: erases.into_iter().max().unwrap_or(0),
        }
    }

    /// On two flashes.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            erases: self.erases + other.erases,
            programs: self.programs + other.programs,
            bytes: self.bytes + other.bytes,
            most_erased: self.most_erased.max(other.most_erased),
        }
    }
}

/// What an update costs somebody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Whom, and with which partitions.
    pub(crate) of: String,
    /// From the first byte of the download until the image is kept for good.
    pub(crate) update: Cost,
    /// From the reset after a failed trial until the old image runs.
    pub(crate) revert: Cost,
}

/// Of everybody.
pub(crate) fn costs() -> Vec<Costs> {
    vec![
        embassy_boot("embassy-boot, ACTIVE of 512 KiB", SLOT / PAGE),
        embassy_boot("embassy-boot, ACTIVE of 256 KiB", IMAGE as u32 / PAGE),
        bistable::costs("Bistable, slots of 512 KiB"),
    ]
}

fn embassy_boot(of: &str, active_pages: u32) -> Costs {
    let parts = Partitions { active_pages };
    let [old, new] = [1, 2].map(|seed| Random::new(seed).bytes(IMAGE));
    let mut chip = Chip::new((parts.end() / PAGE) as usize);
    let active = parts.active_at() as usize;
    chip.put(active, &old);
    let holds = |chip: &Chip, image: &[u8]| chip.bytes()[active..].starts_with(image);

    let flash = shared(chip.clone());
    update(&flash, parts, &new).expect("an update");
    assert_eq!(prepare(&flash, parts), Ok(State::Swap));
    with_updater(&flash, parts, |updater| updater.mark_booted()).expect("it is marked");
    let kept = flash.into_inner().into_inner();
    assert!(holds(&kept, &new), "the new image runs");

    let flash = shared(chip.clone());
    update(&flash, parts, &new).expect("an update");
    assert_eq!(prepare(&flash, parts), Ok(State::Swap));
    let on_trial = flash.into_inner().into_inner();
    let flash = shared(on_trial.clone());
    prepare(&flash, parts).expect("a revert");
    let state = with_updater(&flash, parts, |updater| updater.get_state());
    assert_eq!(state.expect("a state"), State::Revert);
    let reverted = flash.into_inner().into_inner();
    assert!(holds(&reverted, &old), "the old image runs");

    Costs {
        of: of.to_owned(),
        update: Cost::between(&chip.counts, &kept.counts),
        revert: Cost::between(&on_trial.counts, &reverted.counts),
    }
}
