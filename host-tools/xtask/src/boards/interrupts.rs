//! `cargo xtask boards --run nrf51822`: whether interrupts reach an image through the bootloader, on QEMU's `microbit`, which
//! has that chip.
//!
//! The bootloader is the port's own. The image is one that takes exceptions of every kind and says what came of it
//! (`boards/chips/interrupts`): it runs from slot A of a flash as the factory leaves it, and from slot B alone. A third
//! time, the bootloader itself has a fault.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bistable_core::layout::Slot;
use bistable_firmware::ensure_command;
use bistable_layout::Product;
use object::Endianness;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::build::{compile_for, key};
use super::emulator::{EMULATOR, Process, quietly};
use super::port::{Port, scratch};
use crate::run::{Outcome, built};

/// The port with the forwarder.
pub(crate) const PORT: &str = "nrf51822";

/// How long a run may take. It takes a second.
const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(20);

/// Of the vector table: its words, and which of them are the first instruction's and the hard fault's.
const WORDS: usize = 42;
const RESET: usize = 1;
const HARD_FAULT: usize = 3;

/// Length of the call that the bootloader begins with, and the instruction `udf #0`.
const CALL_LEN: u32 = 4;
const UNDEFINED: [u8; 2] = [0x00, 0xDE];

/// What the image says last, if nothing is amiss.
const WELL: &str = "interrupts: all came through";

/// Builds the image's two links.
pub(crate) fn build(port: &Port) -> Outcome {
    for slot in ["A", "B"] {
        compile_for(port, "interrupts", Some(slot))?;
    }
    Ok(())
}

/// Looks whether they do. Port and image are built: `target/boards` has the programs.
pub(crate) fn nrf51_interrupts() -> Outcome {
    ensure_command(EMULATOR, EMULATOR).map_err(|error| error.to_string())?;
    let started = Instant::now();
    let bench = Bench::make(&Port::named(PORT)?)?;
    let outcome = bench
        .no_vector_is_kept()
        .and_then(|()| bench.taken_from_slot_a())
        .and_then(|()| bench.taken_from_slot_b())
        .and_then(|()| bench.a_fault_of_the_bootloader_resets());
    let (folder, seconds) = (bench.folder.display(), started.elapsed().as_secs_f32());
    match outcome {
        Ok(()) => println!("{PORT}: interrupts reach an image in either slot, {seconds:.0} s"),
        Err(problem) => {
            return Err(format!(
                "{PORT}: {problem}\nall that was run is in {folder}"
            ));
        }
    }
    Ok(())
}

/// What the emulator is loaded with.
struct Bench {
    product: Product,
    folder: PathBuf,
    /// All of the flash, with the image in slot A.
    factory: Vec<u8>,
    /// The image's program as linked for slot B.
    program_b: Vec<u8>,
}

/// What came of a run.
struct Run {
    said: String,
    /// If the emulator ended by itself, as it does at a reset.
    ended: Option<ExitStatus>,
}

impl Bench {
    fn make(port: &Port) -> Result<Self, String> {
        let layout = port.layout();
        let product = Product::read(&layout).map_err(|error| error.to_string())?;
        let folder = scratch(port, "interrupts")?;
        let [image, factory] = ["interrupts.img", "factory.bin"].map(|name| folder.join(name));
        let [a, b] = ["interrupts-A", "interrupts-B"].map(|what| port.program(what));
        let mut command = Command::new(built("bistable"));
        command.args(["image", "build", "--version", "1.0.0", "--sequence", "1"]);
        command
            .args(["--security-counter", "1", "--layout"])
            .arg(&layout);
        command.arg("--program-a").arg(a).arg("--program-b").arg(&b);
        quietly(command.arg("--key").arg(key()).arg("--out").arg(&image))?;
        let mut command = Command::new(built("bistable"));
        command
            .args(["factory", "build", "--layout"])
            .arg(&layout)
            .arg("--bootloader")
            .arg(port.program("bootloader"));
        quietly(
            command
                .arg("--image")
                .arg(&image)
                .arg("--out")
                .arg(&factory),
        )?;
        Ok(Self {
            product,
            factory: read(&factory)?,
            program_b: read(&b)?,
            folder,
        })
    }

