//! The journal: whatever happens to a write, it says the old state or the new one, and stays with it.

use bistable_core::digest::Digest;
use bistable_core::journal::{COPIES, Journal, Opened, WriteError};
use bistable_core::layout::{JournalLayout, Slot};
use bistable_core::snapshot::{self, SNAPSHOT_LEN};
use bistable_core::state::Snapshot;
use bistable_tests::board::Fed;
use bistable_tests::flash::{Extent, Fault, Flash};
use bistable_tests::random::Random;
use bistable_tests::states::image;

/// A sector holds five copies and some room.
const SECTOR: usize = 2048;

/// Operations of one write: an erase and five program calls.
const WRITE_OPERATIONS: u64 = 6;

/// Where the floor lies in a copy, the same in every version of the format that there is.
const FLOOR: usize = 44;

/// States differ in their floor and in nothing else, so that one torn field tells them apart.
fn state(number: u32) -> Snapshot {
    Snapshot::with_confirmed(Slot::A, image(1), number)
}

/// A journal of some sectors, between two sectors that are none of its business.
#[derive(Clone)]
struct Device<const W: usize> {
    flash: Flash<W, SECTOR>,
    sectors: u8,
    watchdog: Fed,
}

fn layout() -> Digest {
    Digest::of(b"layout")
}

impl<const W: usize> Device<W> {
    fn fresh(sectors: u8) -> Self {
        let mut flash = Flash::new(usize::from(sectors) + 2);
        flash.seed(7);
        Self {
            flash,
            sectors,
            watchdog: Fed::default(),
        }
    }

    /// Whole, with the states up to `newest` in it.
    fn with_states(sectors: u8, newest: u32) -> Self {
        let mut device = Self::fresh(sectors);
        device.format(&state(1)).unwrap();
        for number in 2..=newest {
            device.write(&state(number)).unwrap();
        }
        device
    }

    fn journal(&self) -> Journal {
        let place = JournalLayout {
            offset: SECTOR as u32,
            sector_size: SECTOR as u32,
            sectors: self.sectors,
        };
        Journal::new(place, layout())
    }

    fn format(&mut self, snapshot: &Snapshot) -> Result<(), WriteError> {
        let mut journal = self.journal();
        journal.format(&mut self.flash, &mut self.watchdog, snapshot)
    }

    fn open(&mut self) -> Opened {
        self.journal().open(&mut self.flash, &mut self.watchdog)
    }

    /// Opens, which takes no operation if all sectors are whole, and writes.
    fn write(&mut self, snapshot: &Snapshot) -> Result<(), WriteError> {
        let mut journal = self.journal();
        journal.open(&mut self.flash, &mut self.watchdog);
        journal.write(&mut self.flash, &mut self.watchdog, snapshot)
    }

    fn operations(&self) -> u64 {
        self.flash.counts.operations
    }

    /// Boots: the state, and how many rewrites it took.
    fn boot(&mut self) -> (Snapshot, u8) {
        self.flash.power_on();
        let before = self.operations();
        let opened = self.open();
        let Opened::Sound { snapshot, rewrites } = opened else {
            panic!("{opened:?}");
        };
        assert!(rewrites <= self.sectors, "{rewrites} rewrites");
        let each = WRITE_OPERATIONS * u64::from(rewrites);
        assert_eq!(self.operations() - before, each);
        (snapshot, rewrites)
    }

    /// Boots, and again and again: each time the same, and only the first may write.
    fn boot_to_stay(&mut self) -> Snapshot {
        let (first, _) = self.boot();
        for _ in 0..3 {
            assert_eq!(self.boot(), (first, 0));
        }
        first
    }

    /// The states that any valid copy speaks of.
    fn readable(&self) -> Vec<Snapshot> {
        let sectors = self.flash.bytes()[SECTOR..].chunks(SECTOR);
        let copies = sectors.flat_map(|sector| sector.as_chunks::<SNAPSHOT_LEN>().0);
        copies
            .filter(|copy| snapshot::is_valid(copy, layout()))
            .filter_map(snapshot::decode)
            .collect()
    }

