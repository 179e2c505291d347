//! The ports that there are.

use std::path::PathBuf;

use crate::run::repository;

/// A port: a chip, or an emulated machine.
pub(crate) struct Port {
    /// Of its folder, and what its packages begin with.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// The processor.
    pub(crate) core: &'static str,
    /// The target triple.
    pub(crate) target: &'static str,
    /// Whose drivers it uses.
    pub(crate) drivers: &'static str,
    /// How far it was tried.
    pub(crate) tried: &'static str,
    /// What is known to be missing.
    pub(crate) missing: &'static str,
}

impl Port {
    /// Its folder.
    pub(crate) fn folder(&self) -> PathBuf {
        workspace().join(self.name)
    }
}

/// The folder of all ports.
pub(crate) fn workspace() -> PathBuf {
    repository().join("boards/chips")
}

/// All of them, in the order of the README's table.
pub(crate) const PORTS: [Port; 1] = [Port {
    name: "nrf52840",
    title: "Nordic nRF52840",
    core: "Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    drivers: "embassy-nrf",
    tried: "built",
    missing: "supply voltage, free stack",
}];
