//! A panic: say where, and reset.

pub use board_kit::panic::report;

#[cfg(feature = "panic-reset")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    report(info);
    crate::reset::reset()
}
