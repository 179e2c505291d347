//! Cuts the power everywhere, and says what came of it: `cargo xtask explore`.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bistable_defects::{DEFECTS, Defect, VARIABLE};
use bistable_tests::explorer::findings::Findings;
use bistable_tests::explorer::graph::explore;
use bistable_tests::explorer::invariants::Invariant;
use bistable_tests::explorer::plan::{self, Task, Way};
use bistable_tests::explorer::report::{Caught, Line, Report, Trace};
use bistable_tests::explorer::retell::retell;
use bistable_tests::explorer::walk::walk;
use bistable_tests::explorer::world::World;
use bistable_tests::explorer::{hunt, jobs, path};
use clap::Parser;

/// Cuts the power at every operation of bootloader and updater, from every state that can be reached, and
/// checks that the device cannot be bricked.
#[derive(Parser)]
#[command(name = "cargo xtask explore")]
struct Arguments {
    /// The long run: every story to the end, or as far as is said.
    #[arg(long)]
    full: bool,
    /// What the drawn walks follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many minutes of a long run are for drawn walks.
    #[arg(long, default_value_t = 9)]
    minutes: u64,
    /// Ends every story after so many minutes, however far it is.
    #[arg(long, value_name = "MINUTES")]
    at_most: Option<u64>,
    /// Only this story, such as `w8/update`, to the end.
    #[arg(long)]
    story: Vec<String>,
    /// Tells the path with this id, as a violation prints it.
    #[arg(long, value_name = "ID")]
    replay: Option<String>,
    /// Where the figures go.
    #[arg(long)]
    json: Option<PathBuf>,
    /// This program with the defects planted in it.
    #[arg(long)]
    planted: Option<PathBuf>,
    /// Only this planted defect is hunted, or `all` are, and nothing else done.
    #[arg(long)]
    defect: Option<String>,
    /// Looks for one violation, and prints it as JSON.
    #[arg(long, hide = true)]
    hunt: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything held.
fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.hunt {
        // Code with a defect may panic, and that is noted.
        std::panic::set_hook(Box::new(|_| {}));
        println!("{}", serde_json::to_string(&hunt())?);
        return Ok(true);
    }
    if let Some(id) = &arguments.replay {
        return replay(id);
    }
    let begun = Instant::now();
    let mut report = Report {
        seed: arguments.seed,
        ..Report::default()
    };
    if arguments.defect.is_none() {
        let tasks = match (&*arguments.story, arguments.full) {
            ([], false) => plan::short(),
            ([], true) => plan::full(arguments.minutes),
            (names, _) => names
                .iter()
                .map(|name| named(name).map(plan::alone))
                .collect::<Result<_>>()?,
        };
        let at_most = arguments
            .at_most
            .map(|minutes| Duration::from_secs(60 * minutes));
        explore_all(&tasks, arguments.seed, at_most, &mut report);
        report.took(begun.elapsed());
    }
    if arguments.story.is_empty()
        && let Some(planted) = &arguments.planted
    {
        hunt_all(planted, arguments.defect.as_deref(), &mut report)?;
    }
    report.seconds = begun.elapsed().as_secs_f64();
    println!("{}", report.table());
    for line in &report.jobs {
        for (violation, id) in &line.violations {
            println!("VIOLATION of {violation}");
            let (_, steps) = id.split_once('#').context("an id")?;
            let world = World::new(named(&line.job)?);
            match retell(&world, &path::read(steps)?) {
                Ok(told) => told.iter().for_each(|told| println!("    {told}")),
                Err(error) => println!("    the path cannot be told: {error:#}"),
            }
            println!("    again: cargo xtask explore --replay '{id}'\n");
        }
    }
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    println!("{:.0} s", report.seconds);
    Ok(report.is_well())
}

fn named(name: &str) -> Result<bistable_tests::explorer::scenario::Job> {
    jobs::job(name).with_context(|| {
        let geometries = jobs::GEOMETRIES.iter().chain(&jobs::REALISTIC);
        let geometries: Vec<_> = geometries.map(|geometry| geometry.name).collect();
        let stories = jobs::SCENARIOS.iter().chain(&jobs::FIELD);
        let stories: Vec<_> = stories.map(|story| story.name).collect();
        format!(
            "`{name}`: expected geometry/story, then perhaps /old-or-none or /beyond\n\
             geometries: {}\nstories: {}",
            geometries.join(", "),
            stories.join(", ")
        )
    })
}

fn replay(id: &str) -> Result<bool> {
    let (job, steps) = id
        .split_once('#')
        .with_context(|| format!("`{id}`: expected story#path, as a violation prints it"))?;
    let world = World::new(named(job)?);
    println!("{job}: {}", world.job.scenario.about);
    for line in retell(&world, &path::read(steps)?)? {
        println!("{line}");
    }
    Ok(true)
}

