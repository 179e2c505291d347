//! How a package became an image: an in-toto statement (version 1) with SLSA provenance (version 1).
//!
//! Its subjects are the payloads, as they lie in A and in B. The image's own name is not among them: the
//! manifest names this statement by its digest, so the statement cannot name the manifest. There is no
//! time in it and nothing of the machine, so that whoever builds the same again gets the same statement.
//! `docs/reproducible.md` describes the fields.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use bistable_core::digest::Digest;
use bistable_core::keys::KeyId;
use bistable_core::layout::Slot;
use bistable_core::manifest::{Fields, Manifest};
use serde::{Deserialize, Serialize};

use crate::image::package::{Package, Recorded};
use crate::{Error, files};

/// What the statement is written in.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// What it says.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// How the image was built: the meaning of the parameters.
pub const BUILD_TYPE: &str = "https://bistable.example/image-build/v1";
/// Who built it: whoever called the tool.
pub const BUILDER: &str = "https://bistable.example/bistable-image-build";

/// An in-toto statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What was made.
    pub subject: Vec<Resource>,
    /// [`PREDICATE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// How it was made.
    pub predicate: Predicate,
}

/// SLSA provenance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What was asked for, and what it was made of.
    pub build_definition: BuildDefinition,
    /// Who made it.
    pub run_details: RunDetails,
}

/// What was asked for, and what it was made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What the caller chose.
    pub external_parameters: Parameters,
    /// What it was made of: see [`Resource::name`].
    pub resolved_dependencies: Vec<Resource>,
}

/// What the caller of `image build` chose.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// The package.
    pub package: String,
    /// Its binary, if it has several.
    pub bin: Option<String>,
    /// The target triple.
    pub target: String,
    /// The profile.
    pub profile: String,
    /// Features that were turned on.
    pub features: Vec<String>,
    /// Of the image.
    pub version: String,
    /// Of the image.
    pub sequence: u32,
    /// Of the image.
    pub security_counter: u32,
    /// Of the image: what its confirmation revokes, by security counter.
    pub revoke_below: u32,
    /// Of the image: what its confirmation revokes, by the ids of keys.
    pub revoked_keys: Vec<String>,
    /// Of the image.
    pub trial_attempts: u8,
    /// Of the image.
    pub trial_seconds: u16,
    /// Of the image: the first and the last data schema that it can read.
    pub data_schemas: (u16, u16),
    /// Of the image.
    pub oldest_bootloader: String,
    /// Whether the bill of materials was given, and not made from what was built.
    pub sbom_given: bool,
}

/// Something with a digest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Resource {
    /// Of a subject: `payload-a` or `payload-b`. Of what was used: `source`, `Cargo.lock`, `layout.toml`,
    /// `rustc` or `cargo`.
    pub name: String,
    /// The package URL of a compiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// By the name of the algorithm: `sha256`, or `gitCommit`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// `changed` of the source: whether files differed from the commit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, bool>,
}

/// Who made it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunDetails {
    /// Who made it.
    pub builder: Builder,
}

/// Who made it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Builder {
    /// [`BUILDER`].
    pub id: String,
    /// Of `bistable`.
    #[serde(default)]
    pub version: BTreeMap<String, String>,
}

/// What the statement speaks of.
#[derive(Debug)]
pub struct Making<'m> {
    /// What was built, and how.
    pub package: &'m Package,
    /// What came out.
    pub recorded: &'m Recorded,
    /// The product's layout.
    pub layout: &'m Path,
    /// What the manifest says.
    pub fields: &'m Fields,
    /// Digests of the payload as it lies in A and in B.
    pub payload: [Digest; 2],
    /// Whether the bill of materials was given.
    pub sbom_given: bool,
}

