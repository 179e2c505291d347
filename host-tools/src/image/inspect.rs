//! `bistable image inspect`: all that an image says, by name and with units. Nothing is believed: an
//! image that nobody signed is shown like any other.

use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_core::header::Header;
use bistable_core::layout::HEADER_LEN;
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::described::Described;
use crate::image::file::{ImageFile, PageSpan};
use crate::image::recorded::{self, Shown, ShownProvenance, ShownSbom};
use crate::image::signed::{SignatureBy, SignedBy};
use crate::output::{Output, Report};
use crate::{Error, files};

/// Show all that an image says of itself.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable image inspect v1.img --layout layout.toml")]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The product's layout.toml: names its keys, and says whose signatures are valid.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// The bill of materials, if it does not lie beside the image.
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
    /// The provenance statement, if it does not lie beside the image.
    #[arg(long, value_name = "FILE")]
    pub provenance: Option<PathBuf>,
}

/// What an image says of itself.
#[derive(Serialize, JsonSchema)]
pub struct Inspected {
    /// What its manifest says.
    pub manifest: Described,
    /// Whether it is for the layout at hand; `null` without one.
    pub of_this_layout: Option<OfThisLayout>,
    /// Length of the file in bytes.
    pub bytes: usize,
    /// The software bill of materials; `null` if the manifest names none.
    pub sbom: Option<Shown<ShownSbom>>,
    /// How it was built; `null` if the manifest names no statement.
    pub provenance: Option<Shown<ShownProvenance>>,
    /// In ascending order of key. Without a layout no signature is checked.
    pub signatures: Vec<SignatureBy>,
    /// Whether the signatures are enough; `null` without a layout.
    pub signed: Option<SignedBy>,
    /// How many bytes differ between the slots.
    pub fixups: usize,
    /// The pages.
    pub pages: Vec<Page>,
}

/// Whether an image names the same as a layout does.
#[derive(Serialize, JsonSchema)]
pub struct OfThisLayout {
    /// The vendor id.
    pub vendor_id: bool,
    /// The class id.
    pub class_id: bool,
    /// The digest of the layout.
    pub layout: bool,
}

/// A page of an image.
#[derive(Serialize, JsonSchema)]
pub struct Page {
    /// Where it begins, in bytes from the file's start.
    pub offset: usize,
    /// Its length in bytes.
    pub bytes: usize,
    /// The first chunk that it speaks of.
    pub first_chunk: u32,
    /// The last chunk that it speaks of.
    pub last_chunk: u32,
    /// How many fix-ups its chunks have.
    pub fixups: usize,
    /// 64 hexadecimal digits.
    pub digest: String,
}

impl Report for Inspected {
    const FORMAT: &'static str = "image-inspect/1";
}

/// Runs the command.
///
/// # Errors
/// The file is no whole image, or a record is not the one that it names: then it is shown nevertheless.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    let mut inspected = Inspected::of(&image, bytes.len(), facts.as_ref());
    let manifest = image.manifest();
    inspected.sbom = recorded::sbom(path, manifest, arguments.sbom.as_deref())?;
    inspected.provenance = recorded::provenance(path, manifest, arguments.provenance.as_deref())?;
    output.say(&inspected)?;
    let sbom = inspected.sbom.as_ref().map(Shown::expect_no_other);
    let provenance = inspected.provenance.as_ref().map(Shown::expect_no_other);
    sbom.into_iter().chain(provenance).collect()
}

impl Inspected {
    /// All that an image of `len` bytes says, apart from its records.
    #[must_use]
    pub fn of(image: &ImageFile, len: usize, facts: Option<&Facts>) -> Self {
        let fields = image.manifest().fields();
        let of_this_layout = facts.map(|facts| {
            let layout = &facts.product.layout;
            OfThisLayout {
                vendor_id: layout.vendor_id == fields.vendor_id,
                class_id: layout.class_id == fields.class_id,
                layout: layout.digest == fields.layout,
            }
        });
        let signed = facts.map(|facts| SignedBy::header(image.header(), facts));
        Self {
            manifest: Described::new(image.manifest(), facts.map(|facts| &facts.ring)),
            of_this_layout,
            bytes: len,
            sbom: None,
            provenance: None,
            signatures: signatures(image, facts),
            signed,
            fixups: image.fixups(),
            pages: image.pages().iter().map(Page::of).collect(),
        }
    }
}

fn signatures(image: &ImageFile, facts: Option<&Facts>) -> Vec<SignatureBy> {
    if let Some(facts) = facts {
        return SignedBy::header(image.header(), facts).signatures;
    }
    let Ok(header) = Header::new_checked(image.header()) else {
        return Vec::new(); // it was parsed before
    };
    let unchecked = header.signatures().map(|signature| SignatureBy {
        key: signature.key.to_string(),
        name: None,
        valid: None,
    });
    unchecked.collect()
}

impl Page {
    fn of(page: &PageSpan) -> Self {
        Self {
            offset: page.bytes.start,
            bytes: page.bytes.len(),
            first_chunk: page.chunks.start,
            last_chunk: page.chunks.end.saturating_sub(1),
            fixups: page.fixups,
            digest: page.digest.to_string(),
        }
    }
}

impl Display for Inspected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.manifest.lines() {
            let note = self.of_this_layout.as_ref();
            let note = note.map_or("", |same| same.note(name));
            writeln!(formatter, "{name:<18} {value}{note}")?;
        }
        let mut line = |name: &str, value: &dyn Display| writeln!(formatter, "{name:<18} {value}");
        for signature in &self.signatures {
            line("signature", &said(signature, self.signed.is_some()))?;
        }
        if let Some(signed) = &self.signed {
            line("signed", signed)?;
        }
        line("length", &format_args!("{} bytes", self.bytes))?;
        line("fix-ups", &format_args!("{} bytes", self.fixups))?;
        line("header", &format_args!("bytes 0..{HEADER_LEN:#x}"))?;
        for (number, page) in self.pages.iter().enumerate() {
            line(&format!("page {number}"), page)?;
        }
        self.sbom.iter().try_for_each(|it| it.fmt(formatter))?;
        self.provenance.iter().try_for_each(|it| it.fmt(formatter))
    }
}

fn said(signature: &SignatureBy, checked: bool) -> String {
    match checked {
        true => signature.to_string(),
        false => format!("by {}, not checked without --layout", signature.key),
    }
}

impl OfThisLayout {
    /// What is said behind a field of the manifest.
    fn note(&self, field: &str) -> &'static str {
        let same = match field {
            "vendor id" => self.vendor_id,
            "class id" => self.class_id,
            "layout" => self.layout,
            _ => return "",
        };
        match same {
            true => " (this layout's)",
            false => " (NOT this layout's)",
        }
    }
}

impl Display for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "bytes {:#x}..{:#x}, chunks {} to {}, {} fix-ups, {}",
            self.offset,
            self.offset + self.bytes,
            self.first_chunk,
            self.last_chunk,
            self.fixups,
            self.digest
        )
    }
}
