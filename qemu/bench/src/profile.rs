//! The profiles of the bootloader, and how each is built.

use std::fmt::{self, Display, Formatter};

/// What the bootloader was made to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Profile {
    /// Its name.
    name: &'static str,
    /// The profile of cargo, which is also the name of the folder that cargo puts it into.
    pub(crate) cargo: &'static str,
    /// Features of the bootloader's package, besides its log, and without its default ones.
    pub(crate) features: &'static [&'static str],
}

impl Profile {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self {
            name: "small",
            cargo: "firmware",
            features: &["small"],
        },
        Self {
            name: "fast",
            cargo: "fast",
            features: &["fast"],
        },
    ];
}

impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}
