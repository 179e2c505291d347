//! `bistable devices`: what the units of a fleet said last.

use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_updater::identity::Serial;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::facts::Facts;
use crate::output::{BAD, FAINT, Output, Report, paint};
use crate::proof::fleet::Fleet;
use crate::proof::kept::Kept;
use crate::proof::stations::Stations;
use crate::proof::units::Units;
use crate::proof::words::{DriftSaid, LocksSaid, RejectedImage, Said, StateName, has_drifted};
use crate::reports::seconds_since_1970;
use crate::store::Store;

/// Whoever has said nothing for so long is silent: a device says something every day.
const SILENT: u64 = 48 * 60 * 60;

/// List the devices that sent receipts: what each runs, how it stands, and when it was last seen.
///
/// What a device runs is what the newest receipt of its chain says, and nothing else. With the birth records, each is
/// verified again, and devices that never spoke are listed too. Last seen is the server's clock.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable devices store --births births.jsonl --station-key station.pub --silent 48h"
)]
pub struct Arguments {
    /// The store that `bistable serve` keeps receipts in.
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// The birth records: which units there are, and which keys they have.
    #[arg(long, value_name = "FILE", requires = "station_keys")]
    pub births: Option<PathBuf>,
    /// The keys of the stations that signed them.
    #[command(flatten)]
    pub stations: Stations,
    /// The product's layout.toml: names the health checks.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// Only the devices whose image stands so.
    #[arg(long, value_name = "STATE")]
    pub state: Option<StateName>,
    /// Only the devices that run this image; the first digits of its digest are enough.
    #[arg(long, value_name = "DIGEST", value_parser = parse_digits)]
    pub image: Option<String>,
    /// Only the devices that have been silent for so long, such as `48h`, `90m` or `7d`, or always.
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub silent: Option<u64>,
    /// Only the devices in which a slot holds something else than was verified.
    #[arg(long)]
    pub drifting: bool,
    /// Only this device.
    #[arg(long, value_name = "SERIAL")]
    pub unit: Option<String>,
}

/// What the devices of a store said last.
#[derive(Serialize, JsonSchema)]
pub struct Devices {
    /// Those that the filters leave, by serial number.
    pub devices: Vec<Device>,
    /// The serial numbers of those that were made and never spoke, or not since they were made anew.
    pub never_spoke: Vec<String>,
    /// The serial numbers of those whose newest receipt is not signed with their key: nothing is known of them.
    pub not_believed: Vec<String>,
    /// How long a device says nothing until it is silent, in seconds.
    pub silent_after: u64,
    /// How many of the devices listed are silent.
    pub silent: usize,
    /// How many lines of the store's file are no receipts.
    pub strange_lines: u64,
    /// Whether the signatures were verified now, with the birth records.
    pub verified: bool,
}

/// What a device said last.
#[derive(Serialize, JsonSchema)]
pub struct Device {
    /// Its serial number.
    pub unit: String,
    /// The digest of the image that it runs.
    pub image: String,
    /// That image's version.
    pub version: String,
    /// How that image stands.
    pub state: StateName,
    /// Which image was rejected, and why.
    pub rejected: Option<RejectedImage>,
    /// The running slot: A or B.
    pub slot: &'static str,
    /// When its newest receipt came, by the server's clock (RFC 3339, in UTC).
    pub last_seen: String,
    /// How long ago that was, in seconds; 0 if this machine's clock is behind.
    pub age: u64,
    /// Whether it is silent.
    pub silent: bool,
    /// What the last measurements of its slots found.
    pub drift: DriftSaid,
    /// What is locked.
    pub locks: LocksSaid,
    /// The number of its newest receipt.
    pub receipt: u32,
}

impl Report for Devices {
    const FORMAT: &'static str = "devices/1";
}

/// Runs the command.
///
/// # Errors
/// There is no store, or something cannot be read.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let store = Store::existing(&arguments.store)?;
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    let births = arguments.births.as_deref();
    let units = births.map(|path| Units::open(path, arguments.stations.public()?));
    let units = units.transpose()?;
    let fleet = Fleet::read(store.directory(), units.as_ref())?;
    let mut devices = list(arguments, &fleet, facts.as_ref(), seconds_since_1970());
    devices.verified = units.is_some();
    output.say(&devices)
}

fn list(arguments: &Arguments, fleet: &Fleet, facts: Option<&Facts>, now: u64) -> Devices {
    let silent_after = arguments.silent.unwrap_or(SILENT);
    let chosen = fleet
        .newest
        .values()
        .map(|kept| (kept, Device::new(kept, facts, now, silent_after)))
        .filter(|(kept, device)| chooses(arguments, kept, device));
    let devices: Vec<_> = chosen.map(|(_, device)| device).collect();
    // Of those that said nothing, no state, image or drift is known.
    let asks_more = arguments.state.is_some() || arguments.image.is_some() || arguments.drifting;
    let serials = |serials: &[Serial]| -> Vec<String> {
        let only = arguments.unit.as_deref();
        let chosen = |serial: &&Serial| !asks_more && only.is_none_or(|only| ***serial == *only);
        serials
            .iter()
            .filter(chosen)
            .map(|it| it.to_string())
            .collect()
    };
    Devices {
        silent: devices.iter().filter(|device| device.silent).count(),
        devices,
        never_spoke: serials(&fleet.never_spoke),
        not_believed: serials(&fleet.not_believed),
        silent_after,
        strange_lines: fleet.strange,
        verified: false,
    }
}

