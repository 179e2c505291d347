//! All that a manifest says, by name and with units: for whoever is asked to sign it.

use std::fmt;

use bistable_core::digest::Digest;
use bistable_core::keys::KeyId;
use bistable_core::layout::Slot;
use bistable_core::manifest::Manifest;
use bistable_layout::Ring;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// All that a manifest says.
#[derive(Serialize, JsonSchema)]
pub struct Described {
    /// The image's name, the digest of its manifest: 64 hexadecimal digits, as all digests here.
    pub name: String,
    /// RFC 9124 §3.3.
    pub vendor_id: String,
    /// RFC 9124 §3.4.
    pub class_id: String,
    /// The digest of the layout that the image was linked for.
    pub layout: String,
    /// For people.
    pub version: String,
    /// Decides what may be installed.
    pub sequence: u32,
    /// Decides what may be booted.
    pub security_counter: u32,
    /// What a device's floor becomes when it confirms the image.
    pub revoke_below: u32,
    /// The keys that count no more when a device has confirmed the image.
    pub revoked_keys: Vec<RevokedKey>,
    /// Length of the payload, in bytes.
    pub payload_bytes: u32,
    /// The digest of the payload as it lies in A.
    pub payload_a: String,
    /// The digest of the payload as it lies in B.
    pub payload_b: String,
    /// Whether both are the same.
    pub position_free: bool,
    /// How many chunks the payload has.
    pub chunks: u32,
    /// In bytes.
    pub chunk_size: u32,
    /// Length of the first page, in bytes.
    pub first_page_bytes: u32,
    /// The digest of the first page.
    pub first_page: String,
    /// How often a trial is started.
    pub trial_attempts: u8,
    /// How long a trial may take.
    pub trial_seconds: u16,
    /// The first and the last data schema that the image can read.
    pub data_schemas: (u16, u16),
    /// The oldest bootloader that it runs under.
    pub oldest_bootloader: String,
    /// The digest of the bill of materials.
    pub sbom: Option<String>,
    /// The digest of the provenance statement.
    pub provenance: Option<String>,
}

/// A key that counts no more.
#[derive(Serialize, JsonSchema)]
pub struct RevokedKey {
    /// 8 hexadecimal digits.
    pub id: String,
    /// What the ring calls it; `null` without a ring, or if the ring does not know it.
    pub name: Option<String>,
}

impl Described {
    /// What `manifest` says; keys have their names if there is a ring.
    #[must_use]
    pub fn new(manifest: &Manifest, ring: Option<&Ring>) -> Self {
        let fields = manifest.fields();
        let revoked = |id| RevokedKey::new(id, ring);
        Self {
            name: manifest.digest().to_string(),
            vendor_id: Uuid::from_bytes(fields.vendor_id).to_string(),
            class_id: Uuid::from_bytes(fields.class_id).to_string(),
            layout: fields.layout.to_string(),
            version: fields.version.to_string(),
            sequence: fields.sequence,
            security_counter: fields.security_counter,
            revoke_below: fields.revoke_below,
            revoked_keys: manifest.revoked().map(revoked).collect(),
            payload_bytes: fields.payload_len,
            payload_a: manifest.payload(Slot::A).to_string(),
            payload_b: manifest.payload(Slot::B).to_string(),
            position_free: manifest.is_position_free(),
            chunks: manifest.chunks(),
            chunk_size: fields.chunk_size,
            first_page_bytes: fields.first_page_len,
            first_page: fields.first_page.to_string(),
            trial_attempts: fields.trial_attempts,
            trial_seconds: fields.trial_seconds,
            data_schemas: fields.schemas,
            oldest_bootloader: fields.oldest_bootloader.to_string(),
            sbom: some(fields.sbom),
            provenance: some(fields.provenance),
        }
    }
}

impl RevokedKey {
    /// The key with this id, with its name if there is a ring that knows it.
    #[must_use]
    pub fn new(id: KeyId, ring: Option<&Ring>) -> Self {
        Self {
            id: id.to_string(),
            name: ring.and_then(|ring| name_in(ring, id)),
        }
    }
}

/// What `ring` calls a key.
fn name_in(ring: &Ring, id: KeyId) -> Option<String> {
    let mut keys = ring.keys.iter();
    let entry = keys.find(|entry| entry.key.id == id)?;
    Some(entry.name.clone())
}

fn some(digest: Digest) -> Option<String> {
    (digest != Digest::NONE).then(|| digest.to_string())
}

impl Described {
    /// Each field with its name and its unit.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let none = || String::from("none");
        let revoked: Vec<_> = self
            .revoked_keys
            .iter()
            .map(RevokedKey::to_string)
            .collect();
        let revoked = match revoked.is_empty() {
            true => none(),
            false => revoked.join(", "),
        };
        let position_free = if self.position_free { "yes" } else { "no" };
        let (first, last) = self.data_schemas;
        vec![
            ("name", self.name.clone()),
            ("vendor id", self.vendor_id.clone()),
            ("class id", self.class_id.clone()),
            ("layout", self.layout.clone()),
            ("version", self.version.clone()),
            ("sequence", self.sequence.to_string()),
            ("security counter", self.security_counter.to_string()),
            ("revoke below", self.revoke_below.to_string()),
            ("revoked keys", revoked),
            ("payload", format!("{} bytes", self.payload_bytes)),
            ("payload in A", self.payload_a.clone()),
            ("payload in B", self.payload_b.clone()),
            ("position-free", position_free.into()),
            (
                "chunks",
                format!("{} of {} bytes", self.chunks, self.chunk_size),
            ),
            (
                "first page",
                format!("{} bytes, {}", self.first_page_bytes, self.first_page),
            ),
            ("trial attempts", self.trial_attempts.to_string()),
            ("trial time", format!("{} s", self.trial_seconds)),
            ("data schemas", format!("{first} to {last}")),
            ("oldest bootloader", self.oldest_bootloader.clone()),
            ("SBOM", self.sbom.clone().unwrap_or_else(none)),
            ("provenance", self.provenance.clone().unwrap_or_else(none)),
        ]
    }
}

impl fmt::Display for Described {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines().into_iter();
        lines.try_for_each(|(name, value)| writeln!(formatter, "{name:<18} {value}"))
    }
}

impl fmt::Display for RevokedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{} ({name})", self.id),
            None => write!(formatter, "{}", self.id),
        }
    }
}
