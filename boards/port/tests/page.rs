//! `docs/porting.md` against the port whose files it lists.
//!
//! A block below a line `<!-- whole: PATH -->` must be that file, to the letter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The port that the page shows, from the repository's folder.
const EXAMPLE: &str = "boards/chips/an385";

/// What the page says of a file.
struct Listing {
    path: String,
    text: String,
}

#[test]
fn each_listing_is_the_file_that_it_names() {
    let listings = listings();
    assert!(!listings.is_empty(), "no listings");
    for Listing { path, text } in listings {
        let file = read(&path);
        let mut lines = file.lines().zip(text.lines());
        if let Some((file, page)) = lines.find(|(file, page)| file != page) {
            panic!("{path} says\n{file}\nand docs/porting.md says\n{page}");
        }
        assert_eq!(file, text, "{path} and its listing have other lengths");
    }
}

#[test]
fn each_file_of_the_example_is_on_the_page() {
    let listed: BTreeSet<_> = listings().into_iter().map(|listing| listing.path).collect();
    let mut files = BTreeSet::new();
    collect(&repository().join(EXAMPLE), &mut files);
    assert_eq!(listed, files);
}

/// The Rust and TOML files below `folder`, from the repository's folder.
fn collect(folder: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|ext| ext == "rs" || ext == "toml")
        {
            let path = path.strip_prefix(repository()).unwrap();
            files.insert(path.to_str().unwrap().into());
        }
    }
}

fn listings() -> Vec<Listing> {
    let page = read("docs/porting.md");
    let mut lines = page.lines();
    let mut listings = Vec::new();
    while let Some(line) = lines.next() {
        let path = line.strip_prefix("<!-- whole: ");
        let Some(path) = path.and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "no block below `{line}`");
        let block = lines.by_ref().take_while(|line| *line != "```");
        listings.push(Listing {
            path: path.into(),
            text: block.map(|line| format!("{line}\n")).collect(),
        });
    }
    listings
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().into()
}
