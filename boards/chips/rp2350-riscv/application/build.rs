//! Generates the linker script of the application, for the slot that is asked for.

fn main() {
    bistable_layout::build::application("../layout.toml");
    println!("cargo::rerun-if-changed=uninit.x");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    for script in ["memory.x", "link.x", "device.x", "uninit.x", "defmt.x"] {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
