//! Generates the linker script of the bootloader.

fn main() {
    bistable_layout::build::bootloader("../layout.toml");
    println!("cargo::rerun-if-changed=image-definition.x");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    for script in ["memory.x", "link.x", "device.x", "image-definition.x"] {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
