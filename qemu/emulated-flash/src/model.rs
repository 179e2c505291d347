//! Chips for the tests: formatted ones, and one whose owner is killed at a chosen store.

use std::cell::Cell;
use std::vec;
use std::vec::Vec;

use crate::{EmulatedFlash, Geometry, Memory, Plain, mps2_an385, notes_size, riscv32_virt};

/// Plain memory that the test owns.
pub(crate) type Owned = Plain<Bytes, Bytes>;

/// Bytes that nobody else looks at.
#[derive(Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Memory for Bytes {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        self.0[..].read(offset, bytes);
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        self.0[..].write(offset, bytes);
    }
}

/// Runs `test` on a flash of each board's shape.
pub(crate) fn in_both_geometries(test: impl Fn(Geometry)) {
    for geometry in [mps2_an385::GEOMETRY, riscv32_virt::GEOMETRY] {
        test(geometry);
    }
}

/// Memory that was never formatted.
pub(crate) fn new(geometry: Geometry) -> Owned {
    Plain {
        content: Bytes(vec![0; geometry.size as usize]),
        notes: Bytes(vec![0; notes_size(geometry) as usize]),
        geometry,
    }
}

/// Flash that holds `content`.
pub(crate) fn formatted(geometry: Geometry, content: &[u8]) -> EmulatedFlash<Owned> {
    EmulatedFlash::format(new(geometry), content).unwrap()
}

/// The moment at which the owner of a chip is killed.
pub(crate) struct Kill {
    stores_left: Cell<usize>,
    has_come: Cell<bool>,
}

/// A chip to which only the first stores get through, byte by byte.
pub(crate) type Interrupted<'m> = Plain<Stores<'m>, Stores<'m>>;

/// One of its two memories.
pub(crate) struct Stores<'m> {
    memory: &'m mut Bytes,
    kill: &'m Kill,
    /// What each store replaced.
    replaced: Replaced,
}

type Replaced = Vec<(u32, u8)>;

impl Kill {
    pub(crate) fn after(stores: usize) -> Self {
        Self {
            stores_left: Cell::new(stores),
            has_come: Cell::new(false),
        }
    }

    /// Whether a store did not get through.
    pub(crate) fn has_come(&self) -> bool {
        self.has_come.get()
    }

    /// The owner of `chip`, who will be killed.
    pub(crate) fn over<'m>(&'m self, chip: &'m mut Owned) -> Interrupted<'m> {
        let over = |memory| Stores {
            memory,
            kill: self,
            replaced: Vec::new(),
        };
        Plain {
            content: over(&mut chip.content),
            notes: over(&mut chip.notes),
            geometry: chip.geometry,
        }
    }
}

/// What the stores to a chip replaced.
pub(crate) struct Before {
    content: Replaced,
    notes: Replaced,
}

impl Interrupted<'_> {
    pub(crate) fn replaced(self) -> Before {
        Before {
            content: self.content.replaced,
            notes: self.notes.replaced,
        }
    }
}

impl Before {
    /// Makes the chip what it was.
    pub(crate) fn undo(self, chip: &mut Owned) {
        let memories = [
            (self.content, &mut chip.content),
            (self.notes, &mut chip.notes),
        ];
        for (replaced, memory) in memories {
            for (offset, byte) in replaced.into_iter().rev() {
                memory.0[offset as usize] = byte;
            }
        }
    }
}

impl Memory for Stores<'_> {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        self.memory.read(offset, bytes);
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            match self.kill.stores_left.get().checked_sub(1) {
                Some(left) => {
                    self.kill.stores_left.set(left);
                    let place = &mut self.memory.0[at as usize];
                    self.replaced.push((at, *place));
                    *place = *byte;
                }
                None => self.kill.has_come.set(true),
            }
        }
    }
}
