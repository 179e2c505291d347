//! Adapters over a HAL's flash: what a chip's flash is like, and what the traits want, brought together.
//!
//! Each is a flash over another one, over any `embedded_storage::nor_flash`; they can be stacked.
//!
//! | adapter | when |
//! | --- | --- |
//! | [`Part`] | always, over a driver that does not refuse what lies outside; and where it counts from another byte than the layout |
//! | [`Coarse`] | several small sectors are to be one |
//! | [`Either`] | the slots lie in different flashes |
//! | [`Shared`] | one driver serves several owners: journal and slots, or the application's settings |
//! | [`Aligned`] | the driver's DMA wants buffers at word boundaries |
//!
//! What the HALs do, as far as their sources say:
//!
//! | driver | what is to be known | so |
//! | --- | --- | --- |
//! | `embassy_stm32::flash`, a region (`Bank1Region3`, …) | offsets from the region's start, its own sector size; an erase is checked against the chip, not against the region, and goes on in the next one | `Part` |
//! | `embassy_stm32::flash::Flash`, the whole chip | offsets from the chip's start; `ERASE_SIZE` is the largest sector's, ranges are erased sector by sector: uneven sectors are even ones already, no `Coarse`; an erase beyond the end panics | `Part` |
//! | `embassy_nrf::nvmc::Nvmc` | bounds are added in 32 bits: a write at the end of the address range passes | `Part` |
//! | `embassy_nrf::qspi::Qspi` | panics where buffer, offset or length are no multiples of 4; every error is of kind `Other` | `Part<Aligned<_>>` |
//! | `embassy_rp::flash::Flash` | checks what it should; offsets from the chip's start | nothing |
//!
//! All of these say the write size that the chip has (32 bytes on an STM32H7), so none has to be told a larger one.

mod aligned;
mod coarse;
mod either;
mod error;
mod part;
mod shared;

pub use aligned::Aligned;
pub use coarse::Coarse;
pub use either::{Either, EitherError};
pub use error::Error;
pub use part::Part;
pub use shared::Shared;
