//! The kinds of files that programmers read: raw bytes, and lines or blocks with addresses.
//!
//! | ending | what it is | after |
//! | --- | --- | --- |
//! | `.bin` | every byte of one flash, erased ones too | |
//! | `.hex` | Intel HEX with 32-bit addresses | Intel, "Hexadecimal Object File Format Specification", revision A, 1988 |
//! | `.srec` | Motorola S-records with 32-bit addresses | Motorola, "M68000 Family Programmer's Reference Manual", appendix C, 1992 |
//! | `.uf2` | blocks for a boot loader that shows itself as a drive | [`super::uf2`] |
//!
//! All but the first hold the [pages](Contents::pages) that hold something, of all flashes, by rising addresses.

use std::fmt::Write as _;
use std::path::Path;

use ihex::Record;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::factory::flashes::Contents;
use crate::factory::uf2::{self, Family};

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Every byte of one flash.
    Bin,
    /// Intel HEX.
    Hex,
    /// Motorola S-records.
    Srec,
    /// USB Flashing Format.
    Uf2,
}

/// The most bytes in a line of text.
const LINE: usize = 32;

/// Intel HEX says the upper 16 bits of addresses on lines of their own.
const LOWER: u32 = 0xFFFF;

impl Format {
    /// Those that hold several flashes.
    pub const WITH_ADDRESSES: [Self; 3] = [Self::Hex, Self::Srec, Self::Uf2];

    /// What the names of such files end in.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::Hex => "hex",
            Self::Srec => "srec",
            Self::Uf2 => "uf2",
        }
    }

    /// The format that the file at `path` has by its name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        let mut all = [Self::Bin].into_iter().chain(Self::WITH_ADDRESSES);
        all.find(|format| format.extension() == ending)
    }

    /// The file that programs all `flashes`, which are given by rising addresses; `path` is what it will be called.
    ///
    /// # Errors
    /// A `.bin` of several flashes.
    pub fn file(
        self,
        path: &Path,
        flashes: &[Contents],
        family: Option<Family>,
    ) -> Result<Vec<u8>, Error> {
        match (self, flashes) {
            (Self::Bin, [one]) => Ok(one.bytes.clone()),
            (Self::Bin, several) => {
                let names: Vec<_> = several.iter().map(|it| format!("`{}`", it.name)).collect();
                Err(Error::unexpected(
                    path,
                    format!("{} flashes ({})", names.len(), names.join(", ")),
                    "one: a .bin has no addresses",
                    "give a folder, which gets a .bin for each flash, or a file that ends in .hex, .srec or .uf2",
                ))
            }
            (Self::Hex, flashes) => Ok(intel_hex(flashes).into_bytes()),
            (Self::Srec, flashes) => Ok(s_records(flashes).into_bytes()),
            (Self::Uf2, flashes) => Ok(uf2::file(flashes.iter().flat_map(Contents::pages), family)),
        }
    }
}

/// The pages as lines that stay within 64 KiB, where the lower half of an address would begin again.
fn lines(flashes: &[Contents]) -> impl Iterator<Item = (u32, &[u8])> {
    let pages = flashes.iter().flat_map(Contents::pages);
    pages.flat_map(|(mut address, mut rest)| {
        std::iter::from_fn(move || {
            let room = (LOWER - (address & LOWER)) as usize + 1;
            let len = LINE.min(room).min(rest.len());
            let (line, behind) = rest.split_at_checked(len).filter(|_| len > 0)?;
            let at = address;
            rest = behind;
            address = address.wrapping_add(len as u32);
            Some((at, line))
        })
    })
}

fn intel_hex(flashes: &[Contents]) -> String {
    let mut text = String::new();
    let mut record = |record: Record| {
        // 32 bytes are few enough, which is all that it can refuse.
        text.push_str(&record.to_record_string().unwrap_or_default());
        text.push('\n');
    };
    let mut upper = None;
    for (address, line) in lines(flashes) {
        let [lower, own] = [address & LOWER, address >> 16].map(|half| half as u16);
        if upper != Some(own) {
            record(Record::ExtendedLinearAddress(own));
            upper = Some(own);
        }
        record(Record::Data {
            offset: lower,
            value: line.to_vec(),
        });
    }
    record(Record::EndOfFile);
    text
}

