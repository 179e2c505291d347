//! A bench with SoftHSM 2: a token in a folder, keys in it, and `bistable` as a process.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bistable_firmware::ensure_command;
use bistable_tools::keys::pkcs11::MODULE_VARIABLE;
use bistable_tools_tests::{bistable, refused, succeeds};

/// Nothing else in these tests looks like it.
pub(crate) const PIN: &str = "86753090";

/// A folder with a token `release`, and `pin`, the file of its PIN.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) module: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self::empty();
        bench.make_token("release");
        bench
    }

    pub(crate) fn empty() -> Self {
        ensure_command("softhsm2-util", "softhsm2").unwrap();
        ensure_command("pkcs11-tool", "opensc").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let module = library("softhsm/libsofthsm2.so");
        let bench = Self { folder, module };
        let tokens = bench.path("tokens");
        fs::create_dir(&tokens).unwrap();
        let configuration = format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(bench.path("softhsm2.conf"), configuration).unwrap();
        fs::write(bench.path("pin"), format!("{PIN}\n")).unwrap();
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs in this folder, with its tokens.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env(MODULE_VARIABLE, &self.module);
        command
    }

    pub(crate) fn make_token(&self, label: &str) {
        let mut command = self.command("softhsm2-util");
        command.args(["--init-token", "--free", "--label", label]);
        succeeds(command.args(["--so-pin", "12345678", "--pin", PIN]));
    }

    /// Makes a key inside the token.
    pub(crate) fn generate(&self, kind: &str, label: &str, id: &str, more: &[&str]) {
        let mut command = self.pkcs11_tool();
        command.args(["--keypairgen", "--key-type", kind]);
        succeeds(command.args(["--label", label, "--id", id]).args(more));
    }

    pub(crate) fn alice(&self) {
        self.generate("EC:edwards25519", "alice", "01", &[]);
    }

    /// Makes a key with OpenSSL, `<label>.pem`, and puts it into the token.
    pub(crate) fn import(&self, kind: &str, label: &str, id: &str) {
        let file = format!("{label}.pem");
        let mut command = self.command("openssl");
        succeeds(command.args(["genpkey", "-algorithm", kind, "-out", &file]));
        let mut command = self.command("softhsm2-util");
        command.args(["--import", &file, "--token", "release", "--pin", PIN]);
        succeeds(command.args(["--label", label, "--id", id]));
    }

    pub(crate) fn pkcs11_tool(&self) -> Command {
        let mut command = self.command("pkcs11-tool");
        command.arg("--module").arg(&self.module);
        command.args(["--token-label", "release", "--login", "--pin", PIN]);
        command
    }

    /// What `bistable` prints.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let said = succeeds(self.command(bistable()).args(arguments));
        assert!(!said.contains(PIN), "{arguments:?}: {said}");
        said
    }

    /// The one line that says why `bistable` cannot do it.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let said = refused(self.command(bistable()).args(arguments));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains(PIN), "{arguments:?}: {said}");
        said
    }

    pub(crate) fn shown(&self, key: &str) -> String {
        self.done(&["key", "show", &uri(key)])
    }

    pub(crate) fn not_shown(&self, key: &str) -> String {
        self.refused(&["key", "show", &uri(key)])
    }
}

/// The URI of a key in the token `release`, with the file of its PIN.
pub(crate) fn uri(key: &str) -> String {
    format!("pkcs11:token=release;{key}?pin-source=file:pin")
}

/// A library of a Debian package, whatever the architecture.
pub(crate) fn library(name: &str) -> PathBuf {
    let machine = std::env::consts::ARCH;
    let folders = [format!("/usr/lib/{machine}-linux-gnu"), "/usr/lib".into()];
    let mut paths = folders.iter().map(|folder| Path::new(folder).join(name));
    let path = paths.find(|path| path.exists());
    path.unwrap_or_else(|| panic!("{name} is in none of {folders:?}"))
}
