//! One unit on one probe: attach, compare, erase, program, read back, reset.
//!
//! probe-rs' loader erases and programs; whether that was done is not left to it. Everything that a picture covers
//! is read back from here, through the debugger, and compared.

use std::ops::Range;
use std::time::Duration;

use probe_rs::config::{MemoryRegion, RawFlashAlgorithm};
use probe_rs::flashing::{DownloadOptions, FlashProgress, erase};
use probe_rs::{Core, MemoryInterface as _, Permissions, Session};

use crate::selector::{ChipDescription, Selector};
use crate::simulated::Firmware;
use crate::{Error, Picture};

/// Longer than any chip needs to stop.
const HALT_TIMEOUT: Duration = Duration::from_millis(500);

/// A unit, with a debugger attached to it.
pub struct Unit {
    session: Session,
}

/// A sector of flash that a picture touches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sector {
    /// Its addresses.
    pub range: Range<u64>,
    page: u64,
    erased: u8,
}

impl Unit {
    /// Attaches; nothing is stopped, written or erased. `firmware` is what a simulated unit would run.
    ///
    /// # Errors
    /// There is no such probe, or no chip of this kind answers. A chip that must be erased to be attached to is not.
    pub fn attach(
        selector: &Selector,
        chip: &ChipDescription,
        firmware: Firmware,
    ) -> Result<Self, Error> {
        let probe = chip.open(selector, firmware)?;
        let target = chip.target().clone();
        let session = probe
            .attach_with_registry(target, Permissions::new(), chip.registry())
            .map_err(Error::probe("a chip to attach to"))?;
        Ok(Self { session })
    }

    /// Resets the chip and stops it before its first instruction.
    ///
    /// # Errors
    /// It does not stop.
    pub fn stop(&mut self) -> Result<(), Error> {
        let stopped = "a chip that stops after a reset";
        let information = self.core()?.reset_and_halt(HALT_TIMEOUT);
        information.map(drop).map_err(Error::probe(stopped))
    }

    /// Resets the chip and lets it run.
    ///
    /// # Errors
    /// It cannot be reset.
    pub fn start(&mut self) -> Result<(), Error> {
        self.core()?
            .reset()
            .map_err(Error::probe("a chip that can be reset"))
    }

