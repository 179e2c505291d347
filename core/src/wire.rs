//! Fixed little-endian fields in byte arrays, for the formats that are looked at and not decoded.
//!
//! Offsets are constants, so the bounds checks vanish, and inlined a field is one load or store; one
//! outside the array (a mistake that the formats' tests catch) reads as zero and is not written.

#[inline(always)]
pub(crate) fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    from.get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

#[inline(always)]
pub(crate) fn byte(from: &[u8], at: usize) -> u8 {
    let [value] = bytes(from, at);
    value
}

#[inline(always)]
pub(crate) fn half(from: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(from, at))
}

#[inline(always)]
pub(crate) fn word(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(from, at))
}

#[inline(always)]
pub(crate) fn put<const N: usize>(into: &mut [u8], at: usize, field: &[u8; N]) {
    let place = into.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    if let Some(place) = place {
        *place = *field;
    }
}

pub(crate) fn all_zero(from: &[u8], range: core::ops::Range<usize>) -> bool {
    from.get(range)
        .is_some_and(|padding| padding.iter().all(|byte| *byte == 0))
}

/// CRC-32/ISO-HDLC, bit by bit: a few hundred bytes are checked at a boot, and a table costs more
/// flash than it saves time.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    static CRC: crc::Crc<u32, Speed> = crc::Crc::<u32, Speed>::new(&crc::CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

/// On a device bytes count: no table.
#[cfg(target_os = "none")]
type Speed = crc::NoTable;

/// On a host time does: the same sum, 16 bytes at once.
#[cfg(not(target_os = "none"))]
type Speed = crc::Table<16>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_same_with_and_without_a_table() {
        const WITHOUT: crc::Crc<u32, crc::NoTable> =
            crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);
        let bytes: [u8; 400] = core::array::from_fn(|place| (place * 7 + place / 3) as u8);
        for len in 0..=bytes.len() {
            assert_eq!(crc32(&bytes[..len]), WITHOUT.checksum(&bytes[..len]));
        }
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // the catalogue's check value
    }
}
