//! What should have been there instead, what to do, and who says it, for each refusal.

use bistable_core::refusal::Refusal;

use crate::refusals::Explanation;
use crate::refusals::Speaker::{self, Bootloader, Tools, Updater};

const ALL: &[Speaker] = &[Bootloader, Updater, Tools];
const DEVICE: &[Speaker] = &[Bootloader, Updater];
const BOOTLOADER: &[Speaker] = &[Bootloader];
const UPDATER: &[Speaker] = &[Updater];
const INSTALLING: &[Speaker] = &[Updater, Tools];

/// What was expected, what to do, and who says it.
#[must_use]
#[expect(
    clippy::too_many_lines,
    reason = "a table: a few lines for each number"
)]
pub const fn explain(refusal: Refusal) -> Explanation {
    let (expected, mend, said_by) = match refusal {
        Refusal::NotAManifest => (
            "an image, which begins with a manifest",
            "give a file that `bistable image build` wrote; a slot that reads so holds no image",
            ALL,
        ),
        Refusal::UnknownFormat => (
            "format 1",
            "the image is newer than this code, or damaged",
            ALL,
        ),
        Refusal::NonZeroPadding | Refusal::FieldOutOfRange => (
            "a header as the format has it",
            "the file is damaged: copy it, or build it, again",
            ALL,
        ),
        Refusal::SignaturesOutOfOrder => (
            "at most 8 signatures, in ascending order of key, each key once",
            "the file is damaged: copy it again, or sign it again with `bistable image sign`",
            ALL,
        ),
        Refusal::OtherImage => (
            "the image that the journal, or the request, names",
            "the slot holds another one: install it again; a request is made anew for the image that \
             runs",
            DEVICE,
        ),
        Refusal::NotARequest => (
            "a request, which is 624 bytes long",
            "give a file that `bistable request roll-back` wrote",
            INSTALLING,
        ),
        Refusal::OtherUnit => (
            "a request that names this unit's serial number",
            "make the request for this unit: `bistable request roll-back --unit`",
            UPDATER,
        ),
        Refusal::BadSignature => (
            "a signature by the key that it names, over this manifest",
            "the header was changed after it was signed, or the signature is forged",
            ALL,
        ),
        Refusal::TooFewReleaseSignatures => (
            "as many release keys of the ring as its threshold asks for",
            "add signatures with `bistable image sign`, and check that this is its product's ring",
            ALL,
        ),
        Refusal::TooFewRootSignatures => (
            "as many root keys as the ring's threshold asks for, because it revokes keys",
            "add signatures with `bistable image sign`",
            ALL,
        ),
        Refusal::RevokesTooMany => (
            "a full threshold of keys for each role after the revocation",
            "revoke fewer keys: a device that took this could never be updated again",
            INSTALLING,
        ),
        Refusal::OtherVendor | Refusal::OtherClass | Refusal::OtherLayout => (
            "an image for this layout",
            "give the layout.toml that it was built for, or build it for this one",
            ALL,
        ),
        Refusal::TooLarge => (
            "a payload that fits into a slot",
            "make the program smaller, or the slots larger in the layout",
            ALL,
        ),
        Refusal::UnalignedLength => (
            "a payload of whole write units of the slots' flash",
            "build it again with this tool, which pads it",
            INSTALLING,
        ),
        Refusal::ChunkSize => (
            "chunks that fit into the updater's buffer and divide the payload's offset",
            "build it with this layout's chunk size",
            INSTALLING,
        ),
        Refusal::BootloaderTooOld => (
            "an oldest bootloader that is not newer than the device's",
            "build it with another `--oldest-bootloader`, or say which one the device has with \
             `--bootloader-version`",
            ALL,
        ),
        Refusal::OtherSchema => (
            "a range of data schemas that the present one lies in",
            "build it with `--schemas` that include the device's, or install the image between them \
             first, which migrates the data",
            ALL,
        ),
        Refusal::NotNewer => (
            "a sequence above that of the running image",
            "build it with a higher `--sequence`; going back on purpose is the old payload under a new \
             manifest",
            INSTALLING,
        ),
        Refusal::OlderThanForgotten => (
            "a sequence above that of every image which fell out of the list of rejected ones",
            "build it with a higher `--sequence`",
            INSTALLING,
        ),
        Refusal::RejectedBefore => (
            "an image that this device has not rejected",
            "see why with `bistable doctor`, and publish a fixed image with a higher sequence",
            INSTALLING,
        ),
        Refusal::BelowFloor => (
            "a security counter not below the floor",
            "build it with a higher `--security-counter`",
            ALL,
        ),
        Refusal::NewerInProgress => (
            "an image with a higher sequence than the one that is being downloaded, or that waits for \
             its trial",
            "let that one finish, or publish a higher sequence",
            INSTALLING,
        ),
        Refusal::TrialNotFinished => (
            "a running image that is confirmed",
            "confirm or reject the image on trial first; `bistable doctor` says what is left of it",
            INSTALLING,
        ),
        Refusal::ResetFirst => (
            "a running image that is confirmed",
            "reset the device, which then runs its other image",
            INSTALLING,
        ),
        Refusal::Throttled => (
            "fewer downloads begun: eight at a boot, and one more for each day",
            "wait, and look at why downloads are begun anew instead of going on",
            UPDATER,
        ),
        Refusal::RunningSlotUnclear => (
            "a handover and an address in the program that name the same slot",
            "reset the device; if it stays, give `Updater::start` an address within the application, and \
             check that bootloader and application are of one layout",
            UPDATER,
        ),
        Refusal::AlreadyRunning => (
            "another image than the one that runs",
            "nothing: it runs",
            INSTALLING,
        ),
        Refusal::AlreadyWaiting => (
            "another image than the one that waits for its trial",
            "reset the device, which starts the trial",
            INSTALLING,
        ),
        Refusal::BadPage | Refusal::MalformedPage | Refusal::BadChunk => (
            "the bytes whose digest was signed",
            "the file is damaged: copy it, or build it, again",
            INSTALLING,
        ),
        Refusal::BadPayload => (
            "the bytes whose digest was signed",
            "they are damaged: copy the file again; a slot is mended by publishing a higher sequence, \
             which the device installs there",
            ALL,
        ),
        Refusal::WrongLength => (
            "a part of just the length that was asked for",
            "give `Installation::write` what `wants` names, no more and no less",
            UPDATER,
        ),
        Refusal::ReadBack => (
            "flash that reads as it was programmed",
            "try again; if it stays, the slot's flash is worn out: replace the unit",
            UPDATER,
        ),
        Refusal::NotWhole => (
            "every page and chunk written before the end",
            "call `finish` when `wants` is `None`",
            UPDATER,
        ),
        Refusal::BadResetVector => (
            "at the payload's start what this slot's processor starts with: on a Cortex-M a vector table whose reset \
             vector lies in the payload, on RISC-V an instruction",
            "build it for this layout, with the vector table, or the code that starts, first",
            ALL,
        ),
        Refusal::BadStackPointer => (
            "a vector table at the payload's start whose stack pointer lies in this board's RAM",
            "build it for this layout, with the vector table first",
            ALL,
        ),
        Refusal::ResetWhileVerifying => (
            "a verification that ends",
            "the slot's flash does not bear reading, or the watchdog's period is shorter than hashing a \
             chunk takes: publish a higher sequence, and look at `Board`'s watchdog",
            BOOTLOADER,
        ),
        Refusal::FlashRead => (
            "flash that can be read",
            "the slot's flash is at fault (ECC): publish a higher sequence, which is written there anew; \
             if it stays, replace the unit",
            DEVICE,
        ),
        Refusal::FlashErase | Refusal::FlashProgram => (
            "flash that does what it is told",
            "try again; if it stays, the slot's flash is worn out or locked: replace the unit",
            UPDATER,
        ),
        Refusal::Journal => (
            "a journal that takes the new state",
            "try again after a reset, which heals the journal",
            UPDATER,
        ),
        Refusal::JournalWornOut => (
            "a journal whose sectors can all be written",
            "replace the unit: it runs what it has, and takes no update any more",
            UPDATER,
        ),
        Refusal::Impossible => (
            "a state in which this can happen",
            "reset the device; if it stays, read its flash and give it to `bistable doctor`",
            UPDATER,
        ),
        Refusal::BudgetUsedUp => (
            "a trial with a start left",
            "nothing: the next boot rejects it, and the device goes back",
            DEVICE,
        ),
        Refusal::NoAcceptableOther => (
            "another confirmed image that verifies",
            "publish a higher sequence: this unit has nothing to go back to",
            UPDATER,
        ),
        Refusal::CheckOpen => (
            "every required health check passed",
            "wait until they have; `docs/health.md` says how to choose them",
            UPDATER,
        ),
        Refusal::DeadlineOver => (
            "a confirmation within the trial's time",
            "build it with a longer `--trial-seconds`, or make its checks faster",
            UPDATER,
        ),
    };
    Explanation {
        expected,
        mend,
        said_by,
    }
}
