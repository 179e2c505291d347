//! Peripheral registers: the one place that touches them, and the promise that makes it sound.

use core::marker::PhantomData;

/// The registers of one peripheral.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    base: u32,
    size: u32,
}

impl Block {
    /// A peripheral of `size` bytes at `base`, a multiple of 4.
    ///
    /// # Safety
    ///
    /// Every aligned unit of the range is a device register (or a hole that the bus answers for): no
    /// Rust object lies there, and no value written makes the device read or write memory by itself.
    #[must_use]
    pub const unsafe fn new(base: u32, size: u32) -> Self {
        assert!(base.is_multiple_of(4));
        Self { base, size }
    }

    /// The register at `offset`, of 32 bits unless it is asked for as another. Named in constants, so that a wrong
    /// one does not compile.
    #[must_use]
    pub const fn register<T>(&self, offset: u32) -> Register<T> {
        let width = size_of::<T>() as u32;
        assert!(offset.saturating_add(width) <= self.size && offset.is_multiple_of(width));
        Register {
            address: self.base.wrapping_add(offset),
            width: PhantomData,
        }
    }

    /// `count` registers of 32 bits from the one at `offset` on.
    #[must_use]
    pub const fn registers(&self, offset: u32, count: u32) -> Registers {
        let last = count.wrapping_sub(1).wrapping_mul(4);
        let _lies_in_the_block: Register = self.register(offset.wrapping_add(last));
        Registers {
            first: self.register(offset),
            count,
        }
    }
}

/// Device registers of 32 bits in a row.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    first: Register,
    count: u32,
}

impl Registers {
    /// Writes the same to each of them, in ascending order.
    #[inline(always)] // where there is one, there is no loop
    pub fn write_all(self, value: u32) {
        for index in 0..self.count {
            let address = self.first.address.wrapping_add(index.wrapping_mul(4));
            let width = PhantomData;
            Register { address, width }.write(value);
        }
    }
}

/// A device register as wide as `T`: `u8`, `u16` or `u32`.
#[derive(Debug)]
pub struct Register<T = u32> {
    address: u32,
    width: PhantomData<T>,
}

impl<T> Clone for Register<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Register<T> {}

impl<T: Width> Register<T> {
    /// What it reads as.
    #[must_use]
    pub fn read(self) -> T {
        let register = core::ptr::with_exposed_provenance::<T>(self.address as usize);
        // SAFETY: `Block::new` promises that an aligned device register is there, and nothing that
        // Rust knows of; `Block::register` checked that this one lies in the block and is aligned. Any bits
        // are a `T`, as `Width` says.
        unsafe { register.read_volatile() }
    }

    /// Writes it.
    pub fn write(self, value: T) {
        let register = core::ptr::with_exposed_provenance_mut::<T>(self.address as usize);
        // SAFETY: as in `read`; and `Block::new` promises that no value makes the device touch memory.
        unsafe { register.write_volatile(value) }
    }
}

/// The widths of registers: integers, of which any bits are one.
pub trait Width: sealed::Sealed {}

impl Width for u8 {}
impl Width for u16 {}
impl Width for u32 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
}
