//! What a debugger needs: the program as it is linked for the slot that will run, and where to connect.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bistable_core::layout::Slot;
use bistable_qemu::FlashFile;

use crate::doctor::{Conditions, examine};
use crate::facts::Facts;
use crate::image::program::{Kind, kept_beside};
use crate::run::project::Project;
use crate::run::{flash_bytes, tables};
use crate::{Error, files};

/// Where a debugger is waited for, if nobody says otherwise: what QEMU's `-s` means.
pub(super) const PORT: u16 = 1234;

/// How long the emulator may take to listen.
const PATIENCE: Duration = Duration::from_secs(5);

/// The commands that a project brings for gdb.
const RECIPE: &str = "debug.gdb";

/// Where a debugger is waited for, and what it needs.
pub(super) struct Debugger {
    pub(super) port: u16,
    slot: Slot,
    program: PathBuf,
}

impl Debugger {
    /// Puts the program of the slot that will run where debuggers look for it.
    pub(super) fn prepare(
        port: u16,
        project: &Project,
        facts: &Facts,
        flash: &FlashFile,
    ) -> Result<Self, Error> {
        if is_taken(port) {
            return Err(Error::argument(
                format!("127.0.0.1:{port}"),
                "somebody who listens there",
                "a free port to wait for a debugger at",
                "end the other run, or choose another port with --debug-port",
            ));
        }
        let bytes = flash_bytes(flash, facts, &project.layout())?;
        // The bootloader's own decision, so that it is right after an update, too.
        let boots = examine(&bytes, facts, Conditions::default()).boots;
        let boots = boots.ok_or_else(|| nothing(flash.path(), "nothing that boots"))?;
        let digest = boots.digest.to_string();
        let image = tables::find(&project.image_folders(), &digest);
        let image = image
            .ok_or_else(|| nothing(flash.path(), &format!("the image {digest}, but no program")))?;
        let slot = match boots.slot {
            Slot::A => "a",
            Slot::B => "b",
        };
        let bytes = files::read(&kept_beside(&image, slot, Kind::Elf), "read the program")?;
        let program = project.file("running.elf");
        files::write_together(&[(program.clone(), &bytes)])?;
        Ok(Self {
            port,
            slot: boots.slot,
            program,
        })
    }

    /// Says how to start one, as soon as the emulator listens.
    pub(super) fn announce(&self) {
        let begun = Instant::now();
        while !is_taken(self.port) && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
        let recipe = match Path::new(RECIPE).exists() {
            true => format!(" -x {RECIPE}"),
            false => String::new(),
        };
        let Self {
            port,
            slot,
            program,
        } = self;
        eprintln!(
            "waiting for a debugger at 127.0.0.1:{port}; slot {slot:?} will run:\n  \
             gdb-multiarch {} -ex 'target remote 127.0.0.1:{port}'{recipe}",
            program.display(),
        );
    }
}

/// Whether somebody listens there.
fn is_taken(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_err()
}

fn nothing(flash: &Path, found: &str) -> Error {
    Error::unexpected(
        flash,
        found,
        "an image whose programs lie in target/bistable or images",
        "leave out --keep once, or build it with `bistable image build --out images/NAME.img`",
    )
}
