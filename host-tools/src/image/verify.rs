//! `bistable image verify`: what a device would say, check by check.

use std::fmt::{self, Display};
use std::path::PathBuf;

use bistable_core::keys::Revoked;
use bistable_core::version::Version;
use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::{Facts, parse_version, workspace_version};
use crate::image::check::manifest;
use crate::image::file::Wrong;
use crate::image::judge::{Judged, Verdict, judge};
use crate::image::taker::{Known, Taker};
use crate::output::{BAD, FAINT, GOOD, Output, Report, paint};
use crate::refusals::Numbered;
use crate::{Error, files};

/// Check an image as a device does; exit status 1 if it fails a check.
///
/// The device runs some older image and has the factory's floor, unless more is said of it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable image verify v2.img --layout layout.toml --explain")]
pub struct Arguments {
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The product's layout.toml.
    #[arg(long, value_name = "FILE")]
    pub layout: PathBuf,
    /// The device's bootloader; that of these tools without it.
    #[arg(long, value_name = "VERSION", value_parser = parse_version, default_value_t = workspace_version())]
    pub bootloader_version: Version,
    /// Say of each check, also of those behind the first that fails, what was compared and by which rule.
    #[arg(long)]
    pub explain: bool,
    /// Judge for the device whose flash this file holds: would it install the image now?
    #[arg(long, value_name = "FLASH", conflicts_with_all = ["running", "schema", "revoked"])]
    pub on: Option<PathBuf>,
    /// The device's floor, if it is above the factory's; with --on, what its fuses hold.
    #[arg(long, value_name = "N")]
    pub floor: Option<u32>,
    /// The sequence of the image that runs.
    #[arg(long, value_name = "SEQUENCE")]
    pub running: Option<u32>,
    /// The data schema of the device's data.
    #[arg(long, value_name = "N")]
    pub schema: Option<u16>,
    /// A key that the device has revoked, by its name or id in the ring; may be given several times.
    #[arg(long, value_name = "KEY")]
    pub revoked: Vec<String>,
}

/// Whether a device takes an image.
#[derive(Serialize, JsonSchema)]
pub struct Verification {
    /// The file.
    pub image: String,
    /// The image's name; `null` if its header cannot be read.
    pub name: Option<String>,
    /// Whether it passed every check.
    pub accepted: bool,
    /// What the device would say first.
    pub refusal: Option<RefusalReport>,
    /// All checks, in the device's order.
    pub checks: Vec<Check>,
    #[serde(skip)]
    explain: bool,
}

/// How something is refused.
#[derive(Clone, Serialize, JsonSchema)]
pub struct RefusalReport {
    /// Such as `B033`; `null` for a file that ends early or late, which has no number.
    pub number: Option<String>,
    /// Such as `BelowFloor`.
    pub name: Option<String>,
    /// What is wrong, and where.
    pub defect: String,
    /// What to do.
    pub mend: &'static str,
}

/// A check.
#[derive(Serialize, JsonSchema)]
pub struct Check {
    /// What was checked, in a word or two.
    pub check: &'static str,
    /// How it went.
    pub result: Outcome,
    /// What the image has.
    pub found: String,
    /// What the device asks for.
    pub expected: String,
    /// The rule of the design.
    pub rule: &'static str,
    /// Why it failed.
    pub refusal: Option<RefusalReport>,
    /// Why it was not judged.
    pub not_judged: Option<&'static str>,
}

/// How a check went.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Passed,
    /// Badly.
    Failed,
    /// It could not be made.
    NotJudged,
}

impl Report for Verification {
    const FORMAT: &'static str = "image-verify/1";
}

