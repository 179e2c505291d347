//! How a [`Snapshot`] lies on flash: 320 bytes with fixed offsets, a sequence number and a CRC.

use crate::digest::Digest;
use crate::journal::Record;
use crate::keys::Revoked;
use crate::layout::Slot;
use crate::state::{Budget, Image, Origin, ReasonCode, Rejection, SlotState, Snapshot};
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
    // zero: 1
    pub(super) const SCHEMA: usize = 42; // 2
    pub(super) const FLOOR: usize = 44; // 4
    pub(super) const REVOKED: usize = 48; // 2
    // zero: 2
    pub(super) const FORGOTTEN: usize = 52; // 4
    pub(super) const SLOTS: usize = 56; // 2 × SLOT_LEN
    pub(super) const SLOT_LEN: usize = 44;
    pub(super) const REJECTED: usize = SLOTS + 2 * SLOT_LEN; // 4 × REJECTION_LEN
    pub(super) const REJECTION_LEN: usize = 40;
    pub(super) const ZERO: usize = REJECTED + 4 * REJECTION_LEN; // 12
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

impl Record for Snapshot {
    type Bytes = Bytes;

    const ZEROS: Bytes = [0; SNAPSHOT_LEN];

    #[inline(always)]
    fn encode(&self, sequence: u32, layout: Digest) -> Bytes {
        encode(self, sequence, layout)
    }

    #[inline(always)]
    fn decode_valid(bytes: &Bytes, layout: Digest) -> Option<Self> {
        decode_valid(bytes, layout)
    }

    #[inline(always)]
    fn renumber(bytes: &mut Bytes, sequence: u32, _: Digest) {
        renumber(bytes, sequence);
    }

    #[inline(always)]
    fn sequence(bytes: &Bytes) -> u32 {
        sequence(bytes)
    }
}

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
    let slots = bytes.get_mut(field::SLOTS..field::REJECTED);
    let (slots, _) = slots.unwrap_or_default().as_chunks_mut();
    for (place, slot) in slots.iter_mut().zip(&snapshot.slots) {
        encode_slot(slot, place);
    }
    let rejected = bytes.get_mut(field::REJECTED..field::ZERO);
    let (rejected, _) = rejected
        .unwrap_or_default()
        .as_chunks_mut::<{ field::REJECTION_LEN }>();
    for (place, entry) in rejected.iter_mut().zip(&snapshot.rejected) {
        if let Some(rejection) = entry {
            wire::put(place, field::rejection::DIGEST, &rejection.digest.0);
            wire::put(
                place,
                field::rejection::SEQUENCE,
                &rejection.sequence.to_le_bytes(),
            );
            wire::put(
                place,
                field::rejection::REASON,
                &rejection.reason.get().to_le_bytes(),
            );
        }
    }
    renumber(&mut bytes, sequence);
    bytes
}

/// Gives bytes that came from [`encode`] another sequence number.
pub fn renumber(bytes: &mut Bytes, sequence: u32) {
    wire::put(bytes, field::SEQUENCE, &sequence.to_le_bytes());
    let crc = bytes.get(..field::CRC).map_or(0, wire::crc32);
    wire::put(bytes, field::CRC, &crc.to_le_bytes());
}

/// Whether `bytes` are a snapshot for this layout, whole and sound.
#[must_use]
pub fn is_valid(bytes: &Bytes, layout: Digest) -> bool {
    decode_valid(bytes, layout).is_some()
}

/// The snapshot in `bytes`, if they are whole, sound and for this layout: exactly what [`encode`] makes of
/// what they say. So magic, layout, CRC and all that must be zero are written down once, there.
#[must_use]
pub fn decode_valid(bytes: &Bytes, layout: Digest) -> Option<Snapshot> {
    let snapshot = decode(bytes);
    let says = snapshot.as_ref()?;
    if encode(says, sequence(bytes), layout) == *bytes {
        snapshot
    } else {
        None
    }
}

/// The sequence number of valid bytes.
#[must_use]
pub fn sequence(bytes: &Bytes) -> u32 {
    wire::word(bytes, field::SEQUENCE)
}

