//! How a ring's file is changed: a key goes behind what is there, a threshold into its place, so that
//! people's comments stay.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use bistable_core::keys::Roles;
use serde::Deserialize;
use toml::Spanned;

use crate::atomic;
use crate::error::{Error, Problem};
use crate::hex;
use crate::ring::{self, Ring, RingKey};

const HEAD: &str = "\
# The key ring: public keys only. It is compiled into the bootloader and cannot be replaced in the
# field. The order of the keys never changes.
release_threshold = 1 # how many release keys must sign an image
root_threshold = 1    # how many root keys must sign an image that revokes keys
";

/// Adds `key` at the end of the ring at `path`, which is made with thresholds of 1 if it is not there.
///
/// The file is replaced in one step. Others who add keys at the same time are waited for.
///
/// # Errors
/// The ring, with this key, breaks a rule: then the file is as it was.
pub fn append(path: &Path, key: &RingKey) -> Result<Ring, Error> {
    let directory = atomic::directory_of(path);
    let doing = "make the ring's directory";
    fs::create_dir_all(directory).map_err(|source| Problem::Io { doing, source }.at(path))?;
    change(path, || with(path, key))
}

/// How many keys must sign from now on; what is `None` stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Thresholds {
    /// Release keys, for an image or a request.
    pub release: Option<u8>,
    /// Root keys, for an image that revokes keys.
    pub root: Option<u8>,
}

/// Changes the thresholds of the ring at `path`, and nothing else in its file.
///
/// The file is replaced in one step. Others who change the ring at the same time are waited for.
///
/// # Errors
/// There is no ring, or with these thresholds it breaks a rule: then the file is as it was.
pub fn set_thresholds(path: &Path, thresholds: Thresholds) -> Result<Ring, Error> {
    change(path, || {
        let doing = "read the key ring";
        let text =
            fs::read_to_string(path).map_err(|source| Problem::Io { doing, source }.at(path))?;
        let text = with_thresholds(text, thresholds).map_err(|problem| problem.at(path))?;
        let ring = Ring::parse(&text).map_err(|problem| problem.at(path))?;
        Ok((text, ring))
    })
}

/// Writes the text that `make` makes, with nobody else changing a ring of this directory meanwhile.
fn change(
    path: &Path,
    make: impl FnOnce() -> Result<(String, Ring), Error>,
) -> Result<Ring, Error> {
    let problem = |doing| move |source| Problem::Io { doing, source }.at(path);
    let directory = atomic::directory_of(path);
    // The lock is the directory's: the file itself is replaced by another one.
    let lock = File::open(directory).map_err(problem("open the ring's directory"))?;
    lock.lock().map_err(problem("lock the ring's directory"))?;
    let (text, ring) = make()?;
    atomic::replace(path, text.as_bytes()).map_err(problem("write the key ring"))?;
    Ok(ring)
}

/// Where the thresholds stand in the text.
#[derive(Deserialize)]
struct Places {
    release_threshold: Spanned<u8>,
    root_threshold: Spanned<u8>,
}

fn with_thresholds(mut text: String, thresholds: Thresholds) -> Result<String, Problem> {
    let places: Places = toml::from_str(&text).map_err(|error| Problem::syntax(&text, &error))?;
    let mut changes = [
        (places.release_threshold.span(), thresholds.release),
        (places.root_threshold.span(), thresholds.root),
    ];
    // From the end, so that the places before it stay where they are.
    changes.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    for (span, threshold) in changes {
        if let Some(threshold) = threshold {
            text.replace_range(span, &threshold.to_string());
        }
    }
    Ok(text)
}

/// Asks whether `key` could be added to the ring at `path`. Nothing is written.
///
/// # Errors
/// The ring, with this key, would break a rule.
pub fn check(path: &Path, key: &RingKey) -> Result<(), Error> {
    with(path, key).map(|_| ())
}

fn with(path: &Path, key: &RingKey) -> Result<(String, Ring), Error> {
    ring::check_name(&key.name).map_err(|problem| problem.at(path))?;
    let doing = "read the key ring";
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => HEAD.into(),
        Err(source) => return Err(Problem::Io { doing, source }.at(path)),
    };
    let text = format!("{}\n\n{}", before.trim_end(), entry(key));
    let ring = Ring::parse(&text).map_err(|problem| problem.at(path))?;
    Ok((text, ring))
}

