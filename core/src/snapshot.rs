//! How a [`Snapshot`] lies on flash: 320 bytes with fixed offsets, a sequence number and a CRC.

use crate::digest::Digest;
use crate::keys::Revoked;
use crate::layout::Slot;
use crate::state::{Budget, Image, Origin, REJECTED_LEN, Reason, Rejection, SlotState, Snapshot};
use crate::wire;

/// Length in bytes: a multiple of every write size up to 64.
pub const SNAPSHOT_LEN: usize = 320;

const MAGIC: [u8; 4] = *b"BSJ1";

/// Where the fields lie. The order cannot change; numbers are little-endian.
mod field {
    pub(super) const MAGIC: usize = 0; // 4
    pub(super) const SEQUENCE: usize = 4; // 4
    pub(super) const LAYOUT: usize = 8; // 32
    pub(super) const ACTIVE: usize = 40; // 1
    pub(super) const ZERO_1: usize = 41; // 1
    pub(super) const SCHEMA: usize = 42; // 2
    pub(super) const FLOOR: usize = 44; // 4
    pub(super) const REVOKED: usize = 48; // 2
    pub(super) const ZERO_2: usize = 50; // 2
    pub(super) const FORGOTTEN: usize = 52; // 4
    pub(super) const SLOTS: usize = 56; // 2 × SLOT_LEN
    pub(super) const SLOT_LEN: usize = 44;
    pub(super) const REJECTED: usize = SLOTS + 2 * SLOT_LEN; // 4 × REJECTION_LEN
    pub(super) const REJECTION_LEN: usize = 40;
    pub(super) const ZERO_3: usize = REJECTED + 4 * REJECTION_LEN; // 12
    pub(super) const CRC: usize = 316; // 4

    pub(super) mod slot {
        pub(in super::super) const STATE: usize = 0; // 1
        pub(in super::super) const ATTEMPTS: usize = 1; // 1
        pub(in super::super) const POWER: usize = 2; // 1
        pub(in super::super) const BOOTED: usize = 3; // 1
        pub(in super::super) const REASON: usize = 4; // 2
        pub(in super::super) const ORIGIN: usize = 6; // 1
        pub(in super::super) const SEQUENCE: usize = 8; // 4
        pub(in super::super) const DIGEST: usize = 12; // 32
    }

    pub(super) mod rejection {
        pub(in super::super) const DIGEST: usize = 0; // 32
        pub(in super::super) const SEQUENCE: usize = 32; // 4
        pub(in super::super) const REASON: usize = 36; // 2
    }
}

/// The states' numbers, which never change.
mod state {
    pub(super) const EMPTY: u8 = 0;
    pub(super) const RECEIVING: u8 = 1;
    pub(super) const TRIAL: u8 = 2;
    pub(super) const CONFIRMED: u8 = 3;
    pub(super) const REJECTED: u8 = 4;
}

/// A snapshot as it lies on flash.
pub type Bytes = [u8; SNAPSHOT_LEN];

/// Puts `snapshot` into bytes.
#[must_use]
pub fn encode(snapshot: &Snapshot, sequence: u32, layout: Digest) -> Bytes {
    let mut bytes = [0; SNAPSHOT_LEN];
    wire::put(&mut bytes, field::MAGIC, &MAGIC);
    wire::put(&mut bytes, field::LAYOUT, &layout.0);
    let active = match snapshot.active {
        Slot::A => 0,
        Slot::B => 1,
    };
    wire::put(&mut bytes, field::ACTIVE, &[active]);
    wire::put(&mut bytes, field::SCHEMA, &snapshot.schema.to_le_bytes());
    wire::put(&mut bytes, field::FLOOR, &snapshot.floor.to_le_bytes());
    wire::put(
        &mut bytes,
        field::REVOKED,
        &snapshot.revoked.0.to_le_bytes(),
    );
    wire::put(
        &mut bytes,
        field::FORGOTTEN,
        &snapshot.forgotten.to_le_bytes(),
    );
    for (state, at) in snapshot.slots.iter().zip(slot_places()) {
        encode_slot(state, at, &mut bytes);
    }
    for (entry, at) in snapshot.rejected.iter().zip(rejection_places()) {
        if let Some(rejection) = entry {
            encode_rejection(rejection, at, &mut bytes);
        }
    }
    renumber(&mut bytes, sequence);
    bytes
}

/// Gives bytes that came from [`encode`] another sequence number.
pub fn renumber(bytes: &mut Bytes, sequence: u32) {
    wire::put(bytes, field::SEQUENCE, &sequence.to_le_bytes());
    let crc = crc_of(bytes);
    wire::put(bytes, field::CRC, &crc.to_le_bytes());
}

/// Whether `bytes` are a snapshot for this layout, whole and sound.
#[must_use]
pub fn is_valid(bytes: &Bytes, layout: Digest) -> bool {
    wire::bytes(bytes, field::MAGIC) == MAGIC
        && wire::bytes(bytes, field::LAYOUT) == layout.0
        && wire::word(bytes, field::CRC) == crc_of(bytes)
        && decode(bytes).is_some()
}

/// The sequence number of valid bytes.
#[must_use]
pub fn sequence(bytes: &Bytes) -> u32 {
    wire::word(bytes, field::SEQUENCE)
}

