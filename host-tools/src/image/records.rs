//! The records of an image: bill of materials and provenance. The manifest names them by their digests,
//! and they lie beside the image: `v1.img.cdx.json` and `v1.img.intoto.json`.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::manifest::Manifest;

use crate::{Error, files};

/// Which record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The software bill of materials.
    Sbom,
    /// How the image was built.
    Provenance,
}

/// What is there of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The manifest names none.
    None,
    /// The manifest names one that is not at hand.
    Missing(Digest),
    /// The file that the manifest names.
    Found(Found),
    /// The file is another one than the manifest names.
    Other {
        /// Which file.
        path: PathBuf,
        /// Its digest.
        found: Digest,
        /// The manifest's.
        named: Digest,
    },
}

/// A record that is the one that the manifest names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sbom, Self::Provenance];

    /// Where the record of the image at `image` lies.
    #[must_use]
    pub fn beside(self, image: &Path) -> PathBuf {
        let mut name = OsString::from(image);
        name.push(".");
        name.push(self.extension());
        name.into()
    }

    /// What such files are called behind the first dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Sbom => "cdx.json",
            Self::Provenance => "intoto.json",
        }
    }

    /// The digest that the manifest names, if it names one.
    #[must_use]
    pub fn named_by(self, manifest: &Manifest) -> Option<Digest> {
        let fields = manifest.fields();
        let digest = match self {
            Self::Sbom => fields.sbom,
            Self::Provenance => fields.provenance,
        };
        (digest != Digest::NONE).then_some(digest)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sbom => "bill of materials",
            Self::Provenance => "provenance",
        })
    }
}

impl Record {
    /// The record of an image: the file that was `given`, else the one beside the image.
    ///
    /// # Errors
    /// A file cannot be read, or one was given and the manifest names none.
    pub fn of(
        kind: Kind,
        image: &Path,
        manifest: &Manifest,
        given: Option<&Path>,
    ) -> Result<Self, Error> {
        let Some(named) = kind.named_by(manifest) else {
            return match given {
                None => Ok(Self::None),
                Some(given) => Err(Error::unexpected(
                    given,
                    format!("a {kind} for an image whose manifest names none"),
                    "no file",
                    "only what the manifest names is bound to the image",
                )),
            };
        };
        let path = given.map_or_else(|| kind.beside(image), Path::to_path_buf);
        if given.is_none() && !path.exists() {
            return Ok(Self::Missing(named));
        }
        let bytes = fs::read(&path).map_err(Error::io(&path, "read the record"))?;
        let digest = Digest::of(&bytes);
        Ok(match digest == named {
            true => Self::Found(Found {
                path,
                bytes,
                digest,
            }),
            false => Self::Other {
                path,
                found: digest,
                named,
            },
        })
    }

    /// What was found, if it is what the manifest names.
    #[must_use]
    pub const fn found(&self) -> Option<&Found> {
        match self {
            Self::Found(found) => Some(found),
            _ => None,
        }
    }

    /// Refuses a file that the manifest does not name.
    ///
    /// # Errors
    /// It names the file and both digests.
    pub fn expect_no_other(&self) -> Result<(), Error> {
        match self {
            Self::Other { path, found, named } => Err(another(path, found, named)),
            _ => Ok(()),
        }
    }
}

/// A file that is not the one that a manifest names.
pub(crate) fn another(path: &Path, found: impl fmt::Display, named: impl fmt::Display) -> Error {
    Error::unexpected(
        path,
        format!("a file with digest {found}"),
        format!("{named}, which the image's manifest names"),
        "it belongs to another image, or was changed",
    )
}

/// The bytes of a record that was given to `image build`.
///
/// # Errors
/// It cannot be read.
pub fn read_given(kind: Kind, path: &Path) -> Result<Vec<u8>, Error> {
    files::read(
        path,
        match kind {
            Kind::Sbom => "read the bill of materials",
            Kind::Provenance => "read the provenance",
        },
    )
}

#[cfg(test)]
mod tests {
    use bistable_core::manifest::Fields;

    use super::*;

    fn manifest(sbom: Digest) -> Manifest {
        Manifest::new(&Fields {
            payload_len: 4,
            chunk_size: 1024,
            first_page_len: 1,
            trial_attempts: 1,
            trial_seconds: 1,
            sbom,
            ..Fields::default()
        })
        .unwrap()
    }

    #[test]
    fn a_record_beside_the_image_is_found_missed_or_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("v1.img");
        let beside = Kind::Sbom.beside(&image);
        assert_eq!(beside, directory.path().join("v1.img.cdx.json"));
        let named = Digest::of(b"bill");
        let look = |digest| Record::of(Kind::Sbom, &image, &manifest(digest), None).unwrap();
        assert_eq!(look(named), Record::Missing(named));
        fs::write(&beside, b"bill").unwrap();
        assert_eq!(look(named).found().unwrap().bytes, b"bill");
        assert_eq!(look(Digest::NONE), Record::None);
        fs::write(&beside, b"another bill").unwrap();
        let (path, found) = (beside, Digest::of(b"another bill"));
        assert_eq!(look(named), Record::Other { path, found, named });
    }

    #[test]
    fn a_record_that_the_manifest_does_not_name_may_not_be_given() {
        let given = Path::new("bill.json");
        let refused = Record::of(
            Kind::Sbom,
            Path::new("v1.img"),
            &manifest(Digest::NONE),
            Some(given),
        );
        let message = refused.unwrap_err().to_string();
        assert!(message.starts_with("bill.json: found a bill of materials for an image whose"));
    }
}
