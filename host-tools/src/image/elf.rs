//! A linked program as the bytes that lie in a slot, from an ELF file or from others' pieces.
//!
//! The loadable segments lie at their physical addresses, which is where the linker script puts
//! initialised data to be copied from. What a segment holds between its sections is no part of the
//! program: there it is erased flash, as in what objcopy makes of the same file.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bistable_core::layout::Slot;
use bistable_core::verify::Entry;
use bistable_layout::Product;
use bistable_layout::product::Architecture;
use object::elf::{self, FileHeader32};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};

use crate::Error;
use crate::image::package;
use crate::image::pieces::{Piece, flatten};
use crate::memory_flash::ERASED;

pub use crate::image::pieces::PAYLOAD_UNIT;

/// A program as it is linked for one slot.
#[derive(Clone, Debug)]
pub struct Link {
    /// The file that it came from.
    pub path: PathBuf,
    /// The bytes that lie in the slot, from the payload's start.
    pub payload: Vec<u8>,
    /// Where the processor sees the first of them.
    pub address: u32,
    /// What it is for.
    pub architecture: Architecture,
    /// Whether its file says where it was linked for: others only say where it shall lie.
    pub says_where: bool,
    symbols: Vec<Symbol>,
    sections: Vec<Section>,
}

/// A section that lies in the payload.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Section {
    name: String,
    /// Where in the payload it begins, in bytes.
    offset: u64,
    size: u64,
    /// Where the program sees it: initialised data are copied from the payload to RAM.
    address: u64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Symbol {
    address: u32,
    size: u32,
    name: String,
}

