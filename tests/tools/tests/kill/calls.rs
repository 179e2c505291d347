//! The system calls of a process, as `strace` writes them down.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::job::{Files, is_leftover};

/// What changes a file, a name or a directory, or makes it last.
pub(crate) const CALLS: &str = "openat,open,creat,write,pwrite64,writev,ftruncate,fchmod,chmod,fsync,fdatasync,\
                     rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat";

/// A call that is done, as `strace -y` prints it.
pub(crate) struct Call {
    /// Such as `fsync`.
    pub(crate) name: String,
    /// How many of this name came before it, and itself.
    pub(crate) number: usize,
    /// What stands behind the opening bracket.
    pub(crate) rest: String,
}

impl Call {
    /// Whether something may be different behind it. Libraries and inputs are opened for reading only, and
    /// the report comes when all is done.
    pub(crate) fn matters(&self) -> bool {
        match self.name.as_str() {
            "openat" => self.rest.contains("O_CREAT"),
            "write" => self.names_a_file(),
            _ => true,
        }
    }

    fn names_a_file(&self) -> bool {
        self.rest
            .split('<')
            .nth(1)
            .is_some_and(|rest| rest.starts_with('/') && !rest.starts_with("/dev/"))
    }

    /// The file behind the descriptor of `write` or `fsync`.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let path = self.rest.split_once('<')?.1.split_once('>')?.0;
        Some(path.into())
    }

    /// The `number`-th name in quotes.
    pub(crate) fn quoted(&self, number: usize) -> Option<&str> {
        self.rest.split('"').nth(2 * number + 1)
    }
}

/// The finished calls in the log of `strace`.
pub(crate) fn calls(log: &str) -> Vec<Call> {
    let mut numbers = HashMap::new();
    let lines = log.lines().filter_map(|line| {
        let (name, rest) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        Some((name.to_owned(), rest.to_owned()))
    });
    let calls = lines.map(|(name, rest)| {
        let number: &mut usize = numbers.entry(name.clone()).or_default();
        *number += 1;
        let number = *number;
        Call { name, number, rest }
    });
    calls.collect()
}

/// Each file that changed got its name by a rename or a link, its bytes synced before and its directory
/// after; nothing else was opened for writing.
pub(crate) fn check_order(calls: &[Call], after: &Files, before: &Files) {
    for call in calls
        .iter()
        .filter(|call| call.name == "openat" && call.rest.contains("O_CREAT"))
    {
        let name = PathBuf::from(call.quoted(0).unwrap());
        assert!(is_leftover(&name), "{} is written in place", name.display());
        assert!(call.rest.contains("O_EXCL"), "{}", call.rest);
    }
    for name in after
        .keys()
        .filter(|name| after.get(*name) != before.get(*name))
    {
        let names = |call: &&Call, which| {
            call.quoted(which)
                .is_some_and(|it| Path::new(it).ends_with(name))
        };
        let naming =
            |call: &Call| matches!(call.name.as_str(), "rename" | "linkat") && names(&call, 1);
        let at = calls.iter().position(naming);
        let at = at.unwrap_or_else(|| panic!("{} got its name by no rename", name.display()));
        let (earlier, later) = calls.split_at(at);
        let temporary = Path::new(calls[at].quoted(0).unwrap()).file_name().unwrap();
        let is_temporary = |call: &&Call| {
            call.file()
                .is_some_and(|it| it.file_name() == Some(temporary))
        };
        let of_temporary: Vec<_> = earlier.iter().filter(is_temporary).collect();
        let last = of_temporary.last().map(|call| call.name.as_str());
        assert_eq!(last, Some("fsync"), "{} is not synced", name.display());
        let written = of_temporary.iter().any(|call| call.name == "write");
        assert!(written, "{}", name.display());
        let directory = |call: &Call| {
            call.name == "fsync" && call.file().is_some_and(|it| is_directory_of(&it, name))
        };
        assert!(
            later.iter().any(directory),
            "the directory of {} is not synced",
            name.display()
        );
    }
}

/// The folder of the path in the log is gone by now.
fn is_directory_of(path: &Path, name: &Path) -> bool {
    !is_leftover(path) && name.parent().is_some_and(|parent| path.ends_with(parent))
}
