//! A request from outside, signed by release keys: one unit shall leave one image. 624 bytes.
//!
//! ```text
//!   0         76      77    80                         624
//!   │ message │ count │ 000 │ (key id, signature) × 8  │
//! ```
//!
//! The message names the unit and the image, so it means nothing to another unit, and nothing once that
//! image does not run. The bytes are never re-encoded: what is signed is looked at as it lies.

use crate::digest::Digest;
use crate::keys::{Key, KeyRing, Revoked};
use crate::refusal::Refusal;
use crate::signatures::{self, Signature, TABLE_LEN, Table};
use crate::state::Reason;
use crate::wire;

/// Length of what is signed, in bytes.
pub const MESSAGE_LEN: usize = 76;

/// Length of a request, in bytes.
pub const REQUEST_LEN: usize = MESSAGE_LEN + TABLE_LEN;

/// What is signed is this prefix and the message.
pub const SIGNING_DOMAIN: &[u8; 20] = b"bistable/request/v1\0";

/// The longest serial number of a unit, in bytes.
pub const MAX_UNIT_LEN: usize = 32;

const MAGIC: [u8; 4] = *b"BSRQ";
const FORMAT: u16 = 1;

/// Leave the running image for the other one. There is no other action.
const LEAVE: u8 = 1;

/// Where the message's fields lie. The order cannot change; numbers are little-endian.
mod field {
    pub(super) const MAGIC: usize = 0; // 4
    pub(super) const FORMAT: usize = 4; // 2
    pub(super) const ACTION: usize = 6; // 1
    pub(super) const NUMBER: usize = 7; // 1
    pub(super) const UNIT_LEN: usize = 8; // 1
    pub(super) const PADDING: usize = 9; // 3
    pub(super) const UNIT: usize = 12; // 32
    pub(super) const LEAVE: usize = 44; // 32
}

const _: () = assert!(field::UNIT + MAX_UNIT_LEN == field::LEAVE);
const _: () = assert!(field::LEAVE + Digest::LEN == MESSAGE_LEN);

/// The table lies behind the message.
type Signatures<'r> = Table<'r, MESSAGE_LEN, REQUEST_LEN>;

/// What a request asks, to make one of or to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields<'f> {
    /// The serial number of the unit that shall do it, 1 to [`MAX_UNIT_LEN`] bytes of UTF-8.
    pub unit: &'f str,
    /// The image to leave.
    pub leave: Digest,
    /// Why, in the asker's own numbers.
    pub number: u8,
}

/// The part of a request that is signed; its format is sound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message([u8; MESSAGE_LEN]);

impl Message {
    /// Looks at `bytes` once.
    ///
    /// # Errors
    /// What the format does not allow.
    pub fn new_checked(bytes: &[u8; MESSAGE_LEN]) -> Result<Self, Refusal> {
        let message = Self(*bytes);
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), Refusal> {
        let bytes = &self.0;
        if wire::bytes(bytes, field::MAGIC) != MAGIC {
            return Err(Refusal::NotARequest);
        }
        if wire::half(bytes, field::FORMAT) != FORMAT || wire::byte(bytes, field::ACTION) != LEAVE {
            return Err(Refusal::UnknownFormat);
        }
        if self.unit().is_empty() {
            return Err(Refusal::FieldOutOfRange);
        }
        let unused = field::UNIT.saturating_add(self.unit_len());
        if !wire::all_zero(bytes, field::PADDING..field::UNIT)
            || !wire::all_zero(bytes, unused..field::LEAVE)
        {
            return Err(Refusal::NonZeroPadding);
        }
        Ok(())
    }

    /// The message that asks this.
    ///
    /// # Errors
    /// [`Refusal::FieldOutOfRange`] if the serial number is empty or too long.
    pub fn new(fields: &Fields<'_>) -> Result<Self, Refusal> {
        let mut bytes = [0; MESSAGE_LEN];
        wire::put(&mut bytes, field::MAGIC, &MAGIC);
        wire::put(&mut bytes, field::FORMAT, &FORMAT.to_le_bytes());
        wire::put(&mut bytes, field::ACTION, &[LEAVE]);
        wire::put(&mut bytes, field::NUMBER, &[fields.number]);
        let unit_len = u8::try_from(fields.unit.len()).map_err(|_| Refusal::FieldOutOfRange)?;
        wire::put(&mut bytes, field::UNIT_LEN, &[unit_len]);
        let mut unit = [0; MAX_UNIT_LEN];
        for (place, byte) in unit.iter_mut().zip(fields.unit.bytes()) {
            *place = byte;
        }
        wire::put(&mut bytes, field::UNIT, &unit);
        wire::put(&mut bytes, field::LEAVE, &fields.leave.0);
        Self::new_checked(&bytes)
    }

