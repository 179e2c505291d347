//! A product's layout and key ring, as the device's own functions take them.

use std::ops::Range;
use std::path::Path;

use bistable_core::keys::{Key, KeyId, KeyRing};
use bistable_core::reset::ResetReason;
use bistable_core::state::{Reason, ReasonCode};
use bistable_core::verify::Entry;
use bistable_core::version::Version;
use bistable_layout::product::{Architecture, Flash};
use bistable_layout::{Product, Ring};

use crate::Error;
use crate::row::Row;

/// What a bootloader of this product knows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The layout.
    pub product: Product,
    /// The key ring.
    pub ring: Ring,
    /// The flashes on which a device of it keeps its state.
    pub row: Row,
    keys: Vec<Key>,
    ram: Vec<Range<u32>>,
}

impl Facts {
    /// Reads a `layout.toml` and the key ring that it names.
    ///
    /// # Errors
    /// One of the two cannot be read or breaks a rule; development keys for a board that is not
    /// emulated do.
    pub fn read(layout: &Path) -> Result<Self, Error> {
        let product = Product::read(layout)?;
        let ring = product.ring()?;
        Ok(Self::new(product, ring))
    }

    /// From what was read before.
    #[must_use]
    pub fn new(product: Product, ring: Ring) -> Self {
        Self {
            keys: ring.core_keys(),
            ram: product.ram_ranges(),
            row: Row::of(&product),
            product,
            ring,
        }
    }

    /// The key ring, as it is compiled into the bootloader.
    #[must_use]
    pub fn key_ring(&self) -> KeyRing<'_> {
        KeyRing {
            keys: &self.keys,
            release_threshold: self.ring.release_threshold,
            root_threshold: self.ring.root_threshold,
        }
    }

    /// How the architecture starts an image.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        match self.product.architecture {
            Architecture::CortexM => Entry::CortexM { ram: &self.ram },
            Architecture::Riscv32 => Entry::FirstInstruction,
        }
    }

    /// The name of a key in the ring.
    #[must_use]
    pub fn key_name(&self, id: KeyId) -> Option<&str> {
        let mut keys = self.ring.keys.iter();
        keys.find(|entry| entry.key.id == id)
            .map(|entry| entry.name.as_str())
    }

    /// The one flash on which the device keeps its state.
    ///
    /// # Errors
    /// There are several: one file holds one flash.
    pub fn flash(&self, layout: &Path) -> Result<&Flash, Error> {
        let only = self.row.only().map(|it| &it.flash);
        only.ok_or_else(|| {
            Error::unexpected(
                layout,
                format!("journal, slots and identity on {}", self.row.names()),
                "all of them on one flash",
                "a file holds one flash: this command cannot take several",
            )
        })
    }

    /// A reason in words, with the names of the health checks.
    #[must_use]
    pub fn reason_text(&self, code: ReasonCode) -> String {
        let Some(reason) = code.reason() else {
            return format!(
                "reason {:#06x}, which is newer than these tools",
                code.get()
            );
        };
        match reason {
            Reason::AttemptsUsedUp => "attempts used up, never confirmed".into(),
            Reason::PowerBudgetUsedUp => "power failed too often during the trial".into(),
            Reason::CheckFailed(number) => format!("{} failed", self.check_text(number)),
            Reason::DeadlineOver => "deadline over before every check had passed".into(),
            Reason::OnRequest(number) => format!("application asked for it, its reason {number}"),
            Reason::CrashLoop => "crash loop after confirmation".into(),
            Reason::OnOrder(number) => {
                format!("asked for by a signed request, its reason {number}")
            }
            Reason::SourceUnreachable(number) => format!(
                "{} never passed, and nothing else spoke against it; may be offered once more",
                self.check_text(number)
            ),
            Reason::Crashed(number) => match ResetReason::from_code(number) {
                Some(reset) => {
                    format!("reset on trial ({reset:?}), which the product does not forgive")
                }
                None => format!("reset on trial, for reason {number}"),
            },
        }
    }

    /// A health check by its number, with its name.
    fn check_text(&self, number: u8) -> String {
        let place = usize::from(number).checked_sub(1);
        match place.and_then(|place| self.product.checks.get(place)) {
            Some(name) => format!("health check {number} `{name}`"),
            None => format!("health check {number}, which the layout does not name,"),
        }
    }
}

/// The version of the bootloader that these tools were built with.
#[must_use]
pub fn workspace_version() -> Version {
    Version::parse(env!("CARGO_PKG_VERSION")).unwrap_or_default()
}

/// For the command line: three numbers.
///
/// # Errors
/// What a version looks like.
pub fn parse_version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "a version is three numbers, such as 1.2.3".into())
}
