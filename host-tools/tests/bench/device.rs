//! A device that was just made, and what can be done to its flash.

use std::fs;

use bistable_core::digest::Digest;
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::Slot;
use bistable_core::state::{Budget, Image, Origin, SlotState, Snapshot};
use bistable_tools::image::file::ImageFile;
use bistable_tools::memory_flash::{MemoryFlash, NoWatchdog};
use serde_json::{Value, json};

use super::{Bench, document, read};

/// Where the payloads lie in the bench's flash file.
pub(crate) const PAYLOADS: [usize; 2] = [0x1_0400, 0x2_0400];

/// A bench with a device that was just made, and its flash.
pub(crate) struct Device {
    pub(crate) bench: Bench,
    pub(crate) flash: Vec<u8>,
    pub(crate) images: Vec<ImageFile>,
}

impl Device {
    /// Image 1 runs confirmed in A; 2 lies on the bench.
    pub(crate) fn new() -> Self {
        let bench = Bench::new();
        let images =
            [1, 2].map(|sequence| ImageFile::parse(&read(&bench.image(sequence))).unwrap());
        bench.succeeds(&[
            "factory",
            "build",
            "--layout",
            "layout.toml",
            "--image",
            "v1.img",
            "--serial",
            "1",
            "--out",
            "flash.bin",
        ]);
        Self {
            flash: read(&bench.path("flash.bin")),
            images: images.to_vec(),
            bench,
        }
    }

    pub(crate) fn digest(&self, sequence: usize) -> Digest {
        self.images[sequence - 1].manifest().digest()
    }

    pub(crate) fn image(&self, sequence: usize) -> Image {
        Image {
            digest: self.digest(sequence),
            sequence: sequence as u32,
            origin: Origin::Network,
        }
    }

    /// Puts image 2 into slot B, with this state of B and whatever else is changed.
    pub(crate) fn with_second(
        mut self,
        state: SlotState,
        change: impl FnOnce(Snapshot) -> Snapshot,
    ) -> Self {
        let layout = self.bench.facts().product.layout;
        self.images[1]
            .install(&mut self.flash, &layout, Slot::B)
            .unwrap();
        let mut journal = Journal::new(layout.journal, layout.digest);
        let mut flash = MemoryFlash::<4>::new(&mut self.flash, 4096);
        let Opened::Sound { snapshot, .. } = journal.open(&mut flash, &mut NoWatchdog) else {
            panic!("the factory's journal is whole");
        };
        let after = change(snapshot.with_slot(Slot::B, state));
        journal.write(&mut flash, &mut NoWatchdog, &after).unwrap();
        self
    }

    pub(crate) fn trial(self, attempts: u8, power: u8) -> Self {
        let budget = Budget {
            attempts,
            power,
            booted: attempts < 3,
        };
        let state = SlotState::Trial(self.image(2), budget);
        self.with_second(state, |snapshot| snapshot)
    }

    pub(crate) fn confirmed(self) -> Self {
        let state = SlotState::Confirmed(self.image(2));
        self.with_second(state, |snapshot| Snapshot {
            active: Slot::B,
            ..snapshot
        })
    }

    pub(crate) fn damage(mut self, slot: Slot) -> Self {
        self.flash[slot.of(&PAYLOADS) + 5000] ^= 4;
        self
    }

    pub(crate) fn lose_journal(mut self) -> Self {
        self.flash[..0x3000].fill(0xFF);
        self
    }

    pub(crate) fn save(&self) {
        fs::write(self.bench.path("flash.bin"), &self.flash).unwrap();
    }

    /// What the doctor says as JSON after this reset, of a device from which something boots.
    pub(crate) fn says(&self, reset: &str) -> Value {
        self.save();
        let said = self.bench.succeeds(&[
            "doctor",
            "flash.bin",
            "--layout",
            "layout.toml",
            "--json",
            "--reset",
            reset,
        ]);
        assert!(
            read(&self.bench.path("flash.bin")) == self.flash,
            "the file is only read"
        );
        document(said.as_bytes())
    }

    /// What boots: slot, role, version.
    pub(crate) fn boots(&self, reset: &str) -> Value {
        let boots = &self.says(reset)["boots"];
        json!([boots["slot"], boots["role"], boots["version"]])
    }
}
