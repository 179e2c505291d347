//! What others get to know of the units' keys: a list of the public halves, or requests for certificates (PKCS#10,
//! RFC 2986), whose subject is the serial number.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bistable_updater::device_key::{DeviceKey as _, SoftwareKey};
use data_encoding::BASE64;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, PKCS_ED25519, PublicKeyData, SignatureAlgorithm,
    SigningKey,
};

use crate::factory::births::Birth;
use crate::factory::identity_file::{IdentityFile, Places};
use crate::factory::register::{Register, file_stem};
use crate::factory::units::{List, Unit};
use crate::keys::stack;
use crate::{Error, files, hex};

/// How many requests are written together.
const TOGETHER: usize = 512;

/// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Everybody may read a request.
const MODE: u32 = 0o644;

/// Writes the public keys of the list's units: CSV with serial number, life, key in hexadecimal digits, and key as
/// SubjectPublicKeyInfo in Base64, which between the two lines of `PUBLIC KEY` is PEM.
///
/// # Errors
/// A unit has no key; or the file cannot be written.
pub fn write_list(path: &Path, list: &List<'_>, register: &Register) -> Result<(), Error> {
    let refused =
        |error: csv::Error| Error::io(path, "write the list of keys")(io::Error::other(error));
    files::write_streamed(path, |file| {
        let mut rows = csv::Writer::from_writer(file);
        rows.write_record(["serial", "life", "public_key", "spki"])
            .map_err(refused)?;
        list.read(|unit| {
            let birth = born(&unit, list, register)?;
            let key = birth.device_key.unwrap_or_default();
            let public = hex::decode::<32>(&key).unwrap_or_default();
            let spki = BASE64.encode(&[&SPKI_HEAD[..], &public].concat());
            rows.write_record([&birth.unit, &birth.life.to_string(), &key, &spki])
                .map_err(refused)
        })?;
        rows.flush()
            .map_err(Error::io(path, "write the list of keys"))
    })
}

/// Writes a request for each of the list's units that still has its identity file; returns how many have, and how
/// many have not. The same unit in the same life gives the same request.
///
/// # Errors
/// An identity file is damaged, or not that of the recorded key; or a file cannot be written.
pub fn write_requests(
    folder: &Path,
    list: &List<'_>,
    register: &Register,
    places: Places,
) -> Result<(u64, u64), Error> {
    fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder of the requests"))?;
    let mut group = Vec::new();
    let (mut written, mut without) = (0, 0);
    list.read(|unit| {
        let birth = born(&unit, list, register)?;
        let path = register.identity_file(&birth.unit);
        if !path.exists() {
            without += 1;
            return Ok(());
        }
        let file = IdentityFile::read(&path, places)?;
        if file.public().map(|public| hex::encode(&public)) != birth.device_key {
            return Err(Error::unexpected(
                &path,
                "another key than the recorded one",
                "that of the unit's last record",
                "somebody changed it: make the unit again with --rework",
            ));
        }
        group.push((stem(folder, &birth), request(&birth.unit, &file)?));
        written += 1;
        match group.len() >= TOGETHER {
            true => write_group(&mut group),
            false => Ok(()),
        }
    })?;
    write_group(&mut group)?;
    files::sync_folder(folder)?;
    Ok((written, without))
}

fn born(unit: &Unit, list: &List<'_>, register: &Register) -> Result<Birth, Error> {
    let serial = &unit.identity.serial;
    register.last(serial)?.ok_or_else(|| {
        Error::argument(
            list.line(unit.line),
            format!("`{serial}`, which has no record"),
            "a unit of the list that was provisioned",
            "somebody changed the list while it was provisioned",
        )
    })
}

/// Where the request of a unit goes; a later life says which.
fn stem(folder: &Path, birth: &Birth) -> PathBuf {
    let stem = file_stem(&birth.unit);
    folder.join(match birth.life {
        1 => format!("{stem}.csr.pem"),
        life => format!("{stem}.life{life}.csr.pem"),
    })
}

fn write_group(group: &mut Vec<(PathBuf, String)>) -> Result<(), Error> {
    let temporary: Vec<_> = group
        .iter()
        .map(|(path, text)| (path.with_extension("tmp"), text.as_str()))
        .collect();
    files::write_many(&temporary, MODE)?;
    for ((from, _), (to, _)) in temporary.iter().zip(group.iter()) {
        fs::rename(from, to).map_err(Error::io(to, "write the request"))?;
    }
    group.clear();
    Ok(())
}

/// The request in PEM.
fn request(serial: &str, file: &IdentityFile) -> Result<String, Error> {
    let refused = |found: String| {
        Error::argument(
            format!("the request of `{serial}`"),
            found,
            "a request for a certificate",
            "the unit is recorded; leave --csr away, and tell those who make these tools",
        )
    };
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, serial);
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = subject;
    stack::wiped(|| {
        let seed = file.seed().ok_or_else(|| refused("no key".into()))?;
        let key = Subject::new(&seed);
        let made = parameters.serialize_request(&key);
        let pem = made.and_then(|request| request.pem());
        pem.map_err(|error| refused(error.to_string()))
    })
}

/// The unit, as the one who asks.
struct Subject {
    seed: zeroize::Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Subject {
    fn new(seed: &[u8; 32]) -> Self {
        Self {
            seed: zeroize::Zeroizing::new(*seed),
            public: SoftwareKey::from_seed(*seed).public(),
        }
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Subject {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = SoftwareKey::from_seed(*self.seed).sign(message);
        signature
            .map(Vec::from)
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
