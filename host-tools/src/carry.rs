//! What is carried between machines that no cable joins: some hundred bytes as one text.
//!
//! ```text
//! BISTABLE-MANIFEST-1:IJJVIQQBABAAC…
//! ```
//!
//! A name with a version, a colon, and the bytes with their CRC-32 in base32 (RFC 4648 §6, without padding).
//! All characters are of the alphanumeric set of QR codes (ISO/IEC 18004), and can be typed. White space
//! means nothing, so a text may be broken into lines. The checksum finds every wrong character; it protects
//! against accidents, signatures against the rest.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISO_HDLC, Crc};
use data_encoding::BASE32_NOPAD;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::{Error, atomic};

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Length of the checksum, in bytes. It is big-endian.
const CHECKSUM_LEN: usize = size_of::<u32>();

/// No text of these kinds is longer, line ends included.
const MAX_LEN: usize = 4096;

/// How many characters stand in a line.
const LINE: usize = 64;

/// What is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What is to be signed.
    Manifest,
    /// What was signed.
    Signature,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Manifest, Self::Signature];

    /// The name and the version that a text begins with.
    const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "BISTABLE-MANIFEST-1",
            Self::Signature => "BISTABLE-SIGNATURE-1",
        }
    }

    /// How a text is made.
    const fn command(self) -> &'static str {
        match self {
            Self::Manifest => "bistable image manifest",
            Self::Signature => "bistable key sign",
        }
    }
}

/// `bytes` as text in one line, without its end.
#[must_use]
pub fn encode(kind: Kind, bytes: &[u8]) -> String {
    let checksum = CHECKSUM.checksum(bytes).to_be_bytes();
    let digits = BASE32_NOPAD.encode(&[bytes, &checksum].concat());
    format!("{}:{digits}", kind.name())
}

/// A text in lines that fit a terminal and a letter.
#[must_use]
pub fn lines(text: &str) -> String {
    let characters: Vec<_> = text.chars().collect();
    let lines = characters.chunks(LINE);
    lines.fold(String::new(), |mut all, line| {
        all.extend(line);
        all.push('\n');
        all
    })
}

/// A text as a QR code, for a terminal with light characters on a dark ground; `None` if it is too long.
#[must_use]
pub fn qr(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(drawn + "\n")
}

/// The bytes in the text of the file at `path`.
///
/// # Errors
/// It is no such text, or not as it was made.
pub fn decode(path: &Path, kind: Kind, text: &[u8]) -> Result<Vec<u8>, Error> {
    parse(kind, text).map_err(|defect| {
        let name = kind.name();
        Error::unexpected(
            path,
            defect,
            format!("a text that begins with {name}: and is as it was made"),
            match defect {
                Defect::OtherKind(other) => format!("it was made by `{}`", other.command()),
                Defect::Unknown | Defect::TooLong => {
                    format!("give what `{}` made", kind.command())
                }
                Defect::OtherVersion => "it was made by other tools: use the same ones".into(),
                Defect::Character(_) | Defect::Checksum => {
                    "compare it with what was made, or carry it again".into()
                }
            },
        )
    })
}

/// Where a text goes; more than one way can be taken.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Ways {
    /// Write it to this file.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print it, to be sent or typed.
    #[arg(long)]
    pub text: bool,
    /// Draw it as a QR code for a camera.
    #[arg(long)]
    pub qr: bool,
}

impl Ways {
    /// Writes `text` to the file, if it goes there, and returns what is to be printed of it.
    ///
    /// # Errors
    /// The file cannot be written, or the text is too long for a QR code.
    pub fn send(&self, text: &str) -> Result<String, Error> {
        let mut printed = String::new();
        if self.text {
            printed.push_str(&lines(text));
        }
        if self.qr {
            let too_long = || {
                let found = format!("{} characters", text.len());
                Error::argument("--qr", found, "what fits a QR code", "use --out or --text")
            };
            printed.push_str(&qr(text).ok_or_else(too_long)?);
        }
        if let Some(out) = &self.out {
            check_replaceable(out)?;
            let doing = "write what is carried";
            atomic::replace(out, lines(text).as_bytes()).map_err(Error::io(out, doing))?;
        }
        Ok(printed)
    }

    /// The name of the file, for reports.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        self.out.as_ref().map(|out| out.display().to_string())
    }
}

/// Only what was carried before is replaced: a name that was completed wrongly must not cost a key or an image.
fn check_replaceable(path: &Path) -> Result<(), Error> {
    let Ok(there) = fs::read(path).map(Zeroizing::new) else {
        return Ok(()); // nothing, or what cannot be written either
    };
    let is_carried = |kind: &Kind| there.starts_with(kind.name().as_bytes());
    if there.is_empty() || Kind::ALL.iter().any(is_carried) {
        return Ok(());
    }
    Err(Error::unexpected(
        path,
        "another file",
        "no file, or one that was carried before",
        "choose another --out",
    ))
}

/// Why a text is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Defect {
    TooLong,
    Unknown,
    OtherKind(Kind),
    OtherVersion,
    /// The first wrong one; white space is not counted.
    Character(usize),
    Checksum,
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "more than {MAX_LEN} bytes"),
            Self::Unknown => write!(formatter, "something else"),
            Self::OtherKind(kind) => write!(formatter, "a {}", kind.name()),
            Self::OtherVersion => write!(formatter, "another version of it"),
            Self::Character(place) => write!(
                formatter,
                "a wrong or missing character behind the colon, the {}. without white space",
                place + 1
            ),
            Self::Checksum => write!(formatter, "a text whose checksum is wrong"),
        }
    }
}

