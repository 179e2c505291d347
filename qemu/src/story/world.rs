//! The world of the story: a folder with flash file, store and images, and the tools that act on it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bistable_core::layout::{Layout, Slot};
use bistable_layout::Product;

use super::device::{Device, LOGGING};
use super::journal::JournalView;
use super::meter::Meter;
use crate::{Board, FlashFile, SectorCounters};

/// Where things are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The board.
    pub board: Board,
    /// The repository.
    pub repository: PathBuf,
    /// The world: everything that the story makes is in here.
    pub world: PathBuf,
    /// The command `bistable`.
    pub bistable: PathBuf,
}

impl Places {
    /// The board's folder.
    #[must_use]
    pub fn board_folder(&self) -> PathBuf {
        self.repository.join("qemu").join(self.board.name())
    }

    /// The product's layout.
    #[must_use]
    pub fn layout(&self) -> PathBuf {
        self.board_folder().join("layout.toml")
    }

    /// The development key, which is made here and never committed.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.board_folder().join("keys/development.pem")
    }

    /// A file of the world.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.world.join(name)
    }
}

/// The world.
pub struct World {
    pub(super) places: Places,
    pub(super) product: Product,
    pub(super) random: fastrand::Rng,
    /// How long cargo took.
    pub time_building: Duration,
    /// What counts the bytes between device and server, if anything does.
    pub(super) meter: Option<Meter>,
    /// The package of the application.
    pub(super) package: String,
    /// What else the emulator is told.
    pub(super) options: Vec<OsString>,
    server: Option<Server>,
}

struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only for a process that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl World {
    /// A world in its folder: an empty one, or what an earlier story left.
    ///
    /// # Errors
    /// The folder or the layout cannot be used.
    pub fn open(places: Places, seed: u64, go_on: bool) -> Result<Self> {
        if !go_on && places.world.exists() {
            fs::remove_dir_all(&places.world)
                .with_context(|| format!("clear {}", places.world.display()))?;
        }
        for folder in ["store/images", "store/latest", "images"] {
            let folder = places.file(folder);
            fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        println!("seed {seed:#x}");
        Ok(Self {
            product: Product::read(&places.layout())?,
            package: places.board.demo(),
            options: Vec::new(),
            places,
            random: fastrand::Rng::with_seed(seed),
            time_building: Duration::ZERO,
            meter: None,
            server: None,
        })
    }

    /// Copies the whole world, holes in files kept.
    pub(super) fn copy_to(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let copied = Command::new("cp")
            .args(["-a", "--sparse=always"])
            .arg(self.places.world.join("."))
            .arg(folder)
            .status()?;
        ensure!(copied.success(), "cp of the world failed: {copied}");
        Ok(())
    }

    /// Where things lie.
    pub(super) fn layout(&self) -> &Layout {
        &self.product.layout
    }

    /// Runs the command `bistable` and returns what it printed; `Err` with what it complained of.
    pub(super) fn bistable<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String> {
        let output = Command::new(&self.places.bistable)
            .args(arguments)
            .current_dir(&self.places.repository)
            .output()
            .with_context(|| format!("run {}", self.places.bistable.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let words: Vec<_> = arguments
                .iter()
                .map(|word| word.as_ref().to_string_lossy())
                .collect();
            bail!("bistable {}: {}", words.join(" "), said.trim());
        }
        let repository = format!("{}/", self.places.repository.display());
        Ok(String::from_utf8(output.stdout)?.replace(&repository, ""))
    }

    /// The flash file.
    pub(super) fn flash(&self) -> Result<FlashFile> {
        Ok(FlashFile::open(
            self.places.board,
            &self.places.file("flash"),
        )?)
    }

    /// What the host tools read from the flash file.
    pub(super) fn journal(&self) -> Result<JournalView> {
        let flash = self.places.file("flash");
        let layout = self.places.layout();
        let json = self.bistable(&[
            OsStr::new("doctor"),
            flash.as_os_str(),
            OsStr::new("--layout"),
            layout.as_os_str(),
            OsStr::new("--json"),
        ])?;
        JournalView::parse(&json)
    }

    /// All bytes of a slot.
    pub(super) fn slot_bytes(&self, slot: Slot) -> Result<Vec<u8>> {
        let layout = self.layout();
        let start = slot.of(&layout.slots).offset;
        Ok(self.flash()?.read(start, layout.slot_size)?)
    }

    /// Bytes of an erase sector of the flash: all of them are equal.
    pub(super) fn sector_size(&self) -> u32 {
        self.product.slot_units.erase_size
    }

    /// The sectors of a slot.
    pub(super) fn sectors(&self, slot: Slot) -> core::ops::RangeInclusive<u32> {
        let start = slot.of(&self.layout().slots).offset / self.sector_size();
        start..=start + self.layout().slot_size / self.sector_size() - 1
    }

    /// The sectors of the journal.
    pub(super) fn journal_sectors(&self) -> core::ops::RangeInclusive<u32> {
        let journal = self.layout().journal;
        let start = journal.offset / self.sector_size();
        start..=start + u32::from(journal.sectors) - 1
    }

    /// The sectors of the ledger.
    fn ledger_sectors(&self) -> core::ops::Range<u32> {
        let ledger = self.product.ledger.as_ref().map(|ledger| ledger.place);
        let (offset, sectors) = ledger.map_or((0, 0), |place| (place.offset, place.sectors));
        let start = offset / self.sector_size();
        start..start + u32::from(sectors)
    }

    /// What was done so far to the slots, to the journal and to the ledger.
    pub(super) fn wear(&self) -> Result<Wear> {
        let flash = self.flash()?;
        let of = |sectors: core::ops::RangeInclusive<u32>| {
            flash.sector_counters(*sectors.start()..*sectors.end() + 1)
        };
        Ok(Wear {
            slots: Slot::BOTH.map(|slot| of(self.sectors(slot))),
            journal: of(self.journal_sectors()),
            ledger: flash.sector_counters(self.ledger_sectors()),
        })
    }

    /// Switches the device on, with its server running.
    pub(super) fn power_on(&mut self) -> Result<Device> {
        self.power_on_with(LOGGING)
    }

    /// The same with the bootloader in this file of the world.
    pub(super) fn power_on_with(&mut self, bootloader: &str) -> Result<Device> {
        let mut port = self.server()?;
        if let Some(meter) = &self.meter {
            port = meter.in_front_of(port);
        }
        let line = format!("10.0.2.2:{port}\n");
        let data = &self.product.partitions["data"];
        self.flash()?.corrupt(data.offset, line.as_bytes())?;
        Device::start(&self.places, bootloader, &self.options)
    }

    /// The port of the update server, which is started if it does not run.
    fn server(&mut self) -> Result<u16> {
        if let Some(server) = &self.server {
            return Ok(server.port);
        }
        let port_file = self.places.file("port");
        // Fails if there is none from an earlier run, which is what is wanted.
        let _ = fs::remove_file(&port_file);
        let mut command = Command::new(&self.places.bistable);
        command
            .arg("serve")
            .arg(self.places.file("store"))
            .args(["--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file);
        if self.births().exists() {
            command.arg("--births").arg(self.births());
            command.arg("--station-key").arg(self.station_key());
        }
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start bistable serve")?;
        let log = process.stderr.take().context("the server's log")?;
        let log_file = self.places.file("server.log");
        std::thread::spawn(move || {
            let mut lines = String::new();
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                lines += &(line + "\n");
                // The log is for people who look at a story that failed.
                let _ = fs::write(&log_file, &lines);
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if let Ok(text) = fs::read_to_string(&port_file)
                && let Ok(port) = text.trim().parse()
            {
                self.server = Some(Server { process, port });
                return Ok(port);
            }
            sleep(Duration::from_millis(20));
        }
        bail!("bistable serve did not say its port within 20 s")
    }
}

/// What was done to the slots, to the journal and to the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wear {
    pub(super) slots: [SectorCounters; 2],
    pub(super) journal: SectorCounters,
    pub(super) ledger: SectorCounters,
}

impl Wear {
    /// What was done since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let less = |now: SectorCounters, then: SectorCounters| SectorCounters {
            erases: now.erases - then.erases,
            program_calls: now.program_calls - then.program_calls,
        };
        let [a, b] = self.slots;
        Self {
            slots: [less(a, before.slots[0]), less(b, before.slots[1])],
            journal: less(self.journal, before.journal),
            ledger: less(self.ledger, before.ledger),
        }
    }
}
