//! Finds the program of an image by the image's name, so that its log can be read.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::manifest::MANIFEST_LEN;
use bistable_qemu::Finder;

use crate::image::program::{Kind, kept_beside};

/// Looks in `folders` for images with their programs beside them, each time one announces itself: an image
/// may have been built since.
pub(super) fn finder(folders: Vec<PathBuf>) -> Finder {
    Finder::new(move |announced| {
        let digest = announced.split(' ').nth(1)?;
        let image = find(&folders, digest)?;
        fs::read(kept_beside(&image, "a", Kind::Elf)).ok()
    })
}

/// The image whose digest begins with these digits, of those with their programs beside them.
pub(super) fn find(folders: &[PathBuf], digits: &str) -> Option<PathBuf> {
    let files = folders.iter().filter_map(|folder| folder.read_dir().ok());
    let paths = files.flatten().flatten().map(|entry| entry.path());
    let mut images = paths.filter(|path| path.extension().is_some_and(|end| end == "img"));
    images.find(|path| {
        let name = name_of(path).is_some_and(|name| name.starts_with(digits));
        name && kept_beside(path, "a", Kind::Elf).exists()
    })
}

fn name_of(image: &Path) -> Option<String> {
    let mut manifest = [0; MANIFEST_LEN];
    File::open(image).ok()?.read_exact(&mut manifest).ok()?;
    Some(Digest::of(&manifest).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_its_first_digits_if_its_programs_are_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v1.img");
        fs::write(&path, [7; MANIFEST_LEN + 10]).unwrap();
        let name = Digest::of(&[7; MANIFEST_LEN]).to_string();
        let folders = ["/nonexistent".into(), folder.path().to_owned()];
        assert_eq!(find(&folders, &name[..8]), None);
        fs::write(kept_beside(&path, "a", Kind::Elf), "program").unwrap();
        assert_eq!(find(&folders, &name[..8]), Some(path));
        assert_eq!(find(&folders, "00000000"), None);
    }
}
