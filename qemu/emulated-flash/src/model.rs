//! Memories for the tests: formatted ones, and one whose owner is killed at a chosen store.

use std::vec;
use std::vec::Vec;

use crate::{EmulatedFlash, MEMORY_SIZE, Memory};

/// Memory with flash in it that holds `content`.
pub(crate) fn formatted(content: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; MEMORY_SIZE as usize];
    EmulatedFlash::format(&mut memory[..], content).unwrap();
    memory
}

/// Memory to which only the first stores get through, byte by byte: its owner was killed.
#[derive(Debug)]
pub(crate) struct Interrupted<'m> {
    pub(crate) memory: &'m mut [u8],
    stores_left: u32,
    killed: bool,
    /// What each store replaced.
    replaced: Vec<(u32, u8)>,
}

impl<'m> Interrupted<'m> {
    pub(crate) fn after(stores: u32, memory: &'m mut [u8]) -> Self {
        Self {
            memory,
            stores_left: stores,
            killed: false,
            replaced: Vec::new(),
        }
    }

    /// Whether a store did not get through.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed
    }

    /// Makes the memory what it was.
    pub(crate) fn undo(&mut self) {
        while let Some((offset, byte)) = self.replaced.pop() {
            self.memory[offset as usize] = byte;
        }
    }
}

impl Memory for Interrupted<'_> {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        self.memory.read(offset, bytes);
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            match self.stores_left.checked_sub(1) {
                Some(left) => {
                    self.stores_left = left;
                    self.replaced.push((at, self.memory[at as usize]));
                    self.memory[at as usize] = *byte;
                }
                None => self.killed = true,
            }
        }
    }
}
