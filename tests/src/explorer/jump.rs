//! What must hold of that which is jumped to: who signed it, and that the state led there.

use std::rc::Rc;

use bistable_bootloader::Ready;
use bistable_core::choose::{Against, Role, choose, settle_in_place};
use bistable_core::handover::JournalHealth;
use bistable_core::layout::{HEADER_LEN, Slot};
use bistable_core::state::{SlotState, Snapshot};

use super::boot::{Notes, Standing};
use super::hardware::Hardware;
use super::invariants::Invariant;
use super::state::{Ghost, Known, State};
use super::words::brief;
use super::world::{World, signers};

/// Looks at that which is jumped to. Returns which image it is.
pub(super) fn jump(
    world: &World,
    before: &State,
    ready: &Ready,
    hardware: &mut Hardware,
    notes: &mut Notes,
) -> Option<usize> {
    let slot = ready.image.slot();
    let is_known = before.ghost != Ghost::Unknown;
    notes.standing = Some(Standing::of(ready.role));
    // After a loss, what a device acts upon that cannot make its journal whole may be gone at the next boot.
    let is_worn_out = ready.handover.journal == JournalHealth::WornOut;
    notes.is_stored = !is_worn_out || is_known;
    notes.story.acted_upon = Some(ready.snapshot);

    let base = base_of(before, ready, hardware, world.bootloader.crash_loop).cloned();
    notes.base.clone_from(&base);
    if is_known && base.is_none() {
        let known = before.ghost.candidates();
        let known: Vec<_> = known.map(|known| brief(world, &known.snapshot)).collect();
        let what = format!(
            "acts upon {}; what must be so: {}",
            brief(world, &ready.snapshot),
            known.join(", or ")
        );
        hardware.violate(Invariant::Monotone, what);
    }

    let Some(image) = image_in(world, slot, hardware) else {
        let what = format!("slot {slot:?} is started and holds no image that anybody signed");
        hardware.violate(Invariant::Safe, what);
        return None;
    };
    notes.story.started = Some((image, slot, ready.role));
    let ran_last = before.ran() == Some(world.images[image].manifest.digest());
    if !ran_last && !ready.is_another {
        let what = format!("image {image} is started with what another one left in RAM");
        hardware.violate(Invariant::Safe, what);
    }
    let base = base.as_ref().map(|base| &base.snapshot);
    for state in base.into_iter().chain([&ready.snapshot]) {
        check_safe(world, image, state, before.fused, hardware);
    }
    if let Some(base) = base {
        check_budget(base, ready, hardware);
        check_crash_loop(world, base, before, ready, hardware);
    }
    check_role(world, image, before, ready, hardware);
    hardware.durable = Some(Known::new(ready.snapshot));
    hardware.attempted = None;
    Some(image)
}

/// What was known before of the state that is acted upon: it was so, or leads there.
fn base_of<'s>(
    before: &'s State,
    ready: &Ready,
    hardware: &Hardware,
    crash_loop: u16,
) -> Option<&'s Rc<Known>> {
    let may_crash = |state: &Snapshot| crash_loop > 0 && before.crashes(state.active) >= crash_loop;
    let is_so = |base: &&Rc<Known>| base.snapshot == ready.snapshot;
    // A write that reported failure may have come to its end all the same.
    let attempted = hardware.attempted.as_ref().map(|known| known.snapshot);
    let was_attempted = hardware.failed > 0 && attempted == Some(ready.snapshot);
    let leads_there = |base: &&Rc<Known>| {
        was_attempted || follows(&base.snapshot, ready, may_crash(&base.snapshot))
    };
    // Where the journal was not whole, it may have been any of those that lead there.
    let may_be = |known: &&Rc<Known>| {
        let acted_upon = hardware.acted_upon;
        acted_upon.is_none_or(|acted_upon| acted_upon == known.snapshot)
    };
    let mut candidates = before.ghost.candidates().filter(may_be);
    let [so, leading] = [candidates.clone().find(is_so), candidates.find(leads_there)];
    // What was written after a slot was read is the record of a start, or of its end; else nothing has changed.
    let mut points = hardware.points.iter();
    if points.any(|point| point.acted && point.operation.says().is_some()) {
        leading.or(so)
    } else {
        so.or(leading)
    }
}

/// What is started meets the floor, is signed by a key that is not revoked, and is not rejected.
fn check_safe(world: &World, image: usize, state: &Snapshot, fused: u32, hardware: &mut Hardware) {
    if !meets_floor(world, image, state, fused) {
        let what = format!(
            "image {image} is started, below the floor of {}, fused {fused}",
            state.floor
        );
        hardware.violate(Invariant::Safe, what);
    }
    if !is_trusted(image, state) {
        let what = format!("image {image} is started, and its signers are revoked");
        hardware.violate(Invariant::Safe, what);
    }
    if !can_read(world, image, state) {
        let what = format!(
            "image {image} is started, and cannot read schema {}",
            state.schema
        );
        hardware.violate(Invariant::Safe, what);
    }
    let digest = world.images[image].manifest.digest();
    let rejection = state.rejection(digest);
    if rejection.is_some_and(|rejection| !rejection.is_forgiven()) {
        let what = format!("image {image} is started, and rejected");
        hardware.violate(Invariant::Safe, what);
    }
}

