//! `bistable key export`: the public half of a key as a file of its own, to be carried to a ring.

use std::fmt::{self, Display};
use std::fs;
use std::path::PathBuf;

use bistable_core::keys::KeyId;
use ed25519_compact::PublicKey;
use schemars::JsonSchema;
use serde::Serialize;

use crate::keys::{self, Passphrases, Source, pem};
use crate::output::{Output, Report};
use crate::{Error, atomic, hex};

/// Everybody may read a public key.
const MODE: u32 = 0o644;

/// Write the public half of a key as PEM, which `openssl pkey -pubin` reads.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable key export 'pkcs11:token=release;object=alice' --out alice.pub.pem"
)]
pub struct Arguments {
    /// A key: PEM, or a `pkcs11:` URI of one in a token.
    #[arg(value_name = "KEY")]
    pub key: Source,
    /// What an encrypted key is opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// Where the public key goes.
    #[arg(long, value_name = "PUB.pem")]
    pub out: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// A public key that was written.
#[derive(Serialize, JsonSchema)]
pub struct Exported {
    /// 8 hexadecimal digits.
    pub id: String,
    /// 64 hexadecimal digits.
    pub public: String,
    /// The file.
    pub out: PathBuf,
}

impl Report for Exported {
    const FORMAT: &'static str = "key-export/1";
}

/// Runs the command.
///
/// # Errors
/// The key cannot be read, or the file exists: then it is as it was.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let out = &arguments.out;
    if !arguments.force && fs::symlink_metadata(out).is_ok() {
        let hint = "choose another --out, or say --force";
        return Err(Error::unexpected(out, "a file", "none", hint));
    }
    if pem::holds_a_private_key(out) {
        let hint = "a private key is never replaced by a public one: choose another --out";
        return Err(Error::unexpected(out, "a private key", "no file", hint));
    }
    let public = keys::public(&arguments.key, &arguments.passphrases)?;
    let pem = PublicKey::new(public).to_pem();
    let written = match arguments.force {
        true => atomic::replace(out, pem.as_bytes()),
        false => atomic::create(out, pem.as_bytes(), MODE),
    };
    written.map_err(Error::io(out, "write the public key"))?;
    output.say(&Exported {
        id: KeyId::of(&public).to_string(),
        public: hex::encode(&public),
        out: out.clone(),
    })
}

impl Display for Exported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "id     {}", self.id)?;
        writeln!(formatter, "public {}", self.public)?;
        writeln!(formatter, "file   {}", self.out.display())
    }
}
