//! Log lines, which vanish with the feature `defmt`.

/// `defmt::info!`, or nothing.
macro_rules! info {
    ($($token:tt)*) => {
        #[cfg(feature = "defmt")]
        defmt::info!($($token)*);
    };
}

/// `defmt::warn!`, or nothing.
macro_rules! warning {
    ($($token:tt)*) => {
        #[cfg(feature = "defmt")]
        defmt::warn!($($token)*);
    };
}

pub(crate) use {info, warning};
