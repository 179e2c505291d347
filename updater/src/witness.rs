//! The witness: signs receipts, and keeps each in the [ledger](bistable_core::ledger) before anybody sees it.
//!
//! # Why no number is given out for two receipts
//!
//! A receipt is given out only by a boot in whose ledger all sectors are whole ([`Witness::open`] heals them first) and only
//! once it is whole there itself. The journal's rules then promise that it stays, or that a later one that was
//! given out took its place: a write never touches the newest, and whatever a cut leaves is decided before the next boot gives
//! anything out, once and for all. A write that was cut has either become the newest receipt, which the next one follows, or it is gone,
//! was never given out, and its number is free. So the next receipt, made of the newest in the ledger, has a number that no
//! receipt had that was given out, and names the last one that was: numbers never fall, and the chain never forks. The
//! number is the receipt's own: rewriting a sector raises the journal's sequence, and no number.
//!
//! That ends where the journal's promise ends: after more cuts in a row than it survives (design.md), after flash lost several sectors, or if somebody
//! erases the ledger. A ledger that is lost begins again with number 1 and names no receipt before it; one of another key or another
//! serial number counts as lost. A server that sees that asks for the answer to a challenge.
//!
//! # What it wears
//!
//! Each receipt erases one of the ledger's n sectors and programs it five times; the first one of a ledger erases each twice; a boot after a
//! cut within that heals at most n. Receipts that nobody asked for, as [`Witness::is_due`] tells, are made when something that they
//! say has changed, once a day, and once in each boot that lasts ten minutes: one erase a day where nothing happens; an update that is confirmed at its first boot makes four if both slots are measured
//! (trial, confirmed, one for each measurement). A challenge costs one. Of either kind there are at most eight in a boot and one more a day. So a
//! ledger of two sectors and 10,000 cycles lasts 54 years with a receipt a day, 27 with a challenge a day as well.

use bistable_core::digest::Digest;
use bistable_core::journal::{MAX_SECTORS, Opened};
use bistable_core::layout::JournalLayout;
use bistable_core::ledger::{Entry, Ledger};
use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::device::Device;
use crate::device_key::DeviceKey;
use crate::drift::{Drift, Finding};
use crate::identity::Serial;
use crate::receipt::{Challenge, Receipt, Signed};
use crate::throttle::{REFILL_MS, Throttle};

/// After so many milliseconds a boot that has said nothing says something: ten minutes.
const FIRST_WORD_MS: u64 = 10 * 60 * 1000;

/// Signs receipts, and keeps each in the ledger before anybody sees it.
pub struct Witness<K> {
    unit: Serial,
    key: K,
    ledger: Ledger,
    found: Found,
    /// Whether a write has failed in this boot.
    has_failed: bool,
    /// When the last receipt was made, or the ledger opened: milliseconds since this boot.
    last: u64,
    /// Whether there was a receipt in this boot.
    spoke: bool,
    /// Receipts that nobody asked for.
    own: Throttle,
    /// Receipts that answer a challenge.
    answers: Throttle,
}

/// Why there is no receipt. Nothing was given out, and what was given out before is in the ledger still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NoReceipt {
    /// There were too many challenges: eight in a boot, and one more a day. Answer a later one.
    TooManyChallenges,
    /// The key did not sign. Try again.
    NoSignature,
    /// It could not be kept. The ledger was opened anew, and the next one may be.
    NotKept,
    /// The ledger cannot be written any more, in this boot at least: a sector of it is dead.
    WornOut,
}

/// What the ledger holds.
#[expect(clippy::large_enum_variant, reason = "a device has one, and no heap")]
enum Found {
    /// Nothing: it is lost, or was never written.
    Nothing,
    /// This is the newest.
    Newest(Newest),
    /// Something that may read otherwise after the next reset, and nothing can be written.
    WornOut,
}

struct Newest {
    number: u32,
    digest: Digest,
    /// `None` if a newer image wrote it, in a way that this one does not know.
    says: Option<Receipt>,
}

