//! A flash as it is, and as it reads: the model that the explorer cuts.
//!
//! The truth of a flash is a list of *cells*: what one program call wrote, or what was left of it. Code that
//! reads a flash can tell four things apart of a cell: it reads as what was written, as something else, as
//! blank, or not at all. A cell whose units were being written (erased) when the power went may be each of
//! these, afresh at each boot, until its sector is erased: it is [`Unstable`](CellState::Unstable), and what it
//! reads as in this boot is decided when it is first read.
//!
//! Write-once per erase is enforced on the truth: a unit that reads as blank may have been programmed, and a
//! sector that reads as erased may not be.

use std::cell::OnceCell;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::rc::Rc;

use bistable_core::digest::Digest;
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use foldhash::fast::FixedState;

use super::choices::Choices;
use crate::random::Random;

/// Whether what is there stays what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CellState {
    /// Reads as these bytes, for good.
    Stable,
    /// Cannot be read.
    Fails,
    /// Reads as these bytes, as garbage, as blank, or not at all; afresh at each boot.
    Unstable,
}

/// What one program call wrote, or a part of it.
#[derive(Debug)]
pub struct Content {
    /// What was, or was to be, written.
    pub bytes: Box<[u8]>,
    /// Of the bytes; in the journal, without sequence numbers and what depends on them.
    hash: u64,
    /// Of a valid copy in the journal, or of a piece of a copy that may become whole again.
    sequence: Option<u32>,
    /// Whether it is a valid copy in the journal.
    is_copy: bool,
    /// Where in a copy of the journal it begins, and the layout that copies name.
    place: Option<(u32, Digest)>,
    /// What is left of it when it is written, or erased, only in part.
    garbage: OnceCell<Rc<Content>>,
    /// The same but for one unit.
    lacking: OnceCell<Rc<Content>>,
}

/// Where a content lies.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its first byte, from the flash's start.
    pub at: u32,
    /// What.
    pub content: Rc<Content>,
    /// Whether that is what it reads as.
    pub state: CellState,
}

impl Cell {
    fn end(&self) -> u32 {
        self.at + self.content.bytes.len() as u32
    }

    fn range(&self) -> Range<u32> {
        self.at..self.end()
    }
}

impl Content {
    /// These bytes; `place` says where in a copy of the journal they begin, and the layout that copies name.
    #[must_use]
    pub fn new(bytes: &[u8], place: Option<(u32, Digest)>) -> Rc<Self> {
        let (mut sequence, mut is_copy) = (None, false);
        let hash = if let Some((begin, layout)) = place {
            let mut masked = bytes.to_vec();
            for (byte, at) in masked.iter_mut().zip(begin as usize..) {
                if SEQUENCE.contains(&at) || CHECKSUM.contains(&at) {
                    *byte = 0;
                }
            }
            if let Ok(copy) = <&[u8; SNAPSHOT_LEN]>::try_from(bytes) {
                is_copy = snapshot::is_valid(copy, layout);
                sequence = is_copy.then(|| snapshot::sequence(copy));
            } else if begin == 0 {
                sequence = number_in(bytes);
            }
            hash_of(&masked)
        } else {
            hash_of(bytes)
        };
        Rc::new(Self {
            bytes: bytes.into(),
            hash: hash ^ u64::from(is_copy),
            sequence,
            is_copy,
            place,
            garbage: OnceCell::new(),
            lacking: OnceCell::new(),
        })
    }

    /// Whether it is what a copy of the journal is not: nothing asks more of it.
    fn is_garbage(&self) -> bool {
        self.place.is_some() && self.bytes.len() == SNAPSHOT_LEN && !self.is_copy
    }

    /// All but the second unit, which is blank.
    fn lacking(self: &Rc<Self>, write: u32) -> Rc<Self> {
        let lacking = self.lacking.get_or_init(|| {
            let write = write as usize;
            let mut left = self.bytes.to_vec();
            left[write..2 * write].fill(0xff);
            Self::new(&left, self.place)
        });
        lacking.clone()
    }

    /// What a cut leaves that is no longer valid: the first half of the units written, one torn, the others
    /// untouched. Garbage of garbage is the same garbage.
    fn garbage(self: &Rc<Self>, write: u32) -> Rc<Self> {
        let garbage = self.garbage.get_or_init(|| {
            let write = write as usize;
            let half = self.bytes.len() / 2 / write * write;
            let mut left = vec![0xff; self.bytes.len()];
            left[..half].copy_from_slice(&self.bytes[..half]);
            let torn = (half + write).min(left.len());
            left[half..torn].fill(0x5a);
            Self::new(&left, self.place)
        });
        garbage.clone()
    }
}

