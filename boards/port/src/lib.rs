//! What the port of Bistable to a chip is made of, besides the drivers that its HAL has.
//!
//! | part | what for |
//! | --- | --- |
//! | [`cortex_m`], [`riscv`] | leaving the bootloader for an image: the processor as after a reset, and the jump |
//! | [`survivor`] | the block of RAM that survives a reset: the handover |
//! | [`rom_pages`], [`from_ram`] | flash behind a ROM that programs whole pages, called by what does not lie in it |
//! | [`register`] | registers of a peripheral that no HAL knows |
//!
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

#[cfg(target_arch = "arm")]
pub mod cortex_m;
#[cfg(target_arch = "riscv32")]
pub mod from_ram;
pub mod register;
#[cfg(target_arch = "riscv32")]
pub mod riscv;
pub mod rom_pages;
pub mod survivor;
