//! The files of a new application, as they are when the tool is built.
//!
//! What is the same as in the repository's own firmware is that very file, so that the two cannot drift
//! apart; the rest is in `host-tools/templates`.

use crate::new::Board;

/// A file of the repository's `host-tools/templates/mps2-an385`.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/templates/mps2-an385/",
            $path
        ))
    };
}

/// A file of the repository's `qemu`.
macro_rules! firmware {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu/", $path))
    };
}

/// Path and text of each file, for an application called `name` that is built with the sources in
/// `bistable`.
pub(super) fn files(board: Board, name: &str, bistable: &str) -> Vec<(&'static str, String)> {
    let files: &[(&str, &str)] = match board {
        Board::Mps2An385 => MPS2_AN385,
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{bistable}}", bistable)
            .replace(DEMO_CLASS, &format!("class = \"{name}\""))
    };
    files
        .iter()
        .map(|(path, text)| (*path, fill(text)))
        .collect()
}

/// The line of the repository's layout that says which product it is of.
const DEMO_CLASS: &str = "class = \"mps2-an385-demo\"";

const MPS2_AN385: &[(&str, &str)] = &[
    (".cargo/config.toml", template!("dot-cargo/config.toml")),
    (".gitignore", template!("gitignore")),
    (".vscode/launch.json", template!("dot-vscode/launch.json")),
    (".vscode/tasks.json", template!("dot-vscode/tasks.json")),
    ("Cargo.toml", template!("Cargo.toml.in")),
    ("README.md", template!("README.md.in")),
    ("build.rs", template!("build.rs")),
    ("debug.gdb", template!("debug.gdb")),
    ("layout.toml", firmware!("mps2-an385/layout.toml")),
    ("rust-toolchain.toml", template!("rust-toolchain.toml")),
    (
        "bootloader/Cargo.toml",
        template!("bootloader/Cargo.toml.in"),
    ),
    (
        "bootloader/build.rs",
        firmware!("mps2-an385/bootloader/build.rs"),
    ),
    (
        "bootloader/src/main.rs",
        firmware!("bootloader/src/main.rs"),
    ),
    ("src/app.rs", template!("src/app.rs")),
    ("src/health.rs", template!("src/health.rs")),
    ("src/main.rs", template!("src/main.rs")),
    ("src/platform.rs", firmware!("demo/src/platform.rs")),
    ("src/said.rs", firmware!("demo/src/said.rs")),
    ("src/server.rs", firmware!("demo/src/server.rs")),
    ("src/supply.rs", template!("src/supply.rs")),
    ("src/unit.rs", firmware!("demo/src/unit.rs")),
    ("src/updates.rs", template!("src/updates.rs")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_blank_is_left_and_the_product_is_the_applications_own() {
        let files = files(Board::Mps2An385, "blinky", "/src/bistable");
        for (path, text) in &files {
            assert!(!text.contains("{{"), "{path} has a blank");
        }
        let text = |wanted| &files.iter().find(|(path, _)| *path == wanted).unwrap().1;
        assert!(text("layout.toml").contains("class = \"blinky\""));
        assert!(text("Cargo.toml").contains("path = \"/src/bistable/core\""));
    }
}
