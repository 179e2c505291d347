//! Peripheral registers: the one place that touches them, and the promise that makes it sound.

/// The registers of one peripheral.
pub(crate) struct Block {
    base: u32,
    size: u32,
}

impl Block {
    /// A peripheral of `size` bytes at `base`.
    ///
    /// # Safety
    ///
    /// Every aligned word of the range is a device register (or a hole that the bus answers for): no
    /// Rust object lies there, and no value written makes the device read or write memory by itself.
    pub(crate) const unsafe fn new(base: u32, size: u32) -> Self {
        Self { base, size }
    }

    /// The register at `offset`. Named in constants only, so that a wrong one does not compile.
    pub(crate) const fn register(&self, offset: u32) -> Register {
        assert!(offset < self.size && offset.is_multiple_of(4));
        Register {
            address: self.base.wrapping_add(offset),
        }
    }

    /// `count` registers from the one at `offset` on.
    pub(crate) const fn registers(&self, offset: u32, count: u32) -> Registers {
        let last = count.wrapping_sub(1).wrapping_mul(4);
        let _lies_in_the_block = self.register(offset.wrapping_add(last));
        Registers {
            first: self.register(offset),
            count,
        }
    }
}

/// Device registers in a row.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    first: Register,
    count: u32,
}

impl Registers {
    /// Writes the same to each of them, in ascending order.
    pub(crate) fn write_all(self, value: u32) {
        for index in 0..self.count {
            let address = self.first.address.wrapping_add(index.wrapping_mul(4));
            Register { address }.write(value);
        }
    }
}

/// A 32-bit device register.
#[derive(Clone, Copy)]
pub(crate) struct Register {
    address: u32,
}

impl Register {
    pub(crate) fn read(self) -> u32 {
        let register = core::ptr::with_exposed_provenance::<u32>(self.address as usize);
        // SAFETY: `Block::new` promises that an aligned device register is there, and nothing that
        // Rust knows of; `Block::register` checked that this one lies in the block and is aligned.
        unsafe { register.read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        let register = core::ptr::with_exposed_provenance_mut::<u32>(self.address as usize);
        // SAFETY: as in `read`; and `Block::new` promises that no value makes the device touch memory.
        unsafe { register.write_volatile(value) }
    }
}