/// What is on a flash, whatever it reads as.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// In the order of their places.
    cells: Vec<Cell>,
    /// Sectors whose erase was cut: bit *i* is sector *i*.
    unerased: u128,
}

/// How much of an operation happens when it is cut, or reports failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outcome {
    /// Nothing.
    Before,
    /// Everything.
    After,
    /// What it touches comes and goes.
    Unstable,
    /// What it touches is garbage for good: the first half of the units is done, one is torn.
    Garbage,
    /// What it touches cannot be read.
    Fails,
    /// Of a program call: one unit, the second, stays as it was; the others are done.
    Lacks,
    /// Of an erase: the sector reads as erased, and is not.
    Blank,
    /// Of an erase: so many of the cells in the sector are as they were, the others garbage.
    Keeps(u8),
    /// Each unit is untouched, done, or torn for good or for now, as the seed says.
    Drawn(u32),
}

/// A flash's sizes, and the part of it that holds the journal.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Write unit in bytes.
    pub write: u32,
    /// Erase sector in bytes.
    pub erase: u32,
    /// In bytes.
    pub size: u32,
    /// Where the journal lies, if it does.
    pub journal: Range<u32>,
    /// Length of a journal sector in bytes: one or several erase sectors.
    pub journal_sector: u32,
    /// The layout that the journal's copies name.
    pub layout: Digest,
}

/// The sequence number in the first piece of a copy, if it is long enough.
fn number_in(piece: &[u8]) -> Option<u32> {
    let number = piece.get(SEQUENCE)?.first_chunk()?;
    Some(u32::from_le_bytes(*number))
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0xb157).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

impl Shape {
    fn sectors(&self) -> u32 {
        self.size / self.erase
    }

    /// What is programmed at `at`.
    #[must_use]
    pub fn content(&self, at: u32, bytes: &[u8]) -> Rc<Content> {
        let place = self.journal.contains(&at).then(|| {
            let in_sector = (at - self.journal.start) % self.journal_sector;
            (in_sector % SNAPSHOT_LEN as u32, self.layout)
        });
        Content::new(bytes, place)
    }
}

/// Where a copy's sequence number lies, and what depends on it.
const SEQUENCE: Range<usize> = 4..8;
const CHECKSUM: Range<usize> = SNAPSHOT_LEN - 4..SNAPSHOT_LEN;

