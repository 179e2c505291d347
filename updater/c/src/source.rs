//! A function of C that reads an image file piece by piece.

use core::ffi::c_void;

use bistable_updater::source::{ReadError, Source};

/// Fills `buffer` with `len` bytes of the file from `offset` on, and returns 0; anything else says that it
/// failed.
pub type Read =
    unsafe extern "C" fn(context: *mut c_void, offset: u32, buffer: *mut u8, len: u32) -> i32;

/// Such a function with its context.
pub(crate) struct Callback {
    read: Read,
    context: *mut c_void,
}

impl Callback {
    /// # Safety
    /// As long as this lives, `read` may be called with `context` and any buffer, of which it writes no
    /// more than the length that it is told.
    pub(crate) const unsafe fn new(read: Read, context: *mut c_void) -> Self {
        Self { read, context }
    }
}

impl Source for Callback {
    /// What the function returned.
    type Error = i32;

    fn read(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), ReadError<i32>> {
        if buffer.is_empty() {
            return Ok(());
        }
        let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        // SAFETY: `new` promises that it may be called, and the buffer is as long as it is told. It is
        // initialised, so whatever the function leaves out is still a byte.
        match unsafe { (self.read)(self.context, offset, buffer.as_mut_ptr(), len) } {
            0 => Ok(()),
            failure => Err(ReadError::Failed(failure)),
        }
    }
}
