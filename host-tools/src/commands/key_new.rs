//! `bistable key new`: makes a key pair, and adds its public half to a ring.
//!
//! The private key is written first. If the power fails in between, there is a key that no ring knows,
//! which does no harm; the other way round there would be a ring with a key that nobody has.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bistable_core::keys::{KeyId, Roles};
use bistable_layout::{Ring, RingKey, ring_file};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::keys::pem::{Private, says_private_key};
use crate::keys::{Passphrase, Signer as _, SigningKey, stack};
use crate::output::{Output, Report};
use crate::{Error, atomic, hex};

/// Make a key pair: the private key as a file of its own, the public key at the end of a ring.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable key new --ring keys/ring.toml --name alice --role release --encrypt"
)]
pub struct Arguments {
    /// The key ring, which is made if it is not there.
    #[arg(long, value_name = "FILE")]
    pub ring: PathBuf,
    /// What people call the key: letters, digits, `-` and `_`.
    #[arg(long)]
    pub name: String,
    /// What the key may sign: every manifest and request, or manifests that revoke keys.
    #[arg(long = "role", value_delimiter = ',', default_value = "release,root")]
    pub roles: Vec<Role>,
    /// Only emulated boards accept the key.
    #[arg(long)]
    pub development: bool,
    /// The key is kept offline until another one is lost.
    #[arg(long)]
    pub spare: bool,
    /// Where the private key goes; beside the ring, as NAME.pem, without it.
    #[arg(long, value_name = "KEY.pem")]
    pub out: Option<PathBuf>,
    /// Encrypt the private key with a passphrase, which is asked for.
    #[arg(long)]
    pub encrypt: bool,
    /// The passphrase is in the first line of this file.
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    pub passphrase_file: Option<PathBuf>,
    /// Replace what is at the private key's place, unless it is a key that the ring lists or that is
    /// encrypted.
    #[arg(long)]
    pub force: bool,
}

/// What a key may sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Role {
    /// Every manifest, and requests to units.
    Release,
    /// Manifests that revoke keys.
    Root,
}

/// A new key.
#[derive(Serialize, JsonSchema)]
pub struct Made {
    /// 8 hexadecimal digits.
    pub id: String,
    /// 64 hexadecimal digits.
    pub public: String,
    /// What people call it.
    pub name: String,
    /// Whether only emulated boards accept it.
    pub development: bool,
    /// Whether it is kept offline until another one is lost.
    pub spare: bool,
    /// Whether its file is encrypted.
    pub encrypted: bool,
    /// The file of the private key.
    pub private: String,
    /// The ring's file.
    pub ring: String,
    /// What was in the place of the private key, and is gone: the private key with this id, or
    /// `another file`.
    pub replaced: Option<String>,
    /// What the ring lacks before a product takes it.
    pub incomplete: Option<String>,
}

impl Report for Made {
    const FORMAT: &'static str = "key-new/1";
}

/// Runs the command.
///
/// # Errors
/// The ring would break a rule, or the private key's file exists: then nothing was changed.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let made = stack::wiped(|| make(arguments))?;
    output.say(&made)
}

fn make(arguments: &Arguments) -> Result<Made, Error> {
    let key = SigningKey::generate();
    let entry = RingKey {
        development: arguments.development,
        spare: arguments.spare,
        ..RingKey::new(&arguments.name, key.public(), roles(&arguments.roles))
    };
    ring_file::check(&arguments.ring, &entry)?;
    let out = arguments.out.clone().unwrap_or_else(|| {
        atomic::directory_of(&arguments.ring).join(format!("{}.pem", arguments.name))
    });
    let there = There::look(&out)?;
    there.check(&out, &arguments.ring, arguments.force)?;
    let passphrase = passphrase(arguments, &out)?;
    let directory = atomic::directory_of(&out);
    fs::create_dir_all(directory).map_err(Error::io(directory, "make the key's directory"))?;
    match there {
        There::Nothing => key.create(&out, passphrase.as_ref())?,
        _ => key.replace(&out, passphrase.as_ref())?,
    }
    let ring = ring_file::append(&arguments.ring, &entry).inspect_err(|_| {
        // The ring may have it all the same: what failed may be that it is on the disk for certain.
        if is_missing(&arguments.ring, key.id()) {
            there.put_back(&out);
        }
    })?;
    Ok(Made {
        id: key.id().to_string(),
        public: hex::encode(&key.public()),
        name: arguments.name.clone(),
        development: entry.development,
        spare: entry.spare,
        encrypted: passphrase.is_some(),
        private: out.display().to_string(),
        ring: arguments.ring.display().to_string(),
        replaced: there.name(),
        incomplete: ring.check_complete().err().map(|it| it.to_string()),
    })
}