    /// Makes `sector` read as these copies: sequence number and state of each.
    fn put(&mut self, sector: usize, copies: &[(u32, u32)]) {
        for (place, (sequence, number)) in copies.iter().enumerate() {
            let bytes = snapshot::encode(&state(*number), *sequence, layout());
            let at = (sector + 1) * SECTOR + place * SNAPSHOT_LEN;
            self.flash.put(at, &bytes);
        }
    }
}

/// Runs a check for every write size.
macro_rules! for_every_write_size {
    ($check:ident) => {
        $check::<1>();
        $check::<4>();
        $check::<8>();
        $check::<16>();
        $check::<32>();
    };
}

// ---- Without faults ----

#[test]
fn a_fresh_partition_is_a_lost_journal() {
    fn check<const W: usize>() {
        for sectors in 2..=4 {
            let mut device = Device::<W>::fresh(sectors);
            assert_eq!(device.open(), Opened::Lost);
            assert_eq!(device.write(&state(1)), Err(WriteError::NotOpen));
            assert_eq!(device.operations(), 0);
        }
    }
    for_every_write_size!(check);
}

#[test]
fn what_was_formatted_is_whole_and_costs_two_erases_of_each_sector() {
    fn check<const W: usize>() {
        for sectors in 2..=4 {
            let mut device = Device::<W>::fresh(sectors);
            device.format(&state(1)).unwrap();
            let erases = device.flash.counts.erases.clone();
            assert_eq!(erases[1..erases.len() - 1], vec![2; sectors.into()]);
            assert_eq!(device.boot(), (state(1), 0));
        }
    }
    for_every_write_size!(check);
}

#[test]
fn each_write_erases_one_sector_programs_five_times_and_wears_all_sectors_alike() {
    fn check<const W: usize>() {
        for sectors in 2..=4_u8 {
            let mut device = Device::<W>::with_states(sectors, 1);
            let formatted = device.flash.counts.clone();
            let mut journal = device.journal();
            journal.open(&mut device.flash, &mut device.watchdog);
            for number in 2..2 + 10 * u32::from(sectors) {
                let before = device.flash.counts.clone();
                let written =
                    journal.write(&mut device.flash, &mut device.watchdog, &state(number));
                written.unwrap();
                let now = device.flash.counts.clone();
                let erases: u64 =
                    now.erases.iter().sum::<u64>() - before.erases.iter().sum::<u64>();
                assert_eq!(erases, 1);
                assert_eq!(now.programs - before.programs, COPIES.into());
                let bytes = usize::from(COPIES) * SNAPSHOT_LEN;
                assert_eq!(now.bytes - before.bytes, bytes as u64);
                assert_eq!(device.boot(), (state(number), 0));
            }
            let worn = device.flash.counts.erases.iter().zip(&formatted.erases);
            let worn: Vec<u64> = worn.map(|(now, before)| now - before).collect();
            let mut even = vec![10; usize::from(sectors) + 2];
            (even[0], even[usize::from(sectors) + 1]) = (0, 0);
            assert_eq!(worn, even, "and nothing beside the partition");
        }
    }
    for_every_write_size!(check);
}

#[test]
fn a_journal_is_written_only_after_it_was_opened() {
    let mut device = Device::<8>::with_states(3, 4);
    let before = device.operations();
    let mut journal = device.journal();
    let written = journal.write(&mut device.flash, &mut device.watchdog, &state(5));
    assert_eq!(written, Err(WriteError::NotOpen));
    assert_eq!(device.operations(), before);
    assert_eq!(device.boot(), (state(4), 0));
}

#[test]
fn a_journal_of_another_layout_is_lost() {
    let mut device = Device::<8>::with_states(3, 4);
    let place = JournalLayout {
        offset: SECTOR as u32,
        sector_size: SECTOR as u32,
        sectors: 3,
    };
    let mut other = Journal::new(place, Digest::of(b"another layout"));
    let opened = other.open(&mut device.flash, &mut device.watchdog);
    assert_eq!(opened, Opened::Lost);
}

