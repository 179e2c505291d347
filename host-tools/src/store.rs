//! A directory of images, each under its digest, and the name that points at the newest.
//!
//! ```text
//!   images/<digest>.img               the image whose manifest has this digest (64 hexadecimal digits)
//!   sboms/<digest>.cdx.json           the bill of materials with this digest, which a manifest names
//!   provenance/<digest>.intoto.json   the provenance with this digest, which a manifest names
//!   latest/<channel>                  the digest of what was published last on this channel, and a newline
//!   reports.jsonl                     see `reports`
//! ```
//!
//! Each file is replaced in one step, and an image is there before anything points at it. So the
//! directory can be served while it changes, and copied to any static file server.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bistable_core::digest::Digest;
use bistable_core::header::Header;
use bistable_core::layout::HEADER_LEN;
use bistable_core::manifest::Manifest;
use schemars::JsonSchema;
use serde::Serialize;

use crate::image::records::{Kind, Record};
use crate::{Error, atomic, hex};

/// A store of images.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// Where devices look for their newest image: a name of small letters, digits and `-`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Channel(String);

/// An image that may be published: looked at, with its records.
#[derive(Clone, Debug)]
pub struct Publication {
    digest: Digest,
    bytes: Vec<u8>,
    sbom: Record,
    provenance: Record,
}

impl Publication {
    /// Reads the image at `path`, and the records that lie beside it.
    ///
    /// # Errors
    /// The file is no image, or a record beside it is not the one that it names.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(Error::io(path, "read the image"))?;
        let manifest = manifest_of(&bytes).map_err(|found| {
            Error::unexpected(
                path,
                found,
                "an image, which begins with a header of 1024 bytes",
                "make one with `bistable image`",
            )
        })?;
        let record = |kind| {
            let record = Record::of(kind, path, &manifest, None)?;
            record.expect_no_other()?;
            Ok::<_, Error>(record)
        };
        Ok(Self {
            digest: manifest.digest(),
            sbom: record(Kind::Sbom)?,
            provenance: record(Kind::Provenance)?,
            bytes,
        })
    }
}

/// What was put into a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The image's name.
    pub digest: Digest,
    /// Its bill of materials.
    pub sbom: Kept,
    /// Its provenance.
    pub provenance: Kept,
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// The image names none.
    None,
    /// It is in the store.
    Stored,
    /// The image names one that did not lie beside it.
    Missing,
}

