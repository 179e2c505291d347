//! `bistable image attach`: puts signatures that were made elsewhere into the image that they sign.
//!
//! Each is checked before anything is written. One that is in the image already does no harm.

use std::fmt;
use std::path::{Path, PathBuf};

use bistable_core::header::{self, Header, MAX_SIGNATURES, Signature};
use bistable_core::layout::HEADER_LEN;
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::detached::Detached;
use crate::image::file::ImageFile;
use crate::image::signed::SignedBy;
use crate::image::signers::Signers;
use crate::output::{Output, Report};
use crate::{Error, atomic, files};

/// Put signatures that were made elsewhere into the image that they sign.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable image attach v1.img alice.sig bob.sig --layout layout.toml"
)]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// What `bistable key sign` made.
    #[arg(value_name = "SIGNATURE", required = true)]
    pub signatures: Vec<PathBuf>,
    /// The product's layout.toml: the keys must be in its ring, and what is signed now is said.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
}

/// An image with what was put into it.
#[derive(Serialize, JsonSchema)]
pub struct Attached {
    /// The image's file.
    pub image: String,
    /// The image's name, which stays as it was: 64 hexadecimal digits.
    pub name: String,
    /// Whose signatures were put into it: ids of 8 hexadecimal digits.
    pub added: Vec<String>,
    /// Whose were in it already.
    pub there_already: Vec<String>,
    /// Who signed now; `null` without a layout.
    pub signed: Option<SignedBy>,
}

impl Report for Attached {
    const FORMAT: &'static str = "image-attach/1";
}

/// Runs the command.
///
/// # Errors
/// The image is damaged, or a signature is not one over its manifest; the image is as it was.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    let header = Header::new_checked(image.header())
        .map_err(|refusal| crate::image::file::Defect::refused("header", 0, refusal).at(path))?;
    let mut signatures: Vec<Signature> = header.signatures().collect();
    let mut added = Vec::new();
    let mut there_already = Vec::new();
    for from in &arguments.signatures {
        let detached = Detached::read(from)?;
        check(from, &detached, &image, path, facts.as_ref())?;
        let signature = detached.signature();
        if signatures.contains(&signature) {
            there_already.push(signature.key.to_string());
            continue;
        }
        // Another one by this key cannot be valid: the same message always gets the same signature. But an id
        // is short, and only a ring says whose it is.
        if facts.is_none() && signatures.iter().any(|it| it.key == signature.key) {
            return Err(Error::unexpected(
                from,
                format!("another signature by {} than the image has", signature.key),
                "none, or the same one",
                "give --layout, whose ring says which of the two counts",
            ));
        }
        signatures.retain(|other| other.key != signature.key);
        signatures.push(signature);
        added.push(signature.key.to_string());
    }
    let count = signatures.len();
    let signed = header::assemble(image.manifest(), &mut signatures).map_err(|_| {
        let found = format!("{count} signatures with the new ones");
        let expected = format!("at most {MAX_SIGNATURES}");
        Error::unexpected(path, found, expected, "leave out what is too much")
    })?;
    if !added.is_empty() {
        let rest = bytes.get(HEADER_LEN..).unwrap_or_default();
        let bytes = [signed.as_slice(), rest].concat();
        atomic::replace(path, &bytes).map_err(Error::io(path, "write the image"))?;
    }
    let signers = |facts| {
        let header = Header::new_checked(&signed).ok()?;
        Some(Signers::of(&header, facts).into())
    };
    output.say(&Attached {
        image: path.display().to_string(),
        name: image.manifest().digest().to_string(),
        added,
        there_already,
        signed: facts.as_ref().and_then(signers),
    })
}

/// Refuses a signature that would count for nothing.
fn check(
    from: &Path,
    detached: &Detached,
    image: &ImageFile,
    path: &Path,
    facts: Option<&Facts>,
) -> Result<(), Error> {
    let name = image.manifest().digest();
    let key = detached.key();
    if detached.image != name {
        return Err(Error::unexpected(
            from,
            format!("a signature for the image {}", detached.image),
            format!("one for {name}, which is {}", path.display()),
            "attach it to the image that it was made for",
        ));
    }
    if !detached.is_of(image.manifest()) {
        return Err(Error::unexpected(
            from,
            format!("a signature that {key} did not make over this manifest"),
            "a valid one",
            "it was changed on its way, or forged: sign again",
        ));
    }
    match facts {
        Some(facts) if !is_in(facts, detached) => Err(Error::unexpected(
            from,
            format!("a signature by {key}"),
            format!(
                "one by a key of the ring {}",
                facts.product.ring_path.display()
            ),
            "this product's devices would skip it: sign with another key",
        )),
        _ => Ok(()),
    }
}

/// An id is short, so it is the public key that must be in the ring.
fn is_in(facts: &Facts, detached: &Detached) -> bool {
    let mut keys = facts.ring.keys.iter();
    keys.any(|entry| entry.key.public == detached.public)
}

impl fmt::Display for Attached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "image     {}", self.image)?;
        writeln!(formatter, "name      {}", self.name)?;
        for key in &self.added {
            writeln!(formatter, "added     {key}")?;
        }
        for key in &self.there_already {
            writeln!(formatter, "there     {key}, already")?;
        }
        match &self.signed {
            Some(signed) => writeln!(formatter, "signed    {signed}"),
            None => Ok(()),
        }
    }
}
