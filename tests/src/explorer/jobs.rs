//! What is explored: geometries, scenarios, and which of them together.

use super::scenario::{Erases, Flips, Geometry, Job, Lives, Nature, Offer, Scenario, Start};

const SMALL: Geometry = Geometry {
    name: "w1",
    write: 1,
    journal_erase: 2048,
    slot_erase: 2048,
    journal_sectors: 2,
    journal_sector: 2048,
    shared: false,
    slot: 4096,
    payload_offset: 1024,
    chunk: 1024,
    payload: 2 * 1024 + 352,
};

/// Geometries small enough to be explored to the end: three chunks and two sectors in each slot.
pub const GEOMETRIES: [Geometry; 8] = [
    SMALL,
    Geometry {
        name: "w4-shared",
        write: 4,
        shared: true,
        ..SMALL
    },
    Geometry {
        name: "w4-256",
        write: 4,
        journal_erase: 256,
        slot_erase: 256,
        journal_sector: 1792,
        shared: true,
        ..SMALL
    },
    Geometry {
        name: "w8",
        write: 8,
        ..SMALL
    },
    Geometry {
        name: "w8-n3",
        write: 8,
        journal_sectors: 3,
        ..SMALL
    },
    Geometry {
        name: "w8-n4",
        write: 8,
        journal_sectors: 4,
        ..SMALL
    },
    Geometry {
        name: "w16",
        write: 16,
        shared: true,
        ..SMALL
    },
    Geometry {
        name: "w32-4k",
        write: 32,
        journal_erase: 4096,
        slot_erase: 4096,
        journal_sector: 4096,
        slot: 8192,
        chunk: 2048,
        payload_offset: 2048,
        payload: 2 * 2048 + 352,
        ..SMALL
    },
];

/// Geometries as chips have them, too large to be explored to the end.
pub const REALISTIC: [Geometry; 3] = [
    Geometry {
        name: "w4-4k-12-chunks",
        write: 4,
        journal_erase: 4096,
        slot_erase: 4096,
        journal_sectors: 3,
        journal_sector: 4096,
        shared: true,
        slot: 64 * 1024,
        payload_offset: 4096,
        chunk: 4096,
        payload: 11 * 4096 + 352,
    },
    Geometry {
        name: "w8-2k-13-chunks",
        write: 8,
        journal_sectors: 4,
        slot: 32 * 1024,
        payload_offset: 2048,
        chunk: 2048,
        payload: 12 * 2048 + 352,
        ..SMALL
    },
    Geometry {
        name: "w32-128k-34-chunks",
        write: 32,
        slot_erase: 128 * 1024,
        slot: 256 * 1024,
        payload_offset: 4096,
        chunk: 4096,
        payload: 33 * 4096 + 352,
        ..SMALL
    },
];

const UPDATE: Scenario = Scenario {
    name: "update",
    about: "an image is offered, installed, tried and confirmed",
    start: Start::Factory,
    natures: &[Nature::Healthy],
    offers: &[Offer::Whole(1)],
    goal: Some(1),
    lives: Lives::Confirmed,
    resets: false,
    flips: Flips::Never,
    crashes: false,
    fuses: false,
    receipts: false,
    failures: 0,
    dead: None,
};

