//! What came of it: a table for people, a file for machines.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::findings::{Cuts, Findings};
use super::path;
use super::plan::{Task, Way};

/// All of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What the drawn walks follow from.
    pub seed: u64,
    /// Boots that were run.
    pub boots: u64,
    /// Different states that were reached.
    pub states: u64,
    /// Cuts that were made.
    pub cuts: u64,
    /// The same by kind.
    pub cuts_by_kind: Cuts,
    /// What was broken.
    pub violations: u64,
    /// The stories all of whose reachable states were explored.
    pub fixpoints: Vec<String>,
    /// The planted defects.
    pub defects: Defects,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Of the exploration, without the hunt for defects, over all threads.
    pub boots_per_second: f64,
    /// One by one.
    pub jobs: Vec<Line>,
}

/// What came of the planted defects.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Defects {
    /// How many there are.
    pub planted: usize,
    /// How many an invariant caught.
    pub caught: usize,
    /// One by one.
    pub each: Vec<Caught>,
}

/// What came of one planted defect.
#[derive(Clone, Debug, Serialize)]
pub struct Caught {
    /// Its name.
    pub name: String,
    /// What it does.
    pub what: String,
    /// How it was caught, if it was.
    pub trace: Option<Trace>,
}

/// How a hunt ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// The invariant that was broken.
    pub invariant: String,
    /// How it showed.
    pub what: String,
    /// In which story.
    pub story: String,
    /// After how many boots, those of the stories before counted.
    pub boots: u64,
}

/// One exploration.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Of what.
    pub job: String,
    /// How.
    pub way: String,
    /// Whether there was no state left.
    pub closed: bool,
    /// Different states that were reached.
    pub states: u64,
    /// Boots that were run.
    pub boots: u64,
    /// Cuts that were made.
    pub cuts: Cuts,
    /// The longest row of cuts.
    pub longest_row: u8,
    /// The most boots until a confirmed image ran, without further faults.
    pub most_boots_to_confirmed: u8,
    /// How long it took.
    pub seconds: f64,
    /// What was broken, and the path that shows it.
    pub violations: Vec<(String, String)>,
}

impl Line {
    /// What came of `task`.
    #[must_use]
    pub fn new(task: &Task, findings: &Findings) -> Self {
        let job = task.job.name();
        let found = findings.violations.iter().map(|found| {
            let id = format!("{job}#{}", path::write(&found.path));
            (found.violation.to_string(), id)
        });
        Self {
            violations: found.collect(),
            job,
            way: match (task.way, findings.closed) {
                (Way::ToTheEnd, true) => "to the end".to_owned(),
                (Way::ToTheEnd, false) => format!("the first {} boots", findings.boots),
                (Way::AsTheyAre, true) => "to the end, numbers as they are".to_owned(),
                (Way::AsTheyAre, false) => {
                    format!("the first {} boots, numbers as they are", findings.boots)
                }
                (Way::Cuts(cuts), true) => format!("every {cuts} cuts"),
                (Way::Cuts(cuts), false) => {
                    format!("{cuts} cuts, the first {} boots", findings.boots)
                }
                (Way::Drawn, _) => "drawn".to_owned(),
            },
            closed: findings.closed && matches!(task.way, Way::ToTheEnd),
            states: findings.states,
            boots: findings.boots,
            cuts: findings.cuts,
            longest_row: findings.longest_row,
            most_boots_to_confirmed: findings.most_boots_to_confirmed,
            seconds: findings.time.as_secs_f64(),
        }
    }
}

impl Report {
    /// Takes in one more exploration.
    pub fn add(&mut self, line: Line) {
        self.boots += line.boots;
        self.states += line.states;
        self.cuts += line.cuts.all();
        self.cuts_by_kind.add(&line.cuts);
        self.violations += line.violations.len() as u64;
        if line.closed && line.violations.is_empty() {
            self.fixpoints.push(line.job.clone());
        }
        self.jobs.push(line);
    }

    /// Says how long the exploration took.
    pub fn took(&mut self, time: Duration) {
        self.boots_per_second = self.boots as f64 / time.as_secs_f64();
    }

    /// Whether everything held and every defect was caught.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.violations == 0 && self.defects.caught == self.defects.planted
    }

    /// The tables.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let heads = [
            "states", "boots", "before", "after", "program", "erase", "resets", "flips", "broken",
        ];
        let _ = write!(text, "\n{:<40}", "geometry / story");
        for head in heads {
            let _ = write!(text, "{head:>12}");
        }
        let _ = writeln!(text, "  how far");
        for line in &self.jobs {
            let cuts = &line.cuts;
            let figures = [
                line.states,
                line.boots,
                cuts.before,
                cuts.after,
                cuts.program,
                cuts.erase,
                cuts.resets,
                cuts.flips,
                line.violations.len() as u64,
            ];
            let _ = write!(text, "{:<40}", line.job);
            for figure in figures {
                let _ = write!(text, "{figure:>12}");
            }
            let _ = writeln!(text, "  {}", line.way);
        }
        let _ = writeln!(
            text,
            "\n{} states, {} boots, {} cuts, {} violations, {} stories to the end; {:.0} boots per second",
            self.states,
            self.boots,
            self.cuts,
            self.violations,
            self.fixpoints.len(),
            self.boots_per_second
        );
        if self.defects.planted > 0 {
            let _ = writeln!(text, "\n{:<34}{:>8}  caught by", "planted defect", "boots");
        }
        for defect in &self.defects.each {
            let _ = match &defect.trace {
                Some(trace) => writeln!(
                    text,
                    "{:<34}{:>8}  {} in {}",
                    defect.name, trace.boots, trace.invariant, trace.story
                ),
                None => writeln!(
                    text,
                    "{:<34}{:>8}  NOTHING: {}",
                    defect.name, "", defect.what
                ),
            };
        }
        if self.defects.planted > 0 {
            let Defects {
                planted, caught, ..
            } = self.defects;
            let _ = writeln!(text, "{caught} of {planted} planted defects caught");
        }
        text
    }
}
