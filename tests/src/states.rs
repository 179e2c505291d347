//! Small sets of values from which tests enumerate every state of a device.

use bistable_core::digest::Digest;
use bistable_core::keys::Revoked;
use bistable_core::layout::Slot;
use bistable_core::state::{Budget, Image, Origin, Reason, Rejection, SlotState, Snapshot};

/// An image by number: 2 and 3 have the same sequence, each other number its own.
#[must_use]
pub fn image(number: u8) -> Image {
    Image {
        digest: Digest([number; Digest::LEN]),
        sequence: match number {
            3 => 20,
            number => u32::from(number) * 10,
        },
        origin: Origin::Network,
    }
}

/// Every slot state over these images and this many attempts and power-ons left.
#[must_use]
pub fn slot_states(images: &[u8], left: &[(u8, u8)]) -> Vec<SlotState> {
    let mut states = vec![SlotState::Empty];
    for image in images.iter().map(|number| image(*number)) {
        states.extend([
            SlotState::Receiving(image),
            SlotState::Confirmed(image),
            SlotState::Rejected(image, Reason::CrashLoop.code()),
            SlotState::Rejected(image, Reason::CheckFailed(7).code()),
        ]);
        for (attempts, power) in left.iter().copied() {
            states.extend([false, true].map(|booted| {
                let budget = Budget {
                    attempts,
                    power,
                    booted,
                };
                SlotState::Trial(image, budget)
            }));
        }
    }
    states
}

/// Every pair of these slot states with either slot active; most are sound.
pub fn snapshots(states: &[SlotState]) -> impl Iterator<Item = Snapshot> + '_ {
    let pairs = states.iter().flat_map(|a| states.iter().map(|b| [*a, *b]));
    pairs.flat_map(|slots| {
        Slot::BOTH.map(|active| Snapshot {
            slots,
            ..Snapshot::with_confirmed(active, image(1), 0)
        })
    })
}

/// The same slots with other things remembered: nothing; a floor and one rejected image; a full list of
/// them, with the last to be forgotten above and below what was forgotten before.
#[must_use]
pub fn with_histories(snapshot: Snapshot) -> [Snapshot; 4] {
    let rejected = |numbers: [u8; 4]| {
        numbers.map(|number| {
            (number > 0).then(|| Rejection {
                digest: image(number).digest,
                sequence: image(number).sequence,
                reason: Reason::DeadlineOver.code(),
            })
        })
    };
    [
        Snapshot {
            floor: 0,
            ..snapshot
        },
        Snapshot {
            floor: 5,
            revoked: Revoked(0b1),
            rejected: rejected([2, 0, 0, 0]),
            schema: 3,
            ..snapshot
        },
        Snapshot {
            floor: 9,
            revoked: Revoked(0b110),
            rejected: rejected([8, 2, 7, 9]),
            forgotten: 15,
            schema: 1,
            ..snapshot
        },
        Snapshot {
            floor: 9,
            revoked: Revoked(0b110),
            rejected: rejected([8, 2, 7, 9]),
            forgotten: 95,
            schema: 1,
            ..snapshot
        },
    ]
}
