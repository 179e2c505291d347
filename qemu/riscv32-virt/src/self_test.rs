//! Trying out what the emulator's flash does not ask of its driver: waiting, feeding the watchdog meanwhile, giving up, and
//! clearing errors. Its chips are ready at the first poll; so what the routine in RAM polls here is something else.

use cfi_flash::{Action, END, ERRORS, Outcome, READY, Step};

use crate::clock::PER_MILLISECOND;
use crate::ram_routine::{Feeding, go_through};
use crate::{clock, watchdog};

/// What was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Milliseconds after which chips that are never ready were given up, though the watchdog's whole time is shorter.
    pub given_up_after: u32,
    /// Milliseconds until chips were ready that were not at first.
    pub ready_after: u32,
    /// The status of chips that refused an erase, which was cleared.
    pub refused_with: u32,
}

#[cfg(feature = "defmt")]
impl defmt::Format for Waits {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "given up after {} ms with the watchdog fed, ready after {} ms, refused with status {:#010x} and cleared",
            self.given_up_after,
            self.ready_after,
            self.refused_with
        );
    }
}

/// Milliseconds to wait for what is never ready: more than until the watchdog's reset.
const PATIENCE: u32 = 2 * watchdog::PERIOD_MS + 500;

/// Milliseconds in which the emulator is surely given time by the host.
const SLACK: u32 = 2_000;

/// The lower half of the processor's timer (ACLINT specification §2.1). Of its bits, 7 and 23 are those of a ready status: bit
/// 23 is clear for 839 ms and then set for as long; bit 7 changes all the time.
const TIME: u32 = 0x0200_BFF8;
const SLOW_BIT: u64 = 1 << 23;
const SLOW_BIT_CLEAR_MS: u32 = (SLOW_BIT / PER_MILLISECOND) as u32;

/// The chips that the bootloader runs from, which the emulator lets nobody write, and a sector there in which nothing lies.
const BOOT_CHIPS: u32 = 0x2000_0000;
const LAST_SECTOR: u32 = (32 << 20) - (256 << 10);

const ERASE: [u32; 2] = [0x0020_0020, 0x00D0_00D0];
const READ_STATUS: u32 = 0x0070_0070;
const ERASED: u32 = u32::MAX;

/// Arms the watchdog, and takes 5 to 7 s, most of them with interrupts off.
///
/// # Errors
///
/// What the routine did not do, or not as [`cfi_flash::go_through`] does.
pub fn run() -> Result<Waits, &'static str> {
    bistable_core::watchdog::Watchdog::feed(&mut watchdog::Watchdog);
    Ok(Waits {
        given_up_after: never_ready()?,
        ready_after: ready_later()?,
        refused_with: refused()?,
    })
}

/// If the watchdog was not fed meanwhile, the board is reset, and nobody hears of this.
fn never_ready() -> Result<u32, &'static str> {
    let mut chips = [0_u32; 2];
    let steps = [
        step(
            Action::Wait,
            4,
            PATIENCE.saturating_mul(PER_MILLISECOND as u32),
        ),
        step(Action::Write, 4, ERASED), // Not done any more.
    ];
    let base = (&raw mut chips).expose_provenance() as u32;
    // SAFETY: the steps are for the two words of `chips`, which are this function's.
    let tried = unsafe { try_out(base, steps) };
    if tried.outcome.timed_out != 1 || tried.outcome.status != 0 {
        return Err("chips that are never ready were not given up");
    }
    if !tried.was_fed {
        return Err("the watchdog was not fed while chips were busy");
    }
    if !(PATIENCE..PATIENCE.saturating_add(SLACK)).contains(&tried.milliseconds) {
        return Err("chips that are never ready were not given up in time");
    }
    // SAFETY: it is there, and the routine may have written it.
    if unsafe { (&raw const chips).read_volatile() } != [END[1], 0] {
        return Err("chips that were given up were told something else than to read their array");
    }
    Ok(tried.milliseconds)
}