impl Link {
    /// Takes the program in the ELF file `bytes`, which `path` held, as linked for `slot`.
    ///
    /// # Errors
    /// It is no program for this processor, or does not lie in the slot.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        product: &Product,
        entry: Entry<'_>,
        slot: Slot,
    ) -> Result<Self, Error> {
        let header = header(path, bytes)?;
        check_machine(path, header.e_machine.get(LittleEndian), entry)?;
        let segments = segments(path, bytes, header)?;
        let mut link = Self::of_pieces(path, segments, product, entry, slot)?;
        link.check_start(header.e_entry.get(LittleEndian), entry, slot)?;
        link.says_where = true;
        link.symbols = symbols(bytes, header);
        link.sections = sections(bytes, header, link.address);
        Ok(link)
    }

    /// Takes the program that these pieces make, which `path` held, as linked for `slot`. Nothing is known
    /// of its symbols and sections.
    pub(crate) fn of_pieces(
        path: &Path,
        pieces: Vec<Piece<'_>>,
        product: &Product,
        entry: Entry<'_>,
        slot: Slot,
    ) -> Result<Self, Error> {
        let link = Self {
            path: path.into(),
            payload: flatten(path, pieces, product, slot)?,
            address: product.layout.payload_address(slot),
            architecture: product.architecture,
            says_where: false,
            symbols: Vec::new(),
            sections: Vec::new(),
        };
        link.check_entry(entry, slot)?;
        Ok(link)
    }

    /// Where in the program the byte at `offset` from the payload's start lies, for people.
    #[must_use]
    pub fn symbol_at(&self, offset: usize) -> String {
        let offset = offset as u64;
        let address = match self.section(offset) {
            Some(section) => section.address + (offset - section.offset),
            None => u64::from(self.address) + offset,
        };
        let inside = |symbol: &&Symbol| {
            let start = u64::from(symbol.address);
            (start..start + u64::from(symbol.size)).contains(&address)
        };
        match self.symbols.iter().find(inside) {
            Some(symbol) => {
                let into = address - u64::from(symbol.address);
                format!("`{}` + {into:#x}", symbol.name)
            }
            None if self.symbols.is_empty() => {
                format!("the byte at {address:#x}, whose file names no symbols")
            }
            None => "no symbol".into(),
        }
    }

    /// The first symbol that another link of the program has elsewhere, in another length or not at all, for people.
    #[must_use]
    pub fn first_unlike(&self, other: &Self) -> Option<String> {
        let (own, others) = (self.placed_symbols(), other.placed_symbols());
        let (own, other) = own
            .into_iter()
            .zip(others)
            .find(|(own, other)| own != other)?;
        let Symbol {
            address: offset,
            size,
            name,
        } = own;
        let instead = match (other.name == name, other.address == offset) {
            (false, _) => format!("`{}` in the other link", other.name),
            (true, true) => format!("{} in the other link", other.size),
            (true, false) => format!("at {:#x} in the other link", other.address),
        };
        Some(format!(
            "the first symbol that differs is `{name}` of {size} bytes at offset {offset:#x}: {instead}"
        ))
    }

    /// The symbols in the payload, by their offset in it.
    fn placed_symbols(&self) -> Vec<Symbol> {
        let inside = |offset: &u32| (*offset as usize) < self.payload.len();
        let placed = self.symbols.iter().filter_map(|symbol| {
            let offset = symbol.address.checked_sub(self.address);
            let address = offset.filter(inside)?;
            Some(Symbol {
                address,
                ..symbol.clone()
            })
        });
        let mut placed: Vec<_> = placed.collect();
        placed.sort();
        placed
    }

    /// The section that the byte at `offset` from the payload's start lies in; `None` for a gap, and
    /// without a table of sections.
    #[must_use]
    pub fn section_at(&self, offset: usize) -> Option<&str> {
        let section = self.section(offset as u64)?;
        Some(&section.name)
    }

    fn section(&self, offset: u64) -> Option<&Section> {
        let mut sections = self.sections.iter();
        sections.find(|section| (section.offset..section.offset + section.size).contains(&offset))
    }

    fn check_entry(&self, entry: Entry<'_>, slot: Slot) -> Result<(), Error> {
        let len = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let end = self.address.saturating_add(len);
        let first = self.payload.first_chunk().copied().unwrap_or_default();
        let Err(refusal) = entry.check(first, self.address..end) else {
            return Ok(());
        };
        let [a, b, c, d, e, f, g, h] = first;
        let [first, second] = [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes);
        let address = self.address;
        let (found, expected, hint) = match entry {
            Entry::CortexM { .. } => (
                format!(
                    "stack pointer {first:#x} and reset vector {second:#x} at the payload's start ({refusal})"
                ),
                format!(
                    "a vector table for slot {slot:?}: a stack in the layout's RAM, code in {address:#x}..{end:#x}"
                ),
                "the linker script must put the vector table first",
            ),
            Entry::FirstInstruction => (
                format!(
                    "{first:#010x} at the payload's start, which is no instruction ({refusal})"
                ),
                format!("the first instruction of a program for slot {slot:?}, at {address:#x}"),
                STARTS_FIRST,
            ),
        };
        Err(Error::unexpected(&self.path, found, expected, hint))
    }

    /// A processor that begins with the payload's first byte does not ask where the file says that it begins. A start
    /// of 0 is none (System V ABI, ELF header, `e_entry`): linkers write it if they know no entry symbol, and then nothing
    /// but the linker script says what comes first.
    fn check_start(&self, start: u32, entry: Entry<'_>, slot: Slot) -> Result<(), Error> {
        let is_elsewhere = start != 0 && start != self.address;
        if entry != Entry::FirstInstruction || !is_elsewhere {
            return Ok(());
        }
        Err(Error::unexpected(
            &self.path,
            format!("a program that starts at {start:#x}"),
            format!(
                "one that starts with the payload of slot {slot:?}, at {:#x}",
                self.address
            ),
            STARTS_FIRST,
        ))
    }
}

/// What mends a program whose first byte is not where it starts.
const STARTS_FIRST: &str =
    "the linker script must put the code that starts first, at the payload's start";