impl Truth {
    /// The cells, in the order of their places.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn overlapping(&self, range: &Range<u32>) -> Range<usize> {
        let first = self.cells.partition_point(|cell| cell.end() <= range.start);
        let behind = self.cells.partition_point(|cell| cell.at < range.end);
        first..behind.max(first)
    }

    /// Cuts cells that lie across `range`'s ends in two.
    fn split_at_ends(&mut self, shape: &Shape, range: &Range<u32>) {
        for end in [range.start, range.end] {
            let place = self
                .cells
                .iter()
                .position(|cell| cell.at < end && cell.end() > end);
            if let Some(place) = place {
                let cell = self.cells.remove(place);
                let (left, right) = cell.content.bytes.split_at((end - cell.at) as usize);
                let piece = |at, bytes| Cell {
                    at,
                    content: shape.content(at, bytes),
                    state: cell.state,
                };
                let pieces = [piece(cell.at, left), piece(end, right)];
                self.cells.splice(place..place, pieces);
            }
        }
    }

    /// Erases the sector at `at`, as far as `outcome` says.
    pub fn erase(&mut self, shape: &Shape, at: u32, outcome: Outcome) {
        let bit = 1_u128 << (at / shape.erase);
        let range = at..at + shape.erase;
        if outcome == Outcome::Before {
            return;
        }
        self.split_at_ends(shape, &range);
        let there = self.overlapping(&range);
        self.unerased |= bit;
        match outcome {
            Outcome::After => {
                self.cells.drain(there);
                self.unerased &= !bit;
            }
            Outcome::Blank | Outcome::Lacks => {
                self.cells.drain(there);
            }
            Outcome::Unstable => {
                for cell in &mut self.cells[there] {
                    if cell.state == CellState::Stable {
                        cell.state = CellState::Unstable;
                    }
                }
            }
            Outcome::Fails => {
                for cell in &mut self.cells[there] {
                    cell.state = CellState::Fails;
                }
            }
            Outcome::Garbage => self.spoil(shape, there),
            Outcome::Keeps(kept) => {
                let first = (there.start + usize::from(kept)).min(there.end);
                self.spoil(shape, first..there.end);
            }
            Outcome::Drawn(seed) => {
                let mut random = Random::new(seed.into());
                for place in there {
                    match random.below(4) {
                        0 => {}
                        1 => self.spoil(shape, place..place + 1),
                        2 => self.cells[place].state = CellState::Unstable,
                        _ => self.cells[place].state = CellState::Fails,
                    }
                }
            }
            Outcome::Before => {}
        }
    }

    fn spoil(&mut self, shape: &Shape, cells: Range<usize>) {
        for cell in &mut self.cells[cells] {
            cell.content = cell.content.garbage(shape.write);
            cell.state = CellState::Stable;
        }
    }

    /// Programs `content` at `at`, as far as `outcome` says.
    pub fn program(&mut self, shape: &Shape, at: u32, content: &Rc<Content>, outcome: Outcome) {
        let (content, state) = match outcome {
            Outcome::Before => return,
            Outcome::After => (content.clone(), CellState::Stable),
            Outcome::Unstable => (content.clone(), CellState::Unstable),
            Outcome::Fails => (content.clone(), CellState::Fails),
            Outcome::Garbage | Outcome::Blank | Outcome::Keeps(_) => {
                (content.garbage(shape.write), CellState::Stable)
            }
            Outcome::Lacks => (content.lacking(shape.write), CellState::Stable),
            Outcome::Drawn(seed) => return self.program_drawn(shape, at, &content.bytes, seed),
        };
        self.put(Cell { at, content, state });
    }

    /// Each unit for itself.
    fn program_drawn(&mut self, shape: &Shape, at: u32, bytes: &[u8], seed: u32) {
        let mut random = Random::new(seed.into());
        let mut state = CellState::Stable;
        let mut run: Vec<u8> = Vec::new();
        let mut begun = at;
        for unit in bytes.chunks(shape.write as usize) {
            let (unit, next) = match random.below(6) {
                0 => (vec![0xff; unit.len()], CellState::Stable),
                1 => (random.bytes(unit.len()), CellState::Stable),
                2 => (unit.to_vec(), CellState::Unstable),
                _ => (unit.to_vec(), CellState::Stable),
            };
            if next != state && !run.is_empty() {
                self.put_bytes(shape, begun, &run, state);
                begun += run.len() as u32;
                run.clear();
            }
            state = next;
            run.extend(unit);
        }
        self.put_bytes(shape, begun, &run, state);
    }

    fn put_bytes(&mut self, shape: &Shape, at: u32, bytes: &[u8], state: CellState) {
        let content = shape.content(at, bytes);
        self.put(Cell { at, content, state });
    }

    fn put(&mut self, cell: Cell) {
        let place = self.cells.partition_point(|other| other.at < cell.at);
        self.cells.insert(place, cell);
    }

    /// Flips a bit of the cell at this place in the list, for good: of this byte.
    pub fn flip(&mut self, shape: &Shape, at: u32, byte: usize) -> bool {
        let Some(cell) = self.cells.iter_mut().find(|cell| cell.at == at) else {
            return false;
        };
        let mut bytes = cell.content.bytes.to_vec();
        bytes[byte] ^= 0x10;
        cell.content = shape.content(cell.at, &bytes);
        true
    }

    /// Whether something in `range` may read differently from boot to boot.
    #[must_use]
    pub fn comes_and_goes(&self, shape: &Shape, range: Range<u32>) -> bool {
        let mut sectors = range.start / shape.erase..range.end.div_ceil(shape.erase);
        let cells = &self.cells[self.overlapping(&range)];
        cells.iter().any(|cell| cell.state == CellState::Unstable)
            || sectors.any(|sector| self.unerased >> sector & 1 == 1)
    }

    /// Makes the cell at `at` be so.
    pub fn make(&mut self, at: u32, state: CellState) {
        for cell in self.cells.iter_mut().filter(|cell| cell.at == at) {
            cell.state = state;
        }
    }

    /// What tells this truth from others. In the journal, of sequence numbers only their order counts, and
    /// distances below the number of sectors: code compares them and adds one to the highest that it can read,
    /// which may be just what a copy has that it cannot read.
    pub fn fingerprint(&self, shape: &Shape, relative: bool, words: &mut Vec<u64>) {
        let first = self
            .cells
            .partition_point(|cell| cell.at < shape.journal.start);
        let behind = self
            .cells
            .partition_point(|cell| cell.at < shape.journal.end);
        let mut sequences: Vec<u32> = self.cells[first..behind.max(first)]
            .iter()
            .filter_map(|cell| cell.content.sequence)
            .collect();
        sequences.sort_unstable();
        sequences.dedup();
        let mut ranks = sequences.clone();
        let farthest = (shape.journal.len() as u32 / shape.journal_sector).saturating_sub(1);
        if relative && let Some(lowest) = ranks.first_mut() {
            *lowest = 1;
        }
        for place in 1..ranks.len() {
            let distance = sequences[place] - sequences[place - 1];
            if relative {
                ranks[place] = ranks[place - 1] + distance.min(farthest);
            }
        }
        for cell in &self.cells {
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
}

/// What stopped the code under test, or was its own fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The operation reports failure.
    Failed,
    /// What was read cannot be corrected.
    Unreadable,
    /// Not whole units or sectors, or beyond the end.
    Misused,
}

