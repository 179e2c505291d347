//! The ledger in a story: receipts that the running application makes, and what must hold of those that it gave out.

use std::collections::BTreeSet;
use std::ops::Range;

use bistable_core::digest::Digest;
use bistable_core::journal::Record as _;
use bistable_core::layout::JournalLayout;
use bistable_core::ledger::{self, Entry};
use bistable_updater::device_key::{DeviceKey, NoSignature};
use bistable_updater::identity::Serial;
use bistable_updater::receipt::Signed;
use bistable_updater::witness::{self, NoReceipt};

use super::hardware::{Failures, Hardware};
use super::invariants::Invariant;
use super::state::State;
use super::world::World;

/// A receipt, for whoever cannot tell its content: a number, its own name, and that of the one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(super) struct Named {
    pub(super) number: u32,
    pub(super) digest: Digest,
    pub(super) previous: Digest,
}

impl Named {
    /// The receipt in a copy of the ledger of `owner`, with the copy's sequence number, if it is valid.
    pub(super) fn in_copy(copy: &[u8], owner: Digest) -> Option<(u32, Self)> {
        let copy = <&ledger::Bytes>::try_from(copy).ok()?;
        let entry = Entry::decode_valid(copy, owner)?;
        let named = Self::of(&Signed::new_checked(entry.receipt()).ok()?.0)?;
        Some((Entry::sequence(copy), named))
    }

    fn of(signed: &Signed) -> Option<Self> {
        let (_, receipt) = Signed::new_checked(signed.as_bytes()).ok()?;
        Some(Self {
            number: receipt.number,
            digest: signed.digest(),
            previous: Digest(receipt.previous),
        })
    }
}

/// What is known from outside of the receipts that were given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Given {
    /// Nothing any more: more cuts fell in a row than the ledger survives for certain.
    Unknown,
    /// None was yet.
    None,
    /// This one, last.
    Last(Named),
}

impl Given {
    /// Whether `next` is the receipt that follows.
    fn is_followed_by(&self, next: &Named) -> bool {
        match self {
            Self::Unknown => true,
            Self::None => (next.number, next.previous) == (1, Digest::NONE),
            Self::Last(last) => (next.number, next.previous) == (last.number + 1, last.digest),
        }
    }
}

/// What a boot does with the ledger.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    /// The ledger, on the journal's flash.
    place: Option<JournalLayout>,
    /// Whether the witness is at work: then it touches the ledger and nothing else, and else nobody does.
    is_open: bool,
    /// Cuts, and failures, since a boot found the ledger whole or made it so.
    pub(super) row: u8,
    /// What was given out last.
    pub(super) given: Given,
    /// Sectors that opening it may heal.
    may_heal: u32,
    erases: u32,
}

impl Desk {
    pub(super) fn new(world: &World, state: &State) -> Self {
        let (shape, truth) = (
            &world.shapes[world.journal_flash],
            &state.truths[world.journal_flash],
        );
        let comes_and_goes = |(place, _): &(Range<u32>, Digest)| truth.comes_and_goes(shape, place);
        let may_heal = state.row > 0 || shape.ledger.as_ref().is_some_and(comes_and_goes);
        Self {
            place: world.ledger,
            is_open: false,
            row: state.row,
            given: state.given,
            may_heal: match world.ledger {
                Some(place) if may_heal => place.sectors.into(),
                _ => 0,
            },
            erases: 0,
        }
    }
}

impl Hardware {
    /// An operation at `at`: whether it is the ledger's.
    pub(super) fn is_in_ledger(&mut self, flash: usize, at: u32) -> bool {
        let ledger = self.flashes[flash].shape.ledger.as_ref();
        let is_there = ledger.is_some_and(|(place, _)| place.contains(&at));
        if is_there != self.desk.is_open {
            let what = match is_there {
                true => format!("the ledger is touched at {at:#x}, and not by the witness"),
                false => format!("the witness touches {at:#x}, which is not the ledger's"),
            };
            self.violate(Invariant::KnownGood, what);
        }
        is_there
    }

    /// An operation of the ledger has failed: as a cut within it, without the reset.
    pub(super) const fn failed_in_ledger(&mut self) {
        if self.desk.is_open {
            self.desk.row = self.desk.row.saturating_add(1);
        }
    }

    /// A sector of the ledger is erased.
    pub(super) const fn erases_in_ledger(&mut self) {
        self.desk.erases += 1;
    }

    /// The witness begins its work.
    pub(super) const fn opens_desk(&mut self) {
        self.desk.is_open = true;
    }

    /// It has ended its work.
    pub(super) const fn closes_desk(&mut self) {
        self.desk.is_open = false;
    }

    /// The ledger was opened, and healed if that was needed.
    pub(super) fn has_opened_ledger(&mut self, is_worn_out: bool) {
        self.is_whole_unless(is_worn_out);
        self.costs(self.desk.may_heal, "to open the ledger");
        self.may_be_worn_out(is_worn_out);
    }

    const fn is_whole_unless(&mut self, is_worn_out: bool) {
        if !is_worn_out {
            self.desk.row = 0;
        }
    }

