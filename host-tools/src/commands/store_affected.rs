//! `bistable store affected`: which images of a store hold a component that is too old.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::layout::HEADER_LEN;
use bistable_core::manifest::Manifest;
use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use crate::Error;
use crate::image::cyclonedx::Bom;
use crate::image::records::Kind;
use crate::output::{BAD, FAINT, Output, Report, paint};
use crate::store::{Store, manifest_of};

/// List the images of a store that hold a component below a version.
///
/// What an image holds, its bill of materials says. An image whose bill is not in the store is listed as
/// unknown. The exit status is 0 whatever is found: the question was answered.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable store affected store --component heapless --below 0.9.3"
)]
pub struct Arguments {
    /// The store.
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// The component's name; `-` and `_`, small and capital letters are the same.
    #[arg(long, value_name = "NAME")]
    pub component: String,
    /// The first version that is good again (semver.org: 1.0.0-rc.1 is below 1.0.0).
    #[arg(long, value_name = "VERSION", value_parser = parse_below)]
    pub below: Version,
}

/// Which images hold a component that is too old.
#[derive(Serialize, JsonSchema)]
pub struct Affected {
    /// The component's name.
    pub component: String,
    /// The first version that is good again.
    pub below: String,
    /// The images that hold it, by sequence.
    pub affected: Vec<AffectedImage>,
    /// The images of which it is not known, by name.
    pub unknown: Vec<UnknownImage>,
    /// How many images do not hold it, or in good versions only.
    pub good: usize,
}

/// An image that holds the component.
#[derive(Serialize, JsonSchema)]
pub struct AffectedImage {
    /// Its name, 64 hexadecimal digits.
    pub image: String,
    /// Three numbers.
    pub version: String,
    /// Decides what may be installed.
    pub sequence: u32,
    /// The channels whose newest image it is.
    pub channels: Vec<String>,
    /// The versions of the component that it holds and that are too old.
    pub holds: Vec<String>,
}

/// An image that may hold the component.
#[derive(Serialize, JsonSchema)]
pub struct UnknownImage {
    /// Its name, 64 hexadecimal digits, or the name of a file that is no image.
    pub image: String,
    /// Three numbers; `null` for what is no image.
    pub version: Option<String>,
    /// Decides what may be installed; `null` for what is no image.
    pub sequence: Option<u32>,
    /// The channels whose newest image it is.
    pub channels: Vec<String>,
    /// Why it is not known.
    pub why: String,
}

impl Report for Affected {
    const FORMAT: &'static str = "store-affected/1";
}

/// Runs the command.
///
/// # Errors
/// There is no store, or it cannot be read.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let store = Store::existing(&arguments.store)?;
    let mut channels: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for (channel, digest) in store.channels()? {
        channels
            .entry(digest)
            .or_default()
            .push(channel.to_string());
    }
    let mut found = Affected {
        component: arguments.component.clone(),
        below: arguments.below.to_string(),
        affected: Vec::new(),
        unknown: Vec::new(),
        good: 0,
    };
    let images = store.images()?;
    let progress = output.progress("reading images", images.len() as u64);
    for image in images {
        found.add(&store, &image, &channels, arguments)?;
        progress.step();
    }
    found.affected.sort_by_key(|image| image.sequence);
    drop(progress);
    output.say(&found)
}

impl Affected {
    fn add(
        &mut self,
        store: &Store,
        path: &Path,
        channels: &BTreeMap<Digest, Vec<String>>,
        arguments: &Arguments,
    ) -> Result<(), Error> {
        let manifest = match manifest_of(&head(path)?) {
            Ok(manifest) => manifest,
            Err(found) => {
                self.unknown.push(UnknownImage {
                    image: path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into(),
                    version: None,
                    sequence: None,
                    channels: Vec::new(),
                    why: format!("it is no image: {found}"),
                });
                return Ok(());
            }
        };
        let name = manifest.digest();
        let channels = channels.get(&name).cloned().unwrap_or_default();
        let held = bill_of(store, &manifest)
            .and_then(|bill| too_old(&bill, &arguments.component, &arguments.below));
        match held {
            Ok(holds) if holds.is_empty() => self.good += 1,
            Ok(holds) => self.affected.push(AffectedImage {
                image: name.to_string(),
                version: manifest.version().to_string(),
                sequence: manifest.sequence(),
                channels,
                holds,
            }),
            Err(why) => self.unknown.push(UnknownImage {
                image: name.to_string(),
                version: Some(manifest.version().to_string()),
                sequence: Some(manifest.sequence()),
                channels,
                why,
            }),
        }
        Ok(())
    }
}

/// The first bytes of a file: all that a header takes.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read the image"))?;
    file.take(HEADER_LEN as u64)
        .read_to_end(&mut head)
        .map_err(Error::io(path, "read the image"))?;
    Ok(head)
}

