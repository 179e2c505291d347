//! Which images a device takes: what must be so to boot one, and what more to install one.

use crate::header::Authentic;
use crate::layout::Layout;
use crate::layout::Slot;
use crate::manifest::Manifest;
use crate::refusal::Refusal;
use crate::state::{SlotState, Snapshot};
use crate::version::Version;

/// What an image must agree with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms<'a> {
    /// The board's.
    pub layout: &'a Layout,
    /// The bootloader's own version.
    pub bootloader: Version,
    /// The smallest security counter that boots.
    pub floor: u32,
    /// The data schema that the application's data are in, where it is known.
    pub schema: Option<u16>,
}

impl<'a> Terms<'a> {
    /// The factory's: no floor but the factory's and that of the fuses (0 without), and nobody knows the
    /// data schema.
    #[must_use]
    pub fn of_the_factory(layout: &'a Layout, bootloader: Version, fused_floor: u32) -> Self {
        Self {
            layout,
            bootloader,
            floor: layout.factory_floor.max(fused_floor),
            schema: None,
        }
    }

    /// The same, with floor and schema as the journal has them, but no lower floor.
    #[must_use]
    pub fn with(mut self, snapshot: &Snapshot) -> Self {
        self.go_by(snapshot);
        self
    }

    /// Takes floor and schema as the journal has them, but no lower floor.
    pub fn go_by(&mut self, snapshot: &Snapshot) {
        self.floor = self.floor.max(snapshot.floor);
        self.schema = Some(snapshot.schema);
    }

    /// Whether the image is for this board and may run on it.
    ///
    /// # Errors
    /// The first thing that speaks against it.
    pub fn acceptable(&self, image: &Authentic<'_>) -> Result<(), Refusal> {
        self.check(image.manifest())
    }

    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let (first_schema, last_schema) = manifest.schemas();
        let is_readable = |schema| first_schema <= schema && schema <= last_schema;
        if manifest.vendor_id() != self.layout.vendor_id {
            Err(Refusal::OtherVendor)
        } else if manifest.class_id() != self.layout.class_id {
            Err(Refusal::OtherClass)
        } else if manifest.layout() != self.layout.digest {
            Err(Refusal::OtherLayout)
        } else if manifest.payload_len() > self.layout.payload_capacity() {
            Err(Refusal::TooLarge)
        } else if manifest.oldest_bootloader() > self.bootloader {
            Err(Refusal::BootloaderTooOld)
        } else if manifest.security_counter() < self.floor {
            Err(Refusal::BelowFloor)
        } else if !self.schema.is_none_or(is_readable) {
            Err(Refusal::OtherSchema)
        } else {
            Ok(())
        }
    }

    /// Whether the image may be installed beside the one that runs in `running`.
    ///
    /// # Errors
    /// The first thing that speaks against it.
    pub fn installable(
        &self,
        image: &Authentic<'_>,
        snapshot: &Snapshot,
        running: Slot,
    ) -> Result<(), Refusal> {
        self.acceptable(image)?;
        let manifest = image.manifest();
        let fits = manifest.chunk_size() <= self.layout.chunk_size
            && self
                .layout
                .payload_offset
                .is_multiple_of(manifest.chunk_size());
        let SlotState::Confirmed(present) = snapshot.slot(running) else {
            return Ok(()); // that nothing may be installed now is for the transition to say
        };
        if !fits {
            return Err(Refusal::ChunkSize);
        }
        if image.digest() == present.digest {
            return Err(Refusal::AlreadyRunning);
        }
        if let Some(rejection) = snapshot.rejection(image.digest())
            && !rejection.is_forgiven()
        {
            return Err(Refusal::RejectedBefore);
        }
        if manifest.sequence() <= present.sequence {
            return Err(Refusal::NotNewer);
        }
        if manifest.sequence() <= snapshot.forgotten {
            return Err(Refusal::OlderThanForgotten);
        }
        Ok(())
    }
}
