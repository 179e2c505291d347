//! Generates the linker script of the application, for the slot that is asked for.

fn main() {
    bistable_layout::build::application("../nrf51822/layout.toml");
    for argument in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