/// The stories.
pub const SCENARIOS: [Scenario; 42] = [
    UPDATE,
    Scenario {
        name: "moods",
        about: "an image fails its trial or not; it is offered again, and a newer one",
        natures: &[Nature::Moody, Nature::Healthy],
        offers: &[Offer::Whole(1), Offer::Whole(2)],
        goal: Some(2),
        ..UPDATE
    },
    Scenario {
        name: "sick",
        about: "an image that raises the floor fails its trial, and is offered again",
        natures: &[Nature::Silent, Nature::Sick],
        offers: &[Offer::Whole(2)],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "silent",
        about: "an image uses up both of its budgets",
        natures: &[Nature::Silent],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "newer-meanwhile",
        about: "a newer image is offered while one is being installed, or the same again",
        natures: &[Nature::Healthy, Nature::Healthy],
        offers: &[
            Offer::Whole(2),
            Offer::PartThen(1, 2, 2),
            Offer::PartThen(1, 3, 1),
            Offer::Whole(1),
        ],
        goal: Some(2),
        ..UPDATE
    },
    Scenario {
        name: "give-up",
        about: "a confirmed image gives itself up for the other one",
        start: Start::Updated,
        offers: &[Offer::GiveUp],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "revert",
        about: "the write that records a revert is cut",
        start: Start::UsedUp,
        offers: &[],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "blank",
        about: "the journal is formatted for the first time",
        start: Start::Blank,
        ..UPDATE
    },
    Scenario {
        name: "lost",
        about: "the journal is garbage, and both slots hold an image",
        start: Start::BothAndGarbage,
        ..UPDATE
    },
    Scenario {
        name: "lost-blank",
        about: "the journal is blank, and both slots hold an image",
        start: Start::BothAndBlank,
        ..UPDATE
    },
    Scenario {
        name: "flips",
        about: "a bit of the journal flips between two boots that act",
        flips: Flips::InJournal,
        ..UPDATE
    },
    Scenario {
        name: "spoilt-slot",
        about: "a bit of an image flips, whichever it is and whenever",
        start: Start::Waiting,
        offers: &[Offer::GiveUp],
        goal: None,
        lives: Lives::Somehow,
        flips: Flips::InOneSlot,
        ..UPDATE
    },
    Scenario {
        name: "resets",
        about: "the watchdog bites at any operation or within it, and RAM is kept",
        resets: true,
        ..UPDATE
    },
    Scenario {
        name: "revert-resets",
        about: "the same, while a revert is recorded",
        start: Start::UsedUp,
        offers: &[],
        goal: None,
        resets: true,
        ..UPDATE
    },
    Scenario {
        name: "crash-loop",
        about: "confirmed images crash or not, and live through a soak or not; either is what the other falls back to",
        start: Start::Updated,
        offers: &[],
        goal: None,
        crashes: true,
        ..UPDATE
    },
    Scenario {
        name: "crash-loop-update",
        about: "the same, while an update is offered",
        start: Start::Updated,
        natures: &[Nature::Healthy, Nature::Healthy],
        offers: &[Offer::Whole(2)],
        goal: None,
        crashes: true,
        ..UPDATE
    },
    Scenario {
        name: "crash-beside-broken",
        about: "the confirmed image crashes, and the other one has lost bits",
        start: Start::OtherBroken,
        offers: &[],
        goal: None,
        crashes: true,
        ..UPDATE
    },
    Scenario {
        name: "fuses",
        about: "images that raise the floor, with fuses that mirror it",
        natures: &[Nature::Healthy, Nature::Moody],
        offers: &[Offer::Whole(1), Offer::Whole(2)],
        goal: None,
        fuses: true,
        ..UPDATE
    },
    Scenario {
        name: "fuses-alone",
        about: "the journal is garbage, and the fuses hold a floor that one of two images does not reach",
        start: Start::BothAndGarbage,
        offers: &[],
        goal: None,
        fuses: true,
        ..UPDATE
    },
    Scenario {
        name: "crash-of-the-other",
        about: "the active image has lost bits, and the one that runs instead crashes",
        start: Start::ActiveBroken,
        offers: &[],
        goal: None,
        lives: Lives::Somehow,
        crashes: true,
        ..UPDATE
    },
    Scenario {
        name: "migration-on-trial",
        about: "an image on trial wants to migrate the data, which the confirmed one could not read",
        start: Start::Waiting,
        natures: &[Nature::Moody],
        offers: &[Offer::Migrate],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "migration",
        about: "a confirmed image migrates the application's data, and may give itself up",
        start: Start::Updated,
        offers: &[Offer::Migrate, Offer::GiveUp],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "cut-off",
        about: "an image reaches its update source or not, and is offered again",
        natures: &[Nature::CutOff],
        ..UPDATE
    },
    Scenario {
        name: "failures",
        about: "an operation reports failure",
        failures: 1,
        ..UPDATE
    },
    Scenario {
        name: "dead-journal",
        about: "a journal sector can be neither erased nor programmed",
        dead: Some((0, false)),
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "dead-slot",
        about: "a sector of the slot that is written can be neither erased nor programmed",
        dead: Some((103, true)),
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "broken-active",
        about: "the active image has lost bits, and the other one is confirmed, too",
        start: Start::ActiveBroken,
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "dead-journal-trial",
        about: "an image waits for its trial, and a journal sector is dead",
        start: Start::Waiting,
        natures: &[Nature::Silent],
        offers: &[],
        dead: Some((0, false)),
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "dead-journal-broken",
        about: "the same, and the confirmed image has lost bits",
        start: Start::WaitingBesideBroken,
        natures: &[Nature::Silent],
        offers: &[],
        dead: Some((0, false)),
        goal: None,
        lives: Lives::Somehow,
        ..UPDATE
    },
    Scenario {
        name: "dead-journal-lost",
        about: "the journal is garbage, and one of its sectors is dead",
        start: Start::BothAndGarbage,
        natures: &[Nature::Silent],
        offers: &[],
        dead: Some((0, false)),
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "lost-sector-trial",
        about: "the same, and the dead sector lost what it held",
        start: Start::Waiting,
        natures: &[Nature::Silent],
        offers: &[],
        dead: Some((1, true)),
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "waiting",
        about: "an image waits for its trial, and says nothing in it",
        start: Start::Waiting,
        natures: &[Nature::Silent],
        offers: &[],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "waiting-broken",
        about: "an image that waits for its trial has lost bits, and is offered again",
        start: Start::WaitingBroken,
        ..UPDATE
    },
    Scenario {
        name: "waiting-beside-broken",
        about: "an image that waits for its trial is sick, and the confirmed one has lost bits",
        start: Start::WaitingBesideBroken,
        natures: &[Nature::Sick],
        offers: &[],
        goal: None,
        lives: Lives::Somehow,
        ..UPDATE
    },
    Scenario {
        name: "broken-other",
        about: "the confirmed image that does not run has lost bits, and is offered again",
        start: Start::OtherBroken,
        ..UPDATE
    },
    Scenario {
        name: "headless",
        about: "a download whose header has lost bits is resumed",
        start: Start::Headless,
        ..UPDATE
    },
    Scenario {
        name: "too-old",
        about: "the active image has lost bits, and the other one is below the floor",
        start: Start::OtherTooOld,
        offers: &[],
        goal: None,
        lives: Lives::Perhaps,
        ..UPDATE
    },
    Scenario {
        name: "revoked",
        about: "the key that signed both images is revoked",
        start: Start::SignerRevoked,
        offers: &[],
        goal: None,
        lives: Lives::Perhaps,
        ..UPDATE
    },
    Scenario {
        name: "forged",
        about: "the journal is lost, and one of two images has a forged signature",
        start: Start::ForgedAndBlank,
        offers: &[],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "receipts",
        about: "a confirmed image makes receipts, none to two in a boot, from the first one on",
        offers: &[],
        goal: None,
        receipts: true,
        ..UPDATE
    },
    Scenario {
        name: "receipts-update",
        about: "the same, while an image is offered, installed, tried and confirmed",
        receipts: true,
        ..UPDATE
    },
    Scenario {
        name: "receipts-failures",
        about: "receipts, and an operation of the ledger reports failure",
        offers: &[],
        goal: None,
        receipts: true,
        failures: 1,
        ..UPDATE
    },
];