fn chooses(arguments: &Arguments, kept: &Kept, device: &Device) -> bool {
    let Arguments {
        state,
        image,
        silent,
        drifting,
        unit,
        ..
    } = arguments;
    state.is_none_or(|state| device.state == state)
        && image
            .as_ref()
            .is_none_or(|digits| device.image.starts_with(digits))
        && (silent.is_none() || device.silent)
        && (!drifting || has_drifted(kept.receipt.drift))
        && unit.as_ref().is_none_or(|unit| device.unit == *unit)
}

impl Device {
    fn new(kept: &Kept, facts: Option<&Facts>, now: u64, silent_after: u64) -> Self {
        let said = Said::new(&kept.receipt, kept.signed.digest(), facts);
        let age = now.saturating_sub(kept.received);
        Self {
            unit: said.unit,
            image: said.image,
            version: said.version,
            state: said.state,
            rejected: said.rejected,
            slot: said.slot,
            last_seen: time(kept.received),
            age,
            silent: age >= silent_after,
            drift: said.drift,
            locks: said.locks,
            receipt: said.number,
        }
    }
}

/// As RFC 3339 has it.
fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().map(Timestamp::from_second);
    match time {
        Some(Ok(time)) => time.to_string(),
        _ => format!("{seconds} s after 1970"),
    }
}

/// For the command line: the first digits of a digest.
fn parse_digits(text: &str) -> Result<String, String> {
    let digits =
        !text.is_empty() && text.len() <= 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    match digits {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a digest is up to 64 hexadecimal digits".into()),
    }
}

/// For the command line: a number of seconds, minutes, hours or days.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];
    let found = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds)
    });
    found.ok_or_else(|| "a time is a number and s, m, h or d, such as 48h".into())
}

/// The largest unit of which it is two or more.
fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

impl Display for Devices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .devices
            .iter()
            .map(|device| device.unit.escape_debug().count());
        let width = width.max().unwrap_or(0).max(4);
        if !self.devices.is_empty() {
            let [image, version, state, seen] = ["image", "version", "state", "last seen"];
            writeln!(
                formatter,
                "{:width$}  {image:<12}  {version:<9}  {state:<9}  slot  {seen:<35}  drift",
                "unit"
            )?;
        }
        for device in &self.devices {
            device.write(formatter, width)?;
        }
        for (serials, what) in [
            (&self.never_spoke, "never spoke"),
            (
                &self.not_believed,
                "not believed: its newest receipt is not its own",
            ),
        ] {
            for serial in serials {
                let serial = serial.escape_debug().to_string();
                writeln!(formatter, "{serial:width$}  {}", paint(BAD, what))?;
            }
        }
        let all = self.devices.len();
        let never = self.never_spoke.len();
        writeln!(
            formatter,
            "{all} devices, {} of them silent for {} or longer; {never} never spoke",
            self.silent,
            ago(self.silent_after).trim_end_matches(" ago")
        )?;
        match self.strange_lines {
            0 => Ok(()),
            lines => writeln!(
                formatter,
                "{lines} lines are no receipts: `bistable receipt audit` names them"
            ),
        }
    }
}

impl Device {
    fn write(&self, formatter: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let Self {
            version,
            state,
            slot,
            last_seen,
            ..
        } = self;
        let unit = self.unit.escape_debug().to_string();
        let image = self.image.get(..12).unwrap_or_default();
        let seen = format!("{last_seen} ({})", ago(self.age));
        let seen = match self.silent {
            true => format!("{}", paint(BAD, format_args!("{seen:<35}"))),
            false => format!("{seen:<35}"),
        };
        let DriftSaid { own, other } = self.drift;
        let drift = match own == "differs" || other == "differs" {
            true => format!("{}", paint(BAD, format_args!("own {own}, other {other}"))),
            false => format!("own {own}, other {other}"),
        };
        let LocksSaid {
            key,
            readout,
            bootloader,
        } = self.locks;
        write!(
            formatter,
            "{unit:width$}  {image}  {version:<9}  {state:<9}  {slot:<4}  {seen}  {drift}; locks: key {key}, \
             read-out {readout}, bootloader {bootloader}"
        )?;
        writeln!(formatter)?;
        if let Some(RejectedImage {
            image,
            reason,
            about,
        }) = &self.rejected
        {
            let image = image.get(..12).unwrap_or_default();
            let line = format!("{image} was rejected, {reason}: {about}");
            writeln!(formatter, "{:width$}  {}", "", paint(FAINT, line))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        assert_eq!(parse_seconds("48h"), Ok(172_800));
        assert_eq!(parse_seconds("7d"), Ok(604_800));
        assert_eq!(parse_seconds("0s"), Ok(0));
        for text in ["48", "h", "-1h", "1w", "", "99999999999999999999d"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_said_as_people_say_it() {
        assert_eq!(time(1_795_262_400), "2026-11-21T12:00:00Z");
        assert_eq!(time(u64::MAX), "18446744073709551615 s after 1970");
        for (seconds, said) in [
            (0, "0 s ago"),
            (120, "2 min ago"),
            (7200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(seconds), said);
        }
    }
}
