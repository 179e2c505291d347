//! The one updater of a program: who calls it, one at a time.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::mem::MaybeUninit;

use bistable_core::refusal::Refusal;
use bistable_core::state::{Origin, Reason};
use bistable_updater::download::{DownloadError, download};
use bistable_updater::health::{Check, Outcome, Verdict};
use bistable_updater::{Platform, Product, Updater};
use critical_section::Mutex;

use crate::code::{Failure, Misuse, code};
use crate::source::{Callback, Read};
use crate::status::Status;

/// The updater, if it was started, and room for a chunk of a download. `PAGE` is the layout's chunk size
/// in bytes.
pub struct Instance<P, const PAGE: usize> {
    /// Whether a call is under way.
    busy: Mutex<Cell<bool>>,
    held: UnsafeCell<Held<P, PAGE>>,
}

/// No `Option`: whatever bits that took for `None`, all of this would be copied from flash at each start.
struct Held<P, const PAGE: usize> {
    is_started: bool,
    updater: MaybeUninit<Updater<P, PAGE>>,
    chunk: [u8; PAGE],
}

impl<P, const PAGE: usize> Held<P, PAGE> {
    /// The updater and the room for a chunk, once it is started.
    const fn parts(&mut self) -> Option<(&mut Updater<P, PAGE>, &mut [u8; PAGE])> {
        if !self.is_started {
            return None;
        }
        // SAFETY: `is_started` is set only behind the write to `updater`, which nobody takes out again.
        let updater = unsafe { self.updater.assume_init_mut() };
        Some((updater, &mut self.chunk))
    }
}

// SAFETY: `held` is reached in `with` only, by whoever found `busy` false and set it, in one step that
// nothing interrupts, until that one clears it. So there is one reference at a time, though it may be in
// another context each time: hence `Send`.
unsafe impl<P: Send, const PAGE: usize> Sync for Instance<P, PAGE> {}

impl<P: Platform, const PAGE: usize> Default for Instance<P, PAGE> {
    fn default() -> Self {
        Self::new()
    }
}