fn entry(key: &RingKey) -> String {
    let RingKey {
        name,
        key,
        development,
        spare,
    } = key;
    let mut text = format!(
        "[[key]]\nname = \"{name}\" # id {}\npublic = \"{}\"\nroles = [{}]\n",
        key.id,
        hex::encode(&key.public),
        roles(key.roles),
    );
    if *development {
        text.push_str("development = true\n");
    }
    if *spare {
        text.push_str("spare = true\n");
    }
    text
}

fn roles(roles: Roles) -> &'static str {
    match (roles.release, roles.root) {
        (true, true) => "\"release\", \"root\"",
        (true, false) => "\"release\"",
        (false, true) => "\"root\"",
        (false, false) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Roles = Roles {
        release: true,
        root: true,
    };

    #[test]
    fn what_is_appended_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/ring.toml");
        let first = RingKey {
            development: true,
            spare: true,
            ..RingKey::new("first", [1; 32], BOTH)
        };
        let only_root = Roles {
            release: false,
            root: true,
        };
        let second = RingKey::new("second", [2; 32], only_root);
        append(&path, &first).unwrap();
        let ring = append(&path, &second).unwrap();
        assert_eq!(ring.keys, [first, second]);
        assert_eq!((ring.release_threshold, ring.root_threshold), (1, 1));
        assert_eq!(Ring::read(&path).unwrap(), ring);
    }

    #[test]
    fn comments_and_thresholds_of_a_ring_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        append(&path, &RingKey::new("first", [1; 32], BOTH)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace("root_threshold = 1", "# two of three\nroot_threshold = 2");
        fs::write(&path, text).unwrap();
        let ring = append(&path, &RingKey::new("second", [2; 32], BOTH)).unwrap();
        assert_eq!(ring.root_threshold, 2);
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .contains("# two of three\n")
        );
    }

    #[test]
    fn a_threshold_is_changed_in_its_place_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        for name in ["first", "second"] {
            let number = name.len() as u8;
            append(&path, &RingKey::new(name, [number; 32], BOTH)).unwrap();
        }
        let before = fs::read_to_string(&path).unwrap();
        let two = Thresholds {
            release: Some(2),
            root: None,
        };
        let ring = set_thresholds(&path, two).unwrap();
        assert_eq!((ring.release_threshold, ring.root_threshold), (2, 1));
        let expected = before.replace("release_threshold = 1 #", "release_threshold = 2 #");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        let both = Thresholds {
            release: Some(1),
            root: Some(2),
        };
        set_thresholds(&path, both).unwrap();
        let expected = before.replace("root_threshold = 1 ", "root_threshold = 2 ");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_threshold_out_of_range_leaves_the_ring_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        append(&path, &RingKey::new("first", [1; 32], BOTH)).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        for number in [0, 9, 255] {
            let root = Some(number);
            let thresholds = Thresholds {
                root,
                ..Thresholds::default()
            };
            let message = set_thresholds(&path, thresholds).unwrap_err().to_string();
            assert!(message.contains("expected 1 to 8"), "{message}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        let nowhere = directory.path().join("other.toml");
        assert!(set_thresholds(&nowhere, Thresholds::default()).is_err());
        assert!(!nowhere.exists());
    }

    #[test]
    fn a_refused_key_leaves_the_ring_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        append(&path, &RingKey::new("first", [1; 32], BOTH)).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let twice = RingKey::new("first", [2; 32], BOTH);
        assert!(check(&path, &twice).is_err());
        assert!(append(&path, &twice).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn a_name_that_would_end_its_line_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        for name in ["a\" # ", "a\"\nspare = true #", ""] {
            assert!(append(&path, &RingKey::new(name, [1; 32], BOTH)).is_err());
        }
        assert!(!path.exists());
    }

    #[test]
    fn keys_that_are_added_at_the_same_time_are_all_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ring.toml");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                let key = RingKey::new(format!("key-{number}"), [number; 32], BOTH);
                scope.spawn(move || append(path, &key).unwrap());
            }
        });
        assert_eq!(Ring::read(&path).unwrap().keys.len(), 8);
    }
}
