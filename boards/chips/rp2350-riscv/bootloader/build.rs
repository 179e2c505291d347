//! Generates the linker script of the bootloader.

fn main() {
    bistable_layout::build::bootloader("../layout.toml");
    println!("cargo::rerun-if-changed=image-definition.x");
    for argument in [
        "--nmagic",
        "-Tmemory.x",
        "-Tlink.x",
        "-Tdevice.x",
        "-Timage-definition.x",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-link-search={folder}");
}
