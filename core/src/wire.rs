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

/// CRC-32/ISO-HDLC. On a device some thousand bytes are summed at a boot: half a byte at once needs a table of
/// 64 bytes, and takes a fifth of the time that it takes bit by bit.
#[cfg(target_os = "none")]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32_by_halves(bytes)
}

/// On a host time counts: the same sum, 16 bytes at once.
#[cfg(not(target_os = "none"))]
pub fn crc32(bytes: &[u8]) -> u32 {
    type Fast = crc::Table<16>;
    static CRC: crc::Crc<u32, Fast> = crc::Crc::<u32, Fast>::new(&crc::CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

/// Of each half of a byte, what it adds to the sum.
#[cfg(any(target_os = "none", test))]
#[expect(clippy::indexing_slicing, reason = "by the compiler")]
static OF_HALVES: [u32; 16] = {
    let mut table = [0; 16];
    let mut half = 0;
    while half < table.len() {
        let mut sum = half as u32;
        let mut bit = 0;
        while bit < 4 {
            // The polynomial of the standard, its lowest power in the highest bit.
            sum = sum >> 1 ^ (sum & 1).wrapping_mul(0xEDB8_8320);
            bit += 1;
        }
        table[half] = sum;
        half += 1;
    }
    table
};

#[cfg(any(target_os = "none", test))]
fn crc32_by_halves(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum = without_half(without_half(sum ^ u32::from(*byte)));
    }
    !sum
}

#[cfg(any(target_os = "none", test))]
#[inline(always)] // it takes as much as a call
fn without_half(sum: u32) -> u32 {
    let of_half = OF_HALVES.get((sum & 0xF) as usize);
    sum >> 4 ^ of_half.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_same_on_hosts_and_on_devices() {
        let bytes: [u8; 400] = core::array::from_fn(|place| (place * 7 + place / 3) as u8);
        for len in 0..=bytes.len() {
            assert_eq!(crc32(&bytes[..len]), crc32_by_halves(&bytes[..len]));
        }
        assert_eq!(crc32_by_halves(b"123456789"), 0xcbf4_3926); // the catalogue's check value
    }
}
