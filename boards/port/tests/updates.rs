//! Updates on chips whose flash is no row of equal sectors: from A to B and back to A, with the power cut at each
//! operation of each flash, once and twice in a row.

mod mixed;

use bistable_core::layout::{Layout, Slot};
use bistable_tests::device::{Cut, image_for};
use bistable_tests::flash::Extent;
use bistable_tests::images::Built;
use mixed::{Chip, Medium, Mixed};

const KIB: usize = 1024;

/// Internal flash of an STM32H7 with slot A, and a QSPI part with slot B and the journal.
type TwoFlashes = Mixed<Chip<4, { 4 * KIB }>, Chip<32, { 128 * KIB }>, Chip<4, { 4 * KIB }>>;

/// An STM32F4: the journal in sectors of 16 KiB, both slots in those of 128 KiB.
type Uneven = Mixed<Chip<4, { 16 * KIB }>, Chip<4, { 128 * KIB }>, Chip<4, { 128 * KIB }>>;

/// An STM32H7: 128 KiB and 32 bytes everywhere.
type WideWrites = Mixed<Chip<32, { 128 * KIB }>, Chip<32, { 128 * KIB }>, Chip<32, { 128 * KIB }>>;

/// Bytes of a payload: it ends in a slot's second sector of 128 KiB, in the middle of a chunk.
const LEN: usize = 132 * KIB + 352;

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

/// A kind of device: what makes one.
type Make<J, A, B> = fn(&'static Layout, &Built) -> Mixed<J, A, B>;

/// No sector was erased more than once, and once more for each cut.
fn wears_little<J: Medium, A: Medium, B: Medium>(device: &Mixed<J, A, B>, cuts: u64) {
    for slot in Slot::BOTH {
        let most = device.erases(slot).into_iter().max();
        assert!(
            most <= Some(1 + cuts),
            "slot {slot:?}: {most:?} erases, {cuts} cuts"
        );
    }
}

/// From the factory's image in A over one in B to one in A again, with a cut at each operation, each time afresh; and
/// where `again` says so, another one as many operations into what follows.
fn every_cut<J: Medium, A: Medium, B: Medium>(make: Make<J, A, B>, again: Option<u64>) {
    let layout = Mixed::<J, A, B>::layout();
    let images = [1, 2, 3].map(|sequence| image_for(layout, sequence, sequence.into(), LEN));
    let mut device = make(layout, &images[0]);
    assert_eq!(device.lives(&images, |_, _| {}), 0);
    wears_little(&device, 0);
    let operations = device.operations();
    // Two kinds of cuts for each operation, and others for its neighbours.
    let kinds = if again.is_some() { 1 } else { 2 };
    let mut two_cuts = 0;
    for number in 0..operations {
        for kind in 0..kinds {
            let cut = |nth: u64| CUTS[((number + nth + 4 * kind) % 8) as usize];
            let mut device = make(layout, &images[0]);
            device.seed(number);
            device.cut(number, cut(0));
            let cuts = device.lives(&images, |device, cuts| {
                if let (1, Some(later)) = (cuts, again) {
                    device.cut(device.operations() + later, cut(1 + later));
                }
            });
            assert!(cuts > 0, "operation {number} was not cut");
            two_cuts += u64::from(cuts == 2);
            wears_little(&device, cuts);
        }
    }
    if let Some(later) = again {
        // Behind the last ones nothing is left to cut.
        assert!(
            two_cuts + later + 1 >= operations,
            "{two_cuts} of {operations}"
        );
    }
    println!("{operations} operations, {kinds} cuts each, {two_cuts} times another one");
}

#[test]
fn slots_in_two_flashes_survive_every_cut() {
    every_cut(TwoFlashes::new, None);
}

#[test]
fn slots_in_two_flashes_survive_two_cuts_in_a_row() {
    // In the healing of the journal, in the first erases, and in the middle.
    for later in [0, 9, 40] {
        every_cut(TwoFlashes::new, Some(later));
    }
}

#[test]
fn uneven_sectors_survive_every_cut_and_two_in_a_row() {
    every_cut(Uneven::new, None);
    for later in [0, 5] {
        every_cut(Uneven::new, Some(later));
    }
}

#[test]
fn units_of_32_bytes_in_sectors_of_128k_survive_every_cut_and_two_in_a_row() {
    every_cut(WideWrites::new, None);
    for later in [0, 5] {
        every_cut(WideWrites::new, Some(later));
    }
}
