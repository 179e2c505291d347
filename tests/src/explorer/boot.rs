//! One boot, from reset to the next one: the real bootloader, then the real updater in an application that
//! does what was chosen, and the checks of what can be seen from outside.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bistable_bootloader::prepare;
use bistable_core::choose::Role;
use bistable_core::handover::Handover;
use bistable_core::layout::Slot;
use bistable_core::state::Snapshot;
use bistable_updater::Updater;

use super::choices::Choices;
use super::hardware::{Failures, Hardware};
use super::invariants::{Invariant, Violation};
use super::jump::jump;
use super::ledger::Given;
use super::machine::{Machine, Reset};
use super::point::Point;
use super::running::{Crash, Does, Running};
use super::state::{Ghost, Known, Retained, State};
use super::wear::check_wear;
use super::world::World;
use crate::device::PAGE;

/// What became of a boot that nothing cut.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The moments at which it could have been cut, and what would be known then.
    pub(super) points: Vec<(Point, Ghost)>,
    /// The states in which it may have ended.
    pub(super) ends: Vec<State>,
    /// As what an image was started, if one was.
    pub(super) standing: Option<Standing>,
    /// Whether what was done brings the goal nearer, if anything does.
    pub(super) helps: bool,
    /// Whether the application did nothing at all.
    pub(super) hangs: bool,
    /// Operations that reported failure, of a flash that is not dead.
    pub(super) failed: u32,
    /// Sectors of the journal, and of the slots, that were erased.
    pub(super) erases: [u32; 2],
    /// What was broken.
    pub(super) violation: Option<Violation>,
    /// What was chosen.
    pub(super) choices: Choices,
    /// What was done, for people.
    pub(super) story: Story,
}

/// How the image that was started stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Confirmed.
    Confirmed,
    /// Anything else.
    Trial,
}

impl Standing {
    /// Of an image that is started in this role.
    pub(super) const fn of(role: Role) -> Self {
        match role {
            Role::Trial(_) | Role::LastResort => Self::Trial,
            Role::Active | Role::Other => Self::Confirmed,
        }
    }
}

/// What was done in a boot, for people.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    /// The image that was started, and where.
    pub(super) started: Option<(usize, Slot, Role)>,
    /// What its application did.
    pub(super) did: String,
    /// The state that the bootloader acted upon.
    pub(super) acted_upon: Option<Snapshot>,
}

/// What is found out while a boot runs.
pub(super) struct Notes {
    /// As what an image was started, if one was.
    pub(super) standing: Option<Standing>,
    /// Whether what was done brings the goal nearer, if anything does.
    pub(super) helps: bool,
    /// Whether the application did nothing at all.
    pub(super) hangs: bool,
    /// Whether it was confirmed in this boot.
    pub(super) confirmed: bool,
    /// Whether it lived through a soak period.
    pub(super) soaked: bool,
    /// Whether it ran confirmed and was offered nothing.
    pub(super) idles: bool,
    /// What was known before, of that which the bootloader acted upon.
    pub(super) base: Option<Rc<Known>>,
    /// Whether what it acted upon is certain to be there at the next boot.
    pub(super) is_stored: bool,
    /// What was done, for people.
    pub(super) story: Story,
}

/// How a boot ends by itself.
pub(super) enum End {
    /// It goes on doing nothing.
    Idle,
    /// The watchdog ends it.
    Watchdog,
}

/// Boots, and lets the boot come to its end.
pub(super) fn boot<const W: usize, const J: usize, const S: usize>(
    world: &World,
    state: &State,
    choices: Choices,
) -> Run {
    let machine = Machine::<W, J, S>::new(Hardware::power_on(world, state, choices));
    let notes = RefCell::new(Notes {
        standing: None,
        helps: true,
        hangs: false,
        confirmed: false,
        soaked: false,
        idles: false,
        base: None,
        is_stored: true,
        story: Story::default(),
    });
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        live(world, state, machine.clone(), &notes)
    }));
    let mut hardware = machine.hardware.borrow_mut();
    let mut retained = hardware.retained().clone();
    let mut resets = world.job.scenario.resets;
    let mut ended_by_watchdog = false;
    match outcome {
        Ok(End::Idle) => retained = barked(&retained),
        Ok(End::Watchdog) => {
            retained = barked(&retained);
            resets = true;
            ended_by_watchdog = true;
        }
        Err(payload) if payload.is::<Reset>() => resets = true,
        Err(payload) => hardware.violate(Invariant::NoPanic, message_of(payload.as_ref())),
    }
    if let Some(breach) = hardware.breach().cloned() {
        hardware.violate(Invariant::Flash, breach);
    }
    let notes = notes.into_inner();
    hardware.check_known_good();
    check_fuses(&mut hardware, &notes);
    check_wear(world, state, &mut hardware, &notes);

    let abnormal = abnormal_after(world, state, &notes, ended_by_watchdog);
    let end = |retained: Option<Rc<Retained>>| State {
        truths: hardware.truths(),
        ghost: known_behind(&state.ghost, &notes, &hardware),
        given: match world.job.row() {
            Some(most) if hardware.desk.row > most => Given::Unknown,
            _ => hardware.desk.given,
        },
        row: match world.ledger {
            Some(_) => hardware.desk.row,
            None => 0,
        },
        flipped: false,
        spoilt: state.spoilt,
        abnormal: if retained.is_some() { abnormal } else { 0 },
        retained,
        fused: hardware.fused.unwrap_or(0),
    };
    let mut ends = vec![end(None)];
    if resets {
        ends.push(end(Some(retained)));
    }
    let points = std::mem::take(&mut hardware.points);
    let points = points.into_iter().map(|point| {
        let known = known_at(&state.ghost, &notes, &point);
        (point, known)
    });
    Run {
        points: points.collect(),
        ends,
        standing: notes.standing,
        helps: notes.helps,
        hangs: notes.hangs,
        failed: match world.failures {
            Failures::Some(_) => hardware.failed,
            Failures::None | Failures::Dead(..) => 0,
        },
        erases: [hardware.journal_erases, hardware.slot_erases],
        violation: hardware.violation.take(),
        choices: hardware.choices.clone(),
        story: notes.story,
    }
}

