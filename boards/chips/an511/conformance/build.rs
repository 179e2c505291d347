//! Generates the linker script of the suite, which runs in the bootloader's place.

fn main() {
    bistable_layout::build::bootloader("../layout.toml");
    for argument in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
