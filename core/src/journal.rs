//! The journal: one small state that survives any sequence of power cuts.
//!
//! ```text
//!   sector 0                         sector 1                         …
//!   │ copy │ copy │ copy │ copy │ copy │ blank … │ copy │ copy │ …
//! ```
//!
//! Each sector holds one snapshot, five times. `V` is the number of equal valid copies in a sector.
//! Four rules, each of which was found necessary:
//!
//! 1. A write replaces the oldest snapshot; the newest one is never touched.
//! 2. Unless all sectors are whole (`V` = 5), the state is rewritten until they are, and only then is
//!    anything acted upon: nothing half-written outlives a boot that acted.
//! 3. Three valid copies prove that an earlier one was finished, so that the snapshot stays readable
//!    whatever a torn copy does later. One proves nothing and never displaces a stronger one. If all
//!    are weak, the oldest is the source and the newer ones are its unfinished copies.
//! 4. Erase before every write. Nothing asks whether flash is blank: a torn unit can look blank.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::digest::Digest;
use crate::layout::JournalLayout;
use crate::snapshot::{self, SNAPSHOT_LEN};
use crate::state::Snapshot;
use crate::watchdog::Watchdog;

/// How often a sector holds its snapshot.
pub const COPIES: u8 = 5;

/// This many equal valid copies prove that one of them was finished before the power was cut.
const STRONG: u8 = 3;

/// The most sectors that a journal has.
pub const MAX_SECTORS: usize = 8;

/// What the journal said when it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// This, and all sectors are whole now.
    Sound {
        /// The state.
        snapshot: Snapshot,
        /// How many rewrites it took; 0 without a power cut.
        rewrites: u8,
    },
    /// This, but some sector cannot be made whole: nothing may be written in this boot.
    GaveUp(Snapshot),
    /// No copy is valid.
    Lost,
}

/// Why a write did not happen. The journal must be opened again before the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// It was not open, or the last write failed, or it gave up.
    NotOpen,
    /// An erase, a program call or the check afterwards failed: what is on flash now is for
    /// [`Journal::open`] to find out.
    Flash,
}

/// The journal. Its flash is handed in at each call: it may be the one that the slots lie on.
pub struct Journal {
    place: JournalLayout,
    layout: Digest,
    writable: bool,
}

/// What was seen in a sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sector {
    /// Number of equal valid copies.
    valid: u8,
    /// Their sequence number.
    sequence: u32,
    /// The place of one of them.
    copy: u8,
    /// The highest sequence number in any valid copy.
    highest: u32,
}

impl Journal {
    /// The journal at `place`, for images of `layout`.
    #[must_use]
    pub const fn new(place: JournalLayout, layout: Digest) -> Self {
        Self {
            place,
            layout,
            writable: false,
        }
    }

    /// Reads the state, and heals the journal if the power was cut while it was written. At boot, and
    /// again after any error. Without a power cut there is no flash operation.
    pub fn open<F: NorFlash>(&mut self, flash: &mut F, watchdog: &mut impl Watchdog) -> Opened {
        const { fits_write_units::<F>() };
        self.writable = false;
        let mut known = None;
        let most_rewrites = self.place.sectors.saturating_mul(2);
        for rewrites in 0..=most_rewrites {
            let seen = self.look(flash);
            let Some((current, at)) = current(&seen) else {
                break;
            };
            let content = self.read(flash, current, at.copy);
            let Some(snapshot) = content.as_ref().and_then(snapshot::decode) else {
                continue; // it was readable a moment ago
            };
            known = Some(snapshot);
            let Some(target) = heal_target(&seen, (current, at)) else {
                self.writable = true;
                return Opened::Sound { snapshot, rewrites };
            };
            if let Some(content) = content.filter(|_| rewrites < most_rewrites) {
                // Whether it went well is what the next look will find out.
                let _ = self.put(flash, watchdog, target, content, &seen);
            }
        }
        known.map_or(Opened::Lost, Opened::GaveUp)
    }

    /// Writes `snapshot` over the oldest one. When this returns `Ok`, it is durable.
    ///
    /// # Errors
    /// After any error: [`Journal::open`].
    pub fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        snapshot: &Snapshot,
    ) -> Result<(), WriteError> {
        if !core::mem::take(&mut self.writable) {
            return Err(WriteError::NotOpen);
        }
        let seen = self.look(flash);
        let target = oldest(&seen, current(&seen).map(|(sector, _)| sector));
        let target = target.ok_or(WriteError::NotOpen)?;
        self.put(
            flash,
            watchdog,
            target,
            snapshot::encode(snapshot, 0, self.layout),
            &seen,
        )?;
        self.writable = true;
        Ok(())
    }

    /// Makes `snapshot` the state of a fresh or lost journal: erases the whole partition, writes it
    /// and heals. A cut on the way leaves the journal lost, or what it was, and it is done again.
    ///
    /// # Errors
    /// If it cannot be made whole.
    pub fn format<F: NorFlash>(
        &mut self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        snapshot: &Snapshot,
    ) -> Result<(), WriteError> {
        const { fits_write_units::<F>() };
        self.writable = false;
        for sector in 0..self.place.sectors {
            watchdog.feed();
            self.erase(flash, sector)?;
        }
        let seen = self.look(flash);
        self.put(
            flash,
            watchdog,
            0,
            snapshot::encode(snapshot, 0, self.layout),
            &seen,
        )?;
        match self.open(flash, watchdog) {
            Opened::Sound { .. } => Ok(()),
            Opened::GaveUp(_) | Opened::Lost => Err(WriteError::Flash),
        }
    }

    /// Writes `content` into sector `target` with the next sequence number.
    fn put<F: NorFlash>(
        &self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        target: u8,
        mut content: snapshot::Bytes,
        seen: &Seen,
    ) -> Result<(), WriteError> {
        let highest = sectors(seen).map(|(_, sector)| sector.highest).max();
        let sequence = highest.unwrap_or(0).checked_add(1);
        let sequence = sequence.ok_or(WriteError::Flash)?;
        snapshot::renumber(&mut content, sequence);
        watchdog.feed();
        self.erase(flash, target)?;
        for copy in 0..COPIES {
            let at = self.copy_offset(target, copy);
            flash.write(at, &content).map_err(|_| WriteError::Flash)?;
        }
        let after = self.look_at(flash, target);
        let whole = after.valid == COPIES && after.sequence == sequence;
        whole.then_some(()).ok_or(WriteError::Flash)
    }

    fn erase<F: NorFlash>(&self, flash: &mut F, sector: u8) -> Result<(), WriteError> {
        let from = self.sector_offset(sector);
        let to = from.saturating_add(self.place.sector_size);
        flash.erase(from, to).map_err(|_| WriteError::Flash)
    }
}

