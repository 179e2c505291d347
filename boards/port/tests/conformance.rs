//! The conformance suite over each adapter, on drivers that behave as those of the HALs.

mod hal;

use std::cell::RefCell;
use std::ops::Range;

use bistable_conformance::{FlashFacts, flash, handles};
use bistable_core::watchdog::Watchdog;
use bistable_port::flash::{Aligned, Coarse, Either, Part, Shared};
use embedded_storage::nor_flash::NorFlash;
use hal::{Chip, Qspi, Stm32};

const KIB: usize = 1024;
const K: u32 = 1024;

/// An STM32F407's sectors, all but the last four.
const STM32F4: [usize; 8] = [
    16 * KIB,
    16 * KIB,
    16 * KIB,
    16 * KIB,
    64 * KIB,
    128 * KIB,
    128 * KIB,
    128 * KIB,
];

struct Unwatched;

impl Watchdog for Unwatched {
    fn feed(&mut self) {}
}

/// The suite in this range, and what it says about the sizes: to read, to write, to erase.
fn sizes<F: NorFlash>(mut adapter: F, scratch: Range<u32>) -> (u32, u32, u32) {
    let facts: FlashFacts = match flash(&mut adapter, scratch, &mut Unwatched) {
        Ok(facts) => facts,
        Err(breach) => panic!("{breach}"),
    };
    (facts.read_size, facts.write_size, facts.erase_size)
}

#[test]
fn a_region_alone_does_not_pass_and_its_part_is_needed() {
    let ends_well = |scratch: Range<u32>| {
        std::panic::catch_unwind(|| {
            let mut region = Stm32::<4, { 16 * KIB }> {
                chip: Chip::new(&STM32F4),
                base: 0,
                size: 64 * K,
            };
            flash(&mut region, scratch, &mut Unwatched)
        })
    };
    // It goes where a sum of 32 bits has overflowed to; a fault on a chip.
    for scratch in [0..32 * K, 32 * K..64 * K] {
        assert!(!matches!(ends_well(scratch), Ok(Ok(_))));
    }
}

#[test]
fn a_part_of_each_region_of_an_stm32f4_passes_in_the_middle_and_at_its_end() {
    let chip = Chip::new(&STM32F4);
    let small = || Stm32::<4, { 16 * KIB }> {
        chip: chip.clone(),
        base: 0,
        size: 64 * K,
    };
    assert_eq!(sizes(Part::whole(small()), 16 * K..48 * K), (1, 4, 16 * K));
    // The journal's sectors, at the seam to the middle one.
    let journal = Part::new(small(), 32 * K..64 * K);
    assert_eq!(sizes(journal, 0..32 * K), (1, 4, 16 * K));
    let large = || Stm32::<4, { 128 * KIB }> {
        chip: chip.clone(),
        base: 128 * K,
        size: 384 * K,
    };
    let slot = Part::new(large(), 128 * K..384 * K);
    assert_eq!(sizes(slot, 0..256 * K), (1, 4, 128 * K));
}

#[test]
fn uneven_sectors_pass_as_even_ones() {
    // The whole chip, which says the largest sector's size.
    let whole = Stm32::<4, { 128 * KIB }> {
        chip: Chip::new(&STM32F4),
        base: 0,
        size: 512 * K,
    };
    let (first, last) = (0..256 * K, 256 * K..512 * K);
    assert_eq!(sizes(Part::whole(whole.clone()), first), (1, 4, 128 * K));
    assert_eq!(sizes(Part::whole(whole), last), (1, 4, 128 * K));
    // One that says the smallest's.
    let coarse = |end| {
        let whole = Stm32::<4, { 16 * KIB }> {
            chip: Chip::new(&STM32F4),
            base: 0,
            size: 512 * K,
        };
        Coarse::<_, { 128 * KIB }>::new(Part::new(whole, 0..end))
    };
    assert_eq!(sizes(coarse(512 * K), 0..256 * K), (1, 4, 128 * K));
    assert_eq!(sizes(coarse(500 * K), 128 * K..384 * K), (1, 4, 128 * K));
}

#[test]
fn writes_of_32_bytes_pass() {
    let h7 = Stm32::<32, { 128 * KIB }> {
        chip: Chip::new(&[128 * KIB; 3]),
        base: 0,
        size: 384 * K,
    };
    assert_eq!(sizes(Part::whole(h7), 128 * K..384 * K), (1, 32, 128 * K));
}

#[test]
fn qspi_passes_through_a_part_and_an_aligned_buffer() {
    let qspi = || Part::whole(Aligned::<_, 256>::new(Qspi(Chip::new(&[4096; 8]))));
    assert_eq!(sizes(qspi(), 4 * K..16 * K), (4, 4, 4 * K));
    assert_eq!(sizes(qspi(), 24 * K..32 * K), (4, 4, 4 * K));
}

#[test]
fn slots_in_two_flashes_pass_in_both() {
    type Internal = Part<Stm32<8, { 8 * KIB }>>;
    type Slot = Either<Internal, Part<Aligned<Qspi>>>;
    let internal = Stm32 {
        chip: Chip::new(&[8 * KIB; 4]),
        base: 0,
        size: 32 * K,
    };
    let qspi = Part::whole(Aligned::new(Qspi(Chip::new(&[4096; 8]))));
    for slot in [Slot::First(Part::whole(internal)), Slot::Second(qspi)] {
        assert_eq!(sizes(slot, 8 * K..32 * K), (4, 8, 8 * K));
    }
}

#[test]
fn handles_of_one_driver_pass() {
    let driver = RefCell::new(Part::whole(Stm32::<8, 2048> {
        chip: Chip::new(&[2048; 4]),
        base: 0,
        size: 8 * K,
    }));
    let (mut one, mut other) = (Shared::new(&driver), Shared::new(&driver));
    handles(&mut one, &mut other, 2048..4096, &mut Unwatched).unwrap();
    assert_eq!(sizes(one, 2048..8192), (1, 8, 2048));
}