/// The bill of materials of an image, or why there is none.
fn bill_of(store: &Store, manifest: &Manifest) -> Result<Bom, String> {
    let named = Kind::Sbom
        .named_by(manifest)
        .ok_or("it names no bill of materials")?;
    let bytes = fs::read(store.record_path(Kind::Sbom, &named))
        .map_err(|error| format!("its bill of materials cannot be read from the store: {error}"))?;
    if Digest::of(&bytes) != named {
        return Err("its bill of materials in the store was changed".into());
    }
    Bom::parse(&bytes).ok_or_else(|| "its bill of materials is in another format".into())
}

/// The versions of a component that are below `below`, or the one that cannot be compared.
fn too_old(bill: &Bom, component: &str, below: &Version) -> Result<Vec<String>, String> {
    let mut holds = Vec::new();
    let mut unclear = None;
    let contained = bill.contained().into_iter();
    for found in contained.filter(|it| plain(&it.name) == plain(component)) {
        let version = found.version.as_deref().unwrap_or_default();
        match lenient(version) {
            Some(parsed) if parsed.cmp_precedence(below).is_lt() => holds.push(version.to_owned()),
            Some(_) => {}
            None => unclear = Some(format!("it holds `{}` of version `{version}`", found.name)),
        }
    }
    match (holds.is_empty(), unclear) {
        (true, Some(unclear)) => Err(format!("{unclear}, which cannot be compared")),
        _ => Ok(holds),
    }
}

/// A name as it is compared: what cargo, and people, take for the same.
fn plain(name: &str) -> String {
    name.replace('_', "-").to_lowercase()
}

/// A version, also one with fewer numbers than three.
fn lenient(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let padded = [text.to_owned(), format!("{text}.0"), format!("{text}.0.0")];
    padded.iter().find_map(|text| Version::parse(text).ok())
}

fn parse_below(text: &str) -> Result<Version, String> {
    lenient(text).ok_or_else(|| "a version is such as 1.2.3 or 1.2.3-rc.1 (semver.org)".into())
}

impl Display for Affected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            component, below, ..
        } = self;
        let (affected, unknown) = (self.affected.len(), self.unknown.len());
        writeln!(
            formatter,
            "{component} below {below}: {affected} images hold it, {unknown} unknown, {} good",
            self.good
        )?;
        for image in &self.affected {
            let newest = newest(&image.channels);
            let (word, holds) = (paint(BAD, "affected"), image.holds.join(", "));
            writeln!(
                formatter,
                "{word}  {}  version {}, sequence {}, holds {holds}{newest}",
                image.image, image.version, image.sequence
            )?;
        }
        for image in &self.unknown {
            let newest = newest(&image.channels);
            let word = paint(FAINT, "unknown ");
            writeln!(formatter, "{word}  {}  {}{newest}", image.image, image.why)?;
        }
        Ok(())
    }
}

fn newest(channels: &[String]) -> String {
    match channels {
        [] => String::new(),
        channels => format!(", the newest of {}", channels.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(versions: &[&str]) -> Bom {
        let components: Vec<_> = versions
            .iter()
            .map(|version| format!(r#"{{"type":"library","name":"a_b","version":"{version}"}}"#))
            .collect();
        let text = format!(
            r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{}]}}"#,
            components.join(",")
        );
        Bom::parse(text.as_bytes()).unwrap()
    }

    fn found(versions: &[&str], below: &str) -> Result<Vec<String>, String> {
        too_old(&bill(versions), "A-b", &parse_below(below).unwrap())
    }

    #[test]
    fn versions_are_compared_as_numbers_and_not_as_text() {
        assert_eq!(found(&["1.9.0"], "1.10.0").unwrap(), ["1.9.0"]);
        assert!(found(&["1.10.0"], "1.9.0").unwrap().is_empty());
        assert!(found(&["1.10.0"], "1.10.0").unwrap().is_empty());
    }

    #[test]
    fn a_release_candidate_is_below_its_release_and_build_metadata_do_not_count() {
        assert_eq!(found(&["2.0.0-rc.1"], "2.0.0").unwrap(), ["2.0.0-rc.1"]);
        assert!(found(&["2.0.0+old"], "2.0.0").unwrap().is_empty());
    }

    #[test]
    fn of_two_versions_in_one_image_the_old_one_counts() {
        assert_eq!(found(&["3.0.0", "1.0.0"], "2.0.0").unwrap(), ["1.0.0"]);
    }

    #[test]
    fn a_version_that_cannot_be_compared_is_told_and_not_taken_for_good() {
        let why = found(&["2024-spring"], "1.0").unwrap_err();
        assert!(why.contains("`2024-spring`"), "{why}");
        assert_eq!(found(&["2024-spring", "0.9"], "v1").unwrap(), ["0.9"]);
    }
}
