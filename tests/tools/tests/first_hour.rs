//! `docs/first-hour.md`, followed literally in an empty folder.

use bistable_firmware::{Toolchain, ensure_command};
use bistable_tools_tests::{BUILD_VARIABLE, Document, bistable, repository, shared_build};

#[test]
fn the_first_hour_is_as_it_is_written() {
    Toolchain::for_target("thumbv7m-none-eabi").unwrap();
    ensure_command("qemu-system-arm", "qemu-system-arm").unwrap();
    ensure_command("gdb-multiarch", "gdb-multiarch").unwrap();
    let document = Document::read(&repository().join("docs/first-hour.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let build = shared_build();
    let variables = [(BUILD_VARIABLE, build.to_str().unwrap())];
    let commands = document.follow(folder.path(), &bistable(), &variables);
    let commands = commands.unwrap();
    assert!(commands >= 12, "only {commands} commands were run");
}