/// What the program in the ELF file `bytes`, which `path` held, consists of, wherever that lies.
pub(crate) fn pieces<'d>(
    path: &Path,
    bytes: &'d [u8],
    entry: Entry<'_>,
) -> Result<Vec<Piece<'d>>, Error> {
    let header = header(path, bytes)?;
    check_machine(path, header.e_machine.get(LittleEndian), entry)?;
    segments(path, bytes, header)
}

fn header<'d>(path: &Path, bytes: &'d [u8]) -> Result<&'d FileHeader32<LittleEndian>, Error> {
    let refuse = |found: String| {
        Error::unexpected(
            path,
            found,
            "a 32-bit little-endian ELF file",
            "give the program that the linker made for the device",
        )
    };
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(refuse("another file".into()));
    }
    match (bytes.get(4), bytes.get(5)) {
        (Some(&elf::ELFCLASS32), Some(&elf::ELFDATA2LSB)) => {}
        (Some(&elf::ELFCLASS64), _) => return Err(refuse("a 64-bit ELF file".into())),
        (_, Some(&elf::ELFDATA2MSB)) => return Err(refuse("a big-endian ELF file".into())),
        _ => return Err(refuse("an ELF file of no known class".into())),
    }
    let header = FileHeader32::parse(bytes)
        .map_err(|error| refuse(format!("a broken ELF file ({error})")))?;
    match header.e_type.get(LittleEndian) {
        elf::ET_EXEC => Ok(header),
        other => Err(refuse(format!(
            "an ELF file of type {other}, which is not linked to run"
        ))),
    }
}

fn check_machine(path: &Path, machine: u16, entry: Entry<'_>) -> Result<(), Error> {
    let (wanted, name, target) = match entry {
        Entry::CortexM { .. } => (elf::EM_ARM, "an Arm Cortex-M", package::CORTEX_M_TARGET),
        Entry::FirstInstruction => (elf::EM_RISCV, "a RISC-V", package::RISCV32_TARGET),
    };
    if machine == wanted {
        return Ok(());
    }
    let found = match machine {
        elf::EM_ARM => "Arm".into(),
        elf::EM_RISCV => "RISC-V".into(),
        elf::EM_386 => "x86".into(),
        other => format!("number {other}"),
    };
    Err(Error::unexpected(
        path,
        format!("a program for machine {found}"),
        format!("one for {name}"),
        format!("build it for the board's target, such as {target}"),
    ))
}

/// The segments that hold bytes.
fn segments<'d>(
    path: &Path,
    bytes: &'d [u8],
    header: &FileHeader32<LittleEndian>,
) -> Result<Vec<Piece<'d>>, Error> {
    let broken =
        |found: String| Error::unexpected(path, found, "whole segments", "link the program again");
    let headers = header
        .program_headers(LittleEndian, bytes)
        .map_err(|error| broken(format!("a broken table of segments ({error})")))?;
    let sections = programmed(bytes, header);
    let mut segments = Vec::new();
    for (number, program) in headers.iter().enumerate() {
        let programmed = program.p_type.get(LittleEndian) == elf::PT_LOAD
            && program.p_filesz.get(LittleEndian) > 0;
        if programmed {
            let data = program
                .data(LittleEndian, bytes)
                .map_err(|()| broken(format!("segment {number} beyond the end of the file")))?;
            let offset = program.p_offset.get(LittleEndian) as usize;
            let (skipped, data) = sections_only(offset, data, &sections);
            segments.push(Piece {
                name: format!("segment {number}"),
                address: program.p_paddr.get(LittleEndian).wrapping_add(skipped),
                data,
            });
        }
    }
    Ok(segments)
}

/// Where in the file the sections lie that hold bytes of the program.
fn programmed(bytes: &[u8], header: &FileHeader32<LittleEndian>) -> Vec<Range<usize>> {
    let Ok(sections) = header.sections(LittleEndian, bytes) else {
        return Vec::new();
    };
    let held = sections.iter().filter(|section| {
        let is_loaded = section.sh_flags(LittleEndian) & elf::SHF_ALLOC != 0;
        is_loaded && section.sh_type(LittleEndian) != elf::SHT_NOBITS
    });
    held.filter_map(|section| section.file_range(LittleEndian))
        .filter(|(_, len)| *len > 0)
        .map(|(start, len)| start as usize..start.saturating_add(len) as usize)
        .collect()
}

