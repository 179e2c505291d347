//! Board support for QEMU's `virt` with a 32-bit RISC-V processor, which executes from NOR flash.
//!
//! Addresses are those of QEMU's documentation and device tree of the machine; registers follow the RISC-V Privileged
//! Architecture (1.12) and the ACLINT specification, the PC16550D data sheet, the PCI Local Bus Specification and
//! the Intel 6300ESB data sheet.
//!
//! ```text
//! 0x0010_0000  test finisher  resets the board (`reset`)
//! 0x0200_0000  ACLINT         milliseconds since reset (`clock`), the early warning (`last_words!`)
//! 0x1000_0000  16550          one UART for the log of bootloader and application
//! 0x1000_1000  virtio         transports of devices, one of them the network card (`ethernet`, `net`)
//! 0x2000_0000  NOR flash      32 MiB, read only: the bootloader; the processor starts at its first byte
//! 0x2200_0000  NOR flash      32 MiB, a file of the host: journal and slots (`flash`), executable in place
//! 0x3000_0000  PCI            configuration spaces (`pci`): watchdog, memory shared with the host
//! 0x4000_0000  PCI            where devices answer: the watchdog (`watchdog`)
//! 0x4400_0000  PCI            memory shared with the host: the notes about the flash (`flash`)
//! 0x8000_0000  RAM   16 MiB   its first 256 bytes survive a reset: the handover (`memory`)
//! ```
//!
//! # Last words
//!
//! Nothing here is non-maskable. The watchdog's first stage raises nothing that reaches the processor, so the machine
//! timer stands in: each feeding sets it to half of the time until the reset, and its interrupt is the early warning whose
//! handler notes what was running ([`last_words!`]). [`reset::hang`] leaves this one interrupt enabled. A program that hangs
//! with interrupts off (`mstatus.MIE` clear) is reset all the same, and leaves no last words. An exception that
//! nobody handles notes where it happened, and then waits for the watchdog, as a HardFault would; before the watchdog is
//! armed it resets the board.
//!
//! A firmware that links this crate keeps its own RAM from 0x8000_0100 on: [`memory`] owns what is below. The
//! last 64 KiB of its RAM are the [`stack`]'s.
#![no_std]
#![cfg(target_os = "none")]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod clock;
#[cfg(feature = "ethernet")]
mod dma;
mod early_warning;
#[cfg(feature = "ethernet")]
pub mod ethernet;
pub mod flash;
mod flash_bus;
pub mod fuses;
pub mod handover;
pub mod jump;
mod last_words;
#[cfg(feature = "defmt")]
pub mod log;
pub mod memory;
#[cfg(feature = "ethernet")]
pub mod net;
mod notes;
#[cfg(feature = "defmt")]
pub mod panic;
pub mod pci;
mod ram_routine;
pub mod reset;
pub mod self_test;
pub mod stack;
mod start;
pub mod uart;
pub mod watchdog;

pub use board_kit::leftover;
pub use riscv_rt::entry;

#[doc(hidden)]
pub use last_words::__private;

use bistable_port::register;
