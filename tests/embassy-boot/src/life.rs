//! One boot of a device with embassy-boot, used as its documentation and its examples use it.
//!
//! ```text
//! reset ─▶ prepare_boot ─▶ what lies in ACTIVE ─▶ v1  get_state: Boot    write_firmware, mark_updated
//!            │ swaps                          │                  Revert  stays as it is
//!            │ or reverts                     └▶ v2  healthy: mark_booted
//!            └ an error: reset                       sick: nothing, until the watchdog
//! ```

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use bistable_tests::explorer::choices::Choices;
use bistable_tests::explorer::shape::Shape;
use bistable_tests::explorer::truth::{Outcome, Truth};
use bistable_tests::random::Random;
use embassy_boot::{
    AlignedBuffer, BlockingFirmwareUpdater, BootError, BootLoader, BootLoaderConfig,
    FirmwareUpdaterConfig, FirmwareUpdaterError, State,
};
use embassy_embedded_hal::flash::partition::BlockingPartition;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::chip::{Chip, Reprogram};
use crate::point::{Marked, Point};

/// Length of a page, in bytes: the erase size of an nRF52840, and what its bootloader's buffer holds.
pub(crate) const PAGE: u32 = 4096;

/// Where the partitions lie: state, active and dfu, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partitions {
    /// Length of ACTIVE, in pages. DFU is one longer; the state has one.
    pub(crate) active_pages: u32,
}

impl Partitions {
    const fn state(self) -> Range<u32> {
        0..PAGE
    }

    const fn active(self) -> Range<u32> {
        PAGE..PAGE * (1 + self.active_pages)
    }

    const fn dfu(self) -> Range<u32> {
        let start = self.active().end;
        start..start + PAGE * (self.active_pages + 1)
    }

    /// Length of all of them, in bytes.
    pub(crate) const fn end(self) -> u32 {
        self.dfu().end
    }

    /// Length of ACTIVE, in bytes.
    pub(crate) const fn active_len(self) -> usize {
        (self.active_pages * PAGE) as usize
    }

    /// Where ACTIVE begins.
    pub(crate) const fn active_at(self) -> u32 {
        self.active().start
    }
}

/// The chip, shared between the partitions.
pub(crate) type Shared<F> = Mutex<NoopRawMutex, RefCell<F>>;

/// One chip for all three partitions.
pub(crate) const fn shared<F>(flash: F) -> Shared<F> {
    Mutex::new(RefCell::new(flash))
}

fn part<F: NorFlash>(
    flash: &Shared<F>,
    range: Range<u32>,
) -> BlockingPartition<'_, NoopRawMutex, F> {
    BlockingPartition::new(flash, range.start, range.end - range.start)
}

/// What the bootloader does before the jump.
pub(crate) fn prepare<F: NorFlash>(
    flash: &Shared<F>,
    parts: Partitions,
) -> Result<State, BootError> {
    let mut page = AlignedBuffer([0; PAGE as usize]);
    let config = BootLoaderConfig {
        active: part(flash, parts.active()),
        dfu: part(flash, parts.dfu()),
        state: part(flash, parts.state()),
    };
    BootLoader::new(config).prepare_boot(page.as_mut())
}

/// What an application does with its updater.
pub(crate) fn with_updater<F: NorFlash, T>(
    flash: &Shared<F>,
    parts: Partitions,
    task: impl FnOnce(
        &mut BlockingFirmwareUpdater<
            '_,
            BlockingPartition<'_, NoopRawMutex, F>,
            BlockingPartition<'_, NoopRawMutex, F>,
        >,
    ) -> T,
) -> T {
    let mut word = AlignedBuffer([0; 4]);
    let config = FirmwareUpdaterConfig {
        dfu: part(flash, parts.dfu()),
        state: part(flash, parts.state()),
    };
    task(&mut BlockingFirmwareUpdater::new(config, word.as_mut()))
}

/// Writes a new image into DFU, page by page, and has it swapped in at the next boot.
pub(crate) fn update<F: NorFlash>(
    flash: &Shared<F>,
    parts: Partitions,
    image: &[u8],
) -> Result<(), FirmwareUpdaterError> {
    with_updater(flash, parts, |updater| {
        for (page, number) in image.chunks(PAGE as usize).zip(0..) {
            updater.write_firmware(number * PAGE as usize, page)?;
        }
        updater.mark_updated()
    })
}

/// Which image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Image {
    /// The one that was there from the beginning.
    V1,
    /// The one that it is updated to.
    V2,
}

/// What came of a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Booted {
    /// `prepare_boot`, or the application's `get_state`, returned an error: no image ran on.
    Nothing,
    /// What was started is neither v1 nor v2, or cannot be read.
    Corrupt,
    /// An image ran whole; was it told that it had been reverted to?
    Ran(Image, bool),
}

/// What is explored: sizes, the two images, how v2 behaves, and what the chip does.
pub(crate) struct World {
    /// Where things lie.
    pub(crate) parts: Partitions,
    /// The same, for the flash model.
    pub(crate) shape: Rc<Shape>,
    images: [Vec<u8>; 2],
    /// Whether v2 calls `mark_booted`.
    pub(crate) is_healthy: bool,
    /// What the chip does.
    pub(crate) reprogram: Reprogram,
}

