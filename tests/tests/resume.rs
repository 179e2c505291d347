//! Whatever cuts an installation, it goes on after the next boot, ends whole, and costs little flash.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bistable_core::layout::{Layout, Slot};
use bistable_core::manifest::Fields;
use bistable_core::refusal::Refusal;
use bistable_core::state::{Budget, Image, Origin, POWER_BUDGET, SlotState};
use bistable_tests::device::{Cut, Device, give, image_for, install, layout_with};
use bistable_tests::fixtures::image_of;
use bistable_tests::flash::{Extent, Fault};
use bistable_tests::images::Built;
use bistable_tests::random::Random;

/// Every way to cut an operation.
const CUTS: [Cut; 8] = [
    Cut::Plain(Extent::Nothing),
    Cut::Plain(Extent::Everything),
    Cut::Plain(Extent::FirstHalf),
    Cut::Plain(Extent::SecondHalf),
    Cut::Plain(Extent::EveryOther),
    Cut::Plain(Extent::AllTorn),
    Cut::Plain(Extent::Seeded(1)),
    Cut::Fickle,
];

/// How often a device is switched on to see whether what was installed stays.
const LOOKS: u32 = 4;

/// A device whose running image is in A, and the images that are offered to it.
struct Scene<const W: usize, const E: usize> {
    device: Device<W, E>,
    running: Built,
    /// In the other slot, from an update before.
    older: Built,
    d: Built,
    /// Newer, and like `d` in its second half.
    e: Built,
}

impl<const W: usize, const E: usize> Scene<W, E> {
    fn new(chunk_size: u32) -> Self {
        let (chunks, slot_size) = match chunk_size {
            1024 => (17, 32 * 1024),
            _ => (12, 64 * 1024),
        };
        let layout: &'static Layout = Box::leak(Box::new(layout_with(chunk_size, slot_size)));
        // The last chunk is shorter.
        let len = (chunks * chunk_size + 352) as usize;
        let (running, older) = (image_for(layout, 2, 2, len), image_for(layout, 1, 1, len));
        let d = image_for(layout, 3, 3, len);
        let mut payload = d.payload.clone();
        for bytes in &mut payload {
            for byte in &mut bytes[8..len / 3] {
                *byte ^= 0x5a;
            }
        }
        let fields = Fields {
            sequence: 4,
            ..d.manifest.fields()
        };
        let e = Built::new(fields, payload, &[0]);
        if chunk_size == 1024 {
            assert!(d.pages.len() > 1);
        }
        let mut device = Device::new(layout, Slot::A, &running);
        device.put(Slot::B, &older);
        device.change_state(|state| {
            let older = image_of(&older.manifest, Origin::Factory);
            *state = state.with_slot(Slot::B, SlotState::Confirmed(older));
        });
        Self {
            device,
            running,
            older,
            d,
            e,
        }
    }

    /// The device with this in its other slot, and the power on.
    fn with_other(&self, image: &Built, state: impl FnOnce(Image) -> SlotState) -> Device<W, E> {
        let mut device = self.device.clone();
        device.put(Slot::B, image);
        let named = image_of(&image.manifest, Origin::Network);
        device.change_state(|snapshot| *snapshot = snapshot.with_slot(Slot::B, state(named)));
        device
    }

    /// The running image is whole, whatever happened.
    fn running_is_whole(&self, device: &Device<W, E>) {
        assert!(device.holds(Slot::A, &self.running), "the running slot");
        assert!(device.erases(Slot::A).iter().all(|erases| *erases == 0));
    }

    /// What waits for its trial is `image`, and is so at every boot.
    fn stays_installed(&self, device: &mut Device<W, E>, image: &Built) {
        for _ in 0..LOOKS {
            assert!(device.holds(Slot::B, image), "the slot is not the image");
            let verified = device.verify(Slot::B).map(|verified| verified.digest());
            assert_eq!(verified, Ok(image.manifest.digest()));
            assert!(matches!(device.state().slot(Slot::B), SlotState::Trial(..)));
            device.power_on();
        }
        self.running_is_whole(device);
    }
}

