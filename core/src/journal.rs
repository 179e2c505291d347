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
//!
//! What a copy is, a [`Record`] says: a snapshot in the device's journal, a receipt in its [ledger](crate::ledger).
//! The rules are the same code.

use core::marker::PhantomData;

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::digest::Digest;
use crate::layout::JournalLayout;
use crate::state::Snapshot;
use crate::watchdog::Watchdog;

/// How often a sector holds its record.
pub const COPIES: u8 = 5;

/// This many equal valid copies prove that one of them was finished before the power was cut.
const STRONG: u8 = 3;

/// The most sectors that a journal has.
pub const MAX_SECTORS: u8 = 8;

/// No sector may be written.
const NOT_OPEN: u8 = u8::MAX;

/// What a journal keeps, and how that lies in a copy. A journal has an owner, and copies of another one's are not
/// valid in it: for snapshots it is the layout.
pub trait Record: Copy {
    /// A copy as it lies: an array of a whole number of write units.
    type Bytes: AsRef<[u8]> + AsMut<[u8]> + PartialEq;

    /// Zeros, to read into.
    const ZEROS: Self::Bytes;

    /// Length of a copy in bytes.
    const LEN: usize = size_of::<Self::Bytes>();

    /// The copy with this sequence number.
    fn encode(&self, sequence: u32, owner: Digest) -> Self::Bytes;

    /// What is in `bytes`, if they are exactly what [`Self::encode`] makes of it.
    fn decode_valid(bytes: &Self::Bytes, owner: Digest) -> Option<Self>;

    /// Gives a copy another sequence number.
    fn renumber(bytes: &mut Self::Bytes, sequence: u32, owner: Digest);

    /// The sequence number of a valid copy.
    fn sequence(bytes: &Self::Bytes) -> u32;
}

/// What the journal said when it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened<R = Snapshot> {
    /// This, and all sectors are whole now.
    Sound {
        /// The state.
        snapshot: R,
        /// How many rewrites it took; 0 without a power cut.
        rewrites: u8,
    },
    /// This, but some sector cannot be made whole: nothing may be written in this boot.
    GaveUp(R),
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

/// What one sector holds, for tools that show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectorView<R = Snapshot> {
    /// Number of equal valid copies, of [`COPIES`].
    pub valid: u8,
    /// The sequence number of those copies; 0 if there is none.
    pub sequence: u32,
    /// The highest sequence number in any valid copy.
    pub highest: u32,
    /// What those copies say.
    pub snapshot: Option<R>,
    /// Whether this is the one that counts.
    pub current: bool,
}

/// The device's journal, which keeps its one small state.
pub type Journal = JournalOf<Snapshot>;

/// A journal. Its flash is handed in at each call: it may be the one that the slots lie on.
pub struct JournalOf<R> {
    place: JournalLayout,
    owner: Digest,
    /// The sectors whose rewrite failed since it was opened, one bit each; all of them before.
    failed: u8,
    keeps: PhantomData<R>,
}

/// What was seen in a sector.
#[derive(Clone, Copy, Default)]
struct Sector {
    /// Which one it is.
    place: u8,
    /// Number of equal valid copies.
    valid: u8,
    /// The place of one of them.
    copy: u8,
    /// Their sequence number; 0 if there is none.
    sequence: u32,
    /// The highest sequence number in any valid copy.
    highest: u32,
}

/// What was seen in all sectors.
struct Seen {
    /// `V` = 5 in all of them, but for those left aside.
    whole: bool,
    /// The highest sequence number in any valid copy.
    highest: u32,
    /// The sector whose snapshot counts.
    current: Option<Sector>,
}

impl<R: Record> JournalOf<R> {
    /// The journal at `place`. Its owner is the layout that its images are for, or whatever else its copies name.
    #[must_use]
    pub const fn new(place: JournalLayout, owner: Digest) -> Self {
        Self {
            place,
            owner,
            failed: NOT_OPEN,
            keeps: PhantomData,
        }
    }

