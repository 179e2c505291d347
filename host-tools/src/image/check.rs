//! All that a device checks, up to the first check that an image fails: for commands that go on only
//! with a good image.

use std::path::Path;

use bistable_core::header::Header;
use bistable_core::manifest::Manifest;
use bistable_core::version::Version;

use crate::Error;
use crate::facts::Facts;
use crate::image::file::{Defect, ImageFile};
use crate::image::judge::{Verdict, judge};
use crate::image::taker::{Known, Taker};

/// A check that an image passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// What was checked, in a word or two.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

/// The check that an image failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// What was checked, in a word or two.
    pub check: &'static str,
    /// What is wrong.
    pub defect: Defect,
}

impl Failed {
    /// As the line that a command prints about the file at `path`.
    #[must_use]
    pub fn at(&self, path: &Path) -> Error {
        self.defect.at(path)
    }
}

/// Checks the image file in `bytes` for a device that knows `facts`; each check that it passes is
/// told to `passed`.
///
/// The device is one that runs some older image, with the factory's floor.
///
/// # Errors
/// The first check that it fails.
pub fn check(
    bytes: &[u8],
    facts: &Facts,
    bootloader: Version,
    mut passed: impl FnMut(Passed),
) -> Result<ImageFile, Failed> {
    let taker = Taker::imagined(
        facts,
        bootloader,
        Known::default(),
        manifest(bytes).as_ref(),
    );
    let (judged, image) = judge(bytes, facts, &taker);
    for it in judged {
        let (check, found) = (it.check, it.found);
        match it.verdict {
            Verdict::Passed => passed(Passed { check, found }),
            Verdict::Failed(defect) => return Err(Failed { check, defect }),
            Verdict::NotJudged(_) => {}
        }
    }
    image.ok_or_else(|| Failed {
        check: "header",
        defect: Defect::unknown(),
    })
}

/// What the header says, if there is one.
#[must_use]
pub fn manifest(bytes: &[u8]) -> Option<Manifest> {
    let header = Header::new_checked(bytes.first_chunk()?).ok()?;
    Some(*header.manifest())
}
