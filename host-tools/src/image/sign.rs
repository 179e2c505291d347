//! `bistable image sign`: adds signatures in place. An image's name stays: it is the digest of the
//! manifest, which signatures are not part of.
//!
//! Several images are signed at the same time. One that cannot be signed does not keep the others from it.

use std::fmt;
use std::path::{Path, PathBuf};

use bistable_core::header::{self, Header, MAX_SIGNATURES, Signature};
use bistable_core::keys::KeyId;
use bistable_core::layout::HEADER_LEN;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::file::{Defect, ImageFile};
use crate::image::signed::SignedBy;
use crate::image::signers::Signers;
use crate::keys::{self, Passphrases, Signer, Source};
use crate::output::{BAD, Output, Report, paint};
use crate::{Error, atomic, files};

/// Add signatures to images, which keep their names.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable image sign v1.img v2.img --key alice.pem --layout layout.toml"
)]
pub struct Arguments {
    /// The images.
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// The private key, a PEM file or a `pkcs11:` URI; several times for several keys.
    #[arg(long = "key", value_name = "KEY", required = true)]
    pub keys: Vec<Source>,
    /// What encrypted keys are opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// The product's layout.toml: the keys must be in its ring, and what is signed now is said.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
}

/// What became of each image.
#[derive(Serialize, JsonSchema)]
pub struct Signed {
    /// In the order of the command line.
    pub images: Vec<SignedImage>,
}

/// What became of an image.
#[derive(Serialize, JsonSchema)]
pub struct SignedImage {
    /// The image's file.
    pub image: String,
    /// What was done; `null` if it is as it was.
    pub done: Option<Done>,
    /// Why it is as it was; `null` if it was signed.
    pub error: Option<String>,
}

/// What was done to an image.
#[derive(Serialize, JsonSchema)]
pub struct Done {
    /// Length of the file.
    pub bytes: usize,
    /// The image's name, which stays as it was: 64 hexadecimal digits.
    pub name: String,
    /// Whose signatures were added: ids of 8 hexadecimal digits.
    pub added: Vec<String>,
    /// Who signed now; `null` without a layout.
    pub signed: Option<SignedBy>,
}

impl Report for Signed {
    const FORMAT: &'static str = "image-sign/1";
}

/// Runs the command.
///
/// # Errors
/// An image is damaged, or has one of the signatures; it is as it was.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    let keys = open(arguments, facts.as_ref())?;
    if let [image] = arguments.images.as_slice() {
        let done = sign(image, &keys, facts.as_ref())?;
        drop(keys);
        let images = vec![SignedImage::new(image, Ok(done))];
        return output.say(&Signed { images });
    }
    let progress = output.progress("signing", arguments.images.len() as u64);
    let images = arguments.images.par_iter().map(|image| {
        let done = sign(image, &keys, facts.as_ref());
        progress.step();
        SignedImage::new(image, done)
    });
    let signed = Signed {
        images: images.collect(),
    };
    drop(progress);
    drop(keys);
    output.say(&signed)?;
    signed.check()
}

fn open(arguments: &Arguments, facts: Option<&Facts>) -> Result<Vec<Box<dyn Signer>>, Error> {
    let Arguments {
        keys, passphrases, ..
    } = arguments;
    if let Some(facts) = facts {
        return keys::open_all(keys, passphrases, facts);
    }
    let open = |key| keys::open(key, passphrases);
    keys.iter().map(open).collect()
}

/// Signs one image, which is replaced as a whole or stays as it is.
fn sign(path: &Path, keys: &[Box<dyn Signer>], facts: Option<&Facts>) -> Result<Done, Error> {
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    let signed = add(path, &image, keys)?;
    let rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    let bytes = [signed.as_slice(), rest].concat();
    atomic::replace(path, &bytes).map_err(Error::io(path, "write the image"))?;
    let signers = |facts| {
        let header = Header::new_checked(&signed).ok()?;
        Some(Signers::of(&header, facts).into())
    };
    Ok(Done {
        bytes: bytes.len(),
        name: image.manifest().digest().to_string(),
        added: keys.iter().map(|key| key.id().to_string()).collect(),
        signed: facts.and_then(signers),
    })
}

/// The header of the image at `path` with signatures by `keys`.
fn add(
    path: &Path,
    image: &ImageFile,
    keys: &[Box<dyn Signer>],
) -> Result<[u8; HEADER_LEN], Error> {
    let header = Header::new_checked(image.header())
        .map_err(|refusal| Defect::refused("header", 0, refusal).at(path))?;
    let mut signatures: Vec<Signature> = header.signatures().collect();
    for key in keys {
        let id = key.id();
        if signatures.iter().any(|signature| signature.key == id) {
            return Err(no_room(path, format!("a signature by {id} already"), id));
        }
        signatures.push(key.sign_manifest(image.manifest())?);
        if signatures.len() > MAX_SIGNATURES {
            return Err(no_room(
                path,
                format!("{MAX_SIGNATURES} signatures already"),
                id,
            ));
        }
    }
    header::assemble(image.manifest(), &mut signatures)
        .map_err(|refusal| Defect::refused("header", 0, refusal).at(path))
}

fn no_room(path: &Path, found: String, key: KeyId) -> Error {
    Error::unexpected(
        path,
        found,
        format!("room for one by {key}, at most {MAX_SIGNATURES}"),
        "sign with another key, or build it again",
    )
}

impl Signed {
    fn check(&self) -> Result<(), Error> {
        let failed = self.images.iter().filter(|image| image.error.is_some());
        let names: Vec<_> = failed.map(|image| image.image.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let all = self.images.len();
        Err(Error::argument(
            names.join(", "),
            format!("{} of {all} images that could not be signed", names.len()),
            "all of them",
            "the report says why; the others are signed",
        ))
    }
}

impl SignedImage {
    fn new(image: &Path, done: Result<Done, Error>) -> Self {
        let image = image.display().to_string();
        let (done, error) = match done {
            Ok(done) => (Some(done), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { image, done, error }
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images
            .iter()
            .try_for_each(|image| image.fmt(formatter))
    }
}

impl fmt::Display for SignedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return writeln!(formatter, "{}    {error}", paint(BAD, "FAILED"));
        }
        let Some(done) = &self.done else {
            return Ok(());
        };
        writeln!(formatter, "image     {} ({} bytes)", self.image, done.bytes)?;
        writeln!(formatter, "name      {}", done.name)?;
        for key in &done.added {
            writeln!(formatter, "added     {key}")?;
        }
        match &done.signed {
            Some(signed) => writeln!(formatter, "signed    {signed}"),
            None => Ok(()),
        }
    }
}
