//! A confirmed boot: instructions from reset to the application's first one, and the stack that it takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bistable_core::layout::Slot;
use bistable_qemu::FlashFile;
use serde::{Deserialize, Serialize};

use crate::elf;
use crate::gdb::Stop;
use crate::probe::Probe;
use crate::program::Program;
use crate::workshop::Workshop;

/// The stack that is painted, in bytes below its top.
const PAINTED: u32 = 32 << 10;

/// The most that one instruction clears, in bytes: sixteen registers.
const AT_ONCE: usize = 64;

/// What starting an image takes, in instructions of the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Boot {
    /// After power-on, all in all.
    pub(crate) power_on: u64,
    /// Of those, what it takes to clear the RAM.
    pub(crate) clearing: u64,
    /// After a reset of the same image, which finds its RAM as it left it.
    pub(crate) reset: u64,
    /// Of either, what one signature takes.
    pub(crate) signature: u64,
}

/// A device whose slot A holds a confirmed image that does nothing.
pub(crate) struct Device {
    flash: PathBuf,
    entry: u32,
}

impl Device {
    /// Makes one with a payload of `length` bytes.
    pub(crate) fn with_payload(workshop: &Workshop, length: usize) -> Result<Self> {
        let file = |name: &str| workshop.file(format!("{}k{name}", length / 1024));
        let (image, factory, flash) = (file(".img"), file("-factory.bin"), file("-flash"));
        let mut build = Words::new(&["image", "build"]);
        for slot in Slot::BOTH {
            let program = Program::new(&workshop.product, slot, length);
            let letter = if slot == Slot::A { 'a' } else { 'b' };
            let path = file(&format!("-{letter}.bin"));
            fs::write(&path, &program.bytes).with_context(|| path.display().to_string())?;
            let place = format!("{}@{:#x}", path.display(), program.address);
            build = build.with(&format!("--program-{letter}"), place);
        }
        let build = build
            .with("--layout", workshop.layout().display())
            .with("--key", workshop.key().display())
            .with("--version", "1.0.0")
            .with("--sequence", 1)
            .with("--security-counter", 1)
            .with("--out", image.display());
        workshop.bistable(&build.0)?;
        let build = Words::new(&["factory", "build"])
            .with("--layout", workshop.layout().display())
            .with("--image", image.display())
            .with("--serial", "BENCH")
            .with("--out", factory.display());
        workshop.bistable(&build.0)?;
        let content = fs::read(&factory).with_context(|| factory.display().to_string())?;
        FlashFile::create(workshop.board, &flash, &content)?;
        Ok(Self {
            flash,
            entry: Program::new(&workshop.product, Slot::A, length).entry,
        })
    }

    /// Counts what a boot of it takes.
    pub(crate) fn boot(&self, workshop: &Workshop, bootloader: &Path) -> Result<Boot> {
        let elf = elf::Program::read(bootloader)?;
        let mut probe = Probe::start(workshop.board, bootloader, &self.flash)?;
        let function = elf.function(SIGNATURE)?;
        let signature = duration_of(&mut probe, workshop, function)?;
        let clearing = clearing(&mut probe, workshop)?;
        let power_on = probe.run(Stop::At(self.entry))?;
        probe.reset()?;
        let reset = probe.run(Stop::At(self.entry))? - power_on;
        Ok(Boot {
            power_on,
            clearing,
            reset,
            signature,
        })
    }

    /// The bytes of its stack that a boot after power-on changes, from the top down.
    pub(crate) fn stack(&self, workshop: &Workshop, bootloader: &Path) -> Result<u64> {
        let elf = elf::Program::read(bootloader)?;
        let top = elf.symbol("_stack_start");
        let top = top.context("the bootloader has no symbol _stack_start")?;
        let bottom = top - PAINTED;
        let paint: Vec<u8> = (bottom..top).map(paint).collect();
        let mut probe = Probe::start(workshop.board, bootloader, &self.flash)?;
        probe.gdb.write(bottom, &paint)?;
        // The application finds its RAM cleared, from the lowest address up: look before the stack is.
        probe.run(Stop::Written(bottom))?;
        let found = probe.gdb.read(bottom, paint.len())?;
        // What cleared the lowest word may have cleared some behind it with the same instruction.
        let left = found.iter().zip(&paint).skip(AT_ONCE);
        let unused = AT_ONCE + left.take_while(|(found, paint)| found == paint).count();
        ensure!(
            unused > AT_ONCE,
            "the stack reaches {} B down: it may have left what is painted, {PAINTED} B",
            paint.len() - unused
        );
        Ok((paint.len() - unused) as u64)
    }
}

/// The function that verifies one signature, from its call to its return, whichever type it is of.
const SIGNATURE: &str = " as bistable_core::verifier::Verifier>::holds";

/// How many instructions a function takes that is called once.
fn duration_of(probe: &mut Probe, workshop: &Workshop, function: u32) -> Result<u64> {
    use bistable_layout::product::Architecture;
    let begun = probe.run(Stop::At(function))?;
    // Where it returns to: LR (r14), or ra (x1).
    let register = match workshop.product.architecture {
        Architecture::CortexM => 14,
        Architecture::Riscv32 => 1,
    };
    let registers = probe.gdb.registers()?;
    let back = registers.get(register).context("too few registers")? & !1;
    Ok(probe.run(Stop::At(back))? - begun)
}

/// What it takes to clear the application's RAM, which is done by one loop: what 1,024 words in its middle
/// take, which neither data nor stack reach, for all of it.
fn clearing(probe: &mut Probe, workshop: &Workshop) -> Result<u64> {
    let product = &workshop.product;
    let ram = &product.ram[&product.application_ram];
    let (start, end) = (
        product.handover.end.max(ram.address),
        ram.address + ram.size,
    );
    let middle = ram.address + ram.size / 2;
    let words = 1024;
    let first = probe.run(Stop::Written(middle))?;
    let last = probe.run(Stop::Written(middle + 4 * words))?;
    Ok((last - first) * u64::from((end - start) / 4) / u64::from(words))
}

/// A byte that nobody would write there by chance, with its neighbours.
fn paint(address: u32) -> u8 {
    (address.wrapping_mul(0x9E37_79B1) >> 24) as u8 | 1
}

/// The words of a command.
struct Words(Vec<String>);

impl Words {
    fn new(words: &[&str]) -> Self {
        Self(words.iter().map(|word| String::from(*word)).collect())
    }

    fn with(mut self, option: &str, value: impl ToString) -> Self {
        self.0.extend([option.to_owned(), value.to_string()]);
        self
    }
}
