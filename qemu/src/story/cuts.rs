//! Step 9: the power is cut in every phase of an update.
//!
//! The operations at which it is cut are drawn from the seed. Slot operations are aimed at by kind and
//! place. A write of the journal is six operations (an erase and five copies), and what the journal does
//! next, healing included, follows from what lies in it: that is found out by opening a copy of it on
//! the host, with the very code that the device runs.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use bistable_core::journal::{Journal, Opened};
use bistable_core::layout::Slot;
use bistable_core::state::{SlotState, Snapshot};
use bistable_core::watchdog::Watchdog;

use super::cost::padded;
use super::device::Device;
use super::failing::built;
use super::first_update::sectors_filled;
use super::releases::Release;
use super::timeline::observed;
use super::torn::{half_erased, half_programmed};
use super::world::World;
use crate::{Counters, LogLine, Operations, Trigger};

/// Operations that one write of the journal takes.
const JOURNAL_WRITE: u32 = 6;

/// Sectors that v6 fills at least, whatever their size: one for each erase at which the power may be cut.
const SECTORS: u32 = 4;

/// The phase that a cut is meant for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Download,
    Erase,
    Activation,
    AttemptRecord,
    Confirmation,
}

/// Step 9.
pub(super) fn power_cuts(world: &mut World, planted: bool) -> Result<()> {
    let v5 = built(world, "v5")?;
    let v6 = build_v6(world)?;
    world.publish("v6")?;
    let slot_a = world.slot_bytes(Slot::A)?;
    fill_slot_b(world)?;
    let mut losses = Losses::new(world)?;

    let slot = world.sectors(Slot::B);
    for _ in 0..3 {
        let nth = world.random.u32(3..=6);
        let trigger = Trigger::nth_in(nth, Operations::Programs, slot.clone());
        cut(world, Phase::Download, trigger, &v6, &mut losses)?;
    }
    // The first two may be of sectors that lie erased; and no more than the installation needs, or the cut never comes.
    let nth = world
        .random
        .u32(3..=(sectors_filled(world, "v6")? - 1).min(6));
    let trigger = Trigger::nth_in(nth, Operations::Erases, slot);
    cut(world, Phase::Erase, trigger, &v6, &mut losses)?;

    let phases = [Phase::Activation, Phase::AttemptRecord, Phase::Confirmation];
    for phase in phases {
        let wrong = planted && phase == Phase::Confirmation;
        let aim = if wrong { Phase::AttemptRecord } else { phase };
        let nth = journal_operations_before(world, aim)? + world.random.u32(1..=JOURNAL_WRITE);
        let trigger = Trigger::nth_in(nth, Operations::All, world.journal_sectors());
        cut(world, phase, trigger, &v6, &mut losses)?;
    }

    let mut device = world.power_on()?;
    device.expect(&["running", &v6[..8], "slot B"])?;
    // On trial if the confirmation was not durable before the cut.
    if matches!(state(world)?.1.slot(Slot::B), SlotState::Trial(..)) {
        device.expect(&["this image stays"])?;
    }
    device.switch_off();
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    journal.ensure(Slot::B, "confirmed", &v6, true)?;
    journal.ensure(Slot::A, "confirmed", &v5, false)?;
    ensure!(world.slot_bytes(Slot::A)? == slot_a, "slot A has changed");
    losses.ensure_bounded(world)
}

/// v6, longer where sectors are so large that it would fill fewer than [`SECTORS`].
fn build_v6(world: &World) -> Result<String> {
    let release = Release::new("v6", "6.0.0", 20);
    let v6 = world.build(&release)?;
    if sectors_filled(world, "v6")? >= SECTORS {
        return Ok(v6);
    }
    let payload = (SECTORS - 1) * world.sector_size();
    let v6 = padded(world, &release, payload as usize)?;
    let made = format!("v6 is {}, sequence 20, padded to {payload} bytes", &v6[..8]);
    observed("tools", made);
    Ok(v6)
}

