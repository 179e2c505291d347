//! `bistable key new`: makes a key pair, and adds its public half to a ring.
//!
//! The private key is written first. If the power fails in between, there is a key that no ring knows,
//! which does no harm; the other way round there would be a ring with a key that nobody has.

use std::fs;
use std::path::{Path, PathBuf};

use bistable_core::keys::Roles;
use bistable_layout::{Ring, RingKey, ring_file};
use clap::ValueEnum;

use crate::keys::SigningKey;
use crate::output::Output;
use crate::{Error, atomic};

/// Make a key pair: the private key as a file of its own, the public key at the end of a ring.
#[derive(clap::Args)]
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
}

/// What a key may sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Role {
    /// Every manifest, and requests to units.
    Release,
    /// Manifests that revoke keys.
    Root,
}

/// Runs the command.
///
/// # Errors
/// The ring would break a rule, or the private key's file exists: then nothing was changed.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let key = SigningKey::generate();
    let roles = Roles {
        release: arguments.roles.contains(&Role::Release),
        root: arguments.roles.contains(&Role::Root),
    };
    let entry = RingKey {
        development: arguments.development,
        spare: arguments.spare,
        ..RingKey::new(&arguments.name, key.public(), roles)
    };
    ring_file::check(&arguments.ring, &entry)?;
    let out = arguments.out.clone().unwrap_or_else(|| {
        atomic::directory_of(&arguments.ring).join(format!("{}.pem", arguments.name))
    });
    refuse_existing(&out, &arguments.ring)?;
    let directory = atomic::directory_of(&out);
    fs::create_dir_all(directory).map_err(Error::io(directory, "make the key's directory"))?;
    key.create(&out)?;
    let ring = ring_file::append(&arguments.ring, &entry).inspect_err(|_| {
        // Nobody knows this key yet. If it cannot be removed either, it does no harm.
        let _ = fs::remove_file(&out);
    })?;
    println!("{} key {} `{}`", key_kind(&entry), key.id(), arguments.name);
    println!("private: {}", out.display());
    println!("public:  {}", arguments.ring.display());
    if let Err(problem) = ring.check_complete() {
        println!("the ring is not complete yet: {problem}");
    }
    Ok(())
}

fn key_kind(entry: &RingKey) -> &'static str {
    match (entry.development, entry.spare) {
        (true, true) => "spare development",
        (true, false) => "development",
        (false, true) => "spare",
        (false, false) => "new",
    }
}

/// A private key is never overwritten; what lies there may be from a run that was cut.
fn refuse_existing(out: &Path, ring: &Path) -> Result<(), Error> {
    if fs::symlink_metadata(out).is_err() {
        return Ok(());
    }
    let hint = "keys are never overwritten: choose another --name or --out";
    let Ok(key) = SigningKey::read(out) else {
        return Err(Error::unexpected(out, "another file", "no file", hint));
    };
    let known =
        Ring::read(ring).is_ok_and(|ring| ring.keys.iter().any(|entry| entry.key.id == key.id()));
    let found = format!("the private key {}", key.id());
    Err(if known {
        Error::unexpected(out, found, "no file", hint)
    } else {
        let ring = ring.display();
        let hint = format!(
            "{ring} does not know it, so a cut `key new` may have left it: remove it if so"
        );
        Error::unexpected(out, found, "no file", hint)
    })
}
