//! `bistable receipt audit`: whether the receipts that a server kept are the units' own, and what is missing.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use bistable_updater::identity::Serial;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::keys::Source;
use crate::output::{BAD, GOOD, Output, Report, paint};
use crate::proof::chain::{Chain, Link};
use crate::proof::judge::{Authentic, Keys, authenticate_in_any_life};
use crate::proof::kept::{self, Kept};
use crate::proof::refused::Refused;
use crate::proof::stations::{Stations, public_key};
use crate::proof::units::Units;

/// How many signatures are verified together.
const GROUP: usize = 4096;

/// Verify a file of receipts: whose they are, what is missing, and where chains fork or begin again.
///
/// Exit status 1 if one is not believed, is there twice, or a chain forks; gaps and chains that begin again are
/// said.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable receipt audit store/receipts.jsonl --births births.jsonl --station-key station.pub"
)]
pub struct Arguments {
    /// The receipts, as `bistable serve` keeps them.
    #[arg(value_name = "FILE")]
    pub receipts: PathBuf,
    /// The birth records, which say which keys the units have and had.
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
    /// The unit's public key instead, with `--unit`: 64 hexadecimal digits, or a PEM file.
    #[arg(long, value_name = "KEY", requires = "unit", conflicts_with_all = ["births", "station_keys"])]
    pub public: Option<Source>,
    /// Only the receipts of this unit.
    #[arg(long, value_name = "SERIAL")]
    pub unit: Option<String>,
}

/// What was found in a file of receipts.
#[derive(Serialize, JsonSchema)]
pub struct Audited {
    /// The file.
    pub file: String,
    /// How many receipts are believed.
    pub believed: u64,
    /// How many units signed them.
    pub units: usize,
    /// How many receipts are missing, as far as numbers tell.
    pub missing: u64,
    /// How often a chain begins again, for a lost ledger or a unit that was made anew.
    pub restarts: u64,
    /// How many findings are bad.
    pub bad: u64,
    /// Everything that there is to say, in the order of the lines.
    pub findings: Vec<Finding>,
}

/// Something in a file of receipts.
#[derive(Serialize, JsonSchema)]
pub struct Finding {
    /// The line, from 1.
    pub line: u64,
    /// The unit's serial number; `null` if the line is no receipt.
    pub unit: Option<String>,
    /// The receipt's number; `null` if the line is no receipt.
    pub number: Option<u32>,
    /// What it is.
    pub kind: Kind,
    /// What was found.
    pub about: String,
}

/// What a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Receipts are missing.
    Gap,
    /// A chain begins again.
    Restart,
    /// A unit was made anew.
    Life,
    /// Two receipts have one number, or one predecessor.
    Fork,
    /// A receipt is there twice.
    Repeated,
    /// A receipt is not believed.
    Refused,
    /// A line is no receipt.
    Unreadable,
}

impl Kind {
    const fn is_bad(self) -> bool {
        match self {
            Self::Gap | Self::Restart | Self::Life => false,
            Self::Fork | Self::Repeated | Self::Refused | Self::Unreadable => true,
        }
    }
}

impl Report for Audited {
    const FORMAT: &'static str = "receipt-audit/1";
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, or something in it is bad.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let path = &arguments.receipts;
    let read = |source| Error::io(path, "read the receipts")(source);
    let file = File::open(path).map_err(read)?;
    let known = Known::new(arguments)?;
    let mut audit = Audit::new(known);
    let mut group = Vec::with_capacity(GROUP);
    kept::read(BufReader::with_capacity(1 << 20, file), |line, kept| {
        group.push((line, kept));
        if group.len() == GROUP {
            audit.take(std::mem::take(&mut group));
        }
    })
    .map_err(read)?;
    audit.take(group);
    let audited = audit.finish(path.display().to_string());
    output.say(&audited)?;
    match audited.bad {
        0 => Ok(()),
        bad => Err(Error::unexpected(
            path,
            format!("{bad} bad findings"),
            "receipts that are believed, each once, in chains without forks",
            "`bistable explain` says what their numbers mean",
        )),
    }
}

/// Whose receipts are looked at, and which keys they have.
struct Known {
    units: Option<Units>,
    public: Option<Keys>,
    only: Option<String>,
}

impl Known {
    fn new(arguments: &Arguments) -> Result<Self, Error> {
        let births = arguments.births.as_deref();
        let units = births.map(|path| Units::open(path, arguments.stations.public()?));
        let public = arguments.public.as_ref();
        let public = public.map(|source| public_key(source, &arguments.stations.passphrases));
        Ok(Self {
            units: units.transpose()?,
            public: public.transpose()?.map(Keys::from),
            only: arguments.unit.clone(),
        })
    }

