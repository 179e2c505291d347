//! `bistable image reproduce`: builds an image again, from its source, and compares. Nobody's private key
//! is needed: an image's name is the digest of its manifest, which signatures are not part of.
//!
//! The manifest says version, counters and terms, the provenance beside the image how the package was
//! built; what is given on the command line comes before both. What differs is named: the first byte of
//! the payload with its section and symbol, or the first field of the manifest, or the component of the
//! bill of materials. So is what both were made of, because a difference begins there.

use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_core::layout::Slot;
use bistable_core::manifest::{Fields, Manifest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::cyclonedx::Bom;
use crate::image::elf::Link;
use crate::image::file::ImageFile;
use crate::image::make::make;
use crate::image::package::{Package, Recorded, usual_target};
use crate::image::provenance::{Parameters, Resource, Statement, materials};
use crate::image::records::{Kind, Record};
use crate::image::sbom;
use crate::image::signed::SignedBy;
use crate::output::{BAD, GOOD, Output, Report, paint};
use crate::{Error, files};

/// Build an image again from its source, and say whether it is the same.
///
/// Needed are the source at the right commit, its Cargo.lock, and the product's layout and public keys.
/// Exit status 1 if anything differs.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable image reproduce v1.img --layout layout.toml")]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The application package; the provenance says it otherwise.
    #[arg(long, value_name = "NAME")]
    pub package: Option<String>,
    /// Its binary; the provenance says it otherwise.
    #[arg(long, value_name = "NAME")]
    pub bin: Option<String>,
    /// The target triple; the provenance says it otherwise, and without one it is what `image build` takes.
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// The Cargo.toml of the package or its workspace.
    #[arg(long, value_name = "FILE")]
    pub manifest_path: Option<PathBuf>,
    /// The cargo profile; the provenance says it otherwise, and without one it is `firmware`.
    #[arg(long)]
    pub profile: Option<String>,
    /// Features of the package; the provenance says them otherwise.
    #[arg(long, value_delimiter = ',')]
    pub features: Option<Vec<String>>,
    /// The bill of materials, if it does not lie beside the image.
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
    /// The provenance statement, if it does not lie beside the image.
    #[arg(long, value_name = "FILE")]
    pub provenance: Option<PathBuf>,
}

/// Whether an image could be built again.
#[derive(Serialize, JsonSchema)]
pub struct Reproduced {
    /// The image's name, 64 hexadecimal digits.
    pub image: String,
    /// The name of what was built now. It is the same if and only if every byte that is signed is.
    pub built: String,
    /// Whether the image was reproduced: the same name, and the same bill of materials.
    pub equal: bool,
    /// What differs first in the payload; `null` if nothing does.
    pub payload: Option<PayloadDifference>,
    /// What differs first in the manifest, the payload aside; `null` if nothing does.
    pub field: Option<FieldDifference>,
    /// The bill of materials.
    pub sbom: SbomVerdict,
    /// What the two were made of, where it is not the same. Alone this is no difference of the image.
    pub materials: Vec<MaterialDifference>,
    /// Who signed the image.
    pub signed: SignedBy,
}

/// The first byte of the payload that differs.
#[derive(Serialize, JsonSchema)]
pub struct PayloadDifference {
    /// `A` or `B`: as it lies there.
    pub slot: String,
    /// In bytes from the payload's start.
    pub offset: usize,
    /// The image's byte; `null` behind its end.
    pub expected: Option<u8>,
    /// The byte of what was built; `null` behind its end.
    pub found: Option<u8>,
    /// How many bytes the image has more than what was built; negative if it has fewer.
    pub longer: i64,
    /// The section of the program that was built; `null` outside.
    pub section: Option<String>,
    /// The symbol of the program that was built.
    pub symbol: String,
}