impl Found {
    fn of(newest: &Entry) -> Self {
        let says = Signed::new_checked(newest.receipt());
        Self::Newest(Newest {
            number: newest.number(),
            digest: Digest::of(newest.receipt()),
            says: says.ok().map(|(_, receipt)| receipt),
        })
    }
}

impl<K: DeviceKey> Witness<K> {
    /// The witness of this unit, whose ledger lies at `place`, `now` in milliseconds since this boot. Heals the ledger
    /// if the power was cut while it was written; else there is no flash operation.
    pub fn open<F: NorFlash>(
        unit: Serial,
        key: K,
        place: JournalLayout,
        now: u64,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
    ) -> Self {
        let owner = owner(&key.public(), &unit);
        let mut witness = Self {
            unit,
            key,
            ledger: Ledger::new(place, owner),
            found: Found::Nothing,
            has_failed: false,
            spoke: false,
            last: now,
            own: Throttle::new(now),
            answers: Throttle::new(now),
        };
        witness.look(flash, watchdog);
        witness
    }

    /// The public key of the unit.
    pub fn public(&self) -> [u8; 32] {
        self.key.public()
    }

    /// Whether the ledger cannot be written any more, in this boot at least: there will be no receipt.
    pub const fn is_worn_out(&self) -> bool {
        matches!(self.found, Found::WornOut)
    }

    /// Whether a receipt should be made though nobody asked: something that it says has changed since the last one,
    /// a day has gone by in this boot, or this boot has lasted ten minutes and said nothing: so a device that is
    /// switched off every night is heard of, and one that resets again and again wears nothing. Never if none can be kept.
    ///
    /// Uptime and resets change always, and are no news. Neither is that a slot was not measured yet in this boot, or that
    /// the count of abnormal resets was cleared.
    pub fn is_due(&self, device: &Device, now: u64) -> bool {
        if !self.own.at(now).has_token() {
            return false;
        }
        match &self.found {
            Found::Nothing => true,
            Found::WornOut => false,
            Found::Newest(newest) => {
                let says = newest.says.as_ref();
                let is_news = |says| is_news(says, self.next(newest, device, None));
                let pause = match self.spoke {
                    true => REFILL_MS,
                    false => FIRST_WORD_MS,
                };
                now.saturating_sub(self.last) >= pause || says.is_none_or(is_news)
            }
        }
    }

    /// The next receipt: durable before this returns, and the answer to `challenge` if there is one.
    ///
    /// # Errors
    /// Then there is none: see [`NoReceipt`].
    pub fn receipt<F: NorFlash>(
        &mut self,
        device: &Device,
        challenge: Option<Challenge>,
        now: u64,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
    ) -> Result<Signed, NoReceipt> {
        let answers = self.answers.at(now);
        if challenge.is_some() && !answers.has_token() {
            return Err(NoReceipt::TooManyChallenges);
        }
        if let Found::Newest(newest) = &self.found
            && self.find(flash, newest.digest).is_none()
        {
            // It was given out, and cannot be read now: nothing is healed over it.
            return Err(NoReceipt::NotKept);
        }
        if !self.is_worn_out() {
            // Whatever was remembered: the next one follows what the ledger says.
            self.look(flash, watchdog);
        }
        let says = match &self.found {
            Found::Nothing => self.first(device, challenge),
            Found::Newest(newest) if newest.number < u32::MAX => {
                self.next(newest, device, challenge)
            }
            Found::Newest(_) | Found::WornOut => return Err(NoReceipt::WornOut),
        };
        // Spent before anything is tried: what fails wears the flash, too, and a key that is gone is not asked for ever.
        match challenge {
            Some(_) => self.answers = answers.spend(),
            None => self.own = self.own.at(now).spend(),
        }
        let signed = says.sign(&mut self.key);
        let signed = signed.map_err(|_| NoReceipt::NoSignature)?;
        let entry = Entry::new(says.number, signed.as_bytes()).ok_or(NoReceipt::NoSignature)?;
        let kept = match self.found {
            Found::Nothing => self.ledger.format(flash, watchdog, &entry),
            _ => self.ledger.write(flash, watchdog, &entry),
        };
        if kept.is_err() {
            self.look(flash, watchdog);
            if core::mem::replace(&mut self.has_failed, true) {
                // It may be a sector that keeps what it holds, and so looks whole: it takes nothing more.
                self.found = Found::WornOut;
            }
            return Err(NoReceipt::NotKept);
        }
        self.spoke = true;
        self.last = now;
        self.found = Found::Newest(Newest {
            number: says.number,
            digest: signed.digest(),
            says: Some(says),
        });
        Ok(signed)
    }