/// A trial is not rejected before its budget is used up.
fn check_budget(base: &Snapshot, ready: &Ready, hardware: &mut Hardware) {
    let other = base.active.other();
    if let SlotState::Trial(_, budget) = base.slot(other)
        && let SlotState::Rejected(_, reason) = ready.snapshot.slot(other)
        && budget.left(ready.handover.reset.charge()) > 0
    {
        let what = format!("a trial is rejected ({reason:?}) with {budget:?} left");
        hardware.violate(Invariant::Progress, what);
    }
}

/// A confirmed image that crashes again and again gives way to the other one, if that may boot; and no other
/// image does.
fn check_crash_loop(
    world: &World,
    base: &Snapshot,
    before: &State,
    ready: &Ready,
    hardware: &mut Hardware,
) {
    let most = world.bootloader.crash_loop;
    let (active, other) = (base.active, base.active.other());
    let crashes = most > 0 && before.crashes(active) >= most;
    let is_worn_out = ready.handover.journal == JournalHealth::WornOut;
    let goes_on = crashes
        && !is_worn_out
        && ready.image.slot() == active
        && before.resets_while_verifying(other) < 2
        && matches!(base.slot(other), SlotState::Confirmed(_))
        && image_in(world, other, hardware)
            .is_some_and(|image| is_acceptable(world, image, base, before.fused));
    if goes_on {
        let what = format!(
            "a crash loop goes on after {} resets",
            before.crashes(active)
        );
        hardware.violate(Invariant::Progress, what);
    }
    let was_confirmed = matches!(base.slot(active), SlotState::Confirmed(_));
    if let SlotState::Rejected(_, reason) = ready.snapshot.slot(active)
        && was_confirmed
        && !crashes
    {
        let what = format!("a confirmed image is rejected ({reason:?}) by the bootloader");
        hardware.violate(Invariant::Progress, what);
    }
}

/// What is started is what the state says of its slot, and the active image unless that cannot be.
fn check_role(world: &World, image: usize, before: &State, ready: &Ready, hardware: &mut Hardware) {
    let (slot, active) = (ready.image.slot(), ready.snapshot.active);
    let digest = world.images[image].manifest.digest();
    let named = ready.snapshot.slot(slot);
    let is_named = named.image().is_some_and(|named| named.digest == digest);
    let is_as_it_says = match Standing::of(ready.role) {
        Standing::Trial => matches!(named, SlotState::Trial(..)),
        Standing::Confirmed => matches!(named, SlotState::Confirmed(_)),
    };
    if !(is_named && is_as_it_says) {
        let what = format!("image {image} is started in {slot:?}, which is {named:?}");
        return hardware.violate(Invariant::Monotone, what);
    }
    if !matches!(ready.role, Role::Trial(_))
        && slot != active
        && before.resets_while_verifying(active) < 2
        && image_in(world, active, hardware)
            .is_some_and(|image| is_acceptable(world, image, &ready.snapshot, before.fused))
    {
        let what = format!("image {image} is started though the active one is acceptable");
        hardware.violate(Invariant::Monotone, what);
    }
}

/// Whether floor and revocations let this image boot.
fn is_acceptable(world: &World, image: usize, state: &Snapshot, fused: u32) -> bool {
    meets_floor(world, image, state, fused)
        && is_trusted(image, state)
        && can_read(world, image, state)
}

/// Whether it can read the data as they are.
fn can_read(world: &World, image: usize, state: &Snapshot) -> bool {
    let (first, last) = world.images[image].manifest.schemas();
    (first..=last).contains(&state.schema)
}

/// Whether it demands at least the floor that there is.
fn meets_floor(world: &World, image: usize, state: &Snapshot, fused: u32) -> bool {
    let counter = world.images[image].manifest.security_counter();
    counter >= state.floor.max(world.layout.factory_floor).max(fused)
}

/// Whether a key that signed it is not revoked.
fn is_trusted(image: usize, state: &Snapshot) -> bool {
    let is_trusted = |signer: &u8| !state.revoked.contains((*signer).into());
    signers(image).iter().any(is_trusted)
}

/// Whether the bootloader may have started this from the state `before`, if this or that did not verify, or
/// crashes.
fn follows(before: &Snapshot, ready: &Ready, may_crash: bool) -> bool {
    (0..16_u8).any(|bits| {
        let against = Against {
            failed: [bits & 1 > 0, bits & 2 > 0],
            trials: bits & 4 > 0,
            crashed: bits & 8 > 0,
        };
        if against.crashed && !may_crash {
            return false;
        }
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
    let mut images = world.images.iter();
    let image = images.position(|image| image.header == header)?;
    let payload = slot.of::<Vec<u8>>(&world.images[image].payload);
    let mut held = vec![0; payload.len()];
    let offset = world.layout.payload_offset;
    hardware.read_slot(slot, offset, &mut held).ok()?;
    (held == *payload).then_some(image)
}
