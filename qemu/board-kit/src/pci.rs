//! Finding a device on the PCI bus, and giving its memory a place.
//!
//! After a reset nothing has a place: firmware that uses a device gives it one. Bootloader and application both do, and find what
//! the other has done already. Offsets are those of a type 0 header (PCI Local Bus Specification 3.0,
//! §6.1); configuration space is memory, as in the PCI Express Base Specification 3.0, §7.2.2 (ECAM).
//! Bridges, and functions of a device but the first one, are not looked for.

use bistable_port::register::{Block, Register};

/// The configuration spaces of bus 0.
#[derive(Clone, Copy, Debug)]
pub struct Bus {
    address: u32,
}

/// Bytes of a function's configuration space.
const SPACE: u32 = 4096;

/// Devices on a bus.
const DEVICES: u32 = 32;

/// Functions of a device.
const FUNCTIONS: u32 = 8;

impl Bus {
    /// The bus whose configuration spaces begin at `address`, a multiple of 1 MiB.
    ///
    /// # Safety
    ///
    /// Bus 0 of a host bridge's memory-mapped configuration space is there, 1 MiB.
    #[must_use]
    pub const unsafe fn new(address: u32) -> Self {
        assert!(address.is_multiple_of(1 << 20));
        Self { address }
    }

    /// The first device that says it is `device` of `vendor`.
    #[must_use]
    pub fn find(self, vendor: u16, device: u16) -> Option<Function> {
        let wanted = u32::from(device) << 16 | u32::from(vendor);
        let functions = (0..DEVICES).map(|number| self.function(number));
        functions
            .into_iter()
            .find(|function| function.read(IDENTITY) == wanted)
    }

    /// Function 0 of a device.
    fn function(self, number: u32) -> Function {
        let offset = number.wrapping_mul(FUNCTIONS).wrapping_mul(SPACE);
        // SAFETY: `new` was promised that configuration spaces are there. What is written to them only says where the
        // device answers and whether; it may master the bus only once a driver lets it.
        let space = unsafe { Block::new(self.address.wrapping_add(offset), SPACE) };
        Function { space }
    }
}

/// A function of a device: its configuration space.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    space: Block,
}

impl Function {
    /// A register of its configuration space.
    #[must_use]
    pub fn register<T>(self, offset: u32) -> Register<T> {
        self.space.register(offset)
    }

    /// Makes the memory behind base address register `bar` (0 to 5) answer at `address`, and returns how many bytes it
    /// has. It may be called again, and does not answer for a moment then.
    ///
    /// # Errors
    ///
    /// See [`NotPlaced`]; nothing has changed then.
    pub fn place_bar(mut self, bar: u8, address: u32) -> Result<u32, NotPlaced> {
        place(&mut self, bar, address)
    }
}

/// Why a base address register could not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlaced {
    /// There is no such register, it is the upper half of another one, or nothing is behind it.
    Absent,
    /// It is of I/O ports, or reserved.
    NotMemory,
    /// It has 4 GiB or more.
    TooLarge,
    /// The address is no multiple of this, its size.
    Misaligned(u32),
}

/// Vendor in the lower, device in the upper half.
const IDENTITY: u32 = 0x00;
/// Command in the lower half, status in the upper, whose bits are cleared by writing 1.
const COMMAND: u32 = 0x04;
const FIRST_BAR: u32 = 0x10;
const BARS: u8 = 6;

const COMMAND_MASK: u32 = 0xFFFF;
/// The function answers at the addresses of its memory.
const MEMORY_ENABLED: u32 = 1 << 1;

const BAR_IS_IO: u32 = 1;
const BAR_TYPE: u32 = 0b110;
const BAR_OF_32_BITS: u32 = 0b000;
const BAR_OF_64_BITS: u32 = 0b100;
const BAR_FLAGS: u32 = 0xF;

/// Configuration space, a word at a time.
trait Configuration {
    fn read(&self, offset: u32) -> u32;
    fn write(&mut self, offset: u32, value: u32);
}

impl Configuration for Function {
    fn read(&self, offset: u32) -> u32 {
        self.space.register::<u32>(offset).read()
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.space.register::<u32>(offset).write(value);
    }
}

/// §6.2.5.1: with the answers off, the bits that stay 0 when all are written say how much there is.
fn place(space: &mut impl Configuration, bar: u8, address: u32) -> Result<u32, NotPlaced> {
    if bar >= BARS {
        return Err(NotPlaced::Absent);
    }
    let low = FIRST_BAR.wrapping_add(u32::from(bar).wrapping_mul(4));
    let before = space.read(low);
    let high = match before & BAR_TYPE {
        _ if before & BAR_IS_IO != 0 => return Err(NotPlaced::NotMemory),
        BAR_OF_32_BITS => None,
        BAR_OF_64_BITS if bar == BARS.wrapping_sub(1) => return Err(NotPlaced::NotMemory),
        BAR_OF_64_BITS => Some((low.wrapping_add(4), space.read(low.wrapping_add(4)))),
        _ => return Err(NotPlaced::NotMemory),
    };
    let command = space.read(COMMAND) & COMMAND_MASK;
    space.write(COMMAND, command & !MEMORY_ENABLED);
    let size = measure(space, low, high.map(|(high, _)| high)).and_then(|size| {
        let fits = address.is_multiple_of(size);
        fits.then_some(size).ok_or(NotPlaced::Misaligned(size))
    });
    let ((low_word, high_word), command) = match size {
        Ok(_) => ((address, 0), command | MEMORY_ENABLED),
        Err(_) => ((before, high.map_or(0, |(_, before)| before)), command),
    };
    space.write(low, low_word);
    if let Some((high, _)) = high {
        space.write(high, high_word);
    }
    space.write(COMMAND, command);
    size
}

