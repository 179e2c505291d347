//! Generates the linker script of the bootloader.

fn main() {
    bistable_layout::build::bootloader("../layout.toml");
    println!("cargo::rerun-if-changed=second-stage.x");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    for argument in ["--nmagic", "-Tlink.x", "-Tsecond-stage.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
