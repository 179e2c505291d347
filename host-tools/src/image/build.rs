//! `bistable image build`: two links of one program, one signed image.
//!
//! Nothing is written before the image was made and read again. Both programs are kept beside the
//! image, as `<image>.a.elf` and `<image>.b.elf`: a log or a crash dump is read with them.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::keys::KeyId;
use bistable_core::layout::Slot;
use bistable_core::manifest::{Fields, MAX_REVOKED};
use bistable_core::version::Version;

use crate::facts::{Facts, parse_version};
use crate::image::elf::Link;
use crate::image::make::make;
use crate::image::package::Package;
use crate::image::summary::summary;
use crate::keys::SigningKey;
use crate::output::Output;
use crate::{Error, files};

/// Build an image from an application package, or from its two links.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application package, which cargo builds once for each slot.
    #[arg(long, value_name = "NAME", required_unless_present = "elf_a")]
    pub package: Option<String>,
    /// Its binary, if it has several.
    #[arg(long, value_name = "NAME", requires = "package")]
    pub bin: Option<String>,
    /// The target triple to build for.
    #[arg(
        long,
        value_name = "TRIPLE",
        requires = "package",
        default_value = "thumbv7m-none-eabi"
    )]
    pub target: String,
    /// The Cargo.toml of the package or its workspace.
    #[arg(long, value_name = "FILE", requires = "package")]
    pub manifest_path: Option<PathBuf>,
    /// The cargo profile.
    #[arg(long, requires = "package", default_value = "firmware")]
    pub profile: String,
    /// Features of the package.
    #[arg(long, requires = "package", value_delimiter = ',')]
    pub features: Vec<String>,
    /// The program as linked for slot A.
    #[arg(
        long,
        value_name = "ELF",
        requires = "elf_b",
        conflicts_with = "package"
    )]
    pub elf_a: Option<PathBuf>,
    /// The program as linked for slot B.
    #[arg(
        long,
        value_name = "ELF",
        requires = "elf_a",
        conflicts_with = "package"
    )]
    pub elf_b: Option<PathBuf>,

    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// Where the image goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// For people: three numbers.
    #[arg(long, value_parser = parse_version)]
    pub version: Version,
    /// Decides what may be installed: higher than that of every image before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sequence: u32,
    /// Decides what may be booted: higher when images before must never run again.
    #[arg(long, value_name = "N")]
    pub security_counter: u32,
    /// Confirming this image revokes those with a lower security counter.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub revoke_below: u32,
    /// Confirming this image revokes this key (name in the ring, or id).
    #[arg(long, value_name = "KEY")]
    pub revoke: Vec<String>,
    /// How often a trial is started, 1 to 8; the layout says it otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub attempts: Option<u8>,
    /// How long a trial may take, 1 to 3600 seconds; the layout says it otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub trial_seconds: Option<u16>,
    /// The data schemas that the image can read: first..=last, or one.
    #[arg(long, value_name = "F..=L", default_value = "0", value_parser = parse_schemas)]
    pub schemas: RangeInclusive<u16>,
    /// The oldest bootloader that it runs under.
    #[arg(long, value_name = "VERSION", default_value = "0.0.0", value_parser = parse_version)]
    pub oldest_bootloader: Version,
    /// A software bill of materials, named in the manifest by its digest.
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
    /// A provenance statement, named in the manifest by its digest.
    #[arg(long, value_name = "FILE")]
    pub provenance: Option<PathBuf>,
    /// Sign with this private key of the ring; several times for several keys.
    #[arg(long = "key", value_name = "KEY.pem")]
    pub keys: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Nothing was written.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let fields = fields(arguments, &facts)?;
    let keys = signing_keys(&arguments.keys, &facts)?;
    let [a, b] = programs(arguments)?;
    let links = [
        Link::parse(&a.0, &a.1, &facts.product, facts.entry(), Slot::A)?,
        Link::parse(&b.0, &b.1, &facts.product, facts.entry(), Slot::B)?,
    ];
    let built = make(&facts, links, fields, &keys)?;
    let kept = ["a", "b"].map(|slot| kept_beside(&arguments.out, slot));
    let [kept_a, kept_b] = kept.clone();
    files::write_together(&[
        (kept_a, &a.1),
        (kept_b, &b.1),
        (arguments.out.clone(), &built.bytes),
    ])?;
    print!("{}", summary(&arguments.out, &built, &facts));
    let [kept_a, kept_b] = kept;
    println!("programs  {}, {}", kept_a.display(), kept_b.display());
    Ok(())
}

type Elf = (PathBuf, Vec<u8>);