    /// Reads the state, and heals the journal if the power was cut while it was written. At boot, and
    /// again after any error. Without a power cut there is no flash operation.
    pub fn open<F: NorFlash>(&mut self, flash: &mut F, watchdog: &mut impl Watchdog) -> Opened<R> {
        const { fits_write_units::<F, R>() };
        self.failed = 0;
        let mut opened = Opened::Lost;
        let mut content = R::ZEROS;
        for rewrites in 0..=2 * MAX_SECTORS {
            let seen = self.look(flash);
            let Some(current) = seen.current else {
                break;
            };
            // It was valid a moment ago. But it gets a new checksum before it is written again.
            let read = self.read_valid(flash, current.place, current.copy, &mut content);
            let Some(snapshot) = &read else {
                continue;
            };
            opened = Opened::GaveUp(*snapshot);
            if seen.whole {
                if self.failed == 0 {
                    return Opened::Sound {
                        snapshot: *snapshot,
                        rewrites,
                    };
                }
                break;
            }
            let Some(target) = self.target(flash, &current) else {
                break;
            };
            // What became of it is what the next look will find out.
            let _ = self.put(flash, watchdog, seen.highest, target, &mut content);
        }
        self.failed = NOT_OPEN;
        opened
    }

    /// What each sector holds, in their order, as it lies: nothing is written or healed.
    pub fn inspect<F: ReadNorFlash>(&self, flash: &mut F) -> impl Iterator<Item = SectorView<R>> {
        let current = self.look(flash).current.map(|sector| sector.place);
        (0..self.place.sectors).map(move |place| {
            let sector = self.look_at(flash, place);
            let mut content = R::ZEROS;
            SectorView {
                valid: sector.valid,
                sequence: sector.sequence,
                highest: sector.highest,
                snapshot: match sector.valid {
                    0 => None,
                    _ => self.read_valid(flash, place, sector.copy, &mut content),
                },
                current: current == Some(place),
            }
        })
    }

    /// Writes `snapshot` over the oldest one. When this returns `Ok`, it is durable.
    ///
    /// # Errors
    /// After any error: [`Journal::open`].
    pub fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        snapshot: &R,
    ) -> Result<(), WriteError> {
        if self.failed != 0 {
            return Err(WriteError::NotOpen);
        }
        let mut content = snapshot.encode(0, self.owner);
        let seen = self.look(flash);
        let current = seen.current.ok_or(WriteError::NotOpen)?;
        let target = self.target(flash, &current).ok_or(WriteError::NotOpen)?;
        self.put(flash, watchdog, seen.highest, target, &mut content)
    }

    /// Makes `snapshot` the state of a fresh or lost journal: erases the whole partition, writes it
    /// and heals. A cut on the way leaves the journal lost, or what it was, and it is done again.
    ///
    /// # Errors
    /// If it cannot be made whole. It says the snapshot all the same, unless no sector takes it.
    pub fn format<F: NorFlash>(
        &mut self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        snapshot: &R,
    ) -> Result<(), WriteError> {
        const { fits_write_units::<F, R>() };
        self.failed = NOT_OPEN;
        for sector in 0..self.place.sectors {
            watchdog.feed();
            // One that cannot be erased may not be the first that takes the snapshot; the rest is healing.
            let _ = self.erase(flash, sector);
        }
        let mut content = snapshot.encode(0, self.owner);
        let seen = self.look(flash);
        for sector in 0..self.place.sectors {
            let put = self.put(flash, watchdog, seen.highest, sector, &mut content);
            if put.is_ok() {
                break;
            }
        }
        match self.open(flash, watchdog) {
            Opened::Sound { .. } => Ok(()),
            Opened::GaveUp(_) | Opened::Lost => Err(WriteError::Flash),
        }
    }

    /// Writes `content` into sector `target` with the next sequence number.
    fn put<F: NorFlash>(
        &mut self,
        flash: &mut F,
        watchdog: &mut impl Watchdog,
        highest: u32,
        target: u8,
        content: &mut R::Bytes,
    ) -> Result<(), WriteError> {
        self.failed |= bit(target);
        let sequence = highest.checked_add(1).ok_or(WriteError::Flash)?;
        R::renumber(content, sequence, self.owner);
        watchdog.feed();
        self.erase(flash, target)?;
        for copy in 0..COPIES {
            let at = self.copy_offset(target, copy);
            let written = flash.write(at, content.as_ref());
            written.map_err(|_| WriteError::Flash)?;
        }
        let after = self.look_at(flash, target);
        if after.valid == COPIES && after.sequence == sequence {
            self.failed ^= bit(target);
            Ok(())
        } else {
            Err(WriteError::Flash)
        }
    }

    fn erase<F: NorFlash>(&self, flash: &mut F, sector: u8) -> Result<(), WriteError> {
        let from = self.sector_offset(sector);
        let to = from.wrapping_add(self.place.sector_size);
        flash.erase(from, to).map_err(|_| WriteError::Flash)
    }
}

