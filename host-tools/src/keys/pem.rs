//! Private keys as PKCS#8 (RFC 5958, RFC 8410) in PEM (RFC 7468), as `openssl pkey` reads and writes them;
//! encrypted ones by PBES2 (RFC 8018).

use std::fs;
use std::path::Path;

use ed25519_compact::{KeyPair, PublicKey, Seed};
use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::pem::PemLabel as _;
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{
    EncodePrivateKey as _, EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier,
    PrivateKeyInfoRef, SecretDocument,
};
use zeroize::Zeroizing;

use crate::keys::passphrase::Passphrase;
use crate::keys::stack;

/// id-Ed25519 (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The key is an octet string (of 32 bytes) in an octet string.
const INNER: [u8; 2] = [0x04, 32];

/// What is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// There is no PEM block with a private key, or it is damaged.
    NoKey,
    /// A key of another algorithm than Ed25519.
    OtherAlgorithm,
    /// It is encrypted in a way that is not known.
    UnknownEncryption,
    /// The public key that stands with it is not its own.
    OtherPublicKey,
}

/// The text of a private key's file, taken apart as far as it goes without a passphrase.
pub enum Private {
    /// The key.
    Open(KeyPair),
    /// It takes a passphrase.
    Locked(Locked),
}

/// An encrypted private key.
pub struct Locked(SecretDocument);

impl Private {
    /// Takes the first private key in `text`.
    ///
    /// # Errors
    /// There is none that can be used.
    pub fn parse(text: &str) -> Result<Self, Defect> {
        let block = block(text).ok_or(Defect::NoKey)?;
        let (label, document) = SecretDocument::from_pem(block).map_err(|_| Defect::NoKey)?;
        if label == PrivateKeyInfoRef::PEM_LABEL {
            return pair(&document).map(Self::Open);
        }
        if EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).is_err() {
            return Err(Defect::UnknownEncryption);
        }
        Ok(Self::Locked(Locked(document)))
    }
}

impl Locked {
    /// The key, or `None` if this is not its passphrase.
    ///
    /// # Errors
    /// It is decrypted, and no Ed25519 key.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<Option<KeyPair>, Defect> {
        let decrypted = stack::wiped(|| {
            let info = EncryptedPrivateKeyInfoRef::try_from(self.0.as_bytes()).ok()?;
            info.decrypt(passphrase.as_bytes()).ok()
        });
        // One wrong passphrase in 256 leads to what looks like padding, with nonsense before it.
        let sound =
            |document: &SecretDocument| PrivateKeyInfoRef::try_from(document.as_bytes()).is_ok();
        match decrypted.filter(sound) {
            Some(document) => pair(&document).map(Some),
            None => Ok(None),
        }
    }
}

/// The key pair in PEM; encrypted (scrypt, AES-256-CBC) if there is a passphrase.
#[must_use]
pub fn encode(pair: &KeyPair, passphrase: Option<&Passphrase>) -> Option<Zeroizing<String>> {
    let mut inner = Zeroizing::new([0; INNER.len() + Seed::BYTES]);
    let (head, seed) = inner.split_at_mut(INNER.len());
    head.copy_from_slice(&INNER);
    seed.copy_from_slice(pair.sk.get(..Seed::BYTES)?);
    let algorithm = AlgorithmIdentifierRef {
        oid: ED25519,
        parameters: None,
    };
    let key = OctetStringRef::new(inner.as_slice()).ok()?;
    let info = PrivateKeyInfoRef::new(algorithm, key);
    let Some(passphrase) = passphrase else {
        return info.to_pkcs8_pem(LineEnding::LF).ok();
    };
    let encrypted = stack::wiped(|| info.encrypt(passphrase.as_bytes())).ok()?;
    let label = EncryptedPrivateKeyInfoRef::PEM_LABEL;
    encrypted.to_pem(label, LineEnding::LF).ok()
}

/// The pair of a seed.
#[must_use]
pub fn from_seed(seed: &[u8; Seed::BYTES]) -> Option<KeyPair> {
    stack::wiped(|| {
        let mut seed = Seed::new(*seed);
        let pair = KeyPair::try_from_seed(seed);
        seed.wipe_mut();
        pair.ok()
    })
}

/// The public key in a PEM file (RFC 8410), as `openssl pkey -pubout` writes it.
#[must_use]
pub fn public_from_pem(text: &str) -> Option<[u8; 32]> {
    PublicKey::from_pem(text).ok().map(|key| *key)
}

/// The first PEM block of a private key; what stands before and behind it is left out.
fn block(text: &str) -> Option<&str> {
    let labels = [
        PrivateKeyInfoRef::PEM_LABEL,
        EncryptedPrivateKeyInfoRef::PEM_LABEL,
    ];
    let begins = labels.map(|label| (format!("-----BEGIN {label}-----"), label));
    let found = begins
        .iter()
        .filter_map(|(begin, label)| Some((text.find(begin)?, label)));
    let (start, label) = found.min()?;
    let rest = text.get(start..)?;
    let end = format!("-----END {label}-----");
    rest.get(..rest.find(&end)?.checked_add(end.len())?)
}

fn pair(document: &SecretDocument) -> Result<KeyPair, Defect> {
    let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| Defect::NoKey)?;
    if info.algorithm.oid != ED25519 {
        return Err(Defect::OtherAlgorithm);
    }
    let inner = info.private_key.as_bytes();
    let seed: Option<&[u8; Seed::BYTES]> = inner
        .strip_prefix(&INNER)
        .and_then(|seed| seed.try_into().ok());
    let pair = seed.and_then(from_seed).ok_or(Defect::NoKey)?;
    let other = |public: BitStringRef<'_>| public.raw_bytes() != pair.pk.as_slice();
    if info.public_key.is_some_and(other) {
        return Err(Defect::OtherPublicKey);
    }
    Ok(pair)
}
/// Whether the file at `path` says of itself that a private key is in it, in whatever way.
#[must_use]
pub fn holds_a_private_key(path: &Path) -> bool {
    let bytes = fs::read(path).map(Zeroizing::new);
    bytes.is_ok_and(|bytes| says_private_key(&bytes))
}

/// Whether these bytes say that they are a private key, though perhaps nobody here can read it.
#[must_use]
pub fn says_private_key(bytes: &[u8]) -> bool {
    let mark = b"PRIVATE KEY-----";
    bytes.windows(mark.len()).any(|window| window == mark)
}
