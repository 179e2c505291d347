//! Which stations are believed: the public keys that the command line names.

use crate::Error;
use crate::keys::{self, Passphrases, Source};
use crate::proof::judge::PublicKey;

/// Whose birth records are believed.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "stations")]
pub struct Stations {
    /// A key of the stations that signed the birth records: a PEM file, public or private, or a PKCS#11 URI.
    /// Several times for several stations.
    #[arg(long = "station-key", value_name = "KEY")]
    pub keys: Vec<Source>,
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
        let keys = self.keys.iter();
        keys.map(|source| keys::public(source, &self.passphrases))
            .collect()
    }
}
