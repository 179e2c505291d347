//! An object with its signature, as one line of JSON that can be written in one way only.
//!
//! ```text
//!   {"birth":{…},"key":"8 digits","signature":"128 digits"}
//!            └┬┘ signed as it lies, behind a domain
//! ```

use bistable_core::keys::KeyId;
use ed25519_compact::{PublicKey, Signature};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::Signer;
use crate::{Error, hex};

const KEY: &str = r#","key":""#;
const SIGNATURE: &str = r#"","signature":""#;
const END: &str = r#""}"#;

/// Digits of a key's name.
const KEY_DIGITS: usize = 8;

/// Digits of a signature.
const SIGNATURE_DIGITS: usize = 2 * Signature::BYTES;

/// A line, taken apart; nothing in it has been verified.
pub struct Sealed<'l> {
    body: &'l str,
    key: &'l str,
    signature: Signature,
}

/// The line, without its end, that says `body` under the name `kind`, signed behind `domain`.
///
/// # Errors
/// The key does not sign.
pub fn seal(
    kind: &str,
    domain: &[u8],
    body: &impl Serialize,
    signer: &dyn Signer,
) -> Result<String, Error> {
    // Nothing in a record can fail to be written: no map with odd keys, no number that JSON lacks.
    let body = serde_json::to_string(body).unwrap_or_default();
    let signature = signer.sign(domain, body.as_bytes())?;
    let digits = hex::encode(&signature.bytes);
    let key = signature.key;
    Ok(format!(
        "{{\"{kind}\":{body}{KEY}{key}{SIGNATURE}{digits}{END}"
    ))
}

impl<'l> Sealed<'l> {
    /// Takes `line` apart, which comes without its end; `None` if it is written in another way.
    #[must_use]
    pub fn parse(kind: &str, line: &'l str) -> Option<Self> {
        let rest = line.strip_prefix("{\"")?.strip_prefix(kind)?;
        let rest = rest.strip_prefix("\":")?.strip_suffix(END)?;
        let (rest, digits) = split_last(rest, SIGNATURE_DIGITS)?;
        let (rest, key) = split_last(rest.strip_suffix(SIGNATURE)?, KEY_DIGITS)?;
        let body = rest.strip_suffix(KEY)?;
        let small = |digits: &str| digits.bytes().all(|it| !it.is_ascii_uppercase());
        let signature = hex::decode(digits).filter(|_| small(digits))?;
        Some(Self {
            body,
            key,
            signature: Signature::new(signature),
        })
    }

    /// The name of the key that is said to have signed it.
    #[must_use]
    pub fn key(&self) -> &'l str {
        self.key
    }

    /// Whether the line says that this key signed it.
    #[must_use]
    pub fn names(&self, public: &[u8; 32]) -> bool {
        KeyId::of(public).to_string() == self.key
    }

    /// Whether this key signed it.
    #[must_use]
    pub fn is_signed_by(&self, public: &[u8; 32], domain: &[u8]) -> bool {
        let message = [domain, self.body.as_bytes()].concat();
        PublicKey::new(*public)
            .verify(message, &self.signature)
            .is_ok()
    }

    /// What it says; `None` if that is something else than a `T`.
    #[must_use]
    pub fn body<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.body).ok()
    }
}

fn split_last(text: &str, len: usize) -> Option<(&str, &str)> {
    text.split_at_checked(text.len().checked_sub(len)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    fn line(key: &SigningKey) -> String {
        seal("word", b"test\0", &"said", key).unwrap()
    }

    #[test]
    fn what_was_sealed_is_signed_by_its_key_in_its_domain_and_by_no_other() {
        let [key, other] = [(); 2].map(|()| SigningKey::generate());
        let line = line(&key);
        let sealed = Sealed::parse("word", &line).unwrap();
        assert_eq!(sealed.body::<String>().unwrap(), "said");
        assert!(sealed.names(&key.public()));
        assert!(sealed.is_signed_by(&key.public(), b"test\0"));
        assert!(!sealed.is_signed_by(&key.public(), b"tale\0"));
        assert!(!sealed.is_signed_by(&other.public(), b"test\0"));
    }

    #[test]
    fn a_line_can_be_written_in_one_way_only() {
        let line = line(&SigningKey::generate());
        let (head, signature) = line.rsplit_once(SIGNATURE).unwrap();
        let others = [
            format!(" {line}"),
            format!("{line} "),
            line.replace(',', ", "),
            format!("{head}{SIGNATURE}{}", signature.replace(END, " \"}")),
            format!("{head}{SIGNATURE}{}", signature.to_uppercase()),
            line.replace("word", "ward"),
            line.replace("}", ",\"more\":1}"),
            String::new(),
        ];
        for other in others.iter().filter(|other| **other != line) {
            assert!(Sealed::parse("word", other).is_none(), "{other}");
        }
    }

    #[test]
    fn text_that_is_cut_anywhere_is_no_line() {
        let line = line(&SigningKey::generate());
        for len in 0..line.len() {
            assert!(Sealed::parse("word", &line[..len]).is_none(), "{len}");
        }
    }
}
