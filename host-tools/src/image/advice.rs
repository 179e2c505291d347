//! What should have been there instead, and what to do: for refusals that an image file can meet.

use bistable_core::refusal::Refusal;

/// What was expected, and a hint.
#[must_use]
pub const fn advice(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::NotAManifest => (
            "an image, which begins with a manifest",
            "give a file that `bistable image build` wrote",
        ),
        Refusal::UnknownFormat => ("format 1", "the image is newer than this tool, or damaged"),
        Refusal::NonZeroPadding | Refusal::FieldOutOfRange | Refusal::SignaturesOutOfOrder => (
            "a header as the format has it",
            "the file is damaged: copy it, or build it, again",
        ),
        Refusal::OtherImage => (
            "the image that the journal names",
            "the slot holds another one: install it again",
        ),
        Refusal::BadSignature => (
            "a signature by the key that it names, over this manifest",
            "the header was changed after it was signed, or the signature is forged",
        ),
        Refusal::TooFewReleaseSignatures => (
            "as many release keys of the ring as its threshold asks for",
            "add signatures with `bistable image sign`, and check that this is its product's ring",
        ),
        Refusal::TooFewRootSignatures => (
            "as many root keys as the ring's threshold asks for, because it revokes keys",
            "add signatures with `bistable image sign`",
        ),
        Refusal::RevokesTooMany => (
            "a full threshold of keys for each role after the revocation",
            "revoke fewer keys: a device that took this could never be updated again",
        ),
        Refusal::OtherVendor | Refusal::OtherClass | Refusal::OtherLayout => (
            "an image for this layout",
            "give the layout.toml that it was built for, or build it for this one",
        ),
        Refusal::TooLarge => (
            "a payload that fits into a slot",
            "make the program smaller, or the slots larger in the layout",
        ),
        Refusal::UnalignedLength => (
            "a payload of whole write units of the slots' flash",
            "build it again with this tool, which pads it",
        ),
        Refusal::ChunkSize => (
            "chunks that fit into the updater's buffer and divide the payload's offset",
            "build it with this layout's chunk size",
        ),
        Refusal::BootloaderTooOld => (
            "an oldest bootloader that is not newer than the device's",
            "build it with another --oldest-bootloader, or give --bootloader-version",
        ),
        Refusal::BelowFloor => (
            "a security counter not below the floor",
            "build it with a higher --security-counter",
        ),
        Refusal::NotNewer | Refusal::OlderThanForgotten => (
            "a sequence of at least 1",
            "build it with a higher --sequence",
        ),
        Refusal::BadPage | Refusal::MalformedPage | Refusal::BadChunk | Refusal::BadPayload => (
            "the bytes whose digest was signed",
            "the file is damaged: copy it, or build it, again",
        ),
        Refusal::BadResetVector | Refusal::BadStackPointer => (
            "a vector table at the payload's start, for this board's RAM and this slot",
            "build it for this layout, with the vector table first",
        ),
        _ => (
            "an image that a device of this layout takes",
            "build it again for this layout",
        ),
    }
}