/// What older and longer images may have left behind the one in slot B: an erase is seen only where something lies.
fn fill_slot_b(world: &World) -> Result<()> {
    let behind = sectors_filled(world, "v2")? * world.sector_size();
    let start = world.layout().slots[1].offset + behind;
    // Not the world's, of which the cuts on each board would be others: slots differ in size.
    let mut random = fastrand::Rng::with_seed(5);
    let left: Vec<u8> = (behind..world.layout().slot_size)
        .map(|_| random.u8(..))
        .collect();
    world.flash()?.corrupt(start, &left)?;
    Ok(())
}

/// Runs the device until it stops at `trigger`, kills it, and checks that this was in `phase`.
fn cut(
    world: &mut World,
    phase: Phase,
    trigger: Trigger,
    digest: &str,
    losses: &mut Losses,
) -> Result<()> {
    let mut flash = world.flash()?;
    flash.arm(trigger);
    let device = world.power_on()?;
    let last = device.cut_at_trigger(&flash)?;
    let operation = flash.counters().operations;
    observed(
        "power",
        format!("{phase:?}: cut within operation {operation} of the flash"),
    );
    observed("device", format!("had said: {}", last.text));
    let journal = world.journal()?;
    observed("journal", journal.to_string());
    ensure_phase(phase, &last, &state(world)?.1, digest)?;
    losses.look_at_what_was_cut(world, phase)?;
    losses.note(world)
}

/// The demo fails if a cut fell outside the phase that it was meant for.
fn ensure_phase(phase: Phase, last: &LogLine, after: &Snapshot, digest: &str) -> Result<()> {
    let said = |words: &str| last.text.contains(words);
    // What the trial says while it soaks, until it is confirmed.
    let passed = ["Passed", "measured", "receipt"].into_iter().any(said);
    let state = after.slot(Slot::B);
    let is_v6 = state
        .image()
        .is_some_and(|image| image.digest.to_string() == digest);
    let in_phase = match (phase, state) {
        (Phase::Download, SlotState::Receiving(_)) => said("at byte"),
        (Phase::Erase, SlotState::Receiving(_)) => said("at byte") || said("resuming"),
        (Phase::Activation, SlotState::Receiving(_) | SlotState::Trial(..)) => {
            said("everything is there")
        }
        (Phase::AttemptRecord, SlotState::Trial(..)) => Device::is_bootloaders(last),
        (Phase::Confirmation, SlotState::Trial(_, budget)) => budget.booted && passed,
        (Phase::Confirmation, SlotState::Confirmed(_)) => passed,
        _ => false,
    };
    ensure!(
        is_v6 && in_phase,
        "the cut fell outside the phase {phase:?}: the device had said {:?}, slot B is {state:?}",
        last.text
    );
    Ok(())
}

/// How many operations the journal sees after the next power-on before `phase` writes it.
fn journal_operations_before(world: &World, phase: Phase) -> Result<u32> {
    let (healing, snapshot) = state(world)?;
    let activated = matches!(snapshot.slot(Slot::B), SlotState::Trial(..));
    let writes = match phase {
        Phase::Activation => 0,
        Phase::AttemptRecord => u32::from(!activated),
        Phase::Confirmation => u32::from(!activated) + 1,
        Phase::Download | Phase::Erase => 0,
    };
    Ok(healing + writes * JOURNAL_WRITE)
}

/// Opens a copy of the journal: how many operations healing takes, and what it says then.
fn state(world: &World) -> Result<(u32, Snapshot)> {
    struct NoWatchdog;
    impl Watchdog for NoWatchdog {
        fn feed(&mut self) {}
    }
    let layout = world.layout();
    let (operations, opened) = world.flash()?.rehearse(|flash| {
        let before = Counters::read(flash.notes()).operations;
        let opened = Journal::new(layout.journal, layout.digest).open(flash, &mut NoWatchdog);
        (Counters::read(flash.notes()).operations - before, opened)
    })?;
    match opened {
        Opened::Sound { snapshot, .. } => Ok((operations, snapshot)),
        other => anyhow::bail!("the journal cannot be healed: {other:?}"),
    }
}