/// Every function returns 0, the number of a [`Refusal`], or that of a [`Misuse`].
impl<P: Platform, const PAGE: usize> Instance<P, PAGE> {
    /// One that is not started.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            busy: Mutex::new(Cell::new(false)),
            held: UnsafeCell::new(Held {
                is_started: false,
                updater: MaybeUninit::uninit(),
                chunk: [0; PAGE],
            }),
        }
    }

    /// Opens the platform and starts the updater of the program that `here` is an address in.
    pub fn start(&self, open: impl FnOnce() -> Option<P>, product: Product, here: u32) -> u16 {
        self.with(|held| {
            if held.is_started {
                return Err(Misuse::AlreadyStarted.into());
            }
            let platform = open().ok_or(Misuse::NoPlatform)?;
            held.updater.write(Updater::start(platform, product, here)?);
            held.is_started = true;
            Ok(())
        })
    }

    /// Writes what the device says of itself.
    ///
    /// # Safety
    /// `status` is null, or may be written through.
    pub unsafe fn status(&self, status: *mut Status) -> u16 {
        self.with_updater(|updater, _| {
            let found = Status::of(&updater.device());
            // SAFETY: that is what the caller promises.
            unsafe { write(status, found) }
        })
    }

    /// Notes the outcome of the health check with this number, from 1.
    pub fn check(&self, number: u8, passed: bool) -> u16 {
        self.with_updater(|updater, _| {
            let is_meant = |(other, ..): &(u8, &Check, Outcome)| *other == number;
            let found = updater.health().iter().find(is_meant);
            let (_, check, _) = found.ok_or(Misuse::NoSuchCheck)?;
            updater.check(check.name, passed);
            Ok(())
        })
    }

    /// Notes that the update source gave an answer that made sense.
    pub fn source_answered(&self) -> u16 {
        self.with_updater(|updater, _| match updater.source_answered() {
            true => Ok(()),
            false => Err(Misuse::NoSuchCheck.into()),
        })
    }

    /// Acts on the verdict, and writes it: 0 pending, 1 healthy, 2 unhealthy.
    ///
    /// # Safety
    /// `verdict` is null, or may be written through.
    pub unsafe fn judge(&self, verdict: *mut u8) -> u16 {
        self.with_updater(|updater, _| {
            if verdict.is_null() {
                return Err(Misuse::NullPointer.into()); // before anything is decided
            }
            let found = match updater.judge()? {
                Verdict::Pending => 0,
                Verdict::Healthy => 1,
                Verdict::Unhealthy(_) => 2,
            };
            // SAFETY: that is what the caller promises.
            unsafe { write(verdict, found) }
        })
    }

    /// Keeps the running image.
    pub fn confirm(&self) -> u16 {
        self.with_updater(|updater, _| Ok(updater.confirm()?))
    }

    /// Gives the running image up, for a reason of the application's own.
    pub fn reject(&self, number: u8) -> u16 {
        self.with_updater(|updater, _| Ok(updater.reject(Reason::OnRequest(number))?))
    }

    /// Feeds the watchdog, unless the running image is on trial and its time is over.
    pub fn feed(&self) -> u16 {
        self.with_updater(|updater, _| match updater.feed() {
            true => Ok(()),
            false => Err(Misuse::NotFed.into()),
        })
    }

    /// Notes that the application's data are in this schema.
    pub fn migrated(&self, schema: u16) -> u16 {
        self.with_updater(|updater, _| Ok(updater.migrated(schema)?))
    }

    /// Installs and activates the image that `read` reads.
    ///
    /// # Safety
    /// `read` may be called with `context` and with a buffer, of which it writes no more than the length
    /// that it is told.
    pub unsafe fn download(
        &self,
        read: Option<Read>,
        context: *mut c_void,
        from_network: bool,
    ) -> u16 {
        self.with_updater(|updater, chunk| {
            let read = read.ok_or(Misuse::NullPointer)?;
            let origin = match from_network {
                true => Origin::Network,
                false => Origin::Local,
            };
            // SAFETY: that is what the caller promises.
            let mut source = unsafe { Callback::new(read, context) };
            match download(updater, &mut source, origin, chunk, |_| {}) {
                Ok(()) => Ok(()),
                Err(DownloadError::Refused { refusal, .. }) => Err(refusal.into()),
                Err(DownloadError::Source(_)) => Err(Misuse::ReadFailed.into()),
                Err(DownloadError::EndsAt(_)) => Err(Refusal::NotWhole.into()),
            }
        })
    }

    /// Announces a reset, so that the next boot knows that it was meant, and resets. Returns only if
    /// that is refused.
    pub fn reset(&self) -> u16 {
        self.with_updater(|updater, _| updater.reset())
    }

    fn with_updater(
        &self,
        action: impl FnOnce(&mut Updater<P, PAGE>, &mut [u8; PAGE]) -> Result<(), Failure>,
    ) -> u16 {
        self.with(|held| {
            let (updater, chunk) = held.parts().ok_or(Misuse::NotStarted)?;
            action(updater, chunk)
        })
    }

    /// Lets one caller in at a time; who comes meanwhile is sent away, and never waits.
    fn with(&self, action: impl FnOnce(&mut Held<P, PAGE>) -> Result<(), Failure>) -> u16 {
        let was_busy = critical_section::with(|section| self.busy.borrow(section).replace(true));
        if was_busy {
            return Misuse::Busy.code();
        }
        // SAFETY: `busy` was false and is true now, so nobody else has this reference (see `Sync`). It
        // ends with the action. If that panics, `busy` stays, and nobody comes in again.
        let held = unsafe { &mut *self.held.get() };
        let outcome = action(held);
        critical_section::with(|section| self.busy.borrow(section).set(false));
        code(outcome)
    }
}

/// Writes what C asked for.
///
/// # Safety
/// `to` is null, or may be written through.
unsafe fn write<T>(to: *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() || !to.is_aligned() {
        return Err(Misuse::NullPointer.into());
    }
    // SAFETY: it is not null, so it may be written through, and it is aligned.
    unsafe { to.write(value) }
    Ok(())
}
