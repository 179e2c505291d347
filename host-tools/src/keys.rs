//! Private keys in files: PKCS#8 (RFC 8410) in PEM, as `openssl genpkey -algorithm ed25519` writes them.

use std::fs;
use std::path::Path;

use bistable_core::header::{SIGNATURE_LEN, Signature};
use bistable_core::keys::KeyId;
use bistable_core::manifest::{self, Manifest};
use bistable_core::request::{self, Message};
use ed25519_compact::{KeyPair, PublicKey};

use crate::{Error, atomic};

/// Only the owner may read a private key.
const MODE: u32 = 0o600;

/// An Ed25519 key pair (RFC 8032).
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// A new one, from the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self(KeyPair::generate())
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// The file cannot be read, or is not an unencrypted Ed25519 key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::io(path, "read the private key"))?;
        let pair = KeyPair::from_pem(&text).map_err(|error| {
            Error::unexpected(
                path,
                format!("no private key ({error})"),
                "an Ed25519 key as PKCS#8 PEM, not encrypted",
                "make one with `bistable key new`",
            )
        })?;
        Ok(Self(pair))
    }

    /// Writes the private key to a new file that only its owner can read.
    ///
    /// # Errors
    /// The file exists, or cannot be written; nothing half-written is left.
    pub fn create(&self, path: &Path) -> Result<(), Error> {
        atomic::create(path, self.0.sk.to_pem().as_bytes(), MODE)
            .map_err(Error::io(path, "write the private key"))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        *self.0.pk
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.public())
    }

    /// Signs a manifest. The same manifest always gets the same signature.
    #[must_use]
    pub fn sign(&self, manifest: &Manifest) -> Signature {
        self.sign_in(manifest::SIGNING_DOMAIN, manifest.as_bytes())
    }

    /// Signs a request. The same request always gets the same signature.
    #[must_use]
    pub fn sign_request(&self, message: &Message) -> Signature {
        self.sign_in(request::SIGNING_DOMAIN, message.as_bytes())
    }

    fn sign_in(&self, domain: &[u8], message: &[u8]) -> Signature {
        let bytes: [u8; SIGNATURE_LEN] = *self.0.sk.sign([domain, message].concat(), None);
        Signature {
            key: self.id(),
            bytes,
        }
    }
}

/// The public key in a PEM file (RFC 8410), as `openssl pkey -pubout` writes it.
#[must_use]
pub fn public_from_pem(text: &str) -> Option<[u8; 32]> {
    PublicKey::from_pem(text).ok().map(|key| *key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use bistable_core::header;
    use bistable_core::keys::{Key, Roles};
    use bistable_core::manifest::Fields;

    use super::*;

    #[test]
    fn a_key_that_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let key = SigningKey::generate();
        key.create(&path).unwrap();
        assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
    }

    #[test]
    fn only_the_owner_can_read_a_private_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        SigningKey::generate().create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_private_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let key = SigningKey::generate();
        key.create(&path).unwrap();
        assert!(SigningKey::generate().create(&path).is_err());
        assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
    }

    #[test]
    fn openssl_reads_the_key_and_names_the_same_public_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let key = SigningKey::generate();
        key.create(&path).unwrap();
        let mut command = Command::new("openssl");
        let Ok(output) = command.args(["pkey", "-pubout", "-in"]).arg(&path).output() else {
            return; // It is not installed here.
        };
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(public_from_pem(&text), Some(key.public()));
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        fs::write(&path, "-----BEGIN CERTIFICATE-----\n").unwrap();
        let message = SigningKey::read(&path).err().unwrap().to_string();
        assert!(message.starts_with(&format!("{}: found no private key", path.display())));
    }

    #[test]
    fn a_signature_is_one_that_devices_accept() {
        let key = SigningKey::generate();
        let manifest = Manifest::new(&Fields {
            payload_len: 4,
            chunk_size: 1024,
            first_page_len: 1,
            trial_attempts: 1,
            trial_seconds: 1,
            ..Fields::default()
        })
        .unwrap();
        let in_ring = Key {
            id: key.id(),
            roles: Roles::default(),
            public: key.public(),
        };
        let signature = key.sign(&manifest);
        assert!(header::is_signed_by(&manifest, &in_ring, &signature));
        assert_eq!(signature, key.sign(&manifest));
    }
}