#[test]
fn the_watchdog_is_fed_before_each_erase() {
    let mut device = Device::<8>::with_states(3, 5);
    let erases: u64 = device.flash.counts.erases.iter().sum();
    assert!(device.watchdog.0 >= erases);
    device.flash.flip(SECTOR + 10, 1);
    let before = (device.watchdog.0, erases);
    device.boot();
    let erases: u64 = device.flash.counts.erases.iter().sum();
    assert!(device.watchdog.0 - before.0 >= erases - before.1);
}

#[test]
fn sequence_numbers_do_not_begin_again() {
    let mut device = Device::<8>::fresh(2);
    device.put(0, &[(u32::MAX, 2); 5]);
    device.put(1, &[(u32::MAX - 1, 1); 5]);
    assert_eq!(device.write(&state(3)), Err(WriteError::Flash));
    assert_eq!(device.operations(), 0);
    assert_eq!(device.boot(), (state(2), 0));
}

#[test]
fn what_is_inspected_is_what_would_be_opened_and_nothing_is_written() {
    type Copies = [(u32, u32)];
    // Copies of each sector, and the place of the one that counts.
    let journals: [(&[&Copies], Option<usize>); 5] = [
        (&[&[(1, 1); 5], &[(2, 2); 5], &[(3, 3); 5]], Some(2)),
        (&[&[(1, 1); 5], &[(2, 2); 5], &[(3, 3)]], Some(1)),
        (&[&[(1, 1), (1, 1)], &[(2, 2)], &[]], Some(0)),
        (&[&[(7, 1), (7, 1), (7, 1), (8, 2)], &[(8, 2)]], Some(0)),
        (&[&[], &[]], None),
    ];
    for (sectors, counts) in journals {
        let mut device = Device::<8>::fresh(sectors.len() as u8);
        for (sector, copies) in sectors.iter().enumerate() {
            device.put(sector, copies);
        }
        let journal = device.journal();
        let views: Vec<_> = journal.inspect(&mut device.flash).collect();
        assert_eq!(device.operations(), 0);
        assert_eq!(views.iter().position(|view| view.current), counts);
        for (view, copies) in views.iter().zip(sectors) {
            let (sequence, number) = copies.first().copied().unwrap_or_default();
            let equal = copies.iter().filter(|copy| copy.0 == sequence).count();
            assert_eq!((usize::from(view.valid), view.sequence), (equal, sequence));
            assert_eq!(
                view.highest,
                copies.iter().map(|copy| copy.0).max().unwrap_or(0)
            );
            assert_eq!(view.snapshot, (equal > 0).then(|| state(number)));
        }
        if let Some(counts) = counts {
            assert_eq!(Some(device.boot_to_stay()), views[counts].snapshot);
        }
    }
}

// ---- The rules ----

/// The state that a journal with these copies in its sectors opens with, whole afterwards.
fn opens_with(sectors: &[&[(u32, u32)]]) -> Snapshot {
    let mut device = Device::<8>::fresh(sectors.len() as u8);
    for (sector, copies) in sectors.iter().enumerate() {
        device.put(sector, copies);
    }
    device.boot_to_stay()
}

#[test]
fn the_highest_sequence_counts_when_all_sectors_are_whole() {
    let opened = opens_with(&[&[(5, 50); 5], &[(7, 70); 5], &[(6, 60); 5]]);
    assert_eq!(opened, state(70));
}

#[test]
fn three_copies_prove_that_one_was_finished_and_fewer_prove_nothing() {
    for (copies, expected) in [(1, 60), (2, 60), (3, 70), (4, 70), (5, 70)] {
        let opened = opens_with(&[&[(6, 60); 5], &vec![(7, 70); copies]]);
        assert_eq!(opened, state(expected), "{copies} copies");
        let opened = opens_with(&[&[(6, 60); 3], &vec![(7, 70); copies]]);
        assert_eq!(opened, state(expected), "{copies} copies beside three");
    }
}