/// Polls the timer in place of a status, from the moment at which it begins to say "busy".
fn ready_later() -> Result<u32, &'static str> {
    let mut chips = [0_u32; 2];
    let base = (&raw mut chips).expose_provenance() as u32;
    for until_it_was in [0, SLOW_BIT] {
        while clock::steps() & SLOW_BIT == until_it_was {
            watchdog::feed();
        }
    }
    let patience = SLOW_BIT_CLEAR_MS.saturating_add(SLACK);
    let steps = [
        step(
            Action::Wait,
            TIME.wrapping_sub(base),
            patience.saturating_mul(PER_MILLISECOND as u32),
        ),
        step(Action::Write, 4, ERASED),
    ];
    // SAFETY: but for the timer, which is only read, the steps are for the two words of `chips`.
    let tried = unsafe { try_out(base, steps) };
    if tried.outcome.timed_out != 0 || tried.outcome.status & READY != READY {
        return Err("chips that became ready were given up");
    }
    // But for what passed since it was looked at.
    if tried.milliseconds < SLOW_BIT_CLEAR_MS / 2 || !tried.was_fed {
        return Err("chips were taken for ready too early");
    }
    // SAFETY: it is there, and the routine may have written it.
    if unsafe { (&raw const chips).read_volatile() } != [END[1], ERASED] {
        return Err("what follows a wait was not done");
    }
    Ok(tried.milliseconds)
}

/// Real chips, as far as the emulator has some, of which this program executes: the routine alone does not.
fn refused() -> Result<u32, &'static str> {
    let wait = PER_MILLISECOND as u32;
    let erase = [
        step(Action::Write, LAST_SECTOR, ERASE[0]),
        step(Action::Write, LAST_SECTOR, ERASE[1]),
        step(Action::Wait, LAST_SECTOR, wait),
    ];
    // SAFETY: the chips cannot be written; if they could, what is erased is nobody's. They are read as memory at the end.
    let refused = unsafe { try_out(BOOT_CHIPS, erase) }.outcome;
    if refused.timed_out != 0 || refused.status & ERRORS == 0 {
        return Err("chips that refuse an erase did not say so");
    }
    let mut status = [0];
    let ask = [
        step(Action::Write, 0, READ_STATUS),
        Step {
            count: 1,
            ..step(Action::Fetch, 0, 0)
        },
    ];
    // SAFETY: as above, and nothing is changed. There is room for the one word that is fetched.
    unsafe { try_out_with(BOOT_CHIPS, ask, &mut status) };
    match status[0] & ERRORS {
        0 => Ok(refused.status),
        _ => Err("the errors of an operation were not cleared at its end"),
    }
}

struct Tried {
    outcome: Outcome,
    milliseconds: u32,
    was_fed: bool,
}

/// # Safety
///
/// As of [`try_out_with`]; no step fetches or sends.
unsafe fn try_out<const N: usize>(base: u32, steps: [Step; N]) -> Tried {
    // SAFETY: the caller's promise.
    unsafe { try_out_with(base, steps, &mut []) }
}

/// # Safety
///
/// The steps are for what is at `base`, and for as many words as `data` has; whoever reads there later gets what they left.
unsafe fn try_out_with<const N: usize>(base: u32, mut steps: [Step; N], data: &mut [u32]) -> Tried {
    let mut feeding = Feeding::new(watchdog::FEEDING, watchdog::is_armed());
    critical_section::with(|_| {
        let start = clock::now();
        // SAFETY: the steps are on the stack, which is in RAM; interrupts are off; the rest is the caller's promise.
        let outcome = unsafe { go_through(base, &mut steps, data, &mut feeding) };
        let milliseconds = clock::now().saturating_sub(start) as u32;
        watchdog::feed(); // The early warning may be pending by now.
        Tried {
            outcome,
            milliseconds,
            was_fed: feeding.was_used(),
        }
    })
}

const fn step(action: Action, offset: u32, value: u32) -> Step {
    Step {
        action,
        offset,
        value,
        count: 0,
    }
}
