//! From the bytes of the UARTs to lines of a log: frames between zeros, each a defmt frame or the
//! announcement of a program whose frames follow. What a program logs that announces text, such as one in
//! C, are lines of text instead.
//!
//! Both UARTs are one stream here. Only one program runs at a time, so frames never interleave, and
//! lines come in the order in which they were logged. A reset or a power cut can tear a frame anywhere;
//! it is counted and costs nothing else, for the program that starts next begins with a zero.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use defmt_decoder::Table;

use crate::{Error, Level, Source};

/// What a program begins its log with: then the UART, a space, and its name, to which an image adds which
/// it is and where it runs (`mps2_an385::log::ANNOUNCEMENT`).
const ANNOUNCEMENT: &[u8] = b"defmt table: ";

/// What a program begins its log with that sends lines of text. The same follows.
const TEXT_ANNOUNCEMENT: &[u8] = b"text log: ";

/// Longer frames are no frames. The longest log line is well below.
const LONGEST_FRAME: usize = 64 * 1024;

/// Finds the ELF file of a program that announced itself, by the whole announcement, such as
/// `application d87fbe18 A`; it is asked at each announcement that no table was given for.
#[derive(Clone)]
pub struct Finder(Arc<Find>);

type Find = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

impl Finder {
    /// One that asks `find` for the bytes of the file.
    pub fn new(find: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }
}

impl Debug for Finder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Finder")
    }
}

/// The tables of the programs that a board may run, by the names with which they announce themselves.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    given: HashMap<String, Arc<Table>>,
    finder: Option<Finder>,
}

impl Tables {
    /// None yet, but `finder` may find some.
    pub(crate) fn new(finder: Option<Finder>) -> Self {
        let given = HashMap::new();
        Self { given, finder }
    }

    /// Adds the table of the program `name` from its ELF file `elf`, read from `path`.
    pub(crate) fn add(&mut self, name: &str, elf: &[u8], path: &Path) -> Result<(), Error> {
        let failed = |cause| Error::NoLogTable {
            path: path.into(),
            cause,
        };
        let table = Table::parse(elf)
            .map_err(|cause| failed(cause.to_string()))?
            .ok_or_else(|| failed("it does not log with defmt".into()))?;
        self.given.insert(name.into(), Arc::new(table));
        Ok(())
    }

    /// The table of what announced itself so: the one given for the whole announcement, or found for
    /// it, or given for the name that it begins with.
    fn of(&self, announced: &str) -> Option<Arc<Table>> {
        let found = || {
            let Finder(find) = self.finder.as_ref()?;
            let elf = find(announced)?;
            Table::parse(&elf).ok()?.map(Arc::new)
        };
        let name = announced.split(' ').next().unwrap_or_default();
        let given = |name| self.given.get(name).cloned();
        given(announced).or_else(found).or_else(|| given(name))
    }
}

/// What was found in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A line that this program logged to this UART.
    Line(Source, Arc<str>, Level, String),
    /// A program announced itself, whose lines follow.
    Started(Source, Arc<str>),
    /// A program announced itself for which there is no table. Its lines will be garbled.
    UnknownProgram(Source, String),
    /// Something that is no frame of the program that announced itself last.
    Garbled,
}

/// The frames of both UARTs.
#[derive(Debug)]
pub(crate) struct Frames<'t> {
    tables: &'t Tables,
    speaking: Option<Speaking>,
    frame: Vec<u8>,
}

/// The program that announced itself last.
#[derive(Debug)]
struct Speaking {
    source: Source,
    name: Arc<str>,
    /// `None`: it speaks text.
    table: Option<Arc<Table>>,
}

