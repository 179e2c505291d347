//! The profiles of the bootloader, and how each is built.

use std::fmt::{self, Display, Formatter};

/// What the bootloader was made to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Profile {
    /// Few bytes.
    Small,
}

impl Profile {
    /// All of them.
    pub(crate) const ALL: [Self; 1] = [Self::Small];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
        }
    }

    /// What cargo is told, besides the package.
    pub(crate) const fn cargo(self) -> &'static [&'static str] {
        match self {
            Self::Small => &["--profile", "firmware"],
        }
    }

    /// The folder that cargo puts it into, below that of the target.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Small => "firmware",
        }
    }
}

impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
