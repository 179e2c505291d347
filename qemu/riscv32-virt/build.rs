//! Puts `device.x` where riscv-rt's linker script finds it.

fn main() {
    println!("cargo::rerun-if-changed=device.x");
    if let Ok(directory) = std::env::var("CARGO_MANIFEST_DIR") {
        println!("cargo::rustc-link-search={directory}");
    }
}
