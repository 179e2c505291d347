//! The bootloader of each chip: the library's story on whichever board its package names.
#![no_std]
#![no_main]

use bistable_bootloader::{Product, boot};
use board::{Hardware, layout};

const PRODUCT: Product<'static> = Product {
    layout: &layout::LAYOUT,
    ring: &layout::KEY_RING,
    entry: layout::ENTRY,
    version: board::VERSION,
    crash_loop: layout::CRASH_LOOP,
};

/// See [`boot`].
#[board::entry]
fn main() -> ! {
    boot(Hardware::take(), &PRODUCT)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    board::reset()
}
