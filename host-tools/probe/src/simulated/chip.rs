//! The simulated chip's silicon: flash in a file, RAM, one-way locks, and a unique number.
//!
//! Everything that a real chip keeps without power is in the file, and each operation is in the file before it
//! returns, so it survives a station that is killed:
//!
//! ```text
//!   0      4         8          16           20        24           28       32         36         4096
//!   │ BSIM │ version │ unique   │ key sector │ readout │ boot bytes │ erases │ programs │ resets │ … │ areas …
//! ```
//!
//! Numbers are little-endian; `FF FF FF FF` is an open lock. The areas of flash follow in the order of their
//! addresses, as they read.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

use probe_rs::Target;
use probe_rs::config::MemoryRegion;

use super::fault::Fault;

const MAGIC: &[u8; 4] = b"BSIM";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 4096;
const OPEN: u32 = u32::MAX;

/// The lock block: registers that a debugger and the processor see.
pub(crate) mod register {
    /// The chip's unique number, low word; read only.
    pub(crate) const UNIQUE: u32 = 0x4000_0000;
    /// Its high word.
    pub(crate) const UNIQUE_HIGH: u32 = 0x4000_0004;
    /// [`UNLOCK`] here lets the next write to one of the following through.
    pub(crate) const UNLOCK_KEY: u32 = 0x4000_0008;
    /// The address of the sector that can no longer be read from outside, nor written.
    pub(crate) const KEY_SECTOR: u32 = 0x4000_000C;
    /// Zero: no flash can be read from outside.
    pub(crate) const READOUT: u32 = 0x4000_0010;
    /// How many bytes at the start of the first area can no longer be written.
    pub(crate) const BOOT_BYTES: u32 = 0x4000_0014;
    /// What goes into [`UNLOCK_KEY`].
    pub(crate) const UNLOCK: u32 = 0xB157_AB1E;
    /// Behind the last one.
    pub(crate) const END: u32 = 0x4000_0018;
}

/// What the file says besides flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The chip's unique number.
    pub unique: u64,
    /// The sector that the device's key is locked in.
    pub key_sector: Option<u32>,
    /// Whether no flash can be read from outside.
    pub readout: bool,
    /// How much of the bootloader can no longer be written.
    pub boot_bytes: Option<u32>,
    /// How many sectors were erased.
    pub erases: u32,
    /// How many pages were programmed.
    pub programs: u32,
    /// How often the chip was reset.
    pub resets: u32,
}

impl State {
    /// What the file at `path` says.
    ///
    /// # Errors
    /// It cannot be read, or is no simulated chip.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut header = [0; HEADER_LEN];
        File::open(path)?.read_exact(&mut header)?;
        Self::decode(&header).ok_or_else(|| io::Error::other(NO_CHIP))
    }

    fn decode(header: &[u8; HEADER_LEN]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = header.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let locked = |at| Some(word(at)?).map(|word| (word != OPEN).then_some(word));
        if !header.starts_with(MAGIC) || word(4)? != VERSION {
            return None;
        }
        Some(Self {
            unique: u64::from(word(8)?) | u64::from(word(12)?) << 32,
            key_sector: locked(16)?,
            readout: locked(20)?.is_some(),
            boot_bytes: locked(24)?,
            erases: word(28)?,
            programs: word(32)?,
            resets: word(36)?,
        })
    }

    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut header = [0xFF; HEADER_LEN];
        let readout = if self.readout { 0 } else { OPEN };
        let words = [
            VERSION,
            self.unique as u32,
            (self.unique >> 32) as u32,
            self.key_sector.unwrap_or(OPEN),
            readout,
            self.boot_bytes.unwrap_or(OPEN),
            self.erases,
            self.programs,
            self.resets,
        ];
        header[..4].copy_from_slice(MAGIC);
        for (place, word) in header[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        header
    }
}

const NO_CHIP: &str = "this is not the file of a simulated chip";

/// Nothing answers at this address, or it is locked.
#[derive(Debug)]
pub(crate) struct BusFault;

struct Area {
    start: u32,
    bytes: Vec<u8>,
    /// Where it lies in the file.
    at: u64,
    sector: u32,
}

struct Ram {
    start: u32,
    bytes: Vec<u8>,
}

/// A chip whose flash is a file.
pub(crate) struct Chip {
    file: File,
    pub(crate) state: State,
    areas: Vec<Area>,
    ram: Vec<Ram>,
    unlocked: bool,
    pub(crate) fault: Option<Fault>,
    fault_struck: bool,
    /// For [`Fault::ReadDiffers`]: the word.
    weak: Option<u32>,
}

