//! What `image build` says of an image: how full the slot is, and what it costs.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::Facts;
use crate::image::cost::{REST, instructions_to_verify};
use crate::image::make::Built;
use crate::image::signed::SignedBy;
use crate::output::Report;

/// An image that was made.
#[derive(Serialize, JsonSchema)]
pub struct Summary {
    /// Where it is.
    pub image: PathBuf,
    /// Its length in bytes.
    pub bytes: usize,
    /// The digest of its manifest, 64 hexadecimal digits.
    pub name: String,
    /// Three numbers.
    pub version: String,
    /// Decides what may be installed.
    pub sequence: u32,
    /// Decides what may be booted.
    pub security_counter: u32,
    /// How much of the slot it takes, in bytes.
    pub used: u64,
    /// How much of the slot it leaves, in bytes.
    pub headroom: u64,
    /// How many bytes differ between the slots.
    pub fixups: usize,
    /// How many pages there are.
    pub pages: usize,
    /// Their length together, in bytes.
    pub pages_bytes: usize,
    /// About how many instructions a Cortex-M3 takes to verify it at boot.
    pub instructions_to_verify: u64,
    /// Who signed it.
    pub signed: SignedBy,
    /// The programs as linked for A and for B.
    pub programs: Vec<PathBuf>,
    /// The software bill of materials; `null` if there is none.
    pub sbom: Option<PathBuf>,
    /// The provenance statement; `null` if there is none.
    pub provenance: Option<PathBuf>,
}

impl Report for Summary {
    const FORMAT: &'static str = "image-build/1";
}

impl Summary {
    /// About the image that was written to `path`.
    #[must_use]
    pub fn new(path: &Path, built: &Built, facts: &Facts) -> Self {
        let image = &built.image;
        let manifest = image.manifest();
        let layout = &facts.product.layout;
        let used = u64::from(layout.payload_offset) + u64::from(manifest.payload_len());
        Self {
            image: path.into(),
            bytes: built.bytes.len(),
            name: manifest.digest().to_string(),
            version: manifest.version().to_string(),
            sequence: manifest.sequence(),
            security_counter: manifest.security_counter(),
            used,
            headroom: u64::from(layout.slot_size).saturating_sub(used),
            fixups: image.fixups(),
            pages: image.pages().len(),
            pages_bytes: image.pages_len(),
            instructions_to_verify: instructions_to_verify(manifest, &facts.key_ring()),
            signed: SignedBy::header(image.header(), facts),
            programs: Vec::new(),
            sbom: None,
            provenance: None,
        }
    }

    /// With the files that were written beside it.
    #[must_use]
    pub fn with(self, programs: &[PathBuf; 2], [sbom, provenance]: [Option<PathBuf>; 2]) -> Self {
        Self {
            programs: programs.into(),
            sbom,
            provenance,
            ..self
        }
    }
}

impl Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [verifying, rest] = [self.instructions_to_verify, REST].map(|count| count as f64 / 1e6);
        writeln!(
            formatter,
            "image     {} ({} bytes)\n\
             name      {}\n\
             version   {}, sequence {}, security counter {}\n\
             slot      {:.1} % used, {} bytes headroom\n\
             fix-ups   {} bytes differ between the slots\n\
             pages     {} bytes in {} pages, {:.1} % of the file\n\
             boot      about {verifying:.1} million instructions to verify, {rest:.1} for the rest after a power-on\n\
             signed    {}",
            self.image.display(),
            self.bytes,
            self.name,
            self.version,
            self.sequence,
            self.security_counter,
            percent(self.used, self.used + self.headroom),
            self.headroom,
            self.fixups,
            self.pages_bytes,
            self.pages,
            percent(self.pages_bytes as u64, self.bytes as u64),
            self.signed,
        )?;
        let records = [&self.sbom, &self.provenance].into_iter().flatten();
        let records: Vec<_> = records.collect();
        for (name, paths) in [
            ("programs", self.programs.iter().collect()),
            ("records", records),
        ] {
            let paths: Vec<_> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            if !paths.is_empty() {
                writeln!(formatter, "{name:<9} {}", paths.join(", "))?;
            }
        }
        Ok(())
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