    fn keys(&self, serial: &str) -> Option<Keys> {
        match &self.units {
            Some(units) => units.keys(serial),
            None => self.public.clone(),
        }
    }

    fn wants(&self, kept: Option<&Kept>) -> bool {
        let Some(only) = &self.only else { return true };
        kept.is_some_and(|kept| *kept.receipt.unit == **only)
    }
}

/// What is known so far.
struct Audit {
    known: Known,
    chains: HashMap<Serial, (usize, Chain)>,
    believed: u64,
    findings: Vec<Finding>,
}

/// A receipt, with the number of the life in which it was signed.
type Judged = Result<(usize, Authentic), Refused>;

impl Audit {
    fn new(known: Known) -> Self {
        Self {
            known,
            chains: HashMap::new(),
            believed: 0,
            findings: Vec::new(),
        }
    }

    fn take(&mut self, mut group: Vec<(u64, Option<Kept>)>) {
        group.retain(|(_, kept)| self.known.wants(kept.as_ref()));
        let known = &self.known;
        let judge = |(line, kept): &(u64, Option<Kept>)| {
            let judged: Option<Judged> = kept.as_ref().map(|kept| {
                authenticate_in_any_life(kept.signed.as_bytes(), |serial| known.keys(serial))
            });
            (*line, judged)
        };
        let judged: Vec<_> = group.par_iter().map(judge).collect();
        for ((line, judged), (_, kept)) in judged.into_iter().zip(&group) {
            let mut say = |kind, about: String| {
                self.findings.push(Finding {
                    line,
                    unit: kept.as_ref().map(|kept| kept.receipt.unit.to_string()),
                    number: kept.as_ref().map(|kept| kept.receipt.number),
                    kind,
                    about,
                });
            };
            match judged {
                None => say(Kind::Unreadable, "no receipt".into()),
                Some(Err(refused)) => say(Kind::Refused, refused.to_string()),
                Some(Ok((life, receipt))) => {
                    follow(&mut self.chains, life, &receipt, &mut self.believed, say);
                }
            }
        }
    }

    fn finish(self, file: String) -> Audited {
        let count = |is: fn(Kind) -> bool| {
            let found = self.findings.iter().filter(|finding| is(finding.kind));
            found.count() as u64
        };
        Audited {
            file,
            believed: self.believed,
            units: self.chains.len(),
            missing: self.chains.values().map(|(_, chain)| chain.missing()).sum(),
            restarts: count(|kind| matches!(kind, Kind::Restart | Kind::Life)),
            bad: count(Kind::is_bad),
            findings: self.findings,
        }
    }
}

/// Says how the receipt goes on from what is known of its unit, and adds it.
fn follow(
    chains: &mut HashMap<Serial, (usize, Chain)>,
    life: usize,
    receipt: &Authentic,
    believed: &mut u64,
    mut say: impl FnMut(Kind, String),
) {
    let unit = &receipt.receipt().unit;
    let before = chains.get(unit);
    if before.is_some_and(|(before, _)| *before > life) {
        return say(Kind::Refused, Refused::EarlierLife.to_string());
    }
    if before.is_some_and(|(before, _)| *before < life) {
        say(Kind::Life, "the unit was made anew".into());
    }
    let chain = before.map(|(_, chain)| chain);
    // What a server took was fresh where it had to be: here is said where that was.
    let link = match Chain::position(chain, receipt) {
        Ok(Link::Known) => {
            return say(Kind::Repeated, "it is there twice".into());
        }
        Ok(link) => {
            if let Link::After { missing } = link {
                say(Kind::Gap, format!("{missing} before it are missing"));
            }
            link
        }
        Err(refused @ Refused::Forked) => {
            say(Kind::Fork, refused.to_string());
            Link::Anew
        }
        Err(_) => {
            say(Kind::Restart, "its chain begins again".into());
            Link::Anew
        }
    };
    *believed += 1;
    let next = Chain::with(chain, receipt, link);
    chains.insert(unit.clone(), (life, next));
}

impl Display for Audited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding {
            line,
            unit,
            number,
            kind,
            about,
        } in &self.findings
        {
            write!(formatter, "line {line}: ")?;
            if let (Some(unit), Some(number)) = (unit, number) {
                write!(formatter, "{} {number}: ", unit.escape_debug())?;
            }
            match kind.is_bad() {
                true => writeln!(formatter, "{}", paint(BAD, about))?,
                false => writeln!(formatter, "{about}")?,
            }
        }
        let Self {
            believed,
            units,
            missing,
            restarts,
            bad,
            ..
        } = self;
        let style = if *bad == 0 { GOOD } else { BAD };
        let all = format!(
            "{believed} receipts of {units} units are believed; {missing} are missing, {restarts} chains begin \
             again, {bad} bad findings"
        );
        writeln!(formatter, "{}", paint(style, all))
    }
}