fn s_records(flashes: &[Contents]) -> String {
    let mut text = String::new();
    s_record(&mut text, '0', &[0, 0], b"bistable");
    let mut count = 0_u32;
    for (address, line) in lines(flashes) {
        s_record(&mut text, '3', &address.to_be_bytes(), line);
        count += 1;
    }
    // The count of lines, where it has room. There is a type for longer ones that not every reader knows.
    if let Ok(count) = u16::try_from(count) {
        s_record(&mut text, '5', &count.to_be_bytes(), &[]);
    }
    s_record(&mut text, '7', &[0; 4], &[]);
    text
}

/// A line: how many bytes follow, address, data, and the complement of the sum of all of them.
fn s_record(text: &mut String, kind: char, address: &[u8], data: &[u8]) {
    let len = (address.len() + data.len() + 1) as u8;
    let bytes = || std::iter::once(&len).chain(address).chain(data);
    let sum = bytes().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let _ = write!(text, "S{kind}"); // A String takes everything.
    for byte in bytes().chain([&!sum]) {
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use bistable_layout::product::Flash;

    use super::*;

    fn contents(address: u32, bytes: Vec<u8>) -> Contents {
        let flash = Flash {
            address,
            size: bytes.len() as u32,
            erase_size: 256,
            write_size: 4,
        };
        let name = "main".into();
        Contents { name, flash, bytes }
    }

    #[test]
    fn the_format_is_in_the_files_name() {
        let of = |path: &str| Format::of(Path::new(path));
        assert_eq!(of("o/flash.bin"), Some(Format::Bin));
        assert_eq!(of("FLASH.HEX"), Some(Format::Hex));
        for folder in ["factory", "v1.2.0", "bin", "."] {
            assert_eq!(of(folder), None, "{folder}");
        }
    }

    /// The example in the manual's appendix C.
    #[test]
    fn an_s_record_is_as_the_manual_has_it() {
        let mut text = String::new();
        let data = [
            0x28, 0x5F, 0x24, 0x5F, 0x22, 0x12, 0x22, 0x6A, 0x00, 0x04, 0x24, 0x29, 0x00, 0x08,
            0x23, 0x7C,
        ];
        s_record(&mut text, '1', &[0, 0], &data);
        assert_eq!(text, "S1130000285F245F2212226A000424290008237C2A\n");
    }

    #[test]
    fn upper_halves_of_addresses_are_said_once_and_again_when_they_change() {
        let low = contents(0xFF00, vec![1; 0x200]);
        let text = intel_hex(&[low, contents(0x2100_0000, vec![2; 256])]);
        let upper: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(":02"))
            .collect();
        let expected = [":020000040000FA", ":020000040001F9", ":020000042100D9"];
        assert_eq!(upper, expected);
        assert!(text.ends_with("\n:00000001FF\n"), "{text}");
    }

    #[test]
    fn a_line_ends_where_its_upper_half_does() {
        let crooked = contents(0xFFF8, vec![1; 256]);
        let lines: Vec<_> = lines(std::slice::from_ref(&crooked))
            .map(|(address, line)| (address, line.len()))
            .collect();
        assert_eq!(lines[..2], [(0xFFF8, 8), (0x1_0000, 32)]);
        let sum: usize = lines.iter().map(|(_, len)| len).sum();
        assert_eq!(sum, 256);
    }

    #[test]
    fn what_ends_at_the_last_address_is_written_too() {
        let top = contents(0xFFFF_FF00, vec![1; 256]);
        assert_eq!(
            lines(&[top]).last().map(|(address, _)| address),
            Some(0xFFFF_FFE0)
        );
    }
}