/// The first field of the manifest that differs.
#[derive(Serialize, JsonSchema)]
pub struct FieldDifference {
    /// Its name.
    pub field: String,
    /// The image's.
    pub expected: String,
    /// That of what was built.
    pub found: String,
}

/// Whether the bill of materials is what was built now.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum SbomVerdict {
    /// It is.
    Equal,
    /// The image names none, or one that was given and not made.
    NotCompared,
    /// It is another one.
    Differs {
        /// In what, in words.
        what: String,
    },
}

/// Something that the two were made of.
#[derive(Serialize, JsonSchema)]
pub struct MaterialDifference {
    /// `source`, `Cargo.lock`, `layout.toml`, `rustc` or `cargo`.
    pub name: String,
    /// What the provenance says; `null` if it does not name it.
    pub expected: Option<String>,
    /// What is here; `null` if it is not.
    pub found: Option<String>,
}

impl Report for Reproduced {
    const FORMAT: &'static str = "image-reproduce/1";
}

/// Runs the command.
///
/// # Errors
/// It cannot be built, or is another one.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    let manifest = image.manifest();
    let record = |kind, given: &Option<PathBuf>| {
        let record = Record::of(kind, path, manifest, given.as_deref())?;
        record.expect_no_other()?;
        Ok::<_, Error>(record)
    };
    let sbom = record(Kind::Sbom, &arguments.sbom)?;
    let provenance = record(Kind::Provenance, &arguments.provenance)?;
    let statement = provenance
        .found()
        .and_then(|found| Statement::parse(&found.bytes));
    let parameters = statement.as_ref().map(Statement::parameters);
    let usual = usual_target(facts.product.architecture);
    let recorded = package(arguments, parameters, usual)?.build_recorded()?;
    let [a, b] = &recorded.programs;
    let links = [
        Link::parse(&a.path, &a.bytes, &facts.product, facts.entry(), Slot::A)?,
        Link::parse(&b.path, &b.bytes, &facts.product, facts.entry(), Slot::B)?,
    ];
    let built = make(&facts, links.clone(), manifest.fields(), &[])?;
    let sbom = compare_sbom(manifest, &sbom, parameters, &recorded)?;
    let here = materials(&recorded, &arguments.layout)?;
    let there = statement.as_ref().map(Statement::materials);
    let same_name = built.image.manifest().digest() == manifest.digest();
    let reproduced = Reproduced {
        image: manifest.digest().to_string(),
        built: built.image.manifest().digest().to_string(),
        equal: same_name && !matches!(sbom, SbomVerdict::Differs { .. }),
        payload: compare_payload(&image, &links),
        field: compare_fields(&manifest.fields(), &built.image.manifest().fields()),
        sbom,
        materials: there.map_or_else(Vec::new, |there| compare_materials(there, &here)),
        signed: SignedBy::header(image.header(), &facts),
    };
    output.say(&reproduced)?;
    match reproduced.equal {
        true => Ok(()),
        false => Err(Error::unexpected(
            path,
            "another image than its source makes here",
            format!("image {}", manifest.digest()),
            "what differs stands above",
        )),
    }
}

/// The arguments, else what the provenance says, else what `image build` takes.
fn package(
    arguments: &Arguments,
    said: Option<&Parameters>,
    usual_target: &str,
) -> Result<Package, Error> {
    let name = arguments.package.clone();
    let name = name.or_else(|| said.map(|said| said.package.clone()));
    let said_text = |field: fn(&Parameters) -> &String| said.map(|said| field(said).clone());
    Ok(Package {
        name: name.ok_or_else(|| {
            let image = arguments.image.display();
            Error::argument(
                "--package",
                format!("nothing, and no provenance beside {image} that says it"),
                "the package that the image was built from",
                "name it, or lay the image's .intoto.json beside it",
            )
        })?,
        bin: (arguments.bin.clone()).or_else(|| said.and_then(|said| said.bin.clone())),
        target: (arguments.target.clone())
            .or_else(|| said_text(|said| &said.target))
            .unwrap_or_else(|| usual_target.into()),
        manifest: arguments.manifest_path.clone(),
        profile: (arguments.profile.clone())
            .or_else(|| said_text(|said| &said.profile))
            .unwrap_or_else(|| "firmware".into()),
        features: (arguments.features.clone())
            .or_else(|| said.map(|said| said.features.clone()))
            .unwrap_or_default(),
    })
}

