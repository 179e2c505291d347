//! What the port of Bistable to a chip is made of, besides the drivers that its HAL has.
//!
//! | part | what for |
//! | --- | --- |
//! | `cortex_m`, `riscv` | leaving the bootloader for an image: the processor as after a reset, and the jump |
//! | `forward` | interrupts for an image on a Cortex-M0 without VTOR |
//! | [`checked`], `bus_fault` | flash with error correction: what cannot be read is an error |
//! | [`clock`] | a clock of 64 bits from a counter of 32 |
//! | [`survivor`] | the block of RAM that survives a reset: the handover |
//! | [`flash`] | adapters over a HAL's flash: bounds, uneven sectors, two flashes |
//! | [`rom_pages`] | flash behind a ROM that programs whole pages |
//! | [`rom_pages`], `from_ram` | flash behind a ROM that programs whole pages, called by what does not lie in it |
//! | [`once`](mod@once) | what a program may take once |
//! | [`register`] | registers of a peripheral that no HAL knows |
//!
//! What belongs to a processor is there for its target alone: `cargo doc --target thumbv7m-none-eabi` shows it.
//! `docs/porting.md` shows how a port is put together.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(all(target_arch = "arm", not(armv6m)))]
pub mod bus_fault;
pub mod checked;
pub mod clock;
#[cfg(target_arch = "arm")]
pub mod cortex_m;
pub mod flash;
pub mod forward;
#[cfg(all(target_arch = "riscv32", feature = "from-ram"))]
pub mod from_ram;
pub mod once;
pub mod register;
#[cfg(target_arch = "riscv32")]
pub mod riscv;
pub mod rom_pages;
pub mod survivor;
