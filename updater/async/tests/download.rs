//! A download in a task: beside others, dropped anywhere, and over async flash.

mod common;

use std::cell::Cell;
use std::pin::pin;
use std::task::Poll;

use bistable_async::{Source, download};
use bistable_core::layout::Slot;
use bistable_core::refusal::Refusal;
use bistable_core::state::{Origin, SlotState};
use bistable_tests::device::Device;
use bistable_tests::fixtures::{fields, product, program};
use bistable_tests::images::Built;
use bistable_updater::download::{DownloadError, download as blocking_download};
use bistable_updater::source::{ReadError, Source as _};

use crate::common::{drive, drop_after, poll, wait};

type Board = Device<8, 1024>;

const RUNNING: u32 = 10;

fn board() -> Board {
    Device::new(product().layout, Slot::A, &Built::ordinary(RUNNING))
}

/// An image of two pages and fourteen chunks.
fn image() -> Built {
    let payload = program(7, 14_000);
    Built::new(fields(RUNNING + 1), payload, &[0])
}

/// A file that takes its time, and knows how much of it was asked for.
struct Slow<'f> {
    file: &'f [u8],
    polls: usize,
    asked: &'f Cell<usize>,
}

impl Source for Slow<'_> {
    type Error = std::convert::Infallible;

    async fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        self.asked.set(self.asked.get() + 1);
        wait(self.polls).await;
        self.file.read(offset, buffer)
    }
}

/// Does with `device` what a blocking download does, in a task that waits so often for each part.
fn in_a_task(
    device: &mut Board,
    file: &[u8],
    polls: usize,
) -> Result<(), DownloadError<std::convert::Infallible>> {
    let asked = Cell::new(0);
    let mut source = Slow {
        file,
        polls,
        asked: &asked,
    };
    let mut updater = device.updater();
    let mut chunk = [0; 1024];
    let task = download(
        &mut updater,
        &mut source,
        Origin::Network,
        &mut chunk,
        |_| {},
    );
    drive(task).0
}

#[test]
fn a_download_in_a_task_does_what_the_blocking_one_does() {
    let image = image();
    let mut wrong = image.file.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let short = &image.file[..image.file.len() - 1];
    for file in [&image.file[..], &wrong, short, &image.file[..100], &[]] {
        for polls in [0, 2] {
            let mut blocking = board();
            let outcome = blocking_download(
                &mut blocking.updater(),
                &mut &file[..],
                Origin::Network,
                &mut [0; 1024],
                |_| {},
            );
            let mut device = board();
            assert_eq!(in_a_task(&mut device, file, polls), outcome);
            assert_eq!(device.operations(), blocking.operations());
            assert_eq!(device.slot_bytes(Slot::B), blocking.slot_bytes(Slot::B));
            assert_eq!(device.state(), blocking.state());
        }
    }
    let mut device = board();
    assert_eq!(in_a_task(&mut device, &image.file, 1), Ok(()));
    assert!(device.holds(Slot::B, &image));
    assert!(matches!(device.state().slot(Slot::B), SlotState::Trial(..)));
}

#[test]
fn a_chunk_buffer_that_is_too_small_is_refused() {
    let image = image();
    let mut device = board();
    let mut updater = device.updater();
    let asked = Cell::new(0);
    let mut source = Slow {
        file: &image.file,
        polls: 0,
        asked: &asked,
    };
    let mut small = [0; 100];
    let task = download(
        &mut updater,
        &mut source,
        Origin::Network,
        &mut small,
        |_| {},
    );
    let refused = drive(task).0.unwrap_err();
    let refusal = Refusal::ChunkSize;
    assert!(matches!(refused, DownloadError::Refused { refusal: found, .. } if found == refusal));
}

#[test]
fn between_two_parts_the_others_go_on() {
    let image = image();
    let mut device = board();
    let mut updater = device.updater();
    let asked = Cell::new(0);
    let mut source = Slow {
        file: &image.file,
        polls: 0,
        asked: &asked,
    };
    let mut chunk = [0; 1024];
    let parts = image.pages.len() + 14;
    let mut task = pin!(download(
        &mut updater,
        &mut source,
        Origin::Network,
        &mut chunk,
        |_| {}
    ));
    // The source never has to be waited for; the header comes along with the first part.
    for turn in 0..parts {
        assert_eq!(poll(task.as_mut()), Poll::Pending);
        assert_eq!(asked.get(), turn + 2, "one part in one turn");
    }
    // Then everything is verified, and then it is activated.
    assert_eq!(poll(task.as_mut()), Poll::Pending);
    assert_eq!(poll(task.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn a_download_that_is_dropped_anywhere_goes_on_where_it_was() {
    let image = image();
    let whole = 1 + image.pages.len() + 14;
    let mut finished = false;
    for polls in 0..80 {
        let mut device = board();
        let mut updater = device.updater();
        let asked = Cell::new(0);
        let mut source = Slow {
            file: &image.file,
            polls: 3,
            asked: &asked,
        };
        let mut chunk = [0; 1024];
        let dropped = drop_after(
            polls,
            download(
                &mut updater,
                &mut source,
                Origin::Network,
                &mut chunk,
                |_| {},
            ),
        );
        finished = dropped.is_some();
        if !finished {
            let again = download(
                &mut updater,
                &mut source,
                Origin::Network,
                &mut chunk,
                |_| {},
            );
            assert_eq!(drive(again).0, Ok(()), "after {polls} polls");
            // The header, and the part that was under way.
            assert!(asked.get() <= whole + 2, "after {polls} polls");
        }
        assert_eq!(device.erases(Slot::B)[..15], [1; 15], "after {polls} polls");
        assert!(device.holds(Slot::B, &image));
        assert!(matches!(device.state().slot(Slot::B), SlotState::Trial(..)));
    }
    assert!(finished, "it is ready in the end");
}
