//! Each adapter against a plain model, with every call that a small flash can be asked for, and what is worst.

mod hal;

use std::cell::RefCell;

use bistable_port::flash::{Aligned, Coarse, Either, EitherError, Error, Part, Shared};
use embedded_storage::nor_flash::{
    NorFlash, NorFlashError as _, NorFlashErrorKind as Kind, ReadNorFlash,
};
use hal::{Chip, Failed, Qspi, Stm32};

/// A chip of eight sectors of 8 bytes, behind a driver that checks next to nothing.
type Small = Stm32<2, 8>;

fn small() -> Small {
    Stm32 {
        chip: Chip::new(&[8; 8]),
        base: 0,
        size: 64,
    }
}

/// What a flash of `size` bytes that keeps the contract says.
fn erased(size: u32, sector: u32, from: u32, to: u32) -> Result<(), Kind> {
    match () {
        () if from > to || to > size => Err(Kind::OutOfBounds),
        () if !from.is_multiple_of(sector) || !to.is_multiple_of(sector) => Err(Kind::NotAligned),
        () => Ok(()),
    }
}

/// The same of reads and writes.
fn moved(size: u32, unit: u32, offset: u32, length: u32) -> Result<(), Kind> {
    match () {
        () if u64::from(offset) + u64::from(length) > size.into() => Err(Kind::OutOfBounds),
        () if !offset.is_multiple_of(unit) || !length.is_multiple_of(unit) => Err(Kind::NotAligned),
        () => Ok(()),
    }
}

/// Offsets that matter: all of a small flash, some behind it, and those at the end of 32 bits.
fn offsets() -> impl Iterator<Item = u32> {
    (0..80).chain(u32::MAX - 72..=u32::MAX)
}

/// Asks the adapter, which lies from `start` on in the chip, for everything, and compares what comes of it.
fn exhausts<F: NorFlash>(make: impl Fn(Small) -> F, start: usize, size: usize, sector: u32) {
    let chip = small();
    let mut flash = make(chip.clone());
    assert_eq!(flash.capacity(), size);
    let mut expected = chip.chip.borrow().cells.clone();
    let (before, done) = (expected.clone(), size as u32);
    for (from, to) in offsets().flat_map(|from| offsets().map(move |to| (from, to))) {
        let outcome = flash.erase(from, to).map_err(|error| error.kind());
        assert_eq!(
            outcome,
            erased(done, sector, from, to),
            "{from:#x}..{to:#x}"
        );
        if outcome.is_ok() {
            expected[start..][from as usize..to as usize].fill(0xFF);
        }
        assert_eq!(chip.chip.borrow().cells, expected, "{from:#x}..{to:#x}");
    }
    let unit = F::WRITE_SIZE as u32;
    for (offset, length) in offsets().flat_map(|at| (0..66).map(move |length| (at, length))) {
        flash.erase(0, done).unwrap();
        expected[start..][..size].fill(0xFF);
        let bytes: Vec<u8> = (0..length).map(|at| at as u8 ^ 0x55).collect();
        let outcome = flash.write(offset, &bytes).map_err(|error| error.kind());
        let what = moved(done, unit, offset, length);
        assert_eq!(outcome, what, "{length} bytes at {offset:#x}");
        if outcome.is_ok() {
            expected[start..][offset as usize..][..length as usize].copy_from_slice(&bytes);
        }
        assert_eq!(chip.chip.borrow().cells, expected);
        let mut read = vec![0; length as usize];
        let outcome = flash.read(offset, &mut read).map_err(|error| error.kind());
        assert_eq!(outcome, moved(done, F::READ_SIZE as u32, offset, length));
        if outcome.is_ok() {
            let there = &expected[start..][offset as usize..][..length as usize];
            assert_eq!(read, there);
        }
    }
    assert_eq!(before[..start], expected[..start]);
    assert_eq!(before[start + size..], expected[start + size..]);
}

#[test]
fn every_call_of_every_adapter_does_what_a_plain_flash_does_and_touches_nothing_else() {
    exhausts(Part::whole, 0, 64, 8);
    exhausts(|flash| Part::new(flash, 16..48), 16, 32, 8);
    exhausts(|flash| Part::new(flash, 56..u32::MAX), 56, 8, 8);
    exhausts(Coarse::<_, 16>::new, 0, 64, 16);
    // What is left over at the end makes no whole sector.
    exhausts(Coarse::<_, 24>::new, 0, 48, 24);
    let second = |flash| Either::<Stm32<4, 16>, Small>::Second(flash);
    exhausts(second, 0, 64, 16);
    exhausts(Aligned::<_, 12>::new, 0, 64, 8);
    // And on top of each other.
    let stacked = |flash| {
        let part = Part::new(Aligned::<_, 4>::new(flash), 8..60);
        second_of_three(Coarse::<_, 16>::new(part))
    };
    exhausts(stacked, 8, 48, 16);
}

fn second_of_three<F: NorFlash>(flash: F) -> Either<Small, Either<F, Small>> {
    Either::Second(Either::First(flash))
}