fn parse(kind: Kind, text: &[u8]) -> Result<Vec<u8>, Defect> {
    if text.len() > MAX_LEN {
        return Err(Defect::TooLong);
    }
    let seen = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let seen: Vec<u8> = seen.copied().collect();
    let colon = seen.iter().position(|byte| *byte == b':');
    let (name, rest) = seen.split_at(colon.ok_or(Defect::Unknown)?);
    if name != kind.name().as_bytes() {
        return Err(other_name(kind, name));
    }
    let digits = rest.get(1..).unwrap_or_default();
    let mut bytes = BASE32_NOPAD
        .decode(digits)
        .map_err(|error| Defect::Character(error.position))?;
    let behind = bytes.len().checked_sub(CHECKSUM_LEN);
    let checksum = bytes.split_off(behind.ok_or(Defect::Checksum)?);
    match checksum == CHECKSUM.checksum(&bytes).to_be_bytes() {
        true => Ok(bytes),
        false => Err(Defect::Checksum),
    }
}

fn other_name(kind: Kind, name: &[u8]) -> Defect {
    let mut others = Kind::ALL.into_iter();
    if let Some(other) = others.find(|other| other.name().as_bytes() == name) {
        return Defect::OtherKind(other);
    }
    let family = kind
        .name()
        .trim_end_matches(|digit: char| digit.is_ascii_digit());
    match name.strip_prefix(family.as_bytes()) {
        Some(version) if version.iter().all(u8::is_ascii_digit) => Defect::OtherVersion,
        _ => Defect::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"some bytes that somebody carries";

    #[test]
    fn what_is_written_is_read_again_in_lines_too() {
        let text = encode(Kind::Manifest, BYTES);
        assert!(text.starts_with("BISTABLE-MANIFEST-1:"));
        assert_eq!(parse(Kind::Manifest, text.as_bytes()).unwrap(), BYTES);
        let lines = lines(&text);
        assert!(lines.lines().count() > 1 && lines.lines().all(|line| line.len() <= LINE));
        assert_eq!(parse(Kind::Manifest, lines.as_bytes()).unwrap(), BYTES);
        let windows = lines.replace('\n', "\r\n  ");
        assert_eq!(parse(Kind::Manifest, windows.as_bytes()).unwrap(), BYTES);
    }

    #[test]
    fn a_text_has_only_what_a_qr_code_takes_as_alphanumeric() {
        let all: Vec<u8> = (0..=255).collect();
        for kind in Kind::ALL {
            let text = encode(kind, &all);
            let alphanumeric = |it: char| {
                it.is_ascii_uppercase() || it.is_ascii_digit() || " $%*+-./:".contains(it)
            };
            assert!(text.chars().all(alphanumeric), "{text}");
        }
    }

    #[test]
    fn every_wrong_byte_of_a_text_is_noticed() {
        let text = encode(Kind::Signature, BYTES).into_bytes();
        for at in 0..text.len() {
            for wrong in 0..=255 {
                let mut changed = text.clone();
                changed[at] = wrong;
                let same = changed == text;
                assert_eq!(
                    parse(Kind::Signature, &changed).is_ok(),
                    same,
                    "{at} {wrong}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_ends_early_or_late_is_refused() {
        let text = encode(Kind::Signature, BYTES);
        for len in 0..text.len() {
            assert!(
                parse(Kind::Signature, &text.as_bytes()[..len]).is_err(),
                "{len}"
            );
        }
        for more in ["A", "AA", "=", "AAAAAAAA", "\0"] {
            let text = format!("{text}{more}");
            assert!(parse(Kind::Signature, text.as_bytes()).is_err(), "{more}");
        }
    }

    #[test]
    fn it_is_said_what_a_text_is_instead() {
        let refusal = |text: &str| parse(Kind::Signature, text.as_bytes()).unwrap_err();
        let manifest = encode(Kind::Manifest, BYTES);
        assert_eq!(refusal(&manifest), Defect::OtherKind(Kind::Manifest));
        let newer = encode(Kind::Signature, BYTES).replace("-1:", "-2:");
        assert_eq!(refusal(&newer), Defect::OtherVersion);
        assert_eq!(refusal("BISTABLE-SIGNATURE-1:AB0A"), Defect::Character(2));
        assert_eq!(refusal("release_threshold = 1"), Defect::Unknown);
        assert_eq!(refusal(&"A".repeat(MAX_LEN + 1)), Defect::TooLong);
    }

    #[test]
    fn a_camera_reads_from_the_drawing_what_was_written() {
        let text = encode(Kind::Manifest, &[0x5A; 320]);
        let drawn = qr(&text).unwrap();
        // Two rows of modules in each line, three dots for each module; what is printed is light.
        let rows: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let width = rows[0].len();
        assert!(width <= 80, "{width} columns");
        let light = |x: usize, y: usize| match (rows[y / 2][x], y % 2) {
            ('█', _) | ('▀', 0) | ('▄', 1) => 255,
            _ => 0,
        };
        let mut picture =
            rqrr::PreparedImage::prepare_from_greyscale(width * 3, rows.len() * 6, |x, y| {
                light(x / 3, y / 3)
            });
        let found = picture.detect_grids();
        assert_eq!(found[0].decode().unwrap().1, text);
    }
}
