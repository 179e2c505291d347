//! What a program takes of flash and RAM, and which crate takes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _};
use object::{SectionFlags, SectionKind, SymbolKind, elf};
use serde::{Deserialize, Serialize};

/// What lies under no symbol that names a crate: vectors, constants without a name, literals, padding.
pub(crate) const NOBODY: &str = "(no symbol)";

/// What lies under symbols without a crate: `main`, `memcpy`, `Reset`.
pub(crate) const UNMANGLED: &str = "(no crate in the name)";

/// Bytes of each kind.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Sizes {
    /// In flash: vectors, code, constants.
    pub(crate) text: u64,
    /// In flash and RAM: what RAM is initialised with.
    pub(crate) data: u64,
    /// In RAM alone.
    pub(crate) bss: u64,
}

/// A program that was linked.
pub(crate) struct Program {
    /// All of its sections that are loaded.
    pub(crate) sizes: Sizes,
    /// What each crate has of them.
    pub(crate) by_crate: BTreeMap<String, Sizes>,
    /// Bytes of flash: what the loaded segments hold.
    pub(crate) flash: u64,
    symbols: BTreeMap<String, u32>,
}

impl Program {
    /// Reads an ELF file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&bytes).with_context(|| path.display().to_string())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes)?;
        let segments = file.segments();
        let loaded = segments.filter_map(|segment| segment.data().ok());
        let mut program = Self {
            sizes: Sizes::default(),
            by_crate: BTreeMap::new(),
            flash: loaded.map(|data| data.len() as u64).sum(),
            symbols: file.symbols().filter_map(named).collect(),
        };
        for section in file.sections() {
            if let Some(kind) = kind(&section) {
                program.add(&file, &section, kind);
            }
        }
        // What lies between two sections is in flash, too.
        let between = program
            .flash
            .checked_sub(program.sizes.text + program.sizes.data);
        let between = between.context("sections that no segment loads")?;
        program.sizes.text += between;
        program.by_crate.entry(NOBODY.into()).or_default().text += between;
        Ok(program)
    }

    fn add(&mut self, file: &object::File<'_>, section: &object::Section<'_, '_>, kind: Kind) {
        *kind(&mut self.sizes) += section.size();
        let mut symbols: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.section_index() == Some(section.index()))
            .filter_map(|symbol| Some((extent(&symbol)?, owner(symbol.name().ok()?))))
            .collect();
        // Of those that overlap, as two names of one function do, the first one has the bytes.
        symbols.sort_by_key(|((start, end), _)| (*start, std::cmp::Reverse(*end)));
        let mut next = section.address();
        let mut named = 0;
        for ((start, end), owner) in symbols {
            let bytes = end.saturating_sub(start.max(next));
            next = next.max(end);
            named += bytes;
            *kind(self.by_crate.entry(owner).or_default()) += bytes;
        }
        let rest = section.size() - named;
        *kind(self.by_crate.entry(NOBODY.into()).or_default()) += rest;
    }

    /// The address of the symbol with this name.
    pub(crate) fn symbol(&self, name: &str) -> Option<u32> {
        self.symbols.get(name).copied()
    }

    /// The address of the only function whose name ends so.
    pub(crate) fn function(&self, end: &str) -> Result<u32> {
        let found = self.symbols.iter().filter(|(name, _)| name.ends_with(end));
        match found.collect::<Vec<_>>()[..] {
            [(_, address)] => Ok(*address),
            ref found => bail!("expected one function `…{end}`, found {found:x?}"),
        }
    }
}

/// One of the fields of [`Sizes`].
type Kind = fn(&mut Sizes) -> &mut u64;

