//! A board's flash as a file: made from a factory image, looked into and aimed at while the board runs.
//!
//! On `mps2-an385`, and on other machines with an [`InMemory`], the file is the board's PSRAM, with the flash at its start and the notes in it, and both ends
//! see at once what the other does. On `riscv32-virt` it is what two chips hold, and the notes are in a file
//! beside it. The emulator reads the chips' file once, when it starts, and writes to it what the chips are told:
//! so the host sees what the board does, but what the host writes to the *content* counts only from the next
//! power-on. The notes are shared by both at any time.

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::path::{Path, PathBuf};

use emulated_flash::{
    Counters, EmulatedFlash, Geometry, InMemory, Memory, Plain, SectorCounters, Trigger,
    TriggerState, blown_fuses, mps2_an385, riscv32_virt,
};

use crate::mapping::Mapping;
use crate::{Board, Error};

/// What the host has of a flash: content and notes, mapped.
type Flash = EmulatedFlash<Plain<Mapping, Mapping>>;

/// A file, or two, that are the flash of a board. A [`Machine`](crate::Machine) may be running on it at the
/// same time.
#[derive(Debug)]
pub struct FlashFile {
    form: Form,
    path: PathBuf,
    flash: Flash,
}

impl FlashFile {
    /// Makes a new file (in place of one that is there) whose flash holds `factory`, then erased bytes.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Flash`] if `factory` is longer than the flash.
    pub fn create(form: impl Into<Form>, path: &Path, factory: &[u8]) -> Result<Self, Error> {
        let form = form.into();
        let chip = form.map(path, create_file)?;
        Ok(Self {
            form,
            path: path.into(),
            flash: EmulatedFlash::format(chip, factory).map_err(Error::Flash)?,
        })
    }

