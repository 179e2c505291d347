//! What is on a flash, whatever it reads as.
//!
//! The truth of a flash is a list of *cells*: what one program call wrote, or what was left of it. Code that
//! reads a flash can tell four things apart of a cell: it reads as what was written, as something else, as
//! blank, or not at all. A cell whose units were being written (erased) when the power went may be each of
//! these, afresh at each boot, until its sector is erased: it is [`Unstable`](CellState::Unstable).
//!
//! Write-once per erase is enforced here: a unit that reads as blank may have been programmed, and a sector that
//! reads as erased may not be.

use std::ops::Range;
use std::rc::Rc;

use super::content::Content;
use super::shape::Shape;
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
    pub(super) fn end(&self) -> u32 {
        self.at + self.content.bytes.len() as u32
    }

    pub(super) fn range(&self) -> Range<u32> {
        self.at..self.end()
    }
}

/// What is on a flash, whatever it reads as.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// In the order of their places.
    cells: Vec<Cell>,
    /// Sectors whose erase was cut: bit *i* is sector *i*.
    pub(super) unerased: u128,
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

impl Truth {
    /// The cells, in the order of their places.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Those that lie in `range`, if only in part.
    pub(super) fn cells_in(&self, range: &Range<u32>) -> &[Cell] {
        &self.cells[self.overlapping(range)]
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

    /// Flips a bit of this byte of the cell at `at`, for good. Returns whether something lies there.
    pub(super) fn flip(&mut self, shape: &Shape, at: u32, byte: usize) -> bool {
        let Some(cell) = self.cells.iter_mut().find(|cell| cell.at == at) else {
            return false;
        };
        let mut bytes = cell.content.bytes.to_vec();
        bytes[byte] ^= 0x10;
        cell.content = shape.content(cell.at, &bytes);
        true
    }

    /// Whether something in `range` may read differently from boot to boot.
    pub(super) fn comes_and_goes(&self, shape: &Shape, range: &Range<u32>) -> bool {
        let mut cells = self.cells_in(range).iter();
        cells.any(|cell| cell.state == CellState::Unstable) || self.is_half_erased(shape, range)
    }

    /// Whether something in `range` must be erased before it is programmed.
    pub(super) fn is_used(&self, shape: &Shape, range: &Range<u32>) -> bool {
        self.is_half_erased(shape, range) || !self.cells_in(range).is_empty()
    }

    fn is_half_erased(&self, shape: &Shape, range: &Range<u32>) -> bool {
        let mut sectors = range.start / shape.erase..range.end.div_ceil(shape.erase);
        sectors.any(|sector| self.unerased >> sector & 1 == 1)
    }

    /// Takes away what lies in `range`.
    pub(super) fn clear(&mut self, shape: &Shape, range: &Range<u32>) {
        self.split_at_ends(shape, range);
        let there = self.overlapping(range);
        self.cells.drain(there);
    }

    /// Makes the cell at `at` be so.
    pub(super) fn make(&mut self, at: u32, state: CellState) {
        for cell in self.cells.iter_mut().filter(|cell| cell.at == at) {
            cell.state = state;
        }
    }
}
