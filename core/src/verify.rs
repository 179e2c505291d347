//! Verifying what lies in a slot: the only way to a [`Verified`] image, which is all that can be
//! jumped to.

use core::ops::Range;

use embedded_storage::nor_flash::ReadNorFlash;

use crate::admit::Terms;
use crate::digest::{Digest, Hasher};
use crate::header::Header;
use crate::keys::{KeyRing, Revoked};
use crate::layout::{HEADER_LEN, Layout, Slot};
use crate::manifest::Manifest;
use crate::refusal::Refusal;
use crate::watchdog::Watchdog;
use crate::wire;

/// How much is read from flash at a time while hashing, in bytes.
const READ_LEN: usize = 256;

/// How much is hashed between two feedings of the watchdog if nothing needs to be read, in bytes: 40 instructions
/// for each, so a few milliseconds on the slowest of microcontrollers.
const LENT_LEN: usize = 4096;

/// Where an architecture starts an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<'a> {
    /// Arm Cortex-M: the payload begins with the vector table: initial stack pointer and reset vector
    /// (Armv7-M Architecture Reference Manual, B1.5.3).
    CortexM {
        /// The board's RAM regions.
        ram: &'a [Range<u32>],
    },
    /// RISC-V: the payload's first byte is that of its first instruction.
    FirstInstruction,
}

impl Entry<'_> {
    /// Whether an image that begins with `first` can be started from a payload at `payload`.
    ///
    /// # Errors
    /// [`Refusal::BadStackPointer`] or [`Refusal::BadResetVector`].
    pub fn check(&self, first: [u8; 8], payload: Range<u32>) -> Result<(), Refusal> {
        let Self::CortexM { ram } = self else {
            return check_instruction(first);
        };
        let stack = wire::word(&first, 0);
        let reset = wire::word(&first, 4);
        let in_ram = |region: &Range<u32>| region.start < stack && stack <= region.end;
        if !stack.is_multiple_of(8) || !ram.iter().any(in_ram) {
            return Err(Refusal::BadStackPointer);
        }
        if reset & 1 == 0 || !payload.contains(&(reset & !1)) {
            return Err(Refusal::BadResetVector);
        }
        Ok(())
    }
}

/// Whether a RISC-V may begin with this. If its first 16 bits are all zeros, or it is erased flash, it is defined to be
/// no instruction (RISC-V Unprivileged ISA, 1.5). A bootloader for Arm has vector tables, and carries no code for this.
fn check_instruction(first: [u8; 8]) -> Result<(), Refusal> {
    let first = wire::word(&first, 0);
    let is_illegal = first & 0xFFFF == 0 || first == u32::MAX;
    match is_illegal && cfg!(not(target_arch = "arm")) {
        true => Err(Refusal::BadResetVector),
        false => Ok(()),
    }
}

/// What verification goes by.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The board's key ring.
    pub ring: &'a KeyRing<'a>,
    /// Keys that count no more.
    pub revoked: Revoked,
    /// What the image must agree with.
    pub terms: Terms<'a>,
    /// How the architecture starts it.
    pub entry: Entry<'a>,
}

/// An image in a slot whose signatures, header and payload hold. Its fields are private: only
/// [`verify`] makes one.
///
/// ```
/// # use bistable_core::verify::Verified;
/// fn start(image: &Verified) -> u32 { image.address() }
/// ```
/// ```compile_fail,E0451
/// # use bistable_core::{layout::Slot, verify::Verified};
/// fn forge(image: Verified) -> Verified { Verified { slot: Slot::B, ..image } }
/// ```
#[derive(Clone, Copy)]
pub struct Verified {
    slot: Slot,
    address: u32,
    digest: Digest,
    manifest: Manifest,
}

impl Verified {
    /// Where it lies.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// Where the processor sees its payload.
    #[must_use]
    pub const fn address(&self) -> u32 {
        self.address
    }

