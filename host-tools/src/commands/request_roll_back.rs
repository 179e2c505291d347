//! `bistable request roll-back`: asks one unit to leave one image for the other one.
//!
//! Nothing is written that no unit would obey. The same inputs give the same file.

use std::path::PathBuf;

use bistable_core::digest::Digest;
use bistable_core::header::{MAX_SIGNATURES, Signature};
use bistable_core::request::{Fields, MAX_UNIT_LEN, Message, assemble};

use crate::facts::Facts;
use crate::keys::{Passphrases, Signer, Source, open_all};
use crate::output::Output;
use crate::{Error, atomic, hex, request};

/// Ask one unit to leave the image that it runs for the other one.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable request roll-back --layout layout.toml --unit BST-000042 \
                  --leave d87fbe18f5bd226e69296e6c5a6b4c7b78c37f1793a3bcfa5665f5994ecabde3 --number 7 \
                  --key alice.pem --key bob.pem --out back.req"
)]
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
    /// Sign with this private key of the ring, a PEM file or a `pkcs11:` URI; several times for several keys.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<Source>,
    /// What encrypted keys are opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
    /// Where the request goes.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// An argument is not what it should be, or no unit would obey; nothing was written.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let message = message(arguments)?;
    let keys = open_all(&arguments.keys, &arguments.passphrases, &facts)?;
    check_keys(&arguments.keys, &keys, &facts)?;
    let signatures = keys.iter().map(|key| key.sign_request(&message));
    let mut signatures: Vec<Signature> = signatures.collect::<Result<_, _>>()?;
    let given = keys.len();
    drop(keys);
    let bytes = assemble(&message, &mut signatures).map_err(|_| {
        Error::argument(
            "--key",
            format!("{given} keys"),
            format!("at most {MAX_SIGNATURES}, the most signatures of a request"),
            format!("{} are enough", facts.ring.release_threshold),
        )
    })?;
    let out = &arguments.out;
    let made = request::parse(out, &bytes)?;
    request::check(&made, &facts, "--key")?;
    atomic::replace(out, &bytes).map_err(Error::io(out, "write the request"))?;
    output.say(&request::describe(out, &made, &facts))
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
fn check_keys(sources: &[Source], keys: &[Box<dyn Signer>], facts: &Facts) -> Result<(), Error> {
    for (place, (source, key)) in sources.iter().zip(keys).enumerate() {
        check_release(source, key.as_ref(), facts)?;
        let earlier = keys.iter().take(place).position(|it| it.id() == key.id());
        if let Some(first) = earlier.and_then(|earlier| sources.get(earlier)) {
            return Err(Error::argument(
                source,
                format!("the private key {} a second time", key.id()),
                format!("each key once, and {first} has it"),
                "a key counts once: leave it out, or give another one",
            ));
        }
    }
    Ok(())
}

fn check_release(source: &Source, key: &dyn Signer, facts: &Facts) -> Result<(), Error> {
    let mut keys = facts.ring.keys.iter();
    let entry = keys.find(|entry| entry.key.id == key.id());
    match entry {
        Some(entry) if entry.key.roles.release => Ok(()),
        _ => Err(Error::argument(
            source,
            format!("the private key {}, which is no release key", key.id()),
            format!(
                "a release key of the ring {}",
                facts.product.ring_path.display()
            ),
            "units would skip its signature: give another key",
        )),
    }
}
