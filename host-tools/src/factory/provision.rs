//! `bistable factory provision`: gives each unit of a list its serial number, its key, its identity file and its
//! birth record, once.
//!
//! The list is read twice, line by line. First everything in it is checked, and nothing written. Then the units
//! follow in groups, each of which is recorded with one sync of the disk ([`Register::give`]). A unit that the same
//! list was given before is left as it is, so a command that was killed is given again, and goes on.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_core::version::Version;
use bistable_updater::device_key::{self, SEED_LEN};
use clap::ValueEnum;
use ed25519_compact::Seed;
use schemars::JsonSchema;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::factory::births::scratch::Scratch;
use crate::factory::births::{Birth, Event, KeyMade};
use crate::factory::identity_file::{self, IdentityFile, Places};
use crate::factory::public_keys;
use crate::factory::register::Register;
use crate::factory::units::{List, Unit};
use crate::factory::{KEY_PARTITION, common, now};
use crate::facts::{Facts, parse_version, workspace_version};
use crate::image::check::check;
use crate::keys::{self, Passphrases, Signer, Source, stack};
use crate::output::{Output, Report};
use crate::{Error, files, hex};

/// How many units are recorded together.
const TOGETHER: usize = 256;

/// Give the units of a list their serial numbers, keys, identity files and birth records; killed, give the same
/// command again.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable factory provision units.csv --layout layout.toml --image v1.img --register factory --key line-3.pem --station line-3 --operator ada --public-keys keys.csv"
)]
pub struct Arguments {
    /// CSV with the columns serial, hardware_revision, and those that the layout names under `[factory]`.
    #[arg(value_name = "UNITS.csv")]
    pub units: PathBuf,
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The image that the units start with.
    #[arg(long, value_name = "IMAGE")]
    pub image: PathBuf,
    /// The units' bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
    /// The factory's memory: a folder, which is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    pub register: PathBuf,
    /// The station's private key, which signs the records: PEM, or a `pkcs11:` URI.
    #[arg(long, value_name = "KEY")]
    pub key: Source,
    /// What an encrypted key is opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// The station's name, for the records.
    #[arg(long, value_name = "NAME")]
    pub station: String,
    /// The operator's name, for the records.
    #[arg(long, value_name = "NAME")]
    pub operator: String,
    /// Who makes the units' keys.
    #[arg(long, value_name = "WHO", value_enum, default_value_t = KeyMaker::Tool)]
    pub device_key: KeyMaker,
    /// The units were given their serial numbers before, and are made again for this reason.
    #[arg(long, value_name = "REASON")]
    pub rework: Option<String>,
    /// Where a list of the units' public keys goes, as CSV.
    #[arg(long, value_name = "KEYS.csv")]
    pub public_keys: Option<PathBuf>,
    /// Where a certificate request (PKCS#10) for each unit goes: a folder.
    #[arg(long, value_name = "FOLDER")]
    pub csr: Option<PathBuf>,
}

/// Who makes the private key of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum KeyMaker {
    /// These tools; it lies in the identity file until that is wiped.
    Tool,
    /// The device, at its first boot; it never leaves it.
    Device,
}

/// What became of a list.
#[derive(Serialize, JsonSchema)]
pub struct Provisioned {
    /// The list.
    pub list: String,
    /// Its SHA-256, by which records name it.
    pub batch: String,
    /// How many units it has.
    pub units: u64,
    /// How many of them were given their serial numbers now.
    pub made: u64,
    /// How many had them already, from this list.
    pub already: u64,
    /// Why they were made again; `null` if it is their first life.
    pub rework: Option<String>,
    /// The register's folder.
    pub register: String,
    /// How many records are in it.
    pub records: u64,
    /// The SHA-256 of the last record: kept elsewhere, it tells later whether records are missing at the end.
    pub anchor: String,
    /// The list of public keys.
    pub public_keys: Option<String>,
    /// How many certificate requests were written.
    pub requests: Option<u64>,
    /// How many units have no identity file any more, because it was wiped: there is no new request for them.
    pub without_file: Option<u64>,
}

impl Report for Provisioned {
    const FORMAT: &'static str = "factory-provision/1";
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the list, a unit or a file. A list is refused before anything is written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    refuse_contradictions(arguments)?;
    let facts = Facts::read(&arguments.layout)?;
    let places = Places::of(&facts.product, &arguments.layout)?;
    if arguments.device_key == KeyMaker::Tool && places.device_key.is_none() {
        return Err(Error::unexpected(
            &arguments.layout,
            "no place for the device's key",
            format!("a partition `{KEY_PARTITION}`"),
            format!(
                "add [partition.{KEY_PARTITION}], or let devices with a secure element make theirs: --device-key device"
            ),
        ));
    }
    let list = List {
        path: &arguments.units,
        calibration: &facts.product.calibration,
    };
    let template = template(arguments, &facts)?;
    let signer = keys::open(&arguments.key, &arguments.passphrases)?;
    let mut register = Register::open(&arguments.register)?;
    let mut job = Job {
        list: &list,
        places,
        template,
    };
    let (batch, units) = job.check(&register)?;
    let made = job.make(&mut register, signer.as_ref(), units, output)?;
    let (records, head) = register.head();
    let mut said = Provisioned {
        list: arguments.units.display().to_string(),
        batch: hex::encode(&batch.0),
        units,
        made,
        already: units - made,
        rework: arguments.rework.clone(),
        register: arguments.register.display().to_string(),
        records,
        anchor: hex::encode(&head.0),
        public_keys: None,
        requests: None,
        without_file: None,
    };
    if let Some(path) = &arguments.public_keys {
        public_keys::write_list(path, &list, &register)?;
        said.public_keys = Some(path.display().to_string());
    }
    if let Some(folder) = &arguments.csr {
        let (written, without) = public_keys::write_requests(folder, &list, &register, places)?;
        said.requests = Some(written);
        said.without_file = Some(without);
    }
    output.say(&said)
}

