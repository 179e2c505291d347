//! Requests in files: what they ask, who signed them, and whether a unit would obey.

use std::fmt;
use std::path::Path;

use bistable_core::keys::Revoked;
use bistable_core::refusal::Refusal;
use bistable_core::request::{REQUEST_LEN, Request};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;
use crate::facts::Facts;
use crate::image::signed::SignedBy;
use crate::image::signers::Signers;
use crate::output::Report;

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

/// What a request asks, of whom, and who signed it.
#[derive(Serialize, JsonSchema)]
pub struct Described {
    /// The request's file.
    pub request: String,
    /// The serial number of the unit that it is for.
    pub unit: String,
    /// The name of the image that the unit shall leave for the other one: 64 hexadecimal digits.
    pub leave: String,
    /// Why, in the asker's own numbers.
    pub number: u8,
    /// Who signed it.
    pub signed: SignedBy,
}

impl Report for Described {
    const FORMAT: &'static str = "request/1";
}

/// What the request in the file at `path` asks, of whom, and who signed it.
#[must_use]
pub fn describe(path: &Path, request: &Request<'_>, facts: &Facts) -> Described {
    let asked = request.message().fields();
    Described {
        request: path.display().to_string(),
        unit: asked.unit.into(),
        leave: asked.leave.to_string(),
        number: asked.number,
        signed: Signers::of_request(request, facts).into(),
    }
}

impl fmt::Display for Described {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.escape_debug();
        writeln!(
            formatter,
            "request   {} ({REQUEST_LEN} bytes)",
            self.request
        )?;
        writeln!(formatter, "unit      {unit}")?;
        writeln!(
            formatter,
            "asks      to leave {} for the other image",
            self.leave
        )?;
        writeln!(formatter, "number    {}", self.number)?;
        for signature in &self.signed.signatures {
            writeln!(formatter, "signature {signature}")?;
        }
        writeln!(formatter, "signed    {}", self.signed)
    }
}
