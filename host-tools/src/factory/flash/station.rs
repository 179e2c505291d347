//! What all units of one command have in common: the product, the chip, what they are flashed with, what is locked,
//! who records it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bistable_core::digest::Digest;
use bistable_layout::Product;
use bistable_layout::product::Partition;
use bistable_probe::{
    BootTest, ChipDescription, Lock, Locks, Piece, Places, Recipe, Selector, Tried, locks_of,
};
use bistable_updater::device_key::{self, DeviceKey as _, SoftwareKey};
use bistable_updater::identity::{Identity, MAX_LEN};
use zeroize::Zeroizing;

use super::Arguments;
use super::chips::Chips;
use crate::factory::bootloader;
use crate::factory::flashes::Contents;
use crate::factory::identity_file;
use crate::factory::register::Register;
use crate::factory::{IDENTITY_PARTITION, KEY_PARTITION};
use crate::facts::Facts;
use crate::image::intel_hex::{self, is_intel_hex};
use crate::keys::{self, Signer};
use crate::memory_flash::ERASED;
use crate::{Error, files};

/// What the space between the layout's regions is called.
const FREE: &str = "free flash";

/// A station that is ready.
pub(super) struct Station<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) product: Product,
    pub(super) chip: ChipDescription,
    pub(super) boot_test: Option<BootTest>,
    pub(super) patience: Duration,
    /// What is known about the chip's locks.
    pub(super) known: Option<&'static dyn Locks>,
    /// What is locked, in this order.
    pub(super) steps: Vec<(Lock, Recipe)>,
    /// All locks of this chip, to see which are set already.
    pub(super) all_locks: Vec<(Lock, Recipe)>,
    pub(super) signer: Box<dyn Signer>,
    pub(super) chips: Chips,
    /// The digests that the file of what units have in common may have in their records.
    common: [Digest; 2],
    contents: Vec<Contents>,
    units: Vec<UnitOnProbe>,
    register: Mutex<Register>,
    taken: Mutex<BTreeSet<String>>,
}

/// A probe, and the unit that is on it.
pub(super) struct UnitOnProbe {
    pub(super) selector: Selector,
    /// The serial number; `None`: the next one.
    pub(super) serial: Option<String>,
}

/// Who a unit will be: what its identity file says.
pub(super) struct Individual {
    pub(super) file: PathBuf,
    pub(super) serial: String,
    /// The digest of its identity.
    pub(super) identity: Digest,
    /// Its public key, if the file brings a private one.
    pub(super) key: Option<[u8; device_key::SEED_LEN]>,
    pieces: Vec<(u32, Zeroizing<Vec<u8>>)>,
}

impl<'a> Station<'a> {
    pub(super) fn open(arguments: &'a Arguments) -> Result<Self, Error> {
        let units = units(arguments)?;
        let facts = Facts::read(&arguments.layout)?;
        let description = match &arguments.chip_description {
            Some(path) => Some(text(path)?),
            None => None,
        };
        let chip = ChipDescription::find(&arguments.chip, description.as_deref())
            .map_err(|error| told("--chip", error))?;
        let (contents, common) = contents(arguments, &facts)?;
        let known = locks_of(chip.name());
        let places = places(&facts.product);
        let all_locks = Lock::ALL.into_iter().filter_map(|lock| {
            let recipe = known?.recipe(lock, &places).ok()?;
            Some((lock, recipe))
        });
        let all_locks = all_locks.collect();
        let boot_test = arguments.boot_test.as_deref().map(str::parse).transpose();
        let boot_test = boot_test.map_err(|why| wrong("--boot-test", why))?;
        if !arguments.lock.is_empty() && boot_test.is_none() && !arguments.dry_run {
            return Err(Error::argument(
                "--lock",
                "no --boot-test",
                "a unit that has booted before it is locked",
                "give --boot-test rtt or uart:DEVICE",
            ));
        }
        Ok(Self {
            steps: steps(arguments, &chip, known, &places)?,
            signer: keys::open(&arguments.key, &arguments.passphrases)?,
            register: Mutex::new(Register::open(&arguments.register)?),
            chips: Chips::open(&arguments.register)?,
            patience: Duration::from_secs(arguments.seconds),
            taken: Mutex::default(),
            product: facts.product,
            arguments,
            chip,
            boot_test,
            known,
            all_locks,
            common,
            contents,
            units,
        })
    }

    pub(super) fn units(&self) -> &[UnitOnProbe] {
        &self.units
    }

    pub(super) fn register(&self) -> MutexGuard<'_, Register> {
        // A thread that panicked left the register as a killed command would: the next opening heals it.
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a record speaks of the file that this station flashes.
    pub(super) fn is_common(&self, digest: &str) -> bool {
        self.common.iter().any(|it| it.to_string() == digest)
    }

