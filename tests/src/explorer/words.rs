//! States, boots and operations in few words, for people.

use bistable_core::journal::COPIES;
use bistable_core::layout::Slot;
use bistable_core::ledger::RECORD_LEN;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::{SlotState, Snapshot};

use super::boot::Run;
use super::point::{Operation, Point};
use super::scenario::Flip;
use super::state::State;
use super::truth::CellState;
use super::world::World;

/// A snapshot in few words.
pub(super) fn brief(world: &World, state: &Snapshot) -> String {
    let name = |digest| {
        let mut images = world.images.iter();
        let image = images.position(|image| image.manifest.digest() == digest);
        image.map_or("nameless".to_owned(), |image| image.to_string())
    };
    let slot = |slot: Slot| match state.slot(slot) {
        SlotState::Empty => "empty".to_owned(),
        SlotState::Receiving(image) => format!("receiving {}", name(image.digest)),
        SlotState::Trial(image, budget) => format!(
            "trial {} ({}+{} left{})",
            name(image.digest),
            budget.attempts,
            budget.power,
            if budget.booted { "" } else { ", new" }
        ),
        SlotState::Confirmed(image) => format!("confirmed {}", name(image.digest)),
        SlotState::Rejected(image, reason) => {
            format!("rejected {} ({reason:?})", name(image.digest))
        }
    };
    let rejected = state.rejected.iter().flatten().count();
    format!(
        "[A {}, B {}, active {:?}, floor {}, {rejected} rejected]",
        slot(Slot::A),
        slot(Slot::B),
        state.active,
        state.floor
    )
}

/// What a boot did, if it got to act before it was cut.
pub(super) fn told(world: &World, run: &Run, acted: bool) -> String {
    if !acted {
        return "heals".to_owned();
    }
    let acted_upon = match &run.story.acted_upon {
        Some(state) => brief(world, state),
        None => "nothing".to_owned(),
    };
    let started = match run.story.started {
        Some((image, slot, role)) => format!("image {image} in {slot:?} as {role:?}"),
        None => "nothing".to_owned(),
    };
    format!(
        "acts upon {acted_upon}; starts {started}; {}",
        run.story.did
    )
}

/// Where a bit flips.
pub(super) fn flip_of(flip: Flip) -> String {
    match flip {
        Flip::Journal(sector) => format!("a bit flips in sector {sector} of the journal"),
        Flip::Header(slot) => format!("a bit flips in the header in slot {slot:?}"),
        Flip::Payload(slot) => format!("a bit flips in the last chunk in slot {slot:?}"),
    }
}

/// What was going on at a point.
pub(super) fn operation_of(world: &World, point: &Point) -> String {
    let place = |flash: usize, at: u32| {
        let layout = world.layout;
        let journal = &world.shapes[flash].journal;
        if journal.contains(&at) {
            let sector = (at - journal.start) / layout.journal.sector_size;
            let copy = (at - journal.start) % layout.journal.sector_size / SNAPSHOT_LEN as u32;
            return format!("journal sector {sector}, copy {} of {COPIES}", copy + 1);
        }
        if let Some((ledger, _)) = &world.shapes[flash].ledger
            && ledger.contains(&at)
        {
            let sector = (at - ledger.start) / layout.journal.sector_size;
            let copy = (at - ledger.start) % layout.journal.sector_size / RECORD_LEN as u32;
            return format!("ledger sector {sector}, copy {} of {COPIES}", copy + 1);
        }
        match at / layout.slot_size {
            0 => format!("slot A, {at:#x}"),
            _ => format!("slot B, {:#x}", at % layout.slot_size),
        }
    };
    match &point.operation {
        Operation::Erase { flash, at } => format!("erasing {}", place(*flash, *at)),
        Operation::Program { flash, at, content } => format!(
            "programming {} bytes at {}",
            content.bytes.len(),
            place(*flash, *at)
        ),
        Operation::Fuse { floor } => format!("blowing fuses to {floor}"),
        Operation::Store => "the handover was stored".to_owned(),
    }
}

/// The journal's sectors in few words: of each copy its sequence number, `?` if it comes and goes, `x` if it is
/// garbage, `!` if it cannot be read.
pub(super) fn journal_of(world: &World, state: &State) -> String {
    let shape = &world.shapes[world.journal_flash];
    let truth = &state.truths[world.journal_flash];
    let sectors = (0..world.layout.journal.sectors).map(|sector| {
        let sector = shape.journal_sector(sector.into());
        let cells = truth.cells().iter();
        let cells = cells.filter(|cell| sector.contains(&cell.at));
        let copies = cells.map(|cell| {
            let bytes = <&[u8; SNAPSHOT_LEN]>::try_from(&*cell.content.bytes);
            let sequence = bytes
                .ok()
                .filter(|copy| snapshot::is_valid(copy, world.layout.digest))
                .map(snapshot::sequence);
            copy_of(sequence, cell.state)
        });
        format!("({})", copies.collect::<Vec<_>>().join(" "))
    });
    sectors.collect::<Vec<_>>().join(" ")
}

/// A copy by its number.
pub(super) fn copy_of(number: Option<u32>, state: CellState) -> String {
    match (number, state) {
        (_, CellState::Fails) => "!".to_owned(),
        (None, _) => "x".to_owned(),
        (Some(number), CellState::Stable) => number.to_string(),
        (Some(number), CellState::Unstable) => format!("{number}?"),
    }
}
