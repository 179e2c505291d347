//! What a program may do once, such as taking a peripheral that its HAL hands out to everybody.

use core::sync::atomic::{AtomicBool, Ordering};

/// Whether it was done.
pub struct Once(AtomicBool);

impl Once {
    /// Not done yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Does it. Not for exception handlers: chips without a swap of memory have a load and a store.
    ///
    /// # Panics
    /// The second time.
    pub fn claim(&self) {
        assert!(!self.0.load(Ordering::Relaxed), "taken twice");
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

/// Panics when it is come by a second time.
#[macro_export]
macro_rules! once {
    () => {{
        static ONCE: $crate::once::Once = $crate::once::Once::new();
        ONCE.claim();
    }};
}

#[cfg(test)]
mod tests {
    fn comes_by() {
        crate::once!();
    }

    #[test]
    #[should_panic(expected = "taken twice")]
    fn what_is_done_once_is_not_done_twice() {
        comes_by();
        comes_by();
    }
}
