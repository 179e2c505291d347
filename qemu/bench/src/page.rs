//! `docs/benchmarks.md` and its charts, made of the figures alone: the same figures give the same bytes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::charts::{COMPARED, NAMES, charts};
use crate::figures::{Figures, Measured};
use crate::quoted::{EMBASSY_BOOT_TEXT, QUOTED, Quoted, SMALLEST_MCUBOOT};

/// The files, from the repository, and what is in them.
pub(crate) fn files(figures: &Figures) -> Result<Vec<(String, String)>> {
    let mut files = vec![("docs/benchmarks.md".to_owned(), page(figures))];
    for (name, chart) in NAMES.iter().zip(charts(figures)?) {
        files.push((format!("docs/benchmarks/{name}.svg"), chart));
    }
    Ok(files)
}

/// Writes them.
pub(crate) fn write(figures: &Figures, repository: &Path) -> Result<()> {
    for (name, content) in files(figures)? {
        let path = repository.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Fails unless they are what the figures give.
pub(crate) fn check(figures: &Figures, repository: &Path) -> Result<()> {
    for (name, content) in files(figures)? {
        let found = fs::read_to_string(repository.join(&name)).with_context(|| name.clone())?;
        ensure!(
            found == content,
            "{name} is not what the committed figures give: `cargo xtask bench --render` writes it again"
        );
    }
    Ok(())
}

fn page(figures: &Figures) -> String {
    let mut page = INTRODUCTION.to_owned();
    let tools = &figures.tools;
    let _ = writeln!(
        page,
        "The figures below are those of `{}` and `{}`; those of another compiler differ, and the check says so\n\
         and compares nothing. The version of the emulator it does not ask for: instructions are the processor's.\n",
        tools.rustc, tools.emulator
    );
    for (board, reason) in &figures.skipped {
        let _ = writeln!(page, "Not measured: {board}, because {reason}.\n");
    }
    page += "## The bootloader\n\n";
    page += BOOTLOADER;
    bootloader(&mut page, figures);
    page += CHARTS_TEXT;
    page += "## Whose the bytes are\n\n";
    page += OWNERS;
    owners(&mut page, figures);
    page += "## Where the instructions go\n\n";
    page += SHARES;
    shares(&mut page, figures);
    page += "## An update\n\n";
    page += UPDATE;
    updates(&mut page, figures);
    page += "## Beside the others\n\n";
    page += OTHERS;
    others(&mut page, figures);
    page += FAIRNESS;
    page
}

fn bootloader(page: &mut String, figures: &Figures) {
    row(
        page,
        &[
            "board",
            "profile",
            "text",
            "data",
            "bss",
            "stack",
            "64 KiB",
            "256 KiB",
            "reset, 64 KiB",
            "reset, 256 KiB",
        ],
    );
    rule(page, 10);
    each(figures, |board, profile, measured| {
        let bytes = [measured.text, measured.data, measured.bss, measured.stack];
        let instructions = [
            measured.instructions_64k,
            measured.instructions_256k,
            measured.instructions_reset_64k,
            measured.instructions_reset_256k,
        ];
        let cells: Vec<String> = [board.to_owned(), profile.to_owned()]
            .into_iter()
            .chain(
                bytes
                    .iter()
                    .chain(&instructions)
                    .map(|count| thousands(*count)),
            )
            .collect();
        row(page, &cells);
    });
    page.push('\n');
}

fn owners(page: &mut String, figures: &Figures) {
    each(figures, |board, profile, measured| {
        let _ = writeln!(page, "{board}, {profile}:\n");
        row(page, &["crate", "text", "data", "bss"]);
        rule(page, 4);
        let mut crates: Vec<_> = measured.by_crate.iter().collect();
        crates.sort_by_key(|(name, sizes)| (std::cmp::Reverse(sizes.text), name.as_str()));
        for (name, sizes) in crates {
            row(
                page,
                &[
                    name.clone(),
                    thousands(sizes.text),
                    thousands(sizes.data),
                    thousands(sizes.bss),
                ],
            );
        }
        let sum = |kind: fn(&crate::elf::Sizes) -> u64| {
            thousands(measured.by_crate.values().map(kind).sum())
        };
        let sums = [sum(|of| of.text), sum(|of| of.data), sum(|of| of.bss)];
        let [text, data, bss] = sums.map(|sum| format!("**{sum}**"));
        row(page, &["**all**".to_owned(), text, data, bss]);
        page.push('\n');
    });
}

fn shares(page: &mut String, figures: &Figures) {
    row(
        page,
        &[
            "board",
            "profile",
            "signature",
            "hash, per byte",
            "clearing the RAM",
            "all the rest",
        ],
    );
    rule(page, 6);
    each(figures, |board, profile, measured| {
        let Shares { per_byte, rest } = shares_of(measured);
        row(
            page,
            &[
                board.to_owned(),
                profile.to_owned(),
                thousands(measured.instructions_signature),
                format!("{per_byte:.1}"),
                thousands(measured.instructions_clearing),
                thousands(rest),
            ],
        );
    });
    page.push('\n');
}

struct Shares {
    per_byte: f64,
    rest: u64,
}

/// The hash has a price per byte, which the two lengths tell, and what is left is neither.
fn shares_of(measured: &Measured) -> Shares {
    let bytes = (256 - 64) << 10;
    let difference = measured
        .instructions_256k
        .saturating_sub(measured.instructions_64k);
    let hash = difference * (256 << 10) / bytes;
    let known = hash + measured.instructions_signature + measured.instructions_clearing;
    Shares {
        per_byte: difference as f64 / bytes as f64,
        rest: measured.instructions_256k.saturating_sub(known),
    }
}

fn updates(page: &mut String, figures: &Figures) {
    row(page, &["", "board and profile", "figure"]);
    rule(page, 3);
    each(figures, |board, profile, measured| {
        let mut line = |what: &str, figure: String| {
            row(
                page,
                &[what.to_owned(), format!("{board}, {profile}"), figure],
            );
        };
        let image = thousands(measured.image);
        line("the image file, bytes", image);
        line(
            "sectors of a slot that it fills",
            measured.sectors_filled.to_string(),
        );
        line(
            "update: slot erases",
            measured.erases_slot_update.to_string(),
        );
        line(
            "update: journal erases",
            measured.erases_journal_update.to_string(),
        );
        line(
            "update: bytes programmed",
            thousands(measured.bytes_programmed_update.into()),
        );
        line(
            "update: bytes over the network",
            thousands(measured.bytes_network),
        );
        line(
            "going back: slot erases",
            measured.erases_revert.to_string(),
        );
        line(
            "going back: journal erases",
            measured.erases_journal_revert.to_string(),
        );
        line(
            "an update and going back: journal erases",
            measured.erases_journal_failed_update.to_string(),
        );
        line(
            "confirmed boot: erases",
            measured.erases_confirmed_boot.to_string(),
        );
        line(
            "confirmed boot: program calls",
            measured.programs_confirmed_boot.to_string(),
        );
    });
    page.push('\n');
}

fn others(page: &mut String, figures: &Figures) {
    page.push_str("Measured by this command, on one flash model, download included:\n\n");
    row(
        page,
        &[
            "",
            "erases per update",
            "most of one sector",
            "bytes programmed",
            "erases per revert",
            "bytes programmed by it",
        ],
    );
    rule(page, 6);
    for costs in &figures.same_geometry {
        row(
            page,
            &[
                costs.of.clone(),
                costs.update.erases.to_string(),
                costs.update.most_erased.to_string(),
                thousands(costs.update.bytes),
                costs.revert.erases.to_string(),
                thousands(costs.revert.bytes),
            ],
        );
    }
    page.push_str("\nQuoted, below what is measured here:\n\n");
    row(
        page,
        &[
            "",
            "text",
            "instructions, 64 KiB",
            "instructions, 256 KiB",
            "stack",
            "erases per update",
            "bytes programmed",
            "erases per revert",
        ],
    );
    rule(page, 8);
    for (profile, measured) in figures.boards.get(COMPARED).into_iter().flatten() {
        row(
            page,
            &[
                format!("Bistable, {profile}, measured"),
                thousands(measured.text),
                millions(measured.instructions_64k),
                millions(measured.instructions_256k),
                thousands(measured.stack),
                format!(
                    "{} + {} of the journal",
                    measured.erases_slot_update, measured.erases_journal_update
                ),
                format!(
                    "{:.1} ×",
                    f64::from(measured.bytes_programmed_update) / 262_144.0
                ),
                format!(
                    "{} of a slot + {} of the journal",
                    measured.erases_revert, measured.erases_journal_revert
                ),
            ],
        );
    }
    for quoted in &QUOTED {
        row(
            page,
            &[
                quoted.name.to_owned(),
                thousands(quoted.text),
                format!("{:.2} M", quoted.instructions.0),
                format!("{:.2} M", quoted.instructions.1),
                thousands(quoted.stack),
                quoted.erases.to_string(),
                quoted.programmed.to_owned(),
                quoted
                    .revert
                    .map_or("no way back".to_owned(), |erases| erases.to_string()),
            ],
        );
    }
    let (smallest, embassy) = (thousands(SMALLEST_MCUBOOT), thousands(EMBASSY_BOOT_TEXT));
    let _ = writeln!(
        page,
        "\nThe smallest MCUboot that was found has {smallest} B of text. embassy-boot 0.7 has {embassy} B, and verifies nothing at boot.\n"
    );
    worse(page, figures);
}

/// Where others need less, by name: nobody should have to look for it in a table.
fn worse(page: &mut String, figures: &Figures) {
    for (profile, measured) in figures.boards.get(COMPARED).into_iter().flatten() {
        let less = |figure: &dyn Fn(&Quoted) -> f64, ours: u64| {
            let all = QUOTED.iter().filter(|quoted| figure(quoted) < ours as f64);
            let names: Vec<&str> = all.map(|quoted| quoted.name).collect();
            match names.is_empty() {
                true => "none of those quoted".to_owned(),
                false => names.join(", "),
            }
        };
        let _ = writeln!(
            page,
            "**Who needs less than Bistable, {profile}.** Flash: {}. Stack: {}. Instructions to boot 64 KiB after power-on: {}; \
             256 KiB: {}. Sector erases per update, the journal's included: {}.\n",
            less(&|quoted| quoted.text as f64, measured.text),
            less(&|quoted| quoted.stack as f64, measured.stack),
            less(
                &|quoted| quoted.instructions.0 * 1e6,
                measured.instructions_64k
            ),
            less(
                &|quoted| quoted.instructions.1 * 1e6,
                measured.instructions_256k
            ),
            less(
                &|quoted| quoted.erases as f64,
                (measured.erases_slot_update + measured.erases_journal_update).into()
            ),
        );
    }
}

/// Each board's profiles.
fn each(figures: &Figures, mut tell: impl FnMut(&str, &str, &Measured)) {
    for (board, profiles) in &figures.boards {
        for (profile, measured) in profiles {
            tell(board, profile, measured);
        }
    }
}

fn row(page: &mut String, cells: &[impl AsRef<str>]) {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn rule(page: &mut String, columns: usize) {
    let _ = writeln!(page, "|{}", " --- |".repeat(columns));
}

fn millions(count: u64) -> String {
    format!("{:.2} M", count as f64 / 1e6)
}

/// With a comma between groups of three digits.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const INTRODUCTION: &str = "\
# Benchmarks

This page is generated. `cargo xtask bench` measures everything that is not called quoted, writes it to
`target/bench.json` and `docs/benchmarks.json`, and makes this page of it; `--render` makes it again of the committed figures.
There is no cycle and no second among the figures: they are bytes, instructions and operations, so a busy machine
changes nothing, and two runs on one machine agree in all of them.

";

const BOOTLOADER: &str = "\
With logging off, one key in the ring and every protection on. *text* is all that lies in flash: vectors, code, constants, and
what RAM is initialised with. *stack* is how far down it was used by the boot of a confirmed image after power-on, found by painting RAM before: what a frame
reserves below and does not write is not seen, and other boots (of a trial, of a broken journal) may go deeper. Then instructions:
from power-on to the first one of a confirmed application, with payloads of exactly 65,536 and 262,144 bytes, the clearing of the
application's RAM included (4 MiB on these boards); and the same from a reset of the running application, which keeps its RAM.
The emulator counts each instruction (`-icount shift=0`) and is asked for the number where a breakpoint stops it.
They are instructions, not cycles: what a cycle is, a part's flash and bus decide. The key is made on the machine that
measures, and the work for a signature depends on key and signature: by a per cent or two of its share. The number was
compared once with the board's own 25 MHz counter, read at the same breakpoint: they agree to two of its steps of 40 instructions.

";

const CHARTS_TEXT: &str = "\
![Bytes of flash of Bistable and of others](benchmarks/text.svg)

![Instructions to boot 256 KiB](benchmarks/instructions.svg)

Blue bars are Bistable's, green ones are others that this command measures, grey ones are quoted: see [below](#beside-the-others).

";

const OWNERS: &str = "\
From the symbols of the linked file. What was inlined counts for whom it was inlined into, and generic code for the type
that it is of. Bytes under no symbol are vectors, constants without a name, and padding.

";

const SHARES: &str = "\
Of starting 256 KiB after power-on. The signature is counted from the call of the function that verifies it to its return; the hash is the
difference between both lengths, by byte, copying and feeding the watchdog included; clearing is what 4 KiB in the
middle of RAM take, for all of it.

";

const UPDATE: &str = "\
The real bootloader and the demo application, whose payload is made 262,144 bytes long, over the emulated network from `bistable serve`; the flash driver
counts. *Update* is from the first byte until the image is kept; *going back* is from the first start of an image that fails its self-test
until the one before it runs again. Network bytes are TCP payload in both directions, HTTP headers included, of one question for
what is newest and of fetching the image; the frames around them are not counted.

";

const OTHERS: &str = "\
![Sector erases per update and for going back](benchmarks/erases.svg)

The image has 256 KiB, slots have 512 KiB, sectors 4 KiB: the geometry of [the comparison](comparison-embassy-boot.md), which
says what embassy-boot was asked to do. embassy-boot swaps the whole of ACTIVE, so it is shown with partitions as long as the slots, and with the
shortest ones that hold the image. Bistable's erases contain those of its journal, in both columns.

";

const FAIRNESS: &str = "\
What to know before comparing:

- The rows of MCUboot and wolfBoot were measured once, before Bistable was written, on the same emulated board (QEMU 7.2 `mps2-an385`, `-icount shift=0`), each in the
  configuration of its project that was recorded, with Ed25519, slots of 512 KiB and sectors of 4 KiB. Their versions were not written down, this command does not repeat them, and they may have become
  better since. For the one figure that a decision hangs on, measure again.
- wolfBoot is the smallest that verifies at boot, and needs the least stack; it pays with instructions. embassy-boot is smaller still: it checks a signature when an
  update is marked, if it is asked to, and none at boot.
- The instructions of the others are not known to contain a clearing of RAM; Bistable's after power-on do (the lighter part of its bars). Its figures from a reset are without.
- MCUboot's **direct-xip without revert does less** than Bistable: nothing is tried, and there is no way back. It erases as little, and its 64 erases are one less per update than Bistable's slot, which has a sector for its header.
- Swapping modes run each image at one address, so that an application is linked once. Bistable, like direct-xip, has it linked for both slots.
- Erases are of sectors of 4 KiB; where sectors are larger, fewer are erased by everybody. Erasing a journal sector wears that sector alone: the journal takes turns.
- What each does when the power goes, these figures do not say: [the explorer](explorer.md) and [the comparison](comparison-embassy-boot.md) do.

## To repeat a figure

| figure | command |
| --- | --- |
| all that are measured, this page and its charts | `cargo xtask bench` |
| those of one board | `cargo xtask bench --board mps2-an385` |
| text and instructions, against the committed ones | `cargo xtask bench --check`; `cargo xtask test` does it, too |
| operations of embassy-boot and Bistable on one flash model | `cargo xtask compare` |

The check fails when text or instructions grow by more than 2 %. Raising a figure takes a commit that says why. It fails, too,
when they shrink by as much, until the smaller figures are committed, and when something that has committed figures is not measured.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::COMMITTED;

    fn repository() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn the_page_and_its_charts_are_what_the_committed_figures_give() {
        let figures = Figures::read(&repository().join(COMMITTED)).unwrap();
        check(&figures, &repository()).unwrap();
    }

    #[test]
    fn another_figure_gives_another_page() {
        let mut figures = Figures::read(&repository().join(COMMITTED)).unwrap();
        let before = files(&figures).unwrap();
        for measured in figures
            .boards
            .values_mut()
            .flat_map(|board| board.values_mut())
        {
            measured.text += 1;
        }
        assert_ne!(files(&figures).unwrap(), before);
        assert!(check(&figures, &repository()).is_err());
    }

    #[test]
    fn digits_come_in_groups_of_three() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(24_556), "24,556");
        assert_eq!(thousands(1_000_000), "1,000,000");
    }
}
