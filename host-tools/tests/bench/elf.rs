//! A small ELF file, as a linker would write it (System V ABI, gABI 4.1, chapter 4).

use std::ops::Range;

const HEADER: usize = 52;
const PROGRAM_HEADER: usize = 32;
const SECTION_HEADER: usize = 40;

/// What goes into the file; each test changes what it is about.
pub(crate) struct Elf {
    /// `e_machine`: 40 is Arm, 243 RISC-V.
    pub(crate) machine: u16,
    /// `EI_CLASS`: 1 is 32-bit.
    pub(crate) class: u8,
    /// `e_entry`: where the program starts; 0 says nothing.
    pub(crate) start: u32,
    /// Physical address and bytes.
    pub(crate) segments: Vec<(u32, Vec<u8>)>,
    /// Name, address and size of functions.
    pub(crate) symbols: Vec<(&'static str, u32, u32)>,
}

impl Elf {
    pub(crate) fn new(address: u32, bytes: &[u8]) -> Self {
        Self {
            machine: 40,
            class: 1,
            start: 0,
            segments: vec![(address, bytes.to_vec())],
            symbols: vec![("_ZN4demo4main17h0123456789abcdefE", address + 0x101, 0x400)],
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_with_sections(&[])
    }

    /// The same, with a section for each of these ranges of the first segment, not for all of it.
    pub(crate) fn bytes_with_sections(&self, parts: &[Range<usize>]) -> Vec<u8> {
        let table = HEADER + PROGRAM_HEADER * self.segments.len();
        let mut contents = Vec::new();
        let mut programs = Vec::new();
        for (address, bytes) in &self.segments {
            let offset = table + contents.len();
            let len = bytes.len() as u32;
            // PT_LOAD, where, virtual and physical address, sizes, readable and executable, alignment.
            for word in [1, offset as u32, *address, *address, len, len, 5, 4] {
                programs.extend_from_slice(&u32::to_le_bytes(word));
            }
            contents.extend_from_slice(bytes);
        }
        let (symbols, names) = self.symbol_table();
        let symbols_at = table + contents.len();
        let names_at = symbols_at + symbols.len();
        let sections_at = names_at + names.len();
        let mut sections = vec![
            [0; 10],
            // SHT_SYMTAB of 16-byte entries, its names in section 2, one local symbol.
            [1, 2, 0, 0, symbols_at, symbols.len(), 2, 1, 4, 16],
            // SHT_STRTAB, which also names the sections.
            [1, 3, 0, 0, names_at, names.len(), 0, 0, 1, 0],
        ];
        let (base, first) = self.segments.first().cloned().unwrap_or_default();
        let whole = 0..first.len();
        let whole = std::slice::from_ref(&whole);
        let parts = if parts.is_empty() { whole } else { parts };
        for part in parts {
            // SHT_PROGBITS, allocated and executable.
            let (at, address) = (table + part.start, base as usize + part.start);
            sections.push([1, 1, 6, address, at, part.len(), 0, 0, 4, 0]);
        }
        let mut file = vec![0x7F, b'E', b'L', b'F', self.class, 1, 1];
        file.resize(16, 0);
        for half in [2, self.machine] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        for word in [
            1,
            self.start,
            HEADER as u32,
            sections_at as u32,
            0x0500_0000,
        ] {
            file.extend_from_slice(&u32::to_le_bytes(word));
        }
        let count = self.segments.len();
        for half in [
            HEADER,
            PROGRAM_HEADER,
            count,
            SECTION_HEADER,
            sections.len(),
            2,
        ] {
            file.extend_from_slice(&(half as u16).to_le_bytes());
        }
        file.extend([programs, contents, symbols, names].concat());
        for word in sections.into_iter().flatten() {
            file.extend_from_slice(&(word as u32).to_le_bytes());
        }
        file
    }

    fn symbol_table(&self) -> (Vec<u8>, Vec<u8>) {
        let mut symbols = vec![0; 16];
        let mut names = b"\0.\0".to_vec();
        for (name, address, size) in &self.symbols {
            for word in [names.len() as u32, *address, *size] {
                symbols.extend_from_slice(&word.to_le_bytes());
            }
            symbols.extend_from_slice(&[0x12, 0, 3, 0]); // global, a function, in section 3
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        (symbols, names)
    }
}
