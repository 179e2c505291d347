//! The board's flash as a file: made from a factory image, looked into and aimed at while the board runs.

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::path::{Path, PathBuf};

use emulated_flash::{
    Counters, EmulatedFlash, FLASH_SIZE, MEMORY_SIZE, Memory, SectorCounters, Trigger,
    TriggerState, blown_fuses,
};

use crate::Error;
use crate::mapping::Mapping;

/// A file that is the memory of a board, with flash in it. A [`Machine`](crate::Machine) may be running
/// on it at the same time.
#[derive(Debug)]
pub struct FlashFile {
    path: PathBuf,
    flash: EmulatedFlash<Mapping>,
}

impl FlashFile {
    /// Makes a new file (in place of one that is there) whose flash holds `factory`, then erased bytes.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Flash`] if `factory` is longer than the flash.
    pub fn create(path: &Path, factory: &[u8]) -> Result<Self, Error> {
        let failed = |action| file_error(action, path);
        // A new file, not a shortened one: a machine that still runs on the old one keeps it.
        match fs::remove_file(path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("replace")(cause));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(failed("create"))?;
        file.set_len(u64::from(MEMORY_SIZE))
            .map_err(failed("resize"))?;
        let memory = Mapping::new(&file).map_err(failed("map"))?;
        Ok(Self {
            path: path.into(),
            flash: EmulatedFlash::format(memory, factory).map_err(Error::Flash)?,
        })
    }

    /// Opens a file that was made before.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::WrongSize`], [`Error::NotFormatted`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |action| file_error(action, path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed("open"))?;
        check_size(&file, path)?;
        let memory = Mapping::new(&file).map_err(failed("map"))?;
        let flash = EmulatedFlash::open(memory).map_err(|cause| Error::NotFormatted {
            path: path.into(),
            cause,
        })?;
        Ok(Self {
            path: path.into(),
            flash,
        })
    }

    /// The file beside `flash` in which the driver of a real flash chip and the host share what the chip
    /// itself does not keep: counters, marks, the trigger, fuses.
    pub(crate) fn notes(flash: &Path) -> PathBuf {
        let mut name = flash.as_os_str().to_owned();
        name.push(".notes");
        name.into()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `length` bytes at `offset` of the flash.
    ///
    /// # Errors
    ///
    /// [`Error::Flash`] if they do not lie within it.
    pub fn read(&self, offset: u32, length: u32) -> Result<Vec<u8>, Error> {
        let end = u64::from(offset) + u64::from(length);
        if end > u64::from(FLASH_SIZE) {
            return Err(Error::Flash(emulated_flash::Error::OutOfBounds));
        }
        let mut bytes = vec![0; length as usize];
        self.flash.read(offset, &mut bytes).map_err(Error::Flash)?;
        Ok(bytes)
    }

    /// The whole flash.
    pub fn content(&self) -> Vec<u8> {
        let mut bytes = vec![0; FLASH_SIZE as usize];
        self.flash.memory().read(0, &mut bytes);
        bytes
    }

    /// What was done to the flash since it was made.
    pub fn counters(&self) -> Counters {
        Counters::read(self.flash.memory())
    }

    /// What was done to some sectors since the flash was made.
    pub fn sector_counters(&self, sectors: Range<u32>) -> SectorCounters {
        SectorCounters::read(self.flash.memory(), sectors)
    }

    /// How many of the board's fuses are blown: the floor that they hold.
    pub fn blown_fuses(&self) -> u32 {
        blown_fuses(self.flash.memory())
    }

    /// Arms `trigger` in place of whichever was armed, also while a machine runs.
    pub fn arm(&mut self, trigger: Trigger) {
        trigger.arm(self.flash.memory_mut());
    }

    /// Disarms whichever trigger is armed.
    pub fn disarm(&mut self) {
        Trigger::disarm(self.flash.memory_mut());
    }

    /// What became of the trigger that was armed last.
    pub fn trigger_state(&self) -> TriggerState {
        TriggerState::read(self.flash.memory())
    }

    /// Overwrites bytes of the flash, as no flash operation could; nothing is counted.
    ///
    /// # Errors
    ///
    /// [`Error::Flash`] if they do not lie within the flash.
    pub fn corrupt(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        if offset as usize + bytes.len() > FLASH_SIZE as usize {
            return Err(Error::Flash(emulated_flash::Error::OutOfBounds));
        }
        self.flash.memory_mut().write(offset, bytes);
        Ok(())
    }

    /// Inverts the bits that are set in `mask` of the byte at `offset`, as time and radiation do.
    ///
    /// # Errors
    ///
    /// [`Error::Flash`] if it does not lie within the flash.
    pub fn flip_bits(&mut self, offset: u32, mask: u8) -> Result<(), Error> {
        let byte: u8 = self.read(offset, 1)?.iter().sum();
        self.corrupt(offset, &[byte ^ mask])
    }

    /// Copies flash and bookkeeping as they are at this moment to a new file (in place of one that is
    /// there). While a machine runs the moment is not the same for all bytes.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn copy_to(&self, path: &Path) -> Result<FlashFile, Error> {
        let mut copy = Self::create(path, &[])?;
        // In pages, so that those that are empty take no room on the disk.
        let mut page = [0; 4096];
        let mut before = [0; 4096];
        for offset in (0..MEMORY_SIZE).step_by(page.len()) {
            self.flash.memory().read(offset, &mut page);
            copy.flash.memory().read(offset, &mut before);
            if page != before {
                copy.flash.memory_mut().write(offset, &page);
            }
        }
        Ok(copy)
    }
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |cause| Error::File {
        action,
        path: path.into(),
        cause,
    }
}

