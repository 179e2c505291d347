//! A program file as somebody gives it: ELF, Intel HEX, or a raw binary with its address.
//!
//! The kind is seen from the bytes, not from the file's name. No binary can be taken for another kind: that of
//! a Cortex-M begins with a stack pointer, which is a multiple of 8, and the first bytes of the others are not;
//! that of a RISC-V begins with an instruction, and the others' are a reserved one (ELF) or load registers from
//! a stack that there is not yet (Intel HEX).

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bistable_core::layout::Slot;

use crate::facts::Facts;
use crate::image::elf::Link;
use crate::image::intel_hex::{self, is_intel_hex};
use crate::image::pieces::Piece;
use crate::{Error, files};

/// What stands behind `--program-a`: a file, and for a raw binary the address of its first byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramFile {
    /// The file.
    pub path: PathBuf,
    /// Where the processor sees the first byte.
    pub address: Option<u32>,
}

/// A program that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The file that it came from.
    pub path: PathBuf,
    /// What the file held.
    pub bytes: Vec<u8>,
    /// What that is.
    pub kind: Kind,
}

/// What a program file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What a linker makes.
    Elf,
    /// Lines of text with addresses.
    IntelHex,
    /// The bytes alone, which lie at this address.
    Raw(u32),
}

impl ProgramFile {
    /// `FILE`, or `FILE@0xADDRESS`.
    ///
    /// # Errors
    /// The address is none.
    pub fn parse(text: OsString) -> Result<Self, String> {
        let Some((path, address)) = text.to_str().and_then(|text| text.rsplit_once("@0x")) else {
            let path = text.into();
            return Ok(Self {
                path,
                address: None,
            });
        };
        let digits = address.replace('_', "");
        let number = u32::from_str_radix(&digits, 16);
        match number {
            Ok(address) if digits.starts_with(|first: char| first.is_ascii_hexdigit()) => {
                let path = path.into();
                let address = Some(address);
                Ok(Self { path, address })
            }
            _ => Err(format!(
                "an address is 0x and up to 8 hex digits, not `0x{address}`"
            )),
        }
    }

    /// Reads it, as the program in `slot`.
    ///
    /// # Errors
    /// It cannot be read; an address is missing, or given where the file has its own.
    pub fn read(&self, facts: &Facts, slot: Slot) -> Result<Program, Error> {
        let Self { path, address } = self.clone();
        let bytes = files::read(&path, "read the program")?;
        let seen = match &bytes {
            bytes if bytes.starts_with(&object::elf::ELFMAG) => Some((Kind::Elf, "an ELF file")),
            bytes if is_intel_hex(bytes) => Some((Kind::IntelHex, "an Intel HEX file")),
            _ => None,
        };
        let kind = match (seen, address) {
            (Some((kind, _)), None) => kind,
            (None, Some(address)) => Kind::Raw(address),
            (Some((_, what)), Some(address)) => {
                return Err(Error::unexpected(
                    &path,
                    format!("{what}, and the address {address:#x}"),
                    "an address for a raw binary only",
                    format!("leave `@{address:#x}` away: the file has its own addresses"),
                ));
            }
            (None, None) => {
                let payload = facts.product.layout.payload_address(slot);
                return Err(Error::unexpected(
                    &path,
                    first_bytes(&bytes),
                    "an ELF file, an Intel HEX file, or a raw binary with its address",
                    format!(
                        "if it is a binary linked for slot {slot:?}, give {}@{payload:#x}",
                        path.display()
                    ),
                ));
            }
        };
        Ok(Program { path, bytes, kind })
    }
}

impl Program {
    /// It, as linked for `slot`.
    ///
    /// # Errors
    /// It does not lie there, or cannot be started.
    pub fn link(&self, facts: &Facts, slot: Slot) -> Result<Link, Error> {
        let Self { path, bytes, kind } = self;
        let (product, entry) = (&facts.product, facts.entry());
        let pieces = match kind {
            Kind::Elf => return Link::parse(path, bytes, product, entry, slot),
            Kind::IntelHex => intel_hex::pieces(path, bytes)?,
            Kind::Raw(address) => raw(*address, bytes),
        };
        Link::of_pieces(path, pieces, product, entry, slot)
    }
}

impl Kind {
    /// What the names of such files end in.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Elf => "elf",
            Self::IntelHex => "hex",
            Self::Raw(_) => "bin",
        }
    }
}

fn raw(address: u32, bytes: &[u8]) -> Vec<Piece<'_>> {
    let piece = |data| Piece {
        name: "the binary".into(),
        address,
        data: Cow::Borrowed(data),
    };
    Some(bytes)
        .filter(|bytes| !bytes.is_empty())
        .map(piece)
        .into_iter()
        .collect()
}

/// What a file of an unknown kind begins with, for people.
fn first_bytes(bytes: &[u8]) -> String {
    let first: Vec<_> = bytes
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match first.is_empty() {
        true => "an empty file".into(),
        false => format!("a file that begins with {}", first.join(" ")),
    }
}

/// `v1.img` and `a`: `v1.img.a.elf`, where the program of slot A is kept.
#[must_use]
pub fn kept_beside(image: &Path, slot: &str, kind: Kind) -> PathBuf {
    let mut name = OsString::from(image);
    name.push(format!(".{slot}.{}", kind.extension()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(PathBuf, Option<u32>), String> {
        ProgramFile::parse(text.into()).map(|file| (file.path, file.address))
    }

    #[test]
    fn a_raw_binary_has_its_address_behind_it() {
        assert_eq!(parse("a.elf"), Ok(("a.elf".into(), None)));
        let expected = Ok(("a.bin".into(), Some(0x2102_1000)));
        assert_eq!(parse("a.bin@0x21021000"), expected);
        assert_eq!(parse("a.bin@0x2102_1000"), expected);
        assert_eq!(parse("me@home/a.elf"), Ok(("me@home/a.elf".into(), None)));
        for text in ["a@0x", "a@0xg", "a@0x+1", "a@0x123456789", "a@0x1@0x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn programs_are_kept_under_the_whole_name_of_the_image() {
        let kept = |kind| kept_beside(Path::new("o/v1.img"), "a", kind);
        assert_eq!(kept(Kind::Elf), Path::new("o/v1.img.a.elf"));
        assert_eq!(kept(Kind::IntelHex), Path::new("o/v1.img.a.hex"));
        assert_eq!(kept(Kind::Raw(0)), Path::new("o/v1.img.a.bin"));
    }
}
