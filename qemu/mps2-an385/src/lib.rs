//! Board support for QEMU's `mps2-an385`: a Cortex-M3 with memory that survives the emulator.
//!
//! Addresses and registers follow Arm AN385 (the FPGA image), DDI0479 (the CMSDK peripherals), the
//! SMSC LAN9118 data sheet and the ARMv7-M Architecture Reference Manual.
//!
//! ```text
//! 0x0000_0000  SSRAM 4 MiB   the bootloader; loaded again at every reset
//! 0x2000_0000  RAM   4 MiB   its first 256 bytes survive a reset: the handover (`memory`)
//! 0x2100_0000  PSRAM 16 MiB  a file of the host: flash (`flash`), executable in place
//! 0x4000_1000  APB timer 1 (`embassy_time`);  0x4000_2000 dual timer (`timer`)
//! 0x4000_4000  UART 0        the bootloader's log;  0x4000_5000 UART 1: the application's
//! 0x4000_8000  watchdog      first expiry NMI (`last_words!`), second reset
//! 0x4002_8000  FPGAIO        milliseconds since reset (`clock`)
//! 0x4020_0000  LAN9118       Ethernet (`ethernet`, `net`)
//! ```
//!
//! What the emulator does not have: a reset-reason register (a word in the handover tells power-on from
//! the rest), a cycle counter, and a lock-up that resets (it aborts the emulator).
//!
//! A firmware that links this crate keeps its own RAM from 0x2000_0100 on: [`memory`] owns what is below. The
//! last 64 KiB of RAM are the [`stack`]'s.
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
#[cfg(feature = "embassy")]
pub mod embassy_time;
#[cfg(feature = "ethernet")]
pub mod ethernet;
pub mod flash;
pub mod fuses;
pub mod handover;
pub mod jump;
mod last_words;
#[cfg(feature = "defmt")]
pub mod log;
pub mod memory;
#[cfg(feature = "compact-memory")]
mod memory_functions;
#[cfg(feature = "ethernet")]
pub mod net;
#[cfg(feature = "defmt")]
pub mod panic;
pub mod reset;
pub mod self_test;
pub mod stack;
#[cfg(feature = "interrupts")]
pub mod timer;
pub mod uart;
mod vectors;
#[cfg(feature = "ethernet")]
mod wake;
pub mod watchdog;

pub use board_kit::leftover;
pub use cortex_m_rt::entry;
#[cfg(feature = "interrupts")]
pub use cortex_m_rt::{exception, interrupt};
#[cfg(feature = "interrupts")]
pub use vectors::{Interrupt, Interrupt as interrupt};

use bistable_port::register;