#[test]
fn when_all_are_weak_the_oldest_is_the_source() {
    assert_eq!(opens_with(&[&[(6, 60); 2], &[(7, 70); 2]]), state(60));
    assert_eq!(
        opens_with(&[&[(9, 90); 2], &[(7, 70); 1], &[(8, 80); 2]]),
        state(70)
    );
    assert_eq!(opens_with(&[&[], &[(7, 70); 1], &[]]), state(70));
}

#[test]
fn copies_count_only_if_they_are_equal() {
    // The same number twice, and not the same state: neither is proved.
    let mixed = [(7, 70), (7, 70), (7, 71), (7, 71)];
    assert_eq!(opens_with(&[&[(6, 60); 3], &mixed]), state(60));
    let with_an_older_one = [(7, 70), (7, 70), (5, 50)];
    assert_eq!(opens_with(&[&[(6, 60); 4], &with_an_older_one]), state(60));
}

#[test]
fn numbers_go_on_above_every_copy_that_was_ever_seen() {
    let mut device = Device::<8>::fresh(2);
    device.put(0, &[(6, 60); 5]);
    device.put(1, &[(900, 70); 1]);
    device.boot();
    let copies = device.flash.bytes()[2 * SECTOR..].first_chunk().unwrap();
    assert_eq!(snapshot::sequence(copies), 901);
}

#[test]
fn a_lone_copy_beside_equal_ones_counts_for_the_next_number_too() {
    let mut device = Device::<8>::fresh(2);
    device.put(0, &[(6, 60); 5]);
    device.put(1, &[(7, 70), (7, 70), (7, 70), (900, 80)]);
    assert_eq!(device.boot_to_stay(), state(70));
    let copies = device.flash.bytes()[SECTOR..].first_chunk().unwrap();
    assert!(snapshot::sequence(copies) > 900);
}

#[test]
fn a_sector_without_a_copy_is_written_before_an_unfinished_newer_one() {
    let mut device = Device::<8>::fresh(3);
    device.put(0, &[(6, 60); 5]);
    device.put(2, &[(7, 70)]);
    device.flash.plan(1, Fault::Cut(Extent::Nothing));
    device.open();
    assert_eq!(device.flash.counts.erases, [0, 0, 1, 0, 0]);
    // And an unfinished newer one before an older whole one.
    let mut device = Device::<8>::fresh(3);
    device.put(0, &[(5, 50); 5]);
    device.put(1, &[(6, 60); 5]);
    device.put(2, &[(7, 70)]);
    device.flash.plan(1, Fault::Cut(Extent::Nothing));
    device.open();
    assert_eq!(device.flash.counts.erases, [0, 0, 0, 1, 0]);
}

// ---- One cut ----

fn extents() -> impl Iterator<Item = Extent> {
    let seeds = (10..22).map(Extent::Seeded);
    Extent::SOME.into_iter().chain(seeds)
}

#[test]
fn a_write_that_is_cut_leaves_the_old_state_or_the_new_one() {
    fn check<const W: usize>() -> u64 {
        let mut cuts = 0;
        for sectors in 2..=4 {
            let whole = Device::<W>::with_states(sectors, 6);
            for operation in 0..WRITE_OPERATIONS {
                for extent in extents() {
                    let mut device = whole.clone();
                    device.flash.plan(operation, Fault::Cut(extent));
                    assert_eq!(device.write(&state(7)), Err(WriteError::Flash));
                    assert!(!device.flash.has_power());
                    let now = device.boot_to_stay();
                    let expected = match (operation, extent) {
                        (0, _) | (1, Extent::Nothing) => Some(state(6)),
                        (5, Extent::Everything) => Some(state(7)),
                        _ => None,
                    };
                    let context = format!("{W} {sectors} {operation} {extent:?}");
                    match expected {
                        Some(expected) => assert_eq!(now, expected, "{context}"),
                        None => assert!([state(6), state(7)].contains(&now), "{context}"),
                    }
                    assert!(device.write(&state(8)).is_ok());
                    assert_eq!(device.boot_to_stay(), state(8));
                    cuts += 1;
                }
            }
        }
        cuts
    }
    let cuts = check::<1>() + check::<4>() + check::<8>() + check::<16>() + check::<32>();
    println!("single cuts: {cuts}");
}

