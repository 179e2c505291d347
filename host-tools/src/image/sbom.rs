//! The software bill of materials of a package: what cargo linked into it, and what it built it with.
//!
//! The packages are those that cargo says it compiled; versions, licences and who needs whom come from
//! its metadata, checksums from `Cargo.lock`. There is no time and no random number in it, so the same
//! sources give the same bytes.

use std::collections::BTreeMap;
use std::fs;

use bistable_core::digest::Digest;
use cargo_metadata::{DependencyKind, Node, Package, PackageId};
use serde::Deserialize;
use uuid::Uuid;

use crate::Error;
use crate::image::cyclonedx::{
    Bom, Component, Dependency, FORMAT, Hash, License, Metadata, SPECIFICATION, SingleLicense,
};
use crate::image::package::{Recorded, Use};
use crate::image::project::Project;

/// The bill of materials, as the bytes of a file.
///
/// # Errors
/// `Cargo.lock` cannot be read.
pub fn make(recorded: &Recorded) -> Result<Vec<u8>, Error> {
    let project = &recorded.project;
    let checksums = checksums(project)?;
    let used = |package: &&Package| recorded.compiled.contains_key(&package.id);
    let packages = project.metadata.packages.iter().filter(used);
    let mut components: Vec<_> = packages
        .clone()
        .filter(|package| package.id != project.package)
        .map(|package| {
            let scope = match recorded.compiled.get(&package.id) {
                Some(Use::Linked) => "required",
                _ => "excluded",
            };
            Component {
                kind: "library".into(),
                scope: Some(scope.into()),
                ..component(package, &checksums)
            }
        })
        .collect();
    components.sort_by(|a, b| a.reference.cmp(&b.reference));
    let references = packages.map(|package| (&package.id, reference(package)));
    let references: BTreeMap<_, _> = references.collect();
    let about = project.package().map(|package| Component {
        kind: "firmware".into(),
        ..component(package, &checksums)
    });
    let mut bom = Bom {
        format: FORMAT.into(),
        specification: SPECIFICATION.into(),
        serial_number: None,
        version: 1,
        metadata: Some(Metadata { component: about }),
        components,
        dependencies: dependencies(project, &references),
    };
    // Each document has a number of its own, as the specification recommends: what it says makes it.
    let digest = Digest::of(&bytes(&bom));
    let number = digest.0.first_chunk().copied().unwrap_or_default();
    let number = uuid::Builder::from_custom_bytes(number).into_uuid();
    bom.serial_number = Some(Uuid::urn(number).to_string());
    Ok(bytes(&bom))
}

fn bytes(bom: &Bom) -> Vec<u8> {
    // Nothing in it can fail to be written.
    let mut bytes = serde_json::to_vec_pretty(bom).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn component(package: &Package, checksums: &Checksums) -> Component {
    let source = package.source.as_ref().map(|source| source.repr.clone());
    let key = (package.name.to_string(), package.version.to_string());
    let checksum = source.and_then(|source| checksums.get(&(key.0, key.1, source)));
    let hash = |content: &String| Hash {
        algorithm: "SHA-256".into(),
        content: content.clone(),
    };
    Component {
        reference: Some(reference(package)),
        name: package.name.to_string(),
        version: Some(package.version.to_string()),
        hashes: checksum.map(hash).into_iter().collect(),
        licenses: license(package).into_iter().collect(),
        purl: package_url(package),
        ..Component::default()
    }
}

/// A name that no other package of the build has.
fn reference(package: &Package) -> String {
    package_url(package).unwrap_or_else(|| format!("{}@{}", package.name, package.version))
}

/// By the package URL specification, type `cargo`. What lies in the workspace is in no registry and has
/// none.
fn package_url(package: &Package) -> Option<String> {
    let source = package.source.as_ref()?;
    let version = package.version.to_string().replace('+', "%2B");
    let url = format!("pkg:cargo/{}@{version}", package.name);
    if source.is_crates_io() {
        return Some(url);
    }
    let escaped = |text: &str| {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' | b'/' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(escape).collect::<String>()
    };
    if let Some(repository) = source.repr.strip_prefix("git+") {
        // `…?branch=main#<commit>`: the commit says it all.
        let (repository, commit) = repository.split_once('#').unwrap_or((repository, ""));
        let repository = repository.split('?').next().unwrap_or_default();
        let place = escaped(&format!("git+{repository}@{commit}"));
        return Some(format!("{url}?vcs_url={place}"));
    }
    let (_, registry) = source.repr.split_once('+').unwrap_or(("", &source.repr));
    Some(format!("{url}?repository_url={}", escaped(registry)))
}

fn license(package: &Package) -> Option<License> {
    if let Some(expression) = &package.license {
        return Some(License {
            // Cargo still takes this for "or", SPDX never did.
            expression: Some(expression.replace('/', " OR ")),
            license: None,
        });
    }
    let file = package.license_file.as_ref()?.file_name()?;
    Some(License {
        expression: None,
        license: Some(SingleLicense {
            id: None,
            name: Some(format!("see its file {file}")),
        }),
    })
}

fn dependencies(project: &Project, references: &BTreeMap<&PackageId, String>) -> Vec<Dependency> {
    let resolve = project.metadata.resolve.as_ref();
    let nodes = resolve.into_iter().flat_map(|resolve| &resolve.nodes);
    let of = |node: &Node| {
        let needed = node.deps.iter().filter(|dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind != DependencyKind::Development)
        });
        let on = needed.filter_map(|dependency| references.get(&dependency.pkg).cloned());
        let mut on: Vec<_> = on.collect();
        on.sort();
        on.dedup();
        let of = references.get(&node.id)?.clone();
        Some(Dependency { of, on })
    };
    let mut dependencies: Vec<_> = nodes.filter_map(of).collect();
    dependencies.sort_by(|a, b| a.of.cmp(&b.of));
    dependencies
}

/// The checksum of each package by name, version and source.
type Checksums = BTreeMap<(String, String, String), String>;

fn checksums(project: &Project) -> Result<Checksums, Error> {
    #[derive(Deserialize)]
    struct LockFile {
        #[serde(default)]
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        source: Option<String>,
        checksum: Option<String>,
    }
    let path = project.root().join("Cargo.lock");
    let text = fs::read_to_string(&path).map_err(Error::io(&path, "read the lock file"))?;
    let lock: LockFile = toml::from_str(&text).map_err(|error| {
        let found = error.message().to_owned();
        Error::unexpected(&path, found, "a lock file of cargo", "let cargo write it")
    })?;
    let packages = lock.package.into_iter();
    Ok(packages
        .filter_map(|it| Some(((it.name, it.version, it.source?), it.checksum?)))
        .collect())
}
