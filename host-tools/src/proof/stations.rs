//! Which stations are believed: the public keys that the command line names.

use crate::keys::{self, Passphrases, Source};
use crate::proof::judge::PublicKey;
use crate::{Error, hex};

/// Whose birth records are believed.
#[derive(Clone, Debug, clap::Args)]
pub struct Stations {
    /// A key of the stations that signed the birth records: 64 hexadecimal digits, a PEM file, or a `pkcs11:` URI.
    /// Several times for several stations.
    #[arg(long = "station-key", value_name = "KEY")]
    pub station_keys: Vec<Source>,
    /// Passphrases of encrypted keys.
    #[command(flatten)]
    pub passphrases: Passphrases,
}

impl Stations {
    /// The public halves.
    ///
    /// # Errors
    /// A key cannot be read.
    pub fn public(&self) -> Result<Vec<PublicKey>, Error> {
        let keys = self.station_keys.iter();
        keys.map(|source| public_key(source, &self.passphrases))
            .collect()
    }
}

/// The public key that a command line names: its 64 digits, a PEM file, or a key in a token.
///
/// # Errors
/// It cannot be read.
pub fn public_key(source: &Source, passphrases: &Passphrases) -> Result<PublicKey, Error> {
    let digits = match source {
        Source::File(path) => path.to_str().and_then(hex::decode),
        Source::Token(_) => None,
    };
    digits.map_or_else(|| keys::public(source, passphrases), Ok)
}