    /// A driver in the bootloader with a handler of its own would keep that interrupt from images.
    fn no_vector_is_kept(&self) -> Outcome {
        let forwarder = self.word(HARD_FAULT);
        for number in RESET + 1..WORDS {
            // Exceptions that the processor does not have are zero.
            let vector = self.word(number);
            if vector != 0 && vector != forwarder {
                return Err(format!(
                    "the bootloader's vector {number}: found {vector:#x}, expected the forwarder at {forwarder:#x}"
                ));
            }
        }
        Ok(())
    }

    fn taken_from_slot_a(&self) -> Outcome {
        let run = self.run("a", &[self.loads("a.bin", &self.factory, 0)?])?;
        judge(&run, self.table(Slot::A))
    }

    /// Journal and slot A are erased.
    fn taken_from_slot_b(&self) -> Outcome {
        let mut flash = vec![0xFF; self.factory.len()];
        let bootloader = self.product.bootloader.size as usize;
        copy(&self.factory, 0..bootloader, &mut flash, 0)?;
        let [a, b] = Slot::BOTH.map(|slot| self.slot(slot) as usize);
        let size = self.product.layout.slot_size as usize;
        // Header, and whatever fills the payload where the program has nothing.
        copy(&self.factory, a..a.saturating_add(size), &mut flash, b)?;
        load(&self.program_b, &mut flash)?;
        let run = self.run("b", &[self.loads("b.bin", &flash, 0)?])?;
        judge(&run, self.table(Slot::B))
    }

    /// Even if its first call left the word as it is after a reset: with the table of the image that ran before.
    fn a_fault_of_the_bootloader_resets(&self) -> Outcome {
        let place = (self.word(RESET) & !1).saturating_add(CALL_LEN) as usize;
        let mut faulty = self.factory.clone();
        let place = faulty.get_mut(place..).and_then(<[u8]>::first_chunk_mut);
        *place.ok_or("the bootloader's reset vector lies outside of the flash")? = UNDEFINED;
        let word = self.product.handover.end.saturating_sub(4);
        let table = self.table(Slot::A);
        let loads = [
            self.loads("faulty.bin", &faulty, 0)?,
            format!("loader,addr={word:#x},data={table:#x},data-len=4"),
        ];
        let run = self.run("faulty", &loads)?;
        match run.ended {
            Some(status) if status.success() && run.said.is_empty() => Ok(()),
            ended => Err(format!(
                "a fault of the bootloader: found {ended:?} and {:?}, expected a reset",
                run.said
            )),
        }
    }

    /// Runs until the image has said everything, or the emulator ends.
    fn run(&self, name: &str, loads: &[String]) -> Result<Run, String> {
        let ram: u32 = self.product.ram.values().map(|ram| ram.size).sum();
        let serial = format!("{name}.txt");
        let mut command = Command::new(EMULATOR);
        command.args(["-M", "microbit", "-display", "none", "-monitor", "none"]);
        command.args(["-global", &format!("nrf51-soc.sram-size={ram}")]);
        command.args(["-no-reboot", "-serial", &format!("file:{serial}")]);
        // Time passes with instructions, 64 ns for each, however busy the host is: so interrupts always come.
        command.args(["-icount", "shift=6,sleep=off"]);
        for load in loads {
            command.args(["-device", load]);
        }
        let errors = self.folder.join(format!("{name}.log"));
        let mut emulator = Process::start(command.current_dir(&self.folder), &errors)?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let ended = emulator.ended();
            let said = fs::read_to_string(self.folder.join(&serial)).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            if ended.is_some() || last.starts_with("interrupts: ") && said.ends_with('\n') {
                return Ok(Run { said, ended });
            }
            sleep(POLL);
        }
        let said = fs::read_to_string(self.folder.join(&serial)).unwrap_or_default();
        let seconds = PATIENCE.as_secs();
        Err(format!("waited {seconds} s, and this was all:\n{said}"))
    }

    /// Writes a file; returns the emulator's option that loads it.
    fn loads(&self, name: &str, bytes: &[u8], address: u32) -> Result<String, String> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(|error| about(&path, &error))?;
        Ok(format!("loader,file={name},addr={address:#x}"))
    }

    /// A word of the bootloader's vector table.
    fn word(&self, number: usize) -> u32 {
        let word = self.factory.as_chunks().0.get(number);
        word.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn slot(&self, slot: Slot) -> u32 {
        slot.of(&self.product.layout.slots).address
    }

    /// Where the image's vector table lies.
    fn table(&self, slot: Slot) -> u32 {
        let payload = self.product.layout.payload_offset;
        self.slot(slot).saturating_add(payload)
    }
}

