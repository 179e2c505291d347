//! `bistable image inspect`: all that an image says, by name and with units. Nothing is believed: an
//! image that nobody signed is shown like any other.

use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_core::header::Header;
use bistable_core::layout::{HEADER_LEN, Slot};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::facts::Facts;
use crate::image::described::RevokedKey;
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
    /// The digest of its manifest, 64 hexadecimal digits.
    pub name: String,
    /// Length of the file in bytes.
    pub bytes: usize,
    /// For which product.
    pub vendor_id: ProductId,
    /// For which product.
    pub class_id: ProductId,
    /// The digest of the layout that it was linked for.
    pub layout: ProductId,
    /// Three numbers.
    pub version: String,
    /// Decides what may be installed.
    pub sequence: u32,
    /// Decides what may be booted.
    pub security_counter: u32,
    /// Its confirmation revokes images with a lower security counter.
    pub revoke_below: u32,
    /// Its confirmation revokes these keys.
    pub revoked_keys: Vec<RevokedKey>,
    /// Length of the payload in bytes.
    pub payload_bytes: u32,
    /// Digest of the payload as it lies in A.
    pub payload_a: String,
    /// Digest of the payload as it lies in B.
    pub payload_b: String,
    /// Whether the payload is the same in both.
    pub position_free: bool,
    /// How many chunks the payload has.
    pub chunks: u32,
    /// Their size in bytes.
    pub chunk_size: u32,
    /// How often a trial is started.
    pub trial_attempts: u8,
    /// How long a trial may take, in seconds.
    pub trial_seconds: u16,
    /// The first and the last data schema that it can read.
    pub data_schemas: (u16, u16),
    /// The oldest bootloader that it runs under.
    pub oldest_bootloader: String,
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

/// An id, and whether it is that of the layout at hand.
#[derive(Serialize, JsonSchema)]
pub struct ProductId {
    /// A UUID, or 64 hexadecimal digits.
    pub id: String,
    /// Whether the layout says the same; `null` without a layout.
    pub of_this_layout: Option<bool>,
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
        let manifest = image.manifest();
        let fields = manifest.fields();
        let product = facts.map(|facts| &facts.product.layout);
        let signed = facts.map(|facts| SignedBy::header(image.header(), facts));
        Self {
            name: manifest.digest().to_string(),
            bytes: len,
            vendor_id: ProductId {
                id: Uuid::from_bytes(fields.vendor_id).to_string(),
                of_this_layout: product.map(|layout| layout.vendor_id == fields.vendor_id),
            },
            class_id: ProductId {
                id: Uuid::from_bytes(fields.class_id).to_string(),
                of_this_layout: product.map(|layout| layout.class_id == fields.class_id),
            },
            layout: ProductId {
                id: fields.layout.to_string(),
                of_this_layout: product.map(|layout| layout.digest == fields.layout),
            },
            version: fields.version.to_string(),
            sequence: fields.sequence,
            security_counter: fields.security_counter,
            revoke_below: fields.revoke_below,
            revoked_keys: manifest
                .revoked()
                .map(|id| RevokedKey::new(id, facts.map(|facts| &facts.ring)))
                .collect(),
            payload_bytes: fields.payload_len,
            payload_a: manifest.payload(Slot::A).to_string(),
            payload_b: manifest.payload(Slot::B).to_string(),
            position_free: manifest.is_position_free(),
            chunks: manifest.chunks(),
            chunk_size: fields.chunk_size,
            trial_attempts: fields.trial_attempts,
            trial_seconds: fields.trial_seconds,
            data_schemas: fields.schemas,
            oldest_bootloader: fields.oldest_bootloader.to_string(),
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
        let mut line = |name: &str, value: &dyn Display| writeln!(formatter, "{name:<18} {value}");
        line("name", &self.name)?;
        line("length", &format_args!("{} bytes", self.bytes))?;
        line("vendor id", &self.vendor_id)?;
        line("class id", &self.class_id)?;
        line("layout", &self.layout)?;
        line("version", &self.version)?;
        line("sequence", &self.sequence)?;
        line("security counter", &self.security_counter)?;
        line("revoke below", &self.revoke_below)?;
        line("revoked keys", &joined(&self.revoked_keys))?;
        line("payload", &format_args!("{} bytes", self.payload_bytes))?;
        line("payload in A", &self.payload_a)?;
        line("payload in B", &self.payload_b)?;
        let position_free = if self.position_free { "yes" } else { "no" };
        line("position-free", &position_free)?;
        line(
            "chunks",
            &format_args!("{} of {} bytes", self.chunks, self.chunk_size),
        )?;
        line("trial attempts", &self.trial_attempts)?;
        line("trial time", &format_args!("{} s", self.trial_seconds))?;
        let (first, last) = self.data_schemas;
        line("data schemas", &format_args!("{first} to {last}"))?;
        line("oldest bootloader", &self.oldest_bootloader)?;
        line("SBOM", &digest(self.sbom.as_ref().map(|it| &it.digest)))?;
        let provenance = self.provenance.as_ref().map(|it| &it.digest);
        line("provenance", &digest(provenance))?;
        for signature in &self.signatures {
            line("signature", &said(signature, self.signed.is_some()))?;
        }
        if let Some(signed) = &self.signed {
            line("signed", signed)?;
        }
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

fn digest(digest: Option<&String>) -> &str {
    digest.map_or("none", String::as_str)
}

fn joined(keys: &[RevokedKey]) -> String {
    let keys: Vec<_> = keys.iter().map(RevokedKey::to_string).collect();
    match keys.as_slice() {
        [] => "none".into(),
        keys => keys.join(", "),
    }
}

impl Display for ProductId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = match self.of_this_layout {
            None => "",
            Some(true) => " (this layout's)",
            Some(false) => " (NOT this layout's)",
        };
        write!(formatter, "{}{note}", self.id)
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