/// Which sectors of slot B that `image` uses read as they will when it is there.
fn good<const W: usize, const E: usize>(device: &Device<W, E>, image: &Built) -> Vec<bool> {
    let mut whole = device.clone();
    whole.put(Slot::B, image);
    let end = device.layout.payload_offset as usize + image.payload[0].len();
    let sectors = device.slot_bytes(Slot::B).chunks(E);
    let goal = whole.slot_bytes(Slot::B).chunks(E);
    let pairs = sectors.zip(goal).enumerate();
    pairs
        .map(|(sector, (is, will_be))| {
            let last = (sector + 1) * E >= end && sector * E < end;
            let used = sector * E < 1024
                || ((sector + 1) * E > device.layout.payload_offset as usize && sector * E < end);
            let is_blank = is.iter().all(|byte| *byte == 0xff);
            let to = if last { end - sector * E } else { E };
            used && !is_blank && is[..to] == will_be[..to]
        })
        .collect()
}

/// What a whole installation without faults costs: operations of the journal and of the slots.
fn cost<const W: usize, const E: usize>(device: &Device<W, E>, image: &Built) -> [u64; 2] {
    let mut device = device.clone();
    let before = device.operations();
    install(&mut device.updater(), image).expect("an installation without faults");
    let after = device.operations();
    [after[0] - before[0], after[1] - before[1]]
}

fn erases<const W: usize, const E: usize>(device: &Device<W, E>) -> u64 {
    device.erases(Slot::B).iter().sum()
}

/// Installs `d` with a cut at each operation, each time afresh, and goes on after it.
fn every_cut<const W: usize, const E: usize>(chunk_size: u32) {
    let scene = Scene::<W, E>::new(chunk_size);
    let [journal, slots] = cost(&scene.device, &scene.d);
    // Where a chunk covers several sectors, it is written and erased as one.
    let sectors = (chunk_size as usize / E).max(1) as u64;
    let mut worst = (0, 0);
    let mut without_faults = scene.device.clone();
    install(&mut without_faults.updater(), &scene.d).unwrap();
    let least = erases(&without_faults);
    for (in_journal, operation) in (0..journal)
        .map(|operation| (true, operation))
        .chain((0..slots).map(|operation| (false, operation)))
    {
        for cut in CUTS {
            let (extra, lost) = one_cut(&scene, in_journal, operation, cut, least);
            let what = format!("{cut:?} in operation {operation} (journal: {in_journal})");
            assert!(extra <= 3 * sectors, "{what} costs {extra} erases");
            assert!(lost <= 2 * sectors, "{what} costs {lost} good sectors");
            worst = (extra.max(worst.0), lost.max(worst.1));
        }
    }
    println!(
        "chunk {chunk_size}, write {W}, erase {E}: {} cuts, at most {} more erases and {} good sectors lost",
        (journal + slots) * CUTS.len() as u64,
        worst.0,
        worst.1
    );
}

fn one_cut<const W: usize, const E: usize>(
    scene: &Scene<W, E>,
    in_journal: bool,
    operation: u64,
    cut: Cut,
    least: u64,
) -> (u64, u64) {
    let mut device = scene.device.clone();
    device.journal.seed(operation);
    device.slots.seed(operation);
    match (in_journal, cut) {
        (true, Cut::Plain(extent)) => device.journal.plan(operation, Fault::Cut(extent)),
        (true, Cut::Fickle) => device
            .journal
            .plan(operation, Fault::Cut(Extent::Seeded(2))),
        (false, cut) => device.slots.cut(operation, cut),
    }
    let cut_short = install(&mut device.updater(), &scene.d);
    assert!(cut_short.is_err(), "{cut:?} at {operation} was no cut");
    device.power_on();
    let good_before = good(&device, &scene.d);
    let erased_before = device.erases(Slot::B).to_vec();
    match install(&mut device.updater(), &scene.d) {
        // The cut was in the snapshot that activates, and it was durable.
        Ok(()) | Err(Refusal::AlreadyWaiting) => {}
        Err(refusal) => panic!("{cut:?} at {operation}: {refusal:?}"),
    }
    let again = erased_before.iter().zip(device.erases(Slot::B));
    let lost = good_before.iter().zip(again);
    let lost = lost.filter(|(good, (before, after))| **good && before < after);
    let lost = lost.count() as u64;
    let extra = erases(&device).saturating_sub(least);
    scene.stays_installed(&mut device, &scene.d);
    (extra, lost)
}

