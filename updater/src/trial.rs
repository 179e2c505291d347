//! The application's verdict on the image that it is running.

use bistable_core::handover::Standing;
use bistable_core::header::Header;
use bistable_core::refusal::Refusal;
use bistable_core::state::{Origin, Reason};
use bistable_core::transition::Event;
use bistable_core::verify::read_header;
use bistable_core::watchdog::Watchdog as _;

use crate::health::{Health, Verdict, is_over};
use crate::log::info;
use crate::platform::Platform;
use crate::updater::Updater;

impl<P: Platform, const PAGE: usize> Updater<P, PAGE> {
    /// Feeds the watchdog, unless the running image is not confirmed and its time is over: then it
    /// returns `false`, and a reset follows within the watchdog's period. An application on trial feeds
    /// the watchdog here and nowhere else.
    pub fn feed(&mut self) -> bool {
        let allowed = self.standing() == Standing::Confirmed || !self.deadline_is_over();
        if allowed {
            let (_, watchdog) = self.platform.slot_flash(self.running);
            watchdog.feed();
        }
        allowed
    }

    /// Notes the outcome of the health check with this name. `false`: there is no such check.
    pub fn check(&mut self, name: &str, passed: bool) -> bool {
        info!("check {=str}: {}", name, passed);
        self.health.note(name, passed)
    }

    /// The health checks and their outcomes.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// What the checks say of the running image, now.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let image = self.snapshot.slot(self.running).image();
        let origin = image.map_or(Origin::Found, |image| image.origin);
        let seconds = self.manifest.trial_seconds();
        self.health.verdict(origin, self.platform.now(), seconds)
    }

    /// Keeps the running image: Confirmed and active from now on. Does nothing if it is so already.
    ///
    /// # Errors
    /// [`Refusal::CheckOpen`] or [`Refusal::DeadlineOver`] by the health checks, [`Refusal::Impossible`]
    /// if the image was rejected, what speaks against its header, or the journal's failure.
    pub fn confirm(&mut self) -> Result<(), Refusal> {
        if self.standing() == Standing::Trial {
            match self.verdict() {
                Verdict::Healthy => {}
                Verdict::Unhealthy(Reason::DeadlineOver) => return Err(Refusal::DeadlineOver),
                Verdict::Pending | Verdict::Unhealthy(_) => return Err(Refusal::CheckOpen),
            }
        }
        let running = self.running;
        let (flash, _) = self.platform.slot_flash(running);
        let bytes = read_header(flash, self.product.layout, running)?;
        let image =
            Header::new_checked(&bytes)?.authenticate(self.product.ring, self.snapshot.revoked)?;
        self.record(Event::Confirm {
            running,
            revoke_below: image.manifest().revoke_below(),
            revokes: image.revokes(),
        })?;
        info!("confirmed {}", image.digest());
        Ok(())
    }

    /// Gives the running image up: at the next reset the other one boots. The caller resets.
    ///
    /// # Errors
    /// [`Refusal::NoAcceptableOther`] if there is nothing to go back to (then nothing changes), or the
    /// journal's failure.
    pub fn reject(&mut self, reason: Reason) -> Result<(), Refusal> {
        let other_is_acceptable = self.verify(self.running.other()).is_ok();
        self.record(Event::Reject {
            slot: self.running,
            reason,
            other_is_acceptable,
        })?;
        info!("rejected: {}", reason);
        Ok(())
    }

    /// Acts on the verdict: confirms what is healthy, rejects what is not, and says which it was. To
    /// be called again and again during a trial; does nothing to a confirmed image.
    ///
    /// # Errors
    /// As [`Self::confirm`] and [`Self::reject`].
    pub fn judge(&mut self) -> Result<Verdict, Refusal> {
        if self.standing() != Standing::Trial {
            return Ok(Verdict::Healthy);
        }
        let verdict = self.verdict();
        match verdict {
            Verdict::Pending => {}
            Verdict::Healthy => self.confirm()?,
            Verdict::Unhealthy(reason) => self.reject(reason)?,
        }
        Ok(verdict)
    }

    fn deadline_is_over(&self) -> bool {
        is_over(self.platform.now(), self.manifest.trial_seconds())
    }
}