#[test]
fn a_torn_write_that_nobody_acted_upon_never_comes_back() {
    fn check<const W: usize>() {
        for sectors in 2..=4 {
            let whole = Device::<W>::with_states(sectors, 6);
            let mut old = 0;
            for operation in 0..WRITE_OPERATIONS {
                for extent in extents() {
                    let mut device = whole.clone();
                    device.flash.plan(operation, Fault::Cut(extent));
                    device.write(&state(7)).unwrap_err();
                    if device.boot().0 == state(7) {
                        continue;
                    }
                    old += 1;
                    for number in 8..12 {
                        assert!(!device.readable().contains(&state(7)), "not one copy");
                        device.flash.power_on();
                        device.write(&state(number)).unwrap();
                    }
                }
            }
            assert!(old > 20);
        }
    }
    for_every_write_size!(check);
}

#[test]
fn a_torn_confirmation_is_no_confirmation_until_a_boot_says_so_and_then_for_good() {
    // Two of five copies are written: the next boot says the old state, even if it is cut before it
    // could do anything about the two.
    let mut device = Device::<4>::with_states(3, 6);
    device.flash.plan(3, Fault::Cut(Extent::Nothing));
    device.write(&state(7)).unwrap_err();
    device.flash.power_on();
    assert!(device.readable().contains(&state(7)));
    device.flash.plan(0, Fault::Cut(Extent::Nothing));
    assert!(!matches!(device.open(), Opened::Sound { .. }));
    assert_eq!(device.boot_to_stay(), state(6));
    // Three are: then it says the new one, even if the last of them is never finished.
    let mut device = Device::<4>::with_states(3, 6);
    device.flash.plan(4, Fault::Cut(Extent::Nothing));
    device.write(&state(7)).unwrap_err();
    assert_eq!(device.boot_to_stay(), state(7));
}

#[test]
fn a_partition_that_was_cut_while_it_was_formatted_is_lost_or_done() {
    for sectors in 2..=3_u8 {
        let mut operations = Device::<8>::fresh(sectors);
        operations.format(&state(1)).unwrap();
        for operation in 0..operations.operations() {
            for extent in extents() {
                let mut device = Device::<8>::fresh(sectors);
                device.flash.plan(operation, Fault::Cut(extent));
                assert_eq!(device.format(&state(1)), Err(WriteError::Flash));
                device.flash.power_on();
                match device.open() {
                    Opened::Lost => device.format(&state(1)).unwrap(),
                    opened => assert!(
                        matches!(opened, Opened::Sound { snapshot, .. } if snapshot == state(1))
                    ),
                }
                assert_eq!(device.boot_to_stay(), state(1));
            }
        }
    }
}

// ---- Cuts in a row ----

fn a_second_cut_leaves_the_old_state_or_the_new_one<const W: usize>() {
    let mut pairs = 0;
    for sectors in 2..=3 {
        let whole = Device::<W>::with_states(sectors, 6);
        for first in 0..WRITE_OPERATIONS {
            for first_extent in Extent::SOME {
                let mut torn = whole.clone();
                torn.flash.plan(first, Fault::Cut(first_extent));
                torn.write(&state(7)).unwrap_err();
                torn.flash.power_on();
                let mut healed = torn.clone();
                healed.open();
                let heals = healed.operations() - torn.operations();
                for second in 0..heals {
                    for second_extent in Extent::SOME {
                        let mut device = torn.clone();
                        device.flash.plan(second, Fault::Cut(second_extent));
                        let cut_short = device.open();
                        let context = (W, sectors, first, first_extent, second, second_extent);
                        let acts = matches!(cut_short, Opened::Sound { .. });
                        assert!(!acts, "{context:?}");
                        let (now, _) = device.boot();
                        assert!([state(6), state(7)].contains(&now), "{context:?}");
                        assert_eq!(device.boot(), (now, 0), "{context:?}");
                        pairs += 1;
                    }
                }
            }
        }
    }
    println!("pairs of cuts with write units of {W}: {pairs}");
}

