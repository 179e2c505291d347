//! What an application may be called: what a Cargo package may be called, and a little less.

use crate::Error;
use crate::new::Arguments;

/// Names that cargo, or an application's own dependencies, need for themselves.
const TAKEN: [&str; 24] = [
    "alloc",
    "bistable-core",
    "bistable-layout",
    "bistable-updater",
    "bootloader",
    "build",
    "core",
    "cortex-m",
    "cortex-m-rt",
    "debug",
    "defmt",
    "deps",
    "doc",
    "embedded-io",
    "embedded-storage",
    "examples",
    "firmware",
    "heapless",
    "incremental",
    "mps2-an385",
    "package",
    "release",
    "std",
    "test",
];

/// Words of the language that a crate cannot be called (Rust Reference, "Keywords").
const KEYWORDS: [&str; 52] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// The longest name, in bytes: it goes into names of files, with something behind it.
const LONGEST: usize = 64;

/// The application's name: the one given, or that of its folder.
pub(super) fn parse(arguments: &Arguments) -> Result<String, Error> {
    let folder = arguments.folder.file_name().unwrap_or_default();
    let folder = folder.to_string_lossy();
    let name = arguments.name.as_deref().unwrap_or(&folder);
    check(name).map_err(|expected| {
        Error::argument(
            "the application's name",
            format!("`{name}`"),
            expected,
            "choose another one, or give the name with --name",
        )
    })?;
    Ok(name.into())
}

fn check(name: &str) -> Result<(), &'static str> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.chars().all(allowed) {
        return Err("a letter, then letters, digits, `-` and `_`");
    }
    if name.len() > LONGEST {
        return Err("at most 64 characters");
    }
    if KEYWORDS.contains(&name) {
        return Err("no word of the language");
    }
    if TAKEN.contains(&name.replace('_', "-").as_str()) {
        return Err("a name that neither cargo nor a dependency has");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_cargo_takes_for_a_package() {
        for name in ["blinky", "Blinky-2", "a_b", &"x".repeat(64)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "2nd",
            "-a",
            "a b",
            "a/b",
            "größe",
            "a.b",
            &"x".repeat(65),
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn words_of_the_language_and_names_of_dependencies_are_taken() {
        for name in [
            "fn", "Self", "test", "core", "cortex_m", "cortex-m", "defmt",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
