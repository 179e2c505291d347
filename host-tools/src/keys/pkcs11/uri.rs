//! Which key in which token: a PKCS#11 URI (RFC 7512), as far as it names one private key.
//!
//! ```text
//! pkcs11:token=release;object=alice?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin
//!        └── which token, which key ┘ └── how to get at it ───────────────────────────────────────┘
//! ```
//!
//! No error repeats a value that might be a PIN in the wrong place.

use std::fmt::{self, Display};
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::Error;

/// What a URI begins with.
pub const SCHEME: &str = "pkcs11:";

/// A token, a private key in it, and how to get at them. What is `None` may be anything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uri {
    /// The token's label.
    pub token: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// Who made the token.
    pub manufacturer: Option<String>,
    /// The token's model.
    pub model: Option<String>,
    /// The number that the library gives the token's slot. It may be another one tomorrow.
    pub slot_id: Option<u64>,
    /// The key's label (`CKA_LABEL`).
    pub object: Option<String>,
    /// The key's id (`CKA_ID`), any bytes.
    pub id: Option<Vec<u8>>,
    /// The library that speaks with the token.
    pub module: Option<PathBuf>,
    /// The file that holds the PIN.
    pub pin_file: Option<PathBuf>,
}

impl Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// It is none, has an attribute that is not known, twice, or not as it should be, or holds a PIN.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| refused("the URI", "another scheme", "`pkcs11:`", "see RFC 7512"))?;
        if rest.contains("pin-value") {
            return Err(refused(
                "pin-value",
                "a PIN on the command line, where others see it",
                "none",
                "use `pin-source=file:…`, or enter it on the terminal",
            ));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        let path = path.split(';').map(|attribute| (attribute, true));
        let query = query.split('&').map(|attribute| (attribute, false));
        for (attribute, in_path) in path.chain(query) {
            if attribute.is_empty() {
                continue;
            }
            let Some((name, value)) = attribute.split_once('=') else {
                let expected = "`name=value` between `;`, or between `&` behind the `?`";
                return Err(refused(
                    "the URI",
                    "an attribute without `=`",
                    expected,
                    "see RFC 7512",
                ));
            };
            if seen.contains(&name) {
                return Err(refused(name, "it twice", "it once", "leave one out"));
            }
            seen.push(name);
            uri.set(name, &decode(name, value)?, in_path)?;
        }
        Ok(uri)
    }

    fn set(&mut self, name: &str, value: &[u8], in_path: bool) -> Result<(), Error> {
        let text = || text(name, value);
        match (name, in_path) {
            ("token", true) => self.token = Some(text()?),
            ("serial", true) => self.serial = Some(text()?),
            ("manufacturer", true) => self.manufacturer = Some(text()?),
            ("model", true) => self.model = Some(text()?),
            ("object", true) => self.object = Some(text()?),
            ("id", true) => self.id = Some(value.to_vec()),
            ("slot-id", true) => {
                let number = text()?.parse();
                let number =
                    number.map_err(|_| refused(name, "no number", "a decimal number", ""))?;
                self.slot_id = Some(number);
            }
            ("type", true) if value == b"private" => {}
            ("type", true) => {
                let hint = "leave it out: it is the private key that signs";
                return Err(refused(name, "another type", "`private`", hint));
            }
            ("module-path", false) => self.module = Some(text()?.into()),
            ("pin-source", false) => self.pin_file = Some(pin_file(&text()?)?),
            ("module-name", false) => {
                let hint =
                    "give the library's whole path, so that no search path decides what is loaded";
                return Err(refused(name, "a name", "`module-path`", hint));
            }
            _ => {
                return Err(refused(
                    name,
                    "an attribute that is not known here",
                    "token, serial, manufacturer, model, slot-id, object, id or type, and behind the `?` \
                     module-path or pin-source",
                    "correct it, or leave it out",
                ));
            }
        }
        Ok(())
    }
}

/// The tokens and the key that are looked for, as in "expected …".
impl Display for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_deref().map(id_text);
        let slot = self.slot_id.map(|number| number.to_string());
        let parts = [
            ("token", &self.token),
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("slot-id", &slot),
            ("object", &self.object),
            ("id", &id),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let given: Vec<_> = given
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        write!(formatter, "{SCHEME}{}", given.join(";"))
    }
}

/// A key's id as a URI takes it: each byte percent-encoded.
#[must_use]
pub fn id_text(id: &[u8]) -> String {
    id.iter().map(|byte| format!("%{byte:02x}")).collect()
}

