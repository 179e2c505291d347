//! `bistable image sign`: adds a signature in place. The image's name stays: it is the digest of the
//! manifest, which signatures are not part of.

use std::path::PathBuf;

use bistable_core::header::{self, Header, MAX_SIGNATURES, Signature};
use bistable_core::layout::HEADER_LEN;

use crate::facts::Facts;
use crate::image::build::check_known;
use crate::image::file::ImageFile;
use crate::image::signers::Signers;
use crate::keys::SigningKey;
use crate::output::Output;
use crate::{Error, atomic, files};

/// Add a signature to an image, which keeps its name.
#[derive(clap::Args)]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The private key.
    #[arg(long, value_name = "KEY.pem")]
    pub key: PathBuf,
    /// The product's layout.toml: the key must be in its ring, and what is signed now is said.
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The image is damaged, or has this signature; it is as it was.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let key = SigningKey::read(&arguments.key)?;
    let facts = arguments.layout.as_deref().map(Facts::read).transpose()?;
    if let Some(facts) = &facts {
        check_known(&arguments.key, &key, facts)?;
    }
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    let signed = add(&image, &key).map_err(|refused| {
        let found = match refused {
            CannotAdd::Twice => format!("a signature by {} already", key.id()),
            CannotAdd::TooMany => format!("{MAX_SIGNATURES} signatures already"),
        };
        let expected = format!("room for one by {}, at most {MAX_SIGNATURES}", key.id());
        Error::unexpected(
            path,
            found,
            expected,
            "sign with another key, or build it again",
        )
    })?;
    let rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    let bytes = [signed.as_slice(), rest].concat();
    atomic::replace(path, &bytes).map_err(Error::io(path, "write the image"))?;
    println!("image     {} ({} bytes)", path.display(), bytes.len());
    println!("name      {}", image.manifest().digest());
    println!("added     {}", key.id());
    if let (Some(facts), Ok(header)) = (&facts, Header::new_checked(&signed)) {
        println!("signed    {}", Signers::of(&header, facts));
    }
    Ok(())
}

/// Why a signature cannot be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CannotAdd {
    /// This key has signed.
    Twice,
    /// There is no room.
    TooMany,
}

/// The image's header with a signature by `key`.
///
/// # Errors
/// That key has signed, or there is no room.
pub fn add(image: &ImageFile, key: &SigningKey) -> Result<[u8; HEADER_LEN], CannotAdd> {
    let header = Header::new_checked(image.header()).map_err(|_| CannotAdd::TooMany)?;
    let mut signatures: Vec<Signature> = header.signatures().collect();
    if signatures.iter().any(|signature| signature.key == key.id()) {
        return Err(CannotAdd::Twice);
    }
    signatures.push(key.sign(image.manifest()));
    header::assemble(image.manifest(), &mut signatures).map_err(|_| CannotAdd::TooMany)
}