    /// The receipts that the ledger still has, oldest first, each once: those that the newest one follows. None if the
    /// ledger is worn out, for then they may not be there after the next reset.
    pub fn kept<F: ReadNorFlash>(&self, flash: &mut F) -> impl Iterator<Item = Signed> {
        let chain = self.chain(flash);
        let oldest_first = chain.into_iter().rev();
        oldest_first.filter_map(move |digest| {
            let entry = self.find(flash, digest)?;
            Signed::from_ledger(entry.receipt())
        })
    }

    /// Opens the ledger, and heals it.
    fn look<F: NorFlash>(&mut self, flash: &mut F, watchdog: &mut impl Watchdog) {
        self.found = match self.ledger.open(flash, watchdog) {
            Opened::Sound { snapshot, .. } => Found::of(&snapshot),
            Opened::Lost => Found::Nothing,
            Opened::GaveUp(_) => Found::WornOut,
        };
    }

    fn first(&self, device: &Device, challenge: Option<Challenge>) -> Receipt {
        Receipt::new(self.unit.clone(), device, (1, Digest::NONE), challenge)
    }

    fn next(&self, newest: &Newest, device: &Device, challenge: Option<Challenge>) -> Receipt {
        let number = newest.number.saturating_add(1);
        Receipt::new(
            self.unit.clone(),
            device,
            (number, newest.digest),
            challenge,
        )
    }

    /// The digests of the receipts that are left, newest first.
    fn chain<F: ReadNorFlash>(
        &self,
        flash: &mut F,
    ) -> heapless::Vec<Digest, { MAX_SECTORS as usize }> {
        let mut chain = heapless::Vec::new();
        let mut wanted = match &self.found {
            Found::Newest(newest) => Some(newest.digest),
            Found::Nothing | Found::WornOut => None,
        };
        while let Some(digest) = wanted
            && let Some(entry) = self.find(flash, digest)
            && chain.push(digest).is_ok()
        {
            let receipt = Signed::new_checked(entry.receipt()).ok();
            wanted = receipt.map(|(_, receipt)| Digest(receipt.previous));
        }
        chain
    }

    fn find<F: ReadNorFlash>(&self, flash: &mut F, digest: Digest) -> Option<Entry> {
        let mut entries = self.ledger.inspect(flash).filter_map(|view| view.snapshot);
        entries.find(|entry| Digest::of(entry.receipt()) == digest)
    }
}

/// Whose a ledger is: this key's and this unit's, as the [`bistable_core::ledger`] has it.
#[must_use]
pub fn owner(public: &[u8; 32], unit: &Serial) -> Digest {
    let mut name = heapless::Vec::<u8, { 32 + bistable_core::request::MAX_UNIT_LEN }>::new();
    // There is room for both.
    let _ = name.extend_from_slice(public);
    let _ = name.extend_from_slice(unit.as_bytes());
    Digest::of(&name)
}

/// Whether `now` says something that `before` did not.
fn is_news(before: &Receipt, now: Receipt) -> bool {
    let found_so_far = |before, now| match now {
        Finding::NotYet => before,
        found => found,
    };
    let unchanged = Receipt {
        number: before.number,
        previous: before.previous,
        challenge: before.challenge,
        reset: before.reset,
        resets: before.resets,
        uptime: before.uptime,
        // Each doubling is news, and not each crash: a crash loop would wear the ledger out.
        abnormal: match now.abnormal > before.abnormal.saturating_mul(2) {
            true => now.abnormal,
            false => before.abnormal,
        },
        drift: Drift {
            own: found_so_far(before.drift.own, now.drift.own),
            other: found_so_far(before.drift.other, now.drift.other),
        },
        ..now
    };
    unchanged != *before
}
