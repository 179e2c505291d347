//! Plain memory, which can be read and written at any byte: for the notes, and where there is no chip for
//! the content, too.

/// Plain memory that a second party may be looking at.
///
/// Stores must reach the memory one after the other in the order of the calls: what the crate says
/// about being killed at any store rests on it. All offsets are in bytes from the start of the
/// memory, and this crate never names any beyond its end. An implementation that is handed one
/// reads zeros there and writes nothing.
pub trait Memory {
    /// Fills `bytes` with what lies at `offset`.
    fn read(&self, offset: u32, bytes: &mut [u8]);

    /// Stores `bytes` at `offset`.
    fn write(&mut self, offset: u32, bytes: &[u8]);

    /// The little-endian word at `offset`, which is a multiple of 4.
    ///
    /// An implementation that shares its memory with a second party reads it in one access.
    fn read_word(&self, offset: u32) -> u32 {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Stores a little-endian word at `offset`, which is a multiple of 4; like
    /// [`read_word`](Memory::read_word) in one access where the memory is shared.
    fn write_word(&mut self, offset: u32, word: u32) {
        self.write(offset, &word.to_le_bytes());
    }
}

/// Bytes that nobody else looks at.
impl Memory for [u8] {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        let end = (offset as usize).saturating_add(bytes.len());
        match self.get(offset as usize..end) {
            Some(found) => bytes.copy_from_slice(found),
            None => bytes.fill(0),
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        let end = (offset as usize).saturating_add(bytes.len());
        if let Some(place) = self.get_mut(offset as usize..end) {
            place.copy_from_slice(bytes);
        }
    }
}

impl<M: Memory + ?Sized> Memory for &mut M {
    fn read(&self, offset: u32, bytes: &mut [u8]) {
        (**self).read(offset, bytes);
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) {
        (**self).write(offset, bytes);
    }

    fn read_word(&self, offset: u32) -> u32 {
        (**self).read_word(offset)
    }

    fn write_word(&mut self, offset: u32, word: u32) {
        (**self).write_word(offset, word);
    }
}
