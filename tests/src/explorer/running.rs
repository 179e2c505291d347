//! The application that runs: which offers it takes, and what it does while it is on trial.

use std::cell::RefCell;
use std::rc::Rc;

use bistable_core::state::Reason;
use bistable_updater::health::Verdict;
use bistable_updater::witness::Witness;
use bistable_updater::{Platform, Updater};

use super::boot::{End, Notes};
use super::hardware::Hardware;
use super::invariants::Invariant;
use super::ledger::{self, Scribble};
use super::scenario::{Nature, Offer};
use super::world::{NEW_SCHEMA, World};
use crate::device::{PAGE, give, install};

/// In one boot.
const MOST_RECEIPTS: usize = 2;

/// What an image does on trial.
#[derive(Clone, Copy)]
pub(super) enum Does {
    /// Its checks pass, and it is confirmed.
    Confirms,
    /// A check fails.
    Rejects,
    /// It does not reach its update source until its time is over.
    IsCutOff,
    /// It says nothing.
    Hangs,
}

/// When a confirmed image crashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Crash {
    /// Before its updater runs.
    AtOnce,
    /// After it fed the watchdog.
    Fed,
    /// After it lived through a soak period.
    Soaked,
}

/// The application that runs.
pub(super) struct Running<'a> {
    /// In which story.
    pub(super) world: &'a World,
    /// On what.
    pub(super) hardware: &'a Rc<RefCell<Hardware>>,
    /// What is found out.
    pub(super) notes: &'a RefCell<Notes>,
    /// Which one it is.
    pub(super) image: usize,
}

