//! What the records of an image say, for a report.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use bistable_core::manifest::Manifest;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::image::cyclonedx::{Bom, Component};
use crate::image::provenance::{Parameters, Resource, Statement};
use crate::image::records::{Kind, Record, another};
use crate::output::{BAD, FAINT, paint};

/// A record that a manifest names.
#[derive(Serialize, JsonSchema)]
pub struct Shown<T> {
    /// What the manifest says, 64 hexadecimal digits.
    pub digest: String,
    /// The file that was looked at; `null` if there is none.
    pub file: Option<PathBuf>,
    /// The file's digest if it is ANOTHER one than the manifest names; `null` if all is well.
    pub other: Option<String>,
    /// What the file says; `null` if there is none, if it is another one, or in another format.
    pub content: Option<T>,
}

/// A component of a bill of materials.
#[derive(Serialize, JsonSchema)]
pub struct ShownComponent {
    /// Its name.
    pub name: String,
    /// Its version; `null` if the document does not say it.
    pub version: Option<String>,
    /// Its licence; `null` if the document does not say it.
    pub license: Option<String>,
}

/// What a bill of materials says is in the image.
#[derive(Serialize, JsonSchema)]
pub struct ShownSbom {
    /// What is in the image.
    pub components: Vec<ShownComponent>,
    /// How many more were needed for building it, and are not in it.
    pub building: usize,
}

/// How an image was built.
#[derive(Serialize, JsonSchema)]
pub struct ShownProvenance {
    /// The package.
    pub package: String,
    /// Its binary; `null` if it has one only.
    pub bin: Option<String>,
    /// The target triple.
    pub target: String,
    /// The cargo profile.
    pub profile: String,
    /// Features that were turned on.
    pub features: Vec<String>,
    /// What it was made of.
    pub materials: Vec<Material>,
    /// Who built it.
    pub builder: String,
    /// Whether the statement is about this image's payloads.
    pub about_this_payload: bool,
}

/// Something that an image was made of.
#[derive(Serialize, JsonSchema)]
pub struct Material {
    /// `source`, `Cargo.lock`, `layout.toml`, `rustc` or `cargo`.
    pub name: String,
    /// Its digest, commit or version.
    pub identity: String,
}

/// The bill of materials of the image at `image`, if its manifest names one.
///
/// # Errors
/// A file cannot be read, or was given and is not named.
pub fn sbom(
    image: &Path,
    manifest: &Manifest,
    given: Option<&Path>,
) -> Result<Option<Shown<ShownSbom>>, Error> {
    let record = Record::of(Kind::Sbom, image, manifest, given)?;
    Ok(Shown::of(record, |bytes| {
        let bom = Bom::parse(bytes)?;
        let contained = bom.contained();
        let building = bom.components.iter();
        let building = building.filter(|it| it.scope.as_deref() == Some("excluded"));
        Some(ShownSbom {
            building: building.count(),
            components: contained.into_iter().map(ShownComponent::of).collect(),
        })
    }))
}

/// How the image at `image` was built, if its manifest names a statement.
///
/// # Errors
/// A file cannot be read, or was given and is not named.
pub fn provenance(
    image: &Path,
    manifest: &Manifest,
    given: Option<&Path>,
) -> Result<Option<Shown<ShownProvenance>>, Error> {
    let record = Record::of(Kind::Provenance, image, manifest, given)?;
    Ok(Shown::of(record, |bytes| {
        let statement = Statement::parse(bytes)?;
        let about_this_payload = statement.is_about(manifest);
        let builder = statement.predicate.run_details.builder.id.clone();
        let materials = statement.materials().iter().map(Material::of).collect();
        let Parameters {
            package,
            bin,
            target,
            profile,
            features,
            ..
        } = statement.predicate.build_definition.external_parameters;
        Some(ShownProvenance {
            package,
            bin,
            target,
            profile,
            features,
            materials,
            builder,
            about_this_payload,
        })
    }))
}

impl<T> Shown<T> {
    fn of(record: Record, content: impl Fn(&[u8]) -> Option<T>) -> Option<Self> {
        Some(match record {
            Record::None => return None,
            Record::Missing(named) => Self {
                digest: named.to_string(),
                file: None,
                other: None,
                content: None,
            },
            Record::Found(found) => Self {
                digest: found.digest.to_string(),
                content: content(&found.bytes),
                file: Some(found.path),
                other: None,
            },
            Record::Other { path, found, named } => Self {
                digest: named.to_string(),
                file: Some(path),
                other: Some(found.to_string()),
                content: None,
            },
        })
    }

    /// Refuses a file that is not the one that the manifest names.
    ///
    /// # Errors
    /// It names the file and both digests.
    pub fn expect_no_other(&self) -> Result<(), Error> {
        match (&self.file, &self.other) {
            (Some(path), Some(found)) => Err(another(path, found, &self.digest)),
            _ => Ok(()),
        }
    }

    /// Where it is, in a line, and what is wrong with it.
    fn place(&self) -> String {
        match (&self.file, &self.other, &self.content) {
            (None, ..) => "not beside the image".into(),
            (Some(file), Some(other), _) => {
                let wrong = format!("{} is ANOTHER FILE, with digest {other}", file.display());
                paint(BAD, wrong).to_string()
            }
            (Some(file), None, None) => format!("{}, in another format", file.display()),
            (Some(file), None, Some(_)) => file.display().to_string(),
        }
    }
}

impl ShownComponent {
    fn of(component: &Component) -> Self {
        Self {
            name: component.name.clone(),
            version: component.version.clone(),
            license: component.license(),
        }
    }
}

impl Material {
    fn of(resource: &Resource) -> Self {
        Self {
            name: resource.name.clone(),
            identity: resource.identity(),
        }
    }
}

impl Display for Shown<ShownSbom> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\nbill of materials  {}", self.place())?;
        let Some(content) = &self.content else {
            return Ok(());
        };
        let components = &content.components;
        let widths = components.iter().map(|it| {
            let version = it.version.as_ref().map_or(0, String::len);
            (it.name.len(), version)
        });
        let (name, version) = widths.fold((0, 0), |(a, b), (c, d)| (a.max(c), b.max(d)));
        for component in components {
            writeln!(
                formatter,
                "  {:name$}  {:version$}  {}",
                component.name,
                component.version.as_deref().unwrap_or("?"),
                component.license.as_deref().unwrap_or("no licence is said"),
            )?;
        }
        let building = format!(
            "and {} for building only, which are not in it",
            content.building
        );
        writeln!(formatter, "  {}", paint(FAINT, building))
    }
}

impl Display for Shown<ShownProvenance> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\nprovenance         {}", self.place())?;
        let Some(content) = &self.content else {
            return Ok(());
        };
        let mut line = |name: &str, value: &str| writeln!(formatter, "  {name:<16} {value}");
        line("package", &content.package)?;
        if let Some(bin) = &content.bin {
            line("bin", bin)?;
        }
        line("target", &content.target)?;
        line("profile", &content.profile)?;
        if !content.features.is_empty() {
            line("features", &content.features.join(", "))?;
        }
        for material in &content.materials {
            line(&material.name, &material.identity)?;
        }
        line("builder", &content.builder)?;
        if !content.about_this_payload {
            let wrong = paint(BAD, "is about ANOTHER PAYLOAD than this image's").to_string();
            line("the statement", &wrong)?;
        }
        Ok(())
    }
}