    pub(super) fn common(&self) -> Digest {
        let [file, _] = self.common;
        file
    }

    /// Where a partition begins, as the processor sees it.
    pub(super) fn address(&self, partition: &str) -> Option<u32> {
        address(&self.product, self.product.partitions.get(partition)?)
    }

    /// A serial number is one unit's in this command.
    pub(super) fn take(&self, serial: &str) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(serial.to_owned())
    }

    /// The serial numbers that have an identity file, with it, in the order of their names. Only names are read: another
    /// probe's unit may be done, and its file wiped, at any moment.
    pub(super) fn waiting(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        self.register().waiting()
    }

    /// What an identity file says; each part must lie at the start of its partition.
    pub(super) fn individual(&self, file: &Path) -> Result<Individual, Error> {
        let refuse = |found: String| {
            Error::unexpected(
                file,
                found,
                "an identity file of this product, as `factory provision` makes it",
                "check --layout and --register",
            )
        };
        let bytes = Zeroizing::new(files::read(file, "read the identity file")?);
        let mut individual = Individual {
            file: file.into(),
            serial: String::new(),
            identity: Digest::NONE,
            key: None,
            pieces: Vec::new(),
        };
        let identity = self.address(IDENTITY_PARTITION);
        let key = self.address(KEY_PARTITION);
        for piece in intel_hex::pieces(file, &bytes)? {
            let data = Zeroizing::new(piece.data.into_owned());
            let at = Some(piece.address);
            if at == identity {
                let identity = Identity::decode(&data)
                    .ok_or_else(|| refuse("no identity where it should lie".into()))?;
                individual.identity = identity_file::digest(&identity);
                individual.serial = identity.serial.to_string();
            } else if at == key {
                let block = data.first_chunk();
                let key = block.and_then(SoftwareKey::decode);
                let key = key.ok_or_else(|| refuse("no key where it should lie".into()))?;
                individual.key = Some(key.public());
            } else {
                return Err(refuse(format!("something at {:#010x}", piece.address)));
            }
            individual.pieces.push((piece.address, data));
        }
        match individual.serial.is_empty() {
            true => Err(refuse("no identity".into())),
            false => Ok(individual),
        }
    }

    /// All that the unit's flash should hold, region by region.
    pub(super) fn pieces(&self, individual: &Individual) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for contents in &self.contents {
            let mut bytes = Zeroizing::new(contents.bytes.clone());
            for (address, data) in &individual.pieces {
                let at = address.checked_sub(contents.flash.address);
                let place = at.and_then(|at| bytes.get_mut(at as usize..)?.get_mut(..data.len()));
                if let Some(place) = place {
                    place.copy_from_slice(data);
                }
            }
            for (name, start, end) in regions(&self.product, contents) {
                let bytes = bytes.get(start as usize..end as usize).unwrap_or_default();
                pieces.push(Piece {
                    name,
                    address: u64::from(contents.flash.address) + start,
                    bytes: bytes.to_vec(),
                });
            }
        }
        pieces
    }
}

/// What probe-rs or the chip said, at `place`.
pub(super) fn told(place: impl std::fmt::Display, error: bistable_probe::Error) -> Error {
    Error::argument(place, error.found, error.expected, error.hint)
}

fn wrong(argument: &str, why: String) -> Error {
    Error::argument(
        argument,
        why,
        "what the help says",
        "see `bistable factory flash --help`",
    )
}

fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(path, "read the chip's description"))
}

fn units(arguments: &Arguments) -> Result<Vec<UnitOnProbe>, Error> {
    let parse = |probe: &String| probe.parse().map_err(|why| wrong("--probe", why));
    let mut selectors = arguments
        .probe
        .iter()
        .map(parse)
        .collect::<Result<Vec<_>, _>>()?;
    if selectors.is_empty() {
        selectors.push(Selector::Only);
    }
    let (probes, serials) = (selectors.len(), arguments.unit.len());
    if !arguments.next && probes != serials {
        return Err(Error::argument(
            "--unit",
            format!("{serials} units for {probes} probes"),
            "one unit for each probe",
            "repeat --unit and --probe, in the same order; or say --next",
        ));
    }
    for (number, selector) in selectors.iter().enumerate() {
        if selectors.iter().take(number).any(|it| it == selector) {
            return Err(Error::argument(
                "--probe",
                format!("{selector} twice"),
                "each probe once",
                "a probe has one unit",
            ));
        }
    }
    for (number, serial) in arguments.unit.iter().enumerate() {
        if arguments.unit.iter().take(number).any(|it| it == serial) {
            return Err(Error::argument(
                "--unit",
                format!("{} twice", serial.escape_debug()),
                "each unit once",
                "a serial number is one unit's",
            ));
        }
    }
    let mut serials = arguments.unit.iter().cloned().map(Some);
    let unit = |selector| UnitOnProbe {
        selector,
        serial: serials.next().flatten(),
    };
    Ok(selectors.into_iter().map(unit).collect())
}