fn compare_payload(image: &ImageFile, links: &[Link; 2]) -> Option<PayloadDifference> {
    Slot::BOTH.into_iter().find_map(|slot| {
        let link = slot.of::<Link>(links);
        let (expected, found) = (image.payload(slot), link.payload.as_slice());
        let offset = first_difference(expected, found)?;
        Some(PayloadDifference {
            slot: format!("{slot:?}"),
            offset,
            expected: expected.get(offset).copied(),
            found: found.get(offset).copied(),
            longer: expected.len() as i64 - found.len() as i64,
            section: link.section_at(offset).map(String::from),
            symbol: link.symbol_at(offset),
        })
    })
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    let shorter = (a.len() != b.len()).then_some(a.len().min(b.len()));
    differs.or(shorter)
}

/// What the layout says: all other fields are the payload's, or were taken from the image.
fn compare_fields(expected: &Fields, found: &Fields) -> Option<FieldDifference> {
    let id = |bytes: [u8; 16]| uuid::Uuid::from_bytes(bytes).to_string();
    let fields = [
        ("vendor id", id(expected.vendor_id), id(found.vendor_id)),
        ("class id", id(expected.class_id), id(found.class_id)),
        (
            "layout",
            expected.layout.to_string(),
            found.layout.to_string(),
        ),
        (
            "chunk size",
            expected.chunk_size.to_string(),
            found.chunk_size.to_string(),
        ),
    ];
    let differs = fields.into_iter().find(|(_, a, b)| a != b);
    differs.map(|(field, expected, found)| FieldDifference {
        field: field.into(),
        expected,
        found,
    })
}

fn compare_sbom(
    manifest: &Manifest,
    record: &Record,
    said: Option<&Parameters>,
    recorded: &Recorded,
) -> Result<SbomVerdict, Error> {
    let given = match said {
        Some(said) => said.sbom_given,
        // A statement that the image names and that is not there is no reason to believe what is.
        None => Kind::Provenance.named_by(manifest).is_none(),
    };
    let Some(named) = Kind::Sbom.named_by(manifest) else {
        return Ok(SbomVerdict::NotCompared);
    };
    let made = sbom::make(recorded)?;
    if Digest::of(&made) == named {
        return Ok(SbomVerdict::Equal);
    }
    if given {
        return Ok(SbomVerdict::NotCompared);
    }
    let there = record.found().and_then(|found| Bom::parse(&found.bytes));
    let what = match (there, Bom::parse(&made)) {
        (Some(there), Some(here)) => difference(&there, &here),
        _ => "it is not beside the image, so what differs is not known".into(),
    };
    Ok(SbomVerdict::Differs { what })
}

/// The first component that is not in both.
fn difference(there: &Bom, here: &Bom) -> String {
    let name = |it: &crate::image::cyclonedx::Component| {
        format!("{} {}", it.name, it.version.as_deref().unwrap_or("?"))
    };
    let only = |a: &Bom, b: &Bom| {
        let mut only = a.components.iter().filter(|it| !b.components.contains(it));
        only.next().map(name)
    };
    match (only(there, here), only(here, there)) {
        (Some(there), Some(here)) => format!("the image's holds {there}, this source {here}"),
        (Some(there), None) => format!("the image's holds {there}, this source does not"),
        (None, Some(here)) => format!("this source holds {here}, the image's does not"),
        (None, None) => "the same components, in another document".into(),
    }
}