impl embedded_storage::nor_flash::NorFlashError for Error {
    fn kind(&self) -> embedded_storage::nor_flash::NorFlashErrorKind {
        use embedded_storage::nor_flash::NorFlashErrorKind as Kind;
        match self {
            Self::Failed | Self::Unreadable => Kind::Other,
            Self::Misused => Kind::NotAligned,
        }
    }
}

/// A flash with the power on.
#[derive(Clone, Debug)]
pub struct Flash {
    /// Its sizes.
    pub shape: Rc<Shape>,
    /// What is on it.
    pub truth: Rc<Truth>,
    view: Vec<u8>,
    /// Cells that were not read in this boot yet.
    undecided: Vec<Range<u32>>,
    /// Cells that cannot be read in this boot.
    failing: Vec<Range<u32>>,
    /// The first misuse of the flash: what, and where.
    pub breach: Option<String>,
}

impl Flash {
    /// Brings the power.
    #[must_use]
    pub fn power_on(shape: &Rc<Shape>, truth: &Rc<Truth>) -> Self {
        let mut flash = Self {
            shape: shape.clone(),
            truth: truth.clone(),
            view: vec![0xff; shape.size as usize],
            undecided: Vec::new(),
            failing: Vec::new(),
            breach: None,
        };
        for cell in &truth.cells {
            flash.show(cell);
        }
        flash
    }

    fn show(&mut self, cell: &Cell) {
        let range = cell.range();
        self.view[range.start as usize..range.end as usize].copy_from_slice(&cell.content.bytes);
        match cell.state {
            CellState::Stable => {}
            CellState::Fails => self.failing.push(range),
            // A whole copy that is none never becomes one.
            CellState::Unstable if cell.content.is_garbage() => {}
            CellState::Unstable => self.undecided.push(range),
        }
    }

    /// Shows what is in `range` now.
    fn show_again(&mut self, range: &Range<u32>) {
        let apart = |other: &Range<u32>| other.end <= range.start || range.end <= other.start;
        self.undecided.retain(apart);
        self.failing.retain(apart);
        self.view[range.start as usize..range.end as usize].fill(0xff);
        let truth = self.truth.clone();
        for cell in &truth.cells[truth.overlapping(range)] {
            self.show(cell);
        }
    }

