//! The watchdog, as bootloader and updater see it.

/// A watchdog that is never off again once it was fed.
pub trait Watchdog {
    /// Arms the watchdog, or feeds it if it runs. Its period must exceed the longest erase.
    fn feed(&mut self);
}