/// The layout that the bytes name, valid or not.
#[must_use]
pub fn layout(bytes: &Bytes) -> Digest {
    Digest(wire::bytes(bytes, field::LAYOUT))
}

/// The snapshot in valid bytes; of others, what their fields say, if that makes sense.
#[must_use]
pub fn decode(bytes: &Bytes) -> Option<Snapshot> {
    let mut snapshot = Snapshot::blank(match wire::byte(bytes, field::ACTIVE) {
        0 => Slot::A,
        1 => Slot::B,
        _ => return None,
    });
    snapshot.floor = wire::word(bytes, field::FLOOR);
    snapshot.revoked = Revoked(wire::half(bytes, field::REVOKED));
    snapshot.forgotten = wire::word(bytes, field::FORGOTTEN);
    snapshot.schema = wire::half(bytes, field::SCHEMA);
    let (slots, _) = bytes.get(field::SLOTS..field::REJECTED)?.as_chunks();
    for (slot, place) in snapshot.slots.iter_mut().zip(slots) {
        *slot = decode_slot(place)?;
    }
    let rejected = bytes.get(field::REJECTED..field::ZERO)?;
    let (rejected, _) = rejected.as_chunks::<{ field::REJECTION_LEN }>();
    for (entry, place) in snapshot.rejected.iter_mut().zip(rejected) {
        let reason = wire::half(place, field::rejection::REASON);
        if let Some(reason) = ReasonCode::new(reason) {
            *entry = Some(Rejection {
                digest: Digest(wire::bytes(place, field::rejection::DIGEST)),
                sequence: wire::word(place, field::rejection::SEQUENCE),
                reason,
            });
        }
    }
    snapshot.is_sound().then_some(snapshot)
}

fn encode_slot(slot: &SlotState, place: &mut [u8; field::SLOT_LEN]) {
    let (number, image) = match slot {
        SlotState::Empty => return, // all zero
        SlotState::Receiving(image) => (state::RECEIVING, image),
        SlotState::Trial(image, budget) => {
            wire::put(place, field::slot::ATTEMPTS, &[budget.attempts]);
            wire::put(place, field::slot::POWER, &[budget.power]);
            wire::put(place, field::slot::BOOTED, &[budget.booted.into()]);
            (state::TRIAL, image)
        }
        SlotState::Confirmed(image) => (state::CONFIRMED, image),
        SlotState::Rejected(image, reason) => {
            wire::put(place, field::slot::REASON, &reason.get().to_le_bytes());
            (state::REJECTED, image)
        }
    };
    wire::put(place, field::slot::STATE, &[number]);
    wire::put(place, field::slot::ORIGIN, &[image.origin as u8]);
    wire::put(place, field::slot::SEQUENCE, &image.sequence.to_le_bytes());
    wire::put(place, field::slot::DIGEST, &image.digest.0);
}

fn decode_slot(place: &[u8; field::SLOT_LEN]) -> Option<SlotState> {
    let image = Image {
        digest: Digest(wire::bytes(place, field::slot::DIGEST)),
        sequence: wire::word(place, field::slot::SEQUENCE),
        origin: match wire::byte(place, field::slot::ORIGIN) {
            0 => Origin::Found,
            1 => Origin::Factory,
            2 => Origin::Network,
            3 => Origin::Local,
            _ => return None,
        },
    };
    let budget = Budget {
        attempts: wire::byte(place, field::slot::ATTEMPTS),
        power: wire::byte(place, field::slot::POWER),
        booted: wire::byte(place, field::slot::BOOTED) == 1,
    };
    let reason = wire::half(place, field::slot::REASON);
    Some(match wire::byte(place, field::slot::STATE) {
        state::EMPTY => SlotState::Empty,
        state::RECEIVING => SlotState::Receiving(image),
        state::TRIAL => SlotState::Trial(image, budget),
        state::CONFIRMED => SlotState::Confirmed(image),
        state::REJECTED => SlotState::Rejected(image, ReasonCode::new(reason)?),
        _ => return None,
    })
}

const _: () = assert!(field::ZERO + 12 == field::CRC && field::CRC + 4 == SNAPSHOT_LEN);
