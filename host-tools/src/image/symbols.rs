//! The symbols of two linked programs, compared: what came, went, grew, shrank or holds other bytes.

use std::collections::BTreeMap;
use std::path::Path;

use object::elf::{FileHeader32, PT_LOAD};
use object::endian::LittleEndian;
use object::read::elf::{ElfFile, ProgramHeader as _};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Error, files};

/// A program's symbols by name. Those of one name (generic code, private functions) are taken together.
pub struct Symbols {
    named: BTreeMap<String, Symbol>,
    /// The bytes of the first segment.
    start: Vec<u8>,
}

/// The symbols of one name.
#[derive(Clone, PartialEq, Eq, Default)]
struct Symbol {
    size: u64,
    /// Of each of them, in an order that does not depend on where they lie; empty for what is only
    /// reserved RAM.
    contents: Vec<Vec<u8>>,
}

/// What became of the symbols, the largest change first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct SymbolChanges {
    /// Only in the new program.
    pub added: Vec<SymbolSize>,
    /// Only in the old one.
    pub removed: Vec<SymbolSize>,
    /// Longer than before.
    pub grown: Vec<SymbolResize>,
    /// Shorter than before.
    pub shrunk: Vec<SymbolResize>,
    /// As long as before, with other bytes: also where only an address in it moved.
    pub changed: Vec<SymbolSize>,
    /// How many are as they were.
    pub equal: usize,
}

/// A symbol and its length.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct SymbolSize {
    /// Demangled.
    pub name: String,
    /// In bytes.
    pub bytes: u64,
}

/// A symbol and its two lengths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct SymbolResize {
    /// Demangled.
    pub name: String,
    /// Before, in bytes.
    pub old: u64,
    /// Now, in bytes.
    pub new: u64,
}

impl Symbols {
    /// Reads the symbols of the linked program at `path`.
    ///
    /// # Errors
    /// It is no 32-bit little-endian ELF file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = files::read(path, "read the program")?;
        let refuse = |found: String| {
            Error::unexpected(
                path,
                found,
                "a linked 32-bit program (ELF)",
                "give the file that the image was built from",
            )
        };
        let file = ElfFile::<FileHeader32<LittleEndian>>::parse(bytes.as_slice())
            .map_err(|error| refuse(format!("no such file ({error})")))?;
        let mut loaded = file.elf_program_headers().iter().filter(|header| {
            header.p_type(LittleEndian) == PT_LOAD && header.p_filesz(LittleEndian) > 0
        });
        let start = loaded
            .next()
            .and_then(|header| header.data(LittleEndian, bytes.as_slice()).ok());
        let start = start
            .ok_or_else(|| refuse("no bytes to load".into()))?
            .to_vec();
        let mut named: BTreeMap<String, Symbol> = BTreeMap::new();
        for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
            let kind = symbol.kind();
            let (Ok(name), SymbolKind::Text | SymbolKind::Data) = (symbol.name(), kind) else {
                continue;
            };
            // Bit 0 of a function's address says that it is Thumb code.
            let address = symbol.address() & !u64::from(kind == SymbolKind::Text);
            let section = symbol
                .section_index()
                .and_then(|index| file.section_by_index(index).ok());
            let content = section
                .and_then(|section| section.data_range(address, symbol.size()).ok().flatten());
            let name = format!("{:#}", rustc_demangle::demangle(name));
            let entry = named.entry(name).or_default();
            entry.size += symbol.size();
            entry.contents.push(content.unwrap_or_default().to_vec());
        }
        for symbol in named.values_mut() {
            symbol.contents.sort();
        }
        Ok(Self { named, start })
    }

    /// Whether a payload begins as this program does.
    #[must_use]
    pub fn begin(&self, payload: &[u8]) -> bool {
        payload.starts_with(&self.start)
    }

    /// What became of them in `new`.
    #[must_use]
    pub fn compare(&self, new: &Self) -> SymbolChanges {
        let mut changes = SymbolChanges::default();
        for (name, old) in &self.named {
            let name = name.clone();
            let Some(now) = new.named.get(&name) else {
                let bytes = old.size;
                changes.removed.push(SymbolSize { name, bytes });
                continue;
            };
            let resized = |name| SymbolResize {
                name,
                old: old.size,
                new: now.size,
            };
            if now.size > old.size {
                changes.grown.push(resized(name));
            } else if now.size < old.size {
                changes.shrunk.push(resized(name));
            } else if now.contents != old.contents {
                let bytes = now.size;
                changes.changed.push(SymbolSize { name, bytes });
            } else {
                changes.equal += 1;
            }
        }
        let added = new.named.iter();
        let added = added.filter(|(name, _)| !self.named.contains_key(*name));
        changes.added = added
            .map(|(name, symbol)| SymbolSize {
                name: name.clone(),
                bytes: symbol.size,
            })
            .collect();
        changes.sort();
        changes
    }
}

impl SymbolChanges {
    /// The largest first, then by name, as they come.
    fn sort(&mut self) {
        for list in [&mut self.added, &mut self.removed, &mut self.changed] {
            list.sort_by_key(|symbol| std::cmp::Reverse(symbol.bytes));
        }
        for list in [&mut self.grown, &mut self.shrunk] {
            list.sort_by_key(|symbol| std::cmp::Reverse(symbol.old.abs_diff(symbol.new)));
        }
    }
}
