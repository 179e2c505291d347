//! Whether a flash keeps the contract that journal and slots rest on.

mod guards;
mod pattern;
mod probe;
mod programming;
mod reading;
mod refusals;
mod second;

use core::fmt::{self, Display, Formatter};
use core::ops::Range;

use bistable_core::watchdog::Watchdog;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::breach::{Breach, Seen};
use crate::check::Check;
use guards::Guards;
use probe::{CALL, Probe};
pub use second::SecondProgram;

/// What was learnt about a flash that keeps the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlashFacts {
    /// Bytes of the flash.
    pub capacity: u32,
    /// Bytes that are read at least, and the alignment of reads.
    pub read_size: u32,
    /// Bytes of a unit.
    pub write_size: u32,
    /// Bytes of an erase sector.
    pub erase_size: u32,
    /// What becomes of a unit that holds something when it is programmed again.
    pub second_program: SecondProgram,
    /// The same of one that was programmed with ones.
    pub after_ones: SecondProgram,
    /// The longest erase of one sector, in milliseconds; `None` without a clock.
    pub longest_erase_ms: Option<u32>,
    /// The longest program call, in milliseconds; `None` without a clock.
    pub longest_program_ms: Option<u32>,
}

/// Learns whether `flash` keeps what Bistable relies on.
///
/// All of it happens in `scratch`, in bytes from the start of the flash: at least two erase sectors in which
/// nothing lies that is needed. Afterwards they are erased; the first one was erased eight times. The rest of the flash is only read.
/// At its end a scratch range learns most: then it is tried whether an erase that crosses the end does harm.
///
/// `watchdog` is fed before each operation. It takes some 5 KiB of stack.
///
/// # Errors
/// The first [`Breach`] of the contract. The scratch range then holds anything.
pub fn flash<F: NorFlash>(
    flash: &mut F,
    scratch: Range<u32>,
    watchdog: &mut impl Watchdog,
) -> Result<FlashFacts, Breach> {
    let facts = run(flash, scratch, watchdog, &mut || 0, None)?;
    Ok(FlashFacts {
        longest_erase_ms: None,
        longest_program_ms: None,
        ..facts
    })
}

/// The same with a clock, in milliseconds, by which operations are timed.
///
/// # Errors
/// As for [`flash`].
pub fn flash_timed<F: NorFlash>(
    flash: &mut F,
    scratch: Range<u32>,
    watchdog: &mut impl Watchdog,
    clock: &mut dyn FnMut() -> u64,
) -> Result<FlashFacts, Breach> {
    run(flash, scratch, watchdog, clock, None)
}

/// The same as [`flash`] without one check: by this the tests know that each check is needed.
///
/// # Errors
/// As for [`flash`].
#[doc(hidden)]
pub fn flash_without<F: NorFlash>(
    left_out: Check,
    flash: &mut F,
    scratch: Range<u32>,
    watchdog: &mut impl Watchdog,
) -> Result<FlashFacts, Breach> {
    run(flash, scratch, watchdog, &mut || 0, Some(left_out))
}

/// Learns whether the flash of a slot, or any other that is only read, can be read from its start to its end,
/// and no further: the part of [`flash()`] that writes nothing.
///
/// # Errors
/// The first [`Breach`] of the contract.
pub fn readable<F: ReadNorFlash>(
    flash: &mut F,
    range: Range<u32>,
    watchdog: &mut impl Watchdog,
) -> Result<(), Breach> {
    let clock = &mut || 0;
    let mut probe = Probe::new(flash, watchdog, clock, None);
    if range.is_empty() || range.end > probe.capacity() {
        let (expected, found) = (u64::from(probe.capacity()), u64::from(range.end));
        let seen = (Seen::Number(expected), Seen::Number(found));
        probe.breach(Check::SlotFlash, range.start, seen.0, seen.1)?;
    }
    for at in range.clone().step_by(CALL as usize) {
        probe.read(at, range.end.saturating_sub(at).min(CALL))?;
    }
    reading::bounds(&mut probe)
}

/// Learns whether two handles of one flash see the same: what one erases and programs in `scratch`, one whole erase
/// sector or more, the other reads at once.
///
/// # Errors
/// [`Check::Handles`], or a breach of what both must do anyway.
pub fn handles<F: NorFlash>(
    one: &mut F,
    other: &mut F,
    scratch: Range<u32>,
    watchdog: &mut impl Watchdog,
) -> Result<(), Breach> {
    usable::<F>(one, &scratch, 1).map_or(Ok(()), Err)?;
    sees(one, other, &scratch, watchdog, 3)?;
    sees(other, one, &scratch, watchdog, 4)
}

/// What `writer` does in `scratch`, `reader` must see, who has looked before.
fn sees<F: NorFlash>(
    writer: &mut F,
    reader: &mut F,
    scratch: &Range<u32>,
    watchdog: &mut impl Watchdog,
    salt: u32,
) -> Result<(), Breach> {
    let clock = &mut || 0;
    let seen = |probe: &mut Probe<'_, F, _>, value: &dyn Fn(u32) -> u8| {
        probe.expect(scratch.clone(), |at| (Check::Handles, value(at)))
    };
    let content = |at| pattern::byte(at, salt);
    for at in scratch.clone().step_by(CALL as usize) {
        let length = scratch.end.saturating_sub(at).min(CALL);
        Probe::new(reader, watchdog, clock, None).read(at, length)?;
    }
    Probe::new(writer, watchdog, clock, None).erase_each(scratch.clone())?;
    seen(&mut Probe::new(reader, watchdog, clock, None), &|_| {
        probe::ERASED
    })?;
    Probe::new(writer, watchdog, clock, None).program_all(scratch.clone(), CALL, content)?;
    seen(&mut Probe::new(reader, watchdog, clock, None), &content)
}