fn refuse_contradictions(arguments: &Arguments) -> Result<(), Error> {
    let outputs = [
        ("--public-keys", arguments.public_keys.is_some()),
        ("--csr", arguments.csr.is_some()),
    ];
    let asked = outputs.iter().find(|(_, asked)| *asked);
    if let (KeyMaker::Device, Some((option, _))) = (arguments.device_key, asked) {
        return Err(Error::argument(
            option,
            "keys that the devices make",
            "keys that are known here",
            "leave it away: a device's key is known, and recorded, when it is flashed",
        ));
    }
    if arguments
        .rework
        .as_deref()
        .is_some_and(|it| it.trim().is_empty())
    {
        let hint = "the reason stands in the records for good";
        return Err(Error::argument("--rework", "nothing", "a reason", hint));
    }
    Ok(())
}

/// What the records of all units have in common.
fn template(arguments: &Arguments, facts: &Facts) -> Result<Birth, Error> {
    let bytes = files::read(&arguments.image, "read the image")?;
    let version = arguments.bootloader_version;
    let image =
        check(&bytes, facts, version, drop).map_err(|failed| failed.at(&arguments.image))?;
    let common = common(facts, &arguments.layout, &image, version)?;
    Ok(Birth {
        number: 0,
        previous: String::new(),
        event: Event::Provisioned,
        unit: String::new(),
        life: 1,
        rework: arguments.rework.clone(),
        hardware_revision: 0,
        calibration: BTreeMap::new(),
        device_key: None,
        key_made: match arguments.device_key {
            KeyMaker::Tool => KeyMade::ByTool,
            KeyMaker::Device => KeyMade::OnDevice,
        },
        image: hex::encode(&image.manifest().digest().0),
        version: image.manifest().version().to_string(),
        layout: hex::encode(&facts.product.layout.digest.0),
        common: hex::encode(&Digest::of(&common).0),
        identity: String::new(),
        batch: String::new(),
        tool: env!("CARGO_PKG_VERSION").into(),
        station: arguments.station.clone(),
        operator: arguments.operator.clone(),
        began: String::new(),
        done: String::new(),
        read_back: None,
        locks: None,
    })
}

/// A list and what its units get.
struct Job<'a> {
    list: &'a List<'a>,
    places: Places,
    /// The batch is known once the list was read.
    template: Birth,
}

/// How a unit of the list stands.
enum Standing {
    /// This list gave it its serial number before.
    Done,
    /// It is to be made, in this life.
    New(u32),
}

