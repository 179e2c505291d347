//! One product for all tests: its keys, its layout, and the images that it takes.

use std::sync::LazyLock;

use bistable_bootloader::Product;
use bistable_core::digest::Digest;
use bistable_core::header::Signature;
use bistable_core::keys::{Key, KeyId, KeyRing, Roles};
use bistable_core::layout::{JournalLayout, Layout, Slot, SlotLayout};
use bistable_core::manifest::{Fields, Manifest, SIGNING_DOMAIN};
use bistable_core::state::{Image, Origin};
use bistable_core::verify::Entry;
use bistable_core::version::Version;
use ed25519_compact::{KeyPair, Seed};

use crate::random::Random;

const RELEASE: Roles = Roles {
    release: true,
    root: false,
};
const ROOT: Roles = Roles {
    release: false,
    root: true,
};
const BOTH: Roles = Roles {
    release: true,
    root: true,
};

/// What each key of the ring may sign: three release keys, three root keys and one that is both.
pub const ROLES: [Roles; 7] = [RELEASE, RELEASE, RELEASE, ROOT, ROOT, ROOT, BOTH];

/// A key that no ring knows.
pub const STRANGER: u8 = 99;

/// The test key with this number; below [`ROLES`]' length it stands at that place of the ring.
#[must_use]
pub fn key_pair(number: u8) -> KeyPair {
    let seed = Digest::of(&[b"bistable test key ".as_slice(), &[number]].concat());
    KeyPair::from_seed(Seed::new(seed.0))
}

/// The public half of a test key.
#[must_use]
pub fn public_key(number: u8, roles: Roles) -> Key {
    let public = *key_pair(number).pk;
    Key {
        id: KeyId::of(&public),
        roles,
        public,
    }
}

static KEYS: LazyLock<[Key; ROLES.len()]> =
    LazyLock::new(|| core::array::from_fn(|place| public_key(place as u8, ROLES[place])));

/// The ring with these thresholds.
#[must_use]
pub fn ring_of(release_threshold: u8, root_threshold: u8) -> KeyRing<'static> {
    KeyRing {
        keys: KEYS.as_slice(),
        release_threshold,
        root_threshold,
    }
}

/// The product's ring: one release key suffices for a release, one root key for a revocation.
#[must_use]
pub fn ring() -> KeyRing<'static> {
    ring_of(1, 1)
}

/// The name of a key of the ring.
#[must_use]
pub fn key_id(place: u8) -> KeyId {
    public_key(place, Roles::default()).id
}

/// This key's signature over `manifest`. Ed25519 is deterministic: the same bytes each time.
#[must_use]
pub fn sign(manifest: &Manifest, number: u8) -> Signature {
    let pair = key_pair(number);
    let message = [SIGNING_DOMAIN.as_slice(), manifest.as_bytes()].concat();
    Signature {
        key: KeyId::of(&pair.pk),
        bytes: *pair.sk.sign(message, None),
    }
}

/// The bootloader's version.
pub const BOOTLOADER: Version = Version::new(1, 2, 0);

/// So many abnormal resets are a crash loop.
pub const CRASH_LOOP: u16 = 3;

/// The board's RAM.
pub const RAM: core::ops::Range<u32> = 0x2000_0000..0x2001_0000;

static RAM_REGIONS: [core::ops::Range<u32>; 1] = [RAM];

/// Two slots of 16 KiB on one flash, three journal sectors on another.
#[must_use]
pub fn layout() -> Layout {
    let slot_size = 16 * 1024;
    let slot = |number: u32| SlotLayout {
        offset: number * slot_size,
        address: 0x0801_0000 + number * slot_size,
    };
    Layout {
        digest: Digest::of(b"bistable test layout"),
        vendor_id: *b"test vendor uuid",
        class_id: *b"test class  uuid",
        journal: JournalLayout {
            offset: 0,
            sector_size: 2048,
            sectors: 3,
        },
        slots: [slot(0), slot(1)],
        slot_size,
        payload_offset: 1024,
        chunk_size: 1024,
        factory_floor: 1,
    }
}

static LAYOUT: LazyLock<Layout> = LazyLock::new(layout);
static RING: LazyLock<KeyRing<'static>> = LazyLock::new(ring);

/// All of it, as a bootloader knows it.
#[must_use]
pub fn product() -> Product<'static> {
    Product {
        layout: &LAYOUT,
        ring: &RING,
        entry: Entry::CortexM { ram: &RAM_REGIONS },
        version: BOOTLOADER,
        crash_loop: CRASH_LOOP,
    }
}

/// What the manifest of an ordinary image says, but for its payload.
#[must_use]
pub fn fields(sequence: u32) -> Fields {
    let layout = layout();
    Fields {
        vendor_id: layout.vendor_id,
        class_id: layout.class_id,
        layout: layout.digest,
        version: Version::new(1, 0, sequence as u16),
        sequence,
        security_counter: 5,
        revoke_below: 3,
        chunk_size: 1024,
        trial_attempts: 3,
        trial_seconds: 60,
        schemas: (0, 1),
        oldest_bootloader: Version::new(1, 0, 0),
        sbom: Digest::of(b"bill of materials"),
        provenance: Digest::of(b"provenance"),
        ..Fields::default()
    }
}

/// A program of `len` bytes as linked for A and for B: a vector table, then what looks like code in
/// which an address stands now and then.
#[must_use]
pub fn program(seed: u64, len: usize) -> [Vec<u8>; 2] {
    program_for(&layout(), seed, len)
}

/// The same for another layout.
#[must_use]
pub fn program_for(layout: &Layout, seed: u64, len: usize) -> [Vec<u8>; 2] {
    let code = Random::new(seed).bytes(len);
    Slot::BOTH.map(|slot| {
        let mut bytes = code.clone();
        let address = layout.payload_address(slot);
        bytes[..4].copy_from_slice(&RAM.end.to_le_bytes());
        bytes[4..8].copy_from_slice(&((address + 0x41) | 1).to_le_bytes());
        for place in (64..len.saturating_sub(4)).step_by(300) {
            bytes[place..place + 4].copy_from_slice(&(address + place as u32).to_le_bytes());
        }
        bytes
    })
}

/// An image as the journal speaks of it.
#[must_use]
pub fn image_of(manifest: &Manifest, origin: Origin) -> Image {
    Image {
        digest: manifest.digest(),
        sequence: manifest.sequence(),
        origin,
    }
}
