//! What a state is remembered by: all that decides what happens next, and nothing that is only counted.

use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;

use bistable_core::handover::Handover;
use foldhash::fast::FixedState;

use super::ledger::{self, Given};
use super::shape::Shape;
use super::state::{Ghost, State};
use super::truth::Truth;
use super::world::World;

/// What a state is remembered by.
pub(super) fn key_of(world: &World, state: &State, relative: bool) -> u128 {
    let mut words = Vec::with_capacity(96);
    for (truth, shape) in state.truths.iter().zip(&world.shapes) {
        truth.fingerprint(shape, relative, &mut words);
    }
    ledger::fingerprint(world, state, &mut words);
    let mut lanes = [1, 2].map(|seed| FixedState::with_seed(seed).build_hasher());
    let retained = state.retained.as_deref().and_then(Handover::decode);
    // What is only counted, and decides nothing.
    let retained = retained.map(|handover| Handover {
        resets: 0,
        abnormal: handover.abnormal.min(world.bootloader.crash_loop),
        last_words: 0,
        ..handover
    });
    let retained = retained.map(|handover| handover.encode());
    for lane in &mut lanes {
        words.hash(lane);
        retained.hash(lane);
        (state.flipped, state.spoilt, state.fused, state.abnormal).hash(lane);
        (state.given == Given::Unknown).hash(lane);
        match &state.ghost {
            Ghost::Unknown => 0_u8.hash(lane),
            Ghost::Known { state, pending } => {
                1_u8.hash(lane);
                state.hash.hash(lane);
                pending.as_ref().map(|known| known.hash).hash(lane);
            }
        }
    }
    let [low, high] = lanes.map(|lane| lane.finish());
    u128::from(high) << 64 | u128::from(low)
}

impl Truth {
    /// What tells this truth from others. In the journal, of sequence numbers only their order counts, and
    /// distances below the number of sectors: code compares them and adds one to the highest that it can read,
    /// which may be just what a copy has that it cannot read.
    pub fn fingerprint(&self, shape: &Shape, relative: bool, words: &mut Vec<u64>) {
        let in_journal = self.ranks(shape, &shape.journal, relative);
        let ledger = shape.ledger.as_ref().map(|(place, _)| place);
        let in_ledger = ledger.map(|place| (place, self.ranks(shape, place, relative)));
        for cell in self.cells() {
            let (sequences, ranks) = match &in_ledger {
                Some((place, ranks)) if place.contains(&cell.at) => ranks,
                _ => &in_journal,
            };
            let rank = cell.content.sequence.map_or(0, |sequence| {
                let place = sequences.binary_search(&sequence);
                place.map_or(0, |place| ranks[place])
            });
            words.push(u64::from(cell.at) << 34 | (cell.state as u64) << 32 | u64::from(rank));
            words.push(cell.content.hash);
        }
        words.push(u64::MAX);
        words.push(self.unerased as u64);
        words.push((self.unerased >> 64) as u64);
    }

    /// The sequence numbers in one journal, and what they count as.
    fn ranks(&self, shape: &Shape, place: &Range<u32>, relative: bool) -> (Vec<u32>, Vec<u32>) {
        let cells = self.cells_in(place).iter();
        let mut sequences: Vec<u32> = cells.filter_map(|cell| cell.content.sequence).collect();
        sequences.sort_unstable();
        sequences.dedup();
        let ranks = if relative {
            let sectors = place.len() as u32 / shape.journal_sector;
            closed_up(&sequences, sectors.saturating_sub(1))
        } else {
            sequences.clone()
        };
        (sequences, ranks)
    }
}

/// As many numbers, rising from 1 on, each at most `farthest` above the one before it.
fn closed_up(rising: &[u32], farthest: u32) -> Vec<u32> {
    let (mut before, mut rank) = (None, 1);
    let ranks = rising.iter().map(|number| {
        let distance = before.replace(number).map_or(0, |before| number - before);
        rank += distance.min(farthest);
        rank
    });
    ranks.collect()
}

#[cfg(test)]
mod tests {
    use bistable_core::layout::Slot;
    use bistable_core::snapshot::encode;
    use bistable_core::state::Snapshot;

    use super::*;
    use crate::explorer::truth::Outcome;
    use crate::states::image;

    fn copy(sequence: u32, floor: u32) -> Vec<u8> {
        let snapshot = Snapshot::with_confirmed(Slot::A, image(1), floor);
        encode(&snapshot, sequence, Shape::example().layout).to_vec()
    }

    #[test]
    fn states_differ_in_the_order_of_sequence_numbers_and_not_in_their_height() {
        let key = |first: &[u8], second: &[u8], outcome| {
            let mut truth = Truth::default();
            for (at, bytes) in [(0, first), (2048, second)] {
                let content = Shape::example().content(at, bytes);
                truth.program(&Shape::example(), at, &content, outcome);
            }
            let mut words = Vec::new();
            truth.fingerprint(&Shape::example(), true, &mut words);
            words
        };
        let low = key(&copy(1, 0), &copy(2, 0), Outcome::After);
        assert_eq!(low, key(&copy(71, 0), &copy(72, 0), Outcome::After));
        assert_ne!(low, key(&copy(2, 0), &copy(1, 0), Outcome::After));
        assert_ne!(low, key(&copy(1, 0), &copy(2, 9), Outcome::After));
        assert_ne!(low, key(&copy(1, 0), &copy(2, 0), Outcome::Unstable));
        // Garbage has no number that anything could read.
        let garbage = key(&copy(1, 0), &copy(2, 0), Outcome::Garbage);
        assert_eq!(garbage, key(&copy(9, 0), &copy(4, 0), Outcome::Garbage));
    }
}