/// What the cuts cost: sectors of slot B that were erased again.
struct Losses {
    erases: Vec<u32>,
    content: Vec<u8>,
    /// Sectors that this update has erased before.
    known: BTreeSet<usize>,
    costs: Vec<Cost>,
    /// What lay in the slot after each cut within a program call of the download.
    downloads: Vec<Vec<u8>>,
}

/// What one cut cost.
struct Cost {
    erases: u32,
    /// The sectors that were erased again, with what they held before.
    lost: Vec<(usize, Vec<u8>)>,
}

impl Losses {
    fn new(world: &World) -> Result<Self> {
        Ok(Self {
            erases: Self::erases(world)?,
            content: world.slot_bytes(Slot::B)?,
            known: BTreeSet::new(),
            costs: Vec::new(),
            downloads: Vec::new(),
        })
    }

    fn erases(world: &World) -> Result<Vec<u32>> {
        let flash = world.flash()?;
        let sectors = world.sectors(Slot::B);
        Ok(sectors
            .map(|sector| flash.sector_counters(sector..sector + 1).erases)
            .collect())
    }

    /// Half of the operation is done, no more and no less. What a program call should have left is known at the end.
    fn look_at_what_was_cut(&mut self, world: &World, phase: Phase) -> Result<()> {
        let after = world.slot_bytes(Slot::B)?;
        match phase {
            Phase::Download => self.downloads.push(after),
            Phase::Erase => {
                let torn = half_erased(&self.content, &after, world.sector_size() as usize);
                ensure!(torn == 1, "expected one half erased sector, found {torn}");
                observed("flash", "one sector is half erased, its rest as it was");
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes account of what was erased since the last cut.
    fn note(&mut self, world: &World) -> Result<()> {
        let erases = Self::erases(world)?;
        let size = world.sector_size() as usize;
        let mut cost = 0;
        let mut lost = Vec::new();
        for (sector, (now, then)) in erases.iter().zip(&self.erases).enumerate() {
            if now == then {
                continue;
            }
            let first = u32::from(self.known.insert(sector));
            cost += now - then - first;
            if first == 0 {
                lost.push((sector, self.content[sector * size..][..size].to_vec()));
            }
        }
        self.costs.push(Cost { erases: cost, lost });
        self.erases = erases;
        self.content = world.slot_bytes(Slot::B)?;
        Ok(())
    }

    /// No cut costs more than two good sectors and three erases. A sector that was erased ahead when the
    /// power was cut may be erased again only after the next cut, so the erases are added up. Which
    /// sectors were good is known at the end.
    fn ensure_bounded(mut self, world: &World) -> Result<()> {
        self.note(world)?;
        let done = world.slot_bytes(Slot::B)?;
        let size = world.sector_size() as usize;
        let mut erases = 0;
        let mut most_lost = 0;
        // Before the first cut nothing is erased twice, so the n-th entry is what n cuts cost.
        for (cuts, cost) in (0..).zip(&self.costs) {
            erases += cost.erases;
            ensure!(erases <= 3 * cuts, "{cuts} cuts cost {erases} erases");
            let is_good =
                |(sector, content): &&(usize, Vec<u8>)| done[sector * size..][..size] == **content;
            most_lost = most_lost.max(cost.lost.iter().filter(is_good).count());
        }
        observed(
            "flash",
            format!(
                "slot B: {} sectors filled; {} cuts cost {erases} erases, and no more than {most_lost} \
                 good sectors at a time",
                sectors_filled(world, "v6")?,
                self.costs.len() - 1,
            ),
        );
        ensure!(most_lost <= 2, "a cut cost more than two good sectors");
        for after in &self.downloads {
            let torn = half_programmed(after, &done, world.layout().chunk_size as usize);
            ensure!(
                torn == 1,
                "expected one half programmed chunk, found {torn}"
            );
        }
        observed(
            "flash",
            format!(
                "after each of {} cuts within a program call, half of its bytes were there",
                self.downloads.len()
            ),
        );
        Ok(())
    }
}
