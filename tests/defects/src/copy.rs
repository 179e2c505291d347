//! The copy: what the explorer is built from, with the defects planted into it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::edits::{MEMORY, planting};
use crate::{DEFECTS, Edit};

/// The packages that the copy's workspace has.
const PACKAGES: [&str; 5] = ["core", "bootloader", "updater", "tests", "tests/defects"];

/// The folders that they lie in.
const FOLDERS: [&str; 4] = ["core", "bootloader", "updater", "tests"];

/// The files of a copy by their paths from its root.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Makes `into` a workspace of what the explorer is built from, as it lies in `repository`, and plants the
/// defects if they are asked for. Files that are so already are not written, so that little is built anew.
///
/// # Errors
/// If a file cannot be read or written, or an edit does not fit the sources any more: which, and how often
/// its text was found.
pub fn copy(repository: &Path, into: &Path, with_defects: bool) -> Result<()> {
    let mut files = Files::new();
    for folder in FOLDERS {
        read_folder(repository, Path::new(folder), &mut files)?;
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        let path = repository.join(file);
        let content = fs::read(&path).with_context(|| path.display().to_string())?;
        files.insert(file.into(), content);
    }
    edit(&mut files, "Cargo.toml", |manifest| Ok(reduced(manifest)))?;
    for change in MEMORY {
        apply(&mut files, change)?;
    }
    add(
        &mut files,
        "core/src/memory.rs",
        include_str!("copied/memory.rs"),
    );
    if with_defects {
        plant(&mut files)?;
    }
    write(into, &files)
}

/// Plants all defects.
fn plant(files: &mut Files) -> Result<()> {
    for change in planting() {
        apply(files, change)?;
    }
    let names: Vec<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
    let module = include_str!("copied/planted.rs");
    add(
        files,
        "core/src/planted.rs",
        &module.replace("= &[];", &format!("= &{names:#?};")),
    );
    Ok(())
}

fn add(files: &mut Files, path: &str, content: &str) {
    files.insert(path.into(), content.as_bytes().to_vec());
}

fn apply(files: &mut Files, change: &Edit) -> Result<()> {
    edit(files, change.file, |text| {
        let found = text.matches(change.find).count();
        ensure!(
            found == 1,
            "{}: a defect is planted where this stands, which must be exactly once; found {found} times:\n{}\n\
             change the edit in tests/defects/src/edits so that it fits the sources again",
            change.file,
            change.find
        );
        let by_place = asked_by_place(change.replace).context(change.file)?;
        Ok(text.replace(change.find, &by_place))
    })
}

fn edit(files: &mut Files, path: &str, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let content = files.get_mut(Path::new(path));
    let content = content.with_context(|| format!("{path}: there is no such file"))?;
    let text = std::str::from_utf8(content).context(path.to_owned())?;
    *content = change(text)?.into_bytes();
    Ok(())
}

/// `planted::is("name")` becomes `planted::is(place)`, for a name cannot be compared fast enough.
fn asked_by_place(text: &str) -> Result<String> {
    const ASKED: &str = "planted::is(";
    let mut pieces = text.split(ASKED);
    let mut by_place = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let asked = piece
            .strip_prefix('"')
            .and_then(|rest| rest.split_once('"'));
        let (name, rest) = asked.with_context(|| format!("{ASKED} without a name: {piece}"))?;
        let Some(place) = DEFECTS.iter().position(|defect| defect.name == name) else {
            bail!("{name} is no defect of the catalogue");
        };
        by_place += &format!("{ASKED}{place}{rest}");
    }
    Ok(by_place)
}

/// The workspace with the copy's packages alone.
fn reduced(manifest: &str) -> String {
    let stays = |line: &&str| {
        let item = line.trim().strip_prefix('"');
        let member = item.and_then(|item| item.strip_suffix("\","));
        member.is_none_or(|member| PACKAGES.contains(&member))
    };
    let lines = manifest.lines().filter(stays);
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn read_folder(repository: &Path, folder: &Path, files: &mut Files) -> Result<()> {
    let path = repository.join(folder);
    for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
        let entry = entry?;
        let name = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read_folder(repository, &name, files)?;
        } else {
            let content = fs::read(entry.path()).with_context(|| name.display().to_string())?;
            files.insert(name, content);
        }
    }
    Ok(())
}

/// Writes what differs and takes away what does not belong there any more.
fn write(into: &Path, files: &Files) -> Result<()> {
    let mut there = Files::new();
    for folder in FOLDERS {
        if into.join(folder).exists() {
            read_folder(into, Path::new(folder), &mut there)?;
        }
    }
    for name in there.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(into.join(name)).with_context(|| name.display().to_string())?;
    }
    for (name, content) in files {
        let path = into.join(name);
        if fs::read(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        let folder = path.parent().unwrap_or(into);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, content))
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn repository() -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().nth(2).unwrap().to_path_buf()
    }

    #[test]
    fn every_edit_fits_the_sources_exactly_once() {
        let mut files = Files::new();
        for folder in FOLDERS {
            read_folder(&repository(), Path::new(folder), &mut files).unwrap();
        }
        for change in MEMORY {
            apply(&mut files, change).unwrap();
        }
        plant(&mut files).unwrap();
    }

    #[test]
    fn every_defect_is_asked_for_and_whatever_is_asked_for_is_a_defect() {
        let mut asked = BTreeSet::new();
        for change in planting() {
            let pieces = change.replace.split("planted::is(\"").skip(1);
            asked.extend(pieces.filter_map(|piece| piece.split('"').next()));
        }
        let names: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
        assert_eq!(asked, names);
        assert_eq!(names.len(), DEFECTS.len(), "a name stands for one defect");
        let module = include_str!("copied/planted.rs");
        assert!(module.contains(&format!("env::var({:?})", crate::VARIABLE)));
    }

    #[test]
    fn an_edit_that_does_not_fit_says_where_and_how_often_it_was_found() {
        for (text, found) in [("two two", "found 2 times:\ntwo"), ("one", "found 0 times")] {
            let mut files = Files::from([("core/src/x.rs".into(), text.into())]);
            let change = Edit {
                file: "core/src/x.rs",
                find: "two",
                replace: "three",
            };
            let error = apply(&mut files, &change).unwrap_err().to_string();
            assert!(error.starts_with("core/src/x.rs: "), "{error}");
            assert!(error.contains(found), "{error}");
        }
    }

    #[test]
    fn names_become_places_and_unknown_ones_are_refused() {
        let [first, second, ..] = DEFECTS else {
            panic!("two defects at least");
        };
        let text = format!(
            "a planted::is(\"{}\") b planted::is(\"{}\")",
            second.name, first.name
        );
        let by_place = asked_by_place(&text).unwrap();
        assert_eq!(by_place, "a planted::is(1) b planted::is(0)");
        assert!(asked_by_place("planted::is(\"no such defect\")").is_err());
    }

    #[test]
    fn the_copy_has_the_packages_that_it_needs_and_no_others() {
        let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
        let reduced = reduced(&manifest);
        for package in PACKAGES {
            assert_eq!(reduced.matches(&format!("    \"{package}\",\n")).count(), 2);
        }
        assert!(!reduced.contains("    \"host-tools"));
        assert!(reduced.contains("[profile.explore]"));
    }
}