impl Store {
    /// The store in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// The directories cannot be made.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        for part in ["images", "latest", "sboms", "provenance"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).map_err(Error::io(&path, "make the directory"))?;
        }
        let directory = directory.into();
        Ok(Self { directory })
    }

    /// The store in `directory`, which must be there.
    ///
    /// # Errors
    /// It is no store.
    pub fn existing(directory: &Path) -> Result<Self, Error> {
        if !directory.join("images").is_dir() {
            return Err(Error::unexpected(
                directory,
                "no directory `images`",
                "a store of images",
                "`bistable publish` makes one",
            ));
        }
        let directory = directory.into();
        Ok(Self { directory })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the image with this digest lies, if it is there.
    #[must_use]
    pub fn image_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("images").join(format!("{digest}.img"))
    }

    /// Where the record with this digest lies, if it is there.
    #[must_use]
    pub fn record_path(&self, kind: Kind, digest: &Digest) -> PathBuf {
        let folder = match kind {
            Kind::Sbom => "sboms",
            Kind::Provenance => "provenance",
        };
        let name = format!("{digest}.{}", kind.extension());
        self.directory.join(folder).join(name)
    }

    /// Copies an image and its records into the store, and makes it the newest of `channel`.
    ///
    /// An image that was published before is replaced: it may carry more signatures now.
    ///
    /// # Errors
    /// One of the files cannot be written: then the channel still points where it did.
    pub fn publish(&self, image: &Publication, channel: &Channel) -> Result<Published, Error> {
        let Publication { digest, bytes, .. } = image;
        let digest = *digest;
        let sbom = self.keep(Kind::Sbom, &image.sbom)?;
        let provenance = self.keep(Kind::Provenance, &image.provenance)?;
        let path = self.image_path(&digest);
        atomic::replace(&path, bytes).map_err(Error::io(&path, "write the image"))?;
        let path = self.latest_path(channel);
        let line = format!("{digest}\n");
        atomic::replace(&path, line.as_bytes()).map_err(Error::io(&path, "write the digest"))?;
        Ok(Published {
            digest,
            sbom,
            provenance,
        })
    }

    /// Copies a record into the store.
    fn keep(&self, kind: Kind, record: &Record) -> Result<Kept, Error> {
        match record {
            Record::None => Ok(Kept::None),
            Record::Missing(digest) if self.record_path(kind, digest).exists() => Ok(Kept::Stored),
            Record::Missing(_) | Record::Other { .. } => Ok(Kept::Missing),
            Record::Found(found) => {
                let path = self.record_path(kind, &found.digest);
                atomic::replace(&path, &found.bytes)
                    .map_err(Error::io(&path, "write the record"))?;
                Ok(Kept::Stored)
            }
        }
    }

    /// The images, in the order of their digests.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn images(&self) -> Result<Vec<PathBuf>, Error> {
        let images = names(&self.directory.join("images"))?.into_iter();
        let images = images.filter(|path| path.extension().is_some_and(|it| it == "img"));
        Ok(images.collect())
    }

    /// The channels, in the order of their names, and what was published last on each.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn channels(&self) -> Result<Vec<(Channel, Digest)>, Error> {
        let mut channels = Vec::new();
        for path in names(&self.directory.join("latest"))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What is written just now has a name that no channel has.
            let Ok(channel) = name.parse::<Channel>() else {
                continue;
            };
            if let Some(digest) = self.latest(&channel)? {
                channels.push((channel, digest));
            }
        }
        Ok(channels)
    }

    /// What was published last on `channel`.
    ///
    /// # Errors
    /// The file cannot be read, or holds anything but a digest.
    pub fn latest(&self, channel: &Channel) -> Result<Option<Digest>, Error> {
        let path = self.latest_path(channel);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io(&path, "read the digest"))?,
        };
        let mut text = String::new();
        file.take(Digest::LEN as u64 * 2 + 2)
            .read_to_string(&mut text)
            .map_err(Error::io(&path, "read the digest"))?;
        let digest = hex::decode(text.trim_end()).map(Digest).ok_or_else(|| {
            Error::unexpected(
                &path,
                format!("{:?}", text.trim_end()),
                "64 hexadecimal digits",
                "publish an image again",
            )
        })?;
        Ok(Some(digest))
    }

    fn latest_path(&self, channel: &Channel) -> PathBuf {
        self.directory.join("latest").join(&channel.0)
    }
}

/// The files in a directory, sorted.
fn names(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let doing = "read the directory";
    let entries = fs::read_dir(directory).map_err(Error::io(directory, doing))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: io::Result<Vec<_>> = paths.collect();
    let mut paths = paths.map_err(Error::io(directory, doing))?;
    paths.sort();
    Ok(paths)
}

/// An image's manifest, or what the bytes are instead.
pub(crate) fn manifest_of(image: &[u8]) -> Result<Manifest, String> {
    let header = image
        .first_chunk::<HEADER_LEN>()
        .ok_or_else(|| format!("{} bytes", image.len()))?;
    let header = Header::new_checked(header).map_err(|refusal| refusal.to_string())?;
    Ok(*header.manifest())
}