    /// Opens a file that was made before for this board or memory.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::WrongSize`], [`Error::NotFormatted`].
    pub fn open(form: impl Into<Form>, path: &Path) -> Result<Self, Error> {
        let form = form.into();
        let chip = form.map(path, open_file)?;
        let flash = EmulatedFlash::open(chip).map_err(|cause| Error::NotFormatted {
            path: path.into(),
            cause,
        })?;
        Ok(Self {
            form,
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

    /// Size and sectors of the flash.
    pub fn geometry(&self) -> Geometry {
        self.flash.chip().geometry
    }

    /// `length` bytes at `offset` of the flash.
    ///
    /// # Errors
    ///
    /// [`Error::Flash`] if they do not lie within it.
    pub fn read(&self, offset: u32, length: u32) -> Result<Vec<u8>, Error> {
        self.check_range(offset, length as usize)?;
        let mut bytes = vec![0; length as usize];
        self.flash.chip().content.read(offset, &mut bytes);
        Ok(bytes)
    }

    /// The whole flash.
    pub fn content(&self) -> Vec<u8> {
        copied(&self.flash.chip().content)
    }

    /// What was done to the flash since it was made.
    pub fn counters(&self) -> Counters {
        Counters::read(self.flash.notes())
    }

    /// What was done to some sectors since the flash was made.
    pub fn sector_counters(&self, sectors: Range<u32>) -> SectorCounters {
        SectorCounters::read(self.flash.notes(), self.geometry(), sectors)
    }

    /// How many of the board's fuses are blown: the floor that they hold.
    pub fn blown_fuses(&self) -> u32 {
        blown_fuses(self.flash.notes(), self.geometry())
    }

    /// Arms `trigger` in place of whichever was armed, also while a machine runs.
    pub fn arm(&mut self, trigger: Trigger) {
        trigger.arm(self.flash.notes_mut());
    }

    /// Disarms whichever trigger is armed.
    pub fn disarm(&mut self) {
        Trigger::disarm(self.flash.notes_mut());
    }

    /// What became of the trigger that was armed last.
    pub fn trigger_state(&self) -> TriggerState {
        TriggerState::read(self.flash.notes())
    }

    /// Overwrites bytes of the flash, as no flash operation could; nothing is counted. A chip of a machine that
    /// runs does not notice (see the module).
    ///
    /// # Errors
    ///
    /// [`Error::Flash`] if they do not lie within the flash.
    pub fn corrupt(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.check_range(offset, bytes.len())?;
        self.flash.chip_mut().content.write(offset, bytes);
        Ok(())
    }

    /// Inverts the bits that are set in `mask` of the byte at `offset`, as time and radiation do. See
    /// [`corrupt`](Self::corrupt).
    ///
    /// # Errors
    ///
    /// [`Error::Flash`] if it does not lie within the flash.
    pub fn flip_bits(&mut self, offset: u32, mask: u8) -> Result<(), Error> {
        let byte: u8 = self.read(offset, 1)?.iter().sum();
        self.corrupt(offset, &[byte ^ mask])
    }

    /// Copies flash and notes as they are at this moment to a new file (in place of one that is
    /// there). While a machine runs the moment is not the same for all bytes.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn copy_to(&self, path: &Path) -> Result<FlashFile, Error> {
        let mut copy = Self::create(self.form, path, &[])?;
        let (from, to) = (self.flash.chip(), copy.flash.chip_mut());
        copy_pages(&from.content, &mut to.content);
        copy_pages(&from.notes, &mut to.notes);
        Ok(copy)
    }

    /// Hands `work` a copy in memory of the flash and its notes, to find out what it would do to the flash
    /// itself.
    ///
    /// # Errors
    ///
    /// [`Error::NotFormatted`], if the notes were damaged since this was opened.
    pub fn rehearse<T>(&self, work: impl FnOnce(&mut Rehearsal<'_>) -> T) -> Result<T, Error> {
        let chip = self.flash.chip();
        let mut content = copied(&chip.content);
        let mut notes = copied(&chip.notes);
        let mut flash = EmulatedFlash::open(Plain {
            content: &mut content[..],
            notes: &mut notes[..],
            geometry: chip.geometry,
        })
        .map_err(|cause| Error::NotFormatted {
            path: self.path.clone(),
            cause,
        })?;
        Ok(work(&mut flash))
    }

    fn check_range(&self, offset: u32, length: usize) -> Result<(), Error> {
        let size = self.geometry().size;
        match (offset as usize).checked_add(length) {
            Some(end) if end <= size as usize => Ok(()),
            _ => Err(Error::Flash(emulated_flash::Error::OutOfBounds { size })),
        }
    }
}

/// A copy of a flash in memory.
pub type Rehearsal<'m> = EmulatedFlash<Plain<&'m mut [u8], &'m mut [u8]>>;

/// Where content and notes of a flash lie: those of a [`Board`], or in a memory of another machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    geometry: Geometry,
    /// Bytes of the file.
    file: u32,
    /// Where the notes are; if not in the file itself, in [`FlashFile::notes`].
    notes: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    InTheFile { start: u32 },
    BesideIt { size: u32 },
}

impl From<Board> for Form {
    fn from(board: Board) -> Self {
        match board {
            Board::Mps2An385 => mps2_an385::MEMORY.into(),
            Board::Riscv32Virt => Self {
                geometry: riscv32_virt::GEOMETRY,
                file: riscv32_virt::GEOMETRY.size,
                notes: Place::BesideIt {
                    size: riscv32_virt::NOTES_SIZE,
                },
            },
        }
    }
}

impl From<InMemory> for Form {
    fn from(memory: InMemory) -> Self {
        Self {
            geometry: memory.geometry,
            file: memory.memory_size,
            notes: Place::InTheFile {
                start: memory.notes(),
            },
        }
    }
}

impl Form {
    /// Maps the files, which `file` creates or opens with the size that they are to have.
    fn map(
        &self,
        path: &Path,
        file: impl Fn(&Path, u32) -> Result<File, Error>,
    ) -> Result<Plain<Mapping, Mapping>, Error> {
        let map = |path: &Path, file: &File, start, length| {
            Mapping::new(file, start, length).map_err(file_error("map", path))
        };
        let main = file(path, self.file)?;
        let notes = match self.notes {
            Place::InTheFile { start } => map(path, &main, start, self.file - start)?,
            Place::BesideIt { size } => {
                let path = FlashFile::notes(path);
                map(&path, &file(&path, size)?, 0, size)?
            }
        };
        Ok(Plain {
            content: map(path, &main, 0, self.geometry.size)?,
            notes,
            geometry: self.geometry,
        })
    }
}

fn create_file(path: &Path, size: u32) -> Result<File, Error> {
    // A new file, not a shortened one: a machine that still runs on the old one keeps it.
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            return Err(file_error("replace", path)(cause));
        }
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(file_error("create", path))?;
    file.set_len(u64::from(size))
        .map_err(file_error("resize", path))?;
    Ok(file)
}

fn open_file(path: &Path, size: u32) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(file_error("open", path))?;
    let found = file.metadata().map_err(file_error("look at", path))?.len();
    let expected = u64::from(size);
    if found != expected {
        return Err(Error::WrongSize {
            path: path.into(),
            expected,
            found,
        });
    }
    Ok(file)
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |cause| Error::File {
        action,
        path: path.into(),
        cause,
    }
}