    /// The image's name.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What its header says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// Verifies what lies in `slot`, all of it. The watchdog is fed before each piece that is hashed.
///
/// # Errors
/// The first thing that speaks against it; [`Refusal::OtherImage`] if it is not the one that the
/// journal, if it says anything, speaks of.
pub fn verify<F: ReadNorFlash>(
    flash: &mut F,
    slot: Slot,
    expected: Option<Digest>,
    rules: &Rules<'_>,
    watchdog: &mut impl Watchdog,
) -> Result<Verified, Refusal> {
    verify_lent(flash, None, slot, expected, rules, watchdog)
}

/// [`verify`], where the slot's bytes, all of them, may be lent: its payload is hashed where it lies then.
///
/// # Errors
/// As [`verify`]. [`Refusal::FlashRead`] too if fewer bytes are lent than the payload has.
pub fn verify_lent<F: ReadNorFlash>(
    flash: &mut F,
    lent: Option<&[u8]>,
    slot: Slot,
    expected: Option<Digest>,
    rules: &Rules<'_>,
    watchdog: &mut impl Watchdog,
) -> Result<Verified, Refusal> {
    const {
        assert!(
            size_of::<u64>().is_multiple_of(F::READ_SIZE),
            "vectors are read eight bytes at once"
        );
    }
    let layout = rules.terms.layout;
    watchdog.feed();
    let mut bytes = [0; HEADER_LEN];
    read(flash, layout, slot, 0, &mut bytes)?;
    let header = Header::new_checked(&bytes)?;
    header.check_signatures(rules.ring, rules.revoked)?;
    let manifest = header.manifest();
    let digest = manifest.digest();
    if expected.is_some_and(|expected| expected != digest) {
        return Err(Refusal::OtherImage);
    }
    rules.terms.check(manifest)?;

    let address = layout.payload_address(slot);
    let payload = address..address.saturating_add(manifest.payload_len());
    let mut first = [0; 8];
    read_payload(flash, layout, slot, 0, &mut first)?;
    rules.entry.check(first, payload)?;

    match lent {
        Some(lent) => verify_lent_payload(lent, layout, slot, manifest, watchdog)?,
        None => verify_payload(flash, layout, slot, manifest, watchdog)?,
    }
    Ok(Verified {
        slot,
        address,
        digest,
        manifest: *manifest,
    })
}

/// Reads the header that lies in `slot`.
///
/// # Errors
/// [`Refusal::FlashRead`].
pub fn read_header<F: ReadNorFlash>(
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
) -> Result<[u8; HEADER_LEN], Refusal> {
    let mut header = [0; HEADER_LEN];
    read(flash, layout, slot, 0, &mut header)?;
    Ok(header)
}

/// Reads from the payload in `slot`.
///
/// # Errors
/// [`Refusal::FlashRead`].
#[inline(always)] // a call takes more than the addition
pub fn read_payload<F: ReadNorFlash>(
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
    offset: u32,
    into: &mut [u8],
) -> Result<(), Refusal> {
    let offset = offset.saturating_add(layout.payload_offset);
    read(flash, layout, slot, offset, into)
}

/// Reads from `offset` in the slot on.
#[inline(always)] // likewise
fn read<F: ReadNorFlash>(
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
    offset: u32,
    into: &mut [u8],
) -> Result<(), Refusal> {
    let at = slot.of(&layout.slots).offset.saturating_add(offset);
    flash.read(at, into).map_err(|_| Refusal::FlashRead)
}

/// Hashes `range` of the payload in `slot`.
///
/// # Errors
/// [`Refusal::FlashRead`].
pub fn hash_payload<F: ReadNorFlash>(
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
    range: Range<u32>,
    watchdog: &mut impl Watchdog,
) -> Result<Digest, Refusal> {
    let mut hasher = Hasher::new();
    hash_into(&mut hasher, flash, layout, slot, range, watchdog)?;
    Ok(hasher.finish())
}

/// Takes `range` of the payload in `slot` into `hasher`: what goes on where an earlier call ended is hashed in pieces.
///
/// # Errors
/// [`Refusal::FlashRead`].
pub fn hash_into<F: ReadNorFlash>(
    hasher: &mut Hasher,
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
    range: Range<u32>,
    watchdog: &mut impl Watchdog,
) -> Result<(), Refusal> {
    let mut buffer = [0; READ_LEN];
    let mut offset = range.start;
    while offset < range.end {
        watchdog.feed();
        let left = range.end.saturating_sub(offset) as usize;
        let (piece, _) = buffer.split_at_mut(left.min(READ_LEN));
        read_payload(flash, layout, slot, offset, piece)?;
        hasher.update(piece);
        offset = offset.saturating_add(READ_LEN as u32);
    }
    Ok(())
}

/// Compares the payload in `slot` with the digest that its signed manifest gives.
///
/// # Errors
/// [`Refusal::BadPayload`] or [`Refusal::FlashRead`].
pub fn verify_payload<F: ReadNorFlash>(
    flash: &mut F,
    layout: &Layout,
    slot: Slot,
    manifest: &Manifest,
    watchdog: &mut impl Watchdog,
) -> Result<(), Refusal> {
    let mut hasher = Hasher::new();
    let whole = 0..manifest.payload_len();
    hash_into(&mut hasher, flash, layout, slot, whole, watchdog)?;
    check_payload(hasher, slot, manifest)
}

/// Likewise, with the bytes of the whole slot at hand.
fn verify_lent_payload(
    lent: &[u8],
    layout: &Layout,
    slot: Slot,
    manifest: &Manifest,
    watchdog: &mut impl Watchdog,
) -> Result<(), Refusal> {
    let behind_header = lent.get(layout.payload_offset as usize..);
    let payload = behind_header.and_then(|bytes| bytes.get(..manifest.payload_len() as usize));
    let mut hasher = Hasher::new();
    for piece in payload.ok_or(Refusal::FlashRead)?.chunks(LENT_LEN) {
        watchdog.feed();
        hasher.update(piece);
    }
    check_payload(hasher, slot, manifest)
}

#[inline(always)] // a bootloader has one caller
fn check_payload(hasher: Hasher, slot: Slot, manifest: &Manifest) -> Result<(), Refusal> {
    match hasher.finish() == manifest.payload(slot) {
        true => Ok(()),
        false => Err(Refusal::BadPayload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_instruction_starts_no_riscv() {
        let check = |first| Entry::FirstInstruction.check(first, 0x2220_1000..0x2220_2000);
        for [a, b, c, d] in [[0; 4], [0, 0, 0x13, 0], [0xFF; 4]] {
            let first = [a, b, c, d, 0x13, 0, 0, 0];
            assert_eq!(check(first), Err(Refusal::BadResetVector), "{first:?}");
        }
        // c.nop, then what is none; lui sp, 0x80010; an instruction whose upper half is all ones.
        for [a, b, c, d] in [
            [0x01, 0, 0, 0],
            [0x37, 0x01, 0x01, 0x80],
            [0x93, 0, 0xFF, 0xFF],
        ] {
            assert_eq!(check([a, b, c, d, 0, 0, 0, 0]), Ok(()));
        }
    }
}
