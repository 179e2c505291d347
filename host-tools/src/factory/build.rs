//! `bistable factory build`: the files that new devices are flashed with: all that they have in common, or one
//! device's flash.
//!
//! A folder gets one file of each kind, and the map; a file whose name ends in `.bin`, `.hex`, `.srec` or `.uf2` is
//! the only one. All are put in place, or none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bistable_core::version::Version;
use bistable_updater::identity::{Identity, Serial};

use crate::factory::flashes::Contents;
use crate::factory::formats::Format;
use crate::factory::map::{Map, MappedFile, Sources};
use crate::factory::uf2::Family;
use crate::factory::{bootloader, svg};
use crate::facts::{Facts, parse_version, workspace_version};
use crate::image::check::check;
use crate::output::{Output, json};
use crate::{Error, atomic, files};

pub use crate::factory::content::{build, build_in, common};

/// What the files in a folder are called, but for those that hold one flash and have its name.
const STEM: &str = "factory";

/// Make the files that new devices are flashed with.
///
/// They hold the journal and the image, confirmed in slot A, and with --bootloader that too. All else is erased.
/// Without --serial they are what all units have in common. A folder gets a .bin of each flash, factory.hex,
/// factory.srec, factory.uf2 and factory.json, the map. In all but .bin are only the pages of 256 bytes (or
/// erase sectors, where those are smaller) that hold something, each whole: what else is on the flash must be
/// erased before.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable factory build --layout layout.toml --image v1.img --bootloader boot.elf --out factory\n  \
                  bistable factory build --layout layout.toml --image v1.img --out factory.uf2 --uf2-family RP2040\n  \
                  bistable factory build --layout layout.toml --image v1.img --serial BST-000042 --out flash.bin"
)]
pub struct Arguments {
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The image that the device starts with.
    #[arg(long, value_name = "IMAGE")]
    pub image: PathBuf,
    /// The bootloader, as ELF or Intel HEX; without it, it is not in the files.
    #[arg(long, value_name = "FILE")]
    pub bootloader: Option<PathBuf>,
    /// The device's bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
    /// One device's serial number, up to 32 bytes: its identity is in the files, and they are for no other.
    #[arg(long)]
    pub serial: Option<String>,
    /// The board's revision.
    #[arg(long, value_name = "N", requires = "serial")]
    pub hardware_revision: Option<u16>,
    /// For whom the UF2 file is: a number, or a name such as RP2040; without it, for nobody in particular.
    #[arg(long, value_name = "FAMILY", value_parser = Family::parse)]
    pub uf2_family: Option<Family>,
    /// A folder for all formats and the map, or a file that ends in .bin, .hex, .srec or .uf2.
    #[arg(long, value_name = "FOLDER|FILE")]
    pub out: PathBuf,
    /// Where a picture of the flash goes.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What it could not make; nothing was written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let out = Out::of(arguments, &facts)?;
    let identity = identity(arguments)?;
    let bytes = files::read(&arguments.image, "read the image")?;
    let version = arguments.bootloader_version;
    let image =
        check(&bytes, &facts, version, drop).map_err(|failed| failed.at(&arguments.image))?;
    let layout = &arguments.layout;
    let row = match &identity {
        Some(identity) => build(&facts, layout, &image, identity, version)?,
        None => common(&facts, layout, &image, version)?,
    };
    let flashes = flashes(arguments, &facts, &row)?;
    let sources = Sources {
        facts: &facts,
        flashes: &flashes,
        image: &image,
        identity: identity.as_ref(),
        has_bootloader: arguments.bootloader.is_some(),
        family: arguments.uf2_family,
    };
    let mut all = out.files(&flashes, arguments.uf2_family)?;
    let mapped = all.iter().map(|file| file.mapped.clone()).collect();
    let map = Map::new(out.folder().into(), mapped, &sources);
    let mut written: Vec<_> = all
        .iter_mut()
        .map(|file| (std::mem::take(&mut file.path), file.bytes.as_slice()))
        .collect();
    let (picture, map_text) = (svg::draw(&map), json(&map));
    if let Some(path) = &arguments.svg {
        written.push((path.clone(), picture.as_bytes()));
    }
    if let Out::Folder(folder) = &out {
        written.push((folder.join(format!("{STEM}.json")), map_text.as_bytes()));
    }
    out.write(&written)?;
    output.say(&map)
}

/// Where the files go.
enum Out {
    /// All of them, here.
    Folder(PathBuf),
    /// This one alone.
    File(PathBuf, Format),
}

/// A file that is ready to be written.
struct Ready {
    path: PathBuf,
    bytes: Vec<u8>,
    mapped: MappedFile,
}

