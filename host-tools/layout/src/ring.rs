//! The key ring: the public keys that a bootloader will know, as `ring.toml` says them.
//!
//! ```toml
//! release_threshold = 1
//! root_threshold = 1
//!
//! [[key]]
//! name = "release-1"
//! public = "64 hexadecimal digits"
//! roles = ["release", "root"]
//! development = true   # only emulated boards accept it
//! spare = true         # kept offline until another key is lost
//! ```
//!
//! A ring grows key by key, so one that is read may still lack keys; a product accepts only one that
//! is complete ([`Ring::check_complete`]).

use std::fs;
use std::path::Path;

use bistable_core::header::MAX_SIGNATURES;
use bistable_core::keys::{Key, KeyId, MAX_KEYS, Roles};
use serde::Deserialize;

use crate::error::{Error, Problem};
use crate::hex;

/// The keys of a product and how many of them must agree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ring {
    /// How many release keys must sign a manifest.
    pub release_threshold: u8,
    /// How many root keys must sign a manifest that revokes keys.
    pub root_threshold: u8,
    /// At most [`MAX_KEYS`], in the file's order, which is that of the bits of a revocation.
    pub keys: Vec<RingKey>,
}

/// One key of a ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RingKey {
    /// For people.
    pub name: String,
    /// What bootloaders know of it.
    pub key: Key,
    /// Whether only emulated boards may accept it.
    pub development: bool,
    /// Whether it is kept offline until another one is lost.
    pub spare: bool,
}

impl RingKey {
    /// A key that is neither a development key nor a spare.
    #[must_use]
    pub fn new(name: impl Into<String>, public: [u8; 32], roles: Roles) -> Self {
        Self {
            name: name.into(),
            key: Key {
                id: KeyId::of(&public),
                roles,
                public,
            },
            development: false,
            spare: false,
        }
    }
}

