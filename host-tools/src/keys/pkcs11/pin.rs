//! The PIN: from a file, from the token's own keypad, or from the terminal; tried once, then wiped.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use cryptoki::error::{Error as Refusal, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::module::Found;
use super::refused;
use super::uri::Uri;
use crate::Error;

/// No PIN is longer, in bytes.
const MAX_LEN: usize = 256;

/// Logs in to the token, unless this process is logged in to it or it needs no PIN.
///
/// A wrong PIN is tried once and never again: tokens count, and lock themselves. For the same reason a
/// file's PIN is not tried at all when it would be the last try.
pub(super) fn log_in(session: &Session, token: &Found, uri: &Uri) -> Result<(), Error> {
    let place = token.describe();
    let state = session
        .get_session_info()
        .map_err(refused(&place, "ask for its state"))?;
    let is_in = matches!(
        state.session_state(),
        SessionState::RoUser | SessionState::RwUser
    );
    if is_in || !token.info.login_required() {
        return Ok(());
    }
    check_tries(&token.info, uri, &place)?;
    let pin = match (&uri.pin_file, token.info.protected_authentication_path()) {
        (Some(path), _) => Some(from_file(path)?),
        (None, true) => None, // its keypad
        (None, false) => Some(from_terminal(token)?),
    };
    match session.login(UserType::User, pin.as_ref()) {
        Ok(()) | Err(Refusal::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Refusal::Pkcs11(
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
            _,
        )) => Err(Error::argument(
            place,
            "a wrong PIN, which was tried once",
            "the PIN of its user",
            "tokens lock themselves after a few wrong ones, so make sure before you try again",
        )),
        Err(Refusal::Pkcs11(RvError::PinLocked, _)) => Err(locked(&place)),
        Err(Refusal::Pkcs11(RvError::UserPinNotInitialized, _)) => Err(Error::argument(
            place,
            "no PIN of its user",
            "one that was set",
            "set it with the tool that came with the token",
        )),
        Err(error) => Err(refused(&place, "log in")(error)),
    }
}

fn check_tries(info: &TokenInfo, uri: &Uri, place: &str) -> Result<(), Error> {
    if info.user_pin_locked() {
        return Err(locked(place));
    }
    if info.user_pin_final_try() && uri.pin_file.is_some() {
        return Err(Error::argument(
            place,
            "one try that is left before it locks itself",
            "more, as long as the PIN comes from a file",
            "leave `pin-source` out, and enter the PIN by hand",
        ));
    }
    Ok(())
}

fn locked(place: &str) -> Error {
    let hint = "its security officer can set a new PIN";
    let found = "it locked after too many wrong PINs";
    Error::argument(place, found, "a token that takes a PIN", hint)
}

/// The file's first line. Nothing of it stays in memory.
fn from_file(path: &Path) -> Result<AuthPin, Error> {
    let mut bytes = Zeroizing::new([0; MAX_LEN]);
    let mut len = 0;
    let doing = "read the PIN";
    let mut file = File::open(path).map_err(Error::io(path, doing))?;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(path, doing)(error)),
        }
    }
    let line = bytes
        .get(..len)
        .and_then(|all| all.split(|byte| *byte == b'\n').next());
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(pin) if !pin.is_empty() && len < MAX_LEN => Ok(AuthPin::from(pin)),
        _ => Err(Error::unexpected(
            path,
            "no PIN",
            format_args!("a PIN in the first line, shorter than {MAX_LEN} bytes in all"),
            "only its owner should be able to read it: mode 0600",
        )),
    }
}

fn from_terminal(token: &Found) -> Result<AuthPin, Error> {
    let warning = match (
        token.info.user_pin_final_try(),
        token.info.user_pin_count_low(),
    ) {
        (true, _) => ", the last try before it locks itself",
        (false, true) => ", the last one was wrong",
        (false, false) => "",
    };
    let prompt = format!("PIN of {}{warning}: ", token.describe());
    let pin = rpassword::prompt_password(prompt).map_err(|error| {
        Error::argument(
            token.describe(),
            format_args!("no terminal to ask for the PIN on ({error})"),
            "a terminal, or a file with the PIN",
            "add `pin-source=file:…` behind the `?` of the URI",
        )
    })?;
    let pin = Zeroizing::new(pin);
    if pin.is_empty() {
        let hint = "nothing was tried";
        return Err(Error::argument(
            token.describe(),
            "no PIN",
            "the PIN of its user",
            hint,
        ));
    }
    Ok(AuthPin::from(pin.as_str()))
}