/// Whether the image with this vector table said what it says when nothing is amiss, and all of it.
fn judge(run: &Run, table: u32) -> Outcome {
    if let Some(status) = run.ended {
        return Err(format!(
            "the emulator ended ({status}) behind\n{}",
            run.said
        ));
    }
    let expected = transcript(table);
    let said: Vec<_> = run.said.lines().collect();
    let differs = |(said, expected): &(&&str, &String)| said != expected;
    if let Some((said, expected)) = said.iter().zip(&expected).find(differs) {
        return Err(format!("the image said {said:?}, expected {expected:?}"));
    }
    match said.len() == expected.len() {
        true => Ok(()),
        false => Err(format!(
            "the image said {} lines, expected {}",
            said.len(),
            expected.len()
        )),
    }
}

fn transcript(table: u32) -> Vec<String> {
    let mut lines = vec![format!("the vector table lies at {table:#x}, VTOR is 0x0")];
    for stack in ["main", "process"] {
        for exception in ["SVCall", "PendSV", "SysTick", "TIMER0", "HardFault"] {
            lines.push(format!(
                "{exception} on the {stack} stack: taken 1, harmed 0x0000"
            ));
        }
        lines.push(format!(
            "in a loop on the {stack} stack: TIMER0 again and again, SysTick again and again, harmed 0x0000"
        ));
    }
    lines.push("TIMER0 within PendSV: taken 1, harmed 0x0000".into());
    lines.push(WELL.into());
    lines
}

fn copy(from: &[u8], range: Range<usize>, to: &mut [u8], at: usize) -> Outcome {
    let bytes = from.get(range.clone());
    let room = to.get_mut(at..).and_then(|to| to.get_mut(..range.len()));
    let (Some(bytes), Some(room)) = (bytes, room) else {
        return Err(format!("{range:#x?} does not lie in the flash"));
    };
    room.copy_from_slice(bytes);
    Ok(())
}

/// Puts a program where it is loaded, in a flash that begins at address 0.
fn load(elf: &[u8], flash: &mut [u8]) -> Outcome {
    let failed = |error: object::Error| format!("the program for slot B: {error}");
    let header = FileHeader32::<Endianness>::parse(elf).map_err(failed)?;
    let endian = header.endian().map_err(failed)?;
    for segment in header.program_headers(endian, elf).map_err(failed)? {
        let bytes = segment.data(endian, elf).unwrap_or_default();
        if segment.p_type(endian) == PT_LOAD && !bytes.is_empty() {
            let at = segment.p_paddr(endian) as usize;
            copy(bytes, 0..bytes.len(), flash, at)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| about(path, &error))
}

fn about(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[String]) -> Run {
        Run {
            said: lines.join("\n"),
            ended: None,
        }
    }

    #[test]
    fn an_image_that_took_everything_in_its_own_slot_is_believed() {
        assert_eq!(judge(&said(&transcript(0x9400)), 0x9400), Ok(()));
        let elsewhere = judge(&said(&transcript(0x2_4400)), 0x9400).unwrap_err();
        assert!(
            elsewhere.contains("0x24400") && elsewhere.contains("0x9400"),
            "{elsewhere}"
        );
    }

    #[test]
    fn an_exception_that_did_not_come_or_did_harm_is_named() {
        for (right, wrong) in [("taken 1", "taken 0"), ("harmed 0x0000", "harmed 0x0100")] {
            let lines = transcript(0x9400).join("\n").replacen(right, wrong, 1);
            let run = Run {
                said: lines,
                ended: None,
            };
            assert!(judge(&run, 0x9400).unwrap_err().contains("SVCall"));
        }
    }

    #[test]
    fn a_transcript_that_lacks_its_end_is_not_believed() {
        let mut lines = transcript(0x9400);
        lines.pop();
        assert!(judge(&said(&lines), 0x9400).is_err());
    }
}