fn copied(memory: &Mapping) -> Vec<u8> {
    let mut bytes = vec![0; memory.len() as usize];
    memory.read(0, &mut bytes);
    bytes
}

/// In pages, so that those that are empty take no room on the disk.
fn copy_pages(from: &Mapping, to: &mut Mapping) {
    let mut page = [0; 4096];
    let mut before = [0; 4096];
    for offset in (0..from.len()).step_by(page.len()) {
        from.read(offset, &mut page);
        to.read(offset, &mut before);
        if page != before {
            to.write(offset, &page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_storage::nor_flash::NorFlash as _;
    use emulated_flash::Operations;
    use std::os::unix::fs::MetadataExt;

    /// The board's end of the file: another mapping of the same bytes.
    fn board_of(file: &FlashFile) -> Flash {
        FlashFile::open(file.form, file.path()).unwrap().flash
    }

    /// A machine that is no board of this repository's.
    const OTHER: InMemory = InMemory {
        geometry: Geometry {
            size: 256 << 10,
            sector_size: 2048,
        },
        memory_size: 1 << 20,
    };

    fn forms() -> [Form; 3] {
        [
            Board::Mps2An385.into(),
            Board::Riscv32Virt.into(),
            OTHER.into(),
        ]
    }

    fn is_of_chips(file: &FlashFile) -> bool {
        file.form == Board::Riscv32Virt.into()
    }

    fn on_each_board(factory: &[u8], test: impl Fn(FlashFile, &Path)) {
        for form in forms() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("flash.bin");
            test(FlashFile::create(form, &path, factory).unwrap(), &path);
        }
    }

    #[test]
    fn a_new_file_is_as_large_as_the_memory_and_takes_little_room() {
        on_each_board(b"factory", |file, path| {
            let metadata = fs::metadata(path).unwrap();
            let place = forms().iter().position(|form| *form == file.form);
            let (length, flash) = [
                (16 << 20, 2 << 20),
                (32 << 20, 32 << 20),
                (1 << 20, 256 << 10),
            ][place.unwrap()];
            assert_eq!(metadata.len(), length);
            assert!(metadata.blocks() * 512 < flash + (1 << 20));
            assert_eq!(file.read(0, 8).unwrap(), b"factory\xFF");
            assert_eq!(file.content().len() as u64, flash);
        });
    }

    #[test]
    fn the_notes_of_a_chip_lie_beside_it_and_start_empty() {
        on_each_board(b"factory", |file, path| {
            let notes = fs::metadata(FlashFile::notes(path));
            if !is_of_chips(&file) {
                assert!(notes.is_err());
                return;
            }
            let notes = notes.unwrap();
            assert_eq!(notes.len(), 4 << 20);
            assert!(notes.blocks() * 512 < 1 << 16);
        });
    }

    #[test]
    fn both_ends_see_at_once_what_the_other_does() {
        on_each_board(&[], |mut file, _| {
            let mut board = board_of(&file);
            let sector = file.geometry().sector_size;
            board.program(sector, b"written!").unwrap();
            assert_eq!(file.read(sector, 8).unwrap(), b"written!");
            assert_eq!(file.counters().program_calls, 1);
            assert_eq!(file.sector_counters(1..2).program_calls, 1);
            file.arm(Trigger::nth_in(2, Operations::Erases, 7..=8));
            assert_eq!(file.trigger_state(), TriggerState::Armed);
            board.erase(6 * sector, 8 * sector).unwrap();
            board.erase(8 * sector, 9 * sector).unwrap_err();
            assert_eq!(file.trigger_state(), TriggerState::Reached);
            file.disarm();
            assert_eq!(file.trigger_state(), TriggerState::Disarmed);
        });
    }

    #[test]
    fn corruption_changes_bytes_and_nothing_else() {
        on_each_board(b"sound image.", |mut file, _| {
            file.corrupt(0, b"w").unwrap();
            file.flip_bits(1, 0x20).unwrap();
            assert_eq!(file.read(0, 5).unwrap(), b"wOund");
            assert_eq!(file.counters(), Counters::default());
            board_of(&file).program(0, &[0; 4]).unwrap_err();
            let size = file.geometry().size;
            file.corrupt(size - 1, &[0; 2]).unwrap_err();
            file.flip_bits(size, 1).unwrap_err();
        });
    }

    #[test]
    fn a_copy_holds_flash_and_bookkeeping_and_lives_its_own_life() {
        on_each_board(b"factory", |mut file, path| {
            board_of(&file).program(4096, b"written!").unwrap();
            let copy = file.copy_to(&path.with_extension("copy")).unwrap();
            file.corrupt(0, b"?").unwrap();
            assert_eq!(copy.read(0, 7).unwrap(), b"factory");
            assert_eq!(copy.counters(), file.counters());
            board_of(&copy).program(4096, &[0; 4]).unwrap_err();
        });
    }

    #[test]
    fn a_rehearsal_is_refused_what_the_flash_would_refuse_and_changes_nothing() {
        on_each_board(b"factory", |file, _| {
            let sector = file.geometry().sector_size;
            let counted = file.rehearse(|flash| {
                flash.write(0, &[0; 4]).unwrap_err();
                flash.erase(0, sector).unwrap();
                flash.write(0, b"rehearse").unwrap();
                Counters::read(flash.notes())
            });
            assert_eq!(counted.unwrap().operations, 2);
            assert_eq!(file.counters().operations, 0);
            assert_eq!(file.read(0, 7).unwrap(), b"factory");
        });
    }

    #[test]
    fn a_file_that_replaces_another_starts_anew() {
        on_each_board(b"old", |old, path| {
            let new = FlashFile::create(old.form, path, b"new").unwrap();
            assert_eq!(new.read(0, 3).unwrap(), b"new");
            assert_eq!(old.read(0, 3).unwrap(), b"old");
        });
    }

    #[test]
    fn files_that_hold_no_flash_are_refused() {
        on_each_board(&[], |flash, path| {
            let (form, other) = (flash.form, path.with_extension("other"));
            let missing = FlashFile::open(form, &other).unwrap_err();
            assert!(matches!(missing, Error::File { .. }), "{missing}");
            let file = File::create(&other).unwrap();
            let small = FlashFile::open(form, &other).unwrap_err();
            assert!(matches!(small, Error::WrongSize { found: 0, .. }));
            file.set_len(fs::metadata(path).unwrap().len()).unwrap();
            if is_of_chips(&flash) {
                let alone = FlashFile::open(form, &other).unwrap_err();
                assert!(alone.to_string().contains("other.notes"), "{alone}");
                let notes = File::create(FlashFile::notes(&other)).unwrap();
                notes.set_len(4 << 20).unwrap();
            }
            let empty = FlashFile::open(form, &other).unwrap_err();
            assert!(matches!(empty, Error::NotFormatted { .. }), "{empty}");
        });
    }

    #[test]
    fn the_flash_of_another_board_is_refused() {
        on_each_board(&[], |flash, path| {
            for other in forms().into_iter().filter(|other| *other != flash.form) {
                let refusal = FlashFile::open(other, path).unwrap_err();
                assert!(matches!(refusal, Error::WrongSize { .. }), "{refusal}");
            }
        });
    }
}
