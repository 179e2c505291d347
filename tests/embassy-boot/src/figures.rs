//! The figures that are committed, and the tables that show them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::chip::Reprogram;
use crate::explore::{Findings, Verdict, pairs_of_cuts, single_cuts};
use crate::life::{Partitions, World};
use crate::operations::{Costs, IMAGE, costs};
use crate::point::Class;

/// ACTIVE in embassy-boot's examples for the nRF52840, in pages.
const NRF52840: Partitions = Partitions { active_pages: 16 };

/// Everything that was found.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The version that was run.
    pub(crate) embassy_boot: String,
    /// One cut.
    pub(crate) cuts: Vec<Explored>,
    /// Two cuts.
    pub(crate) pairs: Vec<Explored>,
    /// What an update costs.
    pub(crate) operations: Vec<Costs>,
}

/// What became of the cuts of one life on one kind of flash.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Explored {
    /// What the flash does with a program call to what was programmed already.
    flash: String,
    /// Whether v2 calls `mark_booted`.
    v2_is_healthy: bool,
    /// Operations of that life without a cut.
    operations: u64,
    /// How many cuts (of pairs: different states behind the second one) of each kind end how, at worst.
    ends: BTreeMap<String, BTreeMap<String, u64>>,
    /// After how many something is programmed that was not erased, or would be if it were not refused.
    reprograms: BTreeMap<String, u64>,
    /// After how many not all that may happen was followed.
    unfinished: u64,
    /// Boots that were run.
    boots: u64,
}

impl Figures {
    /// Runs everything.
    pub(crate) fn measure() -> Self {
        Self {
            embassy_boot: version_of("embassy-boot"),
            cuts: everywhere(single_cuts),
            pairs: everywhere(pairs_of_cuts),
            operations: costs(),
        }
    }

    /// The tables, by name.
    pub(crate) fn tables(&self) -> [(&'static str, String); 3] {
        [
            ("cuts", table_of_ends(&self.cuts, "cuts")),
            ("pairs", table_of_ends(&self.pairs, "states")),
            ("operations", table_of_costs(&self.operations)),
        ]
    }
}

fn everywhere(explore: impl Fn(&World) -> Findings) -> Vec<Explored> {
    let mut explored = Vec::new();
    for reprogram in Reprogram::ALL {
        for is_healthy in [true, false] {
            let world = World::new(NRF52840, is_healthy, reprogram);
            explored.push(Explored::new(&world, &explore(&world)));
        }
    }
    explored
}

impl Explored {
    fn new(world: &World, findings: &Findings) -> Self {
        let ends = Class::ALL.map(|class| {
            let count = |end| *findings.verdicts.get(&(class, end)).unwrap_or(&0);
            let ends = Verdict::ALL.map(|end| (end.name().to_owned(), count(end)));
            (class.name().to_owned(), BTreeMap::from(ends))
        });
        let reprograms = Class::ALL.map(|class| {
            let count = *findings.reprograms.get(&class).unwrap_or(&0);
            (class.name().to_owned(), count)
        });
        Self {
            flash: world.reprogram.name().to_owned(),
            v2_is_healthy: world.is_healthy,
            operations: findings.operations,
            ends: ends.into(),
            reprograms: reprograms.into(),
            unfinished: findings.unfinished,
            boots: findings.boots,
        }
    }

    fn end(&self, class: Class, ends: &[Verdict]) -> u64 {
        let of_class = &self.ends[class.name()];
        ends.iter().map(|end| of_class[end.name()]).sum()
    }
}

/// Columns of the tables of cuts.
const COLUMNS: [(&str, &[Verdict]); 8] = [
    ("v1 or v2, as documented", &[Verdict::New, Verdict::Old]),
    ("v2, told `Revert`", &[Verdict::ToldReverted]),
    ("false revert", &[Verdict::FalseRevert]),
    ("undone", &[Verdict::Undone]),
    ("sick v2 stays", &[Verdict::KeptSick]),
    ("no update any more", &[Verdict::Stuck]),
    ("never boots again", &[Verdict::Bricked]),
    ("corrupt image started", &[Verdict::Corrupt]),
];

/// Both lives added up.
fn table_of_ends(explored: &[Explored], what: &str) -> String {
    let columns = COLUMNS.map(|(title, _)| title).join(" | ");
    let mut table = format!(
        "| programming twice is | the power goes | {what} | needs it | {columns} |\n|{}\n",
        " --- |".repeat(COLUMNS.len() + 4)
    );
    for reprogram in Reprogram::ALL {
        for class in Class::ALL {
            let lives = explored.iter();
            let lives = lives.filter(|explored| explored.flash == reprogram.name());
            let sum = |ends: &[Verdict]| -> u64 {
                lives
                    .clone()
                    .map(|explored| explored.end(class, ends))
                    .sum()
            };
            let name = match class {
                Class::Between => reprogram.name(),
                _ => "",
            };
            let all = sum(&Verdict::ALL);
            let twice = lives
                .clone()
                .map(|explored| explored.reprograms[class.name()]);
            let twice: u64 = twice.sum();
            let _ = write!(table, "| {name} | {} | {all} | {twice} |", class.name());
            for (_, ends) in COLUMNS {
                let _ = write!(table, " {} |", sum(ends));
            }
            table.push('\n');
        }
    }
    table
}

fn table_of_costs(costs: &[Costs]) -> String {
    let mut table = "| | sector erases per update | most of one sector | bytes programmed | of the image \
                     | sector erases per revert | bytes programmed |\n| --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for Costs { of, update, revert } in costs {
        let tenths = (update.bytes * 10 + IMAGE as u64 / 2) / IMAGE as u64;
        let _ = writeln!(
            table,
            "| {of} | {} | {} | {} | {}.{} × | {} | {} |",
            update.erases,
            update.most_erased,
            update.bytes,
            tenths / 10,
            tenths % 10,
            revert.erases,
            revert.bytes
        );
    }
    table
}

impl Reprogram {
    const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RefusedIfSeen => "refused unless it reads as erased",
            Self::Allowed => "allowed",
        }
    }
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Between => "between operations",
            Self::Program => "while programming",
            Self::Erase => "while erasing",
            Self::ComesAndGoes => "in either; what is torn comes and goes",
            Self::Unreadable => "in either; what is torn cannot be read",
        }
    }
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::New => "v2 runs",
            Self::Old => "v1 runs, as documented",
            Self::ToldReverted => "v2 runs, told Revert",
            Self::FalseRevert => "v1 runs, mark_booted had begun",
            Self::Undone => "v1 runs, mark_booted had returned",
            Self::KeptSick => "v2 runs, sick and never marked",
            Self::Stuck => "runs, cannot be updated",
            Self::Bricked => "never boots again",
            Self::Corrupt => "corrupt image started",
        }
    }
}

/// The version that Cargo.lock says.
fn version_of(package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let mut lines = include_str!("../Cargo.lock").lines();
    let found = lines.find(|line| *line == name).and_then(|_| lines.next());
    let version = found.and_then(|line| line.strip_prefix("version = \""));
    version
        .and_then(|version| version.strip_suffix('"'))
        .unwrap_or("unknown")
        .to_owned()
}