/// The flashes with all that units have in common, and the digests of that: of the file, and of the row of flashes.
fn contents(arguments: &Arguments, facts: &Facts) -> Result<(Vec<Contents>, [Digest; 2]), Error> {
    let (layout, path, product) = (&arguments.layout, &arguments.common, &facts.product);
    let bytes = files::read(path, "read what all units have in common")?;
    let erased = |name: &String| Contents::erased(layout, product, name);
    let mut contents = product
        .flash
        .keys()
        .map(erased)
        .collect::<Result<Vec<_>, _>>()?;
    if is_intel_hex(&bytes) {
        for piece in intel_hex::pieces(path, &bytes)? {
            let place = contents.iter_mut().find_map(|contents| {
                let at = piece.address.checked_sub(contents.flash.address)?;
                contents
                    .bytes
                    .get_mut(at as usize..)?
                    .get_mut(..piece.data.len())
            });
            let refuse = || {
                let found = format!("{} bytes at {:#010x}", piece.data.len(), piece.address);
                Error::unexpected(path, found, "a flash of the layout there", "check --layout")
            };
            place.ok_or_else(refuse)?.copy_from_slice(&piece.data);
        }
    } else {
        let only = facts.row.only();
        let only = only.and_then(|only| contents.iter_mut().find(|it| it.name == only.name));
        match only.filter(|only| only.bytes.len() == bytes.len()) {
            Some(only) => only.bytes.copy_from_slice(&bytes),
            None => {
                return Err(Error::unexpected(
                    path,
                    format!("{} bytes that are no Intel HEX", bytes.len()),
                    match facts.row.only() {
                        Some(only) => format!("all of flash `{}`, or Intel HEX", only.name),
                        None => format!("Intel HEX, for it is of {}", facts.row.names()),
                    },
                    "make it with `bistable factory build`, without --serial",
                ));
            }
        }
    }
    let digests = [Digest::of(&bytes), without_bootloader(facts, &contents)];
    if let Some(path) = &arguments.bootloader {
        let flash = &product.bootloader.flash;
        if let Some(flash) = contents.iter_mut().find(|it| it.name == *flash) {
            bootloader::place(path, facts, flash)?;
        }
    }
    refuse_one_units(path, product, &contents)?;
    // A flash that has nothing of the row is left as it is, such as that of a bootloader which was flashed before. An
    // empty slot is of the row: what lay there before must not boot.
    let own = [IDENTITY_PARTITION, KEY_PARTITION].map(|name| product.partitions.get(name));
    contents.retain(|contents| {
        let mut own = own.iter().flatten();
        facts.row.start(&contents.name).is_some()
            || own.any(|partition| partition.flash == contents.name)
            || contents.bytes.iter().any(|byte| *byte != ERASED)
    });
    Ok((contents, digests))
}

/// The digest of the row of flashes, as `factory provision` records it: the bootloader is no part of it.
fn without_bootloader(facts: &Facts, contents: &[Contents]) -> Digest {
    let mut bytes = Vec::new();
    for in_row in facts.row.flashes() {
        let own = contents.iter().find(|it| it.name == in_row.name);
        bytes.extend_from_slice(own.map_or(&[], |own| &own.bytes));
    }
    let Partition {
        flash,
        offset,
        size,
    } = &facts.product.bootloader;
    if let Some(start) = facts.row.start(flash)
        && let Some(behind) = bytes.get_mut(start + *offset as usize..)
        && let Some(bootloader) = behind.get_mut(..*size as usize)
    {
        bootloader.fill(ERASED);
    }
    Digest::of(&bytes)
}

/// What all units have in common is nobody's identity.
fn refuse_one_units(path: &Path, product: &Product, contents: &[Contents]) -> Result<(), Error> {
    for name in [IDENTITY_PARTITION, KEY_PARTITION] {
        let Some(partition) = product.partitions.get(name) else {
            continue;
        };
        let on = contents.iter().find(|it| it.name == partition.flash);
        let range = partition.offset as usize..(partition.offset + partition.size) as usize;
        let bytes = on.and_then(|on| on.bytes.get(range)).unwrap_or_default();
        if bytes.iter().any(|byte| *byte != ERASED) {
            return Err(Error::unexpected(
                path,
                format!("something in partition `{name}`"),
                "what all units have in common",
                "make it with `bistable factory build`, without --serial",
            ));
        }
    }
    Ok(())
}

