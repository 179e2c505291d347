//! The same inputs give the same image: in another directory, as another user, at another time, with
//! another locale and number of jobs. Who has source, lock file and public keys builds it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bistable_tools_tests::{BUILD_VARIABLE, bistable, repository, succeeds};

const PACKAGE: &str = "mps2-an385-demo";
const LAYOUT: &str = "qemu/mps2-an385/layout.toml";

#[test]
fn whoever_builds_it_gets_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("a");
    let second = folder
        .path()
        .join("another/and/much longer/path/to-the-same-sources");
    copy_sources(&first);
    copy_sources(&second);
    make_keys(&first, &second);

    // Each copy is built in its own way, both at the same time.
    let cargo_home = folder.path().join("cargo-home");
    fs::create_dir(&cargo_home).unwrap();
    std::os::unix::fs::symlink(registry(), cargo_home.join("registry")).unwrap();
    let plain = build(Command::new(bistable()), &first);
    let mut other = build(as_somebody_else(), &second);
    other
        .env("CARGO_HOME", &cargo_home)
        .env(BUILD_VARIABLE, second.join("built"))
        .env("HOME", folder.path())
        .env("USER", "somebody")
        .env("LC_ALL", "C")
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Asia/Kathmandu")
        .env("CARGO_BUILD_JOBS", "1")
        .env("CARGO_PROFILE_FIRMWARE_OPT_LEVEL", "3")
        .env("CARGO_INCREMENTAL", "1")
        .env("RUSTFLAGS", "-C opt-level=3")
        .env("SOURCE_DATE_EPOCH", "1");
    age(&second);
    let plain = std::thread::spawn(move || run(plain));
    run(other);
    plain.join().unwrap();

    for name in [
        "v1.img",
        "v1.img.cdx.json",
        "v1.img.intoto.json",
        "v1.img.a.elf",
        "v1.img.b.elf",
    ] {
        let [a, b] = [&first, &second].map(|folder| fs::read(folder.join(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
    sbom_says_what_is_linked(&first);
    reproduced(&first, &second);
}

/// The bill says what cargo linked, no more.
fn sbom_says_what_is_linked(folder: &Path) {
    let text = fs::read_to_string(folder.join("v1.img.cdx.json")).unwrap();
    let bill: serde_json::Value = serde_json::from_str(&text).unwrap();
    let scope = |name: &str| {
        let mut all = bill["components"].as_array().unwrap().iter();
        let found = all.find(|it| it["name"] == name);
        found.map(|it| it["scope"].as_str().unwrap().to_owned())
    };
    assert_eq!(scope("bistable-updater").as_deref(), Some("required"));
    assert_eq!(scope("smoltcp").as_deref(), Some("required"));
    assert_eq!(scope("defmt-macros").as_deref(), Some("excluded"));
    assert_eq!(scope("clap"), None, "of the same workspace, and not used");
    assert!(!text.contains("timestamp"));
}

/// Without a private key the image is built again, and a change is named with its symbol.
fn reproduced(first: &Path, second: &Path) {
    fs::remove_file(second.join("qemu/mps2-an385/keys/dev.pem")).unwrap();
    let reproduce = |image: &Path| {
        let mut command = Command::new(bistable());
        command
            .args(["image", "reproduce", "--layout", LAYOUT, "--json"])
            .arg(image)
            .current_dir(second)
            .env("CARGO_TARGET_DIR", second.join("target"))
            .env(BUILD_VARIABLE, second.join("built"));
        let output = command.output().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), said)
    };
    let image = first.join("v1.img");
    let (status, said) = reproduce(&image);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said["image"], said["built"]);
    assert_eq!(said["sbom"]["verdict"], "equal");
    assert_eq!(said["signed"]["release"]["have"], 1);

    // One byte of a constant, far from any code that would change with it.
    let source = second.join("qemu/demo/src/supply.rs");
    let text = fs::read_to_string(&source).unwrap();
    let changed = text.replace("demo supply, mV:", "demo supply, mW:");
    assert_ne!(changed, text);
    fs::write(&source, changed).unwrap();
    let (status, said) = reproduce(&image);
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(said["equal"], false);
    let payload = &said["payload"];
    assert_eq!(
        (&payload["slot"], &payload["longer"]),
        (&"A".into(), &0.into())
    );
    assert_eq!(payload["expected"], u32::from(b'V'), "{payload}");
    assert_eq!(payload["found"], u32::from(b'W'), "{payload}");
    let (section, symbol) = (&payload["section"], payload["symbol"].as_str().unwrap());
    assert!(section == ".rodata" || section == ".data", "{payload}");
    assert!(symbol.contains("SUPPLY"), "{payload}");
}

/// What git knows of the repository, as it lies here.
fn copy_sources(to: &Path) {
    let git = ["-c", "safe.directory=*", "ls-files"];
    let files = succeeds(Command::new("git").args(git).current_dir(repository()));
    for file in files.lines() {
        let to = to.join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(repository().join(file), to).unwrap();
    }
}

/// A development key, which both builds sign with: its public half is compiled into the program.
fn make_keys(first: &Path, second: &Path) {
    let [keys, others] = [first, second].map(|folder| folder.join("qemu/mps2-an385/keys"));
    for folder in [&keys, &others] {
        fs::create_dir_all(folder).unwrap();
    }
    let new = ["key", "new", "--ring", "ring.toml", "--name", "dev"];
    succeeds(
        Command::new(bistable())
            .args(new)
            .args(["--development", "--out", "dev.pem"])
            .current_dir(&keys),
    );
    for name in ["ring.toml", "dev.pem"] {
        fs::copy(keys.join(name), others.join(name)).unwrap();
    }
}

fn build(mut command: Command, folder: &Path) -> Command {
    command
        .args(["image", "build", "--package", PACKAGE, "--layout", LAYOUT])
        .args([
            "--version",
            "1.2.3",
            "--sequence",
            "7",
            "--security-counter",
            "1",
        ])
        .args(["--key", "qemu/mps2-an385/keys/dev.pem", "--out", "v1.img"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", "target");
    command
}

fn run(mut command: Command) {
    succeeds(&mut command);
}

/// `bistable`, run by another user, who may read this one's compiler: that takes root.
fn as_somebody_else() -> Command {
    let may = "+dac_override,+dac_read_search,+fowner";
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--inh-caps", may, "--ambient-caps", may]);
    let mut probe = Command::new("setpriv");
    let able = probe.args(command.get_args()).arg("true").output();
    if able.is_ok_and(|output| output.status.success()) {
        command.arg(bistable());
        return command;
    }
    eprintln!("SKIPPED: building as another user takes root and setpriv; built as the same user");
    Command::new(bistable())
}

/// All files are as of another day.
fn age(folder: &Path) {
    let set = "find . -type f -exec touch -d 2001-02-03T04:05:06 {} +";
    succeeds(Command::new("sh").args(["-c", set]).current_dir(folder));
}

/// Where cargo keeps what it fetched.
fn registry() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    home.unwrap().join("registry")
}
