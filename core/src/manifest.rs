//! The manifest: the signed description of an image, 320 bytes.
//!
//! Everything else about an image is fixed by digests in here. The bytes are never re-encoded:
//! a [`Manifest`] is those very bytes, checked once, with accessors that cannot fail.

use crate::digest::Digest;
use crate::keys::KeyId;
use crate::layout::Slot;
use crate::refusal::Refusal;
use crate::version::Version;
use crate::wire;

/// Length in bytes.
pub const MANIFEST_LEN: usize = 320;

/// What is signed is this prefix and the manifest.
pub const SIGNING_DOMAIN: &[u8; 21] = b"bistable/manifest/v1\0";

/// The most keys that one manifest revokes.
pub const MAX_REVOKED: usize = 8;

/// The chunk sizes that there are, in bytes.
pub const CHUNK_SIZES: [u32; 3] = [1024, 2048, 4096];

/// Trial attempts lie in this range.
pub const ATTEMPTS: core::ops::RangeInclusive<u8> = 1..=8;

/// Trial times lie in this range, in seconds.
pub const TRIAL_SECONDS: core::ops::RangeInclusive<u16> = 1..=3600;

const MAGIC: [u8; 4] = *b"BSTB";
const FORMAT: u16 = 1;

/// Where the fields lie. The order cannot change; numbers are little-endian.
mod field {
    pub(super) const MAGIC: usize = 0; // 4
    pub(super) const FORMAT: usize = 4; // 2
    pub(super) const LENGTH: usize = 6; // 2
    pub(super) const VENDOR: usize = 8; // 16
    pub(super) const CLASS: usize = 24; // 16
    pub(super) const LAYOUT: usize = 40; // 32
    pub(super) const VERSION: usize = 72; // 6
    pub(super) const CHUNK_SIZE: usize = 78; // 2
    pub(super) const SEQUENCE: usize = 80; // 4
    pub(super) const SECURITY_COUNTER: usize = 84; // 4
    pub(super) const REVOKE_BELOW: usize = 88; // 4
    pub(super) const PAYLOAD_LEN: usize = 92; // 4
    pub(super) const PAYLOAD_A: usize = 96; // 32
    pub(super) const PAYLOAD_B: usize = 128; // 32
    pub(super) const FIRST_PAGE: usize = 160; // 32
    pub(super) const FIRST_PAGE_LEN: usize = 192; // 2
    pub(super) const TRIAL_SECONDS: usize = 194; // 2
    pub(super) const TRIAL_ATTEMPTS: usize = 196; // 1
    pub(super) const REVOKED_COUNT: usize = 197; // 1
    pub(super) const OLDEST_BOOTLOADER: usize = 198; // 6
    pub(super) const SCHEMA_FIRST: usize = 204; // 2
    pub(super) const SCHEMA_LAST: usize = 206; // 2
    pub(super) const SBOM: usize = 208; // 32
    pub(super) const PROVENANCE: usize = 240; // 32
    pub(super) const REVOKED: usize = 272; // 8 × 4
    pub(super) const PADDING: usize = 304; // 16
}

/// What a manifest says, to make one of or to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    /// RFC 9124 §3.3.
    pub vendor_id: [u8; 16],
    /// RFC 9124 §3.4.
    pub class_id: [u8; 16],
    /// [`crate::layout::Layout::digest`].
    pub layout: Digest,
    /// For people.
    pub version: Version,
    /// RFC 9124 §3.1: monotonic, decides what may be installed.
    pub sequence: u32,
    /// Anti-rollback number: decides what may be booted.
    pub security_counter: u32,
    /// What the floor becomes when this image is confirmed; at most its own counter.
    pub revoke_below: u32,
    /// In bytes.
    pub payload_len: u32,
    /// Of the payload as it lies in A, and as it lies in B.
    pub payload: [Digest; 2],
    /// In bytes, one of [`CHUNK_SIZES`].
    pub chunk_size: u32,
    /// In bytes, at most a chunk.
    pub first_page_len: u32,
    /// Of the first page.
    pub first_page: Digest,
    /// How often a trial is started, 1 to 8.
    pub trial_attempts: u8,
    /// How long a trial may take, in seconds, 1 to 3600.
    pub trial_seconds: u16,
    /// The data schemas that the image can read: first and last.
    pub schemas: (u16, u16),
    /// The oldest bootloader that it runs under.
    pub oldest_bootloader: Version,
    /// Of the software bill of materials, or [`Digest::NONE`].
    pub sbom: Digest,
    /// Of the provenance statement, or [`Digest::NONE`].
    pub provenance: Digest,
    /// The keys that this manifest revokes, ascending; unused places are at the end and `None`.
    pub revoked: [Option<KeyId>; MAX_REVOKED],
}