    /// The witness says which receipts it keeps: they are given out.
    pub(super) fn keeps(&mut self, kept: &[Signed], is_worn_out: bool) {
        self.is_whole_unless(is_worn_out);
        let named: Vec<Named> = kept.iter().filter_map(Named::of).collect();
        let is_chain = named
            .windows(2)
            .all(|pair| Given::Last(pair[0]).is_followed_by(&pair[1]));
        if !is_chain || named.len() != kept.len() {
            let what = format!("what is kept is no chain: {named:?}");
            self.violate(Invariant::Monotone, what);
        }
        match (named.last(), self.desk.given) {
            (Some(newest), given) if given == Given::Last(*newest) => {}
            // One that was cut, and was finished.
            (Some(newest), given) if given.is_followed_by(newest) => {
                self.desk.given = Given::Last(*newest);
            }
            (None, Given::Last(_)) if is_worn_out => {}
            (None, Given::None | Given::Unknown) => {}
            (newest, given) => {
                let what = format!("the ledger ends with {newest:?}, and given out was {given:?}");
                self.violate(Invariant::Monotone, what);
            }
        }
    }

    /// The witness gives a receipt out, or none.
    pub(super) fn gives(&mut self, receipt: Result<&Signed, NoReceipt>) {
        let named = match receipt {
            Ok(signed) => Named::of(signed),
            Err(_) => return self.may_be_worn_out(true),
        };
        let Some(next) = named else {
            return self.violate(Invariant::Monotone, "a receipt is none".to_owned());
        };
        if !self.desk.given.is_followed_by(&next) {
            let what = format!("{next:?} is given out after {:?}", self.desk.given);
            self.violate(Invariant::Monotone, what);
        }
        let sectors = self.desk.place.map_or(0, |place| u32::from(place.sectors));
        let most = match next.number {
            1 => 2 * sectors,
            _ => 1,
        };
        self.costs(most, "for one receipt");
        self.desk.given = Given::Last(next);
    }

    /// So many erases at most, since the last time.
    fn costs(&mut self, most: u32, why: &str) {
        let erases = std::mem::take(&mut self.desk.erases);
        if erases > most && self.failures == Failures::None && self.desk.given != Given::Unknown {
            let what = format!("{erases} erases {why}, expected {most} at most");
            self.violate(Invariant::Wear, what);
        }
    }

    /// Nothing is worn out where no operation fails.
    fn may_be_worn_out(&mut self, is_worn_out: bool) {
        if is_worn_out && self.failed == 0 {
            let what = "no receipt is made, and no operation has failed".to_owned();
            self.violate(Invariant::Progress, what);
        }
    }
}

/// A key whose signatures cost nothing: what is signed decides them, and that is all that the ledger needs.
pub(super) struct Scribble;

impl DeviceKey for Scribble {
    fn public(&self) -> [u8; 32] {
        [0x5c; 32]
    }

    fn sign(&mut self, message: &[u8]) -> Result<[u8; 64], NoSignature> {
        let mut signature = [0; 64];
        signature[..Digest::LEN].copy_from_slice(&Digest::of(message).0);
        Ok(signature)
    }
}

/// The unit in the stories.
pub(super) fn unit() -> Serial {
    Serial::try_from("unit").expect("it is short")
}

/// Whose its ledger is.
pub(super) fn owner() -> Digest {
    witness::owner(&Scribble.public(), &unit())
}

/// Which receipts lie in the ledger and which was given out last, as far as the code can tell: it counts from a number, and
/// passes names on. So of numbers distances below two count, of names which is which.
pub(super) fn fingerprint(world: &World, state: &State, words: &mut Vec<u64>) {
    let shape = &world.shapes[world.journal_flash];
    let Some((place, _)) = &shape.ledger else {
        return;
    };
    let truth = &state.truths[world.journal_flash];
    let copies = truth.cells_in(place).iter();
    let copies: Vec<Option<Named>> = copies.map(|cell| cell.content.receipt).collect();
    let given = match state.given {
        Given::Last(named) => Some(named),
        Given::None | Given::Unknown => None,
    };
    let all: BTreeSet<Named> = copies.iter().copied().chain([given]).flatten().collect();
    let all: Vec<Named> = all.into_iter().collect();
    let place_of = |digest: Digest| {
        let place = all.iter().position(|named| named.digest == digest);
        place.map_or(u64::MAX, |place| place as u64)
    };
    let mut before = all.first().map_or(0, |named| named.number);
    for named in &all {
        words.push(u64::from((named.number - before).min(2)));
        words.push(match named.previous {
            Digest::NONE => u64::MAX - 1,
            previous => place_of(previous),
        });
        before = named.number;
    }
    let place_of = |named: Option<Named>| named.map_or(u64::MAX, |named| place_of(named.digest));
    words.extend(copies.into_iter().map(place_of));
    words.push(place_of(given));
    words.push((state.given == Given::None).into());
}

/// The ledger's sectors in few words: of each copy the number of its receipt.
pub(super) fn told(world: &World, state: &State) -> Option<String> {
    let shape = &world.shapes[world.journal_flash];
    let (place, _) = shape.ledger.as_ref()?;
    let truth = &state.truths[world.journal_flash];
    let sectors = place.clone().step_by(shape.journal_sector as usize);
    let sectors = sectors.map(|start| {
        let cells = truth.cells_in(&(start..start + shape.journal_sector));
        let copies = cells.iter().map(|cell| match cell.content.receipt {
            Some(named) => super::words::copy_of(Some(named.number), cell.state),
            None => super::words::copy_of(None, cell.state),
        });
        format!("({})", copies.collect::<Vec<_>>().join(" "))
    });
    Some(sectors.collect::<Vec<_>>().join(" "))
}
