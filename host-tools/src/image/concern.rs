//! What an updater asks of a manifest before it installs the image, one thing at a time: what is
//! compared, how it is refused, and the rule of the design.

use bistable_core::digest::Digest;
use bistable_core::manifest::Manifest;
use bistable_core::refusal::Refusal;
use bistable_core::version::Version;
use uuid::Uuid;

use crate::facts::Facts;
use crate::image::rules::{BOOTLOADER, CHUNK_SIZE, FLOOR, IDS, INSTALL, SCHEMA, SIZE};
use crate::image::taker::Taker;

/// One thing that `Terms::installable` asks for, in its order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Concern {
    Vendor,
    Class,
    Layout,
    Size,
    Bootloader,
    Floor,
    Schema,
    ChunkSize,
    Another,
    Rejected,
    Newer,
    Forgotten,
}

impl Concern {
    pub(super) const ALL: [Self; 12] = [
        Self::Vendor,
        Self::Class,
        Self::Layout,
        Self::Size,
        Self::Bootloader,
        Self::Floor,
        Self::Schema,
        Self::ChunkSize,
        Self::Another,
        Self::Rejected,
        Self::Newer,
        Self::Forgotten,
    ];

    /// Its check, the rule of the design, and how it is refused.
    pub(super) const fn facts(self) -> (&'static str, &'static str, Refusal) {
        match self {
            Self::Vendor => ("vendor", IDS, Refusal::OtherVendor),
            Self::Class => ("class", IDS, Refusal::OtherClass),
            Self::Layout => ("layout", IDS, Refusal::OtherLayout),
            Self::Size => ("size", SIZE, Refusal::TooLarge),
            Self::Bootloader => ("bootloader", BOOTLOADER, Refusal::BootloaderTooOld),
            Self::Floor => ("floor", FLOOR, Refusal::BelowFloor),
            Self::Schema => ("schema", SCHEMA, Refusal::OtherSchema),
            Self::ChunkSize => ("chunk size", CHUNK_SIZE, Refusal::ChunkSize),
            Self::Another => ("another", INSTALL, Refusal::AlreadyRunning),
            Self::Rejected => ("rejected", INSTALL, Refusal::RejectedBefore),
            Self::Newer => ("newer", INSTALL, Refusal::NotNewer),
            Self::Forgotten => ("forgotten", INSTALL, Refusal::OlderThanForgotten),
        }
    }

    /// Whether it is asked only while the image that runs is confirmed.
    pub(super) const fn is_of_the_running_one(self) -> bool {
        matches!(
            self,
            Self::ChunkSize | Self::Another | Self::Rejected | Self::Newer | Self::Forgotten
        )
    }

    /// What the image has, and what the device asks for.
    pub(super) fn words(
        self,
        manifest: &Manifest,
        facts: &Facts,
        taker: &Taker,
    ) -> (String, String) {
        let layout = &facts.product.layout;
        let uuid = |bytes| Uuid::from_bytes(bytes).to_string();
        let snapshot = &taker.snapshot;
        let present = snapshot.slot(taker.running).image();
        match self {
            Self::Vendor => (uuid(manifest.vendor_id()), uuid(layout.vendor_id)),
            Self::Class => (uuid(manifest.class_id()), uuid(layout.class_id)),
            Self::Layout => (manifest.layout().to_string(), layout.digest.to_string()),
            Self::Size => (
                format!("{} bytes of payload", manifest.payload_len()),
                format!("at most {}", layout.payload_capacity()),
            ),
            Self::Bootloader => (
                format!("needs {}", version(manifest.oldest_bootloader())),
                format!("at most {}", version(taker.bootloader)),
            ),
            Self::Floor => (
                format!("security counter {}", manifest.security_counter()),
                format!("at least {}", snapshot.floor.max(layout.factory_floor)),
            ),
            Self::Schema => {
                let (first, last) = manifest.schemas();
                (
                    format!("reads schemas {first} to {last}"),
                    format!("schema {} among them", snapshot.schema),
                )
            }
            Self::ChunkSize => (
                format!("{} bytes", manifest.chunk_size()),
                format!(
                    "at most {}, and {} a multiple of it",
                    layout.chunk_size, layout.payload_offset
                ),
            ),
            Self::Another => (
                format!("image {:.4}", manifest.digest()),
                match present.filter(|image| image.digest != Digest::NONE) {
                    Some(image) => format!("another than {:.4}, which runs", image.digest),
                    None => "another than the one that runs".into(),
                },
            ),
            Self::Rejected => match snapshot.rejection(manifest.digest()) {
                Some(rejection) => (
                    format!("rejected before, as {}", rejection.reason),
                    "an image that was not".into(),
                ),
                None => (
                    "not rejected by this device".into(),
                    "an image that was not rejected".into(),
                ),
            },
            Self::Newer => (
                format!("sequence {}", manifest.sequence()),
                format!("above {}", present.map_or(0, |image| image.sequence)),
            ),
            Self::Forgotten => (
                format!("sequence {}", manifest.sequence()),
                format!(
                    "above {}, if a rejected image was forgotten",
                    snapshot.forgotten
                ),
            ),
        }
    }
}

fn version(version: Version) -> String {
    format!("bootloader {version}")
}