impl Job<'_> {
    /// Checks the whole list; returns its digest and the number of its units.
    fn check(&mut self, register: &Register) -> Result<(Digest, u64), Error> {
        let mut seen = Scratch::new(register.folder())?;
        // Whose batch this is, is known behind the last line.
        let batch = self.list.read(|_| Ok(()))?;
        self.template.batch = hex::encode(&batch.0);
        let mut units = 0;
        self.list.read(|unit| {
            units += 1;
            if let Some(line) = seen.put(&unit.identity.serial, &unit.line)? {
                return Err(Error::argument(
                    format!("{}, column `serial`", self.list.line(unit.line)),
                    format!("`{}`, as in line {line}", unit.identity.serial),
                    "a serial number that is not in the list yet",
                    "a serial number is given once, ever: nothing was provisioned yet",
                ));
            }
            self.standing(&unit, register).map(drop)
        })?;
        Ok((batch, units))
    }

    /// Makes the units that are not there yet; returns how many those were.
    fn make(
        &self,
        register: &mut Register,
        signer: &dyn Signer,
        units: u64,
        output: &Output,
    ) -> Result<u64, Error> {
        let progress = output.progress("provisioning", units);
        let mut group = Group::default();
        let mut made = 0;
        let batch = self.list.read(|unit| {
            if let Standing::New(life) = self.standing(&unit, register)? {
                group.push(self.unit(unit, life)?);
                made += 1;
            }
            if group.births.len() >= TOGETHER {
                group.record(register, signer)?;
            }
            progress.step();
            Ok(())
        })?;
        group.record(register, signer)?;
        register.sign_head(signer)?; // an earlier run may have been killed before it did
        match hex::encode(&batch.0) == self.template.batch {
            true => Ok(made),
            false => Err(Error::unexpected(
                self.list.path,
                "another list than a moment ago",
                "one that nobody changes while it is provisioned",
                "put the old one back, and give the same command again",
            )),
        }
    }

    /// How a unit stands in the register.
    ///
    /// # Errors
    /// It may not be made.
    fn standing(&self, unit: &Unit, register: &Register) -> Result<Standing, Error> {
        let serial = &unit.identity.serial;
        let refuse = |found: String, expected: &str, hint: &str| {
            let place = format!("{}, column `serial`", self.list.line(unit.line));
            Err(Error::argument(place, found, expected, hint))
        };
        let new = &self.template;
        let Some(last) = register.last(serial)? else {
            return match new.rework {
                None => Ok(Standing::New(1)),
                Some(_) => refuse(
                    format!("`{serial}`, which was never given"),
                    "a unit to be made again",
                    "leave --rework away for units in their first life",
                ),
            };
        };
        if (&last.batch, &last.rework) == (&new.batch, &new.rework) {
            let facts = |birth: &Birth| {
                let Birth {
                    image,
                    layout,
                    common,
                    key_made,
                    ..
                } = birth;
                (image.clone(), layout.clone(), common.clone(), *key_made)
            };
            if facts(&last) == facts(new) {
                return Ok(Standing::Done);
            }
            return refuse(
                format!(
                    "`{serial}`, which this list was given with the image {} {:.8} for the layout {:.8}",
                    last.version, last.image, last.layout
                ),
                "the same image, layout, bootloader version and maker of keys as before",
                "give the same command again; units are made otherwise with --rework",
            );
        }
        if new.rework.is_some() {
            return Ok(Standing::New(last.life.saturating_add(1)));
        }
        refuse(
            format!(
                "`{serial}`, which was given on {} at {} by {}, life {}, batch {:.8}",
                last.done, last.station, last.operator, last.life, last.batch
            ),
            "a serial number that was never given",
            "for the same unit made again give --rework REASON; else choose another",
        )
    }

    fn unit(&self, unit: Unit, life: u32) -> Result<(Birth, Zeroizing<String>), Error> {
        let began = now();
        let seed = match self.template.key_made {
            KeyMade::ByTool => Some(Zeroizing::new(stack::wiped(|| *Seed::generate()))),
            KeyMade::OnDevice => None,
        };
        let seed: Option<&[u8; SEED_LEN]> = seed.as_deref();
        let file = IdentityFile::new(self.places, &unit.identity, seed);
        let public = file.public();
        if public.is_some() != seed.is_some() {
            return Err(Error::argument(
                format!("the key of `{}`", unit.identity.serial),
                "a seed that is not read back",
                format!("a block of {} bytes", device_key::BLOCK_LEN),
                "try again; nothing was recorded",
            ));
        }
        let birth = Birth {
            unit: unit.identity.serial.to_string(),
            life,
            hardware_revision: unit.identity.hardware_revision,
            calibration: unit.calibration,
            device_key: public.map(|public| hex::encode(&public)),
            identity: hex::encode(&identity_file::digest(&unit.identity).0),
            began,
            ..self.template.clone()
        };
        Ok((birth, file.to_hex()))
    }
}

/// Units that are recorded together.
#[derive(Default)]
struct Group {
    births: Vec<Birth>,
    files: Vec<Zeroizing<String>>,
}

impl Group {
    fn push(&mut self, (birth, file): (Birth, Zeroizing<String>)) {
        self.births.push(birth);
        self.files.push(file);
    }

    fn record(&mut self, register: &mut Register, signer: &dyn Signer) -> Result<(), Error> {
        if self.births.is_empty() {
            return Ok(());
        }
        let done = now();
        for birth in &mut self.births {
            birth.done.clone_from(&done);
        }
        register.give(&mut self.births, &self.files, signer)?;
        self.births.clear();
        self.files.clear();
        Ok(())
    }
}

impl Display for Provisioned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            list, batch, units, ..
        } = self;
        writeln!(
            formatter,
            "list      {list}: {units} units, SHA-256 {batch}"
        )?;
        let lives = match &self.rework {
            None => String::new(),
            Some(reason) => format!(" again, in a new life each, because: {reason}"),
        };
        let (made, already) = (self.made, self.already);
        writeln!(formatter, "made      {made} units{lives}")?;
        if already > 0 {
            writeln!(
                formatter,
                "already   {already} units, by an earlier run with this list"
            )?;
        }
        let Self {
            register, records, ..
        } = self;
        writeln!(formatter, "register  {register}: {records} records")?;
        if let Some(path) = &self.public_keys {
            writeln!(formatter, "keys      {path}")?;
        }
        if let Some(requests) = self.requests {
            writeln!(formatter, "requests  {requests} for certificates")?;
        }
        if let Some(without) = self.without_file.filter(|without| *without > 0) {
            writeln!(
                formatter,
                "          none for {without} units, whose identity files were wiped"
            )?;
        }
        writeln!(formatter, "anchor    {}", self.anchor)?;
        writeln!(
            formatter,
            "          keep it elsewhere: `factory audit --head` finds records that are missing at the end"
        )
    }
}
