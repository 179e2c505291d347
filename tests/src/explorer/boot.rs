//! One boot, from reset to the next one: the real bootloader, then the real updater in an application that
//! does what was chosen, and the checks of what can be seen from outside.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bistable_bootloader::{Ready, prepare};
use bistable_core::choose::{Against, Role, choose, settle_in_place};
use bistable_core::handover::{HANDOVER_LEN, Handover, JournalHealth};
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::state::{Reason, SlotState, Snapshot};
use bistable_updater::health::Verdict;
use bistable_updater::{Platform, Updater};

use super::choices::Choices;
use super::invariants::{Invariant, Violation};
use super::machine::{
    Failures, Hardware, Known, Machine, Operation, Point, Reset, Retained, Truths, says,
};
use super::world::{Nature, Offer, World, signers};
use crate::device::{PAGE, give, install};

/// What is known of the state from outside: what was acted upon or reported durable last, and what may have
/// been half-written since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ghost {
    /// Nothing: the journal was never written, or more cuts fell in a row than it survives for certain.
    Unknown,
    /// This.
    Known {
        /// Acted upon, or reported durable.
        state: Rc<Known>,
        /// Cut, and not acted upon since.
        pending: Option<Rc<Known>>,
    },
}

impl Ghost {
    fn candidates(&self) -> impl Iterator<Item = &Rc<Known>> + Clone {
        let (state, pending) = match self {
            Self::Unknown => (None, None),
            Self::Known { state, pending } => (Some(state), pending.as_ref()),
        };
        state.into_iter().chain(pending)
    }

    /// Whether, whatever of it is so, this slot holds an image that is confirmed or on trial.
    #[must_use]
    pub fn runs_from(&self, slot: Slot) -> bool {
        *self != Self::Unknown
            && self.candidates().all(|known| {
                let state = known.snapshot.slot(slot);
                matches!(state, SlotState::Confirmed(_) | SlotState::Trial(..))
            })
    }

    fn known(state: &Rc<Known>, pending: Option<&Rc<Known>>) -> Self {
        Self::Known {
            state: state.clone(),
            pending: pending.filter(|pending| *pending != state).cloned(),
        }
    }

    /// Whether it is the very same knowledge.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let hashes = |ghost: &Self| {
            let mut known = ghost.candidates().map(|known| known.hash);
            (known.next(), known.next())
        };
        hashes(self) == hashes(other)
    }
}

/// A device with the power off, or about to be reset.
#[derive(Clone, Debug)]
pub struct State {
    /// What is on the flashes.
    pub truths: Truths,
    /// RAM, if it is kept: a reset. Else the power was gone.
    pub retained: Option<Rc<Retained>>,
    /// What must still be so.
    pub ghost: Ghost,
    /// Cuts since a boot got to act.
    pub row: u8,
    /// Whether a bit has flipped in the journal since.
    pub flipped: bool,
    /// Whether a bit has flipped in a slot, ever.
    pub spoilt: bool,
}

impl State {
    /// With the power off, and nothing wrong.
    #[must_use]
    pub fn new(truths: Truths, snapshot: Option<Snapshot>) -> Self {
        Self {
            truths,
            retained: None,
            ghost: snapshot.map_or(Ghost::Unknown, |state| {
                Ghost::known(&Known::new(state), None)
            }),
            row: 0,
            flipped: false,
            spoilt: false,
        }
    }

    /// How many resets in a row found this slot's verification begun and not ended, the last one too.
    fn resets_while_verifying(&self, slot: Slot) -> u8 {
        let retained = self.retained.as_deref().and_then(Handover::decode);
        match retained {
            Some(last) if last.note == Some(slot) => last.note_resets + 1,
            _ => 0,
        }
    }
}