#[test]
fn an_erase_across_the_seam_of_two_regions_leaves_the_neighbour_alone() {
    let region = small();
    let first = Stm32::<2, 8> {
        size: 32,
        ..region.clone()
    };
    let before = region.chip.borrow().cells.clone();
    // The driver itself goes on in the next region, as embassy-stm32's does.
    first.clone().erase(24, 40).unwrap();
    assert_ne!(region.chip.borrow().cells[32..40], before[32..40]);

    let after = region.chip.borrow().cells.clone();
    let mut part = Part::whole(first);
    assert_eq!(part.erase(24, 40), Err(Error::OutOfBounds));
    assert_eq!(part.write(30, &[0; 4]), Err(Error::OutOfBounds));
    assert_eq!(region.chip.borrow().cells, after);
}

#[test]
fn a_write_whose_end_overflows_never_reaches_the_driver() {
    let driver = small();
    // 0xFFFF_FFFC + 8 is 4 in 32 bits: the driver lets it through and touches what is not there.
    let touches = std::panic::catch_unwind(|| {
        let _ = small().write(0xFFFF_FFFC, &[0xFF; 8]);
    });
    assert!(touches.is_err());
    let mut part = Part::whole(driver);
    assert_eq!(part.write(0xFFFF_FFFC, &[0xFF; 8]), Err(Error::OutOfBounds));
    assert_eq!(part.read(0xFFFF_FFFC, &mut [0; 8]), Err(Error::OutOfBounds));
    assert_eq!(part.erase(0xFFFF_FFF8, 0), Err(Error::OutOfBounds));
}

#[test]
fn a_part_that_begins_within_a_sector_cannot_be_erased() {
    let driver = small();
    let before = driver.chip.borrow().cells.clone();
    let mut part = Part::new(driver.clone(), 4..64);
    assert_eq!(part.erase(0, 8), Err(Error::NotAligned));
    let mut part = Part::new(driver.clone(), 3..64);
    assert_eq!(part.write(0, &[0; 2]), Err(Error::NotAligned));
    assert_eq!(driver.chip.borrow().cells, before);
}

#[test]
fn a_part_that_lies_outside_is_empty() {
    for range in [64..128, 100..u32::MAX, u32::MAX..u32::MAX] {
        let mut part = Part::new(small(), range);
        assert_eq!(part.capacity(), 0);
        assert_eq!(part.write(0, &[0; 2]), Err(Error::OutOfBounds));
        assert_eq!(part.erase(0, 8), Err(Error::OutOfBounds));
    }
}

#[test]
fn what_an_adapter_refuses_is_told_from_what_the_flash_says() {
    let mut slot = Either::<Part<Small>, Qspi>::First(Part::whole(small()));
    assert_eq!(
        slot.erase(0, 8),
        Err(Error::NotAligned),
        "the other has larger sectors"
    );
    assert_eq!(slot.erase(0, 4096), Err(Error::OutOfBounds));
    let refused = slot.write(0, &[0; 4]).unwrap_err();
    let from_below = Error::Flash(EitherError::First(Error::Flash(Failed::Chip)));
    assert_eq!((refused, refused.kind()), (from_below, Kind::Other));
    assert_eq!(slot.write(2, &[0; 4]), Err(Error::NotAligned));
}

#[test]
fn either_has_the_larger_sizes_of_both() {
    type Slots = Either<Stm32<32, 0x2_0000>, Qspi>;
    let sizes = (Slots::WRITE_SIZE, Slots::ERASE_SIZE);
    assert_eq!(sizes, (32, 0x2_0000));
    assert_eq!(Slots::READ_SIZE, 4);
}

#[test]
fn handles_of_a_shared_flash_see_the_same_and_one_that_is_held_is_in_use() {
    let driver = RefCell::new(small());
    let (mut one, mut other) = (Shared::new(&driver), Shared::new(&driver));
    one.erase(0, 8).unwrap();
    other.write(0, &[1, 2]).unwrap();
    let mut bytes = [0; 4];
    one.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 0xFF, 0xFF]);

    let _held = driver.borrow_mut();
    assert_eq!(one.read(0, &mut bytes), Err(Error::InUse));
    assert_eq!(one.erase(0, 8), Err(Error::InUse));
    assert_eq!(other.write(8, &[1, 2]), Err(Error::InUse));
}

#[test]
fn buffers_at_any_address_reach_a_driver_that_wants_words() {
    let chip = Chip::new(&[4096; 2]);
    let mut flash = Aligned::<_, 64>::new(Qspi(chip.clone()));
    flash.erase(0, 4096).unwrap();
    let bytes: [u8; 204] = core::array::from_fn(|at| at as u8);
    for skipped in 0..4 {
        let at = 400 * skipped as u32;
        flash.write(at, &bytes[skipped..][..200]).unwrap();
        let mut read = [0; 204];
        flash.read(at, &mut read[skipped..][..200]).unwrap();
        assert_eq!(read[skipped..][..200], bytes[skipped..][..200]);
    }
}
