//! A command that is run, traced and killed, each time in a new folder with the same files.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bistable_firmware::ensure_command;
use bistable_tools_tests::bistable;

use crate::calls::{CALLS, Call, calls, check_order};

const KILLED: i32 = 9;

/// All files below a folder by their relative names.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A command, and the folder that it begins with.
pub(crate) struct Job {
    pub(crate) arguments: Vec<String>,
    pub(crate) before: Files,
}

impl Job {
    pub(crate) fn new(folder: &Path, arguments: &[&str]) -> Self {
        ensure_command("strace", "strace").unwrap();
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        let before = files(folder);
        Self { arguments, before }
    }

    /// A new folder, as it is before the command.
    pub(crate) fn folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.before {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            make_private(&path);
        }
        folder
    }

    pub(crate) fn run(&self, folder: &Path) -> Output {
        let mut command = Command::new(bistable());
        command.args(&self.arguments).current_dir(folder);
        command.output().unwrap()
    }

    /// Runs it under `strace`, which writes to `log`, with one more option.
    pub(crate) fn traced(&self, folder: &Path, log: &Path, option: &str) -> Output {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-e", &format!("trace={CALLS}"), "-e", option]);
        command
            .arg("-o")
            .arg(log)
            .arg(bistable())
            .args(&self.arguments);
        command.current_dir(folder).output().unwrap()
    }

    /// The calls of one run, and the files behind it.
    pub(crate) fn calls(&self) -> (Vec<Call>, Files) {
        let folder = self.folder();
        let log = tempfile::NamedTempFile::new().unwrap();
        let output = self.traced(folder.path(), log.path(), "signal=none");
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(log.path()).unwrap();
        (calls(&text), files(folder.path()))
    }

    /// Kills it at each call that matters. `check` gets the folder as it is then.
    ///
    /// Returns how many places there were.
    pub(crate) fn killed_everywhere(&self, check: impl Fn(&Path, &str)) -> usize {
        let (calls, _) = self.calls();
        let places = calls.iter().filter(|call| call.matters());
        let places = places.map(|call| {
            let folder = self.folder();
            let log = tempfile::NamedTempFile::new().unwrap();
            let Call { name, number, rest } = call;
            let kill = format!("inject={name}:signal=KILL:when={number}");
            let output = self.traced(folder.path(), log.path(), &kill);
            let place = format!("killed at {name}({rest}, which is number {number}");
            assert_eq!(output.status.signal(), Some(KILLED), "{place}: {output:?}");
            check(folder.path(), &place);
        });
        places.count()
    }

    /// As [`Job::killed_everywhere`], for a command whose files are always the same: each is the old one
    /// or the new one, a new `last` one is there only with all others, and another run ends the work.
    pub(crate) fn keeps_old_or_new(&self, last: &str) {
        let (calls, after) = self.calls();
        check_order(&calls, &after, &self.before);
        let changed: Vec<_> = after
            .keys()
            .filter(|name| after.get(*name) != self.before.get(*name))
            .collect();
        assert!(
            changed.iter().any(|name| name.ends_with(last)),
            "{changed:?}"
        );
        let places = self.killed_everywhere(|folder, place| {
            let found = files(folder);
            for (name, bytes) in found.iter().filter(|(name, _)| !is_leftover(name)) {
                let is_old = self.before.get(name) == Some(bytes);
                let is_new = after.get(name) == Some(bytes);
                assert!(is_old || is_new, "{place}: {} is neither", name.display());
            }
            let gone = self.before.keys().find(|name| !found.contains_key(*name));
            assert_eq!(gone, None, "{place}");
            let is_new = |name: &&&PathBuf| found.get(**name) == after.get(**name);
            if changed
                .iter()
                .any(|name| name.ends_with(last) && is_new(&name))
            {
                assert!(
                    changed.iter().all(|name| is_new(&name)),
                    "{place}: it is not the last"
                );
            }
            let output = self.run(folder);
            assert!(output.status.success(), "{place}: {output:?}");
            let mut again = files(folder);
            again.retain(|name, _| !is_leftover(name));
            assert!(again == after, "{place}: another run does not end the work");
        });
        // Opening, writing and syncing a file, and giving it its name, are four at least.
        assert!(places >= 4 * changed.len(), "{places}");
    }
}

/// The temporary file of a process that was killed.
pub(crate) fn is_leftover(name: &Path) -> bool {
    let name = name.file_name().unwrap().to_str().unwrap();
    name.starts_with('.') && name.ends_with(".tmp")
}

pub(crate) fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_path_buf();
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    found
}

/// Private keys are refused when others can read them.
fn make_private(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
