//! `POST /receipts` and `GET /challenge`: what devices say of themselves is verified, and kept before the answer.
//!
//! A request brings one or more receipts, oldest first, each behind its length:
//!
//! ```text
//!   0        2           n
//!   │ length │ receipt … │ length │ receipt … │
//! ```
//!
//! All numbers are little-endian. Each receipt is judged by itself, and what is believed is kept, whatever the
//! others are.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bistable_updater::receipt::{Receipt, Signed};

use super::{Shared, blocking, fail, refuse, say};
use crate::hex;
use crate::proof::chain::{Link, fresh};
use crate::proof::challenge::Challenges;
use crate::proof::judge::{Authentic, Keys, authenticate};
use crate::proof::keeper::{Keeper, Verdict};
use crate::proof::refused::Refused;
use crate::proof::units::Units;
use crate::refusals::Numbered;

/// The longest body in bytes.
pub const MAX_BODY_LEN: usize = 16 * 1024;

/// As many signatures are verified where the request is read; more would hold others up.
const FEW: usize = 2;

/// Who takes receipts.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    units: Units,
    keeper: Keeper,
    challenges: Challenges,
}

impl Desk {
    /// Who knows these units, and brings their receipts to this keeper.
    #[must_use]
    pub fn new(units: Units, keeper: Keeper, challenges: Challenges) -> Self {
        Self(Arc::new(Inner {
            units,
            keeper,
            challenges,
        }))
    }

    fn challenge(&self) -> String {
        hex::encode(&self.0.challenges.make())
    }

    /// The keys of a unit, for which the birth records are looked at again, at most once a second: it may have been made,
    /// or made again with another key.
    fn keys(&self, serial: &str) -> Option<Keys> {
        let units = &self.0.units;
        if let Err(error) = units.look_again() {
            say(&error.to_string());
        }
        units.keys(serial)
    }

    /// Which of the receipts in `body` are believed, and why the first of the others is not.
    fn read(&self, body: &[u8]) -> Read {
        let mut read = Read::default();
        let mut rest = body;
        for number in 1.. {
            let (frame, behind) = match split(rest) {
                Some((frame, behind)) => (Ok(frame), behind),
                None if rest.is_empty() && number > 1 => break,
                None => (Err(Refused::ReceiptTruncated), &[][..]),
            };
            rest = behind;
            let believed = |frame| authenticate(frame, |serial| self.keys(serial));
            match frame.and_then(believed) {
                Ok(receipt) => read.believed.push(receipt),
                Err(refused) => {
                    if read.refused.is_none() {
                        let unit = frame.ok().and_then(|frame| Signed::new_checked(frame).ok());
                        say(&about(unit.as_ref().map(|(_, receipt)| receipt), refused));
                    }
                    read.refused.get_or_insert((number, refused));
                }
            }
        }
        read
    }
}

#[derive(Default)]
struct Read {
    believed: Vec<Authentic>,
    /// Which one of the body, from 1.
    refused: Option<(u32, Refused)>,
}

/// The first receipt of a body and what is behind it; `None` if there is no whole one.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

pub(super) async fn challenge(State(shared): State<Shared>) -> Response {
    match &shared.desk {
        Some(desk) => desk.challenge().into_response(),
        None => nobody_takes_them(),
    }
}

pub(super) async fn post(State(shared): State<Shared>, body: Bytes) -> Response {
    let Some(desk) = shared.desk else {
        return nobody_takes_them();
    };
    let Some(Read { believed, refused }) = read(&desk, body).await else {
        return fail("receipts could not be verified");
    };
    let verdicts = match believed.is_empty() {
        true => Vec::new(),
        false => {
            let challenges = &desk.0.challenges;
            let fresh = fresh(&believed, |receipt| {
                let challenge = receipt.receipt().challenge;
                challenge.is_some_and(|challenge| challenges.can_be_answered(&challenge))
            });
            let receipts = believed.iter().cloned().zip(fresh).collect();
            match desk.0.keeper.keep(receipts).await {
                Some(verdicts) => verdicts,
                None => return fail("receipts could not be written"),
            }
        }
    };
    for (receipt, verdict) in believed.iter().zip(&verdicts) {
        remark(receipt.receipt(), *verdict);
    }
    if verdicts.iter().any(Verdict::is_err) {
        return (StatusCode::CONFLICT, desk.challenge()).into_response();
    }
    match refused {
        None => StatusCode::NO_CONTENT.into_response(),
        Some((number, refused)) => {
            let seen = Numbered::Receipt(refused).seen();
            let about = format!("receipt {number}: {refused}: {seen}");
            refuse(StatusCode::BAD_REQUEST, &about)
        }
    }
}

async fn read(desk: &Desk, body: Bytes) -> Option<Read> {
    let shortest = MAX_BODY_LEN / 64;
    match body.len() <= FEW * shortest {
        true => Some(desk.read(&body)),
        false => {
            let desk = desk.clone();
            blocking(move || desk.read(&body)).await
        }
    }
}

/// Says what an operator should know.
fn remark(receipt: &Receipt, verdict: Verdict) {
    let unit = || format!("{} {}", receipt.unit.escape_debug(), receipt.number);
    match verdict {
        Ok(Link::Known | Link::Next) => {}
        Ok(Link::First) if receipt.number <= 1 => {}
        Ok(Link::First) => say(&format!("receipt {}: this unit's first one here", unit())),
        Ok(Link::After { missing }) => say(&format!(
            "receipt {}: {missing} before it are missing",
            unit()
        )),
        Ok(Link::Anew) => say(&format!(
            "receipt {}: fresh, and this unit's chain begins anew with it",
            unit()
        )),
        Err(refused) => say(&about(Some(receipt), refused)),
    }
}

fn about(receipt: Option<&Receipt>, refused: Refused) -> String {
    match receipt {
        Some(Receipt { unit, number, .. }) => {
            format!("receipt {} {number}: {refused}", unit.escape_debug())
        }
        None => format!("receipt: {refused}"),
    }
}

fn nobody_takes_them() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "no receipts are taken here: start the server with --births and --station-key, which say whose they are",
    )
}