/// The file that `pin-source` names: `file:pin`, `file:/run/pin`, `file:///run/pin` or a path alone.
fn pin_file(value: &str) -> Result<PathBuf, Error> {
    let path = value.strip_prefix("file:").unwrap_or(value);
    let path = path.strip_prefix("//").unwrap_or(path);
    let other_scheme = path.split('/').next().unwrap_or_default().contains(':');
    if path.is_empty() || path.starts_with('|') || other_scheme {
        let hint = "no program is run to get a PIN; a pipe is a file, too";
        return Err(refused("pin-source", "no file", "`file:` and a path", hint));
    }
    Ok(path.into())
}

fn decode(name: &str, value: &str) -> Result<Vec<u8>, Error> {
    let whole = |escape: &str| {
        let digits = escape.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !value.split('%').skip(1).all(whole) {
        return Err(refused(
            name,
            "a `%` alone",
            "`%` and two hexadecimal digits",
            "write `%25` for `%`",
        ));
    }
    Ok(percent_decode_str(value).collect())
}

fn text(name: &str, value: &[u8]) -> Result<String, Error> {
    let text = String::from_utf8(value.to_vec());
    text.map_err(|_| refused(name, "bytes that are no text", "UTF-8", "see RFC 7512"))
}

fn refused(what: &str, found: &str, expected: &str, hint: &str) -> Error {
    Error::argument(format_args!("pkcs11 URI: {what}"), found, expected, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Uri::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_attribute_is_read_and_decoded() {
        let uri = Uri::parse(
            "pkcs11:token=The%20Vault;serial=17cb;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;\
             slot-id=327;object=alice%3b;id=%00%ff7;type=private\
             ?module-path=/usr/lib/a.so&pin-source=file:///run/pin%26",
        );
        let text = |text: &str| Some(text.to_owned());
        let expected = Uri {
            token: text("The Vault"),
            serial: text("17cb"),
            manufacturer: text("SoftHSM project"),
            model: text("SoftHSM v2"),
            slot_id: Some(327),
            object: text("alice;"),
            id: Some(vec![0, 0xff, b'7']),
            module: Some("/usr/lib/a.so".into()),
            pin_file: Some("/run/pin&".into()),
        };
        assert_eq!(uri.unwrap(), expected);
    }

    #[test]
    fn an_empty_uri_is_any_key() {
        assert_eq!(Uri::parse("pkcs11:").unwrap(), Uri::default());
    }

    #[test]
    fn a_pin_is_refused_wherever_it_stands_and_never_repeated() {
        for text in [
            "pkcs11:token=a?pin-value=13572468",
            "pkcs11:token=a;pin-value=13572468",
            "pkcs11:token=a?pin-source=file:x;pin-value=13572468",
            "pkcs11:token=a?pin-source=13572468:x",
            "pkcs11:token=a?pin-source=|echo 13572468",
            "pkcs11:token=a?pin=13572468",
            "pkcs11:slot-id=13572468x",
            "pkcs11:13572468",
            "13572468",
        ] {
            let message = refusal(text);
            assert!(!message.contains("13572468"), "{message}");
        }
        assert!(refusal("pkcs11:?pin-value=1").contains("where others see it"));
    }

    #[test]
    fn a_pin_file_may_be_named_in_all_usual_ways() {
        for (text, path) in [
            ("file:pin.txt", "pin.txt"),
            ("file:/run/pin", "/run/pin"),
            ("file:///run/pin", "/run/pin"),
            ("/run/a:b", "/run/a:b"),
        ] {
            let uri = Uri::parse(&format!("pkcs11:?pin-source={text}")).unwrap();
            assert_eq!(uri.pin_file, Some(path.into()));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_rather_than_ignored() {
        assert!(refusal("pkcs11:tokn=a").contains("tokn: found an attribute that is not known"));
        assert!(refusal("pkcs11:token=a;token=b").contains("token: found it twice"));
        assert!(refusal("pkcs11:token=%4").contains("`%` alone"));
        assert!(refusal("pkcs11:token=%ff").contains("no text"));
        assert!(refusal("pkcs11:type=public").contains("`private`"));
        assert!(refusal("pkcs11:?module-name=softhsm2").contains("module-path"));
        assert!(refusal("pkcs11:module-path=/a.so").contains("not known here"));
    }

    #[test]
    fn what_is_looked_for_is_told_without_the_way_to_the_pin() {
        let uri = Uri::parse("pkcs11:token=a;id=%01?pin-source=file:pin").unwrap();
        assert_eq!(uri.to_string(), "pkcs11:token=a;id=%01");
    }
}