impl Ring {
    /// Reads a `ring.toml`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let doing = "read the key ring";
        let text =
            fs::read_to_string(path).map_err(|source| Problem::Io { doing, source }.at(path))?;
        Self::parse(&text).map_err(|problem| problem.at(path))
    }

    /// Checks the text of a `ring.toml`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let file: file::Ring =
            toml::from_str(text).map_err(|error| Problem::syntax(text, &error))?;
        let ring = Self {
            release_threshold: file.release_threshold,
            root_threshold: file.root_threshold,
            keys: file
                .key
                .into_iter()
                .map(RingKey::from_file)
                .collect::<Result<_, _>>()?,
        };
        check_threshold("release_threshold", ring.release_threshold)?;
        check_threshold("root_threshold", ring.root_threshold)?;
        if !(1..=MAX_KEYS).contains(&ring.keys.len()) {
            let found = format!("{} keys", ring.keys.len());
            return Err(Problem::value("[[key]]", found, format!("1 to {MAX_KEYS}")));
        }
        ring.check_unique()?;
        Ok(ring)
    }

    /// What bootloaders know: the keys, to make a [`bistable_core::keys::KeyRing`] of.
    #[must_use]
    pub fn core_keys(&self) -> Vec<Key> {
        self.keys.iter().map(|entry| entry.key).collect()
    }

    /// Refuses a ring whose thresholds its own keys cannot meet.
    ///
    /// # Errors
    /// Which role lacks keys.
    pub fn check_complete(&self) -> Result<(), Problem> {
        let count = |has: fn(Roles) -> bool| {
            self.keys
                .iter()
                .filter(|entry| has(entry.key.roles))
                .count()
        };
        for (field, role, threshold, keys) in [
            (
                "release_threshold",
                "release",
                self.release_threshold,
                count(|roles| roles.release),
            ),
            (
                "root_threshold",
                "root",
                self.root_threshold,
                count(|roles| roles.root),
            ),
        ] {
            if usize::from(threshold) > keys {
                return Err(Problem::value(
                    field,
                    threshold,
                    format!("at most {keys}, the number of {role} keys: add a key or lower it"),
                ));
            }
        }
        Ok(())
    }

    /// Refuses development keys for a board that is not emulated.
    ///
    /// # Errors
    /// The first such key.
    pub fn check_development(&self, emulated: bool) -> Result<(), Problem> {
        let development = self.keys.iter().find(|entry| entry.development);
        match development {
            Some(entry) if !emulated => Err(Problem::value(
                format!("key `{}`", entry.name),
                "a development key",
                "none: product.emulated is not true in the layout, so make a key without --development",
            )),
            _ => Ok(()),
        }
    }

    fn check_unique(&self) -> Result<(), Problem> {
        for (index, entry) in self.keys.iter().enumerate() {
            for earlier in self.keys.iter().take(index) {
                if earlier.name == entry.name {
                    return Err(Problem::value(
                        "key.name",
                        format!("`{}` twice", entry.name),
                        "each name once",
                    ));
                }
                if earlier.key.id == entry.key.id {
                    return Err(Problem::value(
                        format!("keys `{}` and `{}`", earlier.name, entry.name),
                        format!("the same id {}", entry.key.id),
                        "different keys, of different ids",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn check_threshold(field: &str, threshold: u8) -> Result<(), Problem> {
    if (1..=MAX_SIGNATURES).contains(&usize::from(threshold)) {
        return Ok(());
    }
    Err(Problem::value(
        field,
        threshold,
        format!("1 to {MAX_SIGNATURES}, the most signatures of an image"),
    ))
}

/// A key's name is also that of its file, and is written into TOML as it is.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Problem::value(
        "key.name",
        format!("{name:?}"),
        "letters, digits, `-` and `_`",
    ))
}

impl RingKey {
    fn from_file(entry: file::Key) -> Result<Self, Problem> {
        check_name(&entry.name)?;
        let field = |field: &str| format!("key `{}`, {field}", entry.name);
        let public = hex::decode(&entry.public).ok_or_else(|| {
            Problem::value(
                field("public"),
                format!("`{}`", entry.public),
                "64 hexadecimal digits",
            )
        })?;
        if entry.roles.is_empty() {
            return Err(Problem::value(
                field("roles"),
                "none",
                "\"release\", \"root\" or both",
            ));
        }
        let roles = Roles {
            release: entry.roles.contains(&file::Role::Release),
            root: entry.roles.contains(&file::Role::Root),
        };
        Ok(Self {
            development: entry.development,
            spare: entry.spare,
            ..Self::new(entry.name, public, roles)
        })
    }
}

/// `ring.toml` as it is written.
mod file {
    use super::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Ring {
        pub(super) release_threshold: u8,
        pub(super) root_threshold: u8,
        #[serde(default)]
        pub(super) key: Vec<Key>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Key {
        pub(super) name: String,
        pub(super) public: String,
        pub(super) roles: Vec<Role>,
        #[serde(default)]
        pub(super) development: bool,
        #[serde(default)]
        pub(super) spare: bool,
    }

    #[derive(Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    pub(super) enum Role {
        Release,
        Root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_KEY: &str = "
        release_threshold = 1
        root_threshold = 1
        [[key]]
        name = \"alice\"
        public = \"1111111111111111111111111111111111111111111111111111111111111111\"
        roles = [\"release\", \"root\"]
    ";

    fn refusal(from: &str, to: &str) -> String {
        let text = ONE_KEY.replace(from, to);
        assert_ne!(text, ONE_KEY, "nothing was replaced");
        Ring::parse(&text).unwrap_err().to_string()
    }

    fn ring_of(keys: usize) -> String {
        let head = "release_threshold = 1\nroot_threshold = 1\n";
        (0..keys).fold(head.into(), |text, key| {
            let public = hex::encode(&[u8::try_from(key).unwrap(); 32]);
            format!("{text}[[key]]\nname = \"k{key}\"\npublic = \"{public}\"\nroles = [\"root\"]\n")
        })
    }

    #[test]
    fn a_ring_of_one_key_is_read() {
        let ring = Ring::parse(ONE_KEY).unwrap();
        let roles = Roles {
            release: true,
            root: true,
        };
        assert_eq!(ring.keys, [RingKey::new("alice", [0x11; 32], roles)]);
        assert!(ring.check_complete().is_ok());
        assert!(ring.check_development(false).is_ok());
    }

    #[test]
    fn a_threshold_of_zero_is_refused() {
        for field in ["release_threshold", "root_threshold"] {
            let message = refusal(&format!("{field} = 1"), &format!("{field} = 0"));
            assert!(message.starts_with(&format!("{field}: found 0, expected 1 to 8")));
        }
    }

    #[test]
    fn a_threshold_above_the_most_signatures_is_refused() {
        let message = refusal("root_threshold = 1", "root_threshold = 9");
        assert!(message.starts_with("root_threshold: found 9, expected 1 to 8"));
    }

    #[test]
    fn thresholds_that_the_keys_cannot_meet_are_incomplete() {
        for (role, other) in [("release", "root"), ("root", "release")] {
            let roles = format!("[\"{role}\"]");
            let text = ONE_KEY.replace("[\"release\", \"root\"]", &roles);
            let message = Ring::parse(&text)
                .unwrap()
                .check_complete()
                .unwrap_err()
                .to_string();
            assert!(
                message.starts_with(&format!("{other}_threshold: found 1, expected at most 0")),
                "{message}"
            );
        }
    }

    #[test]
    fn development_keys_are_for_emulated_boards_only() {
        let text = format!("{ONE_KEY}\ndevelopment = true");
        let ring = Ring::parse(&text).unwrap();
        assert!(ring.check_development(true).is_ok());
        let message = ring.check_development(false).unwrap_err().to_string();
        assert!(message.starts_with("key `alice`: found a development key"));
    }

    #[test]
    fn sixteen_keys_fit_and_seventeen_do_not() {
        assert!(Ring::parse(&ring_of(16)).is_ok());
        let message = Ring::parse(&ring_of(17)).unwrap_err().to_string();
        assert_eq!(message, "[[key]]: found 17 keys, expected 1 to 16");
    }

    #[test]
    fn a_ring_without_keys_is_refused() {
        let message = Ring::parse(&ring_of(0)).unwrap_err().to_string();
        assert_eq!(message, "[[key]]: found 0 keys, expected 1 to 16");
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        let text = ring_of(2).replace("k1", "k0");
        let message = Ring::parse(&text).unwrap_err().to_string();
        assert_eq!(
            message,
            "key.name: found `k0` twice, expected each name once"
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let text = ring_of(2).replace(&hex::encode(&[1; 32]), &hex::encode(&[0; 32]));
        let message = Ring::parse(&text).unwrap_err().to_string();
        assert!(message.starts_with("keys `k0` and `k1`: found the same id"));
    }

    #[test]
    fn a_public_key_of_another_length_is_refused() {
        let message = refusal("1111\"", "11\"");
        assert!(message.contains("expected 64 hexadecimal digits"));
    }

    #[test]
    fn a_key_without_roles_is_refused() {
        let message = refusal("[\"release\", \"root\"]", "[]");
        assert!(message.starts_with("key `alice`, roles: found none"));
    }

    #[test]
    fn a_role_that_does_not_exist_is_refused_with_its_line() {
        let message = refusal("\"root\"", "\"admin\"");
        assert!(
            message.starts_with("line 7: unknown variant `admin`"),
            "{message}"
        );
    }

    #[test]
    fn a_name_that_would_not_be_a_file_name_is_refused() {
        for name in ["", "a/b", "a b", "..", "é"] {
            let message = refusal("\"alice\"", &format!("\"{name}\""));
            assert!(message.starts_with("key.name: found"), "{message}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(refusal("roles", "comment = \"\"\nroles").contains("unknown field `comment`"));
    }
}
