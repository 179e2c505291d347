//! `bistable factory audit`: whether the birth records are whole, and what the first line is that is not.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use schemars::JsonSchema;
use serde::Serialize;

use crate::factory::births::{Audited, Auditor, Birth, Broken, Head};
use crate::factory::register::{BIRTHS, HEAD};
use crate::keys::{self, Passphrases, Source};
use crate::output::{BAD, GOOD, Output, Report, paint};
use crate::{Error, hex};

/// Verify all birth records: signatures, chain, serial numbers, and that none is missing.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable factory audit factory --station-key line-3.pub.pem")]
pub struct Arguments {
    /// What is audited.
    #[command(flatten)]
    pub records: Records,
}

/// Records, and what they are held against.
#[derive(Clone, Debug, clap::Args)]
pub struct Records {
    /// A register's folder, or a file of records.
    #[arg(value_name = "REGISTER")]
    pub path: PathBuf,
    /// The key of a station: a public one in PEM, or a private one. Several times for several stations.
    #[arg(long = "station-key", value_name = "KEY", required = true)]
    pub stations: Vec<Source>,
    /// What an encrypted key is opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// The SHA-256 of a record that must be there, as `provision` printed it.
    #[arg(long, value_name = "DIGEST", value_parser = parse_digest)]
    pub head: Option<Digest>,
}

fn parse_digest(text: &str) -> Result<Digest, String> {
    let digest = hex::decode(text).map(Digest);
    digest.ok_or_else(|| "a digest is 64 hexadecimal digits".into())
}

/// What an audit found.
#[derive(Serialize, JsonSchema)]
pub struct Audit {
    /// The file of the records.
    pub file: String,
    /// Whether all of it is as it should be.
    pub sound: bool,
    /// How many records are sound, from the first one on.
    pub records: u64,
    /// How many serial numbers they speak of.
    pub units: u64,
    /// How many of them begin a later life of a unit.
    pub reworks: u64,
    /// How many say that a unit was flashed.
    pub flashed: u64,
    /// The SHA-256 of the last line; `null` if there is none, or if the file is not sound.
    pub last: Option<String>,
    /// How many records there must be at least, by the signed head beside the file; `null` without one.
    pub head: Option<u64>,
    /// The number of the record with the digest that was given; `null` if none was.
    pub anchor: Option<u64>,
    /// The first line that is not as it should be; one more than there are, if records are missing behind the last.
    pub line: Option<u64>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Report for Audit {
    const FORMAT: &'static str = "factory-audit/1";
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read, or the records are not as they should be.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let mut sound = Sound::default();
    let opened = arguments.records.open()?;
    let audited = opened.audit(|birth| sound.take(birth));
    let (whole, line, problem) = match &audited {
        Ok(audited) => (Some(audited), None, None),
        Err(Broken { line, what }) => (None, Some(*line), Some(what.to_string())),
    };
    output.say(&Audit {
        file: opened.file.display().to_string(),
        sound: whole.is_some(),
        records: sound.records,
        units: whole.map_or(sound.units, |whole| whole.units),
        reworks: sound.reworks,
        flashed: sound.flashed,
        last: whole
            .filter(|whole| whole.records > 0)
            .map(|whole| hex::encode(&whole.head.0)),
        head: opened.head.as_ref().map(|head| head.records),
        anchor: whole.and_then(|whole| whole.anchored),
        line,
        problem,
    })?;
    audited.map(drop).map_err(|broken| opened.refusal(&broken))
}

/// Counts of records that are sound.
#[derive(Default)]
struct Sound {
    records: u64,
    units: u64,
    reworks: u64,
    flashed: u64,
}

impl Sound {
    fn take(&mut self, birth: &Birth) {
        let is_flashed = birth.event == super::births::Event::Flashed;
        let is_new = !is_flashed && birth.life == 1;
        self.records += 1;
        self.units += u64::from(is_new);
        self.reworks += u64::from(!is_flashed && !is_new);
        self.flashed += u64::from(is_flashed);
    }
}

/// Records that can be audited.
pub struct Opened {
    /// The file.
    pub file: PathBuf,
    stations: Vec<[u8; 32]>,
    head: Option<Head>,
    anchor: Option<Digest>,
}

impl Records {
    /// Opens keys and head.
    ///
    /// # Errors
    /// A key or the head cannot be read; no station signed the head; a folder has none, and no digest is given.
    pub fn open(&self) -> Result<Opened, Error> {
        let public = |source| keys::public(source, &self.passphrases);
        let stations: Vec<_> = self.stations.iter().map(public).collect::<Result<_, _>>()?;
        let is_folder = self.path.is_dir();
        let file = match is_folder {
            true => self.path.join(BIRTHS),
            false => self.path.clone(),
        };
        let head_path = file.with_file_name(HEAD);
        let head = read_head(&head_path, &stations)?;
        let is_empty = fs::metadata(&file)
            .map_err(Error::io(&file, "read the records"))?
            .len()
            == 0;
        if is_folder && head.is_none() && self.head.is_none() && !is_empty {
            return Err(Error::unexpected(
                &head_path,
                "nothing",
                "the signed head, which says how many records there are",
                "records may be missing at the end: give the digest of the last one with --head",
            ));
        }
        Ok(Opened {
            file,
            stations,
            head,
            anchor: self.head,
        })
    }
}

fn read_head(path: &Path, stations: &[[u8; 32]]) -> Result<Option<Head>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "read the signed head")(error)),
    };
    let head = Head::verified(&text, stations);
    head.map(Some).ok_or_else(|| {
        Error::unexpected(
            path,
            "a head that none of the stations signed",
            "one that was signed by a --station-key",
            "somebody changed it, or the station's key is missing here",
        )
    })
}