    /// What lies in `length` bytes from `address` on.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self, address: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        self.core()?
            .read(address, &mut bytes)
            .map_err(Error::probe("memory that can be read"))?;
        Ok(bytes)
    }

    /// The sectors that `picture` touches.
    ///
    /// # Errors
    /// A piece of it lies where the chip has no flash, or none that anybody knows how to program.
    pub fn sectors(&self, picture: &Picture) -> Result<Vec<Sector>, Error> {
        let mut sectors: Vec<Sector> = Vec::new();
        for piece in picture.pieces() {
            let mut at = piece.address;
            while at < piece.end() {
                let sector = self.sector(at).ok_or_else(|| {
                    Error::new(
                        format!("no flash at {at:#010x}, for {}", piece.name),
                        "flash there, and an algorithm that programs it",
                        "look whether --chip and the layout speak of the same chip",
                    )
                })?;
                at = sector.range.end;
                if sectors.last() != Some(&sector) {
                    sectors.push(sector);
                }
            }
        }
        Ok(sectors)
    }

    /// Those of `sectors` that do not hold what `picture` says.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn differing(
        &mut self,
        picture: &Picture,
        sectors: &[Sector],
    ) -> Result<Vec<Sector>, Error> {
        let mut differing = Vec::new();
        for run in runs(sectors) {
            let found = self.read(run.start, (run.end - run.start) as usize)?;
            let inside = sectors.iter().filter(|it| run.contains(&it.range.start));
            for sector in inside {
                let from = (sector.range.start - run.start) as usize;
                let found = &found[from..from + sector.len()];
                if picture.at(sector.range.start, sector.len(), sector.erased) != found {
                    differing.push(sector.clone());
                }
            }
        }
        Ok(differing)
    }

    /// Erases `sectors` and programs what `picture` says there, through probe-rs and the chip's flash algorithm.
    /// Pages that stay erased are not programmed.
    ///
    /// # Errors
    /// The algorithm says that it could not. That it says nothing proves nothing: see [`read_back`](Self::read_back).
    pub fn program(&mut self, picture: &Picture, sectors: &[Sector]) -> Result<(), Error> {
        let mut loader = self.session.target().flash_loader();
        let mut loaded = false;
        for sector in sectors {
            let bytes = picture.at(sector.range.start, sector.len(), sector.erased);
            let page = sector.page.min(bytes.len() as u64).max(1) as usize;
            let pages = bytes.chunks(page).zip((sector.range.start..).step_by(page));
            let mut filled = pages
                .filter(|(page, _)| page.iter().any(|byte| *byte != sector.erased))
                .peekable();
            if filled.peek().is_none() {
                let Range { start, end } = sector.range;
                erase(
                    &mut self.session,
                    &mut FlashProgress::empty(),
                    start,
                    end,
                    false,
                )
                .map_err(Error::probe("flash that can be erased"))?;
            }
            for (page, address) in filled {
                let added = loader.add_data(address, page);
                added.map_err(Error::probe("flash at these addresses"))?;
                loaded = true;
            }
        }
        if !loaded {
            return Ok(());
        }
        let committed = loader.commit(&mut self.session, DownloadOptions::new());
        committed.map_err(Error::probe("flash that can be erased and programmed"))
    }

    /// Reads all of `sectors` and compares; the bytes of the pieces as they were read, in their order.
    ///
    /// # Errors
    /// A byte differs: the first one is named.
    pub fn read_back(
        &mut self,
        picture: &Picture,
        sectors: &[Sector],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut read = Vec::new();
        for run in runs(sectors) {
            let bytes = self.read(run.start, (run.end - run.start) as usize)?;
            let erased = sectors.first().map_or(0xFF, |sector| sector.erased);
            let expected = picture.at(run.start, bytes.len(), erased);
            let mut both = (run.start..).zip(bytes.iter().zip(&expected));
            if let Some((address, (found, expected))) = both.find(|(_, (a, b))| a != b) {
                return Err(Error::new(
                    format!(
                        "{found:#04x} read back at {address:#010x}, in {}",
                        picture.name(address)
                    ),
                    format!("{expected:#04x}, which was programmed"),
                    "flash it again; if that does not help, the unit is faulty",
                ));
            }
            read.push((run, bytes));
        }
        let piece = |piece: &crate::Piece| {
            let (run, bytes) = read.iter().find(|(run, _)| run.contains(&piece.address))?;
            let from = (piece.address - run.start) as usize;
            bytes
                .get(from..from + piece.bytes.len())
                .map(<[u8]>::to_vec)
        };
        Ok(picture.pieces().iter().filter_map(piece).collect())
    }

    pub(crate) fn core(&mut self) -> Result<Core<'_>, Error> {
        self.session
            .core(0)
            .map_err(Error::probe("a core that can be debugged"))
    }

    fn sector(&self, address: u64) -> Option<Sector> {
        let target = self.session.target();
        let flash = |region: &MemoryRegion| {
            matches!(region, MemoryRegion::Nvm(_)) && region.contains(address)
        };
        target.memory_map.iter().find(|region| flash(region))?;
        let mut able = target
            .flash_algorithms
            .iter()
            .filter(|it| it.flash_properties.address_range.contains(&address));
        let first = able.clone().next()?;
        let algorithm: &RawFlashAlgorithm = able.find(|it| it.default).unwrap_or(first);
        let properties = &algorithm.flash_properties;
        let base = properties.address_range.start;
        let offset = address - base;
        let kind = properties.sectors.iter().rfind(|it| it.address <= offset)?;
        let start = base + kind.address + (offset - kind.address) / kind.size * kind.size;
        Some(Sector {
            range: start..start + kind.size,
            page: u64::from(properties.page_size),
            erased: properties.erased_byte_value,
        })
    }
}

impl Sector {
    fn len(&self) -> usize {
        (self.range.end - self.range.start) as usize
    }
}

/// The sectors, as few ranges as possible.
fn runs(sectors: &[Sector]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for Sector { range, .. } in sectors {
        match runs.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => runs.push(range.clone()),
        }
    }
    runs
}
