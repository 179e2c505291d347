//! The flash: embassy's driver of the whole chip, whose sectors are all of one size, with its errors looked after.
//!
//! A correction code covers each 32 bytes. A double error is flagged and answered with a bus fault (chapter 4);
//! and embassy's driver takes every flag that is set for an error of its own operation, but clears none: on this chip they
//! are cleared in another register than the one it writes.

use core::ops::Range;

use bistable_port::bus_fault;
use bistable_port::checked::{Checked, Errors};
use bistable_port::flash::Part;
use cortex_m::peripheral::SCB;
use embassy_stm32::Peri;
use embassy_stm32::flash::{Blocking, FLASH_BASE, Flash as Driver};
use embassy_stm32::pac::{self, flash::regs::Ccr};
use embassy_stm32::peripherals;

/// The flash, from the first byte of bank 1 on.
pub(crate) type Flash = Part<Checked<Driver<'static, Blocking>, Flags>>;

/// Bytes of one bank, of two.
const BANK: u32 = 0x10_0000;

/// All that FLASH_CCR can clear but what is the CRC unit's: of operations and of reads, and two that come and go on chips on
/// which nothing is protected or secure (RDPERR and RDSERR).
const EVERY_FLAG: Ccr = Ccr(0x07EF_0000);

/// Bytes that one correction code covers.
const UNIT: u32 = 32;

pub(crate) fn checked(flash: Peri<'static, peripherals::FLASH>) -> Flash {
    Part::whole(Checked::new(Driver::new_blocking(flash), Flags))
}

/// The controller's flags of both banks, and the processor's of bus faults.
pub struct Flags;

impl Errors for Flags {
    fn clear(&mut self) {
        for bank in [0, 1] {
            pac::FLASH.bank(bank).ccr().write_value(EVERY_FLAG);
        }
        cortex_m::asm::dsb();
    }

    fn shielded<T>(&mut self, read: impl FnOnce() -> T) -> (T, bool) {
        bus_fault::shielded(read)
    }

    fn flagged(&mut self, offset: u32) -> bool {
        let bank = pac::FLASH.bank((offset / BANK) as usize);
        let unit = offset % BANK / UNIT;
        bank.sr().read().dbeccerr() && u32::from(bank.far().read().fail_ecc_addr()) == unit
    }

    fn changed(&mut self, range: Range<u32>) {
        if !SCB::dcache_enabled() {
            return;
        }
        // SAFETY: nobody else maintains caches meanwhile: each operation below stands for itself.
        let mut control = unsafe { cortex_m::Peripherals::steal() }.SCB;
        let address = FLASH_BASE + range.start as usize;
        // SAFETY: the range is one of flash, from one multiple of a line (32 bytes) to another: no line of it holds what
        // only the cache knows, for flash changes by no store of the program.
        unsafe { control.invalidate_dcache_by_address(address, range.len()) }
    }
}