impl Running<'_> {
    fn choose(&self, of: usize) -> usize {
        self.hardware.borrow_mut().choices.choose(of)
    }

    fn did(&self, what: String) {
        self.notes.borrow_mut().story.did = what;
    }

    /// This brings the goal no nearer.
    fn hinders(&self) {
        self.notes.borrow_mut().helps = false;
    }

    /// What it does on trial, as its nature is.
    pub(super) fn choose_on_trial(&self) -> Does {
        let ways: &[Does] = match self.world.nature(self.image) {
            Nature::Healthy => &[Does::Confirms, Does::Hangs],
            Nature::Sick => &[Does::Rejects, Does::Hangs],
            Nature::Moody => &[Does::Confirms, Does::Rejects, Does::Hangs],
            Nature::Silent => &[Does::Hangs],
            Nature::CutOff => &[Does::Confirms, Does::IsCutOff, Does::Hangs],
        };
        let way = self.choose(ways.len());
        if way > 0 {
            self.hinders();
        }
        ways[way]
    }

    /// It looks after its ledger, and makes some receipts, before it does anything else.
    pub(super) fn bears_witness<P: Platform>(&self, updater: &mut Updater<P, PAGE>) {
        let Some(place) = self.world.ledger else {
            return;
        };
        let device = updater.device();
        let (flash, watchdog) = updater.platform().journal_flash();
        self.hardware.borrow_mut().opens_desk();
        let mut witness = Witness::open(ledger::unit(), Scribble, place, 0, flash, watchdog);
        let is_worn_out = witness.is_worn_out();
        self.hardware.borrow_mut().has_opened_ledger(is_worn_out);
        let kept: Vec<_> = witness.kept(flash).collect();
        self.hardware.borrow_mut().keeps(&kept, is_worn_out);
        for number in 0..self.choose(MOST_RECEIPTS + 1) {
            let receipt = witness.receipt(&device, None, 0, flash, watchdog);
            self.hardware
                .borrow_mut()
                .gives(receipt.as_ref().map_err(|error| *error));
            if receipt.is_err() {
                let kept: Vec<_> = witness.kept(flash).collect();
                let is_worn_out = witness.is_worn_out();
                self.hardware.borrow_mut().keeps(&kept, is_worn_out);
            }
            let said = receipt.map(|receipt| receipt.digest());
            self.did(format!(
                "makes receipt {} in this boot: {said:?}",
                number + 1
            ));
        }
        self.hardware.borrow_mut().closes_desk();
    }

    /// Whether it crashes though it is confirmed, and when.
    pub(super) fn chooses_to_crash(&self) -> Option<Crash> {
        if !self.world.job.scenario.crashes {
            return None;
        }
        let ways = [
            None,
            Some(Crash::AtOnce),
            Some(Crash::Fed),
            Some(Crash::Soaked),
        ];
        let way = ways[self.choose(ways.len())];
        if way.is_some() {
            self.hinders();
        }
        way
    }

    /// It crashes while it is confirmed.
    pub(super) fn crash<P: Platform>(&self, updater: &mut Updater<P, PAGE>, crash: Crash) -> End {
        self.did(format!("crashes: {crash:?}"));
        if crash == Crash::Soaked {
            let soak = self.world.application.policy.soak_seconds;
            self.hardware.borrow_mut().now = u64::from(soak) * 1000;
            self.notes.borrow_mut().soaked = true;
        }
        updater.feed();
        End::Watchdog
    }

    /// It hangs so early that its updater never runs.
    pub(super) fn hang(&self) -> End {
        self.notes.borrow_mut().hangs = true;
        self.did("says nothing until the watchdog bites".to_owned());
        End::Watchdog
    }

    /// It runs on trial, and says what it finds.
    pub(super) fn on_trial<P: Platform>(&self, updater: &mut Updater<P, PAGE>, does: Does) -> End {
        if self.world.job.scenario.offers.contains(&Offer::Migrate) {
            // It is not up to a trial, and the updater knows.
            let _ = updater.migrated(NEW_SCHEMA);
        }
        if let Does::Confirms = does {
            updater.check("self-test", true);
            updater.check("update-source", true);
            let verdict = updater.judge();
            self.did(format!("passes its checks: {verdict:?}"));
            if verdict == Ok(Verdict::Healthy) {
                self.hardware.borrow_mut().reported();
                self.notes.borrow_mut().confirmed = true;
            }
            return match self.world.job.scenario.crashes {
                true => End::Watchdog,
                false => End::Idle,
            };
        }
        let passes = matches!(does, Does::IsCutOff);
        if passes {
            self.hardware.borrow_mut().now = u64::from(u16::MAX) * 1000;
        }
        updater.check("self-test", passes);
        let verdict = updater.judge();
        self.did(format!("fails a check: {verdict:?}"));
        if verdict.is_err() {
            return End::Watchdog;
        }
        self.hardware.borrow_mut().reported();
        updater.reset()
    }

    /// It runs confirmed, and is offered something.
    pub(super) fn confirmed<P: Platform>(&self, updater: &mut Updater<P, PAGE>) -> End {
        let scenario = &self.world.job.scenario;
        let offers = scenario.offers;
        let helpful = match scenario.goal {
            Some(goal) if goal != self.image => {
                offers.iter().position(|offer| *offer == Offer::Whole(goal))
            }
            _ => None,
        };
        let offer = self.choose(offers.len() + 1).checked_sub(1);
        if offer != helpful {
            self.hinders();
        }
        let Some(offer) = offer.map(|offer| offers[offer]) else {
            self.notes.borrow_mut().idles = true;
            updater.feed();
            self.did("does its work".to_owned());
            return End::Idle;
        };
        let images = &self.world.images;
        let outcome = match offer {
            Offer::Whole(image) => {
                self.did(format!("is offered image {image}"));
                install(updater, &images[image])
            }
            Offer::PartThen(part, parts, image) => {
                self.did(format!("is offered {parts} parts of {part}, then {image}"));
                // Whether it takes them is its own business.
                let _ = give(updater, &images[part], parts);
                if part != image {
                    self.erased_once();
                }
                install(updater, &images[image])
            }
            Offer::Migrate => {
                self.did("migrates the data".to_owned());
                let migrated = updater.migrated(NEW_SCHEMA);
                self.notes.borrow_mut().story.did += &format!(": {migrated:?}");
                if migrated.is_ok() {
                    self.hardware.borrow_mut().reported();
                }
                return End::Idle;
            }
            Offer::GiveUp => {
                self.did("gives itself up".to_owned());
                updater.reject(Reason::OnRequest(1))
            }
        };
        self.erased_once();
        self.notes.borrow_mut().story.did += &format!(": {outcome:?}");
        if outcome.is_err() {
            return End::Idle;
        }
        self.hardware.borrow_mut().reported();
        updater.reset()
    }

    /// One installation erases each sector at most once, and once more for each operation that failed.
    fn erased_once(&self) {
        let mut hardware = self.hardware.borrow_mut();
        let most = 1 + hardware.failed;
        if let Some(sector) = hardware.erased.iter().position(|n| u32::from(*n) > most) {
            let what = format!(
                "sector {sector} is erased {} times",
                hardware.erased[sector]
            );
            hardware.violate(Invariant::Wear, what);
        }
        hardware.erased.fill(0);
    }
}