    /// The signed bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; MESSAGE_LEN] {
        &self.0
    }

    /// All that it asks.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields {
            unit: self.unit(),
            leave: self.leave(),
            number: self.number(),
        }
    }

    /// The serial number of the unit that shall do it.
    #[must_use]
    pub fn unit(&self) -> &str {
        let unit = self.0.get(field::UNIT..field::LEAVE).unwrap_or_default();
        let unit = unit.get(..self.unit_len()).unwrap_or_default();
        // What is too long, or no UTF-8, reads as an empty one, which the format does not allow.
        str::from_utf8(unit).unwrap_or_default()
    }

    /// The image to leave.
    #[must_use]
    pub fn leave(&self) -> Digest {
        Digest(wire::bytes(&self.0, field::LEAVE))
    }

    /// Why, in the asker's own numbers.
    #[must_use]
    pub fn number(&self) -> u8 {
        wire::byte(&self.0, field::NUMBER)
    }

    fn unit_len(&self) -> usize {
        wire::byte(&self.0, field::UNIT_LEN).into()
    }
}

impl core::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.fields().fmt(formatter)
    }
}

/// A request whose format is sound; nobody vouches for it yet.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    bytes: &'r [u8; REQUEST_LEN],
    message: Message,
}

impl<'r> Request<'r> {
    /// Looks at `bytes` once.
    ///
    /// # Errors
    /// What the format does not allow: [`Refusal::NotARequest`] also for another length.
    pub fn new_checked(bytes: &'r [u8]) -> Result<Self, Refusal> {
        let bytes: &[u8; REQUEST_LEN] = bytes.try_into().map_err(|_| Refusal::NotARequest)?;
        let request = Self {
            bytes,
            message: Message::new_checked(&wire::bytes(bytes, 0))?,
        };
        request.table().check()?;
        Ok(request)
    }

    /// What it asks.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// The signatures, in ascending order of key.
    pub fn signatures(&self) -> impl Iterator<Item = Signature> + '_ {
        self.table().signatures()
    }

    /// Asks whether enough release keys of `ring`, those in `revoked` left out, have signed.
    ///
    /// A signature is only looked at if it can still change the answer. Signatures by keys that the
    /// ring does not know, or that are only root keys, are skipped.
    ///
    /// # Errors
    /// [`Refusal::TooFewReleaseSignatures`], or [`Refusal::BadSignature`] if one is forged.
    pub fn authenticate(self, ring: &KeyRing<'_>, revoked: Revoked) -> Result<Order, Refusal> {
        self.table()
            .authenticate(ring, revoked, false, |key, signature| {
                is_signed_by(&self.message, key, signature)
            })?;
        Ok(Order(self.message))
    }

    const fn table(&self) -> Signatures<'r> {
        Table(self.bytes)
    }
}

/// A request that enough trusted keys have signed. There is no other way to make one than
/// [`Request::authenticate`]:
///
/// ```compile_fail,E0423
/// # use bistable_core::request::{Message, Order};
/// # fn obey(_: Order) {}
/// # fn shortcut(message: Message) {
/// obey(Order(message)); // the field is private
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order(Message);

impl Order {
    /// What was signed.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.0
    }

    /// Why the image is left, as the journal keeps it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason::OnOrder(self.0.number())
    }
}

/// Whether `key` made this signature over `message`.
#[must_use]
pub fn is_signed_by(message: &Message, key: &Key, signature: &Signature) -> bool {
    signatures::is_signed_by(SIGNING_DOMAIN, message.as_bytes(), key, signature)
}

/// The request with these signatures, which are put in order.
///
/// # Errors
/// [`Refusal::SignaturesOutOfOrder`] if there are more than [`crate::header::MAX_SIGNATURES`], or two by
/// one key.
pub fn assemble(
    message: &Message,
    signatures: &mut [Signature],
) -> Result<[u8; REQUEST_LEN], Refusal> {
    let mut bytes = [0; REQUEST_LEN];
    wire::put(&mut bytes, 0, message.as_bytes());
    Signatures::put(&mut bytes, signatures)?;
    Ok(bytes)
}