#[test]
fn a_boot_that_is_cut_while_it_heals_leaves_the_old_state_or_the_new_one() {
    a_second_cut_leaves_the_old_state_or_the_new_one::<8>();
    a_second_cut_leaves_the_old_state_or_the_new_one::<16>();
    a_second_cut_leaves_the_old_state_or_the_new_one::<32>();
}

#[test]
fn the_same_holds_where_single_bytes_or_words_are_torn() {
    a_second_cut_leaves_the_old_state_or_the_new_one::<1>();
    a_second_cut_leaves_the_old_state_or_the_new_one::<4>();
}

#[test]
fn rows_of_cuts_over_a_long_life_lose_nothing_that_was_acted_upon() {
    let mut rows = 0;
    for sectors in 2..=3_u8 {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let mut device = Device::<8>::with_states(sectors, 3);
            device.flash.seed(seed);
            let mut now = state(3);
            for number in 4..40 {
                let mut cut = |device: &mut Device<8>, among: usize| {
                    let extent = Extent::Seeded(random.next());
                    let operation = random.below(among) as u64;
                    device.flash.plan(operation, Fault::Cut(extent));
                };
                cut(&mut device, 6);
                device.write(&state(number)).unwrap_err();
                // A row ends when a boot gets to act; the rules hold for 2 (n - 1) cuts in a row.
                for _ in 1..2 * (sectors - 1) {
                    device.flash.power_on();
                    cut(&mut device, 9);
                    device.open();
                }
                let then = device.boot_to_stay();
                let either = [now, state(number)];
                assert!(
                    either.contains(&then),
                    "{sectors} {seed} {number}: {then:?}"
                );
                now = then;
                rows += 1;
            }
        }
    }
    println!("rows of cuts: {rows}");
}

// ---- Failures without a cut ----

#[test]
fn an_operation_that_fails_is_healed_without_a_reset() {
    fn check<const W: usize>() {
        for sectors in 2..=4 {
            let whole = Device::<W>::with_states(sectors, 6);
            for operation in 0..WRITE_OPERATIONS {
                for extent in extents() {
                    let mut device = whole.clone();
                    device.flash.plan(operation, Fault::Fails(extent));
                    let mut journal = device.journal();
                    journal.open(&mut device.flash, &mut device.watchdog);
                    let flash = (&mut device.flash, &mut device.watchdog);
                    let failed = journal.write(flash.0, flash.1, &state(7));
                    assert_eq!(failed, Err(WriteError::Flash));
                    let refused = journal.write(flash.0, flash.1, &state(8));
                    assert_eq!(refused, Err(WriteError::NotOpen), "open it first");
                    let opened = journal.open(flash.0, flash.1);
                    let Opened::Sound { snapshot, rewrites } = opened else {
                        panic!("{opened:?}");
                    };
                    assert!([state(6), state(7)].contains(&snapshot));
                    assert!(rewrites <= sectors);
                    journal.write(flash.0, flash.1, &state(8)).unwrap();
                    assert_eq!(device.boot_to_stay(), state(8));
                }
            }
        }
    }
    for_every_write_size!(check);
}

