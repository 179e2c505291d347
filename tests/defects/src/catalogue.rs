//! The defects: their names, which are kept, and what each one does.

/// A deliberate defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defect {
    /// Its name, which never changes.
    pub name: &'static str,
    /// What the code does while it is awake, in one line.
    pub what: &'static str,
}

const fn defect(name: &'static str, what: &'static str) -> Defect {
    Defect { name, what }
}

/// All of them: the journal's, then those of the other rooms in the order in which an update meets them.
pub const DEFECTS: &[Defect] = &[
    // The journal.
    defect(
        "nothing-healed",
        "open acts on the snapshot that counts and rewrites nothing",
    ),
    defect(
        "acts-before-it-is-healed",
        "open acts after one rewrite, whole or not",
    ),
    defect(
        "only-the-newest-is-healed",
        "the journal counts as whole if its newest sector is",
    ),
    defect(
        "whole-at-three-copies",
        "a sector counts as whole when it has three valid copies",
    ),
    defect(
        "healed-in-place",
        "a torn current sector is erased and written again where it lies",
    ),
    defect(
        "dead-sector-tried-again",
        "a sector whose rewrite failed is the next one to be rewritten, while others are torn",
    ),
    defect(
        "oldest-is-always-the-target",
        "healing rewrites the oldest sector before an unfinished newer one",
    ),
    defect(
        "all-torn-ones-erased-first",
        "healing begins with an erase of every other sector that is not whole",
    ),
    defect(
        "one-copy-is-enough",
        "one valid copy proves that a write was finished",
    ),
    defect(
        "all-copies-are-needed",
        "only five valid copies prove that a write was finished",
    ),
    defect(
        "weak-copies-are-lost",
        "with no sector of three valid copies the journal is lost",
    ),
    defect(
        "newest-of-the-weak",
        "if all sectors are weak, the newest counts and not the oldest",
    ),
    defect(
        "newest-by-position",
        "of several strong sectors the last one counts, not the highest sequence",
    ),
    defect(
        "sequence-not-increased",
        "a write takes the highest sequence number that is there, not the next",
    ),
    defect(
        "checksum-not-checked",
        "a copy is valid whatever its checksum says",
    ),
    defect(
        "blank-not-erased",
        "a journal sector that reads as blank is not erased before it is written",
    ),
    defect(
        "one-copy-is-success",
        "a write whose first copy can be read reports success, though a later one failed",
    ),
    defect(
        "errors-ignored",
        "a write reports success although erase, program or read-back failed",
    ),
    defect(
        "others-erased-after-a-write",
        "after a write all the other sectors are erased",
    ),
    // Booting.
    defect(
        "signatures-not-checked",
        "an image in a slot boots without signatures",
    ),
    defect(
        "revocations-ignored-at-boot",
        "the signatures of revoked keys count at boot",
    ),
    defect(
        "floor-ignored-at-boot",
        "the bootloader knows only the factory's floor",
    ),
    defect(
        "payload-not-verified",
        "an image is verified by its header alone",
    ),
    defect(
        "active-payload-not-verified",
        "the payload of the active slot is not verified at boot",
    ),
    defect(
        "budget-not-checked",
        "a trial is started though its budget is used up",
    ),
    defect(
        "power-budget-not-counted",
        "the start of a trial after a loss of power costs nothing",
    ),
    defect(
        "attempt-recorded-after-the-jump",
        "the start of a trial is recorded by the image that was started",
    ),
    defect(
        "trial-started-unrecorded",
        "a trial is started though its start could not be written",
    ),
    defect(
        "trial-without-a-journal",
        "a trial is started though the journal gave up",
    ),
    defect(
        "broken-trial-kept",
        "a trial that failed verification stays a trial",
    ),
    defect("every-boot-recorded", "each boot writes the journal"),
    // The verdict on a trial.
    defect(
        "floor-rises-at-activation",
        "the floor rises when an image is activated, not when it is confirmed",
    ),
    defect(
        "floor-replaced",
        "a confirmation sets the floor, even to a lower one",
    ),
    defect(
        "revocations-replaced",
        "a confirmation forgets the keys that were revoked before",
    ),
    defect(
        "confirmed-but-not-active",
        "a confirmation leaves the other slot active",
    ),
    defect(
        "rejected-whatever-the-other-is",
        "a trial is rejected though the other image does not verify",
    ),
    defect(
        "rejection-not-remembered",
        "a rejected image is not put into the list",
    ),
    defect(
        "rejected-accepted",
        "an image in the list of rejected ones is installed again",
    ),
    // Installing.
    defect(
        "record-failure-ignored",
        "the updater goes on though a record could not be written",
    ),
    defect(
        "running-slot-swapped",
        "the updater takes the other slot for the one that runs",
    ),
    defect(
        "running-slot-is-the-active",
        "the updater takes the active slot for the one that runs",
    ),
    defect(
        "resumed-by-header-alone",
        "a slot with this image's header is resumed, whatever the journal calls it",
    ),
    defect(
        "resumed-without-its-header",
        "a slot that was receiving this image is resumed without its header",
    ),
    defect(
        "always-recorded-first",
        "an installation always begins with the record, even beside its own old header",
    ),
    defect(
        "always-erased-first",
        "an installation always begins with the erase of two sectors",
    ),
    defect(
        "recorded-after-the-erase",
        "over a confirmed image or a trial, the erase comes before the record",
    ),
    defect(
        "other-download-erased-first",
        "over the download of another image, the erase comes before the record",
    ),
    defect(
        "own-image-not-disowned",
        "over a broken confirmed copy of itself, an installation is recorded at once",
    ),
    defect(
        "last-match-believed",
        "the sector of the last matching chunk is kept",
    ),
    defect(
        "erased-counts-as-a-match",
        "a chunk that reads as erased, and should, counts as a match",
    ),
    defect(
        "resumed-without-erasing-ahead",
        "a resumed installation erases each sector when it is filled",
    ),
    defect(
        "first-erased-first",
        "the first sector that is not kept is erased before the one behind it",
    ),
    defect(
        "small-sectors-stand-alone",
        "sectors smaller than a chunk do not count as one",
    ),
    defect(
        "blank-slot-sector-not-erased",
        "a slot's sector that reads as blank is not erased before it is filled",
    ),
    defect("header-last", "the header is programmed after the payload"),
    defect(
        "trials-never-started",
        "a trial that waits is rejected and never started",
    ),
    defect(
        "second-start-refused",
        "a trial that was started once is rejected, whatever budget is left",
    ),
    defect(
        "power-charged-to-attempts",
        "a start after a loss of power costs an attempt",
    ),
    defect(
        "other-before-active",
        "of two confirmed images the one that is not active boots",
    ),
    defect(
        "recorded-twice",
        "what the bootloader records is written twice",
    ),
    defect(
        "always-disowned",
        "every installation first receives an image without a name",
    ),
    defect(
        "progress-thrown-away",
        "an installation that is begun again in the same boot starts anew",
    ),
    // Health.
    defect(
        "crash-loop-ignored",
        "a confirmed image that crashes again and again is started again",
    ),
    defect(
        "crash-loop-not-recorded",
        "the other image is started for it, and nothing is recorded",
    ),
    defect(
        "crash-loop-ends-nowhere",
        "the crashing image is rejected though the other one does not verify",
    ),
    defect(
        "active-blamed-for-the-other",
        "the active image is rejected when the other one, which runs instead, crashes",
    ),
    defect(
        "crash-counted-twice",
        "an abnormal reset of a confirmed image counts as two",
    ),
    defect(
        "crashes-of-another-counted",
        "an image inherits the abnormal resets of the one before it",
    ),
    defect(
        "crashes-never-forgotten",
        "a soak period clears no abnormal resets",
    ),
    defect(
        "crashes-forgotten-at-once",
        "abnormal resets are cleared before the soak period is over",
    ),
    defect(
        "ram-never-cleared",
        "another image is started with what the last one left in RAM",
    ),
    defect(
        "schema-ignored",
        "an image that cannot read the present data schema is acceptable",
    ),
    defect("migrated-on-trial", "a trial may migrate the data"),
    defect(
        "cut-off-not-forgiven",
        "an image that only lacked its update source may not be offered again",
    ),
    defect(
        "fuses-ignored",
        "the floor that the fuses hold counts for nothing",
    ),
    defect("fuses-never-raised", "no confirmation raises the fuses"),
    defect(
        "fuses-raised-at-confirm-only",
        "fuses that a cut left behind the floor stay there",
    ),
    defect(
        "fuses-raised-by-a-trial",
        "a trial raises the fuses to what its manifest revokes",
    ),
    defect(
        "fuses-raised-again",
        "the fuses are raised at each start to what they hold",
    ),
    // The ledger.
    defect(
        "receipt-given-out-unkept",
        "a receipt is given out, and nothing written",
    ),
    defect(
        "receipt-kept-twice",
        "a receipt is written into two sectors",
    ),
    defect(
        "receipts-replace-the-ledger",
        "a receipt is written as the first one is: the whole ledger is erased before",
    ),
    defect(
        "ledger-not-healed-before-it-speaks",
        "the witness says what the ledger reads as, and heals it only before it writes",
    ),
    defect(
        "number-not-raised",
        "a receipt has the number of the one before it",
    ),
    defect(
        "cut-ledger-begins-again",
        "a ledger that had to be healed counts as lost",
    ),
    defect(
        "failed-receipt-given-out",
        "a receipt is given out though it could not be kept",
    ),
];