fn compare_materials(there: &[Resource], here: &[Resource]) -> Vec<MaterialDifference> {
    let of = |all: &[Resource], name: &str| {
        let mut all = all.iter();
        all.find(|it| it.name == name).map(Resource::identity)
    };
    let mut names: Vec<_> = there.iter().chain(here).map(|it| it.name.clone()).collect();
    names.dedup();
    let mut differences: Vec<MaterialDifference> = Vec::new();
    for name in names {
        let (expected, found) = (of(there, &name), of(here, &name));
        if expected != found && differences.iter().all(|it| it.name != name) {
            differences.push(MaterialDifference {
                name,
                expected,
                found,
            });
        }
    }
    differences
}

impl Display for Reproduced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "image     {}", self.image)?;
        writeln!(formatter, "built     {}", self.built)?;
        match self.equal {
            true => writeln!(
                formatter,
                "{}",
                paint(
                    GOOD,
                    "equal     this source makes this image, byte for byte"
                )
            )?,
            false => writeln!(
                formatter,
                "{}",
                paint(BAD, "DIFFERS   this source makes another image")
            )?,
        }
        if let Some(difference) = &self.payload {
            writeln!(formatter, "payload   {difference}")?;
        }
        if let Some(FieldDifference {
            field,
            expected,
            found,
        }) = &self.field
        {
            writeln!(
                formatter,
                "manifest  {field}: the image's is {expected}, here it is {found}"
            )?;
        }
        match &self.sbom {
            SbomVerdict::Equal => writeln!(formatter, "SBOM      equal")?,
            SbomVerdict::NotCompared => {
                writeln!(formatter, "SBOM      not compared: none was made")?
            }
            SbomVerdict::Differs { what } => writeln!(formatter, "SBOM      {what}")?,
        }
        for MaterialDifference {
            name,
            expected,
            found,
        } in &self.materials
        {
            let text = |identity: &Option<String>| identity.clone().unwrap_or("unknown".into());
            let (expected, found) = (text(expected), text(found));
            writeln!(
                formatter,
                "made of   {name}: {expected} there, {found} here"
            )?;
        }
        writeln!(formatter, "signed    {}", self.signed)
    }
}

impl Display for PayloadDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = |byte: Option<u8>| byte.map_or("the end".into(), |byte| format!("{byte:#04x}"));
        let Self { slot, offset, .. } = self;
        write!(
            formatter,
            "in slot {slot} at offset {offset:#x}, section {}, {}: the image has {}, here it is {}",
            self.section.as_deref().unwrap_or("none"),
            self.symbol,
            byte(self.expected),
            byte(self.found),
        )?;
        match self.longer {
            0 => Ok(()),
            1.. => write!(formatter, "; the image is {} bytes longer", self.longer),
            _ => write!(formatter, "; the image is {} bytes shorter", -self.longer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_may_be_the_end_of_the_shorter_one() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abc", b"abd"), Some(2));
        assert_eq!(first_difference(b"abc", b"ab"), Some(2));
        assert_eq!(first_difference(b"", b"a"), Some(0));
    }

    #[test]
    fn what_only_one_of_them_was_made_of_is_a_difference_and_told_once() {
        let resource = |name: &str, uri: &str| Resource {
            name: name.into(),
            uri: Some(uri.into()),
            ..Resource::default()
        };
        let there = [resource("source", "1"), resource("rustc", "1.95.0")];
        let here = [resource("rustc", "1.96.0"), resource("cargo", "1")];
        let found = compare_materials(&there, &here);
        let found: Vec<_> = found
            .iter()
            .map(|it| {
                (
                    it.name.as_str(),
                    it.expected.as_deref(),
                    it.found.as_deref(),
                )
            })
            .collect();
        let expected = [
            ("source", Some("1"), None),
            ("rustc", Some("1.95.0"), Some("1.96.0")),
            ("cargo", None, Some("1")),
        ];
        assert_eq!(found, expected);
    }
}