impl Statement {
    /// The statement about an image that was built.
    ///
    /// # Errors
    /// The lock file or the layout cannot be read.
    pub fn of(making: &Making<'_>) -> Result<Self, Error> {
        let subject = |slot: Slot| subject(slot, *slot.of::<Digest>(&making.payload));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            kind: STATEMENT.into(),
            subject: Slot::BOTH.map(subject).into(),
            predicate_type: PREDICATE.into(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.into(),
                    external_parameters: parameters(making),
                    resolved_dependencies: materials(making.recorded, making.layout)?,
                },
                run_details: RunDetails {
                    builder: Builder {
                        id: BUILDER.into(),
                        version: BTreeMap::from([("bistable".into(), version)]),
                    },
                },
            },
        })
    }

    /// Reads a statement of these tools; `None` if it is something else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let statement: Self = serde_json::from_slice(bytes).ok()?;
        let ours = statement.kind == STATEMENT
            && statement.predicate_type == PREDICATE
            && statement.predicate.build_definition.build_type == BUILD_TYPE;
        ours.then_some(statement)
    }

    /// Whether the payloads are those of this manifest.
    #[must_use]
    pub fn is_about(&self, manifest: &Manifest) -> bool {
        self.subject == Slot::BOTH.map(|slot| subject(slot, manifest.payload(slot)))
    }

    /// As the bytes of a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// What the caller chose.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.predicate.build_definition.external_parameters
    }

    /// What it was made of.
    #[must_use]
    pub fn materials(&self) -> &[Resource] {
        &self.predicate.build_definition.resolved_dependencies
    }
}

impl Resource {
    fn with(name: &str, algorithm: &str, digest: &str) -> Self {
        Self {
            name: name.into(),
            digest: BTreeMap::from([(algorithm.into(), digest.into())]),
            ..Self::default()
        }
    }

    /// What tells it from another one of its name, in a few words.
    #[must_use]
    pub fn identity(&self) -> String {
        let digests = self.digest.values().cloned();
        let changed = self.annotations.get("changed") == Some(&true);
        let changed = changed.then(|| "with changes".to_owned());
        let words: Vec<_> = self
            .uri
            .clone()
            .into_iter()
            .chain(digests)
            .chain(changed)
            .collect();
        words.join(" ")
    }
}

fn subject(slot: Slot, payload: Digest) -> Resource {
    let name = format!("payload-{slot:?}").to_lowercase();
    Resource::with(&name, "sha256", &payload.to_string())
}

fn parameters(making: &Making<'_>) -> Parameters {
    let Making {
        package, fields, ..
    } = making;
    Parameters {
        package: package.name.clone(),
        bin: package.bin.clone(),
        target: package.target.clone(),
        profile: package.profile.clone(),
        features: package.features.clone(),
        version: fields.version.to_string(),
        sequence: fields.sequence,
        security_counter: fields.security_counter,
        revoke_below: fields.revoke_below,
        revoked_keys: fields
            .revoked
            .iter()
            .flatten()
            .map(KeyId::to_string)
            .collect(),
        trial_attempts: fields.trial_attempts,
        trial_seconds: fields.trial_seconds,
        data_schemas: fields.schemas,
        oldest_bootloader: fields.oldest_bootloader.to_string(),
        sbom_given: making.sbom_given,
    }
}

/// What was used, in a fixed order.
///
/// # Errors
/// The lock file or the layout cannot be read.
pub fn materials(recorded: &Recorded, layout: &Path) -> Result<Vec<Resource>, Error> {
    let project = &recorded.project;
    let digest =
        |path: &Path, doing| files::read(path, doing).map(|it| Digest::of(&it).to_string());
    let lock = digest(&project.root().join("Cargo.lock"), "read the lock file")?;
    let layout = digest(layout, "read the layout")?;
    let program = |name: &str, version: &str| Resource {
        name: name.into(),
        uri: Some(format!("pkg:generic/{name}@{version}")),
        ..Resource::default()
    };
    let rustc = Resource {
        digest: project
            .rustc
            .commit
            .iter()
            .map(|commit| ("gitCommit".into(), commit.clone()))
            .collect(),
        ..program("rustc", &project.rustc.release)
    };
    let files = [
        Resource::with("Cargo.lock", "sha256", &lock),
        Resource::with("layout.toml", "sha256", &layout),
        rustc,
        program("cargo", &project.cargo),
    ];
    Ok(source(project.root()).into_iter().chain(files).collect())
}

/// The commit that the sources are at, if they are in a git repository. Files that git does not know are
/// not counted as changes: images and keys may lie among the sources.
fn source(root: &Path) -> Option<Resource> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            // The sources are built as they are: whose they are is no question, and nothing is run.
            .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
            .arg("-C")
            .arg(root)
            .args(arguments)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C")
            .stderr(Stdio::null());
        let output = command.output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();
    let known = git(&["ls-files", "--error-unmatch", "Cargo.toml"]).is_some();
    let changes = git(&["status", "--porcelain", "--untracked-files=no", "."])?;
    let changed = !changes.is_empty();
    known.then(|| Resource {
        annotations: BTreeMap::from([("changed".into(), changed)]),
        ..Resource::with("source", "gitCommit", &commit)
    })
}
