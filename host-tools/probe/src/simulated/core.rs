//! The simulated processor: the debug registers of a Cortex-M3 (ARMv7-M Architecture Reference Manual, C1.6), and
//! as many of its instructions as a flash algorithm for this chip is made of.
//!
//! | instruction | encoding | what it does |
//! | --- | --- | --- |
//! | `nop` | `BF00` | nothing |
//! | `svc n` | `DF00 + n` | asks the flash controller: 0 init, 1 end, 2 erase the sector at r0, 3 program r1 bytes from r2 at r0; r0 is 0 if it did |
//! | `bx lr` | `4770` | returns |
//! | `bkpt` | `BE00` | halts |
//!
//! Anything else in RAM locks the processor up. Instructions in flash are not looked at: there the unit's firmware
//! begins, which is told natively by [`Firmware`].

use std::collections::BTreeMap;

use super::chip::{BusFault, Chip};
use super::firmware::Firmware;

mod register {
    pub(super) const FP_CTRL: u32 = 0xE000_2000;
    pub(super) const CPUID: u32 = 0xE000_ED00;
    pub(super) const AIRCR: u32 = 0xE000_ED0C;
    pub(super) const DFSR: u32 = 0xE000_ED30;
    pub(super) const DHCSR: u32 = 0xE000_EDF0;
    pub(super) const DCRSR: u32 = 0xE000_EDF4;
    pub(super) const DCRDR: u32 = 0xE000_EDF8;
    pub(super) const DEMCR: u32 = 0xE000_EDFC;
    /// The private peripheral bus.
    pub(super) const PRIVATE: std::ops::Range<u32> = 0xE000_0000..0xE010_0000;
}

mod dhcsr {
    pub(super) const DEBUGEN: u32 = 1;
    pub(super) const HALT: u32 = 1 << 1;
    pub(super) const STEP: u32 = 1 << 2;
    pub(super) const REGRDY: u32 = 1 << 16;
    pub(super) const HALTED: u32 = 1 << 17;
    pub(super) const LOCKUP: u32 = 1 << 19;
    pub(super) const RESET: u32 = 1 << 25;
    pub(super) const KEY: u32 = 0xA05F;
}

mod dfsr {
    pub(super) const HALTED: u32 = 1;
    pub(super) const BKPT: u32 = 1 << 1;
    pub(super) const VCATCH: u32 = 1 << 3;
}

const VC_CORERESET: u32 = 1;
const SYSRESETREQ: u32 = 1 << 2;
const AIRCR_KEY: u32 = 0x05FA;
/// A Cortex-M3, r2p1.
const CPUID: u32 = 0x412F_C231;
/// Six instruction comparators, two for literals (revision 1 of the unit).
const FP_CTRL: u32 = 0x260;
const THUMB: u32 = 1 << 24;
const R0: usize = 0;
const SP: usize = 13;
const LR: usize = 14;
const PC: usize = 15;
const XPSR: usize = 16;
/// No routine of a flash algorithm for this chip is longer.
const MAX_INSTRUCTIONS: usize = 1000;

/// What the processor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Activity {
    Running,
    Halted,
    LockedUp,
}

/// The processor, with the chip around it.
pub(crate) struct Core {
    chip: Chip,
    firmware: Firmware,
    activity: Activity,
    /// Whether the firmware has said its line since the last reset.
    started: bool,
    registers: [u32; 128],
    dhcsr: u32,
    dfsr: u32,
    demcr: u32,
    dcrdr: u32,
    was_reset: bool,
    /// What is written to the other registers of the private peripheral bus, and read back.
    others: BTreeMap<u32, u32>,
}

impl Core {
    /// The chip after power-on: it runs.
    pub(crate) fn power_on(chip: Chip, firmware: Firmware) -> Self {
        let mut core = Self {
            chip,
            firmware,
            activity: Activity::Running,
            started: false,
            registers: [0; 128],
            dhcsr: 0,
            dfsr: 0,
            demcr: 0,
            dcrdr: 0,
            was_reset: false,
            others: BTreeMap::from([(register::FP_CTRL, FP_CTRL), (register::CPUID, CPUID)]),
        };
        core.start_at_vectors();
        core.run();
        core
    }

    /// What a debugger reads.
    pub(crate) fn read_word(&mut self, address: u32) -> Result<u32, BusFault> {
        Ok(match address {
            register::DHCSR => self.status(),
            register::DFSR => self.dfsr,
            register::DEMCR => self.demcr,
            register::DCRDR => self.dcrdr,
            _ if register::PRIVATE.contains(&address) => {
                self.others.get(&address).copied().unwrap_or(0)
            }
            _ => u32::from_le_bytes(self.chip.read(address)?),
        })
    }

    /// What a debugger reads, as a half word or a byte.
    pub(crate) fn read_part<const N: usize>(&self, address: u32) -> Result<[u8; N], BusFault> {
        self.chip.read(address)
    }

