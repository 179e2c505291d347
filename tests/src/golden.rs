//! Golden files: bytes that are under version control, so that a format changes only together with its
//! version.

use std::path::Path;

/// Compares `bytes` with the golden file of this name. `BISTABLE_BLESS=1` writes it instead.
///
/// # Panics
/// If they differ, and where; if there is no such file.
pub fn is_golden(name: &str, bytes: &[u8]) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = package.join("golden").join(name);
    if std::env::var_os("BISTABLE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, bytes).expect("a golden file that can be written");
    }
    let golden = std::fs::read(&path).expect("a golden file");
    let first = golden.iter().zip(bytes).position(|(a, b)| a != b);
    assert!(
        golden == bytes,
        "{name}: {} bytes are {}, the first difference is at {first:?}",
        golden.len(),
        bytes.len()
    );
}