/// Runs a check for every combination of chunk size, write size and erase size.
macro_rules! for_all_sizes {
    ($($name:ident: $chunk:literal, $write:literal, $erase:literal;)*) => {$(
        #[test]
        fn $name() {
            every_cut::<$write, $erase>($chunk);
        }
    )*};
}

for_all_sizes! {
    every_cut_of_chunks_of_1k_units_of_4_sectors_of_256: 1024, 4, 256;
    every_cut_of_chunks_of_1k_units_of_4_sectors_of_1k: 1024, 4, 1024;
    every_cut_of_chunks_of_1k_units_of_4_sectors_of_4k: 1024, 4, 4096;
    every_cut_of_chunks_of_1k_units_of_4_sectors_of_16k: 1024, 4, 16384;
    every_cut_of_chunks_of_1k_units_of_32_sectors_of_256: 1024, 32, 256;
    every_cut_of_chunks_of_1k_units_of_32_sectors_of_1k: 1024, 32, 1024;
    every_cut_of_chunks_of_1k_units_of_32_sectors_of_4k: 1024, 32, 4096;
    every_cut_of_chunks_of_1k_units_of_32_sectors_of_16k: 1024, 32, 16384;
    every_cut_of_chunks_of_4k_units_of_4_sectors_of_256: 4096, 4, 256;
    every_cut_of_chunks_of_4k_units_of_4_sectors_of_1k: 4096, 4, 1024;
    every_cut_of_chunks_of_4k_units_of_4_sectors_of_4k: 4096, 4, 4096;
    every_cut_of_chunks_of_4k_units_of_4_sectors_of_16k: 4096, 4, 16384;
    every_cut_of_chunks_of_4k_units_of_32_sectors_of_256: 4096, 32, 256;
    every_cut_of_chunks_of_4k_units_of_32_sectors_of_1k: 4096, 32, 1024;
    every_cut_of_chunks_of_4k_units_of_32_sectors_of_4k: 4096, 32, 4096;
    every_cut_of_chunks_of_4k_units_of_32_sectors_of_16k: 4096, 32, 16384;
}

// ---- Many cuts ----

/// Boots and installs whatever `next` offers; each boot but the last is cut at some operation. Then
/// the last image offered is installed in peace.
fn many_cuts<const W: usize, const E: usize>(
    scene: &Scene<W, E>,
    device: Device<W, E>,
    seed: u64,
    offered: &[&Built],
) {
    let what = format!("seed {seed}, write {W}, erase {E}");
    let run = || {
        let mut device = device;
        let mut random = Random::new(seed);
        device.journal.seed(seed);
        device.slots.seed(seed);
        for _ in 0..1 + random.below(12) {
            let image = offered[random.below(offered.len())];
            let [journal, slots] = cost(&scene.device, image);
            // Cuts right after the start are as likely as all others together.
            let reach = |operations: u64, random: &mut Random| match random.below(2) {
                0 => random.below(5) as u64,
                _ => random.below(operations as usize) as u64,
            };
            let cut = match random.below(2) {
                0 => Cut::Fickle,
                _ => CUTS[random.below(CUTS.len())],
            };
            match random.below(8) {
                0 => {
                    let extent = Extent::Seeded(random.next());
                    let operation = reach(journal, &mut random);
                    device.journal.plan(operation, Fault::Cut(extent));
                }
                _ => device.slots.cut(reach(slots, &mut random), cut),
            }
            match install(&mut device.updater(), image) {
                Err(Refusal::AlreadyWaiting | Refusal::NewerInProgress) | Ok(()) => {}
                Err(_) => assert!(
                    !(device.journal.has_power() && device.slots.flash.has_power()),
                    "an installation failed without a cut"
                ),
            }
            device.power_on();
            if matches!(device.state().slot(Slot::B), SlotState::Trial(..)) {
                let digest = device.verify(Slot::B).map(|verified| verified.digest());
                let named = device.state().slot(Slot::B).image();
                assert_eq!(digest.ok(), named.map(|image| image.digest), "activated");
            }
            scene.running_is_whole(&device);
        }
        let last = offered[random.below(offered.len())];
        let installed = match install(&mut device.updater(), last) {
            Ok(()) | Err(Refusal::AlreadyWaiting) => last,
            // Only `e` is newer than anything else that is offered.
            Err(Refusal::NewerInProgress) => &scene.e,
            Err(refusal) => panic!("{refusal:?}"),
        };
        scene.stays_installed(&mut device, installed);
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        println!("{what}");
        std::panic::resume_unwind(panic);
    }
}

