//! Birth records: what went into each unit, who says so, and when. A file of signed lines, each of which names
//! the one before it.
//!
//! ```text
//!   {"birth":{"number":1,"previous":"00…","unit":"BST-000042",…},"key":"8 digits","signature":"128 digits"}
//! ```
//!
//! Signed are [`SIGNING_DOMAIN`] and the bytes of the object behind `"birth":`, as they lie in the line; nothing is
//! written again to be checked. `previous` is the SHA-256 of the whole line before it, without its line end. Lines
//! are only ever added.
//!
//! | file | idea |
//! | --- | --- |
//! | [`sealed`] | a line: an object, and who signed it |
//! | [`audit`](mod@audit) | a whole file: which line is removed, changed, moved or added, if any |
//! | [`lives`] | what may be recorded of a serial number after what |
//! | [`head`] | how many lines there are, signed, so that the last ones are missed too |
//! | [`scratch`] | what was seen of each serial number, on disk, in a file without a name |

pub mod audit;
pub mod head;
pub mod lives;
pub mod scratch;
pub mod sealed;

pub use audit::{Audited, Auditor, Broken, audit};
pub use head::Head;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::keys::Signer;

/// What is signed is this prefix and the record.
pub const SIGNING_DOMAIN: &[u8; 18] = b"bistable/birth/v1\0";

/// What is known about a unit when it leaves a station. Digests, keys and hashes are in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Birth {
    /// Of the record in its file, from 1.
    pub number: u64,
    /// The SHA-256 of the line before it; 64 zeros in the first one.
    pub previous: String,
    /// What happened.
    pub event: Event,
    /// The unit's serial number.
    pub unit: String,
    /// How often this serial number was provisioned: 1, and one more for each rework.
    pub life: u32,
    /// Why the unit is made again; `None` in its first life.
    pub rework: Option<String>,
    /// Of the board.
    pub hardware_revision: u16,
    /// What was measured, by name.
    pub calibration: BTreeMap<String, i32>,
    /// The unit's public key (Ed25519); `None` until the device has made it.
    pub device_key: Option<String>,
    /// Where the private key was made.
    pub key_made: KeyMade,
    /// The digest of the image that the unit starts with.
    pub image: String,
    /// That image's version.
    pub version: String,
    /// The digest of the layout.
    pub layout: String,
    /// The SHA-256 of the flash file that all units have in common.
    pub common: String,
    /// The SHA-256 of the identity block.
    pub identity: String,
    /// The SHA-256 of the list that the unit came from.
    pub batch: String,
    /// These tools' version.
    pub tool: String,
    /// The station's name.
    pub station: String,
    /// The operator's name.
    pub operator: String,
    /// When the work on the unit began (RFC 3339, in UTC).
    pub began: String,
    /// When it was done.
    pub done: String,
    /// The SHA-256 of what was read back from the unit's flash; `None` if it was not flashed here.
    pub read_back: Option<String>,
    /// What is locked; `None` if it was not flashed here.
    pub locks: Option<Locks>,
}

/// What happened to a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was given its serial number, its key and its identity file.
    Provisioned,
    /// It was flashed, read back, tried and locked.
    Flashed,
}

/// Where a private key was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyMade {
    /// By these tools, which wiped it once it was in the device.
    ByTool,
    /// On the device, which it never left.
    OnDevice,
}

/// What is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Locks {
    /// The device's key.
    pub key: bool,
    /// Reading the flash from outside.
    pub readout: bool,
    /// Writing the bootloader.
    pub bootloader: bool,
}

/// The name of a record in its line.
const KIND: &str = "birth";

/// The line of `birth`, without its end.
///
/// # Errors
/// The key does not sign.
pub fn seal(birth: &Birth, signer: &dyn Signer) -> Result<String, Error> {
    sealed::seal(KIND, SIGNING_DOMAIN, birth, signer)
}