#[test]
fn a_program_call_that_lies_is_found_out() {
    // It reports success and one bit is wrong afterwards: stuck at what it was.
    struct Stuck(Flash<8, SECTOR>);
    impl embedded_storage::nor_flash::ErrorType for Stuck {
        type Error = bistable_tests::flash::Error;
    }
    impl embedded_storage::nor_flash::ReadNorFlash for Stuck {
        const READ_SIZE: usize = 1;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
            self.0.read(offset, bytes)?;
            let stuck = (2 * SECTOR + FLOOR).checked_sub(offset as usize);
            if let Some(byte) = stuck.and_then(|at| bytes.get_mut(at)) {
                *byte |= 0x10;
            }
            Ok(())
        }
        fn capacity(&self) -> usize {
            self.0.capacity()
        }
    }
    impl embedded_storage::nor_flash::NorFlash for Stuck {
        const WRITE_SIZE: usize = 8;
        const ERASE_SIZE: usize = SECTOR;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
            self.0.erase(from, to)
        }
        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
            self.0.write(offset, bytes)
        }
    }
    // Floors 16 to 18 have that bit, 32 has not. What lies there must be the oldest.
    let mut device = Device::<8>::with_states(2, 17);
    let mut newest = 17;
    if device.flash.bytes()[2 * SECTOR + FLOOR] == newest {
        newest += 1;
        device.write(&state(newest.into())).unwrap();
    }
    let mut flash = Stuck(device.flash.clone());
    let mut journal = device.journal();
    let opened = journal.open(&mut flash, &mut Fed::default());
    assert!(matches!(opened, Opened::Sound { rewrites: 0, .. }));
    let written = journal.write(&mut flash, &mut Fed::default(), &state(32));
    assert_eq!(written, Err(WriteError::Flash));
    let before = flash.0.counts.operations;
    let opened = journal.open(&mut flash, &mut Fed::default());
    // Four copies of the new state are sound, which proves it; the fifth never will be.
    assert!(
        [newest, 32]
            .map(|number| Opened::GaveUp(state(number.into())))
            .contains(&opened),
        "{opened:?}"
    );
    let written = journal.write(&mut flash, &mut Fed::default(), &state(33));
    assert_eq!(written, Err(WriteError::NotOpen));
    let healing = flash.0.counts.operations - before;
    assert!(
        healing <= 4 * WRITE_OPERATIONS,
        "{healing}: 2n rewrites at most"
    );
}

#[test]
fn a_dead_sector_ends_the_writing_and_not_the_state() {
    fn check<const W: usize>() {
        for sectors in 2..=4_u8 {
            for dead in 0..usize::from(sectors) {
                let mut device = Device::<W>::with_states(sectors, 6);
                device.flash.kill(dead + 1);
                let mut number = 6;
                assert_eq!(device.boot(), (state(number), 0), "nobody noticed yet");
                while device.write(&state(number + 1)).is_ok() {
                    number += 1;
                    assert!(number < 6 + u32::from(sectors), "its turn comes");
                }
                for _ in 0..3 {
                    device.flash.power_on();
                    // An erase that is refused at once leaves the sector whole.
                    assert_eq!(device.boot(), (state(number), 0));
                    assert_eq!(device.write(&state(99)), Err(WriteError::Flash));
                }
            }
        }
    }
    for_every_write_size!(check);
}

#[test]
fn a_sector_that_dies_when_it_is_erased_makes_open_give_up_with_the_state() {
    fn check<const W: usize>() {
        for sectors in 2..=4_u8 {
            for extent in extents().skip(1) {
                let mut device = Device::<W>::with_states(sectors, 6);
                let erases = device.flash.counts.erases.clone();
                device.flash.plan(0, Fault::Fails(extent));
                device.write(&state(7)).unwrap_err();
                let worn = device.flash.counts.erases.iter().zip(erases);
                let dead = worn.into_iter().position(|(now, before)| *now > before);
                device.flash.kill(dead.unwrap());
                for _ in 0..3 {
                    device.flash.power_on();
                    let before = device.operations();
                    let mut journal = device.journal();
                    let opened = journal.open(&mut device.flash, &mut device.watchdog);
                    // Unless the sector happens to read as if nothing had happened to it.
                    if !matches!(opened, Opened::Sound { rewrites: 0, .. }) {
                        assert_eq!(opened, Opened::GaveUp(state(6)), "{extent:?}");
                        let flash = (&mut device.flash, &mut device.watchdog);
                        let written = journal.write(flash.0, flash.1, &state(8));
                        assert_eq!(written, Err(WriteError::NotOpen));
                    }
                    let most = 2 * u64::from(sectors) * WRITE_OPERATIONS;
                    assert!(device.operations() - before <= most);
                }
            }
        }
    }
    for_every_write_size!(check);
}