impl Journal {
    fn look<F: ReadNorFlash>(&self, flash: &mut F) -> Seen {
        let mut seen = [None; MAX_SECTORS];
        for (sector, place) in (0..self.place.sectors).zip(&mut seen) {
            *place = Some(self.look_at(flash, sector));
        }
        seen
    }

    /// Blank, garbage and a read error are all just "not valid".
    fn look_at<F: ReadNorFlash>(&self, flash: &mut F, sector: u8) -> Sector {
        let mut best = Sector::default();
        let mut highest = 0;
        for copy in 0..COPIES {
            let content = self.read(flash, sector, copy);
            let valid = content.filter(|content| snapshot::is_valid(content, self.layout));
            let Some(content) = valid else {
                continue;
            };
            let sequence = snapshot::sequence(&content);
            highest = highest.max(sequence);
            let equal =
                (0..COPIES).filter(|other| self.read(flash, sector, *other) == Some(content));
            let valid = equal.count() as u8;
            if valid > best.valid {
                best = Sector {
                    valid,
                    sequence,
                    copy,
                    highest,
                };
            }
            if valid == COPIES {
                break;
            }
        }
        best.highest = highest;
        best
    }

    fn read<F: ReadNorFlash>(
        &self,
        flash: &mut F,
        sector: u8,
        copy: u8,
    ) -> Option<snapshot::Bytes> {
        let mut content = [0; SNAPSHOT_LEN];
        let at = self.copy_offset(sector, copy);
        flash.read(at, &mut content).ok()?;
        Some(content)
    }

    fn sector_offset(&self, sector: u8) -> u32 {
        u32::from(sector)
            .saturating_mul(self.place.sector_size)
            .saturating_add(self.place.offset)
    }

    fn copy_offset(&self, sector: u8, copy: u8) -> u32 {
        u32::from(copy)
            .saturating_mul(SNAPSHOT_LEN as u32)
            .saturating_add(self.sector_offset(sector))
    }
}

/// A copy must be a whole number of write units: then each is programmed once per erase.
const fn fits_write_units<F: NorFlash>() {
    assert!(
        SNAPSHOT_LEN.is_multiple_of(F::WRITE_SIZE) && SNAPSHOT_LEN.is_multiple_of(F::READ_SIZE)
    );
}

/// What was seen in each sector that there is.
type Seen = [Option<Sector>; MAX_SECTORS];

fn sectors(seen: &Seen) -> impl Iterator<Item = (u8, Sector)> + '_ {
    (0..).zip(seen.iter().copied().flatten())
}

/// The sector whose snapshot counts: the highest sequence among the strong ones; if there is none, the
/// lowest among the weak ones, for the newer ones are its unfinished copies.
fn current(seen: &Seen) -> Option<(u8, Sector)> {
    let strong = sectors(seen).filter(|(_, sector)| sector.valid >= STRONG);
    let newest = strong.max_by_key(|(_, sector)| sector.sequence);
    newest.or_else(|| {
        let weak = sectors(seen).filter(|(_, sector)| sector.valid > 0);
        weak.min_by_key(|(_, sector)| sector.sequence)
    })
}

/// The sector to rewrite next, unless all are whole: one without a valid copy, else the newest that is
/// newer than the current one, else the oldest. Never the current one.
fn heal_target(seen: &Seen, current: (u8, Sector)) -> Option<u8> {
    if sectors(seen).all(|(_, sector)| sector.valid == COPIES) {
        return None;
    }
    let empty = sectors(seen).find(|(_, sector)| sector.valid == 0);
    let newest = || {
        sectors(seen)
            .filter(|(_, sector)| sector.sequence > current.1.sequence)
            .max_by_key(|(_, sector)| sector.sequence)
    };
    let target = empty.or_else(newest).map(|(sector, _)| sector);
    target.or_else(|| oldest(seen, Some(current.0)))
}

/// The sector that a write replaces: one without a valid copy, or the lowest sequence; never `newest`.
fn oldest(seen: &Seen, newest: Option<u8>) -> Option<u8> {
    let others = sectors(seen).filter(|(sector, _)| Some(*sector) != newest);
    others
        .min_by_key(|(_, sector)| (sector.valid > 0, sector.sequence))
        .map(|(sector, _)| sector)
}
