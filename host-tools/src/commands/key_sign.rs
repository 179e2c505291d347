//! `bistable key sign`: signs a manifest that was carried here, after it was shown and somebody agreed.
//!
//! It needs the manifest and the key, and nothing else of a product: it runs where no network is.

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use bistable_core::keys::KeyId;
use bistable_core::manifest::Manifest;
use bistable_layout::Ring;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::carry::Ways;
use crate::image::described::Described;
use crate::image::detached::Detached;
use crate::image::manifest;
use crate::keys::{self, Passphrases, Signer, Source};
use crate::output::{Output, Report};

/// Sign a manifest that was carried here; all that it says is shown before.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable key sign v1.manifest --key alice.pem --ring ring.toml --out alice.sig"
)]
pub struct Arguments {
    /// What `bistable image manifest` made.
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// The private key, a PEM file or a `pkcs11:` URI.
    #[arg(long, value_name = "KEY")]
    pub key: Source,
    /// What an encrypted key is opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// The product's key ring: the key must be in it, and keys have their names.
    #[arg(long, value_name = "FILE")]
    pub ring: Option<PathBuf>,
    /// Do not ask: it was looked at before.
    #[arg(long)]
    pub yes: bool,
    /// How the signature is carried back.
    #[command(flatten)]
    pub ways: Ways,
}

/// What was signed, and the signature.
#[derive(Serialize, JsonSchema)]
pub struct Signed {
    /// All that was signed.
    pub manifest: Described,
    /// The key's id: 8 hexadecimal digits.
    pub key: String,
    /// What the ring calls it; `null` without a ring.
    pub key_name: Option<String>,
    /// The signature as text in one line.
    pub text: String,
    /// The file that it was written to.
    pub out: Option<String>,
    #[serde(skip)]
    printed: String,
}

impl Report for Signed {
    const FORMAT: &'static str = "key-sign/1";
}

/// How many digits of the name must be typed.
const DIGITS: usize = 8;

/// Runs the command.
///
/// # Errors
/// It is no manifest, the key cannot be used, or nobody agreed; nothing was written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let manifest = manifest::read(&arguments.manifest)?;
    let ring = arguments.ring.as_deref().map(Ring::read).transpose()?;
    if !arguments.yes && !io::stdin().is_terminal() {
        return Err(nobody_to_ask(arguments));
    }
    let key = keys::open(&arguments.key, &arguments.passphrases)?;
    let key_name = ring
        .as_ref()
        .map(|ring| name_in(ring, key.id(), arguments))
        .transpose()?;
    let described = Described::new(&manifest, ring.as_ref());
    if !output.is_json() || !arguments.yes {
        // Standard output is for what is carried back.
        eprint!("{described}");
    }
    if !arguments.yes {
        agree(arguments, &described.name, key.id(), key_name.as_deref())?;
    }
    let text = sign(&manifest, key.as_ref(), arguments)?.text();
    let id = key.id();
    drop(key);
    let printed = arguments.ways.send(&text)?;
    output.say(&Signed {
        manifest: described,
        key: id.to_string(),
        key_name,
        text,
        out: arguments.ways.file(),
        printed,
    })
}

fn sign(manifest: &Manifest, key: &dyn Signer, arguments: &Arguments) -> Result<Detached, Error> {
    let signature = key.sign_manifest(manifest)?;
    let detached = Detached::new(manifest, key.public(), &signature);
    match detached.is_of(manifest) {
        true => Ok(detached),
        // Such a signature can give the key away, so it goes nowhere.
        false => Err(Error::argument(
            &arguments.key,
            "a signature that is not valid",
            "a valid one",
            "the key or this machine is damaged: do not use it",
        )),
    }
}

/// What the ring calls the key, which must be in it.
fn name_in(ring: &Ring, key: KeyId, arguments: &Arguments) -> Result<String, Error> {
    let mut keys = ring.keys.iter();
    if let Some(entry) = keys.find(|entry| entry.key.id == key) {
        return Ok(entry.name.clone());
    }
    let path = arguments.ring.as_deref().unwrap_or(&arguments.manifest);
    Err(Error::argument(
        &arguments.key,
        format!("the private key {key}"),
        format!("a key of the ring {}", path.display()),
        "devices that know this ring would skip its signature: give another key",
    ))
}

fn nobody_to_ask(arguments: &Arguments) -> Error {
    Error::unexpected(
        &arguments.manifest,
        "nobody to ask whether it shall be signed: this is no terminal",
        "somebody who has seen what is signed",
        "look at it, and say so with --yes",
    )
}

/// Asks for the first digits of the name: whoever types them has looked.
fn agree(
    arguments: &Arguments,
    name: &str,
    key: KeyId,
    key_name: Option<&str>,
) -> Result<(), Error> {
    let called = key_name.map_or(String::new(), |name| format!(" ({name})"));
    let start = name.get(..DIGITS).unwrap_or(name);
    eprint!("To sign this with {key}{called}, type the first {DIGITS} digits of its name: ");
    let mut typed = String::new();
    let read = io::stderr()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut typed));
    read.map_err(Error::io(
        &arguments.manifest,
        "ask whether it shall be signed",
    ))?;
    let typed = typed.trim();
    if typed.eq_ignore_ascii_case(start) {
        return Ok(());
    }
    Err(Error::unexpected(
        &arguments.manifest,
        format!("`{}`", typed.escape_debug()),
        format!("`{start}`"),
        "nothing was signed",
    ))
}

impl fmt::Display for Signed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(out) = &self.out {
            writeln!(formatter, "signature {out}")?;
            match &self.key_name {
                Some(name) => writeln!(formatter, "by        {} ({name})", self.key)?,
                None => writeln!(formatter, "by        {}", self.key)?,
            }
        }
        formatter.write_str(&self.printed)
    }
}