/// Explores, on as many threads as there are processors.
fn explore_all(tasks: &[Task], seed: u64, at_most: Option<Duration>, report: &mut Report) {
    let begun = Instant::now();
    let queue: Mutex<VecDeque<(usize, &Task)>> = Mutex::new(tasks.iter().enumerate().collect());
    let done: Mutex<Vec<(usize, Line)>> = Mutex::new(Vec::new());
    let shown = Mutex::new(Progress::new(tasks.len()));
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                while let Some((number, task)) = next(&queue) {
                    let mut task = *task;
                    if let Some(at_most) = at_most {
                        let left = at_most.saturating_sub(begun.elapsed());
                        task.bounds.time = task.bounds.time.min(left);
                    }
                    let findings = one(&task, seed, &shown);
                    let mut done = lock(&done);
                    done.push((number, Line::new(&task, &findings)));
                    lock(&shown).finished(findings.boots);
                }
            });
        }
    });
    eprintln!();
    let mut done = std::mem::take(&mut *lock(&done));
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().for_each(|(_, line)| report.add(line));
}

fn one(task: &Task, seed: u64, shown: &Mutex<Progress>) -> Findings {
    let world = World::new(task.job);
    let name = task.job.name();
    match task.way {
        Way::Drawn => walk(&world, seed, task.bounds, |findings| {
            lock(shown).show(&name, findings.boots, 0);
        }),
        _ => explore(&world, task.bounds, |findings, to_go| {
            lock(shown).show(&name, findings.boots, to_go);
        }),
    }
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// What is shown while it goes on.
struct Progress {
    of: usize,
    finished: usize,
    boots: u64,
    begun: Instant,
    last: Instant,
    is_terminal: bool,
}

impl Progress {
    fn new(of: usize) -> Self {
        Self {
            of,
            finished: 0,
            boots: 0,
            begun: Instant::now(),
            last: Instant::now(),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn finished(&mut self, boots: u64) {
        self.finished += 1;
        self.boots += boots;
    }

    fn show(&mut self, name: &str, boots: u64, to_go: usize) {
        let pause = Duration::from_secs(if self.is_terminal { 1 } else { 30 });
        if self.last.elapsed() < pause {
            return;
        }
        self.last = Instant::now();
        let line = format!(
            "{:>5.0} s, {} of {} stories, {} boots; {name}: {boots} boots, {to_go} states to go",
            self.begun.elapsed().as_secs_f64(),
            self.finished,
            self.of,
            self.boots,
        );
        if self.is_terminal {
            eprint!("\r{line:<110}");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }
}

/// Runs the program with each defect awake, and once with none.
fn hunt_all(planted: &PathBuf, only: Option<&str>, report: &mut Report) -> Result<()> {
    let wanted = |defect: &&Defect| only.is_none_or(|only| only == "all" || only == defect.name);
    let defects: Vec<&Defect> = DEFECTS.iter().filter(wanted).collect();
    if defects.is_empty() {
        let names: Vec<_> = DEFECTS.iter().map(|defect| defect.name).collect();
        bail!("no such defect; there are: {}", names.join(", "));
    }
    let all_asleep = Defect {
        name: "",
        what: "no defect is awake",
    };
    let with_none = std::iter::once(&all_asleep).chain(defects);
    let queue: Mutex<VecDeque<(usize, &Defect)>> = Mutex::new(with_none.enumerate().collect());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                while let Some((number, defect)) = next(&queue) {
                    let trace = hunt_one(planted, defect.name);
                    lock(&done).push((number, defect, trace));
                }
            });
        }
    });
    let mut done = std::mem::take(&mut *lock(&done));
    done.sort_by_key(|(number, ..)| *number);
    for (_, defect, trace) in done {
        let trace = trace?;
        if defect.name.is_empty() {
            if let Some(trace) = trace {
                bail!("with no defect awake the hunt ends with {trace:?}");
            }
            continue;
        }
        report.defects.planted += 1;
        report.defects.caught += usize::from(trace.is_some());
        report.defects.each.push(Caught {
            name: defect.name.to_owned(),
            what: defect.what.to_owned(),
            trace,
        });
    }
    Ok(())
}

fn hunt_one(planted: &PathBuf, defect: &str) -> Result<Option<Trace>> {
    let mut command = Command::new(planted);
    command.arg("--hunt").env(VARIABLE, defect);
    let output = command
        .output()
        .with_context(|| planted.display().to_string())?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!(
            "the hunt for `{defect}` ends with {}: {said}",
            output.status
        )
    })
}

/// Looks for a violation, story by story. A panic is none: it would be the code under test that noticed.
fn hunt() -> Option<Trace> {
    let mut boots = 0;
    let defect = std::env::var(VARIABLE).unwrap_or_default();
    for task in hunt::stories(&defect) {
        let world = World::new(task.job);
        let findings = explore(&world, task.bounds, |_, _| {});
        eprintln!(
            "{} {:?}: {} boots, {} states, {:.1} s",
            task.job.name(),
            task.way,
            findings.boots,
            findings.states,
            findings.time.as_secs_f64()
        );
        let mut found = findings.violations.into_iter();
        if let Some(found) = found.find(|found| found.violation.invariant != Invariant::NoPanic) {
            return Some(Trace {
                invariant: found.violation.invariant.to_string(),
                what: found.violation.what,
                story: task.job.name(),
                boots: boots + found.boots,
            });
        }
        boots += findings.boots;
    }
    None
}