/// Where the other slot may stand when the first update is offered.
fn starts<const W: usize, const E: usize>(scene: &Scene<W, E>) -> Vec<Device<W, E>> {
    let waiting = |image| {
        let budget = Budget {
            attempts: 3,
            power: POWER_BUDGET,
            booted: false,
        };
        SlotState::Trial(image, budget)
    };
    vec![
        scene.device.clone(),
        scene.with_other(&scene.older, |_| SlotState::Empty),
        scene.with_other(&scene.d, |_| SlotState::Empty),
        scene.with_other(&scene.d, SlotState::Receiving),
        scene.with_other(&scene.d, SlotState::Confirmed),
        scene.with_other(&scene.d, waiting),
        scene.with_other(&scene.e, |_| SlotState::Empty),
        scene.with_other(&scene.e, SlotState::Receiving),
        scene.with_other(&scene.e, SlotState::Confirmed),
    ]
}

fn sequences<const W: usize, const E: usize>(chunk_size: u32) {
    let scene = Scene::<W, E>::new(chunk_size);
    let starts = starts(&scene);
    for seed in 0..200 {
        let device = starts[seed as usize % starts.len()].clone();
        match seed % 3 {
            0 => many_cuts(&scene, device, seed, &[&scene.d]),
            _ => many_cuts(&scene, device, seed, &[&scene.d, &scene.e]),
        }
    }
}

#[test]
fn two_hundred_sequences_of_cuts_in_small_sectors() {
    sequences::<4, 256>(1024);
}

#[test]
fn two_hundred_sequences_of_cuts_in_sectors_of_a_chunk() {
    sequences::<4, 1024>(1024);
}

#[test]
fn two_hundred_sequences_of_cuts_in_sectors_of_four_chunks() {
    sequences::<32, 4096>(1024);
}

#[test]
fn two_hundred_sequences_of_cuts_with_large_chunks() {
    sequences::<32, 4096>(4096);
    sequences::<4, 1024>(4096);
}

#[test]
fn two_hundred_sequences_of_cuts_in_large_sectors() {
    sequences::<4, 16384>(4096);
}

// ---- Known traps ----

/// Runs `trap` with some seeds: what is torn is different each time.
fn with_seeds<const W: usize, const E: usize>(
    device: &Device<W, E>,
    seeds: u64,
    mut trap: impl FnMut(&mut Device<W, E>),
) {
    for seed in 0..seeds {
        let mut device = device.clone();
        device.slots.seed(seed);
        trap(&mut device);
    }
}

/// Installs `image`, cut in its operation number `operation`.
fn cut_in<const W: usize, const E: usize>(
    device: &mut Device<W, E>,
    image: &Built,
    operation: u64,
    cut: Cut,
) {
    device.slots.cut(operation, cut);
    let cut_short = install(&mut device.updater(), image);
    assert!(
        cut_short.is_err(),
        "operation {operation} is beyond the end"
    );
    device.power_on();
}

#[test]
fn a_newer_image_that_was_cut_in_its_first_erase_leaves_no_torn_sector_to_the_older_one() {
    let scene = Scene::<4, 1024>::new(1024);
    with_seeds(&scene.device, 40, |device| {
        cut_in(device, &scene.d, 30, Cut::Fickle);
        cut_in(device, &scene.e, 0, Cut::Fickle);
        install(&mut device.updater(), &scene.d).unwrap();
        scene.stays_installed(device, &scene.d);
    });
}

#[test]
fn an_older_image_that_was_cut_and_a_newer_one_that_was_cut_and_the_newer_one_again() {
    let scene = Scene::<4, 1024>::new(1024);
    for second in 0..6 {
        with_seeds(&scene.device, 40, |device| {
            cut_in(device, &scene.e, 20, Cut::Fickle);
            cut_in(device, &scene.d, second, Cut::Fickle);
            cut_in(device, &scene.e, second, Cut::Fickle);
            install(&mut device.updater(), &scene.e).unwrap();
            scene.stays_installed(device, &scene.e);
        });
    }
}

