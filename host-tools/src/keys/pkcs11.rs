//! A private key in a token, which never leaves it: PKCS#11, the key named by a URI (RFC 7512).
//!
//! A token is a card, a stick, a network HSM or SoftHSM; its maker's library speaks with it
//! ([`MODULE_VARIABLE`]). It makes pure Ed25519 signatures (`CKM_EDDSA`, PKCS#11 3.0).

mod module;
mod object;
mod pin;
mod uri;

use std::fmt::{self, Display};
use std::io;
use std::sync::{Mutex, PoisonError};

use bistable_core::header;
use cryptoki::error::Error as Refusal;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use ed25519_compact::{PublicKey, Signature};

use crate::Error;
use crate::keys::Signer;
use module::Module;

pub use module::MODULE_VARIABLE;
pub use uri::{SCHEME, Uri, id_text};

/// An Ed25519 key in a token that this process is logged in to.
///
/// It may be used by several threads; the token makes one signature at a time.
pub struct Token {
    session: Mutex<Session>,
    key: ObjectHandle,
    public: [u8; 32],
    place: String,
}

impl Token {
    /// Finds the key and logs in, for which the PIN may be asked on the terminal.
    ///
    /// # Errors
    /// The URI is not right, does not mean exactly one token and one Ed25519 key in it, or the PIN is
    /// wrong, which is not tried twice.
    pub fn open(uri: &str) -> Result<Self, Error> {
        let uri = Uri::parse(uri)?;
        let module = Module::load(&uri)?;
        let token = module.token(&uri)?;
        let place = token.describe();
        let session = module.library.open_ro_session(token.slot);
        let session = session.map_err(refused(&place, "open a session"))?;
        pin::log_in(&session, &token, &uri)?;
        let key = object::private_key(&session, &uri, &place)?;
        let public = object::public_half(&session, &key, &place)?;
        let place = format!("{place}: {key}");
        if key.asks_always {
            let found = "a key that takes the PIN again for each signature";
            let hint = "make a key without CKA_ALWAYS_AUTHENTICATE";
            return Err(Error::argument(
                place,
                found,
                "one login for all of them",
                hint,
            ));
        }
        Ok(Self {
            session: Mutex::new(session),
            key: key.handle,
            public,
            place,
        })
    }

    /// The token's signature of `message` (pure Ed25519, RFC 8032). The signature is verified before it is given out.
    ///
    /// # Errors
    /// The token refuses, is not there any more, or made a signature that its public key does not verify.
    fn sign_bytes(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signature = session.sign(&pure, self.key, message);
        drop(session);
        let signature = signature.map_err(refused(&self.place, "sign"))?;
        verified(&self.public, message, &signature).ok_or_else(|| {
            let found = format!(
                "a signature of {} bytes that is not by its public key",
                signature.len()
            );
            let hint = "compare `bistable key show` with what the token's own tool says";
            Error::argument(&self.place, found, "an Ed25519 signature of 64 bytes", hint)
        })
    }
}

impl Signer for Token {
    fn public(&self) -> [u8; 32] {
        self.public
    }

    fn sign(&self, domain: &[u8], message: &[u8]) -> Result<header::Signature, Error> {
        let bytes = self.sign_bytes(&[domain, message].concat())?;
        let key = self.id();
        Ok(header::Signature { key, bytes })
    }
}

/// The signature, if it is one of `message` by `public`.
fn verified(public: &[u8; 32], message: &[u8], signature: &[u8]) -> Option<[u8; 64]> {
    let bytes = signature.try_into().ok()?;
    let valid = PublicKey::new(*public).verify(message, &Signature::new(bytes));
    valid.ok().map(|()| bytes)
}

/// For `map_err`: the token or library at `place` refused what was tried.
fn refused(place: impl Display, doing: &'static str) -> impl FnOnce(Refusal) -> Error {
    let place = place.to_string();
    move |error| {
        // The crate's own texts are whole paragraphs of the standard.
        let text = match error {
            Refusal::Pkcs11(answer, function) => format!("C_{function:?} answers {answer:?}"),
            error => error.to_string(),
        };
        Error::Io {
            place,
            doing,
            source: io::Error::other(text),
        }
    }
}

/// What there is, as in "found …".
fn either(all: &[impl Display]) -> String {
    match all {
        [] => "none".into(),
        all => {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            all.join(", ")
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({})", self.place)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_compact::KeyPair;

    use super::*;

    #[test]
    fn a_token_may_be_used_by_several_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Token>();
    }

    #[test]
    fn a_signature_by_another_key_of_other_bytes_or_length_is_not_given_out() {
        let [key, other] = [(); 2].map(|()| KeyPair::generate());
        let signature = key.sk.sign(b"message", None);
        assert_eq!(verified(&key.pk, b"message", &*signature), Some(*signature));
        assert_eq!(verified(&other.pk, b"message", &*signature), None);
        assert_eq!(verified(&key.pk, b"another", &*signature), None);
        assert_eq!(verified(&key.pk, b"message", &signature[..63]), None);
    }
}
