//! Where things are, and the commands that make what is measured.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bistable_firmware::Toolchain;
use bistable_layout::Product;
use bistable_qemu::Board;

use crate::profile::Profile;

/// The repository, the tools, and a folder for what is made.
pub(crate) struct Workshop {
    pub(crate) board: Board,
    /// The repository.
    pub(crate) repository: PathBuf,
    /// The command `bistable`.
    pub(crate) bistable: PathBuf,
    /// Everything that is made is in here.
    pub(crate) folder: PathBuf,
    /// The board's layout.
    pub(crate) product: Product,
    toolchain: Toolchain,
}

impl Workshop {
    /// One for `board`, whose folder is made.
    pub(crate) fn open(board: Board, repository: &Path, bistable: &Path) -> Result<Self> {
        let layout = layout_of(board, repository);
        let folder = repository.join("target/bench").join(board.name());
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let (emulator, package) = board.emulator();
        bistable_firmware::ensure_command(emulator, package)?;
        let workshop = Self {
            board,
            repository: repository.into(),
            bistable: bistable.into(),
            folder,
            product: Product::read(&layout)?,
            toolchain: Toolchain::for_target(board.target())?,
        };
        workshop.make_key()?;
        Ok(workshop)
    }

    /// Makes a development key and its ring, unless they are there: they are kept outside version control.
    fn make_key(&self) -> Result<()> {
        let (key, ring) = (self.key(), &self.product.ring_path);
        if key.exists() && ring.exists() {
            return Ok(());
        }
        let (key, ring) = (key.as_os_str(), ring.as_os_str());
        let what = ["key", "new", "--development", "--name", "development"].map(OsStr::new);
        let where_to = [OsStr::new("--ring"), ring, OsStr::new("--out"), key];
        self.bistable(&[&what[..], &where_to[..]].concat())
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn layout(&self) -> PathBuf {
        layout_of(self.board, &self.repository)
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.layout().with_file_name("keys/development.pem")
    }

    /// Builds the bootloader and keeps its ELF file.
    pub(crate) fn bootloader(&self, profile: Profile, log: bool) -> Result<PathBuf> {
        let (package, target) = (self.board.bootloader(), self.repository.join("target"));
        let mut features = profile.features.to_vec();
        features.extend(log.then_some("log"));
        let mut cargo = self.toolchain.command("build");
        cargo
            .args(["--quiet", "-p", &package, "--profile", profile.cargo])
            .args(["--no-default-features", "--features", &features.join(",")])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(&self.repository);
        let status = cargo.status().with_context(|| format!("{cargo:?}"))?;
        ensure!(status.success(), "the bootloader does not build: {cargo:?}");
        let built = target
            .join(self.board.target())
            .join(profile.cargo)
            .join(&package);
        let log = if log { "-log" } else { "" };
        let kept = self.file(format!("bootloader-{profile}{log}.elf"));
        fs::copy(&built, &kept).with_context(|| built.display().to_string())?;
        Ok(kept)
    }

    /// The compiler that the firmware is built with, as it names itself.
    pub(crate) fn compiler(&self) -> Result<String> {
        let output = self.toolchain.rustc().arg("-V").output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs the command `bistable`; fails with what it complains of.
    pub(crate) fn bistable<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<()> {
        let mut command = Command::new(&self.bistable);
        command.args(arguments).current_dir(&self.repository);
        let output = command.output().with_context(|| format!("{command:?}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{command:?}: {}", said.trim());
        }
        Ok(())
    }
}

fn layout_of(board: Board, repository: &Path) -> PathBuf {
    repository
        .join("qemu")
        .join(board.name())
        .join("layout.toml")
}
