//! SHA-256 (FIPS 180-4) with the rounds of the crate `sha2`.
//!
//! What gathers blocks for them is written out here: that of `digest` is general, and would be 300 bytes more of a
//! bootloader.

use core::slice;

use crate::digest::Digest;

/// Length of the blocks that SHA-256 works on, in bytes.
const BLOCK_LEN: usize = 64;

/// FIPS 180-4, 5.3.3.
static INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

#[derive(Clone)]
pub(crate) struct Sha256 {
    state: [u32; 8],
    block: [u8; BLOCK_LEN],
    /// How many bytes were taken in.
    len: usize,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self {
            state: INITIAL,
            block: [0; BLOCK_LEN],
            len: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // A whole block is taken from where it lies.
            if self.filled() == 0
                && let Some((block, later)) = rest.split_first_chunk::<BLOCK_LEN>()
            {
                sha2::compress256(&mut self.state, slice::from_ref(block.into()));
                self.len = self.len.wrapping_add(BLOCK_LEN);
                rest = later;
                continue;
            }
            let filled = self.filled();
            let room = self.block.get_mut(filled..).unwrap_or_default();
            let (now, later) = rest.split_at(room.len().min(rest.len()));
            for (to, from) in room.iter_mut().zip(now) {
                *to = *from;
            }
            self.len = self.len.wrapping_add(now.len());
            if self.filled() == 0 {
                sha2::compress256(&mut self.state, slice::from_ref((&self.block).into()));
            }
            rest = later;
        }
    }

    pub(crate) fn finalize(mut self) -> [u8; Digest::LEN] {
        // FIPS 180-4, 5.1.1: a one bit, zeros, and the message's length in bits at the end of a block.
        const LENGTH_AT: usize = BLOCK_LEN - size_of::<u64>();
        let bits = (self.len as u64).wrapping_mul(8).to_be_bytes();
        self.update(&[0x80]);
        while self.filled() != LENGTH_AT {
            self.update(&[0]);
        }
        self.update(&bits);
        let mut digest = [0; Digest::LEN];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// How much of the block is filled, in bytes.
    const fn filled(&self) -> usize {
        self.len % BLOCK_LEN
    }
}
