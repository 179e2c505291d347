//! The bus that the flash chips are on: reading them as memory, and going through steps from RAM.

use cfi_flash::{Action, Bus, MAX_STEPS, Outcome, Step};

use crate::clock::PER_MILLISECOND;
use crate::ram_routine::{Feeding, go_through};
use crate::watchdog;

/// Where the flash starts in the address space: offset 0 is readable and executable here.
pub const ADDRESS: u32 = 0x2200_0000;

/// Bytes that answer there.
const SIZE: usize = 32 << 20;

/// Steps of the timer in a microsecond.
const PER_MICROSECOND: u32 = PER_MILLISECOND as u32 / 1000;

/// The bus. There may be several of these: none is used while another one goes through steps.
#[derive(Debug)]
pub(crate) struct FlashBus {
    _private: (),
}

impl FlashBus {
    /// The board's.
    pub(crate) const fn new() -> Self {
        Self { _private: () }
    }
}

impl Bus for FlashBus {
    fn run(&mut self, steps: &[Step], data: &mut [u32]) -> Outcome {
        // The caller's steps may be a constant in flash, so they are copied to the stack. `data` can be written, so they are
        // in RAM.
        let mut in_ram = [Step::NONE; MAX_STEPS];
        let count = steps.len().min(MAX_STEPS);
        for (to, from) in in_ram.iter_mut().zip(steps) {
            *to = *from;
            to.count = from.count.min(data.len() as u32);
            if from.action == Action::Wait {
                to.value = from.value.saturating_mul(PER_MICROSECOND);
            }
        }
        let steps = in_ram.get_mut(..count).unwrap_or_default();
        let mut feeding = Feeding::new(watchdog::FEEDING, watchdog::is_armed());
        critical_section::with(|_| {
            // SAFETY: steps and data are in RAM, and no step has more data than there are, as said above. Interrupts are off, and
            // there is one hart, so nobody fetches from the chips or reads them meanwhile. Steps are made by `cfi_flash`
            // alone, which keeps within the chips; for what they change there, whoever opened the flash answers.
            let outcome = unsafe { go_through(ADDRESS, steps, data, &mut feeding) };
            if feeding.was_used() {
                watchdog::feed(); // The early warning may be pending by now, and nothing was late.
            }
            outcome
        })
    }

    fn read(&self, offset: u32, bytes: &mut [u8]) {
        let Some(from) = place(offset, bytes.len()) else {
            return bytes.fill(0);
        };
        let (words, rest) = bytes.as_chunks_mut::<4>();
        if offset.is_multiple_of(4) && rest.is_empty() {
            // Words are four times as fast, and images are hashed at every boot.
            let mut next = from.cast::<u32>();
            for word in words {
                // SAFETY: `next` is aligned, as `offset` is, and lies in the chips, which `place` checked for all of
                // `bytes`. Volatile, for programming changes them.
                *word = unsafe { next.read_volatile() }.to_le_bytes();
                next = next.wrapping_add(1);
            }
        } else {
            let mut next = from;
            for byte in bytes {
                // SAFETY: `next` lies in the chips, as above.
                *byte = unsafe { next.read_volatile() };
                next = next.wrapping_add(1);
            }
        }
    }
}

/// The byte at `offset`, if `length` bytes from there lie in the chips.
fn place(offset: u32, length: usize) -> Option<*const u8> {
    let end = (offset as usize).checked_add(length)?;
    let start = core::ptr::with_exposed_provenance::<u8>(ADDRESS as usize);
    (end <= SIZE).then(|| start.wrapping_add(offset as usize))
}