/// A confirmed image whose updater ran leaves no fuse behind the floor.
fn check_fuses(hardware: &mut Hardware, notes: &Notes) {
    let durable = hardware.durable.as_ref().map(|known| known.snapshot.floor);
    if let (Some(fused), Some(floor)) = (hardware.fused, durable)
        && notes.standing == Some(Standing::Confirmed)
        && fused < floor
    {
        let what = format!("the fuses hold {fused}, the floor is {floor}");
        hardware.violate(Invariant::Progress, what);
    }
}

/// How many abnormal resets of the confirmed image there were, if this boot ends with a reset: no more than
/// are a crash loop are counted.
fn abnormal_after(world: &World, state: &State, notes: &Notes, ended_by_watchdog: bool) -> u16 {
    let Some((image, ..)) = notes.story.started else {
        return state.abnormal;
    };
    let is_same = state.ran() == Some(world.images[image].manifest.digest());
    let before = match is_same && !notes.soaked {
        true => state.abnormal,
        false => 0,
    };
    let crashed =
        ended_by_watchdog && (notes.standing == Some(Standing::Confirmed) || notes.confirmed);
    (before + u16::from(crashed)).min(world.bootloader.crash_loop)
}

/// What is known if the power is cut at `point`.
fn known_at(before: &Ghost, notes: &Notes, point: &Point) -> Ghost {
    let was_unknown = *before == Ghost::Unknown && point.durable.is_none();
    if was_unknown || point.acted && !notes.is_stored {
        return Ghost::Unknown;
    }
    match (&point.durable, &notes.base) {
        // The application runs.
        (Some(durable), _) => Ghost::known(durable, point.attempted.as_ref()),
        // The bootloader has acted upon this.
        (None, Some(base)) if point.acted => Ghost::known(base, point.attempted.as_ref()),
        (None, _) => before.clone(),
    }
}

/// What is known once the boot has ended by itself.
fn known_behind(before: &Ghost, notes: &Notes, hardware: &Hardware) -> Ghost {
    match &hardware.durable {
        Some(durable) if notes.is_stored => Ghost::known(durable, hardware.attempted.as_ref()),
        _ if notes.standing.is_some() => Ghost::Unknown,
        _ => before.clone(),
    }
}

/// The handover after the watchdog's last warning.
fn barked(retained: &Rc<Retained>) -> Rc<Retained> {
    let mut block = **retained;
    Handover::note_watchdog(&mut block, 0);
    Rc::new(block)
}

/// What a panic said.
fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or_default().to_owned()
}

/// The bootloader and, if it starts an image, the application. A reset unwinds.
fn live<const W: usize, const J: usize, const S: usize>(
    world: &World,
    state: &State,
    machine: Machine<W, J, S>,
    notes: &RefCell<Notes>,
) -> End {
    let mut board = machine.clone();
    let Some(ready) = prepare(&mut board, &world.bootloader) else {
        // The board may recover. If it only waits, the next reset comes from the watchdog.
        return End::Watchdog;
    };
    let image = jump(
        world,
        state,
        &ready,
        &mut machine.hardware.borrow_mut(),
        &mut notes.borrow_mut(),
    );
    let Some(image) = image else {
        return End::Idle;
    };
    let application = Running {
        world,
        hardware: &machine.hardware,
        notes,
        image,
    };
    let is_trial = Standing::of(ready.role) == Standing::Trial;
    let does = is_trial.then(|| application.choose_on_trial());
    if let Some(Does::Hangs) = does {
        return application.hang();
    }
    let crash = match does {
        None => application.chooses_to_crash(),
        Some(_) => None,
    };
    if crash == Some(Crash::AtOnce) {
        return End::Watchdog;
    }
    let address = world.layout.payload_address(ready.image.slot()) + 100;
    let updater = Updater::<_, PAGE>::start(machine.clone(), world.application, address);
    let mut updater = match updater {
        Ok(updater) => updater,
        Err(refusal) => {
            let what = format!("the updater does not start: {refusal:?}");
            let mut hardware = machine.hardware.borrow_mut();
            hardware.violate(Invariant::Progress, what);
            return End::Idle;
        }
    };
    application.bears_witness(&mut updater);
    match (does, crash) {
        (Some(does), _) => application.on_trial(&mut updater, does),
        (None, Some(crash)) => application.crash(&mut updater, crash),
        (None, None) => application.confirmed(&mut updater),
    }
}
