//! `bistable key show`: the id and the public half of a key, or all keys of a ring.

use std::fmt::{self, Display};
use std::fs;

use bistable_core::keys::{KeyId, Roles};
use bistable_layout::{Ring, RingKey};
use schemars::JsonSchema;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::keys::{self, Passphrases, Source};
use crate::output::{Output, Report};
use crate::{Error, hex};

/// Show a key's id and public half, or the table of a ring.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable key show keys/ring.toml")]
pub struct Arguments {
    /// A private or public key (PEM), a `pkcs11:` URI, or a `ring.toml`.
    #[arg(value_name = "KEY|RING")]
    pub key: Source,
    /// What an encrypted key is opened with.
    #[command(flatten)]
    pub passphrases: Passphrases,
}

/// A key, or the keys of a ring and how many of them must agree.
#[derive(Serialize, JsonSchema)]
pub struct Shown {
    /// `null` for a key that stands alone.
    pub thresholds: Option<Thresholds>,
    /// In the ring's order.
    pub keys: Vec<ShownKey>,
}

/// How many keys must sign.
#[derive(Serialize, JsonSchema)]
pub struct Thresholds {
    /// Release keys: every image.
    pub release: u8,
    /// Root keys: an image that revokes keys.
    pub root: u8,
}

/// A key.
#[derive(Serialize, JsonSchema)]
pub struct ShownKey {
    /// 8 hexadecimal digits.
    pub id: String,
    /// 64 hexadecimal digits.
    pub public: String,
    /// What the ring says of it; `null` for a key that stands alone.
    pub entry: Option<Entry>,
}

/// What a ring says of a key.
#[derive(Serialize, JsonSchema)]
pub struct Entry {
    /// For people.
    pub name: String,
    /// `release`, `root`, or both.
    pub roles: Vec<&'static str>,
    /// Whether only emulated boards accept it.
    pub development: bool,
    /// Whether it is kept offline until another one is lost.
    pub spare: bool,
}

impl Report for Shown {
    const FORMAT: &'static str = "key-show/1";
}

/// Runs the command.
///
/// # Errors
/// The file is neither.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    if let Source::File(path) = &arguments.key {
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(Error::io(path, "read the key or ring"))?;
        if !text.contains("-----BEGIN") {
            return output.say(&Shown::ring(&Ring::read(path)?));
        }
    }
    let public = keys::public(&arguments.key, &arguments.passphrases)?;
    output.say(&Shown {
        thresholds: None,
        keys: vec![ShownKey::new(&public, None)],
    })
}

impl Shown {
    fn ring(ring: &Ring) -> Self {
        let entry = |key: &RingKey| ShownKey::new(&key.key.public, Some(Entry::of(key)));
        Self {
            thresholds: Some(Thresholds {
                release: ring.release_threshold,
                root: ring.root_threshold,
            }),
            keys: ring.keys.iter().map(entry).collect(),
        }
    }
}

impl ShownKey {
    fn new(public: &[u8; 32], entry: Option<Entry>) -> Self {
        Self {
            id: KeyId::of(public).to_string(),
            public: hex::encode(public),
            entry,
        }
    }
}

impl Entry {
    fn of(key: &RingKey) -> Self {
        Self {
            name: key.name.clone(),
            roles: roles(key.key.roles),
            development: key.development,
            spare: key.spare,
        }
    }

    fn marks(&self) -> &'static str {
        match (self.development, self.spare) {
            (true, true) => "development,spare",
            (true, false) => "development",
            (false, true) => "spare",
            (false, false) => "",
        }
    }
}

fn roles(roles: Roles) -> Vec<&'static str> {
    let all = [(roles.release, "release"), (roles.root, "root")];
    let has = all.into_iter().filter(|(has, _)| *has);
    has.map(|(_, name)| name).collect()
}

impl Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Thresholds { release, root }) = self.thresholds else {
            for ShownKey { id, public, .. } in &self.keys {
                writeln!(formatter, "id     {id}\npublic {public}")?;
            }
            return Ok(());
        };
        let entries = || self.keys.iter().filter_map(|key| key.entry.as_ref());
        let width = entries().map(|entry| entry.name.len()).max();
        let width = width.unwrap_or_default().max("name".len());
        writeln!(
            formatter,
            "release threshold {release}, root threshold {root}\n\n{:8}  {:width$}  {:12}  {:17}  public",
            "id", "name", "roles", ""
        )?;
        for (key, entry) in self.keys.iter().zip(entries()) {
            writeln!(
                formatter,
                "{}  {:width$}  {:12}  {:17}  {}",
                key.id,
                entry.name,
                entry.roles.join(","),
                entry.marks(),
                key.public
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_shown_as_a_table() {
        let root = Roles {
            release: false,
            root: true,
        };
        let ring = Ring {
            release_threshold: 1,
            root_threshold: 2,
            keys: vec![RingKey {
                spare: true,
                ..RingKey::new("vault", [1; 32], root)
            }],
        };
        let lines: Vec<_> = Shown::ring(&ring)
            .to_string()
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let key = format!("5ce98f16 vault root spare {}", "01".repeat(32));
        assert_eq!(
            lines,
            [
                "release threshold 1, root threshold 2",
                "",
                "id name roles public",
                &key
            ]
        );
    }
}
