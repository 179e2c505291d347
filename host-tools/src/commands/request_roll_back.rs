//! `bistable request roll-back`: asks one unit to leave one image for the other one.
//!
//! Nothing is written that no unit would obey. The same inputs give the same file.

use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::header::{MAX_SIGNATURES, Signature};
use bistable_core::request::{Fields, MAX_UNIT_LEN, Message, assemble};

use crate::facts::Facts;
use crate::image::build::signing_keys;
use crate::keys::SigningKey;
use crate::output::Output;
use crate::{Error, atomic, hex, request};

/// Ask one unit to leave the image that it runs for the other one.
#[derive(clap::Args)]
pub struct Arguments {
    /// The product's layout.toml: its key ring says whose signatures count, and how many it takes.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The serial number of the unit that shall go back, up to 32 bytes.
    #[arg(long, value_name = "SERIAL")]
    pub unit: String,
    /// The name of the image that it shall leave, as `bistable image inspect` shows it.
    #[arg(long, value_name = "DIGEST")]
    pub leave: String,
    /// Why, in your own numbers: the unit keeps it.
    #[arg(long, value_name = "N")]
    pub number: u8,
    /// Sign with this private key of the ring; several times for several keys.
    #[arg(long = "key", value_name = "KEY.pem")]
    pub keys: Vec<PathBuf>,
    /// Where the request goes.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// An argument is not what it should be, or no unit would obey; nothing was written.
pub fn run(arguments: &Arguments, _output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let message = message(arguments)?;
    let keys = signing_keys(&arguments.keys, &facts)?;
    check_keys(&arguments.keys, &keys, &facts)?;
    let mut signatures: Vec<Signature> =
        keys.iter().map(|key| key.sign_request(&message)).collect();
    let bytes = assemble(&message, &mut signatures).map_err(|_| {
        Error::argument(
            "--key",
            format!("{} keys", keys.len()),
            format!("at most {MAX_SIGNATURES}, the most signatures of a request"),
            format!("{} are enough", facts.ring.release_threshold),
        )
    })?;
    let out = &arguments.out;
    let made = request::parse(out, &bytes)?;
    request::check(&made, &facts, "--key")?;
    atomic::replace(out, &bytes).map_err(Error::io(out, "write the request"))?;
    print!("{}", request::describe(out, &made, &facts));
    Ok(())
}

/// What is asked.
fn message(arguments: &Arguments) -> Result<Message, Error> {
    let leave = hex::decode(&arguments.leave).map(Digest).ok_or_else(|| {
        Error::argument(
            "--leave",
            format!("`{}`", arguments.leave.escape_debug()),
            "the name of an image, 64 hexadecimal digits",
            "give all of it: `bistable image inspect` shows it, and so do the unit's reports",
        )
    })?;
    let fields = Fields {
        unit: &arguments.unit,
        leave,
        number: arguments.number,
    };
    Message::new(&fields).map_err(|_| {
        Error::argument(
            "--unit",
            format!("{} bytes", arguments.unit.len()),
            format!("1 to {MAX_UNIT_LEN} bytes"),
            "give the serial number that the unit got in the factory",
        )
    })
}

/// Each key must be a release key, and there once: other signatures would count for nothing.
fn check_keys(paths: &[PathBuf], keys: &[SigningKey], facts: &Facts) -> Result<(), Error> {
    for (place, (path, key)) in paths.iter().zip(keys).enumerate() {
        check_release(path, key, facts)?;
        let earlier = keys.iter().take(place).position(|it| it.id() == key.id());
        if let Some(first) = earlier.and_then(|earlier| paths.get(earlier)) {
            return Err(Error::unexpected(
                path,
                format!("the private key {} a second time", key.id()),
                format!("each key once, and {} has it", first.display()),
                "a key counts once: leave it out, or give another one",
            ));
        }
    }
    Ok(())
}

fn check_release(path: &Path, key: &SigningKey, facts: &Facts) -> Result<(), Error> {
    let mut keys = facts.ring.keys.iter();
    let entry = keys.find(|entry| entry.key.id == key.id());
    match entry {
        Some(entry) if entry.key.roles.release => Ok(()),
        _ => Err(Error::unexpected(
            path,
            format!("the private key {}, which is no release key", key.id()),
            format!(
                "a release key of the ring {}",
                facts.product.ring_path.display()
            ),
            "units would skip its signature: give another key",
        )),
    }
}
