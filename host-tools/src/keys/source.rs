//! Where a key lies: in a file, or in a token that a `pkcs11:` URI (RFC 7512) names.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::pkcs11::SCHEME;

/// What `--key` says. It is printed without what stands behind a `?`: a careless URI has its PIN there.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A PEM file.
    File(PathBuf),
    /// The URI of a key in a token.
    Token(String),
}

impl From<OsString> for Source {
    fn from(text: OsString) -> Self {
        match text.to_str() {
            Some(uri) if uri.starts_with(SCHEME) => Self::Token(uri.into()),
            _ => Self::File(text.into()),
        }
    }
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        OsString::from(text).into()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Token(uri) => formatter.write_str(uri.split('?').next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_a_token_and_all_else_is_a_file() {
        let token = Source::from("pkcs11:token=release;object=alice");
        assert!(matches!(token, Source::Token(_)));
        for file in ["alice.pem", "./pkcs11:token=x", "keys/pkcs11:", ""] {
            assert_eq!(Source::from(file), Source::File(file.into()));
        }
    }

    #[test]
    fn a_pin_in_a_uri_is_not_printed() {
        let token = Source::from("pkcs11:token=release?pin-value=4711&module-name=x");
        assert_eq!(
            format!("{token} {token:?}"),
            "pkcs11:token=release pkcs11:token=release"
        );
    }
}