// ---- At rest ----

#[test]
fn one_flipped_bit_anywhere_is_healed() {
    for sectors in 2..=4_u8 {
        let whole = Device::<8>::with_states(sectors, 6);
        let mut random = Random::new(11);
        for sector in 1..=usize::from(sectors) {
            for copy in 0..usize::from(COPIES) {
                for _ in 0..40 {
                    let byte = sector * SECTOR + copy * SNAPSHOT_LEN + random.below(SNAPSHOT_LEN);
                    let mut device = whole.clone();
                    device.flash.flip(byte, random.below(8) as u8);
                    let (now, rewrites) = device.boot();
                    assert_eq!(now, state(6));
                    assert!(rewrites > 0, "byte {byte} is part of a copy");
                    assert_eq!(device.boot_to_stay(), state(6));
                }
            }
        }
    }
}

#[test]
fn a_unit_that_cannot_be_read_is_healed() {
    fn check<const W: usize>() {
        for sectors in 2..=3_u8 {
            let whole = Device::<W>::with_states(sectors, 6);
            for sector in 1..=usize::from(sectors) {
                for at in (0..usize::from(COPIES) * SNAPSHOT_LEN).step_by(64) {
                    let mut device = whole.clone();
                    device.flash.make_unreadable(sector * SECTOR + at);
                    let (now, rewrites) = device.boot();
                    assert_eq!(now, state(6));
                    assert!(rewrites > 0);
                    assert_eq!(device.boot_to_stay(), state(6));
                }
            }
        }
    }
    for_every_write_size!(check);
}

#[test]
fn a_misread_while_the_journal_heals_changes_no_state() {
    for sector in 1..=3 {
        for copy in 0..usize::from(COPIES) {
            for after in 0..30 {
                let mut device = Device::<8>::with_states(3, 6);
                // The oldest is torn, and must be written again with what the newest says.
                device.flash.put(SECTOR, &[0; SNAPSHOT_LEN]);
                let at = sector * SECTOR + copy * SNAPSHOT_LEN + FLOOR;
                device.flash.misread(at, 4, after);
                device.open();
                assert_eq!(device.boot_to_stay(), state(6), "{sector} {copy} {after}");
            }
        }
    }
}

#[test]
fn a_sector_that_is_gone_altogether_is_written_again() {
    for sectors in 2..=4_u8 {
        let whole = Device::<8>::with_states(sectors, 6);
        for sector in 1..=usize::from(sectors) {
            for junk in [0x00, 0xff, 0x5a] {
                let mut device = whole.clone();
                let before = device.readable();
                device.flash.put(sector * SECTOR, &[junk; SECTOR]);
                // Unless it was the newest: then the one before is what is left.
                let kept = device.readable().contains(&state(6));
                let expected = if kept { state(6) } else { state(5) };
                assert_eq!(device.boot_to_stay(), expected);
                assert!(before.contains(&state(6)));
            }
        }
    }
}

#[test]
fn a_partition_of_arbitrary_bytes_is_lost_and_can_be_formatted() {
    for seed in 0..20 {
        let mut device = Device::<8>::fresh(3);
        let junk = Random::new(seed).bytes(3 * SECTOR);
        device.flash.put(SECTOR, &junk);
        assert_eq!(device.open(), Opened::Lost);
        assert_eq!(device.operations(), 0);
        device.format(&state(1)).unwrap();
        assert_eq!(device.boot_to_stay(), state(1));
    }
}
