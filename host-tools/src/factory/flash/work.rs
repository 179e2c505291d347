//! The work on one unit, in its order: who is it, compare, program, read back, boot, lock, record, wipe.
//!
//! ```text
//!   chip remembered ─▶ programmed ─▶ read back ─▶ boot test ─▶ read-back remembered ─▶ locks ─▶ record ─▶ wipe
//! ```
//!
//! Each arrow is durable before the next begins. Killed anywhere, the same command begins from the left: what is
//! programmed already is only read, what is locked already is left, what is recorded is not recorded again.

use bistable_core::digest::Digest;
use bistable_probe::simulated::Firmware;
use bistable_probe::{Lock, Picture, Unit};
use bistable_updater::identity::MAX_LEN;
use jiff::Timestamp;

use super::chips::Chip;
use super::station::{Individual, Station, UnitOnProbe, serial_in, told};
use super::{Flashed, Outcome, Step};
use crate::factory::IDENTITY_PARTITION;
use crate::factory::births::lives::{self, Life};
use crate::factory::births::{Birth, Event, Locks};
use crate::factory::register::wipe;
use crate::{Error, hex};

/// Flashes one unit, and says what became of it.
pub(super) fn flash(station: &Station<'_>, on_probe: &UnitOnProbe) -> Flashed {
    let mut flashed = Flashed {
        probe: on_probe.selector.to_string(),
        unit: on_probe.serial.clone(),
        result: Outcome::Failed,
        chip: None,
        sectors: 0,
        programmed: 0,
        read_back: None,
        said: None,
        steps: Vec::new(),
        locks: None,
        record: None,
        error: None,
    };
    match work(station, on_probe, &mut flashed) {
        Ok(outcome) => flashed.result = outcome,
        Err(error) => flashed.error = Some(error.to_string()),
    }
    flashed
}

/// A unit on its probe.
struct Bench<'s> {
    station: &'s Station<'s>,
    place: String,
    unit: Unit,
    /// The chip's unique number.
    chip: Option<String>,
    /// What is locked already.
    locked: Vec<Lock>,
    /// The serial number in its flash, if that can be read.
    holds: Option<String>,
}

fn work(
    station: &Station<'_>,
    on_probe: &UnitOnProbe,
    flashed: &mut Flashed,
) -> Result<Outcome, Error> {
    let began = now();
    let mut bench = Bench::attach(station, on_probe)?;
    flashed.chip.clone_from(&bench.chip);
    let serial = match &on_probe.serial {
        Some(serial) => serial.clone(),
        None => bench.next_serial()?,
    };
    flashed.unit = Some(serial.clone());
    if on_probe.serial.is_some() && !station.take(&serial) {
        return Err(Error::argument(
            &bench.place,
            format!("{} for another probe too", serial.escape_debug()),
            "each unit once",
            "a serial number is one unit's",
        ));
    }
    let birth = bench.birth(&serial)?;
    let file = station.register().identity_file(&serial);
    let remembered = station
        .chips
        .of(&file)?
        .filter(|chip| chip.life == birth.life);
    bench.check_that_it_may_be(&serial, remembered.as_ref(), birth.event)?;
    if birth.event == Event::Flashed {
        flashed.record = Some(birth.number);
        if !station.arguments.dry_run {
            wipe(&file)?;
        }
        return Ok(Outcome::FlashedBefore);
    }
    let individual = bench.individual(&file, &serial, &birth)?;
    bench.check_that_it_may_be_recorded(&birth)?;
    if station.arguments.dry_run {
        bench.look(&individual, flashed)?;
        return Ok(Outcome::Looked);
    }
    let verified = match bench.locked.is_empty() {
        true => bench.program_and_boot(&individual, birth.life, flashed)?,
        false => bench.verified_before(remembered)?,
    };
    flashed.read_back = verified.read_back;
    flashed.said = verified.said;
    let locks = bench.lock(flashed)?;
    let mut record = [Birth {
        event: Event::Flashed,
        common: birth.common.clone(),
        tool: env!("CARGO_PKG_VERSION").into(),
        station: station.arguments.station.clone(),
        operator: station.arguments.operator.clone(),
        began,
        done: now(),
        read_back: flashed.read_back.clone(),
        locks: Some(locks),
        ..birth
    }];
    station.register().append(&mut record, &*station.signer)?;
    let [record] = record;
    flashed.record = Some(record.number);
    flashed.locks = Some(locks);
    wipe(&file)?;
    // It is recorded: a chip that does not start now has passed its boot test before.
    let _ = bench.unit.start();
    Ok(Outcome::Flashed)
}