impl<R: Record> JournalOf<R> {
    fn look<F: ReadNorFlash>(&self, flash: &mut F) -> Seen {
        let mut seen = Seen {
            whole: true,
            highest: 0,
            current: None,
        };
        for place in 0..self.place.sectors {
            let sector = self.look_at(flash, place);
            seen.whole &= sector.valid == COPIES || self.failed & bit(place) != 0;
            seen.highest = seen.highest.max(sector.highest);
            let counts = |current| sector.counts_before(&current);
            if sector.valid > 0 && seen.current.is_none_or(counts) {
                seen.current = Some(sector);
            }
        }
        seen
    }

    /// The sector to rewrite next: one without a valid copy, else the newest that is newer than the
    /// current one, else the oldest. Never the current one. In a whole journal it is the oldest.
    fn target<F: ReadNorFlash>(&self, flash: &mut F, current: &Sector) -> Option<u8> {
        let mut target = None;
        let mut first_turn = (u8::MAX, 0);
        for place in 0..self.place.sectors {
            let turn = self.look_at(flash, place).turn(current);
            if place != current.place && self.failed & bit(place) == 0 && turn < first_turn {
                target = Some(place);
                first_turn = turn;
            }
        }
        target
    }

    /// Blank, garbage and a read error are all just "not valid".
    fn look_at<F: ReadNorFlash>(&self, flash: &mut F, place: u8) -> Sector {
        let mut best = Sector {
            place,
            ..Sector::default()
        };
        let mut content = R::ZEROS;
        let mut other = R::ZEROS;
        for copy in 0..COPIES {
            let read = self.read_valid(flash, place, copy, &mut content);
            if read.is_none() {
                continue;
            }
            let mut valid = 0_u8;
            for copy in 0..COPIES {
                let equal = self.read(flash, place, copy, &mut other) && other == content;
                valid = valid.wrapping_add(equal.into());
            }
            let sequence = R::sequence(&content);
            best.highest = best.highest.max(sequence);
            if valid > best.valid {
                best.valid = valid;
                best.copy = copy;
                best.sequence = sequence;
            }
            if valid == COPIES {
                break;
            }
        }
        best
    }

    /// What it says, if it could be read and is valid.
    fn read_valid<F: ReadNorFlash>(
        &self,
        flash: &mut F,
        sector: u8,
        copy: u8,
        into: &mut R::Bytes,
    ) -> Option<R> {
        if !self.read(flash, sector, copy, into) {
            return None;
        }
        R::decode_valid(into, self.owner)
    }

    /// Whether it could be read.
    #[inline(always)] // a call takes more than the arithmetic
    fn read<F: ReadNorFlash>(
        &self,
        flash: &mut F,
        sector: u8,
        copy: u8,
        into: &mut R::Bytes,
    ) -> bool {
        let at = self.copy_offset(sector, copy);
        flash.read(at, into.as_mut()).is_ok()
    }

    // The layout says that the whole partition lies on the flash: nothing wraps.

    fn sector_offset(&self, sector: u8) -> u32 {
        u32::from(sector)
            .wrapping_mul(self.place.sector_size)
            .wrapping_add(self.place.offset)
    }

    fn copy_offset(&self, sector: u8, copy: u8) -> u32 {
        u32::from(copy)
            .wrapping_mul(R::LEN as u32)
            .wrapping_add(self.sector_offset(sector))
    }
}

/// A set of sectors with only this one in it.
fn bit(sector: u8) -> u8 {
    1_u8.wrapping_shl(sector.into())
}

/// A copy must be a whole number of write units: then each is programmed once per erase.
const fn fits_write_units<F: NorFlash, R: Record>() {
    assert!(R::LEN.is_multiple_of(F::WRITE_SIZE) && R::LEN.is_multiple_of(F::READ_SIZE));
}

impl Sector {
    /// Whether this sector's snapshot counts and not that of `best`, which stands before it: the highest
    /// sequence among the strong ones; if there is none, the lowest among the weak ones, for the newer
    /// ones are its unfinished copies.
    const fn counts_before(&self, best: &Self) -> bool {
        match (self.valid >= STRONG, best.valid >= STRONG) {
            (true, true) => self.sequence >= best.sequence,
            (false, false) => self.sequence < best.sequence,
            (strong, _) => strong,
        }
    }

    /// When it is to be rewritten: the lowest number first.
    const fn turn(&self, current: &Self) -> (u8, u32) {
        if self.valid == 0 {
            (0, 0)
        } else if self.sequence > current.sequence {
            (1, !self.sequence)
        } else {
            (2, self.sequence)
        }
    }
}