fn check_size(file: &File, path: &Path) -> Result<(), Error> {
    let found = file
        .metadata()
        .map_err(|cause| file_error("look at", path)(cause))?
        .len();
    let expected = u64::from(MEMORY_SIZE);
    if found == expected {
        Ok(())
    } else {
        Err(Error::WrongSize {
            path: path.into(),
            expected,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emulated_flash::Operations;
    use std::os::unix::fs::MetadataExt;

    /// The board's end of the file: another mapping of the same bytes.
    fn board(path: &Path) -> EmulatedFlash<Mapping> {
        FlashFile::open(path).unwrap().flash
    }

    fn with_file(factory: &[u8], test: impl FnOnce(FlashFile, &Path)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flash.bin");
        test(FlashFile::create(&path, factory).unwrap(), &path);
    }

    #[test]
    fn a_new_file_is_as_large_as_the_memory_and_takes_little_room() {
        with_file(b"factory", |file, path| {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.len(), 16 << 20);
            assert!(metadata.blocks() * 512 < 3 << 20);
            assert_eq!(file.read(0, 8).unwrap(), b"factory\xFF");
            assert_eq!(file.content().len(), 2 << 20);
        });
    }

    #[test]
    fn both_ends_see_at_once_what_the_other_does() {
        with_file(&[], |mut file, path| {
            let mut board = board(path);
            board.program(4096, b"written!").unwrap();
            assert_eq!(file.read(4096, 8).unwrap(), b"written!");
            assert_eq!(file.counters().program_calls, 1);
            assert_eq!(file.sector_counters(1..2).program_calls, 1);
            file.arm(Trigger::nth_in(2, Operations::Erases, 7..=8));
            assert_eq!(file.trigger_state(), TriggerState::Armed);
            board.erase(6 * 4096, 8 * 4096).unwrap();
            board.erase(8 * 4096, 9 * 4096).unwrap_err();
            assert_eq!(file.trigger_state(), TriggerState::Reached);
            file.disarm();
            assert_eq!(file.trigger_state(), TriggerState::Disarmed);
        });
    }

    #[test]
    fn corruption_changes_bytes_and_nothing_else() {
        with_file(b"sound image.", |mut file, path| {
            file.corrupt(0, b"w").unwrap();
            file.flip_bits(1, 0x20).unwrap();
            assert_eq!(file.read(0, 5).unwrap(), b"wOund");
            assert_eq!(file.counters(), Counters::default());
            board(path).program(0, &[0; 4]).unwrap_err();
            file.corrupt(FLASH_SIZE - 1, &[0; 2]).unwrap_err();
            file.flip_bits(FLASH_SIZE, 1).unwrap_err();
        });
    }

    #[test]
    fn a_copy_holds_flash_and_bookkeeping_and_lives_its_own_life() {
        with_file(b"factory", |mut file, path| {
            board(path).program(4096, b"written!").unwrap();
            let copy = file.copy_to(&path.with_extension("copy")).unwrap();
            file.corrupt(0, b"?").unwrap();
            assert_eq!(copy.read(0, 7).unwrap(), b"factory");
            assert_eq!(copy.counters(), file.counters());
            let mut board = board(copy.path());
            board.program(4096, &[0; 4]).unwrap_err();
        });
    }

    #[test]
    fn a_file_that_replaces_another_starts_anew() {
        with_file(b"old", |old, path| {
            let new = FlashFile::create(path, b"new").unwrap();
            assert_eq!(new.read(0, 3).unwrap(), b"new");
            assert_eq!(old.read(0, 3).unwrap(), b"old");
        });
    }

    #[test]
    fn files_that_hold_no_flash_are_refused() {
        with_file(&[], |_, path| {
            let other = path.with_extension("other");
            let missing = FlashFile::open(&other).unwrap_err();
            assert!(matches!(missing, Error::File { .. }), "{missing}");
            let file = File::create(&other).unwrap();
            let small = FlashFile::open(&other).unwrap_err();
            assert!(matches!(small, Error::WrongSize { found: 0, .. }));
            file.set_len(16 << 20).unwrap();
            let empty = FlashFile::open(&other).unwrap_err();
            assert!(matches!(empty, Error::NotFormatted { .. }), "{empty}");
        });
    }
}