/// A manifest whose format is sound. Whether anybody trusted signed it is another question: see
/// [`crate::header`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Manifest([u8; MANIFEST_LEN]);

impl Manifest {
    /// Looks at `bytes` once.
    ///
    /// # Errors
    /// What the format does not allow.
    pub fn new_checked(bytes: &[u8; MANIFEST_LEN]) -> Result<Self, Refusal> {
        let manifest = Self(*bytes);
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Refusal> {
        let bytes = &self.0;
        if wire::bytes(bytes, field::MAGIC) != MAGIC {
            return Err(Refusal::NotAManifest);
        }
        if wire::half(bytes, field::FORMAT) != FORMAT
            || usize::from(wire::half(bytes, field::LENGTH)) != MANIFEST_LEN
        {
            return Err(Refusal::UnknownFormat);
        }
        if !wire::all_zero(bytes, field::PADDING..MANIFEST_LEN) {
            return Err(Refusal::NonZeroPadding);
        }
        let (first_schema, last_schema) = self.schemas();
        let [small, middle, large] = CHUNK_SIZES;
        let chunk_size = self.chunk_size();
        let sound = (chunk_size == small || chunk_size == middle || chunk_size == large)
            && self.payload_len() > 0
            && self.first_page_len() > 0
            && self.first_page_len() <= chunk_size
            && ATTEMPTS.contains(&self.trial_attempts())
            && TRIAL_SECONDS.contains(&self.trial_seconds())
            && first_schema <= last_schema
            && self.revoke_below() <= self.security_counter()
            && self.revocations_are_sound();
        sound.then_some(()).ok_or(Refusal::FieldOutOfRange)
    }

    /// The manifest that says this.
    ///
    /// # Errors
    /// What the format does not allow.
    pub fn new(fields: &Fields) -> Result<Self, Refusal> {
        let mut bytes = [0; MANIFEST_LEN];
        wire::put(&mut bytes, field::MAGIC, &MAGIC);
        wire::put(&mut bytes, field::FORMAT, &FORMAT.to_le_bytes());
        wire::put(
            &mut bytes,
            field::LENGTH,
            &(MANIFEST_LEN as u16).to_le_bytes(),
        );
        wire::put(&mut bytes, field::VENDOR, &fields.vendor_id);
        wire::put(&mut bytes, field::CLASS, &fields.class_id);
        wire::put(&mut bytes, field::LAYOUT, &fields.layout.0);
        wire::put(&mut bytes, field::VERSION, &fields.version.to_bytes());
        let chunk_size = u16::try_from(fields.chunk_size).map_err(|_| Refusal::FieldOutOfRange)?;
        wire::put(&mut bytes, field::CHUNK_SIZE, &chunk_size.to_le_bytes());
        wire::put(&mut bytes, field::SEQUENCE, &fields.sequence.to_le_bytes());
        wire::put(
            &mut bytes,
            field::SECURITY_COUNTER,
            &fields.security_counter.to_le_bytes(),
        );
        wire::put(
            &mut bytes,
            field::REVOKE_BELOW,
            &fields.revoke_below.to_le_bytes(),
        );
        wire::put(
            &mut bytes,
            field::PAYLOAD_LEN,
            &fields.payload_len.to_le_bytes(),
        );
        wire::put(&mut bytes, field::PAYLOAD_A, &Slot::A.of(&fields.payload).0);
        wire::put(&mut bytes, field::PAYLOAD_B, &Slot::B.of(&fields.payload).0);
        let page_len =
            u16::try_from(fields.first_page_len).map_err(|_| Refusal::FieldOutOfRange)?;
        wire::put(&mut bytes, field::FIRST_PAGE_LEN, &page_len.to_le_bytes());
        wire::put(&mut bytes, field::FIRST_PAGE, &fields.first_page.0);
        wire::put(
            &mut bytes,
            field::TRIAL_SECONDS,
            &fields.trial_seconds.to_le_bytes(),
        );
        wire::put(&mut bytes, field::TRIAL_ATTEMPTS, &[fields.trial_attempts]);
        wire::put(
            &mut bytes,
            field::OLDEST_BOOTLOADER,
            &fields.oldest_bootloader.to_bytes(),
        );
        wire::put(
            &mut bytes,
            field::SCHEMA_FIRST,
            &fields.schemas.0.to_le_bytes(),
        );
        wire::put(
            &mut bytes,
            field::SCHEMA_LAST,
            &fields.schemas.1.to_le_bytes(),
        );
        wire::put(&mut bytes, field::SBOM, &fields.sbom.0);
        wire::put(&mut bytes, field::PROVENANCE, &fields.provenance.0);
        let mut count = 0_u8;
        let places = (field::REVOKED..field::PADDING).step_by(size_of::<u32>());
        for (place, key) in places.zip(fields.revoked.iter().flatten()) {
            wire::put(&mut bytes, place, &key.0.to_le_bytes());
            count = count.saturating_add(1);
        }
        wire::put(&mut bytes, field::REVOKED_COUNT, &[count]);
        Self::new_checked(&bytes)
    }

    /// The signed bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; MANIFEST_LEN] {
        &self.0
    }

