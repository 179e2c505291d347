//! Generates the linker script of the bootloader.

fn main() {
    bistable_layout::build::bootloader("../layout.toml");
    for argument in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