/// What the roles of the command line are in a ring.
pub(crate) fn roles(roles: &[Role]) -> Roles {
    Roles {
        release: roles.contains(&Role::Release),
        root: roles.contains(&Role::Root),
    }
}

fn passphrase(arguments: &Arguments, out: &Path) -> Result<Option<Passphrase>, Error> {
    match (&arguments.passphrase_file, arguments.encrypt) {
        (Some(file), _) => Passphrase::read(file).map(Some),
        (None, true) => Passphrase::choose(out).map(Some),
        (None, false) => Ok(None),
    }
}

/// What lies where the private key shall go.
enum There {
    Nothing,
    /// A private key, and the file's bytes.
    Key(String, Zeroizing<Vec<u8>>),
    /// A private key that cannot be told: encrypted, or written in a way that nobody here can read.
    Locked,
    /// Another file.
    Other(Zeroizing<Vec<u8>>),
}

impl There {
    fn look(path: &Path) -> Result<Self, Error> {
        let bytes = match fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(Self::Nothing);
            }
            Err(error) => return Err(Error::io(path, "look what is there")(error)),
        };
        let private = str::from_utf8(&bytes).ok().map(Private::parse);
        Ok(match private {
            Some(Ok(Private::Open(pair))) => Self::Key(KeyId::of(&pair.pk).to_string(), bytes),
            _ if says_private_key(&bytes) => Self::Locked,
            _ => Self::Other(bytes),
        })
    }

    /// A private key is never overwritten by accident; what lies there may be from a run that was cut.
    /// One that a ring lists is not overwritten at all: devices would trust a key that nobody has.
    fn check(&self, path: &Path, ring: &Path, force: bool) -> Result<(), Error> {
        let hint = "keys are never overwritten: choose another --name or --out";
        match self {
            Self::Nothing => Ok(()),
            Self::Locked => Err(Error::unexpected(
                path,
                "a private key that is encrypted, or cannot be read",
                "no file",
                "nobody can tell whose it is, so --force does not replace it: move it away",
            )),
            Self::Key(id, _) => {
                let entry = name_in(ring, id);
                let found = format!("the private key {id}");
                match entry {
                    Some(name) if force => Err(Error::unexpected(
                        path,
                        found,
                        format!(
                            "none that {} lists, as it does this one as `{name}`",
                            ring.display()
                        ),
                        "devices with this ring would trust a key that nobody has any more: move it away",
                    )),
                    Some(_) => Err(Error::unexpected(path, found, "no file", hint)),
                    None if force => Ok(()),
                    None => {
                        let ring = ring.display();
                        let hint = format!(
                            "{ring} does not know it, so a cut `key new` may have left it: remove it if so"
                        );
                        Err(Error::unexpected(path, found, "no file", hint))
                    }
                }
            }
            Self::Other(_) if force => Ok(()),
            Self::Other(_) => Err(Error::unexpected(path, "another file", "no file", hint)),
        }
    }

    /// Nobody knows the new key yet. If this fails too, it does no harm that it is there.
    fn put_back(&self, path: &Path) {
        let _ = match self {
            Self::Key(_, bytes) | Self::Other(bytes) => atomic::replace(path, bytes),
            Self::Nothing | Self::Locked => fs::remove_file(path),
        };
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::Locked => None,
            Self::Key(id, _) => Some(id.clone()),
            Self::Other(_) => Some("another file".into()),
        }
    }
}

/// Whether the ring does not have the key for certain: one that cannot be read might.
fn is_missing(ring: &Path, id: KeyId) -> bool {
    match Ring::read(ring) {
        Ok(ring) => ring.keys.iter().all(|entry| entry.key.id != id),
        Err(_) => !ring.exists(),
    }
}

/// What the ring, if there is one, calls the key.
fn name_in(ring: &Path, id: &str) -> Option<String> {
    let ring = Ring::read(ring).ok()?;
    let mut keys = ring.keys.into_iter();
    let entry = keys.find(|entry| entry.key.id.to_string() == id)?;
    Some(entry.name)
}

impl fmt::Display for Made {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.development, self.spare) {
            (true, true) => "spare development",
            (true, false) => "development",
            (false, true) => "spare",
            (false, false) => "new",
        };
        let encrypted = if self.encrypted { " (encrypted)" } else { "" };
        writeln!(formatter, "{kind} key {} `{}`", self.id, self.name)?;
        writeln!(formatter, "private: {}{encrypted}", self.private)?;
        writeln!(formatter, "public:  {}", self.ring)?;
        match self.replaced.as_deref() {
            Some(id) if id.len() == 8 => {
                writeln!(formatter, "gone:    the private key {id}, which was there")?;
            }
            Some(other) => writeln!(formatter, "gone:    {other}, which was there")?,
            None => {}
        }
        match &self.incomplete {
            Some(problem) => writeln!(formatter, "the ring is not complete yet: {problem}"),
            None => Ok(()),
        }
    }
}