impl<'s> Bench<'s> {
    fn attach(station: &'s Station<'s>, on_probe: &UnitOnProbe) -> Result<Self, Error> {
        let place = on_probe.selector.to_string();
        let at = |error| told(&place, error);
        let identity = station.address(IDENTITY_PARTITION).ok_or_else(|| {
            Error::unexpected(
                &station.arguments.layout,
                "no place for the identity",
                format!("a partition `{IDENTITY_PARTITION}`"),
                "add it to the layout",
            )
        })?;
        let firmware = Firmware {
            identity,
            serial: serial_in,
        };
        let mut unit = Unit::attach(&on_probe.selector, &station.chip, firmware).map_err(at)?;
        let chip = station.known.map(|known| unit.unique(known)).transpose();
        let chip = chip.map_err(at)?;
        let mut locked = Vec::new();
        for (lock, recipe) in &station.all_locks {
            if unit.is_locked(recipe).map_err(at)? {
                locked.push(*lock);
            }
        }
        let holds = match locked.contains(&Lock::Readout) {
            true => None,
            false => {
                let block = unit.read(identity.into(), MAX_LEN).map_err(at)?;
                block.first_chunk().and_then(serial_in)
            }
        };
        Ok(Self {
            station,
            place,
            unit,
            chip,
            locked,
            holds,
        })
    }

    /// The serial number that this unit was begun with, or the next one that no other chip was.
    fn next_serial(&self) -> Result<String, Error> {
        let station = self.station;
        if let Some(serial) = &self.holds
            && station.register().last(serial)?.is_some()
            && station.take(serial)
        {
            return Ok(serial.clone());
        }
        let mut free = None;
        for (serial, file) in station.waiting()? {
            match station.chips.of(&file)? {
                Some(chip) if Some(&chip.chip) == self.chip.as_ref() => {
                    if station.take(&serial) {
                        return Ok(serial);
                    }
                }
                Some(_) => {}
                None => {
                    if free.is_none() && station.take(&serial) {
                        free = Some(serial);
                    }
                }
            }
        }
        free.ok_or_else(|| {
            Error::unexpected(
                &station.arguments.register,
                "no unit that waits to be flashed",
                "an identity file for each probe",
                "make more with `bistable factory provision`",
            )
        })
    }

    fn birth(&self, serial: &str) -> Result<Birth, Error> {
        let birth = self.station.register().last(serial)?;
        birth.ok_or_else(|| {
            Error::unexpected(
                &self.station.arguments.register,
                format!("no record of `{}`", serial.escape_debug()),
                "a serial number that was given",
                "provision it with `bistable factory provision`",
            )
        })
    }

    /// Refuses a unit that is somebody else, and a serial number that is somebody else's.
    fn check_that_it_may_be(
        &self,
        serial: &str,
        remembered: Option<&Chip>,
        event: Event,
    ) -> Result<(), Error> {
        let refuse = |found: String, hint: &str| {
            let expected = format!("a unit that is {serial}, or nobody yet");
            Err(Error::argument(&self.place, found, expected, hint))
        };
        if let Some(other) = self.holds.as_deref().filter(|holds| *holds != serial) {
            let hint = "check which unit is on which probe; one that is to become another is erased before";
            return refuse(format!("the unit {}", other.escape_debug()), hint);
        }
        if let (Some(remembered), Some(chip)) = (remembered, &self.chip)
            && remembered.chip != *chip
        {
            let found = format!(
                "chip {chip}, although {serial} was begun in chip {}",
                remembered.chip
            );
            return refuse(
                found,
                "put that unit back; if it is lost, provision a rework",
            );
        }
        let itself = self.holds.is_some() || remembered.is_some() && self.chip.is_some();
        if event == Event::Flashed && !itself {
            let found = format!("a unit that is not {serial}, which is flashed already");
            return refuse(
                found,
                "check the serial number; a unit is made again with a rework",
            );
        }
        Ok(())
    }

    /// Refuses a unit that could not be recorded afterwards, before anything is done that cannot be undone.
    fn check_that_it_may_be_recorded(&self, birth: &Birth) -> Result<(), Error> {
        let flashed = Birth {
            event: Event::Flashed,
            ..birth.clone()
        };
        lives::check(Some(&Life::of(birth)), &flashed).map_err(|why| {
            Error::argument(
                &self.place,
                why,
                "a unit that can be recorded when it is done",
                "nothing was programmed or locked; a key that the device makes cannot be recorded here yet",
            )
        })
    }

