//! A linked program (ELF), flattened to the bytes that lie in a slot.
//!
//! The loadable segments are laid out by their physical addresses, which is where the linker script
//! puts initialised data to be copied from. Gaps, and the end up to a multiple of 32 bytes, are filled
//! with 0xFF: what erased flash reads as.

use std::path::{Path, PathBuf};

use bistable_core::layout::Slot;
use bistable_core::verify::Entry;
use bistable_layout::Product;
use object::elf::{self, FileHeader32};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _, Sym as _};

use crate::Error;
use crate::memory_flash::ERASED;

/// Payloads are multiples of this, in bytes: the largest write unit that a layout allows.
pub const PAYLOAD_UNIT: usize = 32;

/// A program as it is linked for one slot.
#[derive(Clone, Debug)]
pub struct Link {
    /// The ELF file that it came from.
    pub path: PathBuf,
    /// The bytes that lie in the slot, from the payload's start.
    pub payload: Vec<u8>,
    /// Where the processor sees the first of them.
    pub address: u32,
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

#[derive(Clone, PartialEq, Eq, Debug)]
struct Symbol {
    address: u32,
    size: u32,
    name: String,
}

/// A segment that is programmed.
struct Segment<'d> {
    number: usize,
    address: u32,
    data: &'d [u8],
}

impl Segment<'_> {
    /// Past the 32-bit range it lies outside every slot, which is how it will be refused.
    fn end(&self) -> u64 {
        u64::from(self.address) + self.data.len() as u64
    }

    fn place(&self) -> String {
        format!(
            "segment {} at {:#x}..{:#x}",
            self.number,
            self.address,
            self.end()
        )
    }
}

impl Link {
    /// Takes the program in `bytes`, which `path` held, as linked for `slot`.
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
        let payload = flatten(path, &segments, product, slot)?;
        let address = product.layout.payload_address(slot);
        let link = Self {
            path: path.into(),
            payload,
            address,
            symbols: symbols(bytes, header),
            sections: sections(bytes, header, address),
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
            None => "no symbol".into(),
        }
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
        entry.check(first, self.address..end).map_err(|refusal| {
            let [a, b, c, d, e, f, g, h] = first;
            let stack = u32::from_le_bytes([a, b, c, d]);
            let reset = u32::from_le_bytes([e, f, g, h]);
            Error::unexpected(
                &self.path,
                format!("stack pointer {stack:#x} and reset vector {reset:#x} at the payload's start ({refusal})"),
                format!(
                    "a vector table for slot {slot:?}: a stack in the layout's RAM, code in {:#x}..{end:#x}",
                    self.address
                ),
                "the linker script must put the vector table first",
            )
        })
    }
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
        let first: Vec<_> = bytes
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        return Err(refuse(match first.is_empty() {
            true => "an empty file".into(),
            false => format!("a file that begins with {}", first.join(" ")),
        }));
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
    let (wanted, name) = match entry {
        Entry::CortexM { .. } => (elf::EM_ARM, "an Arm Cortex-M"),
        Entry::FirstInstruction => (elf::EM_RISCV, "a RISC-V"),
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
        "build it for the board's target, such as thumbv7m-none-eabi",
    ))
}

/// The segments that hold bytes, in the order of their addresses.
fn segments<'d>(
    path: &Path,
    bytes: &'d [u8],
    header: &FileHeader32<LittleEndian>,
) -> Result<Vec<Segment<'d>>, Error> {
    let broken =
        |found: String| Error::unexpected(path, found, "whole segments", "link the program again");
    let headers = header
        .program_headers(LittleEndian, bytes)
        .map_err(|error| broken(format!("a broken table of segments ({error})")))?;
    let mut segments = Vec::new();
    for (number, program) in headers.iter().enumerate() {
        let programmed = program.p_type.get(LittleEndian) == elf::PT_LOAD
            && program.p_filesz.get(LittleEndian) > 0;
        if programmed {
            let data = program
                .data(LittleEndian, bytes)
                .map_err(|()| broken(format!("segment {number} beyond the end of the file")))?;
            let address = program.p_paddr.get(LittleEndian);
            segments.push(Segment {
                number,
                address,
                data,
            });
        }
    }
    segments.sort_by_key(|segment| segment.address);
    Ok(segments)
}

fn flatten(
    path: &Path,
    segments: &[Segment<'_>],
    product: &Product,
    slot: Slot,
) -> Result<Vec<u8>, Error> {
    let start = product.layout.payload_address(slot);
    let capacity = product.layout.payload_capacity() as usize;
    let end = u64::from(start) + capacity as u64;
    let room = format!("{start:#x}..{end:#x} of slot {slot:?}");
    let variable = bistable_layout::build::SLOT_VARIABLE;
    let linked_elsewhere =
        format!("link it with {variable}={slot:?} and the memory.x of this layout");
    let Some(first) = segments.first() else {
        let expected = "a segment to program";
        return Err(Error::unexpected(
            path,
            "no loadable bytes",
            expected,
            linked_elsewhere,
        ));
    };
    let mut payload = Vec::new();
    for segment in segments {
        if segment.address < start || u64::from(segment.address) >= end {
            let expected = format!("it to lie in the payload {room}");
            return Err(Error::unexpected(
                path,
                segment.place(),
                expected,
                linked_elsewhere,
            ));
        }
        let offset = (segment.address - start) as usize;
        if segment.end() > end {
            let over = segment.end() - end;
            return Err(Error::unexpected(
                path,
                format!("{}, {over} bytes too long", segment.place()),
                format!("an end within the payload {room}"),
                "make the program smaller, or the slots larger in the layout",
            ));
        }
        if offset < payload.len() {
            let expected = "segments that do not overlap";
            return Err(Error::unexpected(
                path,
                segment.place(),
                expected,
                linked_elsewhere,
            ));
        }
        payload.resize(offset, ERASED);
        payload.extend_from_slice(segment.data);
    }
    if first.address != start {
        let expected = format!("the first one at the payload's start {start:#x}");
        return Err(Error::unexpected(
            path,
            first.place(),
            expected,
            linked_elsewhere,
        ));
    }
    let padded = payload.len().next_multiple_of(PAYLOAD_UNIT);
    if padded > capacity {
        return Err(Error::unexpected(
            path,
            format!("a payload of {} bytes, padded to {padded}", payload.len()),
            format!("at most {capacity}, the room in slot {slot:?}"),
            format!(
                "it is {} bytes too long: make the program smaller",
                padded - capacity
            ),
        ));
    }
    payload.resize(padded, ERASED);
    Ok(payload)
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
