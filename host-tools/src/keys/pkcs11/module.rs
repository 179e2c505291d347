//! The library that speaks with tokens, and the one token that is meant.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Refusal, RvError};
use cryptoki::slot::{Slot, TokenInfo};

use super::uri::Uri;
use super::{either, refused};
use crate::Error;

/// Names the library, where the URI does not.
pub const MODULE_VARIABLE: &str = "BISTABLE_PKCS11_MODULE";

/// Where a library lies if nobody says it: p11-kit's, which knows all that are installed, then SoftHSM's.
const WELL_KNOWN: [&str; 9] = [
    "/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so",
    "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so",
    "/usr/lib64/p11-kit-proxy.so",
    "/usr/lib/p11-kit-proxy.so",
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/p11-kit-proxy.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

/// A library that was loaded.
pub(super) struct Module {
    path: PathBuf,
    pub(super) library: Pkcs11,
}

/// One token, and the slot that it is in.
pub(super) struct Found {
    pub(super) slot: Slot,
    pub(super) info: TokenInfo,
}

impl Module {
    /// Loads the library that the URI names, or the environment, or a well-known one.
    pub(super) fn load(uri: &Uri) -> Result<Self, Error> {
        let path = path(uri)?;
        let library = load_once(&path)?;
        Ok(Self { path, library })
    }

    /// The one token that the URI means.
    pub(super) fn token(&self, uri: &Uri) -> Result<Found, Error> {
        let all = self.tokens()?;
        let found = either(&all.iter().map(Found::describe).collect::<Vec<_>>());
        let mut meant = all.into_iter().filter(|token| token.is_meant_by(uri));
        match (meant.next(), meant.next()) {
            (Some(token), None) => Ok(token),
            (None, _) => Err(self.choose(format!("no such token, but {found}"), uri)),
            (Some(_), Some(_)) => Err(self.choose(found, uri)),
        }
    }

    fn choose(&self, found: String, uri: &Uri) -> Error {
        let hint = "name the token by `token=` or `serial=`, and its library by `module-path=`";
        let expected = format!("one token for `{uri}`");
        Error::unexpected(&self.path, found, expected, hint)
    }

    fn tokens(&self) -> Result<Vec<Found>, Error> {
        let refuse = || refused(self.path.display(), "list the tokens");
        let slots = self.library.get_slots_with_token().map_err(refuse())?;
        let mut tokens = Vec::new();
        for slot in slots {
            let info = match self.library.get_token_info(slot) {
                // One that was pulled out just now is none; another one may be the one that is meant.
                Err(Refusal::Pkcs11(RvError::TokenNotPresent | RvError::TokenNotRecognized, _)) => {
                    continue;
                }
                info => info.map_err(refuse())?,
            };
            if info.token_initialized() {
                tokens.push(Found { slot, info });
            }
        }
        Ok(tokens)
    }
}

impl Found {
    /// Its label and its serial number.
    pub(super) fn describe(&self) -> String {
        let Self { slot, info } = self;
        format!(
            "token `{}` (serial={}, slot-id={slot})",
            info.label(),
            info.serial_number()
        )
    }

    fn is_meant_by(&self, uri: &Uri) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        same(&uri.token, self.info.label())
            && same(&uri.serial, self.info.serial_number())
            && same(&uri.manufacturer, self.info.manufacturer_id())
            && same(&uri.model, self.info.model())
            && uri.slot_id.is_none_or(|id| id == self.slot.id())
    }
}

fn path(uri: &Uri) -> Result<PathBuf, Error> {
    if let Some(path) = &uri.module {
        return Ok(path.clone());
    }
    if let Some(path) = env::var_os(MODULE_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let known = WELL_KNOWN.iter().map(Path::new).find(|path| path.exists());
    known.map(Path::to_path_buf).ok_or_else(|| {
        Error::argument(
            "pkcs11 URI",
            "no `module-path`",
            "the library that came with the token",
            format_args!("add `?module-path=/…/the.so`, or set {MODULE_VARIABLE}"),
        )
    })
}

/// Loads and initialises a library unless that was done: a process may do it once only. It stays until
/// the process ends, because sessions and the library's own threads are in it.
fn load_once(path: &Path) -> Result<Pkcs11, Error> {
    static LOADED: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());
    let real = path
        .canonicalize()
        .map_err(Error::io(path, "load the PKCS#11 library"))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, library)) = loaded.iter().find(|(path, _)| *path == real) {
        return Ok(library.clone());
    }
    let library = Pkcs11::new(&real).map_err(|error| {
        let found = match error {
            Refusal::LibraryLoading(error) => format!("no library ({error})"),
            Refusal::MissingSymbol(_) => "a library that is none for tokens".into(),
            error => format!("a library that does not answer ({error:?})"),
        };
        let expected = "a PKCS#11 library for this machine";
        let hint = "its maker says where it is installed, such as /usr/lib/softhsm/libsofthsm2.so";
        Error::unexpected(path, found.replace('\n', " "), expected, hint)
    })?;
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Refusal::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => {
            return Err(refused(path.display(), "initialise the PKCS#11 library")(
                error,
            ));
        }
    }
    loaded.push((real, library.clone()));
    Ok(library)
}
