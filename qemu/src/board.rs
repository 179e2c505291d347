//! The boards that are emulated here.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// An emulated board. Its support, its layout and its firmware packages are in `qemu/<name>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Board {
    /// QEMU's `mps2-an385`: a Cortex-M3.
    Mps2An385,
    /// QEMU's `virt` for 32-bit RISC-V, with CFI NOR flash.
    Riscv32Virt,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mps2An385, Self::Riscv32Virt];

    /// Its name, which is that of its folder, and with which those of its packages begin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mps2An385 => "mps2-an385",
            Self::Riscv32Virt => "riscv32-virt",
        }
    }

    /// The board of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }

    /// The target that its firmware is built for.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Mps2An385 => "thumbv7m-none-eabi",
            Self::Riscv32Virt => "riscv32imac-unknown-none-elf",
        }
    }

    /// The emulator, and the Debian package that it is in.
    #[must_use]
    pub const fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Self::Mps2An385 => ("qemu-system-arm", "qemu-system-arm"),
            Self::Riscv32Virt => ("qemu-system-riscv32", "qemu-system-misc"),
        }
    }

    /// The package of its bootloader.
    #[must_use]
    pub fn bootloader(self) -> String {
        format!("{self}-bootloader")
    }

    /// The package of its demo application.
    #[must_use]
    pub fn demo(self) -> String {
        format!("{self}-demo")
    }

    /// Where cargo puts the firmware of `package`, in its target folder.
    #[must_use]
    pub fn firmware(self, target_folder: &Path, package: &str) -> std::path::PathBuf {
        target_folder
            .join(self.target())
            .join("firmware")
            .join(package)
    }
}

impl Display for Board {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
