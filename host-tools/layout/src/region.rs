//! A named range of bytes on a device, and the checks between two of them.

use std::fmt;

use crate::error::Problem;

/// A named range of bytes on a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// What lies there, for people: "slot A".
    pub name: String,
    /// The device that it lies on: the flash's name, or "address space".
    pub device: String,
    /// First byte, from the start of the device.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Region {
    pub(crate) fn new(
        name: impl Into<String>,
        device: &str,
        start: impl Into<u64>,
        size: impl Into<u64>,
    ) -> Self {
        let start = start.into();
        Self {
            name: name.into(),
            device: device.into(),
            start,
            end: start.saturating_add(size.into()),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.device == other.device && self.start < other.end && other.start < self.end
    }

    pub(crate) fn check_inside(&self, device: &Self) -> Result<(), Problem> {
        if device.start <= self.start && self.end <= device.end {
            return Ok(());
        }
        Err(Problem::Outside {
            region: Box::new(self.clone()),
            device: Box::new(device.clone()),
        })
    }

    pub(crate) fn check_aligned(&self, erase_size: u32) -> Result<(), Problem> {
        let size = u64::from(erase_size);
        if self.start.is_multiple_of(size) && self.end.is_multiple_of(size) {
            return Ok(());
        }
        Err(Problem::Misaligned {
            region: self.clone(),
            erase_size,
        })
    }
}

/// Refuses the first pair that shares bytes.
pub(crate) fn check_disjoint(regions: &[Region]) -> Result<(), Problem> {
    for (index, first) in regions.iter().enumerate() {
        let mut later = regions.iter().skip(index + 1);
        if let Some(second) = later.find(|second| first.overlaps(second)) {
            return Err(Problem::Overlap {
                first: Box::new(first.clone()),
                second: Box::new(second.clone()),
            });
        }
    }
    Ok(())
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} ({} {:#x}..{:#x})",
            self.name, self.device, self.start, self.end
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_overlap_and_one_shared_byte_does() {
        let slot = Region::new("slot A", "main", 0x1000_u32, 0x1000_u32);
        let after = Region::new("data", "main", 0x2000_u32, 0x1000_u32);
        let before = Region::new("data", "main", 0_u32, 0x1000_u32);
        let shared = Region::new("data", "main", 0x1fff_u32, 1_u32);
        let elsewhere = Region::new("data", "boot", 0x1fff_u32, 1_u32);
        assert!(check_disjoint(&[slot.clone(), after, before, elsewhere]).is_ok());
        assert!(check_disjoint(&[slot, shared]).is_err());
    }

    #[test]
    fn an_overlap_names_both_parties_and_where_they_lie() {
        let slot = Region::new("slot A", "main", 0x2_0000_u32, 0x8_0000_u32);
        let data = Region::new("partition `data`", "main", 0x1_f000_u32, 0x2000_u32);
        assert_eq!(
            check_disjoint(&[slot, data]).unwrap_err().to_string(),
            "slot A (main 0x20000..0xa0000) overlaps partition `data` (main 0x1f000..0x21000): \
             move one of them"
        );
    }
}
