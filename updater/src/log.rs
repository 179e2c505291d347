//! Log lines, which vanish with the feature `defmt`.

/// `defmt::info!`, or nothing.
macro_rules! info {
    ($($token:tt)*) => {
        #[cfg(feature = "defmt")]
        defmt::info!($($token)*);
    };
}

pub(crate) use info;