    /// The unit's identity file, which must be the one that its record speaks of.
    fn individual(
        &self,
        file: &std::path::Path,
        serial: &str,
        birth: &Birth,
    ) -> Result<Individual, Error> {
        let station = self.station;
        if !station.is_common(&birth.common) {
            return Err(Error::unexpected(
                &station.arguments.common,
                format!("SHA-256 {}", station.common()),
                format!("{}, which {serial} was provisioned for", birth.common),
                "give the file that was given to `factory provision`",
            ));
        }
        let individual = station.individual(file)?;
        if individual.serial != serial {
            return Err(Error::unexpected(
                file,
                format!("the identity of {}", individual.serial.escape_debug()),
                format!("that of {serial}"),
                "the register was changed by hand: put it back from a copy",
            ));
        }
        let key = individual.key.map(|key| hex::encode(&key));
        if key != birth.device_key || individual.identity.to_string() != birth.identity {
            return Err(Error::unexpected(
                file,
                "another key or identity than the record's",
                format!("what was recorded for {serial}"),
                "the register was changed by hand: put it back from a copy",
            ));
        }
        Ok(individual)
    }

    fn look(&mut self, individual: &Individual, flashed: &mut Flashed) -> Result<(), Error> {
        if self.locked.is_empty() {
            let picture = self.picture(individual)?;
            let sectors = self.unit.sectors(&picture);
            let sectors = sectors.map_err(|error| told(&self.place, error))?;
            let differing = self.unit.differing(&picture, &sectors);
            let differing = differing.map_err(|error| told(&self.place, error))?;
            flashed.sectors = sectors.len();
            flashed.programmed = differing.len();
        }
        for (lock, recipe) in &self.station.steps {
            flashed.steps.push(Step {
                lock: lock.to_string(),
                already: self.locked.contains(lock),
                accesses: recipe.to_string(),
            });
        }
        flashed.locks = Some(self.locks());
        Ok(())
    }

    /// Everything that can be done again: the unit is right, and has said who it is, when this returns.
    fn program_and_boot(
        &mut self,
        individual: &Individual,
        life: u32,
        flashed: &mut Flashed,
    ) -> Result<Chip, Error> {
        let station = self.station;
        let serial = &individual.serial;
        let mut memory = Chip {
            life,
            chip: self.chip.clone().unwrap_or_default(),
            read_back: None,
            said: None,
        };
        // Of a chip without a number too: `--next` offers what was begun to no other.
        station.chips.keep(&individual.file, &memory)?;
        let picture = self.picture(individual)?;
        let at = |error| told(format!("{} on {}", serial, self.place), error);
        let unit = &mut self.unit;
        unit.stop().map_err(at)?;
        let sectors = unit.sectors(&picture).map_err(at)?;
        let differing = unit.differing(&picture, &sectors).map_err(at)?;
        flashed.sectors = sectors.len();
        flashed.programmed = differing.len();
        unit.program(&picture, &differing).map_err(at)?;
        let read = unit.read_back(&picture, &sectors).map_err(at)?;
        memory.read_back = Some(Digest::of(&read.concat()).to_string());
        if let Some(test) = &station.boot_test {
            let said = unit.boot_test(test, serial, station.patience).map_err(at)?;
            memory.said = Some(said);
            unit.stop().map_err(at)?;
        }
        station.chips.keep(&individual.file, &memory)?;
        Ok(memory)
    }

    /// A unit that is partly locked is believed only if this station has read it back before.
    fn verified_before(&self, remembered: Option<Chip>) -> Result<Chip, Error> {
        let chip = remembered.filter(|chip| chip.read_back.is_some());
        chip.ok_or_else(|| {
            let locks: Vec<_> = self.locked.iter().map(Lock::to_string).collect();
            Error::argument(
                &self.place,
                format!("a unit that is locked ({})", locks.join(", ")),
                "an open one, or one that was read back here before it was locked",
                "nobody can say what is in it: set it aside",
            )
        })
    }

    /// The steps that cannot be undone.
    fn lock(&mut self, flashed: &mut Flashed) -> Result<Locks, Error> {
        for (lock, recipe) in &self.station.steps {
            let already = self.locked.contains(lock);
            if !already {
                let done = self.unit.lock(*lock, recipe);
                done.map_err(|error| told(&self.place, error))?;
                self.locked.push(*lock);
            }
            flashed.steps.push(Step {
                lock: lock.to_string(),
                already,
                accesses: recipe.to_string(),
            });
        }
        Ok(self.locks())
    }

    fn locks(&self) -> Locks {
        Locks {
            key: self.locked.contains(&Lock::Key),
            readout: self.locked.contains(&Lock::Readout),
            bootloader: self.locked.contains(&Lock::Bootloader),
        }
    }

    fn picture(&self, individual: &Individual) -> Result<Picture, Error> {
        let pieces = self.station.pieces(individual);
        Picture::new(pieces).map_err(|error| told(&self.place, error))
    }
}

/// RFC 3339, in UTC, to the second.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}