fn run<F: NorFlash>(
    flash: &mut F,
    scratch: Range<u32>,
    watchdog: &mut impl Watchdog,
    clock: &mut dyn FnMut() -> u64,
    left_out: Option<Check>,
) -> Result<FlashFacts, Breach> {
    for breach in [geometry::<F>(flash), usable::<F>(flash, &scratch, 2)] {
        // Nothing can be tried on a flash that has no sectors, whatever is left out.
        breach.map_or(Ok(()), Err)?;
    }
    let mut probe = Probe::new(flash, watchdog, clock, left_out);
    let size = F::ERASE_SIZE as u32;
    let first = scratch.start..scratch.start.saturating_add(size);
    let last = scratch.end.saturating_sub(size)..scratch.end;
    let others = first.end..scratch.end;
    let before_last = scratch.start..last.start;
    let content = |at| pattern::byte(at, 0);
    let guards = Guards::new(&mut probe, &scratch)?;

    // All of it at once: no address line may be missing, and calls cross from sector to sector.
    probe.erase(scratch.clone())?;
    let unit = F::WRITE_SIZE as u32;
    probe.program(scratch.start, unit, content)?;
    probe.program_all(first.start.saturating_add(unit)..scratch.end, CALL, content)?;
    probe.expect(scratch.clone(), |at| (Check::Programmed, content(at)))?;
    reading::pieces(&mut probe, &scratch, content)?;
    reading::bounds(&mut probe)?;
    refusals::refusals(&mut probe, &scratch, content)?;

    // The first sector, while the others keep what they hold.
    probe.erase(first.clone())?;
    probe.expect(others.clone(), |at| (Check::EraseKeepsOthers, content(at)))?;
    programming::programming(&mut probe, &first)?;
    let (second_program, after_ones) = second::second(&mut probe, &first)?;
    probe.erase(first.clone())?;
    probe.program_all(first, CALL, content)?;
    probe.expect(others, |at| (Check::Stays, content(at)))?;

    // The last one, whose neighbour behind is a guard.
    probe.erase(last)?;
    probe.expect(before_last, |at| (Check::EraseKeepsOthers, content(at)))?;
    probe.erase_each(scratch.clone())?;
    probe.expect(scratch, |_| (Check::Erased, probe::ERASED))?;
    guards.check(&mut probe)?;

    let milliseconds = |time: u64| Some(u32::try_from(time).unwrap_or(u32::MAX));
    Ok(FlashFacts {
        capacity: probe.capacity(),
        read_size: F::READ_SIZE as u32,
        write_size: unit,
        erase_size: size,
        second_program,
        after_ones,
        longest_erase_ms: milliseconds(probe.longest_erase),
        longest_program_ms: milliseconds(probe.longest_program),
    })
}

/// What is wrong with the constants.
fn geometry<F: NorFlash>(flash: &F) -> Option<Breach> {
    let breach = |expected: usize, found: usize| {
        Some(Breach {
            check: Check::Geometry,
            offset: 0,
            expected: Seen::Number(expected as u64),
            found: Seen::Number(found as u64),
        })
    };
    let capacity = flash.capacity();
    for (size, most) in [
        (F::READ_SIZE, 8),
        (F::WRITE_SIZE, 32),
        (F::ERASE_SIZE, 1 << 30),
    ] {
        if !size.is_power_of_two() || size > most {
            return breach(size.next_power_of_two().min(most), size);
        }
    }
    let unit = F::WRITE_SIZE.max(F::READ_SIZE);
    if F::ERASE_SIZE < unit.saturating_mul(2) {
        return breach(unit.saturating_mul(2), F::ERASE_SIZE);
    }
    let whole = capacity.saturating_sub(capacity.checked_rem(F::ERASE_SIZE).unwrap_or(0));
    match capacity == whole && u32::try_from(capacity).is_ok() {
        true => None,
        false => breach(whole.min(u32::MAX as usize), capacity),
    }
}

/// What is wrong with a scratch range of at least so many sectors.
pub(crate) fn usable<F: NorFlash>(
    flash: &F,
    scratch: &Range<u32>,
    sectors: usize,
) -> Option<Breach> {
    let breach = |offset: u32, expected: usize, found: u32| {
        Some(Breach {
            check: Check::Scratch,
            offset,
            expected: Seen::Number(expected as u64),
            found: Seen::Number(found.into()),
        })
    };
    let size = F::ERASE_SIZE;
    let length = scratch.end.saturating_sub(scratch.start);
    for bound in [scratch.start, scratch.end] {
        if !(bound as usize).is_multiple_of(size) {
            let over = (bound as usize).checked_rem(size).unwrap_or(0);
            let down = (bound as usize).saturating_sub(over);
            return breach(bound, down, bound);
        }
    }
    if scratch.end as usize > flash.capacity() {
        return breach(scratch.end, flash.capacity(), scratch.end);
    }
    match (length as usize) < sectors.saturating_mul(size) {
        true => breach(scratch.start, sectors.saturating_mul(size), length),
        false => None,
    }
}

impl Display for FlashFacts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            capacity,
            read_size,
            write_size,
            erase_size,
            second_program,
            after_ones,
            ..
        } = self;
        write!(
            f,
            "{capacity} bytes of flash in sectors of {erase_size}, programmed in units of {write_size}, read in \
             units of {read_size}; a second program {second_program}, and after ones it {after_ones}"
        )?;
        if let (Some(erase), Some(program)) = (self.longest_erase_ms, self.longest_program_ms) {
            write!(
                f,
                "; longest erase {erase} ms, longest program call {program} ms"
            )?;
        }
        Ok(())
    }
}