/// A boot that nothing cut.
pub(crate) struct Run {
    /// What came of it.
    pub(crate) booted: Booted,
    /// Where it could have been cut.
    pub(crate) points: Vec<Point>,
    /// What was left.
    pub(crate) end: (Rc<Truth>, Marked),
    /// Whether it neither changed anything nor tried to.
    pub(crate) is_idle: bool,
    /// Whether it programmed something that was not erased, or tried to.
    pub(crate) reprograms: bool,
    /// What was chosen.
    pub(crate) choices: Choices,
}

impl World {
    /// Images that fill ACTIVE, and differ in each page.
    pub(crate) fn new(parts: Partitions, is_healthy: bool, reprogram: Reprogram) -> Self {
        let image = |seed| Random::new(seed).bytes(parts.active_len());
        let shape = Shape {
            write: 4,
            erase: PAGE,
            size: parts.end(),
            journal: 0..0,
            journal_sector: PAGE,
            layout: bistable_tests::fixtures::layout().digest,
            ledger: None,
        };
        Self {
            parts,
            shape: Rc::new(shape),
            images: [1, 2].map(image),
            is_healthy,
            reprogram,
        }
    }

    /// v1 in ACTIVE, the rest erased.
    pub(crate) fn start(&self) -> Rc<Truth> {
        let mut truth = Truth::default();
        let places = (self.parts.active_at()..).step_by(PAGE as usize);
        for (page, at) in self.images[0].chunks(PAGE as usize).zip(places) {
            let content = self.shape.content(at, page);
            truth.program(&self.shape, at, &content, Outcome::After);
        }
        Rc::new(truth)
    }

    /// Boots.
    pub(crate) fn boot(&self, truth: &Rc<Truth>, marked: Marked, choices: Choices) -> Run {
        let chip = Chip::power_on(&self.shape, truth, self.reprogram, marked, choices);
        let flash = shared(chip);
        let booted = self.live(&flash);
        let chip = flash.into_inner().into_inner();
        Run {
            booted,
            end: (chip.truth().clone(), chip.marked),
            is_idle: chip.points.is_empty() && chip.refused == 0,
            reprograms: chip.refused + chip.again > 0,
            points: chip.points,
            choices: chip.choices,
        }
    }

    fn live(&self, flash: &Shared<Chip>) -> Booted {
        let parts = self.parts;
        if prepare(flash, parts).is_err() {
            return Booted::Nothing;
        }
        let mut active = vec![0; parts.active_len()];
        let read = flash.lock(|chip| chip.borrow_mut().read(parts.active_at(), &mut active));
        let image = match self.images.iter().position(|image| *image == active) {
            Some(0) if read.is_ok() => Image::V1,
            Some(_) if read.is_ok() => Image::V2,
            _ => return Booted::Corrupt,
        };
        let Ok(state) = with_updater(flash, parts, |updater| updater.get_state()) else {
            return Booted::Nothing;
        };
        // What fails ends in a reset: the examples unwrap.
        match (image, &state) {
            (Image::V1, State::Boot | State::DfuDetach) => {
                let _ = update(flash, parts, &self.images[1]);
            }
            (Image::V1, State::Revert) => {}
            (Image::V1, State::Swap) => {
                let _ = with_updater(flash, parts, |updater| updater.mark_booted());
            }
            (Image::V2, _) if self.is_healthy => self.mark_booted(flash),
            (Image::V2, _) => {}
        }
        Booted::Ran(image, state == State::Revert)
    }

    fn mark_booted(&self, flash: &Shared<Chip>) {
        flash.lock(|chip| chip.borrow_mut().is_marking = true);
        let done = with_updater(flash, self.parts, |updater| updater.mark_booted());
        flash.lock(|chip| {
            let mut chip = chip.borrow_mut();
            chip.is_marking = false;
            if done.is_ok() {
                chip.marked = Marked::Returned;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Partitions = Partitions { active_pages: 3 };

    /// What ran in so many boots that nothing cut, and how many operations that took.
    fn boots(is_healthy: bool, number: usize) -> (Vec<Booted>, usize) {
        let world = World::new(PARTS, is_healthy, Reprogram::Refused);
        let mut state = (world.start(), Marked::No);
        let mut ran = Vec::new();
        let mut operations = 0;
        for _ in 0..number {
            let run = world.boot(&state.0, state.1, Choices::first());
            ran.push(run.booted);
            operations += run.points.len();
            assert!(!run.reprograms);
            state = run.end;
        }
        (ran, operations)
    }

    #[test]
    fn a_healthy_image_is_kept() {
        let (v1, v2) = (Booted::Ran(Image::V1, false), Booted::Ran(Image::V2, false));
        assert_eq!(boots(true, 4), (vec![v1, v2, v2, v2], 6 + 3 + 18 + 3));
    }

    #[test]
    fn a_sick_image_is_given_back() {
        let (v1, v2) = (Booted::Ran(Image::V1, false), Booted::Ran(Image::V2, false));
        let back = Booted::Ran(Image::V1, true);
        assert_eq!(
            boots(false, 4),
            (vec![v1, v2, back, back], 6 + 3 + 18 + 18 + 3)
        );
    }
}