impl<'t> Frames<'t> {
    /// A stream of which nothing was read yet.
    pub(crate) fn new(tables: &'t Tables) -> Self {
        Self {
            tables,
            speaking: None,
            frame: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream and hands over what they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) {
        for byte in bytes {
            if *byte == 0 || (*byte == b'\n' && self.is_text()) {
                let frame = std::mem::take(&mut self.frame);
                self.frame_ended(&frame).map(&mut found);
            } else if self.frame.len() < LONGEST_FRAME {
                self.frame.push(*byte);
            }
        }
    }

    fn is_text(&self) -> bool {
        let speaking = self.speaking.as_ref();
        speaking.is_some_and(|by| by.table.is_none())
    }

    fn frame_ended(&mut self, frame: &[u8]) -> Option<Found> {
        if frame.is_empty() {
            return None;
        }
        if let Some((source, name)) = announced(ANNOUNCEMENT, frame) {
            let Some(table) = self.tables.of(&name) else {
                self.speaking = None;
                return Some(Found::UnknownProgram(source, name));
            };
            let name: Arc<str> = name.into();
            self.speaking = Some(Speaking {
                source,
                name: name.clone(),
                table: Some(table),
            });
            return Some(Found::Started(source, name));
        }
        if let Some((source, name)) = announced(TEXT_ANNOUNCEMENT, frame) {
            let name: Arc<str> = name.into();
            self.speaking = Some(Speaking {
                source,
                name: name.clone(),
                table: None,
            });
            return Some(Found::Started(source, name));
        }
        let line = self.speaking.as_ref().and_then(|by| {
            let (level, text) = match &by.table {
                Some(table) => decode(table, frame)?,
                None => (Level::Info, text(frame)?),
            };
            Some(Found::Line(by.source, by.name.clone(), level, text))
        });
        Some(line.unwrap_or(Found::Garbled))
    }
}

/// UART and name of the program that announces itself so with `frame`, if it is an announcement.
fn announced(announcement: &[u8], frame: &[u8]) -> Option<(Source, String)> {
    let (uart, name) = frame.strip_prefix(announcement)?.split_at_checked(2)?;
    let source = match uart {
        b"0 " => Source::Bootloader,
        b"1 " => Source::Application,
        _ => return None,
    };
    Some((source, String::from_utf8_lossy(name).into_owned()))
}

/// A line of text, without the carriage return that may end it. Control characters are none.
fn text(frame: &[u8]) -> Option<String> {
    let text = str::from_utf8(frame.strip_suffix(b"\r").unwrap_or(frame)).ok()?;
    let is_text = !text.contains(|letter: char| letter.is_control() && letter != '\t');
    is_text.then(|| text.to_owned())
}

fn decode(table: &Table, frame: &[u8]) -> Option<(Level, String)> {
    // The decoder is made for what programs send, not for what a torn frame may look like.
    catch_unwind(AssertUnwindSafe(|| {
        let mut decoder = table.new_stream_decoder();
        decoder.received(frame);
        decoder.received(&[0]);
        let frame = decoder.decode().ok()?;
        let level = match frame.level().map(|level| level.as_str()) {
            Some("trace") => Level::Trace,
            Some("debug") => Level::Debug,
            Some("warn") => Level::Warn,
            Some("error") => Level::Error,
            _ => Level::Info,
        };
        Some((level, frame.display_message().to_string()))
    }))
    .ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::write::{Object, Symbol, SymbolSection};
    use object::{
        Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    };

    /// The ELF file of a program that has one log line, at index 1.
    fn elf(tag: &str, text: &str) -> Vec<u8> {
        let mut elf = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
        let section = elf.add_section(vec![], b".defmt".to_vec(), SectionKind::Metadata);
        elf.append_section_data(section, &[0; 8], 1);
        let line = format!(
            r#"{{"package":"p","tag":"{tag}","data":"{text}","disambiguator":"1","crate_name":"c"}}"#
        );
        for (name, value) in [
            (line.as_str(), 1),
            ("_defmt_version_ = 4", 0),
            ("_defmt_encoding_ = rzcobs", 0),
        ] {
            elf.add_symbol(Symbol {
                name: name.as_bytes().to_vec(),
                value,
                size: 1,
                kind: SymbolKind::Data,
                scope: SymbolScope::Linkage,
                weak: false,
                section: SymbolSection::Section(section),
                flags: SymbolFlags::None,
            });
        }
        elf.write().unwrap()
    }

    fn tables() -> Tables {
        let mut tables = Tables::default();
        let path = Path::new("test.elf");
        let one = elf("defmt_info", "one says {=u8}");
        let two = elf("defmt_error", "two says {=u8}");
        tables.add("one", &one, path).unwrap();
        tables.add("two", &two, path).unwrap();
        tables
    }

    /// The line at index 1 with an argument, as rzCOBS: raw bytes 01 00 `argument`.
    fn line(argument: u8) -> Vec<u8> {
        vec![0x01, argument, 0b0111_1010, 0x00]
    }

    /// Everything but the announcements of known programs.
    fn all(tables: &Tables, bytes: &[u8]) -> Vec<Found> {
        let mut all = Vec::new();
        Frames::new(tables).push(bytes, |found| all.push(found));
        all.retain(|found| !matches!(found, Found::Started(..)));
        all
    }

    fn said(source: Source, program: &str, level: Level, text: &str) -> Found {
        Found::Line(source, program.into(), level, text.into())
    }

    #[test]
    fn a_program_may_speak_text_and_the_next_one_frames_again() {
        let tables = tables();
        let stream = [
            b"\0text log: 1 in-c\0hello, 7\r\n\nhalf \x01 a line\ntorn".as_slice(),
            b"\0defmt table: 0 one\0",
            &line(7),
        ];
        let line = |source, name: &str, text: &str| {
            Found::Line(source, name.into(), Level::Info, text.into())
        };
        assert_eq!(
            all(&tables, &stream.concat()),
            [
                line(Source::Application, "in-c", "hello, 7"),
                Found::Garbled,
                line(Source::Application, "in-c", "torn"),
                line(Source::Bootloader, "one", "one says 7"),
            ]
        );
    }

    #[test]
    fn each_program_is_read_with_its_own_table() {
        let mut bytes = b"\0defmt table: 0 one\0".to_vec();
        bytes.extend(line(7));
        bytes.extend(b"\0defmt table: 1 two\0");
        bytes.extend(line(8));
        let expected = [
            said(Source::Bootloader, "one", Level::Info, "one says 7"),
            said(Source::Application, "two", Level::Error, "two says 8"),
        ];
        assert_eq!(all(&tables(), &bytes), expected);
    }

    #[test]
    fn it_does_not_matter_how_the_stream_is_cut_into_pieces() {
        let tables = tables();
        let mut frames = Frames::new(&tables);
        let mut found = Vec::new();
        let mut bytes = b"\0defmt table: 0 one\0".to_vec();
        bytes.extend(line(7));
        for byte in bytes {
            frames.push(&[byte], |new| found.push(new));
        }
        assert_eq!(
            found,
            [
                Found::Started(Source::Bootloader, "one".into()),
                said(Source::Bootloader, "one", Level::Info, "one says 7")
            ]
        );
    }

    #[test]
    fn a_frame_torn_by_a_reset_costs_itself_and_nothing_more() {
        let mut bytes = b"\0defmt table: 0 one\0".to_vec();
        bytes.extend(&line(7)[..2]);
        bytes.extend(b"\0defmt table: 0 one\0");
        bytes.extend(line(9));
        let expected = [
            Found::Garbled,
            said(Source::Bootloader, "one", Level::Info, "one says 9"),
        ];
        assert_eq!(all(&tables(), &bytes), expected);
    }

    #[test]
    fn frames_before_any_announcement_are_garbled() {
        assert_eq!(all(&tables(), &line(7)), [Found::Garbled]);
    }

    #[test]
    fn a_program_without_a_table_is_named() {
        let mut bytes = b"defmt table: 1 three\0".to_vec();
        bytes.extend(line(7));
        let expected = [
            Found::UnknownProgram(Source::Application, "three".into()),
            Found::Garbled,
        ];
        assert_eq!(all(&tables(), &bytes), expected);
    }

    #[test]
    fn an_image_is_read_with_its_own_table_and_else_with_that_of_its_name() {
        let two = elf("defmt_error", "two says {=u8}");
        let finder = move |name: &str| (name == "one d87fbe18 B").then(|| two.clone());
        let tables = Tables {
            finder: Some(Finder::new(finder)),
            ..tables()
        };
        let mut bytes = b"\0defmt table: 1 one d87fbe18 B\0".to_vec();
        bytes.extend(line(7));
        bytes.extend(b"\0defmt table: 1 one 00000000 A\0");
        bytes.extend(line(8));
        bytes.extend(b"\0defmt table: 1 three d87fbe18 B\0");
        let (found, given) = ("one d87fbe18 B", "one 00000000 A");
        let expected = [
            said(Source::Application, found, Level::Error, "two says 7"),
            said(Source::Application, given, Level::Info, "one says 8"),
            Found::UnknownProgram(Source::Application, "three d87fbe18 B".into()),
        ];
        assert_eq!(all(&tables, &bytes), expected);
    }

    #[test]
    fn any_garbage_is_survived() {
        let tables = tables();
        let mut frames = Frames::new(&tables);
        frames.push(b"\0defmt table: 0 one\0", |_| {});
        let mut state = 1_u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            frames.push(&[(state >> 24) as u8], |_| {});
        }
    }

    #[test]
    fn a_file_without_a_table_is_refused() {
        let path = Path::new("test.elf");
        let refusal = Tables::default().add("x", b"no ELF", path).unwrap_err();
        assert!(matches!(refusal, Error::NoLogTable { .. }), "{refusal}");
    }
}
