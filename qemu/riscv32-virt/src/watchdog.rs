//! The watchdog, an Intel 6300ESB's, on the PCI bus (data sheet 300641, chapter 15).
//!
//! It has two stages: half of its time, and the other half, after which it resets the board. The first one's end is an interrupt
//! that is not connected here; [the machine timer](crate::last_words) gives the early warning in its place. Once armed it is
//! locked: only a reset stops it. It stands still at reset, so whoever starts first arms it, and everybody after
//! feeds it.

use crate::pci::{self, Function};
use crate::register::{Block, Register};
use crate::{early_warning, reset};

/// The watchdog, as bootloader and updater feed it: with the [usual period](PERIOD_MS).
#[derive(Debug)]
pub struct Watchdog;

impl bistable_core::watchdog::Watchdog for Watchdog {
    fn feed(&mut self) {
        if is_armed() {
            reload();
        } else {
            arm();
        }
    }
}

/// The period: early warning after 2 s without being fed, reset after 4 s. The chips say that an erase may take longer,
/// up to 4.1 s; it is fed while they are waited for (`ram_routine`).
pub const PERIOD_MS: u32 = 2_000;

/// Steps of each stage in that time: the 33 MHz of the bus, divided by 2^15.
const STEPS: u32 = PERIOD_MS.wrapping_mul(33_000) >> 15;

/// Vendor and device on the bus.
const IDENTITY: (u16, u16) = (0x8086, 0x25AB);

/// Where its registers answer.
const ADDRESS: u32 = 0x4000_0000;

// SAFETY: PCI devices answer there, once they are placed; `arm` and `take_expiry` place the watchdog's 16 bytes, and nothing else uses
// them before. It masters no bus.
const REGISTERS: Block = unsafe { Block::new(ADDRESS, 16) };
const FIRST_STAGE: Register = REGISTERS.register(0x00);
const SECOND_STAGE: Register = REGISTERS.register(0x04);
const RELOAD: Register<u16> = REGISTERS.register(0x0C);

const RELOAD_STAGES: u16 = 1 << 8;
/// It has reset the board; written, it is forgotten.
const HAS_EXPIRED: u16 = 1 << 9;
/// Each write to a register needs these two before it.
const UNLOCK: [u16; 2] = [0x80, 0x86];

/// How an armed watchdog is fed where this module cannot be called: write these to the register at this address.
pub(crate) const FEEDING: (u32, [u16; 3]) = (
    ADDRESS.wrapping_add(0x0C),
    [UNLOCK[0], UNLOCK[1], RELOAD_STAGES],
);

/// In configuration space, of 16 bits: reset at the end (bit 5 clear), slow steps (bit 2 clear), no interrupt between the
/// stages.
const CONFIGURATION: u32 = 0x60;
const NO_INTERRUPT: u16 = 0b11;

/// In configuration space, of 8 bits.
const LOCK: u32 = 0x68;
const LOCKED: u8 = 1;
const ENABLED: u8 = 1 << 1;

/// Feeds it: the time begins again, and an early warning that was raised already is taken back. Does nothing to
/// a watchdog that was never armed.
pub fn feed() {
    if is_armed() {
        reload();
    }
}

/// Whether it was armed since the last reset.
pub fn is_armed() -> bool {
    function().register::<u8>(LOCK).read() & ENABLED != 0
}

/// Whether it was the one that reset the board; only the first answer after such a reset is yes.
pub(crate) fn take_expiry() -> bool {
    place(function());
    let expired = RELOAD.read() & HAS_EXPIRED != 0;
    if expired {
        unlock();
        RELOAD.write(HAS_EXPIRED);
    }
    expired
}

fn arm() {
    let function = function();
    place(function);
    function.register(CONFIGURATION).write(NO_INTERRUPT);
    for stage in [FIRST_STAGE, SECOND_STAGE] {
        unlock();
        stage.write(STEPS);
    }
    function.register(LOCK).write(ENABLED | LOCKED);
    reload();
}

fn reload() {
    unlock();
    RELOAD.write(RELOAD_STAGES);
    early_warning::in_milliseconds(PERIOD_MS);
}

fn unlock() {
    for word in UNLOCK {
        RELOAD.write(word);
    }
}

/// Nothing may run without it.
fn function() -> Function {
    let (vendor, device) = IDENTITY;
    match pci::find(vendor, device) {
        Some(function) => function,
        None => reset::incomplete(),
    }
}

fn place(function: Function) {
    if function.place_bar(0, ADDRESS).is_err() {
        reset::incomplete()
    }
}
