//! The edits, room by room, in the order of the files.

mod bootloader;
mod core;
mod journal;
mod updater;

use crate::Edit;

/// What every copy gets: the answers of Ed25519 are remembered, so that the same header is not verified
/// anew at each of a million boots.
pub(crate) const MEMORY: &[Edit] = &[
    Edit {
        file: "core/src/lib.rs",
        find: "pub mod manifest;\n",
        replace: "pub mod manifest;\nmod memory;\n",
    },
    Edit {
        file: "core/src/header.rs",
        find: "\
pub fn is_signed_by(manifest: &Manifest, key: &Key, signature: &Signature) -> bool {
",
        replace: "\
pub fn is_signed_by(manifest: &Manifest, key: &Key, signature: &Signature) -> bool {
    crate::memory::recall(manifest, key, signature, || {
        is_signed_in_fact(manifest, key, signature)
    })
}

fn is_signed_in_fact(manifest: &Manifest, key: &Key, signature: &Signature) -> bool {
",
    },
];

/// What plants the defects.
pub(crate) fn planting() -> impl Iterator<Item = &'static Edit> {
    let rooms = [
        core::EDITS,
        journal::EDITS,
        bootloader::EDITS,
        updater::EDITS,
    ];
    rooms.into_iter().flatten()
}
