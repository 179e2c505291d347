//! `bistable image build`: two links of one program, one signed image.
//!
//! Nothing is written before the image was made and read again. Both programs are kept beside the
//! image, as `<image>.a.elf` and `<image>.b.elf` (or `.hex`, or `.bin`): a log or a crash dump is read with
//! them. So are its [`records`](super::records). What is built from a package has both; given programs have
//! those that are given, because nothing is known of how they were made.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_core::keys::KeyId;
use bistable_core::layout::Slot;
use bistable_core::manifest::{Fields, MAX_REVOKED};
use bistable_core::version::Version;
use clap::builder::{OsStringValueParser, TypedValueParser as _};

use crate::facts::{Facts, parse_version};
use crate::image::elf::Link;
use crate::image::make::make;
use crate::image::package::{Package, Recorded, usual_target};
use crate::image::program::{self, Program, ProgramFile, kept_beside};
use crate::image::provenance::{Making, Statement};
use crate::image::records::{Kind, read_given};
use crate::image::sbom;
use crate::image::summary::Summary;
use crate::keys::{Passphrases, Source, open_all};
use crate::output::Output;
use crate::{Error, files};

/// Build an image from an application package, or from its two links.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable image build --package my-app --layout layout.toml --version 1.0.0 \
    --sequence 1 --security-counter 1 --key keys/development.pem --out v1.img"
)]
pub struct Arguments {
    /// The application package, which cargo builds once for each slot.
    #[arg(long, value_name = "NAME", required_unless_present = "program_a")]
    pub package: Option<String>,
    /// Its binary, if it has several.
    #[arg(long, value_name = "NAME", requires = "package")]
    pub bin: Option<String>,
    /// The target triple to build for; without it, thumbv7m-none-eabi for a Cortex-M, and
    /// riscv32imac-unknown-none-elf for a RISC-V.
    #[arg(long, value_name = "TRIPLE", requires = "package")]
    pub target: Option<String>,
    /// The Cargo.toml of the package or its workspace.
    #[arg(long, value_name = "FILE", requires = "package")]
    pub manifest_path: Option<PathBuf>,
    /// The cargo profile.
    #[arg(long, requires = "package", default_value = "firmware")]
    pub profile: String,
    /// Features of the package.
    #[arg(long, requires = "package", value_delimiter = ',')]
    pub features: Vec<String>,
    /// The program as linked for slot A: ELF, Intel HEX, or a raw binary as FILE@0xADDRESS.
    #[arg(
        long,
        alias = "elf-a",
        value_name = "FILE",
        requires = "program_b",
        conflicts_with = "package",
        value_parser = OsStringValueParser::new().try_map(ProgramFile::parse)
    )]
    pub program_a: Option<ProgramFile>,
    /// The program as linked for slot B: ELF, Intel HEX, or a raw binary as FILE@0xADDRESS.
    #[arg(
        long,
        alias = "elf-b",
        value_name = "FILE",
        requires = "program_a",
        conflicts_with = "package",
        value_parser = OsStringValueParser::new().try_map(ProgramFile::parse)
    )]
    pub program_b: Option<ProgramFile>,

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
    /// A software bill of materials, named in the manifest by its digest, instead of the one that is made
    /// of a package.
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
    /// A provenance statement, named in the manifest by its digest, instead of the one that is made of a
    /// package.
    #[arg(long, value_name = "FILE")]
    pub provenance: Option<PathBuf>,
    /// Sign with this private key of the ring, a PEM file or a `pkcs11:` URI; several times for several keys.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<Source>,
    /// What encrypted keys are opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
}

/// Runs the command.
///
/// # Errors
/// Nothing was written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let fields = fields(arguments, &facts)?;
    let keys = open_all(&arguments.keys, &arguments.passphrases, &facts)?;
    let Programs {
        programs: [a, b],
        package,
    } = programs(arguments, &facts)?;
    let links = [a.link(&facts, Slot::A)?, b.link(&facts, Slot::B)?];
    let records = records(arguments, &fields, package.as_ref(), &links)?;
    let digest = |bytes: &Option<Vec<u8>>| bytes.as_deref().map_or(Digest::NONE, Digest::of);
    let [sbom, provenance] = records.each_ref().map(digest);
    let fields = Fields {
        sbom,
        provenance,
        ..fields
    };
    let built = make(&facts, links, fields, &keys)?;
    drop(keys);
    let programs = [
        kept_beside(&arguments.out, "a", a.kind),
        kept_beside(&arguments.out, "b", b.kind),
    ];
    let [kept_a, kept_b] = programs.clone();
    let mut files = vec![(kept_a, a.bytes.as_slice()), (kept_b, &b.bytes)];
    let mut kept = [None, None];
    for ((kind, bytes), kept) in Kind::ALL.into_iter().zip(&records).zip(&mut kept) {
        if let Some(bytes) = bytes {
            let path = kind.beside(&arguments.out);
            *kept = Some(path.clone());
            files.push((path, bytes));
        }
    }
    files.push((arguments.out.clone(), &built.bytes));
    files::write_together(&files)?;
    output.say(&Summary::new(&arguments.out, &built, &facts).with(&programs, kept))
}

/// The programs, and how they were built if they were.
struct Programs {
    programs: [Program; 2],
    package: Option<(Package, Recorded)>,
}

fn programs(arguments: &Arguments, facts: &Facts) -> Result<Programs, Error> {
    if let (Some(a), Some(b)) = (&arguments.program_a, &arguments.program_b) {
        return Ok(Programs {
            programs: [a.read(facts, Slot::A)?, b.read(facts, Slot::B)?],
            package: None,
        });
    }
    let usual = usual_target(facts.product.architecture);
    let package = Package {
        name: arguments.package.clone().unwrap_or_default(),
        bin: arguments.bin.clone(),
        target: arguments.target.clone().unwrap_or_else(|| usual.into()),
        manifest: arguments.manifest_path.clone(),
        profile: arguments.profile.clone(),
        features: arguments.features.clone(),
    };
    let recorded = package.build_recorded()?;
    let programs = recorded.programs.clone();
    Ok(Programs {
        programs: programs.map(|program| Program {
            path: program.path,
            bytes: program.bytes,
            kind: program::Kind::Elf,
        }),
        package: Some((package, recorded)),
    })
}

/// Bill of materials and provenance: what was given, else what is known.
fn records(
    arguments: &Arguments,
    fields: &Fields,
    package: Option<&(Package, Recorded)>,
    links: &[Link; 2],
) -> Result<[Option<Vec<u8>>; 2], Error> {
    let given = |kind, path: &Option<PathBuf>| {
        let path = path.as_deref();
        path.map(|path| read_given(kind, path)).transpose()
    };
    let sbom = given(Kind::Sbom, &arguments.sbom)?;
    let provenance = given(Kind::Provenance, &arguments.provenance)?;
    let Some((package, recorded)) = package else {
        return Ok([sbom, provenance]);
    };
    let sbom_given = sbom.is_some();
    let sbom = match sbom {
        Some(sbom) => sbom,
        None => sbom::make(recorded)?,
    };
    let provenance = match provenance {
        Some(provenance) => provenance,
        None => {
            let making = Making {
                package,
                recorded,
                layout: &arguments.layout,
                fields,
                payload: links.each_ref().map(|link| Digest::of(&link.payload)),
                sbom_given,
            };
            Statement::of(&making)?.to_bytes()
        }
    };
    Ok([Some(sbom), Some(provenance)])
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
}