impl Opened {
    /// Verifies the records, and calls `each` with every one that is sound together with all before it.
    ///
    /// # Errors
    /// The first line that is not as it should be.
    pub fn audit(&self, each: impl FnMut(&Birth)) -> Result<Audited, Broken> {
        let auditor = Auditor {
            stations: &self.stations,
            head: self.head.clone(),
            anchor: self.anchor,
        };
        let file = File::open(&self.file).map_err(|source| Broken {
            line: 1,
            what: super::births::audit::Breach::Unreadable(Error::io(&self.file, "read it")(
                source,
            )),
        })?;
        auditor.run(BufReader::new(file), each)
    }

    /// As the line that a command prints.
    #[must_use]
    pub fn refusal(&self, broken: &Broken) -> Error {
        Error::argument(
            format!("{}, line {}", self.file.display(), broken.line),
            format!("records that are not whole: {}", broken.what),
            "signed records, each of which follows the one before it",
            "compare with an older copy: what stands before this line is sound",
        )
    }
}

impl Display for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            records,
            units,
            reworks,
            flashed,
            ..
        } = self;
        writeln!(formatter, "records   {file}")?;
        if let (Some(line), Some(problem)) = (self.line, &self.problem) {
            writeln!(formatter, "sound     {records}, up to line {}", line - 1)?;
            return writeln!(formatter, "line {line}  {}", paint(BAD, problem));
        }
        let sound = paint(GOOD, "all sound");
        writeln!(
            formatter,
            "sound     {records}, {sound}: {units} units, {flashed} flashed, {reworks} made again"
        )?;
        if let Some(last) = &self.last {
            writeln!(formatter, "last      {last}")?;
        }
        let end = match (self.anchor, self.head) {
            (Some(number), _) => format!("the digest that was given is record {number}"),
            (None, Some(head)) => format!("the signed head says {head}"),
            (None, None) => "nothing tells whether records are missing there: give --head".into(),
        };
        writeln!(formatter, "end       {end}")
    }
}