    /// What a debugger writes.
    pub(crate) fn write_word(&mut self, address: u32, word: u32) -> Result<(), BusFault> {
        match address {
            register::DHCSR if word >> 16 == dhcsr::KEY => self.control(word & 0xFFFF),
            register::DHCSR => {}
            register::DFSR => self.dfsr &= !word,
            register::DEMCR => self.demcr = word,
            register::DCRDR => self.dcrdr = word,
            register::DCRSR => self.transfer(word),
            register::AIRCR if word >> 16 == AIRCR_KEY && word & SYSRESETREQ != 0 => self.reset(),
            register::AIRCR => {}
            register::FP_CTRL => {
                self.others.insert(address, FP_CTRL | word & 1);
            }
            _ if register::PRIVATE.contains(&address) => {
                self.others.insert(address, word);
            }
            _ => return self.chip.write(address, &word.to_le_bytes()),
        }
        Ok(())
    }

    /// What a debugger writes, as a half word or a byte.
    pub(crate) fn write_part(&mut self, address: u32, bytes: &[u8]) -> Result<(), BusFault> {
        self.chip.write(address, bytes)
    }

    /// A reset, by AIRCR or by the pin.
    pub(crate) fn reset(&mut self) {
        self.chip.reset();
        self.was_reset = true;
        self.started = false;
        self.start_at_vectors();
        let caught = self.dhcsr & dhcsr::DEBUGEN != 0 && self.demcr & VC_CORERESET != 0;
        if caught {
            self.halt(dfsr::VCATCH);
        } else {
            self.activity = Activity::Running;
            self.run();
        }
    }

    fn start_at_vectors(&mut self) {
        let (stack, entry) = self.chip.vectors().unwrap_or_default();
        self.registers[SP] = stack;
        self.registers[PC] = entry & !1;
        self.registers[XPSR] = THUMB;
    }

    /// DHCSR, as it is read: that there was a reset is said once.
    fn status(&mut self) -> u32 {
        let reset = [0, dhcsr::RESET][usize::from(std::mem::take(&mut self.was_reset))];
        let activity = match self.activity {
            Activity::Running => 0,
            Activity::Halted => dhcsr::HALTED,
            Activity::LockedUp => dhcsr::LOCKUP,
        };
        self.dhcsr | dhcsr::REGRDY | activity | reset
    }

    /// DHCSR, as it is written.
    fn control(&mut self, bits: u32) {
        self.dhcsr = bits;
        let debugged = bits & dhcsr::DEBUGEN != 0;
        match (debugged && bits & dhcsr::HALT != 0, self.activity) {
            (true, Activity::Halted) => {}
            (true, _) => self.halt(dfsr::HALTED),
            (false, Activity::Halted) if debugged && bits & dhcsr::STEP != 0 => {
                self.activity = Activity::Running;
                self.step();
                if self.activity == Activity::Running {
                    self.halt(dfsr::HALTED);
                }
            }
            (false, Activity::Halted) => {
                self.activity = Activity::Running;
                self.run();
            }
            (false, _) => {}
        }
    }

    fn halt(&mut self, reason: u32) {
        self.activity = Activity::Halted;
        self.dfsr |= reason;
    }

    /// DCRSR: a register goes to DCRDR, or comes from it. The lowest bit of a return address is none.
    fn transfer(&mut self, selection: u32) {
        let number = (selection & 0x7F) as usize;
        let Some(register) = self.registers.get_mut(number) else {
            return;
        };
        match selection & 1 << 16 {
            0 => self.dcrdr = *register,
            _ if number == PC => *register = self.dcrdr & !1,
            _ => *register = self.dcrdr,
        }
    }

    fn run(&mut self) {
        for _ in 0..MAX_INSTRUCTIONS {
            if self.activity != Activity::Running || self.chip.is_flash(self.registers[PC]) {
                break;
            }
            self.step();
        }
        let in_flash = self.activity == Activity::Running && self.chip.is_flash(self.registers[PC]);
        if in_flash && !std::mem::replace(&mut self.started, true) {
            self.firmware.start(&mut self.chip);
        }
    }

    /// One instruction.
    fn step(&mut self) {
        let pc = self.registers[PC];
        if self.chip.is_flash(pc) {
            self.registers[PC] = pc.wrapping_add(2);
            return;
        }
        let instruction = self.chip.fetch(pc).map(u16::from_le_bytes);
        match instruction {
            Ok(0xBF00) => {}
            Ok(svc @ 0xDF00..=0xDFFF) => self.registers[R0] = self.flash_controller(svc & 0xFF),
            Ok(0x4770) => {
                self.registers[PC] = self.registers[LR] & !1;
                return;
            }
            Ok(0xBE00) if self.dhcsr & dhcsr::DEBUGEN != 0 => return self.halt(dfsr::BKPT),
            _ => {
                self.activity = Activity::LockedUp;
                return;
            }
        }
        self.registers[PC] = pc.wrapping_add(2);
    }

    fn flash_controller(&mut self, order: u16) -> u32 {
        let [address, length, from] = [0, 1, 2].map(|register| self.registers[register]);
        let done = match order {
            0 | 1 => true,
            2 => self.chip.erase(address),
            3 => {
                let bytes = (0..length).map(|at| self.chip.fetch::<1>(from.wrapping_add(at)));
                let bytes: Result<Vec<u8>, _> = bytes.map(|byte| byte.map(|[byte]| byte)).collect();
                bytes.is_ok_and(|bytes| self.chip.program(address, &bytes))
            }
            _ => false,
        };
        u32::from(!done)
    }
}