    /// Reads, and decides what undecided cells read as.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, at: u32, into: &mut [u8], choices: &mut Choices) -> Result<(), Error> {
        let range = at..at + into.len() as u32;
        if range.end > self.shape.size {
            self.misused(format!("a read of {range:#x?}, beyond the end"));
            return Err(Error::Misused);
        }
        while let Some(place) = first_overlapping(&self.undecided, &range) {
            self.decide(place, choices);
        }
        if first_overlapping(&self.failing, &range).is_some() {
            return Err(Error::Unreadable);
        }
        into.copy_from_slice(&self.view[range.start as usize..range.end as usize]);
        Ok(())
    }

    /// Decides what an undecided cell reads as. In the journal every copy is read at each boot, and what counts
    /// is how many of a sector are valid: so all of a sector are decided at once, by that number; which bad
    /// reading the others have goes round. Elsewhere each cell takes every reading.
    fn decide(&mut self, place: usize, choices: &mut Choices) {
        let cell = self.undecided[place].clone();
        let shape = self.shape.clone();
        if !shape.journal.contains(&cell.start) {
            let reading = READINGS[choices.choose(READINGS.len())];
            return self.settle(&cell, reading);
        }
        let sector = (cell.start - shape.journal.start) / shape.journal_sector;
        let start = shape.journal.start + sector * shape.journal_sector;
        let whole = start..start + shape.journal_sector;
        let mut cells = self.undecided.clone();
        cells.retain(|cell| whole.contains(&cell.start));
        // As many as there are, one less, and so on; none in each bad way.
        let choice = choices.choose(cells.len() + BAD.len());
        let valid = cells.len().saturating_sub(choice);
        let kind = match valid {
            0 => choice - cells.len(),
            _ => (cell.start / shape.write) as usize + choice,
        };
        for (number, cell) in cells.iter().enumerate() {
            // The valid ones are the first ones or the last ones.
            let is_valid = match (sector as usize + choice) % 2 {
                0 => number < valid,
                _ => number >= cells.len() - valid,
            };
            let bad = BAD[kind % BAD.len()];
            self.settle(cell, if is_valid { Reading::Valid } else { bad });
        }
    }

    fn settle(&mut self, cell: &Range<u32>, reading: Reading) {
        self.undecided.retain(|other| other != cell);
        let view = &mut self.view[cell.start as usize..cell.end as usize];
        match reading {
            Reading::Valid => {}
            Reading::Garbage => {
                let garbage = Content::new(view, None).garbage(self.shape.write);
                view.copy_from_slice(&garbage.bytes);
            }
            Reading::Blank => view.fill(0xff),
            Reading::Fails => self.failing.push(cell.clone()),
        }
    }

    /// Erases the sector at `at`, as far as `outcome` says.
    pub fn erase(&mut self, at: u32, outcome: Outcome) {
        if outcome == Outcome::Before {
            return; // and what was decided stays so
        }
        let shape = self.shape.clone();
        Rc::make_mut(&mut self.truth).erase(&shape, at, outcome);
        self.show_again(&(at..at + shape.erase));
    }

    /// Programs, as far as `outcome` says.
    pub fn program(&mut self, at: u32, content: &Rc<Content>, outcome: Outcome) {
        let shape = self.shape.clone();
        let range = at..at + content.bytes.len() as u32;
        let sectors = range.start / shape.erase..range.end.div_ceil(shape.erase);
        let torn = sectors
            .clone()
            .any(|sector| self.truth.unerased >> sector & 1 == 1);
        if torn || !self.truth.overlapping(&range).is_empty() {
            self.misused(format!("{range:#x?} is programmed and was not erased"));
            // What real flash would make of it: nothing good.
            let truth = Rc::make_mut(&mut self.truth);
            truth.split_at_ends(&shape, &range);
            let there = truth.overlapping(&range);
            truth.cells.drain(there);
        }
        Rc::make_mut(&mut self.truth).program(&shape, at, content, outcome);
        self.show_again(&range);
    }

    /// Whether these are whole units on this flash.
    pub fn fits(&mut self, range: Range<u32>, unit: u32) -> bool {
        let fits = range.start <= range.end
            && range.end <= self.shape.size
            && range.start.is_multiple_of(unit)
            && range.end.is_multiple_of(unit);
        if !fits {
            self.misused(format!("{range:#x?} in units of {unit} bytes"));
        }
        fits
    }

    fn misused(&mut self, how: String) {
        self.breach.get_or_insert(how);
    }

    /// Sectors of it.
    #[must_use]
    pub fn sectors(&self) -> u32 {
        self.shape.sectors()
    }
}

#[derive(Clone, Copy)]
enum Reading {
    Valid,
    Garbage,
    Blank,
    Fails,
}

const BAD: [Reading; 3] = [Reading::Garbage, Reading::Blank, Reading::Fails];

const READINGS: [Reading; 4] = [
    Reading::Valid,
    Reading::Garbage,
    Reading::Blank,
    Reading::Fails,
];

fn first_overlapping(ranges: &[Range<u32>], range: &Range<u32>) -> Option<usize> {
    ranges
        .iter()
        .position(|other| other.start < range.end && range.start < other.end)
}