    /// The image's name: the digest of the manifest, which signatures are not part of.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// All that it says.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let mut revoked = [None; MAX_REVOKED];
        for (place, key) in revoked.iter_mut().zip(self.revoked()) {
            *place = Some(key);
        }
        Fields {
            vendor_id: self.vendor_id(),
            class_id: self.class_id(),
            layout: self.layout(),
            version: self.version(),
            sequence: self.sequence(),
            security_counter: self.security_counter(),
            revoke_below: self.revoke_below(),
            payload_len: self.payload_len(),
            payload: Slot::BOTH.map(|slot| self.payload(slot)),
            chunk_size: self.chunk_size(),
            first_page_len: self.first_page_len(),
            first_page: self.first_page(),
            trial_attempts: self.trial_attempts(),
            trial_seconds: self.trial_seconds(),
            schemas: self.schemas(),
            oldest_bootloader: self.oldest_bootloader(),
            sbom: Digest(wire::bytes(&self.0, field::SBOM)),
            provenance: Digest(wire::bytes(&self.0, field::PROVENANCE)),
            revoked,
        }
    }

    /// RFC 9124 §3.3.
    #[must_use]
    pub fn vendor_id(&self) -> [u8; 16] {
        wire::bytes(&self.0, field::VENDOR)
    }

    /// RFC 9124 §3.4.
    #[must_use]
    pub fn class_id(&self) -> [u8; 16] {
        wire::bytes(&self.0, field::CLASS)
    }

    /// The layout that the image was linked for.
    #[must_use]
    pub fn layout(&self) -> Digest {
        Digest(wire::bytes(&self.0, field::LAYOUT))
    }

    /// For people.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::from_bytes(wire::bytes(&self.0, field::VERSION))
    }

    /// Decides what may be installed.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        wire::word(&self.0, field::SEQUENCE)
    }

    /// Decides what may be booted.
    #[must_use]
    pub fn security_counter(&self) -> u32 {
        wire::word(&self.0, field::SECURITY_COUNTER)
    }

    /// What the floor becomes when this image is confirmed.
    #[must_use]
    pub fn revoke_below(&self) -> u32 {
        wire::word(&self.0, field::REVOKE_BELOW)
    }

    /// In bytes.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        wire::word(&self.0, field::PAYLOAD_LEN)
    }

    /// Of the payload as it lies in `slot`.
    #[must_use]
    pub fn payload(&self, slot: Slot) -> Digest {
        let at = match slot {
            Slot::A => field::PAYLOAD_A,
            Slot::B => field::PAYLOAD_B,
        };
        Digest(wire::bytes(&self.0, at))
    }

    /// Whether the payload is the same in both slots: the chip maps either to one address, pages
    /// carry one digest for each chunk and no fix-ups.
    #[must_use]
    pub fn is_position_free(&self) -> bool {
        self.payload(Slot::A) == self.payload(Slot::B)
    }

    /// In bytes.
    #[must_use]
    pub fn chunk_size(&self) -> u32 {
        wire::half(&self.0, field::CHUNK_SIZE).into()
    }

    /// How many chunks the payload has.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        self.payload_len().div_ceil(self.chunk_size().max(1))
    }

    /// Length of the chunk at `index`, in bytes: the last one may be shorter; 0 behind it.
    #[must_use]
    pub fn chunk_len(&self, index: u32) -> u32 {
        let start = index.saturating_mul(self.chunk_size());
        self.payload_len()
            .saturating_sub(start)
            .min(self.chunk_size())
    }

    /// In bytes.
    #[must_use]
    pub fn first_page_len(&self) -> u32 {
        wire::half(&self.0, field::FIRST_PAGE_LEN).into()
    }

    /// Of the first page.
    #[must_use]
    pub fn first_page(&self) -> Digest {
        Digest(wire::bytes(&self.0, field::FIRST_PAGE))
    }

    /// How often a trial is started.
    #[must_use]
    pub fn trial_attempts(&self) -> u8 {
        wire::byte(&self.0, field::TRIAL_ATTEMPTS)
    }

    /// How long a trial may take, in seconds.
    #[must_use]
    pub fn trial_seconds(&self) -> u16 {
        wire::half(&self.0, field::TRIAL_SECONDS)
    }

    /// The first and the last data schema that the image can read.
    #[must_use]
    pub fn schemas(&self) -> (u16, u16) {
        (
            wire::half(&self.0, field::SCHEMA_FIRST),
            wire::half(&self.0, field::SCHEMA_LAST),
        )
    }

    /// The oldest bootloader that the image runs under.
    #[must_use]
    pub fn oldest_bootloader(&self) -> Version {
        Version::from_bytes(wire::bytes(&self.0, field::OLDEST_BOOTLOADER))
    }

    /// The keys that this manifest revokes, in ascending order.
    pub fn revoked(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.revoked_entries()
            .iter()
            .map(|id| KeyId(u32::from_le_bytes(*id)))
    }

    /// Whether it revokes keys at all.
    #[must_use]
    pub fn revokes_any(&self) -> bool {
        self.revoked_count() > 0
    }

    fn revoked_count(&self) -> usize {
        wire::byte(&self.0, field::REVOKED_COUNT).into()
    }

    fn revoked_entries(&self) -> &[[u8; size_of::<u32>()]] {
        let places = self.0.get(field::REVOKED..field::PADDING);
        let (entries, _) = places.unwrap_or_default().as_chunks();
        entries.get(..self.revoked_count()).unwrap_or_default()
    }

    fn revocations_are_sound(&self) -> bool {
        let unused = self
            .revoked_count()
            .saturating_mul(size_of::<u32>())
            .saturating_add(field::REVOKED);
        self.revoked_count() <= MAX_REVOKED
            && self.revoked().is_sorted_by(|a, b| a < b)
            && wire::all_zero(&self.0, unused..field::PADDING)
    }
}

impl core::fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.fields().fmt(formatter)
    }
}

const _: () = assert!(field::REVOKED + MAX_REVOKED * size_of::<u32>() == field::PADDING);