/// The record in a line, whoever signed it; `None` if there is none.
#[must_use]
pub fn read(line: &str) -> Option<Birth> {
    sealed::Sealed::parse(KIND, line)?.body()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::hex;
    use crate::keys::SigningKey;
    use bistable_core::digest::Digest;

    /// The first record of a unit.
    pub(crate) fn birth(serial: &str) -> Birth {
        let zeros = || "00".repeat(32);
        Birth {
            number: 0,
            previous: zeros(),
            event: Event::Provisioned,
            unit: serial.into(),
            life: 1,
            rework: None,
            hardware_revision: 3,
            calibration: BTreeMap::from([("offset-mv".into(), -12)]),
            device_key: Some("11".repeat(32)),
            key_made: KeyMade::ByTool,
            image: zeros(),
            version: "1.0.0".into(),
            layout: zeros(),
            common: zeros(),
            identity: zeros(),
            batch: zeros(),
            tool: "0.1.0".into(),
            station: "line-3".into(),
            operator: "ada".into(),
            began: "2026-11-22T04:00:00Z".into(),
            done: "2026-11-22T04:00:01Z".into(),
            read_back: None,
            locks: None,
        }
    }

    /// The lines of these records, chained, each with its end.
    fn chain(births: &[Birth], key: &dyn Signer) -> Vec<String> {
        let mut previous = Digest::NONE;
        let sealed = births.iter().zip(1..).map(|(birth, number)| {
            let birth = Birth {
                number,
                previous: hex::encode(&previous.0),
                ..birth.clone()
            };
            let line = seal(&birth, key).unwrap();
            previous = Digest::of(line.as_bytes());
            line + "\n"
        });
        sealed.collect()
    }

    fn five(key: &dyn Signer) -> Vec<String> {
        let births: Vec<_> = ["A", "B", "C", "D", "E"].map(birth).into();
        chain(&births, key)
    }

    fn broken(lines: &[String], key: &dyn Signer) -> String {
        let error = audit(lines.concat().as_bytes(), &[key.public()], |_| {}).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_whole_file_is_whole_and_every_record_is_shown_once() {
        let key = SigningKey::generate();
        let lines = five(&key);
        let mut units = String::new();
        let audited = audit(lines.concat().as_bytes(), &[key.public()], |birth| {
            units += &birth.unit;
        })
        .unwrap();
        assert_eq!(units, "ABCDE");
        assert_eq!((audited.records, audited.units), (5, 5));
        assert_eq!(audited.head, Digest::of(lines[4].trim_end().as_bytes()));
        let nothing = audit(&b""[..], &[], |_| {}).unwrap();
        assert_eq!((nothing.records, nothing.head), (0, Digest::NONE));
    }

    #[test]
    fn a_line_that_is_removed_anywhere_but_at_the_end_is_missed() {
        let key = SigningKey::generate();
        for place in 0..4 {
            let mut lines = five(&key);
            lines.remove(place);
            let number = place + 1;
            let expected = format!("line {number}: removed: record {number} is missing before it");
            assert_eq!(broken(&lines, &key), expected);
        }
        let mut lines = five(&key);
        lines.drain(1..3);
        assert_eq!(
            broken(&lines, &key),
            "line 2: removed: records 2 to 3 are missing before it"
        );
    }

    #[test]
    fn lines_in_another_order_are_noticed_at_the_first_one() {
        let key = SigningKey::generate();
        let mut lines = five(&key);
        lines.swap(1, 3);
        assert_eq!(
            broken(&lines, &key),
            "line 2: reordered: it is record 4, and the one that belongs here is at line 4"
        );
    }

    #[test]
    fn a_line_that_stands_there_twice_is_noticed() {
        let key = SigningKey::generate();
        for place in [2, 5] {
            let mut lines = five(&key);
            lines.insert(place, lines[1].clone());
            let expected = format!(
                "line {}: duplicated: it is record 2 again, which is at line 2",
                place + 1
            );
            assert_eq!(broken(&lines, &key), expected);
        }
    }

    #[test]
    fn any_byte_that_is_changed_is_noticed_at_its_line() {
        let key = SigningKey::generate();
        let lines = five(&key);
        for place in (0..lines[2].len()).step_by(7) {
            let mut bytes = lines.concat().into_bytes();
            bytes[lines[0].len() + lines[1].len() + place] ^= 1;
            let error = audit(bytes.as_slice(), &[key.public()], |_| {}).unwrap_err();
            assert_eq!(error.line, 3, "byte {place}: {error}");
        }
    }

    #[test]
    fn a_file_that_ends_within_a_line_is_cut() {
        let key = SigningKey::generate();
        let lines = five(&key);
        let text = lines.concat();
        for len in text.len() - lines[4].len() + 1..text.len() {
            let error = audit(&text.as_bytes()[..len], &[key.public()], |_| {}).unwrap_err();
            assert!(matches!((error.line, error.what), (5, audit::Breach::Cut)));
        }
    }

    #[test]
    fn lines_that_are_missing_at_the_end_are_missed_by_the_head_and_by_an_anchor() {
        let key = SigningKey::generate();
        let lines = five(&key);
        let last = Digest::of(lines[4].trim_end().as_bytes());
        let stations = [key.public()];
        let mut by_head = Auditor::new(&stations);
        by_head.head = Some(Head::new(5, last));
        let mut by_anchor = Auditor::new(&stations);
        by_anchor.anchor = Some(last);
        let [whole, short] = [&lines[..], &lines[..3]].map(<[String]>::concat);
        for (auditor, breach) in [(&by_head, "truncated: "), (&by_anchor, "truncated or ")] {
            auditor.run(whole.as_bytes(), |_| {}).unwrap();
            let error = auditor.run(short.as_bytes(), |_| {}).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("line 4: {breach}")),
                "{error}"
            );
        }
        assert_eq!(
            by_anchor.run(whole.as_bytes(), |_| {}).unwrap().anchored,
            Some(5)
        );
        by_head.head = Some(Head::new(4, last));
        let error = by_head.run(whole.as_bytes(), |_| {}).unwrap_err();
        assert!(matches!(
            (error.line, error.what),
            (4, audit::Breach::OtherHead)
        ));
    }

    #[test]
    fn a_station_that_nobody_knows_signs_in_vain() {
        let [key, other] = [(); 2].map(|()| SigningKey::generate());
        let lines = five(&key);
        let expected = format!("line 1: foreign: signed by the key {}", key.id());
        assert!(broken(&lines, &other).starts_with(&expected));
        // Two stations may write one file.
        let stations = [other.public(), key.public()];
        audit(lines.concat().as_bytes(), &stations, |_| {}).unwrap();
    }

    #[test]
    fn a_line_that_its_station_wrote_anew_is_noticed_at_the_next_one() {
        let key = SigningKey::generate();
        let mut lines = five(&key);
        let anew = chain(&["A", "B", "X"].map(birth), &key);
        lines[2].clone_from(&anew[2]);
        assert_eq!(
            broken(&lines, &key),
            "line 4: replaced: it follows another line than the one before it"
        );
    }

    #[test]
    fn a_serial_number_that_is_used_twice_in_one_life_is_noticed() {
        let key = SigningKey::generate();
        let lines = chain(&["A", "B", "A"].map(birth), &key);
        assert_eq!(
            broken(&lines, &key),
            "line 3: misused: A: a serial number that is in life 1 already"
        );
        let rework = Birth {
            life: 2,
            rework: Some("cracked board".into()),
            ..birth("A")
        };
        let lines = chain(&[birth("A"), birth("B"), rework], &key);
        let audited = audit(lines.concat().as_bytes(), &[key.public()], |_| {}).unwrap();
        assert_eq!((audited.units, audited.reworks), (2, 1));
    }

    #[test]
    fn a_line_without_an_end_fills_no_memory() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = audit(endless, &[], |_| {}).unwrap_err();
        assert!(matches!(
            (error.line, error.what),
            (1, audit::Breach::NoRecord)
        ));
    }
}