impl Channel {
    /// The one that devices use which were told nothing else.
    #[must_use]
    pub fn stable() -> Self {
        Self("stable".into())
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text.into()));
        }
        Err("a channel is named by 1 to 64 small letters, digits and `-`".into())
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use bistable_core::header;
    use bistable_core::manifest::{Fields, Manifest};

    use super::*;
    use crate::keys::{Signer as _, SigningKey};

    fn manifest(sequence: u32) -> Manifest {
        Manifest::new(&Fields {
            sequence,
            payload_len: 4,
            chunk_size: 1024,
            first_page_len: 1,
            trial_attempts: 1,
            trial_seconds: 1,
            ..Fields::default()
        })
        .unwrap()
    }

    fn image(manifest: &Manifest, keys: &[SigningKey]) -> Vec<u8> {
        let mut signatures: Vec<_> = keys
            .iter()
            .map(|key| key.sign_manifest(manifest).unwrap())
            .collect();
        let header = header::assemble(manifest, &mut signatures).unwrap();
        [header.as_slice(), b"pages and chunks"].concat()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        (directory, store)
    }

    fn publish(store: &Store, bytes: &[u8]) -> Result<Digest, Error> {
        let path = store.directory().join("image");
        fs::write(&path, bytes).unwrap();
        let published = store.publish(&Publication::read(&path)?, &Channel::stable())?;
        Ok(published.digest)
    }

    #[test]
    fn nothing_is_the_newest_of_an_empty_store() {
        let (_directory, store) = store();
        assert_eq!(store.latest(&Channel::stable()).unwrap(), None);
    }

    #[test]
    fn what_is_published_is_the_newest_and_lies_under_its_digest() {
        let (_directory, store) = store();
        let manifest = manifest(1);
        let bytes = image(&manifest, &[]);
        let digest = publish(&store, &bytes).unwrap();
        assert_eq!(digest, Digest::of(manifest.as_bytes()));
        assert_eq!(store.latest(&Channel::stable()).unwrap(), Some(digest));
        assert_eq!(fs::read(store.image_path(&digest)).unwrap(), bytes);
    }

    #[test]
    fn a_newer_image_leaves_the_older_one_where_it_is() {
        let (_directory, store) = store();
        let older = publish(&store, &image(&manifest(1), &[])).unwrap();
        let newer = publish(&store, &image(&manifest(2), &[])).unwrap();
        assert_eq!(store.latest(&Channel::stable()).unwrap(), Some(newer));
        assert!(store.image_path(&older).exists());
    }

    #[test]
    fn another_signature_replaces_the_image_under_the_same_digest() {
        let (_directory, store) = store();
        let manifest = manifest(1);
        let before = publish(&store, &image(&manifest, &[])).unwrap();
        let signed = image(&manifest, &[SigningKey::generate()]);
        assert_eq!(publish(&store, &signed).unwrap(), before);
        assert_eq!(fs::read(store.image_path(&before)).unwrap(), signed);
    }

    #[test]
    fn what_is_no_image_is_refused_and_changes_nothing() {
        let (_directory, store) = store();
        let good = publish(&store, &image(&manifest(1), &[])).unwrap();
        let mut bytes = image(&manifest(2), &[]);
        bytes[0] ^= 1;
        for (bad, found) in [
            (&bytes[..], "B001 NotAManifest"),
            (&bytes[..1023], "1023 bytes"),
        ] {
            let message = publish(&store, bad).unwrap_err().to_string();
            assert!(message.contains(&format!("found {found}")), "{message}");
        }
        assert_eq!(store.latest(&Channel::stable()).unwrap(), Some(good));
        assert_eq!(
            fs::read_dir(store.directory().join("images"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn channels_point_at_images_of_their_own() {
        let (directory, store) = store();
        let path = directory.path().join("image");
        fs::write(&path, image(&manifest(1), &[])).unwrap();
        let beta: Channel = "beta".parse().unwrap();
        let image = Publication::read(&path).unwrap();
        let digest = store.publish(&image, &beta).unwrap().digest;
        assert_eq!(store.latest(&beta).unwrap(), Some(digest));
        assert_eq!(store.latest(&Channel::stable()).unwrap(), None);
    }

    #[test]
    fn a_record_lies_in_the_store_before_the_image_and_another_one_is_refused() {
        let (directory, store) = store();
        let path = directory.path().join("v1.img");
        let bill = b"what is in it";
        let named = Digest::of(bill);
        let fields = Fields {
            sbom: named,
            ..manifest(1).fields()
        };
        let image = image(&Manifest::new(&fields).unwrap(), &[]);
        fs::write(&path, image).unwrap();
        let publish = || store.publish(&Publication::read(&path)?, &Channel::stable());
        fs::write(Kind::Sbom.beside(&path), b"what is in another one").unwrap();
        let message = publish().unwrap_err().to_string();
        assert!(
            message.contains("v1.img.cdx.json: found a file with"),
            "{message}"
        );
        assert_eq!(store.images().unwrap().len(), 0);
        fs::write(Kind::Sbom.beside(&path), bill).unwrap();
        let published = publish().unwrap();
        assert_eq!(
            (published.sbom, published.provenance),
            (Kept::Stored, Kept::None)
        );
        let kept = fs::read(store.record_path(Kind::Sbom, &named)).unwrap();
        assert_eq!(kept, bill);
        fs::remove_file(Kind::Sbom.beside(&path)).unwrap();
        assert_eq!(publish().unwrap().sbom, Kept::Stored, "it was there before");
    }

    #[test]
    fn a_channel_that_would_leave_its_directory_is_refused() {
        for name in ["", "..", "../images", "a/b", "A", ".hidden"] {
            assert!(name.parse::<Channel>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_digest_that_was_damaged_is_an_error_with_its_file() {
        let (_directory, store) = store();
        fs::write(store.directory().join("latest/stable"), "beef\n").unwrap();
        let message = store.latest(&Channel::stable()).unwrap_err().to_string();
        assert!(
            message.contains("latest/stable: found \"beef\""),
            "{message}"
        );
    }
}
