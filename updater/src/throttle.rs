//! How often a download may begin: a signed header is public, so a stranger could replay old ones to
//! wear the flash out.

/// Tokens after a boot.
pub(crate) const TOKENS_AT_BOOT: u8 = 8;

/// One more after this many milliseconds: a day.
pub(crate) const REFILL_MS: u64 = 24 * 60 * 60 * 1000;

/// A bucket of tokens. A change of image, or resuming by hashing, costs one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Throttle {
    tokens: u8,
    refilled_at: u64,
}

impl Throttle {
    /// A full bucket, at `now` (milliseconds since this boot).
    #[must_use]
    pub(crate) const fn new(now: u64) -> Self {
        Self {
            tokens: TOKENS_AT_BOOT,
            refilled_at: now,
        }
    }

    /// The bucket at `now`, with what has flowed in since. It never holds more than at boot.
    #[must_use]
    pub(crate) fn at(self, now: u64) -> Self {
        let days = now.saturating_sub(self.refilled_at) / REFILL_MS;
        let tokens = u64::from(self.tokens).saturating_add(days);
        Self {
            tokens: tokens.min(TOKENS_AT_BOOT.into()) as u8,
            refilled_at: self
                .refilled_at
                .saturating_add(days.saturating_mul(REFILL_MS)),
        }
    }

    /// Whether there is a token.
    #[must_use]
    pub(crate) const fn has_token(self) -> bool {
        self.tokens > 0
    }

    /// With one token less.
    #[must_use]
    pub(crate) const fn spend(self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(1),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_boot_and_one_more_a_day() {
        let mut throttle = Throttle::new(5);
        for _ in 0..TOKENS_AT_BOOT {
            assert!(throttle.has_token());
            throttle = throttle.spend();
        }
        assert!(!throttle.at(5 + REFILL_MS - 1).has_token());
        let next_day = throttle.at(5 + REFILL_MS);
        assert!(next_day.has_token());
        assert!(!next_day.spend().at(5 + 2 * REFILL_MS - 1).has_token());
    }

    #[test]
    fn a_year_fills_the_bucket_and_no_more() {
        let year = Throttle::new(0).spend().at(365 * REFILL_MS);
        assert_eq!(year.tokens, TOKENS_AT_BOOT);
    }
}