impl Chip {
    /// The chip in the file at `path`, a new and erased one if there is no such file; its memory is that of
    /// `target`. Nobody else can open it meanwhile.
    pub(crate) fn open(path: &Path, target: &Target, fault: Option<Fault>) -> io::Result<Self> {
        let (mut areas, ram) = memory(target);
        if !path.try_exists()? {
            create(path, &areas)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.try_lock().map_err(|_| {
            io::Error::other("another station works on this simulated chip at the moment")
        })?;
        let mut header = [0; HEADER_LEN];
        file.read_exact(&mut header)?;
        let state = State::decode(&header).ok_or_else(|| io::Error::other(NO_CHIP))?;
        for area in &mut areas {
            file.read_exact(&mut area.bytes)?;
        }
        Ok(Self {
            file,
            state,
            areas,
            ram,
            unlocked: false,
            fault,
            fault_struck: false,
            weak: None,
        })
    }

    /// What a debugger reads: aligned, `N` bytes.
    pub(crate) fn read<const N: usize>(&self, address: u32) -> Result<[u8; N], BusFault> {
        if let Some(word) = self.lock_register(address) {
            let bytes = word.to_le_bytes();
            let offset = (address % 4) as usize;
            let part = bytes.get(offset..offset + N).ok_or(BusFault)?;
            return part.try_into().map_err(|_| BusFault);
        }
        if self.locked_against_reading(address) {
            return Err(BusFault);
        }
        let mut bytes: [u8; N] = self.fetch(address)?;
        if self.weak == Some(address & !3) {
            bytes[0] ^= 1;
        }
        Ok(bytes)
    }

    /// What the processor reads: no lock is in its way.
    pub(crate) fn fetch<const N: usize>(&self, address: u32) -> Result<[u8; N], BusFault> {
        let ram = self.ram.iter().map(|ram| (ram.start, &ram.bytes));
        let areas = self.areas.iter().map(|area| (area.start, &area.bytes));
        let found = ram.chain(areas).find_map(|(start, bytes)| {
            let offset = address.checked_sub(start)? as usize;
            bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
        });
        found.ok_or(BusFault)
    }

    /// A write to RAM, or to the lock block. Flash is not written like this: that is ignored.
    pub(crate) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), BusFault> {
        if let Ok(word) = bytes.try_into().map(u32::from_le_bytes)
            && (register::UNIQUE..register::END).contains(&address)
        {
            return self.write_lock(address, word);
        }
        if self.is_flash(address) {
            return Ok(());
        }
        let place = self.ram.iter_mut().find_map(|ram| {
            let offset = address.checked_sub(ram.start)? as usize;
            ram.bytes.get_mut(offset..offset.checked_add(bytes.len())?)
        });
        place.ok_or(BusFault)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Whether flash lies at `address`.
    pub(crate) fn is_flash(&self, address: u32) -> bool {
        self.areas.iter().any(|area| area.holds(address))
    }

    /// Where the processor looks for its first stack pointer and its first instruction.
    pub(crate) fn vectors(&self) -> Option<(u32, u32)> {
        let start = self.areas.first()?.start;
        let word = |address| self.fetch(address).map(u32::from_le_bytes).ok();
        Some((word(start)?, word(start + 4)?))
    }

    /// The first address of RAM and its length.
    pub(crate) fn ram(&self) -> Option<Range<u32>> {
        let ram = self.ram.first()?;
        Some(ram.start..ram.start + ram.bytes.len() as u32)
    }

    /// Counts a reset, which RAM survives.
    pub(crate) fn reset(&mut self) {
        self.state.resets += 1;
        self.unlocked = false;
        self.keep_state();
    }

    /// Erases the sector that `address` lies in; whether the controller says that it did.
    pub(crate) fn erase(&mut self, address: u32) -> bool {
        if self.locked_against_writing(address) {
            return false;
        }
        let leave = self.strikes(Fault::EraseLeavesSector);
        let Some(area) = self.areas.iter_mut().find(|area| area.holds(address)) else {
            return false;
        };
        let offset = address - area.start;
        let offset = (offset - offset % area.sector) as usize;
        let end = (offset + area.sector as usize).min(area.bytes.len());
        if !leave {
            area.bytes[offset..end].fill(0xFF);
            if area.keep(&mut self.file, offset..end).is_err() {
                return false;
            }
        }
        self.state.erases += 1;
        self.keep_state();
        true
    }

    /// Programs `bytes` at `address`, which only clears bits; whether the controller says that it did.
    pub(crate) fn program(&mut self, address: u32, bytes: &[u8]) -> bool {
        if self.locked_against_writing(address) || self.strikes(Fault::ProgramFails) {
            return false;
        }
        let nothing = self.strikes(Fault::ProgramWritesNothing);
        let flip = self.strikes(Fault::ProgramFlipsBit);
        if self.strikes(Fault::ReadDiffers) {
            self.weak = Some(address);
        }
        let Some(area) = self.areas.iter_mut().find(|area| area.holds(address)) else {
            return false;
        };
        let offset = (address - area.start) as usize;
        let Some(place) = area.bytes.get_mut(offset..offset + bytes.len()) else {
            return false;
        };
        if !nothing {
            for (place, byte) in place.iter_mut().zip(bytes) {
                *place &= byte;
            }
        }
        if flip && let Some(byte) = place.first_mut() {
            *byte ^= 0x10;
        }
        let kept = area.keep(&mut self.file, offset..offset + bytes.len());
        self.state.programs += 1;
        self.keep_state();
        kept.is_ok()
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.fault == Some(fault) && !self.fault_struck;
        self.fault_struck |= strikes;
        strikes
    }

    fn locked_against_reading(&self, address: u32) -> bool {
        self.is_flash(address) && (self.state.readout || self.in_key_sector(address))
    }

    fn locked_against_writing(&self, address: u32) -> bool {
        let first = self.areas.first().map_or(0, |area| area.start);
        let boot = self.state.boot_bytes.unwrap_or(0);
        self.in_key_sector(address) || (first..first + boot).contains(&address)
    }

    fn in_key_sector(&self, address: u32) -> bool {
        let area = self.areas.iter().find(|area| area.holds(address));
        match (self.state.key_sector, area) {
            (Some(key), Some(area)) => {
                area.holds(key)
                    && (address - area.start) / area.sector == (key - area.start) / area.sector
            }
            _ => false,
        }
    }

    fn lock_register(&self, address: u32) -> Option<u32> {
        let state = &self.state;
        Some(match address & !3 {
            register::UNIQUE => state.unique as u32,
            register::UNIQUE_HIGH => (state.unique >> 32) as u32,
            register::UNLOCK_KEY => u32::from(self.unlocked),
            register::KEY_SECTOR => state.key_sector.unwrap_or(OPEN),
            register::READOUT => [OPEN, 0][usize::from(state.readout)],
            register::BOOT_BYTES => state.boot_bytes.unwrap_or(OPEN),
            _ => return None,
        })
    }

    /// Locks only ever close.
    fn write_lock(&mut self, address: u32, word: u32) -> Result<(), BusFault> {
        if address == register::UNLOCK_KEY {
            self.unlocked = word == register::UNLOCK;
            return Ok(());
        }
        if !std::mem::take(&mut self.unlocked) || word == OPEN {
            return Err(BusFault);
        }
        let state = &mut self.state;
        match (address, self.fault) {
            (register::KEY_SECTOR, Some(Fault::KeyStaysOpen))
            | (register::READOUT, Some(Fault::ReadoutStaysOpen))
            | (register::BOOT_BYTES, Some(Fault::BootloaderStaysOpen)) => {}
            (register::KEY_SECTOR, _) => state.key_sector = state.key_sector.or(Some(word)),
            (register::READOUT, _) => state.readout = true,
            (register::BOOT_BYTES, _) => state.boot_bytes = state.boot_bytes.or(Some(word)),
            _ => return Err(BusFault),
        }
        self.keep_state();
        Ok(())
    }

    /// The counters and locks go into the file; a file system that refuses leaves them as they were at the next
    /// power-on, as a chip would whose fuse did not blow.
    fn keep_state(&mut self) {
        let _ = self.file.seek(SeekFrom::Start(0));
        let _ = self.file.write_all(&self.state.encode()[..40]);
    }
}

impl Area {
    fn holds(&self, address: u32) -> bool {
        let offset = address.checked_sub(self.start);
        offset.is_some_and(|offset| (offset as usize) < self.bytes.len())
    }

