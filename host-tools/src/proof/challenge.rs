//! What a server asks a unit to answer, so that its receipt is fresh: made from a secret and the time, so that
//! nothing has to be remembered of those who asked.
//!
//! ```text
//!   0         8                                       32
//!   │ seconds │ HMAC-SHA256 of them (RFC 2104), cut to 24 bytes │
//! ```
//!
//! The seconds are those since the server started, by a clock that nobody sets, and the secret is made at the
//! start: a challenge is answered to the server that made it, or not at all.

use std::time::{Duration, Instant};

use bistable_updater::receipt::Challenge;
use hmac_sha256::HMAC;

use crate::Error;

/// How long a challenge can be answered.
pub const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Makes challenges, and knows them again.
pub struct Challenges {
    secret: [u8; 32],
    started: Instant,
}

impl Challenges {
    /// With a secret of its own.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            secret: random()?,
            started: Instant::now(),
        })
    }

    /// One that can be answered from now on.
    #[must_use]
    pub fn make(&self) -> Challenge {
        self.at(self.started.elapsed())
    }

    /// Whether it was made here, and is not too old.
    #[must_use]
    pub fn can_be_answered(&self, challenge: &Challenge) -> bool {
        self.is_alive(challenge, self.started.elapsed())
    }

    fn at(&self, now: Duration) -> Challenge {
        let seconds = now.as_secs().to_le_bytes();
        let mut challenge = HMAC::mac(seconds, self.secret);
        if let Some(place) = challenge.first_chunk_mut() {
            *place = seconds;
        }
        challenge
    }

    fn is_alive(&self, challenge: &Challenge, now: Duration) -> bool {
        let made = challenge.first_chunk().copied().map(u64::from_le_bytes);
        made.map(Duration::from_secs).is_some_and(|made| {
            let age = now.checked_sub(made);
            age.is_some_and(|age| age < LIFETIME) && self.at(made) == *challenge
        })
    }
}

/// 32 bytes that nobody can guess.
///
/// # Errors
/// The operating system gives none.
pub fn random() -> Result<Challenge, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Io {
        place: "the operating system".into(),
        doing: "get random bytes",
        source: error.into(),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_challenge_lives_for_five_minutes() {
        let server = Challenges::new().unwrap();
        let challenge = server.at(at(1000));
        for (now, alive) in [(999, false), (1000, true), (1299, true), (1300, false)] {
            assert_eq!(server.is_alive(&challenge, at(now)), alive, "{now}");
        }
        assert!(server.can_be_answered(&server.make()));
    }

    #[test]
    fn no_challenge_is_made_younger_or_by_another_server() {
        let server = Challenges::new().unwrap();
        let mut challenge = server.at(at(1000));
        challenge[..8].copy_from_slice(&2000_u64.to_le_bytes());
        assert!(!server.is_alive(&challenge, at(2001)));
        let other = Challenges::new().unwrap();
        assert!(!other.is_alive(&server.at(at(5)), at(5)));
        assert!(!server.is_alive(&[0; 32], at(0)));
        assert!(!server.is_alive(&[0xFF; 32], at(0)));
    }
}