#[cfg(test)]
mod tests {
    use bistable_core::layout::Slot;
    use bistable_core::snapshot::encode;
    use bistable_core::state::Snapshot;

    use super::*;
    use crate::states::image;

    const LAYOUT: Digest = Digest([7; Digest::LEN]);

    fn shape() -> Rc<Shape> {
        Rc::new(Shape {
            write: 8,
            erase: 2048,
            size: 4 * 2048,
            journal: 0..2 * 2048,
            journal_sector: 2048,
            layout: LAYOUT,
        })
    }

    fn copy(sequence: u32, floor: u32) -> Vec<u8> {
        let snapshot = Snapshot::with_confirmed(Slot::A, image(1), floor);
        encode(&snapshot, sequence, LAYOUT).to_vec()
    }

    /// A flash whose last operation, at 4096 bytes, got so far.
    fn cut_while_programming(bytes: &[u8], outcome: Outcome) -> Truth {
        let mut truth = Truth::default();
        let content = shape().content(4096, bytes);
        truth.program(&shape(), 4096, &content, outcome);
        truth
    }

    /// Everything that 64 bytes at 4096 read as, over all choices.
    fn readings(truth: &Truth) -> Vec<Result<Vec<u8>, Error>> {
        let truth = Rc::new(truth.clone());
        let mut found = Vec::new();
        let mut choices = Choices::first();
        loop {
            let mut flash = Flash::power_on(&shape(), &truth);
            let mut bytes = vec![0; 64];
            let read = flash.read(4096, &mut bytes, &mut choices);
            let again = flash.read(4096, &mut [0; 64], &mut choices);
            assert_eq!(read, again, "within a boot, it reads the same");
            found.push(read.map(|()| bytes));
            match choices.advance() {
                Some((next, _)) => choices = next,
                None => return found,
            }
        }
    }

    #[test]
    fn what_is_torn_reads_in_each_way_that_can_be_told_apart() {
        let (bytes, blank) = (vec![3; 64], vec![0xff; 64]);
        let read = |outcome| readings(&cut_while_programming(&bytes, outcome));
        assert_eq!(read(Outcome::Before), [Ok(blank.clone())]);
        assert_eq!(read(Outcome::After), [Ok(bytes.clone())]);
        assert_eq!(read(Outcome::Fails), [Err(Error::Unreadable)]);
        let [Ok(garbage)] = &read(Outcome::Garbage)[..] else {
            panic!("garbage reads as one thing");
        };
        assert!(*garbage != bytes && *garbage != blank);
        let fickle = read(Outcome::Unstable);
        for reading in [
            Ok(bytes),
            Ok(garbage.clone()),
            Ok(blank),
            Err(Error::Unreadable),
        ] {
            assert!(fickle.contains(&reading), "{reading:?}");
        }
        assert_eq!(fickle.len(), 4);
    }

    #[test]
    fn what_was_written_may_come_back_after_an_erase_that_was_cut() {
        let mut truth = cut_while_programming(&[3; 64], Outcome::After);
        truth.erase(&shape(), 4096, Outcome::Unstable);
        assert!(readings(&truth).contains(&Ok(vec![3; 64])));
        assert!(readings(&truth).contains(&Ok(vec![0xff; 64])));
        truth.erase(&shape(), 4096, Outcome::After);
        assert_eq!(readings(&truth), [Ok(vec![0xff; 64])]);
    }

    #[test]
    fn a_sector_that_only_reads_as_erased_must_not_be_programmed() {
        for (outcome, breach) in [(Outcome::Blank, true), (Outcome::After, false)] {
            let mut truth = cut_while_programming(&[3; 64], Outcome::After);
            truth.erase(&shape(), 4096, outcome);
            let mut flash = Flash::power_on(&shape(), &Rc::new(truth));
            let content = shape().content(4160, &[5; 64]);
            flash.program(4160, &content, Outcome::After);
            assert_eq!(flash.breach.is_some(), breach, "{outcome:?}");
        }
    }

    #[test]
    fn states_differ_in_the_order_of_sequence_numbers_and_not_in_their_height() {
        let key = |first: &[u8], second: &[u8], outcome| {
            let mut truth = Truth::default();
            for (at, bytes) in [(0, first), (2048, second)] {
                let content = shape().content(at, bytes);
                truth.program(&shape(), at, &content, outcome);
            }
            let mut words = Vec::new();
            truth.fingerprint(&shape(), true, &mut words);
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
