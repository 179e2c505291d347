//! Passphrases of private keys: from a file, or asked for on the terminal. They come in by no argument and
//! no variable of the environment, which others can see.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::Error;

/// A passphrase. It is wiped when it is dropped, and cannot be printed.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The first line of the file at `path`, without its end.
    ///
    /// # Errors
    /// The file cannot be read, or the line is empty.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(Error::io(path, "read the passphrase"))?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(Error::unexpected(
                path,
                "an empty first line",
                "a passphrase",
                "write it into the file's first line",
            ));
        }
        Ok(Self(Zeroizing::new(line.into())))
    }

    /// One for a new key, which is typed twice.
    ///
    /// # Errors
    /// There is no terminal; it is empty; or what is typed differs.
    pub fn choose(path: &Path) -> Result<Self, Error> {
        let first = ask(path, "Passphrase for the new key")?;
        let second = ask(path, "The same again")?;
        if first.as_bytes() != second.as_bytes() {
            return Err(Error::argument(
                "the passphrase",
                "two different ones",
                "the same twice",
                "no key was made: try again",
            ));
        }
        Ok(first)
    }
}

/// Where passphrases of encrypted keys come from.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Passphrases {
    /// The passphrase of an encrypted key is in the first line of this file; it is asked for without it.
    /// Several times for keys with different ones.
    #[arg(long = "passphrase-file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl Passphrases {
    /// Unlocks the key in the file at `path` by `unlock`, which gives `None` for a wrong passphrase.
    ///
    /// # Errors
    /// No passphrase fits, or there is nobody to ask.
    pub fn unlock<T>(
        &self,
        path: &Path,
        unlock: impl Fn(&Passphrase) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let asked = match self.files.as_slice() {
            [] => Some(ask(path, &format!("Passphrase of {}", path.display()))?),
            _ => None,
        };
        let read = self.files.iter().map(|file| Passphrase::read(file));
        for passphrase in asked.map(Ok).into_iter().chain(read) {
            if let Some(key) = unlock(&passphrase?)? {
                return Ok(key);
            }
        }
        Err(Error::unexpected(
            path,
            "an encrypted private key that another passphrase opens",
            match self.files.as_slice() {
                [] => "the key's passphrase".into(),
                files => {
                    let names: Vec<_> = files.iter().map(|it| it.display().to_string()).collect();
                    format!("the key's passphrase in {}", names.join(" or "))
                }
            },
            "give the right one; without it nobody can use the key any more",
        ))
    }
}

/// Asks on the terminal; what is typed is not shown.
fn ask(path: &Path, what: &str) -> Result<Passphrase, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::unexpected(
            path,
            "nobody to ask for the passphrase: this is no terminal",
            "a passphrase for an encrypted key",
            "give it with --passphrase-file FILE",
        ));
    }
    let typed = rpassword::prompt_password(format!("{what}: "))
        .map(Zeroizing::new)
        .map_err(Error::io(path, "ask for the passphrase"))?;
    if typed.is_empty() {
        return Err(Error::argument(
            "the passphrase",
            "nothing",
            "a passphrase",
            "type it, or end the command with Ctrl-C",
        ));
    }
    Ok(Passphrase(typed))
}