/// The regions on a flash, and what is between them.
fn regions(product: &Product, contents: &Contents) -> Vec<(String, u64, u64)> {
    let mut regions = product.regions();
    regions.retain(|region| region.device == contents.name);
    regions.sort_by_key(|region| region.start);
    let (mut all, mut at) = (Vec::new(), 0);
    for region in regions {
        all.push((FREE.into(), at, region.start));
        at = region.end;
        all.push((region.name, region.start, region.end));
    }
    all.push((FREE.into(), at, contents.bytes.len() as u64));
    all.retain(|(_, start, end)| start < end);
    all
}

fn steps(
    arguments: &Arguments,
    chip: &ChipDescription,
    known: Option<&'static dyn Locks>,
    places: &Places,
) -> Result<Vec<(Lock, Recipe)>, Error> {
    let refuse =
        |found: String, hint: &str| Error::argument("--lock", found, "steps that are known", hint);
    let parse = |lock: &String| lock.parse().map_err(|why| wrong("--lock", why));
    let mut locks = arguments
        .lock
        .iter()
        .map(parse)
        .collect::<Result<Vec<Lock>, _>>()?;
    locks.sort_unstable();
    locks.dedup();
    let name = chip.name();
    let Some(known) = known else {
        return match locks.is_empty() {
            true => Ok(Vec::new()),
            false => Err(refuse(
                format!("no lock steps are known for {name}"),
                "lock it with the maker's tool, after this command",
            )),
        };
    };
    let (family, tried) = known.describe();
    if !locks.is_empty() && tried == Tried::NotOnHardware && !arguments.accept_untried_locks {
        return Err(refuse(
            format!("lock steps for {family} that were never run on hardware"),
            "look at them with --dry-run --accept-untried-locks, try them on a unit that may be lost",
        ));
    }
    let recipe = |lock: Lock| {
        let recipe = known.recipe(lock, places);
        let recipe = recipe.map_err(|why| {
            refuse(
                format!("no way to lock `{lock}` on {name}: {why}"),
                "leave this lock away",
            )
        });
        Ok((lock, recipe?))
    };
    locks.into_iter().map(recipe).collect()
}

fn places(product: &Product) -> Places {
    let range = |partition: &Partition| {
        let start = address(product, partition)?;
        Some(start..start + partition.size)
    };
    Places {
        key: product.partitions.get(KEY_PARTITION).and_then(range),
        bootloader: range(&product.bootloader).unwrap_or(0..0),
    }
}

fn address(product: &Product, partition: &Partition) -> Option<u32> {
    let flash = product.flash.get(&partition.flash)?;
    flash.address.checked_add(partition.offset)
}

/// The serial number in the block at the start of these bytes.
pub(super) fn serial_in(block: &[u8; MAX_LEN]) -> Option<String> {
    Identity::decode(block).map(|identity| identity.serial.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bistable_layout::Ring;

    /// The bootloader on the first of two flashes that make the row, a run of other sectors between them.
    fn facts() -> Facts {
        let text = include_str!("../../../layout/tests/golden/layout.toml")
            .replace("[journal]\nflash = \"main\"", "[journal]\nflash = \"boot\"")
            .replace(
                "size = 0x1_0000\nerase_size = 4096",
                "size = 0x2_0000\nerase_size = 4096",
            )
            .replace("offset = 0\nsectors = 3", "offset = 0x1_0000\nsectors = 3");
        let product = Product::parse(&text, Path::new("/product")).unwrap();
        let ring = include_str!("../../../layout/tests/golden/ring.toml");
        Facts::new(product, Ring::parse(ring).unwrap())
    }

    #[test]
    fn what_is_common_is_the_row_of_flashes_in_their_order_without_the_bootloader() {
        let facts = facts();
        let names: Vec<_> = facts
            .row
            .flashes()
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(names, ["boot", "main"]);
        let filled = |name: &str, byte: u8| {
            let mut contents = Contents::erased(Path::new(""), &facts.product, name).unwrap();
            contents.bytes.fill(byte);
            contents
        };
        let (boot, main) = (filled("boot", 1), filled("main", 2));
        let expected = [
            vec![ERASED; 0x1_0000],
            vec![1; 0x1_0000],
            main.bytes.clone(),
        ]
        .concat();
        let digest = without_bootloader(&facts, &[main, boot]);
        assert_eq!(digest, Digest::of(&expected));
    }
}