    fn keep(&self, file: &mut File, part: Range<usize>) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.at + part.start as u64))?;
        file.write_all(&self.bytes[part])
    }
}

/// Flash and RAM of `target`, erased.
fn memory(target: &Target) -> (Vec<Area>, Vec<Ram>) {
    let (mut areas, mut ram) = (Vec::new(), Vec::new());
    let mut at = HEADER_LEN as u64;
    for region in &target.memory_map {
        let range = region.address_range();
        let (start, len) = (range.start as u32, (range.end - range.start) as usize);
        match region {
            MemoryRegion::Nvm(_) => {
                let algorithm = target
                    .flash_algorithms
                    .iter()
                    .find(|it| it.flash_properties.address_range.contains(&range.start));
                let sectors = algorithm.and_then(|it| it.flash_properties.sectors.first());
                areas.push(Area {
                    start,
                    bytes: vec![0xFF; len],
                    at,
                    sector: sectors.map_or(4096, |sector| sector.size as u32),
                });
                at += len as u64;
            }
            MemoryRegion::Ram(_) => ram.push(Ram {
                start,
                bytes: vec![0; len],
            }),
            MemoryRegion::Generic(_) => {}
        }
    }
    (areas, ram)
}

/// A new chip, whole or not at all.
fn create(path: &Path, areas: &[Area]) -> io::Result<()> {
    let state = State {
        unique: RandomState::new().build_hasher().finish(),
        key_sector: None,
        readout: false,
        boot_bytes: None,
        erases: 0,
        programs: 0,
        resets: 0,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let mut file = File::create(&name)?;
    file.write_all(&state.encode())?;
    for area in areas {
        file.write_all(&area.bytes)?;
    }
    drop(file);
    std::fs::rename(&name, path)
}
