//! Generates the linker script of the application, for the slot that is asked for.

fn main() {
    bistable_layout::build::application("../layout.toml");
    for argument in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