/// What has failed in the field elsewhere, each as a story of ours. They share one flash with the journal right
/// behind slot B, which the image fills to its last sector.
pub const FIELD: [Scenario; 5] = [
    Scenario {
        name: "mcuboot-1966",
        about: "the power is lost while a revert is recorded",
        start: Start::UsedUp,
        offers: &[],
        goal: None,
        ..UPDATE
    },
    Scenario {
        name: "mcuboot-2217",
        about: "an erase is cut while an installation goes on from what lies there",
        start: Start::HalfReceived,
        ..UPDATE
    },
    Scenario {
        name: "zephyr-33140",
        about: "words that were torn fault on every read: a copy in the journal, and the empty slot's header",
        start: Start::WordsUnreadable,
        ..UPDATE
    },
    Scenario {
        name: "wolfboot-f-7987",
        about: "operations of the flash report failure, and nobody goes on as if they had not",
        failures: 2,
        ..UPDATE
    },
    Scenario {
        name: "wolfboot-453",
        about: "the last sector of a slot is erased, and what lies behind it serves another purpose",
        natures: &[Nature::Healthy, Nature::Healthy],
        offers: &[Offer::Whole(1), Offer::Whole(2)],
        goal: Some(2),
        ..UPDATE
    },
];

/// The job with this name.
#[must_use]
pub fn job(name: &str) -> Option<Job> {
    let mut parts = name.split('/');
    let (geometry, scenario) = (parts.next()?, parts.next()?);
    let (mut erases, mut beyond) = (Erases::ComeAndGo, false);
    for part in parts {
        match part {
            "old-or-none" => erases = Erases::OldOrNone,
            "beyond" => beyond = true,
            _ => return None,
        }
    }
    let job = named(geometry, scenario, erases)?;
    Some(Job { beyond, ..job })
}

/// The job with this geometry and this scenario.
pub(super) fn named(geometry: &str, scenario: &str, erases: Erases) -> Option<Job> {
    let mut geometries = GEOMETRIES.iter().chain(&REALISTIC);
    let mut scenarios = SCENARIOS.iter().chain(&FIELD);
    Some(Job {
        geometry: *geometries.find(|known| known.name == geometry)?,
        scenario: *scenarios.find(|known| known.name == scenario)?,
        erases,
        beyond: false,
    })
}
