//! Whether a beat is kept: how many came, and the longest distance between two.
//!
//! The distances from the beginning to the first beat and from the last one to the end count, too: a beat that stops is not one
//! that is kept.

/// Beats that are counted from a beginning on. Times are in microseconds, of one clock that never goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beats {
    begun: u64,
    last: u64,
    count: u32,
    longest: u64,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// How many beats came.
    pub count: u32,
    /// From the beginning to the end, in microseconds.
    pub during: u64,
    /// The longest time without a beat, in microseconds.
    pub longest: u64,
}

impl Beats {
    /// Counting begins now.
    #[must_use]
    pub const fn begin(now: u64) -> Self {
        Self {
            begun: now,
            last: now,
            count: 0,
            longest: 0,
        }
    }

    /// A beat comes now.
    pub fn beat(&mut self, now: u64) {
        self.longest = self.longest.max(now.saturating_sub(self.last));
        self.last = now;
        self.count = self.count.saturating_add(1);
    }

    /// Counting ends now.
    #[must_use]
    pub fn end(self, now: u64) -> Measured {
        Measured {
            count: self.count,
            during: now.saturating_sub(self.begun),
            longest: self.longest.max(now.saturating_sub(self.last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(beats: &[u64], end: u64) -> Measured {
        let mut counted = Beats::begin(100);
        beats.iter().for_each(|now| counted.beat(*now));
        counted.end(end)
    }

    #[test]
    fn the_longest_distance_is_between_two_beats() {
        let found = measured(&[110, 120, 133, 143], 150);
        assert_eq!((found.count, found.during, found.longest), (4, 50, 13));
    }

    #[test]
    fn a_beat_that_comes_late_or_stops_is_noticed() {
        assert_eq!(measured(&[125, 135], 136).longest, 25);
        assert_eq!(measured(&[110, 120], 160).longest, 40);
    }

    #[test]
    fn no_beat_at_all_is_the_longest_distance() {
        let found = measured(&[], 1100);
        assert_eq!((found.count, found.during, found.longest), (0, 1000, 1000));
    }
}
