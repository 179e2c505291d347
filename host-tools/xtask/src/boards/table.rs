//! The table of chips in the README.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::build::Built;
use super::port::Port;
use crate::bench::Compared;
use crate::run::{Outcome, repository};

/// The lines that the table stands between.
const BEGIN: &str = "<!-- chips: `cargo xtask boards --write` makes this -->";
const END: &str = "<!-- end of chips -->";

/// What the line of the compiler begins with.
const COMPILER: &str = "Sizes are those of ";

/// Programs are some bytes larger or smaller where the repository lies in another folder: cargo hashes its path into the
/// names of the crates outside of the ports' workspace, which puts their code into another order. One part in a thousand
/// was seen.
const SIZES: u64 = 100;

/// Prints the table.
pub(crate) fn show(built: &[(Port, Built)]) -> Outcome {
    println!("\n{}", table(built, &compiler()?));
    Ok(())
}

/// Writes it into the README.
pub(crate) fn write(built: &[(Port, Built)]) -> Outcome {
    let text = read()?;
    let (before, _, after) = split(&text)?;
    let new = format!("{before}{}{after}", table(built, &compiler()?));
    fs::write(readme(), new).map_err(|error| format!("{}: {error}", readme().display()))
}

/// Compares it with the README's, if that is of the same compiler.
pub(crate) fn compare(built: &[(Port, Built)]) -> Result<Compared, String> {
    let text = read()?;
    let (_, committed, _) = split(&text)?;
    let compiler = compiler()?;
    let is_of_it = |line: &str| {
        line.strip_prefix(COMPILER)
            .is_some_and(|rest| rest.starts_with(&compiler))
    };
    if !committed.lines().any(is_of_it) {
        return Ok(Compared::Skipped(format!(
            "the README's sizes are not of {compiler}"
        )));
    }
    let new = table(built, &compiler);
    let differs = |(old, new): &(&str, &str)| !is_like(old, new);
    match committed.lines().zip(new.lines()).find(differs) {
        None if committed.lines().count() == new.lines().count() => Ok(Compared::Equal),
        None => Err("the README's table has another length: cargo xtask boards --write".into()),
        Some((old, new)) => Err(format!(
            "the README's table says\n{old}\nand should say\n{new}\nwrite it: cargo xtask boards --write"
        )),
    }
}

/// Whether two lines of the table say the same, sizes within a part in [`SIZES`] of each other.
fn is_like(old: &str, new: &str) -> bool {
    let cells = |line: &str| line.split(" | ").map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (cells(old), cells(new));
    old.len() == new.len()
        && old.iter().zip(&new).all(|(old, new)| {
            let sizes = size(old).zip(size(new));
            old == new || sizes.is_some_and(|(old, new)| old.abs_diff(new) <= new / SIZES)
        })
}

/// One line of it.
pub(crate) fn row(port: &Port, built: &Built) -> String {
    let about = &port.about;
    let product = &built.product;
    let layout = &product.layout;
    let geometry = |name: &str| {
        product.flash.get(name).map_or(String::new(), |flash| {
            let (sectors, size) = (flash.size / flash.erase_size, flash.erase_size);
            format!("{sectors} × {}, write {} B", bytes(size), flash.write_size)
        })
    };
    let [a, b] = product.slot_flashes.each_ref().map(|name| geometry(name));
    let journal = match product.slot_flashes.contains(&product.journal_flash) {
        true => String::new(),
        false => format!("; journal {}", geometry(&product.journal_flash)),
    };
    let flash = match product.slot_flashes[0] == product.slot_flashes[1] {
        true => format!("{a}{journal}"),
        false => format!("A {a}, B {b}{journal}"),
    };
    format!(
        "| [{}](boards/chips/{}/README.md) | {} | {} | {flash} | {} × {} | {} | {} | {} | {} | {} | {} |",
        about.chip,
        port.name,
        about.core,
        about.drivers,
        layout.journal.sectors,
        bytes(layout.journal.sector_size),
        bytes(layout.slot_size),
        thousands(built.bootloader),
        thousands(built.application),
        built.lines,
        about.tried,
        about.missing,
    )
}

fn table(built: &[(Port, Built)], compiler: &str) -> String {
    let rows: Vec<String> = built.iter().map(|(port, built)| row(port, built)).collect();
    format!(
        "{BEGIN}\n\
         | chip | core | drivers | flash | journal | slot | bootloader, B | application, B | lines | tried | known to be missing |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n\
         {}\n\n\
         {COMPILER}{compiler}, profile `firmware`: all that lies in flash. Lines are the port's Rust, without blank lines and comments.\n\
         {END}",
        rows.join("\n")
    )
}

fn split(text: &str) -> Result<(&str, &str, &str), String> {
    let missing = || {
        format!(
            "{}: no table between `{BEGIN}` and `{END}`",
            readme().display()
        )
    };
    let begin = text.find(BEGIN).ok_or_else(missing)?;
    let end = text
        .find(END)
        .ok_or_else(missing)?
        .saturating_add(END.len());
    match (text.get(..begin), text.get(begin..end), text.get(end..)) {
        (Some(before), Some(table), Some(after)) => Ok((before, table, after)),
        _ => Err(missing()),
    }
}

fn read() -> Result<String, String> {
    fs::read_to_string(readme()).map_err(|error| format!("{}: {error}", readme().display()))
}

fn readme() -> PathBuf {
    repository().join("README.md")
}

fn compiler() -> Result<String, String> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| format!("rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn bytes(size: u32) -> String {
    match (size % (1 << 20), size % 1024) {
        (0, _) if size > 0 => format!("{} MiB", size >> 20),
        (_, 0) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

fn thousands(number: u64) -> String {
    match number / 1000 {
        0 => number.to_string(),
        whole => format!("{whole},{:03}", number % 1000),
    }
}

/// What [`thousands`] wrote of a thousand bytes and more.
fn size(text: &str) -> Option<u64> {
    let (thousands, rest) = text.split_once(',')?;
    let number = |text: &str| text.parse::<u64>().ok();
    (rest.len() == 3).then_some(number(thousands)? * 1000 + number(rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_differ_a_little_and_nothing_else() {
        let line = "| chip | 16 KiB | 22,672 | 57,288 | 249 |";
        assert!(is_like(line, line));
        assert!(is_like(line, "| chip | 16 KiB | 22,672 | 57,228 | 249 |"));
        for other in [
            "| chip | 16 KiB | 22,672 | 58,288 | 249 |",
            "| chip | 16 KiB | 22,672 | 57,288 | 250 |",
            "| chip | 17 KiB | 22,672 | 57,288 | 249 |",
            "| chip | 16 KiB | 22,672 | 57,288 |",
        ] {
            assert!(!is_like(line, other), "{other}");
        }
    }

    #[test]
    fn sizes_are_written_as_people_read_them() {
        let written = [640, 4096, 0x2_0000, 0x20_0000].map(bytes);
        assert_eq!(written, ["640 B", "4 KiB", "128 KiB", "2 MiB"]);
        assert_eq!(
            [999, 21_512, 1_002].map(thousands),
            ["999", "21,512", "1,002"]
        );
    }

    #[test]
    fn a_table_is_found_between_its_lines_and_nowhere_else() {
        let text = format!("a\n{BEGIN}\nb\n{END}\nc\n");
        let (before, table, after) = split(&text).unwrap();
        assert_eq!((before, after), ("a\n", "\nc\n"));
        assert_eq!(table, format!("{BEGIN}\nb\n{END}"));
        assert!(split("a\nb\n").is_err());
        assert!(split(&format!("{END}\n{BEGIN}")).is_err());
    }
}
