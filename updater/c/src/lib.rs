//! The updater for applications in C: what stands behind `bistable.h`.
//!
//! ```text
//!   application in C ─▶ bistable.h ─▶ a product's static library ─▶ export! ─▶ Instance ─▶ Updater
//!                                     (its platform, its facts)
//! ```
//!
//! A product has a crate of a few lines that is a `staticlib`: it names its
//! [`Platform`](bistable_updater::Platform), how that is opened, and its
//! [`Product`](bistable_updater::Product), and calls [`export!`]. The crate also brings what any Rust
//! program on a device brings: a panic handler (let it reset the board, for C cannot catch a panic) and
//! an implementation of `critical-section`. `docs/c.md` is the tutorial.
//!
//! C can pass any pointer and call from anywhere. What can be noticed is refused with a number:
//! null pointers, calls before the start, calls within another call. Nothing else is `unsafe` here than
//! what C promises in the header.
#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod code;
mod instance;
mod source;
mod status;

pub use code::Misuse;
pub use instance::Instance;
pub use source::Read;
pub use status::Status;

#[doc(hidden)]
pub use core::ffi::c_void;

/// Defines the functions of `bistable.h` for one product.
///
/// - `$platform`: its [`Platform`](bistable_updater::Platform), which is `Send`;
/// - `$open`: an expression that opens it, an `Option` of it; it is evaluated once, in `bistable_start`;
/// - `$product`: the path of a constant [`Product`](bistable_updater::Product).
///
/// ```ignore
/// bistable_updater_c::export!(Board, Board::open().ok(), PRODUCT);
/// ```
#[macro_export]
macro_rules! export {
    ($platform:ty, $open:expr, $product:path) => {
        /// The one updater of this program.
        static BISTABLE: $crate::Instance<$platform, { $product.layout.chunk_size as usize }> =
            $crate::Instance::new();

        // SAFETY of all of these: the names are those of `bistable.h`, and a program links one library
        // that defines them. What they demand of pointers is what the header demands.

        #[unsafe(no_mangle)]
        extern "C" fn bistable_start() -> u16 {
            // The library is part of the program, so its own code tells which slot runs.
            let here = bistable_start as *const () as usize as u32;
            BISTABLE.start(|| $open, $product, here)
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn bistable_status(status: *mut $crate::Status) -> u16 {
            // SAFETY: C hands over a pointer that is null or may be written through.
            unsafe { BISTABLE.status(status) }
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_check(number: u8, passed: bool) -> u16 {
            BISTABLE.check(number, passed)
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_source_answered() -> u16 {
            BISTABLE.source_answered()
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn bistable_judge(verdict: *mut u8) -> u16 {
            // SAFETY: C hands over a pointer that is null or may be written through.
            unsafe { BISTABLE.judge(verdict) }
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_confirm() -> u16 {
            BISTABLE.confirm()
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_reject(number: u8) -> u16 {
            BISTABLE.reject(number)
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_feed() -> u16 {
            BISTABLE.feed()
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_migrated(schema: u16) -> u16 {
            BISTABLE.migrated(schema)
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn bistable_download(
            read: Option<$crate::Read>,
            context: *mut $crate::c_void,
            from_network: bool,
        ) -> u16 {
            // SAFETY: C hands over a function that takes this context, fills no more than it is told
            // to, and returns.
            unsafe { BISTABLE.download(read, context, from_network) }
        }

        #[unsafe(no_mangle)]
        extern "C" fn bistable_reset() -> u16 {
            BISTABLE.reset()
        }
    };
}
