//! The device of the story: what it says is waited for, and shown.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Result, bail};

use super::tally::tally;
use super::timeline::observed;
use super::world::Places;
use crate::{Config, FlashFile, LogLine, Machine, Source};

/// How long anything may take that the device does by itself. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bootloader that says what it does, in its file of the world.
pub(super) const LOGGING: &str = "bootloader.elf";

/// The same without its log, as it goes onto devices.
pub(super) const SILENT: &str = "bootloader-silent.elf";

/// A device that is switched on, until its power is cut or this is dropped.
pub(super) struct Device {
    machine: Machine,
    last: Option<LogLine>,
}

impl Device {
    /// Switches it on, with the bootloader in this file of the world and these options of the emulator.
    pub(super) fn start(places: &Places, bootloader: &str, options: &[OsString]) -> Result<Self> {
        let bootloader = places.file(bootloader);
        let application = places.file("images/v1.img.a.elf");
        let mut config = Config::new(places.board, &bootloader, places.file("flash"))
            .with_program("bootloader", places.file(LOGGING))
            .with_program("application", application);
        config.options = options.to_vec();
        Ok(Self {
            machine: Machine::start(&config)?,
            last: None,
        })
    }

    /// Waits for a line that contains all of `wanted`, and shows it.
    pub(super) fn expect(&mut self, wanted: &[&str]) -> Result<LogLine> {
        self.expect_before(wanted, &[])
    }

    /// The same, and a line that contains all of `unwanted` (if it says anything) must not come before.
    pub(super) fn expect_before(&mut self, wanted: &[&str], unwanted: &[&str]) -> Result<LogLine> {
        self.expect_within(PATIENCE, wanted, unwanted)
    }

    /// The same, with more patience.
    pub(super) fn expect_within(
        &mut self,
        patience: Duration,
        wanted: &[&str],
        unwanted: &[&str],
    ) -> Result<LogLine> {
        let says = |line: &LogLine, words: &[&str]| {
            !words.is_empty() && words.iter().all(|word| line.text.contains(word))
        };
        let line = self
            .machine
            .wait_for(|line| says(line, wanted) || says(line, unwanted), patience)?;
        if !says(&line, wanted) {
            bail!("expected {wanted:?}, the device says: {line}");
        }
        observed("device", format!("{}: {}", line.program, line.text));
        self.last = Some(line.clone());
        Ok(line)
    }

    /// How many of the lines so far contain all of `words`.
    pub(super) fn count(&mut self, words: &[&str]) -> usize {
        let lines = self.machine.transcript().iter();
        let says = |line: &&LogLine| words.iter().all(|word| line.text.contains(word));
        lines.filter(says).count()
    }

    /// Cuts the power, wherever it is. What it said after the line that was waited for last depends on time, and
    /// counts for nothing.
    pub(super) fn switch_off(mut self) {
        self.machine.power_cut();
        let end = self.last.as_ref().map_or(Duration::ZERO, |last| last.at);
        self.say_in_all(end);
    }

    /// Waits until the flash driver stops at the operation that `flash` has a trigger armed for, and
    /// kills the emulator. Returns the last line that the device had logged.
    pub(super) fn cut_at_trigger(mut self, flash: &FlashFile) -> Result<LogLine> {
        self.machine.power_cut_at_trigger(flash, PATIENCE)?;
        self.say_in_all(Duration::MAX);
        let last = self.machine.transcript().last().cloned();
        last.ok_or_else(|| anyhow::anyhow!("the device logged nothing before the cut"))
    }

    /// What it said in all, up to this time since it was switched on.
    fn say_in_all(&mut self, end: Duration) {
        let lines = self.machine.transcript().iter();
        let lines = lines.take_while(|line| line.at <= end);
        let said = tally(lines.map(|line| line.text.as_str()));
        observed("device", format!("in all: {said}"));
    }

    /// Whether the last line in a transcript came from the bootloader.
    pub(super) fn is_bootloaders(line: &LogLine) -> bool {
        line.source == Source::Bootloader
    }
}