/// What is left of a segment at `offset` of the file if only its sections count, and how many bytes lie before
/// the first of them. All of it, if it has none: a linker may leave the table of sections out.
fn sections_only<'d>(
    offset: usize,
    data: &'d [u8],
    sections: &[Range<usize>],
) -> (u32, Cow<'d, [u8]>) {
    let end = offset.saturating_add(data.len());
    let inside: Vec<_> = sections
        .iter()
        .filter(|section| offset <= section.start && section.end <= end)
        .map(|section| section.start - offset..section.end - offset)
        .collect();
    let first = inside.iter().map(|section| section.start).min();
    let last = inside.iter().map(|section| section.end).max();
    let (Some(first), Some(last)) = (first, last) else {
        return (0, Cow::Borrowed(data));
    };
    let mut kept = vec![ERASED; data.len()];
    for section in inside {
        if let (Some(to), Some(from)) = (kept.get_mut(section.clone()), data.get(section)) {
            to.copy_from_slice(from);
        }
    }
    kept.truncate(last);
    kept.drain(..first);
    (first as u32, Cow::Owned(kept))
}

/// Sections are for messages, too. Which bytes of the payload they hold, the segments say.
fn sections(bytes: &[u8], header: &FileHeader32<LittleEndian>, start: u32) -> Vec<Section> {
    let (Ok(table), Ok(segments)) = (
        header.sections(LittleEndian, bytes),
        header.program_headers(LittleEndian, bytes),
    ) else {
        return Vec::new();
    };
    let placed = table.iter().filter_map(|section| {
        let place = u64::from(section.sh_offset.get(LittleEndian));
        let size = u64::from(section.sh_size.get(LittleEndian));
        let held = section.sh_type.get(LittleEndian) != elf::SHT_NOBITS && size > 0;
        let segment = segments.iter().find(|segment| {
            let begin = u64::from(segment.p_offset.get(LittleEndian));
            let end = begin + u64::from(segment.p_filesz.get(LittleEndian));
            segment.p_type.get(LittleEndian) == elf::PT_LOAD && (begin..end).contains(&place)
        })?;
        let into = place - u64::from(segment.p_offset.get(LittleEndian));
        let physical = u64::from(segment.p_paddr.get(LittleEndian)) + into;
        let name = table.section_name(LittleEndian, section).ok()?;
        held.then_some(Section {
            name: String::from_utf8_lossy(name).into_owned(),
            offset: physical.checked_sub(u64::from(start))?,
            size,
            address: u64::from(section.sh_addr.get(LittleEndian)),
        })
    });
    placed.collect()
}

/// Symbols are for messages: a table that cannot be read is as good as none.
fn symbols(bytes: &[u8], header: &FileHeader32<LittleEndian>) -> Vec<Symbol> {
    let Ok(sections) = header.sections(LittleEndian, bytes) else {
        return Vec::new();
    };
    let Ok(table) = sections.symbols(LittleEndian, bytes, elf::SHT_SYMTAB) else {
        return Vec::new();
    };
    let named = table.iter().filter_map(|symbol| {
        let size = symbol.st_size(LittleEndian);
        let name = symbol.name(LittleEndian, table.strings()).ok()?;
        let name = str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        let is_code = symbol.st_type() == elf::STT_FUNC;
        (size > 0).then(|| Symbol {
            // Bit 0 of a function's address says that it is Thumb code.
            address: symbol.st_value(LittleEndian) & !u32::from(is_code),
            size,
            name: format!("{:#}", rustc_demangle::demangle(name)),
        })
    });
    named.collect()
}
