//! `bistable key show`: the id and the public half of a key, or all keys of a ring.

use std::fs;
use std::path::PathBuf;

use bistable_core::keys::{KeyId, Roles};
use bistable_layout::{Ring, RingKey};

use crate::keys::{self, SigningKey};
use crate::{Error, hex};

/// Show a key's id and public half, or the table of a ring.
#[derive(clap::Args)]
pub struct Arguments {
    /// A private or public key (PEM), or a `ring.toml`.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The file is neither.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let path = &arguments.file;
    let text = fs::read_to_string(path).map_err(Error::io(path, "read the key or ring"))?;
    if !text.contains("-----BEGIN") {
        print!("{}", table(&Ring::read(path)?));
        return Ok(());
    }
    let public = match keys::public_from_pem(&text) {
        Some(public) => public,
        None => SigningKey::read(path)?.public(),
    };
    println!("id     {}", KeyId::of(&public));
    println!("public {}", hex::encode(&public));
    Ok(())
}

fn table(ring: &Ring) -> String {
    let width = ring.keys.iter().map(|entry| entry.name.len()).max();
    let width = width.unwrap_or_default().max("name".len());
    let mut text = format!(
        "release threshold {}, root threshold {}\n\n{:8}  {:width$}  {:12}  {:17}  public\n",
        ring.release_threshold, ring.root_threshold, "id", "name", "roles", ""
    );
    for entry in &ring.keys {
        text += &format!(
            "{}  {:width$}  {:12}  {:17}  {}\n",
            entry.key.id,
            entry.name,
            roles(entry.key.roles),
            marks(entry),
            hex::encode(&entry.key.public)
        );
    }
    text
}

fn roles(roles: Roles) -> &'static str {
    match (roles.release, roles.root) {
        (true, true) => "release,root",
        (true, false) => "release",
        (false, true) => "root",
        (false, false) => "none",
    }
}

fn marks(entry: &RingKey) -> &'static str {
    match (entry.development, entry.spare) {
        (true, true) => "development,spare",
        (true, false) => "development",
        (false, true) => "spare",
        (false, false) => "",
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
        let lines: Vec<_> = table(&ring)
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