/// What became of a boot that nothing cut.
#[derive(Clone, Debug)]
pub struct Run {
    /// The moments at which it could have been cut, and what would be known then.
    pub points: Vec<(Point, Ghost)>,
    /// The states in which it may have ended.
    pub ends: Vec<State>,
    /// As what an image was started, if one was.
    pub standing: Option<Standing>,
    /// Whether what was done brings the goal nearer, if anything does.
    pub helps: bool,
    /// Whether the application did nothing at all.
    pub hangs: bool,
    /// Operations that reported failure, of a flash that is not dead.
    pub failed: u32,
    /// Sectors of the journal, and of the slots, that were erased.
    pub erases: [u32; 2],
    /// What was broken.
    pub violation: Option<Violation>,
    /// What was chosen.
    pub choices: Choices,
    /// What was done, for people.
    pub story: Story,
}

/// How the image that was started stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Confirmed.
    Confirmed,
    /// Anything else.
    Trial,
}

/// What was done in a boot, for people.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The image that was started, and where.
    pub started: Option<(usize, Slot, Role)>,
    /// What its application did.
    pub did: String,
    /// The state that the bootloader acted upon.
    pub acted_upon: Option<Snapshot>,
}

/// What is found out while a boot runs.
struct Notes {
    standing: Option<Standing>,
    helps: bool,
    hangs: bool,
    base: Option<Rc<Known>>,
    is_stored: bool,
    story: Story,
}

/// How a boot ends by itself.
enum End {
    /// It goes on doing nothing.
    Idle,
    /// The watchdog ends it.
    Watchdog,
}