impl Out {
    fn of(arguments: &Arguments, facts: &Facts) -> Result<Self, Error> {
        let path = &arguments.out;
        let out = match Format::of(path) {
            Some(format) => Self::File(path.clone(), format),
            None => Self::Folder(path.clone()),
        };
        match &out {
            Self::File(_, format) if *format != Format::Uf2 && arguments.uf2_family.is_some() => {
                Err(Error::argument(
                    "--uf2-family",
                    format!("no UF2 file to be written, but {}", path.display()),
                    "a folder, or a file that ends in .uf2",
                    "leave the family away",
                ))
            }
            Self::File(path, _) if path.is_dir() => Err(Error::unexpected(
                path,
                "a folder",
                "a file, as the name says",
                "give another name",
            )),
            Self::Folder(folder) => {
                Self::check_for_others(folder, arguments, facts)?;
                Ok(out)
            }
            Self::File(..) => Ok(out),
        }
    }

    /// A flash that an earlier build wrote and this one does not would be taken for part of this one.
    fn check_for_others(folder: &Path, arguments: &Arguments, facts: &Facts) -> Result<(), Error> {
        let product = &facts.product;
        let with_bootloader = arguments
            .bootloader
            .as_ref()
            .map(|_| &product.bootloader.flash);
        let mut others = product
            .flash
            .keys()
            .filter(|name| facts.row.start(name).is_none() && Some(*name) != with_bootloader);
        let left = others.find_map(|name| {
            let path = folder.join(format!("{name}.bin"));
            path.exists().then_some(path)
        });
        match left {
            None => Ok(()),
            Some(path) => Err(Error::unexpected(
                &path,
                "a flash of an earlier build",
                "only what this build writes",
                "remove it, or give another folder",
            )),
        }
    }

    /// Where the files lie.
    fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::File(path, _) => path.parent().unwrap_or(Path::new("")),
        }
    }

    fn files(&self, flashes: &[Contents], family: Option<Family>) -> Result<Vec<Ready>, Error> {
        let ready = |path: PathBuf, format: Format, flashes: &[Contents]| {
            let bytes = format.file(&path, flashes, family)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let flash = match (format, flashes) {
                (Format::Bin, [one]) => Some(one.name.as_str()),
                _ => None,
            };
            let mapped = MappedFile::new(name.into_owned(), format, flash, &bytes);
            Ok(Ready {
                path,
                bytes,
                mapped,
            })
        };
        let folder = match self {
            Self::File(path, format) => return Ok(vec![ready(path.clone(), *format, flashes)?]),
            Self::Folder(folder) => folder,
        };
        let named =
            |stem: &str, format: Format| folder.join(format!("{stem}.{}", format.extension()));
        let each = flashes.iter().map(|flash| {
            let path = named(&flash.name, Format::Bin);
            ready(path, Format::Bin, std::slice::from_ref(flash))
        });
        let together = Format::WITH_ADDRESSES;
        let together = together.map(|format| ready(named(STEM, format), format, flashes));
        each.chain(together).collect()
    }

    /// All of them or none; a folder that was made for them goes with them.
    fn write(&self, files: &[(PathBuf, &[u8])]) -> Result<(), Error> {
        let Self::Folder(folder) = self else {
            return match files {
                [(path, bytes)] => {
                    atomic::replace(path, bytes).map_err(Error::io(path, "write the flash file"))
                }
                several => files::write_together(several),
            };
        };
        let is_new = match fs::create_dir(folder) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(Error::io(folder, "make the folder")(error)),
        };
        files::write_together(files).inspect_err(|_| {
            if is_new {
                let _ = fs::remove_dir(folder); // The error is the one that is told.
            }
        })
    }
}

fn identity(arguments: &Arguments) -> Result<Option<Identity>, Error> {
    let Some(text) = &arguments.serial else {
        return Ok(None);
    };
    Ok(Some(Identity {
        serial: serial(text)?,
        hardware_revision: arguments.hardware_revision.unwrap_or_default(),
        ..Identity::default()
    }))
}

/// All that is flashed, by rising addresses; `row` is the content of the flashes with journal and slots.
fn flashes(arguments: &Arguments, facts: &Facts, row: &[u8]) -> Result<Vec<Contents>, Error> {
    let (layout, product) = (&arguments.layout, &facts.product);
    let of_row = facts.row.flashes().iter().map(|it| {
        let bytes = row.get(it.range()).unwrap_or_default();
        Contents::new(layout, product, &it.name, bytes.to_vec())
    });
    let mut all = of_row.collect::<Result<Vec<_>, _>>()?;
    let Some(path) = &arguments.bootloader else {
        return Ok(all);
    };
    let name = &product.bootloader.flash;
    if let Some(own) = all.iter_mut().find(|it| it.name == *name) {
        bootloader::place(path, facts, own)?;
        return Ok(all);
    }
    let mut boot = Contents::erased(layout, product, name)?;
    bootloader::place(path, facts, &mut boot)?;
    all.push(boot);
    all.sort_by_key(|contents| contents.flash.address);
    Ok(all)
}

/// The serial number that `text` is.
///
/// # Errors
/// It is empty or too long.
pub fn serial(text: &str) -> Result<Serial, Error> {
    let serial = Serial::try_from(text)
        .ok()
        .filter(|serial| !serial.is_empty());
    serial.ok_or_else(|| {
        Error::argument(
            "--serial",
            format!("{} bytes", text.len()),
            "1 to 32 bytes",
            "a serial number is given once, ever: choose a short form",
        )
    })
}