/// How many bytes are behind the register at `low`. It holds anything afterwards.
fn measure(space: &mut impl Configuration, low: u32, high: Option<u32>) -> Result<u32, NotPlaced> {
    space.write(low, u32::MAX);
    let changeable = space.read(low) & !BAR_FLAGS;
    if let Some(high) = high {
        space.write(high, u32::MAX);
        if space.read(high) != u32::MAX {
            return Err(NotPlaced::TooLarge);
        }
    }
    match changeable {
        0 if high.is_some() => Err(NotPlaced::TooLarge),
        0 => Err(NotPlaced::Absent),
        _ => Ok((!changeable).wrapping_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: u32 = 0x0290_0000;

    /// A function with some registers, strict about how it is used.
    struct Simulated {
        command: u32,
        status: u32,
        bars: [u32; 6],
        flags: [u32; 6],
        changeable: [u32; 6],
    }

    /// Of 16 bytes, as the watchdog has; of 4 MiB, 64 bits wide and prefetchable, as shared memory has; of
    /// ports; and the last one is half of one that has 64 bits.
    fn simulated() -> Simulated {
        let flags = [0x0, 0xC, 0x0, 0x1, 0x0, 0x4];
        Simulated {
            command: 0x0100,
            status: STATUS,
            bars: flags,
            flags,
            changeable: [!0xF, !0x3F_FFFF, !0, !0x3, 0, !0xFFF],
        }
    }

    impl Configuration for Simulated {
        fn read(&self, offset: u32) -> u32 {
            match offset {
                COMMAND => self.command | self.status,
                _ => self.bars[bar_at(offset)],
            }
        }

        fn write(&mut self, offset: u32, value: u32) {
            if offset == COMMAND {
                self.command = value & COMMAND_MASK;
                self.status &= !value;
                return;
            }
            let bar = bar_at(offset);
            assert_eq!(
                self.command & MEMORY_ENABLED,
                0,
                "a register changes under way"
            );
            self.bars[bar] = value & self.changeable[bar] | self.flags[bar];
        }
    }

    fn bar_at(offset: u32) -> usize {
        assert!((FIRST_BAR..FIRST_BAR + 24).contains(&offset) && offset.is_multiple_of(4));
        (offset - FIRST_BAR) as usize / 4
    }

    #[test]
    fn memory_answers_where_it_was_placed() {
        let mut space = simulated();
        assert_eq!(place(&mut space, 0, 0x4000_0000), Ok(16));
        assert_eq!(space.bars[0], 0x4000_0000);
        assert_eq!(space.command, 0x0100 | MEMORY_ENABLED);
    }

    #[test]
    fn memory_of_64_bits_is_placed_below_4_gib() {
        let mut space = simulated();
        space.bars[2] = 7;
        assert_eq!(place(&mut space, 1, 0x4400_0000), Ok(4 << 20));
        assert_eq!(space.bars[1], 0x4400_000C);
        assert_eq!(space.bars[2], 0);
    }

    #[test]
    fn placing_again_changes_nothing() {
        let mut space = simulated();
        for _ in 0..2 {
            assert_eq!(place(&mut space, 1, 0x4400_0000), Ok(4 << 20));
        }
        assert_eq!(space.bars[1], 0x4400_000C);
        assert_eq!(space.command, 0x0100 | MEMORY_ENABLED);
    }

    #[test]
    fn what_the_status_reports_is_not_cleared_on_the_way() {
        let mut space = simulated();
        place(&mut space, 0, 0x4000_0000).unwrap();
        assert_eq!(space.status, STATUS);
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let refusals = [
            (0, 0x4000_0008, NotPlaced::Misaligned(16)),
            (1, 0x4420_0000, NotPlaced::Misaligned(4 << 20)),
            (3, 0x4000_0000, NotPlaced::NotMemory),
            (4, 0x4000_0000, NotPlaced::Absent),
            (5, 0x4000_0000, NotPlaced::NotMemory),
            (6, 0x4000_0000, NotPlaced::Absent),
        ];
        for (bar, address, refusal) in refusals {
            let mut space = simulated();
            place(&mut space, 1, 0x4480_0000).unwrap();
            let (bars, command) = (space.bars, space.command);
            assert_eq!(place(&mut space, bar, address), Err(refusal), "{bar}");
            assert_eq!((space.bars, space.command), (bars, command), "{bar}");
        }
    }

    #[test]
    fn memory_of_4_gib_is_too_large() {
        let mut space = simulated();
        space.changeable[1] = 0;
        assert_eq!(place(&mut space, 1, 0), Err(NotPlaced::TooLarge));
        space.changeable[1] = !0x3F_FFFF;
        space.changeable[2] = !1;
        assert_eq!(place(&mut space, 1, 0), Err(NotPlaced::TooLarge));
    }
}