#[test]
fn a_newer_image_with_nearly_the_same_payload_is_not_taken_for_the_older_one() {
    let scene = Scene::<4, 1024>::new(1024);
    let mut payload = scene.d.payload.clone();
    for bytes in &mut payload {
        *bytes.last_mut().unwrap() ^= 1;
    }
    let fields = Fields {
        sequence: 5,
        ..scene.d.manifest.fields()
    };
    let nearly = Built::new(fields, payload, &[0]);
    for operation in 0..6 {
        for [first, then] in [[&nearly, &scene.d], [&scene.d, &nearly]] {
            with_seeds(&scene.device, 8, |device| {
                cut_in(device, &scene.d, 30, Cut::Fickle);
                cut_in(device, &nearly, operation, Cut::Fickle);
                cut_in(device, first, operation, Cut::Fickle);
                install(&mut device.updater(), then).unwrap();
                scene.stays_installed(device, then);
            });
        }
    }
}

#[test]
fn repairing_a_confirmed_image_survives_a_cut_in_its_first_erase() {
    let scene = Scene::<4, 1024>::new(1024);
    let mut device = scene.with_other(&scene.d, SlotState::Confirmed);
    // One flipped bit in its last sector: the device runs from the other slot, and is offered it again.
    let last = Slot::B.of(&device.layout.slots).offset + 4096 + 17 * 1024;
    device.slots.flash.flip(last as usize, 3);
    with_seeds(&device, 40, |device| {
        cut_in(device, &scene.d, 0, Cut::Fickle);
        install(&mut device.updater(), &scene.d).unwrap();
        scene.stays_installed(device, &scene.d);
    });
}

#[test]
fn a_chunk_over_several_sectors_is_not_kept_when_the_one_behind_it_comes_and_goes() {
    let scene = Scene::<4, 256>::new(1024);
    let [_, operations] = cost(&scene.device, &scene.d);
    for operation in 0..operations {
        with_seeds(&scene.device, 8, |device| {
            cut_in(device, &scene.d, operation, Cut::Fickle);
            cut_in(device, &scene.d, 0, Cut::Fickle);
            install(&mut device.updater(), &scene.d).unwrap();
            scene.stays_installed(device, &scene.d);
        });
    }
}

#[test]
fn a_chunk_that_reads_as_erased_ends_what_is_kept() {
    let scene = Scene::<4, 1024>::new(1024);
    let mut payload = scene.d.payload.clone();
    for bytes in &mut payload {
        bytes[5 * 1024..7 * 1024].fill(0xff);
        bytes[9 * 1024..10 * 1024].fill(0xff);
    }
    let image = Built::new(scene.d.manifest.fields(), payload, &[0]);
    // It lay there before, whole, so that everything behind a torn sector matches.
    let device = scene.with_other(&image, |_| SlotState::Empty);
    let [_, operations] = cost(&device, &image);
    for operation in 0..operations {
        with_seeds(&device, 8, |device| {
            cut_in(device, &image, operation, Cut::Fickle);
            install(&mut device.updater(), &image).unwrap();
            scene.stays_installed(device, &image);
        });
    }
}

#[test]
fn a_broken_connection_costs_no_erase_within_one_boot() {
    let scene = Scene::<32, 4096>::new(1024);
    let mut peaceful = scene.device.clone();
    install(&mut peaceful.updater(), &scene.d).unwrap();
    let mut device = scene.device.clone();
    let mut updater = device.updater();
    loop {
        give(&mut updater, &scene.d, 1).unwrap();
        let mut again = updater.begin(&scene.d.header, Origin::Network).unwrap();
        if again.wants().is_none() {
            again.finish().unwrap().activate().unwrap();
            break;
        }
        // A part that breaks off, and one that is garbled.
        assert_eq!(again.write(&mut []), Err(Refusal::WrongLength));
        let wanted = again.wants().unwrap();
        assert!(again.write(&mut vec![0; wanted.len as usize]).is_err());
    }
    assert_eq!(device.erases(Slot::B), peaceful.erases(Slot::B));
    assert_eq!(device.journal_erases(), peaceful.journal_erases());
    scene.stays_installed(&mut device, &scene.d);
}