/// The snapshot in `bytes`, if every field makes sense.
#[must_use]
pub fn decode(bytes: &Bytes) -> Option<Snapshot> {
    let zero = wire::all_zero(bytes, field::ZERO_1..field::SCHEMA)
        && wire::all_zero(bytes, field::ZERO_2..field::FORGOTTEN)
        && wire::all_zero(bytes, field::ZERO_3..field::CRC);
    let active = match wire::byte(bytes, field::ACTIVE) {
        0 => Slot::A,
        1 => Slot::B,
        _ => return None,
    };
    let mut snapshot = Snapshot {
        active,
        slots: [SlotState::Empty; 2],
        floor: wire::word(bytes, field::FLOOR),
        revoked: Revoked(wire::half(bytes, field::REVOKED)),
        rejected: [None; REJECTED_LEN],
        forgotten: wire::word(bytes, field::FORGOTTEN),
        schema: wire::half(bytes, field::SCHEMA),
    };
    for (state, at) in snapshot.slots.iter_mut().zip(slot_places()) {
        *state = decode_slot(bytes.get(at..)?)?;
    }
    for (entry, at) in snapshot.rejected.iter_mut().zip(rejection_places()) {
        *entry = decode_rejection(bytes.get(at..)?)?;
    }
    (zero && snapshot.is_sound()).then_some(snapshot)
}

fn crc_of(bytes: &Bytes) -> u32 {
    bytes.get(..field::CRC).map_or(0, wire::crc32)
}

fn slot_places() -> impl Iterator<Item = usize> {
    (field::SLOTS..field::REJECTED).step_by(field::SLOT_LEN)
}

fn rejection_places() -> impl Iterator<Item = usize> {
    (field::REJECTED..field::ZERO_3).step_by(field::REJECTION_LEN)
}

fn encode_slot(slot: &SlotState, at: usize, bytes: &mut Bytes) {
    let mut put = |field: usize, value: &[u8]| wire::put(bytes, at.saturating_add(field), value);
    let number = match slot {
        SlotState::Empty => state::EMPTY,
        SlotState::Receiving(_) => state::RECEIVING,
        SlotState::Trial(..) => state::TRIAL,
        SlotState::Confirmed(_) => state::CONFIRMED,
        SlotState::Rejected(..) => state::REJECTED,
    };
    put(field::slot::STATE, &[number]);
    if let SlotState::Trial(_, budget) = slot {
        put(field::slot::ATTEMPTS, &[budget.attempts]);
        put(field::slot::POWER, &[budget.power]);
        put(field::slot::BOOTED, &[budget.booted.into()]);
    }
    if let SlotState::Rejected(_, reason) = slot {
        put(field::slot::REASON, &reason.code().to_le_bytes());
    }
    if let Some(image) = slot.image() {
        put(field::slot::ORIGIN, &[image.origin as u8]);
        put(field::slot::SEQUENCE, &image.sequence.to_le_bytes());
        put(field::slot::DIGEST, &image.digest.0);
    }
}

fn decode_slot(bytes: &[u8]) -> Option<SlotState> {
    let origin = match wire::byte(bytes, field::slot::ORIGIN) {
        0 => Origin::Found,
        1 => Origin::Factory,
        2 => Origin::Network,
        3 => Origin::Local,
        _ => return None,
    };
    let image = Image {
        digest: Digest(wire::bytes(bytes, field::slot::DIGEST)),
        sequence: wire::word(bytes, field::slot::SEQUENCE),
        origin,
    };
    let booted = match wire::byte(bytes, field::slot::BOOTED) {
        0 => false,
        1 => true,
        _ => return None,
    };
    let budget = Budget {
        attempts: wire::byte(bytes, field::slot::ATTEMPTS),
        power: wire::byte(bytes, field::slot::POWER),
        booted,
    };
    let reason = wire::half(bytes, field::slot::REASON);
    let slot = match wire::byte(bytes, field::slot::STATE) {
        state::EMPTY => SlotState::Empty,
        state::RECEIVING => SlotState::Receiving(image),
        state::TRIAL => SlotState::Trial(image, budget),
        state::CONFIRMED => SlotState::Confirmed(image),
        state::REJECTED => SlotState::Rejected(image, Reason::from_code(reason)?),
        _ => return None,
    };
    // What a state does not have must be zero: putting it into bytes again gives the same ones.
    let mut again = [0; SNAPSHOT_LEN];
    encode_slot(&slot, 0, &mut again);
    (bytes.get(..field::SLOT_LEN) == again.get(..field::SLOT_LEN)).then_some(slot)
}

fn encode_rejection(rejection: &Rejection, at: usize, bytes: &mut Bytes) {
    let mut put = |field: usize, value: &[u8]| wire::put(bytes, at.saturating_add(field), value);
    put(field::rejection::DIGEST, &rejection.digest.0);
    put(
        field::rejection::SEQUENCE,
        &rejection.sequence.to_le_bytes(),
    );
    put(
        field::rejection::REASON,
        &rejection.reason.code().to_le_bytes(),
    );
}

/// `None`: nonsense. `Some(None)`: an unused entry, all zero.
#[expect(clippy::option_option, reason = "an entry is nonsense, unused or used")]
fn decode_rejection(bytes: &[u8]) -> Option<Option<Rejection>> {
    if wire::all_zero(bytes, 0..field::REJECTION_LEN) {
        return Some(None);
    }
    if !wire::all_zero(bytes, field::rejection::REASON + 2..field::REJECTION_LEN) {
        return None;
    }
    Some(Some(Rejection {
        digest: Digest(wire::bytes(bytes, field::rejection::DIGEST)),
        sequence: wire::word(bytes, field::rejection::SEQUENCE),
        reason: Reason::from_code(wire::half(bytes, field::rejection::REASON))?,
    }))
}

const _: () = assert!(field::ZERO_3 + 12 == field::CRC && field::CRC + 4 == SNAPSHOT_LEN);