fn programs(arguments: &Arguments) -> Result<[Elf; 2], Error> {
    if let (Some(a), Some(b)) = (&arguments.elf_a, &arguments.elf_b) {
        let read = |path: &PathBuf| {
            files::read(path, "read the program").map(|bytes| (path.clone(), bytes))
        };
        return Ok([read(a)?, read(b)?]);
    }
    let package = Package {
        name: arguments.package.clone().unwrap_or_default(),
        bin: arguments.bin.clone(),
        target: arguments.target.clone(),
        manifest: arguments.manifest_path.clone(),
        profile: arguments.profile.clone(),
        features: arguments.features.clone(),
    };
    Ok(package
        .build()?
        .map(|program| (program.path, program.bytes)))
}

/// What the arguments say, with the layout's defaults.
fn fields(arguments: &Arguments, facts: &Facts) -> Result<Fields, Error> {
    if arguments.revoke_below > arguments.security_counter {
        return Err(Error::argument(
            "--revoke-below",
            arguments.revoke_below,
            format!(
                "at most the security counter, {}",
                arguments.security_counter
            ),
            "otherwise the image would revoke itself",
        ));
    }
    let digest_of = |path: &Option<PathBuf>, doing| match path {
        Some(path) => files::read(path, doing).map(|bytes| Digest::of(&bytes)),
        None => Ok(Digest::NONE),
    };
    Ok(Fields {
        version: arguments.version,
        sequence: arguments.sequence,
        security_counter: arguments.security_counter,
        revoke_below: arguments.revoke_below,
        trial_attempts: arguments.attempts.unwrap_or(facts.product.trial.attempts),
        trial_seconds: arguments
            .trial_seconds
            .unwrap_or(facts.product.trial.seconds),
        schemas: (*arguments.schemas.start(), *arguments.schemas.end()),
        oldest_bootloader: arguments.oldest_bootloader,
        sbom: digest_of(&arguments.sbom, "read the bill of materials")?,
        provenance: digest_of(&arguments.provenance, "read the provenance")?,
        revoked: revoked(&arguments.revoke, facts)?,
        ..Fields::default()
    })
}

/// The keys to revoke, in ascending order of id, each once.
fn revoked(names: &[String], facts: &Facts) -> Result<[Option<KeyId>; MAX_REVOKED], Error> {
    let keys = &facts.ring.keys;
    let mut ids = Vec::new();
    for name in names {
        let named = |entry: &&bistable_layout::RingKey| {
            entry.name == *name || entry.key.id.to_string() == *name
        };
        let found = keys.iter().find(named).ok_or_else(|| {
            let known: Vec<_> = keys.iter().map(|entry| entry.name.as_str()).collect();
            Error::argument(
                "--revoke",
                format!("`{name}`"),
                format!("a key of the ring: {}", known.join(", ")),
                "give its name or its id",
            )
        })?;
        ids.push(found.key.id);
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > MAX_REVOKED {
        return Err(Error::argument(
            "--revoke",
            format!("{} keys", ids.len()),
            format!("at most {MAX_REVOKED} in one image"),
            "revoke the others with the next one",
        ));
    }
    let mut ids = ids.into_iter();
    Ok([(); MAX_REVOKED].map(|()| ids.next()))
}

/// Reads private keys. Each must be in the ring: a signature by another one would count for nothing.
///
/// # Errors
/// A key cannot be read, or is not in the ring.
pub(crate) fn signing_keys(paths: &[PathBuf], facts: &Facts) -> Result<Vec<SigningKey>, Error> {
    let read = |path: &PathBuf| {
        let key = SigningKey::read(path)?;
        check_known(path, &key, facts)?;
        Ok(key)
    };
    paths.iter().map(read).collect()
}

/// Refuses a key that is not in the product's ring.
///
/// # Errors
/// It names the key and the ring.
pub(crate) fn check_known(path: &Path, key: &SigningKey, facts: &Facts) -> Result<(), Error> {
    if facts.key_name(key.id()).is_some() {
        return Ok(());
    }
    Err(Error::unexpected(
        path,
        format!("the private key {}", key.id()),
        format!("a key of the ring {}", facts.product.ring_path.display()),
        "this product's devices would skip its signature: give another key or another layout",
    ))
}

/// `v1.img` and `a`: `v1.img.a.elf`.
pub(crate) fn kept_beside(image: &Path, slot: &str) -> PathBuf {
    let mut name = OsString::from(image);
    name.push(format!(".{slot}.elf"));
    name.into()
}

fn parse_schemas(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once("..=").unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err("schemas are a number or a range of numbers, such as 3..=5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_one_number_or_a_range() {
        assert_eq!(parse_schemas("7"), Ok(7..=7));
        assert_eq!(parse_schemas("3..=5"), Ok(3..=5));
        for text in ["", "5..=3", "3..5", "a", "1..=", "70000"] {
            assert!(parse_schemas(text).is_err(), "{text}");
        }
    }

    #[test]
    fn programs_are_kept_under_the_whole_name_of_the_image() {
        assert_eq!(
            kept_beside(Path::new("o/v1.img"), "a"),
            Path::new("o/v1.img.a.elf")
        );
    }
}
