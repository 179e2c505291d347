//! Requests in files: what they ask, who signed them, and whether a unit would obey.

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use bistable_core::keys::Revoked;
use bistable_core::refusal::Refusal;
use bistable_core::request::{REQUEST_LEN, Request};

use crate::Error;
use crate::facts::Facts;
use crate::image::signers::{Signers, Verdict};

/// Looks at the form of the request in the file at `path`.
///
/// # Errors
/// These bytes are none.
pub fn parse<'b>(path: &Path, bytes: &'b [u8]) -> Result<Request<'b>, Error> {
    Request::new_checked(bytes).map_err(|refusal| {
        let (found, expected, hint) = match refusal {
            Refusal::NotARequest => (
                format!("{} bytes that are no request", bytes.len()),
                format!("a request, which is {REQUEST_LEN} bytes long"),
                "give a file that `bistable request roll-back` wrote",
            ),
            Refusal::UnknownFormat => (
                format!("a request refused as {refusal}"),
                "format 1, and to roll back as what is asked".into(),
                "the request is newer than this tool, or damaged",
            ),
            _ => (
                format!("a request refused as {refusal}"),
                "one as the format has it".into(),
                "the file is damaged: copy it, or make it, again",
            ),
        };
        Error::unexpected(path, found, expected, hint)
    })
}

/// Asks whether a unit with this key ring, which has revoked no key yet, would obey; by the unit's own
/// function.
///
/// # Errors
/// About `place`: who has signed, and that it is not enough.
pub fn check(request: &Request<'_>, facts: &Facts, place: impl fmt::Display) -> Result<(), Error> {
    let verdict = request.authenticate(&facts.key_ring(), Revoked::default());
    verdict.map(drop).map_err(|refusal| {
        let found = format!(
            "signatures for {}, refused as {refusal}",
            Signers::of_request(request, facts)
        );
        let ring = facts.product.ring_path.display();
        let (expected, hint) = match refusal {
            Refusal::BadSignature => (
                format!("signatures by the keys of {ring} that they name"),
                "it was changed after it was signed, or a signature is forged: make it again",
            ),
            _ => (
                format!("as many release keys of {ring} as its threshold asks for"),
                "no unit would obey: make it with more keys, and check that this is its product's ring",
            ),
        };
        Error::argument(place, found, expected, hint)
    })
}

/// What the request in the file at `path` asks, of whom, and who signed it.
#[must_use]
pub fn describe(path: &Path, request: &Request<'_>, facts: &Facts) -> String {
    let asked = request.message().fields();
    let signers = Signers::of_request(request, facts);
    let mut text = format!(
        "request   {} ({REQUEST_LEN} bytes)\n\
         unit      {}\n\
         asks      to leave {} for the other image\n\
         number    {}\n",
        path.display(),
        asked.unit.escape_debug(),
        asked.leave,
        asked.number,
    );
    for signer in &signers.signatures {
        let id = signer.id;
        let _ = match &signer.verdict {
            Verdict::Valid(name) => writeln!(text, "signature by {id} ({name}), valid"),
            Verdict::Invalid(name) => writeln!(text, "signature by {id} ({name}), INVALID"),
            Verdict::Unknown => writeln!(text, "signature by {id}, which the ring does not know"),
        }; // A String takes everything.
    }
    let _ = writeln!(text, "signed    {signers}");
    text
}
