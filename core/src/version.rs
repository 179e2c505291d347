//! Versions, for people and for "the oldest bootloader that this image runs under".

use core::cmp::Ordering;
use core::fmt;

use crate::wire;

/// A semantic version (<https://semver.org>) without pre-release and build metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Version {
    /// Incompatible changes.
    pub major: u16,
    /// Additions.
    pub minor: u16,
    /// Corrections.
    pub patch: u16,
}

impl Ord for Version {
    /// As one number: number by number takes a bootloader 24 bytes more.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_number().cmp(&other.as_number())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Version {
    const fn as_number(self) -> u64 {
        (self.major as u64) << 32 | (self.minor as u64) << 16 | self.patch as u64
    }

    /// A version from its three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Six bytes: three little-endian numbers.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 6] {
        let mut bytes = [0; 6];
        wire::put(&mut bytes, 0, &self.major.to_le_bytes());
        wire::put(&mut bytes, 2, &self.minor.to_le_bytes());
        wire::put(&mut bytes, 4, &self.patch.to_le_bytes());
        bytes
    }

    /// The version in these six bytes.
    #[must_use]
    pub const fn from_bytes([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self::new(
            u16::from_le_bytes([a, b]),
            u16::from_le_bytes([c, d]),
            u16::from_le_bytes([e, f]),
        )
    }

    /// Reads `major.minor.patch`, three decimal numbers below 65,536 and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| {
            let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        });
        let version = Self::new(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Version {
    fn format(&self, formatter: defmt::Formatter<'_>) {
        defmt::write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        extern crate std;
        let version = Version::new(1, 20, 65535);
        assert_eq!(Version::parse(&std::format!("{version}")), Some(version));
    }

    #[test]
    fn anything_but_three_numbers_is_refused() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.x",
            "1.2.65536",
            "1..3",
            "+1.2.3",
            "1.2.3-rc1",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
