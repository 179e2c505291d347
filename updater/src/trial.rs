//! The application's verdict on the image that it is running.

use bistable_core::handover::Standing;
use bistable_core::header::Header;
use bistable_core::refusal::Refusal;
use bistable_core::state::{Budget, Origin, Reason, SlotState};
use bistable_core::transition::Event;
use bistable_core::verify::read_header;
use bistable_core::watchdog::Watchdog as _;

use crate::health::{Check, Circumstances, Health, Probe, Verdict, is_over};
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
        self.soak();
        allowed
    }

    /// A confirmed image that lived through a soak period is in no crash loop.
    fn soak(&mut self) {
        let is_over = is_over(self.platform.now(), self.product.policy.soak_seconds);
        if self.handover.abnormal > 0 && is_over && self.standing() == Standing::Confirmed {
            self.handover.abnormal = 0;
            self.platform.store_handover(&self.handover.encode());
        }
    }

    /// Notes the outcome of the health check with this name. `false`: there is no such check.
    pub fn check(&mut self, name: &str, passed: bool) -> bool {
        info!("check {=str}: {}", name, passed);
        self.health.note(name, passed)
    }

    /// Notes that the update source was reached: it gave an answer that made sense. `false`: there is no
    /// check for that.
    pub fn source_answered(&mut self) -> bool {
        let is_source = |check: &Check| check.probe == Probe::UpdateSource;
        self.health.note_where(is_source, |_| Some(true))
    }

    /// Measures what the updater finds out itself.
    fn probe(&mut self) {
        let platform = &mut self.platform;
        self.health.note_where(
            |_| true,
            |check| match check.probe {
                Probe::Supply(least) => Some(platform.supply_millivolts()? >= least),
                Probe::FreeStack(least) => Some(platform.free_stack()? >= least),
                Probe::Application | Probe::UpdateSource => None,
            },
        );
    }

    /// The health checks and their outcomes.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// What the checks say of the running image, now.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let running = self.snapshot.slot(self.running);
        let origin = running.image().map_or(Origin::Found, |image| image.origin);
        let first_start = match running {
            SlotState::Trial(_, budget) => {
                budget.starts_left().saturating_add(1)
                    == Budget::new(self.manifest.trial_attempts()).starts_left()
            }
            _ => false,
        };
        let rejection = self.snapshot.rejection(self.manifest.digest());
        self.health.verdict(&Circumstances {
            origin,
            elapsed: self.platform.now(),
            trial_seconds: self.manifest.trial_seconds(),
            reset: self.handover.reset,
            first_start,
            doubted: rejection.is_some_and(|rejection| rejection.is_forgiven()),
        })
    }

    /// Keeps the running image: Confirmed and active from now on. Does nothing if it is so already.
    ///
    /// # Errors
    /// [`Refusal::CheckOpen`] or [`Refusal::DeadlineOver`] by the health checks, [`Refusal::Impossible`]
    /// if the image was rejected, what speaks against its header, or the journal's failure.
    pub fn confirm(&mut self) -> Result<(), Refusal> {
        if self.standing() == Standing::Trial {
            self.probe();
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
        if self.manifest.digest() != image.digest() {
            return Err(Refusal::OtherImage);
        }
        self.record(Event::Confirm {
            running,
            revoke_below: image.manifest().revoke_below(),
            revokes: image.revokes(),
        })?;
        info!("confirmed {}", image.digest());
        if self.handover.standing != Standing::Confirmed {
            // From now on its crashes count.
            self.handover.standing = Standing::Confirmed;
            self.platform.store_handover(&self.handover.encode());
        }
        self.mirror_floor();
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
        info!("rejected: B{=u16} {}", reason.code().number(), reason);
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
        self.probe();
        let verdict = self.verdict();
        match verdict {
            Verdict::Pending => {}
            Verdict::Healthy => self.confirm()?,
            Verdict::Unhealthy(reason) => match (self.reject(reason), reason) {
                (Err(Refusal::NoAcceptableOther), Reason::Crashed(_)) => {
                    // There is nothing better to run: the checks decide.
                    self.health.forgive_resets();
                    return Ok(Verdict::Pending);
                }
                (rejected, _) => rejected?,
            },
        }
        Ok(verdict)
    }

    /// Notes that all of the application's data are in `schema` now. From then on images that cannot read it
    /// neither boot nor are installed, so do it last: see `docs/health.md`.
    ///
    /// # Errors
    /// [`Refusal::OtherSchema`] if the running image cannot read it, [`Refusal::TrialNotFinished`] on trial, or
    /// the journal's failure.
    pub fn migrated(&mut self, schema: u16) -> Result<(), Refusal> {
        let (first, last) = self.manifest.schemas();
        if !(first..=last).contains(&schema) {
            return Err(Refusal::OtherSchema);
        }
        self.record(Event::Migrate {
            running: self.running,
            schema,
        })
    }

    fn deadline_is_over(&self) -> bool {
        is_over(self.platform.now(), self.manifest.trial_seconds())
    }
}