/// Runs the command.
///
/// # Errors
/// The first check that the image fails.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let facts = Facts::read(&arguments.layout)?;
    let path = &arguments.image;
    let bytes = files::read(path, "read the image")?;
    let bootloader = arguments.bootloader_version;
    let manifest = manifest(&bytes);
    let taker = match &arguments.on {
        Some(flash) => {
            let mut taker = Taker::read(flash, &facts, bootloader)?;
            taker.snapshot.floor = taker.snapshot.floor.max(arguments.floor.unwrap_or(0));
            taker
        }
        None => {
            let known = Known {
                floor: arguments.floor,
                running: arguments.running,
                schema: arguments.schema,
                revoked: revoked(&arguments.revoked, &facts)?,
            };
            Taker::imagined(&facts, bootloader, known, manifest.as_ref())
        }
    };
    let (judged, _) = judge(&bytes, &facts, &taker);
    let failed = judged.iter().find_map(|it| match &it.verdict {
        Verdict::Failed(defect) => Some(defect.clone()),
        Verdict::Passed | Verdict::NotJudged(_) => None,
    });
    let checks: Vec<_> = judged.into_iter().map(Check::new).collect();
    output.say(&Verification {
        image: path.display().to_string(),
        name: manifest.map(|manifest| manifest.digest().to_string()),
        accepted: failed.is_none(),
        refusal: checks.iter().find_map(|check| check.refusal.clone()),
        checks,
        explain: arguments.explain,
    })?;
    failed.map_or(Ok(()), |defect| Err(defect.at(path)))
}

/// The places of these keys in the ring.
fn revoked(names: &[String], facts: &Facts) -> Result<Revoked, Error> {
    let mut revoked = Revoked::default();
    for name in names {
        let mut keys = facts.ring.keys.iter();
        let place = keys.position(|it| it.name == *name || it.key.id.to_string() == *name);
        let place = place.ok_or_else(|| {
            Error::argument(
                "--revoked",
                format!("{name:?}"),
                format!("a key of {}", facts.product.ring_path.display()),
                "`bistable key show` lists their names and ids",
            )
        })?;
        revoked = revoked.with(place);
    }
    Ok(revoked)
}

impl Check {
    fn new(judged: Judged) -> Self {
        let (result, refusal, not_judged) = match &judged.verdict {
            Verdict::Passed => (Outcome::Passed, None, None),
            Verdict::NotJudged(why) => (Outcome::NotJudged, None, Some(*why)),
            Verdict::Failed(defect) => {
                let numbered = match defect.wrong {
                    Wrong::Refused(refusal) => Some(Numbered::Refusal(refusal)),
                    Wrong::Truncated(_) | Wrong::Trailing(_) => None,
                };
                let refusal = RefusalReport {
                    number: numbered.map(|it| format!("B{:03}", it.number())),
                    name: numbered.map(Numbered::name),
                    defect: defect.to_string(),
                    mend: defect.mend().1,
                };
                (Outcome::Failed, Some(refusal), None)
            }
        };
        Self {
            check: judged.check,
            result,
            found: judged.found,
            expected: judged.expected,
            rule: judged.rule,
            refusal,
            not_judged,
        }
    }

    fn explain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = self.not_judged {
            return writeln!(
                formatter,
                "-       {:<11} not judged, because {why}",
                self.check
            );
        }
        let (style, word) = match self.result {
            Outcome::Failed => (BAD, "FAILED"),
            Outcome::Passed | Outcome::NotJudged => (GOOD, "ok"),
        };
        let indent = " ".repeat(20);
        writeln!(
            formatter,
            "{}  {:<11} found {}\n{indent}expected {}",
            paint(style, format!("{word:<6}")),
            self.check,
            self.found,
            self.expected
        )?;
        if let Some(refusal) = &self.refusal {
            let mend = refusal.mend;
            writeln!(formatter, "{indent}{}; {mend}", refusal.defect)?;
        }
        writeln!(formatter, "{indent}{}", paint(FAINT, self.rule))
    }
}

impl Display for Verification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.explain {
            return self.checks.iter().try_for_each(|it| it.explain(formatter));
        }
        for check in &self.checks {
            match (check.result, &check.refusal) {
                (Outcome::Passed, _) => {
                    let ok = paint(GOOD, "ok    ");
                    writeln!(formatter, "{ok}  {:<11} {}", check.check, check.found)?;
                }
                (_, Some(refusal)) => {
                    let failed = paint(BAD, "FAILED");
                    return writeln!(
                        formatter,
                        "{failed}  {:<11} {}",
                        check.check, refusal.defect
                    );
                }
                (_, None) => {}
            }
        }
        Ok(())
    }
}
