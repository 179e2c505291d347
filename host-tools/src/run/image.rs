//! The image and the flash of a run: made by the same functions as a release and a factory's flash file.

use std::path::PathBuf;

use bistable_core::layout::Slot;
use bistable_core::manifest::Fields;
use bistable_core::version::Version;
use bistable_qemu::FlashFile;
use bistable_updater::identity::Identity;

use crate::facts::{Facts, workspace_version};
use crate::image::elf::Link;
use crate::image::make::make;
use crate::image::package::Program;
use crate::image::program::{Kind, kept_beside};
use crate::keys::{Passphrases, Source, open_all};
use crate::run::project::Project;
use crate::run::{Arguments, emulation};
use crate::{Error, factory, files};

/// A flash that is ready to boot.
pub(super) struct Written {
    /// Its file.
    pub(super) flash: PathBuf,
}

impl Written {
    /// Builds the program for both slots, makes the image, and writes it to a new flash.
    pub(super) fn make(
        arguments: &Arguments,
        project: &Project,
        facts: &Facts,
    ) -> Result<Self, Error> {
        let [a, b] = programs(arguments, project)?;
        let product = &facts.product;
        let links = [
            Link::parse(&a.path, &a.bytes, product, facts.entry(), Slot::A)?,
            Link::parse(&b.path, &b.bytes, product, facts.entry(), Slot::B)?,
        ];
        let key = Source::File(project.settings.key.clone());
        let keys = open_all(&[key], &Passphrases::default(), facts)?;
        let fields = Fields {
            version: version(&project.version),
            sequence: project.settings.sequence,
            security_counter: project.settings.security_counter,
            trial_attempts: product.trial.attempts,
            trial_seconds: product.trial.seconds,
            ..Fields::default()
        };
        let built = make(facts, links, fields, &keys)?;
        let identity = Identity {
            serial: factory::serial(&arguments.serial)?,
            hardware_revision: 0,
            ..Identity::default()
        };
        let flash = factory::build_in(
            arguments.slot.into(),
            facts,
            &project.layout(),
            &built.image,
            &identity,
            version(&project.bootloader_version),
        )?;
        let image = project.file(&format!("{}.img", project.package.name));
        files::write_together(&[
            (kept_beside(&image, "a", Kind::Elf), &a.bytes),
            (kept_beside(&image, "b", Kind::Elf), &b.bytes),
            (image, &built.bytes),
        ])?;
        let path = flash_path(project);
        FlashFile::create(project.board, &path, &flash)
            .map_err(|error| emulation(&path, &error))?;
        Ok(Self { flash: path })
    }

    /// What lies there.
    pub(super) fn left_by_the_last_run(project: &Project) -> Result<Self, Error> {
        let flash = flash_path(project);
        if flash.exists() {
            eprintln!("going on with {}; no image is written", flash.display());
            return Ok(Self { flash });
        }
        Err(Error::unexpected(
            &flash,
            "no flash of an earlier run",
            "one",
            "leave out --keep once",
        ))
    }
}

/// Where the flash of runs lies.
pub(super) fn flash_path(project: &Project) -> PathBuf {
    project.file("flash")
}

/// The program for A, and for B. What cargo built for A is read before it builds for B in the same place.
fn programs(arguments: &Arguments, project: &Project) -> Result<[Program; 2], Error> {
    let a = match &arguments.elf {
        Some(path) => Program {
            path: path.clone(),
            bytes: files::read(path, "read the program")?,
        },
        None => project.package.build_once(Some(Slot::A))?,
    };
    Ok([a, project.package.build_once(Some(Slot::B))?])
}

/// Of a package: the three numbers, without what may stand behind them.
fn version(text: &str) -> Version {
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    Version::parse(numbers).unwrap_or_else(workspace_version)
}
