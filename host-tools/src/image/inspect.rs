//! `bistable image inspect`: all that an image says, by name and with units. Nothing is believed: an
//! image that nobody signed is shown like any other.

use std::fmt::Write as _;
use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_core::header::Header;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::manifest::Manifest;
use uuid::Uuid;

use crate::facts::Facts;
use crate::image::file::ImageFile;
use crate::image::signers::{Signers, Verdict};
use crate::output::Output;
use crate::{Error, files};

/// Show all that an image says of itself.
#[derive(clap::Args)]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The product's layout.toml: names its keys, and says whose signatures are valid.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file is no whole image.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    print!("{}", describe(&image, bytes.len(), facts.as_ref()));
    Ok(())
}

/// All that an image says, as text.
#[must_use]
pub fn describe(image: &ImageFile, len: usize, facts: Option<&Facts>) -> String {
    let mut text = Text::default();
    text.line("name", image.manifest().digest());
    text.line("length", format!("{len} bytes"));
    manifest(&mut text, image.manifest(), facts);
    signatures(&mut text, image, facts);
    pages(&mut text, image);
    text.0
}

fn manifest(text: &mut Text, manifest: &Manifest, facts: Option<&Facts>) {
    let fields = manifest.fields();
    let product = facts.map(|facts| &facts.product);
    let of_layout = |same: bool| match (product, same) {
        (None, _) => "",
        (Some(_), true) => " (this layout's)",
        (Some(_), false) => " (NOT this layout's)",
    };
    let is =
        |check: &dyn Fn(&bistable_layout::Product) -> bool| of_layout(product.is_some_and(check));
    text.line(
        "vendor id",
        format!(
            "{}{}",
            Uuid::from_bytes(fields.vendor_id),
            is(&|product| product.layout.vendor_id == fields.vendor_id)
        ),
    );
    text.line(
        "class id",
        format!(
            "{}{}",
            Uuid::from_bytes(fields.class_id),
            is(&|product| product.layout.class_id == fields.class_id)
        ),
    );
    text.line(
        "layout",
        format!(
            "{}{}",
            fields.layout,
            is(&|product| product.layout.digest == fields.layout)
        ),
    );
    text.line("version", fields.version);
    text.line("sequence", fields.sequence);
    text.line("security counter", fields.security_counter);
    text.line("revoke below", fields.revoke_below);
    text.line("revoked keys", revoked(manifest, facts));
    text.line("payload", format!("{} bytes", fields.payload_len));
    for slot in Slot::BOTH {
        text.line(&format!("payload in {slot:?}"), manifest.payload(slot));
    }
    text.line(
        "position-free",
        if manifest.is_position_free() {
            "yes"
        } else {
            "no"
        },
    );
    text.line(
        "chunks",
        format!("{} of {} bytes", manifest.chunks(), fields.chunk_size),
    );
    text.line("trial attempts", fields.trial_attempts);
    text.line("trial time", format!("{} s", fields.trial_seconds));
    let (first, last) = fields.schemas;
    text.line("data schemas", format!("{first} to {last}"));
    text.line("oldest bootloader", fields.oldest_bootloader);
    text.line("SBOM", or_none(fields.sbom));
    text.line("provenance", or_none(fields.provenance));
}

fn revoked(manifest: &Manifest, facts: Option<&Facts>) -> String {
    let keys = manifest
        .revoked()
        .map(|id| match facts.and_then(|facts| facts.key_name(id)) {
            Some(name) => format!("{id} ({name})"),
            None => id.to_string(),
        });
    let keys: Vec<_> = keys.collect();
    match keys.as_slice() {
        [] => "none".into(),
        keys => keys.join(", "),
    }
}

fn signatures(text: &mut Text, image: &ImageFile, facts: Option<&Facts>) {
    let Ok(header) = Header::new_checked(image.header()) else {
        return; // it was parsed before
    };
    let Some(facts) = facts else {
        for signature in header.signatures() {
            text.line(
                "signature",
                format!("by {}, not checked without --layout", signature.key),
            );
        }
        return;
    };
    let signers = Signers::of(&header, facts);
    for signer in &signers.signatures {
        let id = signer.id;
        text.line(
            "signature",
            match &signer.verdict {
                Verdict::Valid(name) => format!("by {id} ({name}), valid"),
                Verdict::Invalid(name) => format!("by {id} ({name}), INVALID"),
                Verdict::Unknown => format!("by {id}, which the ring does not know"),
            },
        );
    }
    text.line("signed", signers);
}

fn pages(text: &mut Text, image: &ImageFile) {
    text.line("fix-ups", format!("{} bytes", image.fixups()));
    text.line("header", format!("bytes 0..{HEADER_LEN:#x}"));
    for (number, page) in image.pages().iter().enumerate() {
        text.line(
            &format!("page {number}"),
            format!(
                "bytes {:#x}..{:#x}, chunks {} to {}, {} fix-ups, {}",
                page.bytes.start,
                page.bytes.end,
                page.chunks.start,
                page.chunks.end.saturating_sub(1),
                page.fixups,
                page.digest
            ),
        );
    }
}

fn or_none(digest: Digest) -> String {
    match digest {
        Digest::NONE => "none".into(),
        digest => digest.to_string(),
    }
}

/// Lines of a name and a value.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name:<18} {value}"); // A String takes everything.
    }
}
