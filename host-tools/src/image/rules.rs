//! The rules of the design that the checks of an image follow, each in a sentence.

use crate::image::concern::Concern;

pub(super) const JOURNAL: &str = "A journal that cannot be made whole takes no update.";
pub(super) const HEADER: &str = "Every decoder rejects trailing bytes, unknown versions, values out of range and non-zero padding.";
pub(super) const SIGNATURES: &str = "Every manifest needs the release threshold, one that revokes keys the root threshold too; with its \
     own revocations applied each role keeps a full threshold of keys.";
pub(super) const IDS: &str =
    "Vendor id, class id and layout digest match the board, at install and at boot.";
pub(super) const SIZE: &str = "An image fits into a slot, behind the layout's payload offset.";
pub(super) const BOOTLOADER: &str =
    "The manifest names the oldest bootloader that the image runs under.";
pub(super) const FLOOR: &str = "Boot: the security counter is not below the floor.";
pub(super) const SCHEMA: &str = "The image can read the present data schema.";
pub(super) const CHUNK_SIZE: &str =
    "A chunk fits into the updater's RAM, and the payload's offset is a multiple of it.";
pub(super) const INSTALL: &str = "Install: another image than the one that runs, not among the last four rejected ones, and its \
     sequence above that of the running image and of each rejected one that was forgotten.";
pub(super) const UNITS: &str =
    "Every write unit is programmed once per erase: the payload is whole units long.";
pub(super) const STATE: &str =
    "An image is received while the running one is confirmed, and gives way only to a newer one.";
pub(super) const PAGES: &str = "Each page is verified before it is believed: its digest is in the manifest, or in the page before.";
pub(super) const CHUNKS: &str =
    "Each chunk is verified before it is written, as it will lie in its slot.";
pub(super) const LENGTH: &str = "The file ends with its last chunk.";
pub(super) const SLOT: &str = "The whole payload is verified before it is activated and at every boot; reset vector and stack \
     pointer, or first instruction, suit the board.";

/// The parts of a file behind the header.
pub(super) const PARTS: [(&str, &str); 3] =
    [("pages", PAGES), ("chunks", CHUNKS), ("length", LENGTH)];

/// All checks that need a header.
pub(super) const BEHIND_THE_HEADER: [(&str, &str); 20] = {
    let mut checks = [("", ""); 20];
    checks[0] = ("signatures", SIGNATURES);
    let mut number = 0;
    while number < Concern::ALL.len() {
        let (check, rule, _) = Concern::ALL[number].facts();
        checks[1 + number] = (check, rule);
        number += 1;
    }
    checks[13] = ("units", UNITS);
    checks[14] = ("state", STATE);
    checks[15] = PARTS[0];
    checks[16] = PARTS[1];
    checks[17] = PARTS[2];
    checks[18] = ("slot A", SLOT);
    checks[19] = ("slot B", SLOT);
    checks
};
