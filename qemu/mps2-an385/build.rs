//! Puts `device.x` where cortex-m-rt's linker script finds it.

fn main() {
    println!("cargo::rerun-if-changed=device.x");
    if let Ok(directory) = std::env::var("CARGO_MANIFEST_DIR") {
        println!("cargo::rustc-link-search={directory}");
    }
}
