//! `bistable receipt verify`: whether a receipt is its unit's, and what it says.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use bistable_core::keys::KeyId;
use bistable_updater::receipt::Challenge;
use data_encoding::HEXLOWER_PERMISSIVE;
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::keys::Source;
use crate::output::{FAINT, GOOD, Output, Report, paint};
use crate::proof::judge::{Keys, answers, authenticate};
use crate::proof::refused::Refused;
use crate::proof::stations::{Stations, public_key};
use crate::proof::units::Units;
use crate::proof::words::Said;
use crate::refusals::{Explanation, Numbered};
use crate::{Error, files, hex};

/// One line of what a receipt proves; the paragraph is in `updater/src/receipt.rs`.
const PROVES: &str = "whoever holds this unit's key said this, after the receipt before it and, if it answers a \
                      challenge, after that was made; not that it is true, nor that it is still so";

/// Verify a receipt, and show what it says; exit status 1 if it is not believed.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable receipt verify unit.receipt --births births.jsonl --station-key station.pub"
)]
pub struct Arguments {
    /// The receipt: its bytes, or their hexadecimal digits.
    #[arg(value_name = "RECEIPT")]
    pub receipt: PathBuf,
    /// The birth records, which say which key the unit has.
    #[arg(
        long,
        value_name = "FILE",
        requires = "station_keys",
        required_unless_present = "public"
    )]
    pub births: Option<PathBuf>,
    /// The keys of the stations that signed them.
    #[command(flatten)]
    pub stations: Stations,
    /// The unit's public key instead: 64 hexadecimal digits, or a PEM file.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["births", "station_keys"])]
    pub public: Option<Source>,
    /// The challenge that it has to answer, as `bistable receipt challenge` made it.
    #[arg(long, value_name = "DIGITS", value_parser = parse_challenge)]
    pub challenge: Option<Challenge>,
    /// The product's layout.toml: names the health checks.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
}

/// A receipt that is believed.
#[derive(Serialize, JsonSchema)]
pub struct Verified {
    /// The file.
    pub file: String,
    /// The name of the unit's key, which signed it.
    pub signed_by: String,
    /// Whether it answers the challenge that was given; `null` if none was.
    pub answers: Option<bool>,
    /// What that proves.
    pub proves: &'static str,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

impl Report for Verified {
    const FORMAT: &'static str = "receipt-verify/1";
}

/// Runs the command.
///
/// # Errors
/// The receipt is not believed, or something cannot be read.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let path = &arguments.receipt;
    let bytes = bytes_of(files::read(path, "read the receipt")?);
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    let keys = keys(arguments)?;
    let authentic = authenticate(&bytes, keys).and_then(|authentic| {
        let asked = arguments.challenge.as_ref();
        let answer = asked.map_or(Ok(()), |asked| answers(authentic.receipt(), asked));
        answer.map(|()| authentic)
    });
    let authentic = authentic.map_err(|refused| not_believed(path, refused))?;
    output.say(&Verified {
        file: path.display().to_string(),
        signed_by: KeyId::of(authentic.key()).to_string(),
        answers: arguments.challenge.map(|_| true),
        proves: PROVES,
        said: Said::new(authentic.receipt(), authentic.digest(), facts.as_ref()),
    })
}

/// Digits are read too: a receipt begins with its version, which no digit is.
fn bytes_of(bytes: Vec<u8>) -> Vec<u8> {
    HEXLOWER_PERMISSIVE
        .decode(bytes.trim_ascii())
        .ok()
        .filter(|decoded| !decoded.is_empty())
        .unwrap_or(bytes)
}

fn keys(arguments: &Arguments) -> Result<impl FnOnce(&str) -> Option<Keys>, Error> {
    let given = arguments.public.as_ref();
    let given = given.map(|source| public_key(source, &arguments.stations.passphrases));
    let given = given.transpose()?;
    let births = arguments.births.as_deref();
    let units = births.map(|path| Units::open(path, arguments.stations.public()?));
    let units = units.transpose()?;
    Ok(move |serial: &str| match given {
        Some(key) => Some(key.into()),
        None => units?.keys(serial),
    })
}

fn not_believed(path: &Path, refused: Refused) -> Error {
    let numbered = Numbered::Receipt(refused);
    let Explanation { expected, mend, .. } = numbered.explanation();
    let seen = numbered.seen().trim_end_matches('.');
    Error::unexpected(path, format!("{refused}: {seen}"), expected, mend)
}

/// For the command line: 64 digits.
fn parse_challenge(text: &str) -> Result<Challenge, String> {
    hex::decode(text).ok_or_else(|| "a challenge is 64 hexadecimal digits".into())
}

impl Display for Verified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signed_by, .. } = self;
        writeln!(
            formatter,
            "{}: signed by the unit's key {signed_by}{}",
            paint(GOOD, "believed"),
            match self.answers {
                Some(_) => ", and it answers the challenge",
                None => "",
            }
        )?;
        write!(formatter, "{}", self.said)?;
        writeln!(
            formatter,
            "{}",
            paint(FAINT, format_args!("proves: {PROVES}"))
        )
    }
}
