//! Private keys in files that only their owner can read.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use bistable_core::header::{SIGNATURE_LEN, Signature};
use ed25519_compact::KeyPair;
use zeroize::Zeroizing;

use crate::keys::passphrase::{Passphrase, Passphrases};
use crate::keys::pem::{self, Defect, Private};
use crate::keys::{Signer, stack};
use crate::{Error, atomic};

/// Only the owner may read a private key.
const MODE: u32 = 0o600;

/// What anybody else may do with a file.
const OTHERS: u32 = 0o077;

/// An Ed25519 key pair (RFC 8032). The secret half is wiped when it is dropped.
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// A new one, from the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self(stack::wiped(KeyPair::generate))
    }

    /// Opens the private key in the file at `path`, which may be encrypted.
    ///
    /// # Errors
    /// The file cannot be read, or others than its owner can read it; it is no Ed25519 key; no passphrase
    /// opens it.
    pub fn open(path: &Path, passphrases: &Passphrases) -> Result<Self, Error> {
        let text = read(path)?;
        let refused = |defect| refusal(path, defect);
        match Private::parse(&text).map_err(refused)? {
            Private::Open(pair) => Ok(Self(pair)),
            Private::Locked(locked) => passphrases
                .unlock(path, |passphrase| {
                    locked.unlock(passphrase).map_err(refused)
                })
                .map(Self),
        }
    }

    /// Opens a private key; if it is encrypted, its passphrase is asked for.
    ///
    /// # Errors
    /// As of [`SigningKey::open`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::open(path, &Passphrases::default())
    }

    /// Writes the private key, encrypted if there is a passphrase, to a new file that only its owner can
    /// read.
    ///
    /// # Errors
    /// The file exists, or cannot be written; nothing half-written is left.
    pub fn create(&self, path: &Path, passphrase: Option<&Passphrase>) -> Result<(), Error> {
        self.write(path, passphrase, atomic::create)
    }

    /// The same, in place of what is there.
    ///
    /// # Errors
    /// The file cannot be written; what was there is still there.
    pub fn replace(&self, path: &Path, passphrase: Option<&Passphrase>) -> Result<(), Error> {
        self.write(path, passphrase, atomic::replace_with_mode)
    }

    fn write(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
        write: fn(&Path, &[u8], u32) -> io::Result<()>,
    ) -> Result<(), Error> {
        // That it cannot be encoded happens when there are no random numbers for an encryption.
        let text = pem::encode(&self.0, passphrase).ok_or(io::ErrorKind::Other.into());
        text.and_then(|text| write(path, text.as_bytes(), MODE))
            .map_err(Error::io(path, "write the private key"))
    }
}

impl Signer for SigningKey {
    fn public(&self) -> [u8; 32] {
        *self.0.pk
    }

    fn sign(&self, domain: &[u8], message: &[u8]) -> Result<Signature, Error> {
        let bytes: [u8; SIGNATURE_LEN] =
            stack::wiped(|| *self.0.sk.sign([domain, message].concat(), None));
        let key = self.id();
        Ok(Signature { key, bytes })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.id())
    }
}

/// The text of a private key's file. As `ssh` does, it refuses one of the user's own that others can read.
fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let metadata = fs::metadata(path).map_err(Error::io(path, "read the private key"))?;
    let mode = metadata.permissions().mode() & 0o777;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(Error::io(path, "read the private key"))?;
    if own && metadata.is_file() && mode & OTHERS != 0 && text.contains("PRIVATE KEY-----") {
        return Err(Error::unexpected(
            path,
            format!("a private key that others can use (mode {mode:04o})"),
            format!("mode {MODE:04o}"),
            format!(
                "think about who has read it, then `chmod 600 {}`",
                path.display()
            ),
        ));
    }
    Ok(text)
}

fn refusal(path: &Path, defect: Defect) -> Error {
    let found = match defect {
        Defect::NoKey => "no private key",
        Defect::OtherAlgorithm => "a private key of another kind",
        Defect::UnknownEncryption => "a private key that is encrypted in an unknown way",
        Defect::OtherPublicKey => "a private key with the public half of another one",
    };
    let hint = match defect {
        Defect::UnknownEncryption => "encrypt it again with `openssl pkey -aes-256-cbc`",
        _ => "make one with `bistable key new`",
    };
    Error::unexpected(path, found, "an Ed25519 key as PKCS#8 PEM", hint)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use bistable_core::header;
    use bistable_core::keys::{Key, Roles};
    use bistable_core::manifest::{Fields, Manifest};

    use super::*;
    use crate::keys::public_from_pem;

    /// A key in a file of a directory.
    fn key_in(directory: &tempfile::TempDir) -> (SigningKey, std::path::PathBuf) {
        let path = directory.path().join("key.pem");
        let key = SigningKey::generate();
        key.create(&path, None).unwrap();
        (key, path)
    }

    #[test]
    fn a_key_that_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let (key, path) = key_in(&directory);
        assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
    }

    #[test]
    fn only_the_owner_can_read_a_private_key() {
        let directory = tempfile::tempdir().unwrap();
        let (_, path) = key_in(&directory);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (_, path) = key_in(&directory);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let message = SigningKey::read(&path).unwrap_err().to_string();
            let expected = format!("others can use (mode {mode:04o})");
            assert!(message.contains(&expected), "{message}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        SigningKey::read(&path).unwrap();
    }

    #[test]
    fn a_private_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let (key, path) = key_in(&directory);
        assert!(SigningKey::generate().create(&path, None).is_err());
        assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
    }

    #[test]
    fn openssl_reads_the_key_and_names_the_same_public_key() {
        let directory = tempfile::tempdir().unwrap();
        let (key, path) = key_in(&directory);
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
        let message = SigningKey::read(&path).unwrap_err().to_string();
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
        let signature = key.sign_manifest(&manifest).unwrap();
        assert!(header::is_signed_by(&manifest, &in_ring, &signature));
        assert_eq!(signature, key.sign_manifest(&manifest).unwrap());
    }
}
