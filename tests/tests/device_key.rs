//! A key that a device makes for itself: a cut loses none that was used, and a whole one is never replaced.

use bistable_core::layout::Partition;
use bistable_tests::board::Fed;
use bistable_tests::flash::{Extent, Fault, Flash};
use bistable_updater::device_key::{DeviceKey as _, NoKey, SoftwareKey, encode};

const SECTOR: usize = 1024;

/// The second of three sectors.
const PLACE: Partition = Partition {
    offset: SECTOR as u32,
    size: SECTOR as u32,
};

type Chip<const W: usize> = Flash<W, SECTOR>;

/// Nobody can guess it, for the test's purpose.
fn random(number: u8) -> [u8; 32] {
    core::array::from_fn(|place| number.wrapping_add(place as u8))
}

fn fresh<const W: usize>(seed: u64) -> Chip<W> {
    let mut flash = Flash::new(3);
    flash.seed(seed);
    flash
}

fn boot<const W: usize>(flash: &mut Chip<W>, number: u8) -> Result<[u8; 32], NoKey> {
    let key = SoftwareKey::load_or_make(PLACE, || Some(random(number)), flash, &mut Fed::default());
    key.map(|key| key.public())
}

fn public(number: u8) -> [u8; 32] {
    SoftwareKey::from_seed(random(number)).public()
}

#[test]
fn a_key_is_made_once_and_nothing_beside_it_is_touched() {
    fn check<const W: usize>() {
        let mut flash = fresh::<W>(7);
        assert!(SoftwareKey::load(PLACE, &mut flash).is_none());
        assert_eq!(boot(&mut flash, 1), Ok(public(1)));
        let operations = flash.counts.operations;
        for number in 2..5 {
            flash.power_on();
            assert_eq!(boot(&mut flash, number), Ok(public(1)));
        }
        assert_eq!(flash.counts.operations, operations);
        assert_eq!(flash.counts.erases, [0, 1, 0]);
        let loaded = SoftwareKey::load(PLACE, &mut flash).unwrap();
        assert_eq!(loaded.public(), public(1));
    }
    check::<1>();
    check::<4>();
    check::<16>();
    check::<32>();
}

#[test]
fn the_key_that_a_factory_wrote_stays() {
    let mut flash = fresh::<4>(7);
    flash.put(SECTOR, &encode(&random(9)));
    assert_eq!(boot(&mut flash, 1), Ok(public(9)));
    assert_eq!(flash.counts.operations, 0);
}

/// One cut, anywhere, and torn units that read otherwise at each boot: whatever key was used first is used ever after.
#[test]
fn no_cut_loses_a_key_that_was_used() {
    fn check<const W: usize>() {
        for operation in 0..3 {
            for extent in Extent::SOME {
                for seed in 0..16 {
                    let mut flash = fresh::<W>(seed);
                    flash.plan(operation, Fault::Cut(extent));
                    assert_eq!(boot(&mut flash, 1), Err(NoKey::Flash));
                    let mut used = None;
                    for number in 2..12 {
                        flash.power_on();
                        let key = boot(&mut flash, number).unwrap();
                        assert_eq!(
                            *used.get_or_insert(key),
                            key,
                            "{operation} {extent:?} {seed}"
                        );
                    }
                }
            }
        }
    }
    check::<4>();
    check::<32>();
}

#[test]
fn what_fails_is_no_key_and_the_next_boot_makes_one() {
    for operation in 0..3 {
        for extent in Extent::SOME {
            let mut flash = fresh::<8>(3);
            flash.plan(operation, Fault::Fails(extent));
            assert_eq!(boot(&mut flash, 1), Err(NoKey::Flash));
            flash.power_on();
            let key = boot(&mut flash, 2).unwrap();
            assert!([public(1), public(2)].contains(&key));
            flash.power_on();
            assert_eq!(boot(&mut flash, 3), Ok(key));
        }
    }
}

#[test]
fn a_generator_that_does_not_run_gives_no_key() {
    let seeds = [None, Some([0; 32]), Some([0xFF; 32])];
    for seed in seeds {
        let mut flash = fresh::<8>(3);
        let key = SoftwareKey::load_or_make(PLACE, || seed, &mut flash, &mut Fed::default());
        assert_eq!(key.err(), Some(NoKey::NoSeed));
        assert_eq!(flash.counts.operations, 0);
    }
}

#[test]
fn a_bit_that_flips_in_the_key_is_mended_from_its_draft() {
    let mut flash = fresh::<8>(3);
    assert_eq!(boot(&mut flash, 1), Ok(public(1)));
    flash.flip(SECTOR + 20, 3);
    assert_eq!(boot(&mut flash, 2), Ok(public(1)));
    assert_eq!(flash.counts.erases, [0, 2, 0]);
}

#[test]
fn a_partition_that_is_too_short_is_refused_before_it_is_erased() {
    let mut flash = fresh::<8>(3);
    let short = Partition { size: 64, ..PLACE };
    let key = SoftwareKey::load_or_make(short, || Some(random(1)), &mut flash, &mut Fed::default());
    assert_eq!(key.err(), Some(NoKey::Flash));
    assert_eq!(flash.counts.operations, 0);
}
