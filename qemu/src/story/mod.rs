//! The story that the demo tells: thirteen steps, each of which states what was observed.
//!
//! The journal and the slots are read from the flash file with the host tools, and the device's own
//! log is decoded; nothing is said because it was intended. Each step begins and ends with the device
//! switched off, so a story can be begun at any step from a [`World`] that an earlier run left there.

mod beats;
mod corruption;
mod cost;
mod crashing;
mod cuts;
mod device;
mod events;
mod factory;
mod failing;
mod first_update;
mod journal;
mod meter;
mod proof;
mod releases;
mod size;
mod source_faults;
mod tally;
mod timeline;
mod torn;
mod world;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

pub use beats::{Rhythm, beats};
pub use cost::{Cost, Work, cost};
pub use events::{events, first_difference, missing};
pub use journal::JournalView;
pub use world::{Places, World};

/// What to tell.
pub struct Settings {
    /// Where things are.
    pub places: Places,
    /// What the power cuts are drawn from.
    pub seed: u64,
    /// The first and the last step.
    pub steps: (u8, u8),
    /// The step into which a failure is planted: a story that does not notice is wrong.
    pub plant: Option<u8>,
    /// Where the world is copied to before each step, in a folder of the step's number.
    pub checkpoints: Option<PathBuf>,
}

struct Step {
    title: &'static str,
    tell: fn(&mut World, bool) -> Result<()>,
}

/// The steps, in their order; numbers begin at 1.
const STEPS: [Step; 13] = [
    Step {
        title: "keys, images, a factory flash file; v1 boots confirmed from A",
        tell: first_update::factory,
    },
    Step {
        title: "v2 comes over Ethernet, is tried in B, and is kept",
        tell: first_update::update,
    },
    Step {
        title: "v3 fails its self-test, a named health check, and is given back",
        tell: failing::self_test,
    },
    Step {
        title: "v3b finds its supply too low",
        tell: failing::supply,
    },
    Step {
        title: "v3c nearly uses its stack up",
        tell: failing::free_stack,
    },
    Step {
        title: "v3d loses the server that it came from: given back, taken once more, then never again",
        tell: failing::update_source,
    },
    Step {
        title: "v4 hangs, v4b feeds the watchdog for ever: both end, back on v2",
        tell: failing::hanging,
    },
    Step {
        title: "v5 with a bit flipped on the way, and six images that are refused",
        tell: source_faults::refusals,
    },
    Step {
        title: "v6, with the power cut in every phase",
        tell: cuts::power_cuts,
    },
    Step {
        title: "the active slot is corrupted, and mended by v7",
        tell: corruption::corruption,
    },
    Step {
        title: "v8 raises the floor; the journal is destroyed, and the fuses hold it",
        tell: corruption::lost_journal,
    },
    Step {
        title: "v9b crashes once it is confirmed, then v9 too: a thousand resets, one snapshot",
        tell: crashing::crash_loop,
    },
    Step {
        title: "the unit is made again; its receipts say what runs, how it stands, and that a bit has flipped",
        tell: proof::rework,
    },
];

/// Tells the story.
///
/// # Errors
/// The first thing that did not come true.
pub fn tell(settings: &Settings) -> Result<()> {
    let (first, last) = settings.steps;
    ensure!(
        (1..=last).contains(&first) && usize::from(last) <= STEPS.len(),
        "there are steps 1 to {}, found {first} to {last}",
        STEPS.len()
    );
    let mut world = World::open(settings.places.clone(), settings.seed, first > 1)?;
    let begun = Instant::now();
    for (number, step) in (1..).zip(&STEPS) {
        if !(first..=last).contains(&number) {
            continue;
        }
        if let Some(checkpoints) = &settings.checkpoints {
            world.copy_to(&checkpoints.join(number.to_string()))?;
        }
        timeline::step(number, step.title);
        let planted = settings.plant == Some(number);
        let outcome = (step.tell)(&mut world, planted);
        outcome.with_context(|| format!("step {number} ({})", step.title))?;
        if planted {
            bail!("step {number}: a failure was planted and nobody noticed");
        }
    }
    timeline::end(begun.elapsed(), world.time_building);
    Ok(())
}
