//! Keys that sign: what they can do, and how one is opened wherever it lies.
//!
//! | file | idea |
//! | --- | --- |
//! | [`source`] | where a key lies: a file, or a token |
//! | [`file`] | private keys in files |
//! | [`pem`] | PKCS#8 in PEM, encrypted or not |
//! | [`pkcs11`] | private keys in tokens |
//! | [`passphrase`] | what encrypted keys are opened with |
//! | [`stack`] | what other crates leave on the stack is wiped |
//!
//! Secrets are in memory only as long as they are used, and then wiped; no type that holds one can be
//! printed.

pub mod file;
pub mod passphrase;
pub mod pem;
pub mod pkcs11;
pub mod source;
pub mod stack;

use std::fs;

use bistable_core::header::Signature;
use bistable_core::keys::KeyId;
use bistable_core::manifest::{self, Manifest};
use bistable_core::request::{self, Message};
use zeroize::Zeroizing;

pub use file::SigningKey;
pub use passphrase::{Passphrase, Passphrases};
pub use pem::public_from_pem;
pub use pkcs11::Token;
pub use source::Source;

use crate::Error;
use crate::facts::Facts;

/// An Ed25519 key that can sign (RFC 8032). The same message always gets the same signature.
///
/// Several threads sign with one key, so a key whose session is one thread's keeps it behind a lock.
pub trait Signer: Send + Sync {
    /// The public key.
    fn public(&self) -> [u8; 32];

    /// Signs `domain` and the message behind it.
    ///
    /// # Errors
    /// The key is elsewhere, and cannot be asked any more.
    fn sign(&self, domain: &[u8], message: &[u8]) -> Result<Signature, Error>;

    /// The key's name.
    fn id(&self) -> KeyId {
        KeyId::of(&self.public())
    }

    /// Signs a manifest.
    ///
    /// # Errors
    /// As of [`Signer::sign`].
    fn sign_manifest(&self, manifest: &Manifest) -> Result<Signature, Error> {
        self.sign(manifest::SIGNING_DOMAIN, manifest.as_bytes())
    }

    /// Signs a request.
    ///
    /// # Errors
    /// As of [`Signer::sign`].
    fn sign_request(&self, message: &Message) -> Result<Signature, Error> {
        self.sign(request::SIGNING_DOMAIN, message.as_bytes())
    }
}

/// Opens a key, wherever it lies.
///
/// # Errors
/// There is none, or it cannot be opened.
pub fn open(source: &Source, passphrases: &Passphrases) -> Result<Box<dyn Signer>, Error> {
    match source {
        // A key that is moved leaves a copy behind, so it gets its place before the stack is wiped.
        Source::File(path) => stack::wiped(|| {
            let key = SigningKey::open(path, passphrases)?;
            Ok(Box::new(key) as Box<dyn Signer>)
        }),
        Source::Token(uri) => Ok(Box::new(Token::open(uri)?)),
    }
}

/// The public half of a key: of a public one in a PEM file, or of a private one wherever it lies.
///
/// # Errors
/// There is none, or it cannot be opened.
pub fn public(source: &Source, passphrases: &Passphrases) -> Result<[u8; 32], Error> {
    if let Source::File(path) = source {
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(Error::io(path, "read the key"))?;
        if let Some(public) = public_from_pem(&text) {
            return Ok(public);
        }
    }
    Ok(open(source, passphrases)?.public())
}

/// Opens keys, each of which must be in the product's ring: a signature by another one would count for
/// nothing.
///
/// # Errors
/// A key cannot be opened, or is not in the ring.
pub fn open_all(
    sources: &[Source],
    passphrases: &Passphrases,
    facts: &Facts,
) -> Result<Vec<Box<dyn Signer>>, Error> {
    let open = |source| {
        let key = open(source, passphrases)?;
        check_known(source, key.id(), facts)?;
        Ok(key)
    };
    sources.iter().map(open).collect()
}

/// Refuses a key that is not in the product's ring.
///
/// # Errors
/// It names the key and the ring.
pub fn check_known(source: &Source, key: KeyId, facts: &Facts) -> Result<(), Error> {
    if facts.key_name(key).is_some() {
        return Ok(());
    }
    Err(Error::argument(
        source,
        format!("the private key {key}"),
        format!("a key of the ring {}", facts.product.ring_path.display()),
        "this product's devices would skip its signature: give another key or another layout",
    ))
}