/// Boots.
#[must_use]
pub fn boot<const W: usize, const J: usize, const S: usize>(
    world: &World,
    state: &State,
    choices: Choices,
) -> Run {
    let lost = Rc::new([0xa5; HANDOVER_LEN]);
    let retained = state.retained.clone().unwrap_or(lost);
    // What reports failure is looked at from states in which nothing else is wrong.
    let failures = match world.failures {
        Failures::Some(_) if state.flipped => Failures::None,
        failures => failures,
    };
    let hardware = Hardware::power_on(
        world.layout,
        &world.shapes,
        world.journal_flash,
        (&state.truths, retained),
        (failures, world.job.scenario.resets),
        choices,
    );
    let machine = Machine::<W, J, S>::new(hardware);
    let notes = RefCell::new(Notes {
        standing: None,
        helps: true,
        hangs: false,
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
    match outcome {
        Ok(End::Idle) => retained = barked(&retained),
        Ok(End::Watchdog) => {
            retained = barked(&retained);
            resets = true;
        }
        Err(payload) if payload.is::<Reset>() => resets = true,
        Err(payload) => hardware.violate(Invariant::NoPanic, message_of(payload.as_ref())),
    }
    if let Some(breach) = hardware.breach().cloned() {
        hardware.violate(Invariant::Flash, breach);
    }
    let notes = notes.into_inner();
    hardware.check_known_good();
    check_wear(world, state, &mut hardware, &notes);

    let ghost = match &hardware.durable {
        Some(durable) if notes.is_stored => Ghost::known(durable, hardware.attempted.as_ref()),
        _ if notes.standing.is_some() => Ghost::Unknown,
        _ => state.ghost.clone(),
    };
    let end = |retained| State {
        truths: hardware.truths(),
        retained,
        ghost: ghost.clone(),
        row: 0,
        flipped: false,
        spoilt: state.spoilt,
    };
    let mut ends = vec![end(None)];
    if resets {
        ends.push(end(Some(retained)));
    }
    let points = std::mem::take(&mut hardware.points);
    let known = |point: &Point| match notes.is_stored || !point.acted {
        true => known_at(&state.ghost, notes.base.as_ref(), point),
        false => Ghost::Unknown,
    };
    let points = points.into_iter().map(|point| (known(&point), point));
    Run {
        points: points.map(|(ghost, point)| (point, ghost)).collect(),
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

/// What is known if the power is cut at `point`.
fn known_at(before: &Ghost, base: Option<&Rc<Known>>, point: &Point) -> Ghost {
    if *before == Ghost::Unknown && point.durable.is_none() {
        return Ghost::Unknown;
    }
    match (&point.durable, base) {
        // The application runs.
        (Some(durable), _) => Ghost::known(durable, point.attempted.as_ref()),
        // The bootloader has acted upon this.
        (None, Some(base)) if point.acted => Ghost::known(base, point.attempted.as_ref()),
        (None, _) => before.clone(),
    }
}

/// The handover after the watchdog's last warning.
fn barked(retained: &Rc<Retained>) -> Rc<Retained> {
    let mut block = **retained;
    Handover::note_watchdog(&mut block, 0);
    Rc::new(block)
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

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
        notes,
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
    let is_trial = matches!(ready.role, Role::Trial(_) | Role::LastResort);
    let does = is_trial.then(|| application.choose_on_trial());
    if let Some(Does::Hangs) = does {
        return application.hang();
    }
    let address = world.layout.payload_address(ready.image.slot()) + 100;
    let updater = Updater::<_, PAGE>::start(machine.clone(), world.application, address);
    let mut updater = match updater {
        Ok(updater) => updater,
        Err(refusal) => {
            let what = format!("the updater does not start: {refusal:?}");
            machine
                .hardware
                .borrow_mut()
                .violate(Invariant::Progress, what);
            return End::Idle;
        }
    };
    match does {
        Some(does) => application.on_trial(&mut updater, &does),
        None => application.confirmed(&mut updater),
    }
}

/// What must hold of that which is jumped to. Returns which image it is.
fn jump(
    world: &World,
    before: &State,
    ready: &Ready,
    hardware: &mut Hardware,
    notes: &RefCell<Notes>,
) -> Option<usize> {
    let State { ghost, .. } = before;
    let slot = ready.image.slot();
    let mut notes = notes.borrow_mut();
    notes.standing = Some(match ready.role {
        Role::Trial(_) | Role::LastResort => Standing::Trial,
        Role::Active | Role::Other => Standing::Confirmed,
    });
    // After a loss, what a device acts upon that cannot make its journal whole may be gone at the next boot.
    let is_worn_out = ready.handover.journal == JournalHealth::WornOut;
    notes.is_stored = !is_worn_out || *ghost != Ghost::Unknown;
    notes.story.acted_upon = Some(ready.snapshot);

    let is_so = |base: &&Rc<Known>| base.snapshot == ready.snapshot;
    // A write that reported failure may have come to its end all the same.
    let attempted = hardware.attempted.as_ref().map(|known| known.snapshot);
    let was_attempted = hardware.failed > 0 && attempted == Some(ready.snapshot);
    let leads_there = |base: &&Rc<Known>| was_attempted || follows(&base.snapshot, ready);
    // What was written after a slot was read is the record of a start, or of its end; else nothing has changed.
    let has_recorded = hardware.points.iter().any(|point| {
        point.acted && matches!(&point.operation, Operation::Program { content, .. } if says(&content.bytes).is_some())
    });
    // Where the journal was not whole, it may have been any of those that lead there.
    let may_be = |known: &&Rc<Known>| {
        hardware
            .acted_upon
            .is_none_or(|acted_upon| acted_upon == known.snapshot)
    };
    let mut candidates = ghost.candidates().filter(may_be);
    let [so, leading] = [candidates.clone().find(is_so), candidates.find(leads_there)];
    let base = if has_recorded {
        leading.or(so)
    } else {
        so.or(leading)
    };
    if *ghost != Ghost::Unknown && base.is_none() {
        let known = ghost
            .candidates()
            .map(|known| brief(world, &known.snapshot));
        let known: Vec<_> = known.collect();
        let what = format!(
            "acts upon {}; what must be so: {}",
            brief(world, &ready.snapshot),
            known.join(", or ")
        );
        hardware.violate(Invariant::Monotone, what);
    }
    notes.base = base.cloned();

    let found = image_in(world, slot, hardware);
    let Some(image) = found else {
        let what = format!("slot {slot:?} is started and holds no image that anybody signed");
        hardware.violate(Invariant::Safe, what);
        return None;
    };
    notes.story.started = Some((image, slot, ready.role));
    let manifest = &world.images[image].manifest;
    let digest = manifest.digest();
    let acted_upon = base.map(|base| &base.snapshot);
    for state in acted_upon.into_iter().chain([&ready.snapshot]) {
        if manifest.security_counter() < state.floor.max(world.layout.factory_floor) {
            let what = format!(
                "image {image} is started, below the floor of {}",
                state.floor
            );
            hardware.violate(Invariant::Safe, what);
        }
        let is_trusted = |signer: &u8| !state.revoked.contains((*signer).into());
        if !signers(image).iter().any(is_trusted) {
            let what = format!("image {image} is started, and its signers are revoked");
            hardware.violate(Invariant::Safe, what);
        }
        if state.rejection(digest).is_some() {
            hardware.violate(
                Invariant::Safe,
                format!("image {image} is started, and rejected"),
            );
        }
    }
    if let Some(base) = base
        && let SlotState::Trial(_, budget) = base.snapshot.slot(base.snapshot.active.other())
        && let SlotState::Rejected(_, reason) = ready.snapshot.slot(base.snapshot.active.other())
        && budget.left(ready.handover.reset.charge()) > 0
    {
        let what = format!("a trial is rejected ({reason:?}) with {budget:?} left");
        hardware.violate(Invariant::Progress, what);
    }
    let named = ready.snapshot.slot(slot);
    let is_named = named.image().is_some_and(|named| named.digest == digest);
    let is_as_it_says = match ready.role {
        Role::Trial(_) | Role::LastResort => matches!(named, SlotState::Trial(..)),
        Role::Active | Role::Other => matches!(named, SlotState::Confirmed(_)),
    };
    let active = ready.snapshot.active;
    let passes_over = matches!(ready.role, Role::Other | Role::LastResort) || slot != active;
    if !(is_named && is_as_it_says) {
        let what = format!("image {image} is started in {slot:?}, which is {named:?}");
        hardware.violate(Invariant::Monotone, what);
    } else if passes_over
        && !matches!(ready.role, Role::Trial(_))
        && before.resets_while_verifying(active) < 2
        && image_in(world, active, hardware)
            .is_some_and(|image| is_acceptable(world, image, &ready.snapshot))
    {
        let what = format!("image {image} is started though the active one is acceptable");
        hardware.violate(Invariant::Monotone, what);
    }
    hardware.durable = Some(Known::new(ready.snapshot));
    hardware.attempted = None;
    Some(image)
}

/// Whether floor and revocations let this image boot.
fn is_acceptable(world: &World, image: usize, state: &Snapshot) -> bool {
    let counter = world.images[image].manifest.security_counter();
    let is_trusted = |signer: &u8| !state.revoked.contains((*signer).into());
    counter >= state.floor.max(world.layout.factory_floor) && signers(image).iter().any(is_trusted)
}

/// Whether the bootloader may have started this from the state `before`, if this or that did not verify.
fn follows(before: &Snapshot, ready: &Ready) -> bool {
    (0..8_u8).any(|bits| {
        let against = Against {
            failed: [bits & 1 > 0, bits & 2 > 0],
            trials: bits & 4 > 0,
        };
        let chosen = choose(before, ready.handover.reset, against);
        chosen.is_some_and(|chosen| {
            let mut state = *before;
            settle_in_place(&mut state, against, chosen.role);
            chosen.slot == ready.image.slot()
                && chosen.role == ready.role
                && state == ready.snapshot
        })
    })
}

/// Which image `slot` holds, byte for byte, as it was linked for that slot.
fn image_in(world: &World, slot: Slot, hardware: &mut Hardware) -> Option<usize> {
    let mut header = [0; HEADER_LEN];
    hardware.read_slot(slot, 0, &mut header).ok()?;
    let image = world
        .images
        .iter()
        .position(|image| image.header == header)?;
    let payload = slot.of::<Vec<u8>>(&world.images[image].payload);
    let mut held = vec![0; payload.len()];
    let offset = world.layout.payload_offset;
    hardware.read_slot(slot, offset, &mut held).ok()?;
    (held == *payload).then_some(image)
}

/// A snapshot in few words.
#[must_use]
pub fn brief(world: &World, state: &Snapshot) -> String {
    let name = |digest| {
        let image = world
            .images
            .iter()
            .position(|image| image.manifest.digest() == digest);
        image.map_or("nameless".to_owned(), |image| image.to_string())
    };
    let slot = |slot: Slot| match state.slot(slot) {
        SlotState::Empty => "empty".to_owned(),
        SlotState::Receiving(image) => format!("receiving {}", name(image.digest)),
        SlotState::Trial(image, budget) => format!(
            "trial {} ({}+{} left{})",
            name(image.digest),
            budget.attempts,
            budget.power,
            if budget.booted { "" } else { ", new" }
        ),
        SlotState::Confirmed(image) => format!("confirmed {}", name(image.digest)),
        SlotState::Rejected(image, reason) => {
            format!("rejected {} ({reason:?})", name(image.digest))
        }
    };
    let rejected = state.rejected.iter().flatten().count();
    format!(
        "[A {}, B {}, active {:?}, floor {}, {rejected} rejected]",
        slot(Slot::A),
        slot(Slot::B),
        state.active,
        state.floor
    )
}

/// What an image does on trial.
#[derive(Clone, Copy)]
enum Does {
    Confirms,
    Rejects,
    Hangs,
}

/// The application that runs.
struct Running<'a> {
    world: &'a World,
    hardware: &'a Rc<RefCell<Hardware>>,
    notes: &'a RefCell<Notes>,
    image: usize,
}

impl Running<'_> {
    fn choose(&self, of: usize) -> usize {
        self.hardware.borrow_mut().choices.choose(of)
    }

    fn did(&self, what: String) {
        self.notes.borrow_mut().story.did = what;
    }

    fn hinders(&self) {
        self.notes.borrow_mut().helps = false;
    }

    fn choose_on_trial(&self) -> Does {
        let ways: &[Does] = match self.world.nature(self.image) {
            Nature::Healthy => &[Does::Confirms, Does::Hangs],
            Nature::Sick => &[Does::Rejects, Does::Hangs],
            Nature::Moody => &[Does::Confirms, Does::Rejects, Does::Hangs],
            Nature::Silent => &[Does::Hangs],
        };
        let way = self.choose(ways.len());
        if way > 0 {
            self.hinders();
        }
        ways[way]
    }

    /// It hangs so early that its updater never runs.
    fn hang(&self) -> End {
        self.notes.borrow_mut().hangs = true;
        self.did("says nothing until the watchdog bites".to_owned());
        End::Watchdog
    }

    fn on_trial<P: Platform>(&self, updater: &mut Updater<P, PAGE>, does: &Does) -> End {
        if let Does::Confirms = does {
            updater.check("self-test", true);
            updater.check("update-source", true);
            let verdict = updater.judge();
            self.did(format!("passes its checks: {verdict:?}"));
            if verdict == Ok(Verdict::Healthy) {
                self.hardware.borrow_mut().reported();
            }
            return End::Idle;
        }
        updater.check("self-test", false);
        let verdict = updater.judge();
        self.did(format!("fails a check: {verdict:?}"));
        if verdict.is_err() {
            return End::Watchdog;
        }
        self.hardware.borrow_mut().reported();
        updater.reset()
    }

    fn confirmed<P: Platform>(&self, updater: &mut Updater<P, PAGE>) -> End {
        let scenario = &self.world.job.scenario;
        let offers = scenario.offers;
        let helpful = match scenario.goal {
            Some(goal) if goal != self.image => {
                offers.iter().position(|offer| *offer == Offer::Whole(goal))
            }
            _ => None,
        };
        let offer = self.choose(offers.len() + 1).checked_sub(1);
        if offer != helpful {
            self.hinders();
        }
        let Some(offer) = offer.map(|offer| offers[offer]) else {
            self.did("does its work".to_owned());
            return End::Idle;
        };
        let images = &self.world.images;
        let outcome = match offer {
            Offer::Whole(image) => {
                self.did(format!("is offered image {image}"));
                install(updater, &images[image])
            }
            Offer::PartThen(part, parts, image) => {
                self.did(format!("is offered {parts} parts of {part}, then {image}"));
                // Whether it takes them is its own business.
                let _ = give(updater, &images[part], parts);
                if part != image {
                    self.erased_once();
                }
                install(updater, &images[image])
            }
            Offer::GiveUp => {
                self.did("gives itself up".to_owned());
                updater.reject(Reason::OnRequest(1))
            }
        };
        self.erased_once();
        {
            let mut notes = self.notes.borrow_mut();
            let did = format!("{}: {outcome:?}", notes.story.did);
            notes.story.did = did;
        }
        if outcome.is_err() {
            return End::Idle;
        }
        self.hardware.borrow_mut().reported();
        updater.reset()
    }

    /// One installation erases each sector at most once, and once more for each operation that failed.
    fn erased_once(&self) {
        let mut hardware = self.hardware.borrow_mut();
        let most = 1 + hardware.failed;
        if let Some(sector) = hardware.erased.iter().position(|n| u32::from(*n) > most) {
            let what = format!(
                "sector {sector} is erased {} times",
                hardware.erased[sector]
            );
            hardware.violate(Invariant::Wear, what);
        }
        hardware.erased.fill(0);
    }
}

/// A boot that heals erases at most n journal sectors for it, a change of state erases one, and a confirmed
/// boot that changes nothing writes nothing.
fn check_wear(world: &World, state: &State, hardware: &mut Hardware, notes: &Notes) {
    if world.failures != Failures::None || state.ghost == Ghost::Unknown {
        return;
    }
    let sectors = u32::from(world.layout.journal.sectors);
    let parts = world.layout.journal.sector_size / world.shapes[world.journal_flash].erase.max(1);
    let changes = changes(state, &hardware.points, notes.base.as_ref());
    let journal = world.journal_flash;
    let (truth, shape) = (&state.truths[journal], &world.shapes[journal]);
    // Nothing half-written outlives a boot that acted, but for what read as if it were whole.
    let may_heal =
        state.row > 0 || state.flipped || truth.comes_and_goes(shape, shape.journal.clone());
    let heals = if may_heal { sectors } else { 0 };
    if hardware.journal_erases > (heals + changes) * parts {
        let what = format!(
            "{} erases of the journal for {changes} changes of state in a boot that may heal {heals} sectors",
            hardware.journal_erases
        );
        hardware.violate(Invariant::Wear, what);
    }
    let idle = notes.standing == Some(Standing::Confirmed) && notes.story.did == "does its work";
    let nothing_was_wrong =
        heals == 0 && notes.base.as_ref().map(|base| base.snapshot) == notes.story.acted_upon;
    let operations = hardware
        .points
        .iter()
        .filter(|point| !matches!(point.operation, Operation::Store))
        .count();
    if idle && nothing_was_wrong && operations > 0 {
        let what = format!("a confirmed boot does {operations} operations");
        hardware.violate(Invariant::Wear, what);
    }
}

/// How often the journal was made to say something else than before.
fn changes(state: &State, points: &[Point], base: Option<&Rc<Known>>) -> u32 {
    let mut says_now = base.map(|base| base.snapshot);
    let mut changes = 0;
    for point in points {
        let Operation::Program { content, .. } = &point.operation else {
            continue;
        };
        let Some(written) = says(&content.bytes) else {
            continue;
        };
        let is_known = state
            .ghost
            .candidates()
            .any(|known| known.snapshot == written);
        let heals = !point.acted && point.durable.is_none() && is_known;
        if says_now != Some(written) && !heals {
            changes += 1;
        }
        says_now = Some(written);
    }
    changes
}
