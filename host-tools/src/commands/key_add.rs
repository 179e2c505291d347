//! `bistable key add`: adds to a ring a key whose private half somebody else has, or a token.

use std::fmt;
use std::path::PathBuf;

use bistable_core::keys::KeyId;
use bistable_layout::{RingKey, ring_file};
use ed25519_compact::PublicKey;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::key_new::{Role, roles};
use crate::keys::{self, Passphrases, Source};
use crate::output::{Output, Report};
use crate::{Error, hex};

/// Add a public key to a ring: somebody else, or a token, has the private one.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable key add --ring keys/ring.toml --name bob --role release --public bob.pub"
)]
pub struct Arguments {
    /// The key ring, which is made if it is not there.
    #[arg(long, value_name = "FILE")]
    pub ring: PathBuf,
    /// What people call the key: letters, digits, `-` and `_`.
    #[arg(long)]
    pub name: String,
    /// What the key may sign: every manifest and request, or manifests that revoke keys.
    #[arg(long = "role", value_delimiter = ',', required = true)]
    pub roles: Vec<Role>,
    /// The public key: a PEM file, 64 hexadecimal digits, or the `pkcs11:` URI of a key in a token.
    #[arg(long, value_name = "KEY")]
    pub public: Source,
    /// Only emulated boards accept the key.
    #[arg(long)]
    pub development: bool,
    /// The key is kept offline until another one is lost.
    #[arg(long)]
    pub spare: bool,
}

/// The key that was added.
#[derive(Serialize, JsonSchema)]
pub struct Added {
    /// 8 hexadecimal digits.
    pub id: String,
    /// 64 hexadecimal digits.
    pub public: String,
    /// What people call it.
    pub name: String,
    /// The ring's file.
    pub ring: String,
    /// What the ring lacks before a product takes it.
    pub incomplete: Option<String>,
}

impl Report for Added {
    const FORMAT: &'static str = "key-add/1";
}

/// Runs the command.
///
/// # Errors
/// It is no usable public key, or the ring would break a rule: then the ring is as it was.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let public = public(&arguments.public)?;
    let entry = RingKey {
        development: arguments.development,
        spare: arguments.spare,
        ..RingKey::new(&arguments.name, public, roles(&arguments.roles))
    };
    let ring = ring_file::append(&arguments.ring, &entry)?;
    output.say(&Added {
        id: KeyId::of(&public).to_string(),
        public: hex::encode(&public),
        name: arguments.name.clone(),
        ring: arguments.ring.display().to_string(),
        incomplete: ring.check_complete().err().map(|it| it.to_string()),
    })
}

/// The public key, which must be one that can have signed anything.
fn public(source: &Source) -> Result<[u8; 32], Error> {
    let digits = match source {
        Source::File(path) => path.to_str().and_then(hex::decode),
        Source::Token(_) => None,
    };
    let public = match digits {
        Some(public) => public,
        None => keys::public(source, &Passphrases::default())?,
    };
    let sound = PublicKey::new(public).validate();
    sound.map(|()| public).map_err(|error| {
        Error::argument(
            source,
            format!("a public key that nobody can hold ({error})"),
            "an Ed25519 public key",
            "ask its owner for the output of `bistable key show`",
        )
    })
}

impl fmt::Display for Added {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "key {} `{}`", self.id, self.name)?;
        writeln!(formatter, "public:  {}", self.ring)?;
        match &self.incomplete {
            Some(problem) => writeln!(formatter, "the ring is not complete yet: {problem}"),
            None => Ok(()),
        }
    }
}