/// Which field a section belongs to; none if it is not loaded.
fn kind(section: &object::Section<'_, '_>) -> Option<Kind> {
    let SectionFlags::Elf { sh_flags } = section.flags() else {
        return None;
    };
    // riscv-rt gives all RAM that is left to these two: nothing lies there before the program runs.
    if matches!(section.name(), Ok(".stack" | ".heap")) {
        return None;
    }
    let has = |flag: u32| sh_flags & u64::from(flag) != 0;
    match section.kind() {
        _ if !has(elf::SHF_ALLOC) => None,
        SectionKind::UninitializedData | SectionKind::UninitializedTls => {
            Some(|sizes| &mut sizes.bss)
        }
        _ if has(elf::SHF_WRITE) => Some(|sizes| &mut sizes.data),
        _ => Some(|sizes| &mut sizes.text),
    }
}

/// A symbol's demangled name, and its address.
fn named(symbol: object::Symbol<'_, '_>) -> Option<(String, u32)> {
    let name = rustc_demangle::demangle(symbol.name().ok()?);
    Some((format!("{name:#}"), address(&symbol) as u32))
}

/// First and last byte, and one more, of a symbol that has any.
fn extent(symbol: &object::Symbol<'_, '_>) -> Option<(u64, u64)> {
    let (start, size) = (address(symbol), symbol.size());
    (size > 0).then_some((start, start + size))
}

/// The lowest bit of a Thumb function's address says that it is one (ELF for the Arm architecture, §5.5.3).
fn address(symbol: &object::Symbol<'_, '_>) -> u64 {
    match symbol.kind() {
        SymbolKind::Text => symbol.address() & !1,
        _ => symbol.address(),
    }
}

/// The crate that a symbol names.
fn owner(symbol: &str) -> String {
    let Ok(name) = rustc_demangle::try_demangle(symbol) else {
        return UNMANGLED.into();
    };
    let name = format!("{name:#}");
    // `<&mut a::B as c::D>::e` is of `a`; `<u8 as c::D>::e` of `c`, for no crate owns `u8`.
    let mut paths = name.split(" as ").filter_map(|path| path.split_once("::"));
    let (first, _) = paths.next().unwrap_or(("core", ""));
    let first = first.rsplit([' ', '<', '&', '*', '(', '[']).next();
    first.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_is_that_of_the_type_before_that_of_the_trait() {
        for (symbol, expected) in [
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate"),
            (
                "_ZN15ed25519_compact6sha5125State6blocks17h0123456789abcdefE",
                "ed25519_compact",
            ),
            (
                "_ZN58_$LT$emulated_flash..Flash$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "emulated_flash",
            ),
            (
                "_ZN50_$LT$$RF$mut$u20$W$u20$as$u20$core..fmt..Write$GT$9write_str17h0123456789abcdefE",
                "core",
            ),
            ("memcpy", UNMANGLED),
        ] {
            assert_eq!(owner(symbol), expected, "{symbol}");
        }
    }

    #[test]
    fn a_function_that_is_not_there_exactly_once_is_not_found() {
        let program = Program {
            sizes: Sizes::default(),
            by_crate: BTreeMap::new(),
            flash: 0,
            symbols: [
                ("<a::X as v::V>::holds", 4),
                ("b::keeps", 8),
                ("c::keeps", 12),
            ]
            .map(|(name, address)| (name.to_owned(), address))
            .into(),
        };
        assert_eq!(program.function(" as v::V>::holds").unwrap(), 4);
        for end in ["::keeps", "::hold", "a::X"] {
            let error = program.function(end).unwrap_err().to_string();
            assert!(error.contains("expected one function"), "{error}");
        }
    }

    #[test]
    fn every_byte_of_a_program_has_one_owner() {
        let program = Program::read(&std::env::current_exe().unwrap()).unwrap();
        let sum = |kind: Kind| -> u64 {
            let all = program.by_crate.values();
            all.map(|sizes| *kind(&mut { *sizes })).sum()
        };
        let Sizes { text, data, bss } = program.sizes;
        assert_eq!(
            [
                sum(|s| &mut s.text),
                sum(|s| &mut s.data),
                sum(|s| &mut s.bss)
            ],
            [text, data, bss]
        );
        assert_eq!(text + data, program.flash);
        assert!(program.by_crate["bench"].text > 1000);
    }
}
