//! `bistable image diff`: what changed from one image to another.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use bistable_core::digest::Digest;
use bistable_core::header::Header;
use bistable_core::layout::Slot;
use bistable_core::manifest::Manifest;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::image::file::ImageFile;
use crate::image::symbols::{SymbolChanges, SymbolResize, SymbolSize, Symbols};
use crate::output::{BAD, FAINT, GOOD, Output, Report, paint};
use crate::{Error, files};

/// How many symbols of a kind are listed as text; the JSON has them all.
const LISTED: usize = 20;

/// Say what changed from one image to another: fields, signatures, chunks, bytes and symbols.
///
/// Symbols are compared where the programs are at hand: beside each image, as `image build` leaves
/// them (`v1.img.a.elf`), or as `--elf-old` and `--elf-new`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable image diff v1.img v2.img")]
pub struct Arguments {
    /// The one image.
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The other one.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// The program that OLD was built from, as linked for either slot.
    #[arg(long, value_name = "ELF", requires = "elf_new")]
    pub elf_old: Option<PathBuf>,
    /// The program that NEW was built from, as linked for the same slot.
    #[arg(long, value_name = "ELF", requires = "elf_old")]
    pub elf_new: Option<PathBuf>,
}

/// What changed from one image to another.
#[derive(Serialize, JsonSchema)]
pub struct Difference {
    /// The one image.
    pub old: Side,
    /// The other one.
    pub new: Side,
    /// Whether both have one name: then at most their signatures differ.
    pub same_name: bool,
    /// The fields of the manifest that differ.
    pub fields: Vec<FieldChange>,
    /// The ids of keys whose signatures only the new one has.
    pub signatures_added: Vec<String>,
    /// The ids of keys whose signatures only the old one has.
    pub signatures_removed: Vec<String>,
    /// Of keys that signed both, those whose signatures differ though the manifest does not.
    pub signatures_changed: Vec<String>,
    /// The payload as it lies in A, then as it lies in B.
    pub payload: [PayloadChange; 2],
    /// What became of the chunks, as they lie in A.
    pub chunks: ChunkChanges,
    /// What became of the symbols; `null` without both programs.
    pub symbols: Option<SymbolChanges>,
    /// Why symbols are not compared.
    pub no_symbols: Option<String>,
}

/// One of the two images.
#[derive(Serialize, JsonSchema)]
pub struct Side {
    /// The file.
    pub file: String,
    /// The image's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Length of the file in bytes.
    pub bytes: usize,
}

/// A field of the manifest that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FieldChange {
    /// Its name, as `image inspect` says it.
    pub field: &'static str,
    /// In the old image.
    pub old: String,
    /// In the new one.
    pub new: String,
}

/// A payload that changed, byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PayloadChange {
    /// Length before, in bytes.
    pub old: usize,
    /// Length now, in bytes.
    pub new: usize,
    /// Bytes that are the same at the same place.
    pub equal: usize,
    /// Bytes that differ at the same place; what one is longer by is not among them.
    pub changed: usize,
}

/// What became of the chunks. All lengths are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct ChunkChanges {
    /// Length of a chunk, that of the new image.
    pub size: usize,
    /// Those at the same place with the same bytes.
    pub equal: usize,
    /// Their bytes.
    pub equal_bytes: usize,
    /// Those that the old image has elsewhere.
    pub moved: usize,
    /// Their bytes.
    pub moved_bytes: usize,
    /// All others.
    pub changed: usize,
    /// Their bytes.
    pub changed_bytes: usize,
}

impl Report for Difference {
    const FORMAT: &'static str = "image-diff/1";
}

/// Runs the command.
///
/// # Errors
/// One of them is no whole image, or a program that was named is not that of its image.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let [old, new] = [&arguments.old, &arguments.new].map(|path| read(path));
    let ((old, old_bytes), (new, new_bytes)) = (old?, new?);
    let symbols = match (&arguments.elf_old, &arguments.elf_new) {
        (Some(elf_old), Some(elf_new)) => {
            let [before, after] = [(elf_old, &old), (elf_new, &new)].map(|(path, image)| {
                let symbols = Symbols::read(path)?;
                let belongs = belong(&symbols, image);
                belongs.then_some(symbols).ok_or_else(|| not_of(path))
            });
            Ok(before?.compare(&after?))
        }
        _ => beside(&arguments.old, &old)
            .and_then(|before| Ok(before.compare(&beside(&arguments.new, &new)?))),
    };
    let (symbols, no_symbols) = match symbols {
        Ok(symbols) => (Some(symbols), None),
        Err(why) => (None, Some(why)),
    };
    let (added, removed, changed) = signatures(&old, &new);
    output.say(&Difference {
        same_name: old.manifest() == new.manifest(),
        fields: fields(old.manifest(), new.manifest()),
        signatures_added: added,
        signatures_removed: removed,
        signatures_changed: changed,
        payload: Slot::BOTH.map(|slot| PayloadChange::new(old.payload(slot), new.payload(slot))),
        chunks: ChunkChanges::new(&old, &new),
        symbols,
        no_symbols,
        old: Side::new(&arguments.old, &old, old_bytes),
        new: Side::new(&arguments.new, &new, new_bytes),
    })
}

fn read(path: &Path) -> Result<(ImageFile, usize), Error> {
    let bytes = files::read(path, "read the image")?;
    let image = ImageFile::parse(&bytes).map_err(|defect| defect.at(path))?;
    Ok((image, bytes.len()))
}

/// The program that `image build` left beside an image; or why there is none.
fn beside(image_path: &Path, image: &ImageFile) -> Result<Symbols, String> {
    let mut path = image_path.as_os_str().to_owned();
    path.push(".a.elf");
    let path = PathBuf::from(path);
    if !path.exists() {
        return Err(format!("{} is not there", path.display()));
    }
    let symbols = Symbols::read(&path).map_err(|error| error.to_string())?;
    match belong(&symbols, image) {
        true => Ok(symbols),
        false => Err(not_of(&path).to_string()),
    }
}

fn belong(symbols: &Symbols, image: &ImageFile) -> bool {
    let mut slots = Slot::BOTH.into_iter();
    slots.any(|slot| symbols.begin(image.payload(slot)))
}

fn not_of(path: &Path) -> Error {
    Error::unexpected(
        path,
        "a program that is not in the image",
        "the one that the image was built from, for either slot",
        "build it again, or leave the programs out",
    )
}

/// The fields that differ, in the manifest's order.
fn fields(old: &Manifest, new: &Manifest) -> Vec<FieldChange> {
    let both = all_fields(old).into_iter().zip(all_fields(new));
    both.filter(|((_, old), (_, new))| old != new)
        .map(|((field, old), (_, new))| FieldChange { field, old, new })
        .collect()
}

fn all_fields(manifest: &Manifest) -> [(&'static str, String); 19] {
    let fields = manifest.fields();
    let uuid = |bytes| Uuid::from_bytes(bytes).to_string();
    let digest = |digest: Digest| match digest {
        Digest::NONE => "none".into(),
        digest => digest.to_string(),
    };
    let [payload_a, payload_b] = fields.payload.map(|digest| digest.to_string());
    let revoked: Vec<_> = manifest.revoked().map(|id| id.to_string()).collect();
    [
        ("vendor id", uuid(fields.vendor_id)),
        ("class id", uuid(fields.class_id)),
        ("layout", fields.layout.to_string()),
        ("version", fields.version.to_string()),
        ("sequence", fields.sequence.to_string()),
        ("security counter", fields.security_counter.to_string()),
        ("revoke below", fields.revoke_below.to_string()),
        (
            "revoked keys",
            match revoked.is_empty() {
                true => "none".into(),
                false => revoked.join(", "),
            },
        ),
        ("payload", format!("{} bytes", fields.payload_len)),
        ("payload in A", payload_a),
        ("payload in B", payload_b),
        ("chunk size", format!("{} bytes", fields.chunk_size)),
        (
            "first page",
            format!("{}, {} bytes", fields.first_page, fields.first_page_len),
        ),
        ("trial attempts", fields.trial_attempts.to_string()),
        ("trial time", format!("{} s", fields.trial_seconds)),
        (
            "data schemas",
            format!("{} to {}", fields.schemas.0, fields.schemas.1),
        ),
        ("oldest bootloader", fields.oldest_bootloader.to_string()),
        ("SBOM", digest(fields.sbom)),
        ("provenance", digest(fields.provenance)),
    ]
}

/// Who signed only the new one, who only the old one, and who signed one manifest in two ways.
fn signatures(old: &ImageFile, new: &ImageFile) -> (Vec<String>, Vec<String>, Vec<String>) {
    let of = |image: &ImageFile| match Header::new_checked(image.header()) {
        Ok(header) => header.signatures().collect(),
        Err(_) => Vec::new(), // it was parsed before
    };
    let (before, after) = (of(old), of(new));
    let mut added = Vec::new();
    let mut changed = Vec::new();
    for signature in &after {
        let id = signature.key.to_string();
        match before.iter().find(|it| it.key == signature.key) {
            None => added.push(id),
            Some(it) if it != signature && old.manifest() == new.manifest() => changed.push(id),
            Some(_) => {}
        }
    }
    let gone = |it: &&bistable_core::header::Signature| after.iter().all(|new| new.key != it.key);
    let removed = before.iter().filter(gone).map(|it| it.key.to_string());
    (added, removed.collect(), changed)
}

impl Side {
    fn new(path: &Path, image: &ImageFile, bytes: usize) -> Self {
        Self {
            file: path.display().to_string(),
            name: image.manifest().digest().to_string(),
            version: image.manifest().version().to_string(),
            bytes,
        }
    }
}

impl PayloadChange {
    fn new(old: &[u8], new: &[u8]) -> Self {
        let common = old.len().min(new.len());
        let equal = old.iter().zip(new).filter(|(old, new)| old == new).count();
        Self {
            old: old.len(),
            new: new.len(),
            equal,
            changed: common - equal,
        }
    }
}

impl ChunkChanges {
    fn new(old: &ImageFile, new: &ImageFile) -> Self {
        let size = new.manifest().chunk_size() as usize;
        let [before, after] = [old, new].map(|image| image.payload(Slot::A));
        let known: HashSet<_> = before.chunks(size).collect();
        let mut changes = Self {
            size,
            ..Self::default()
        };
        let mut places = before.chunks(size);
        for chunk in after.chunks(size) {
            let (count, bytes) = if places.next() == Some(chunk) {
                (&mut changes.equal, &mut changes.equal_bytes)
            } else if known.contains(chunk) {
                (&mut changes.moved, &mut changes.moved_bytes)
            } else {
                (&mut changes.changed, &mut changes.changed_bytes)
            };
            *count += 1;
            *bytes += chunk.len();
        }
        changes
    }
}

impl Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, side) in [("old", &self.old), ("new", &self.new)] {
            let Side {
                file,
                name,
                version,
                bytes,
            } = side;
            writeln!(
                formatter,
                "{what:<9} {version} {name}, {bytes} bytes, {file}"
            )?;
        }
        let same = match (self.same_name, self.signatures_differ()) {
            (true, false) => "one image: nothing changed",
            (true, true) => "one image: only its signatures changed",
            (false, _) => "two images",
        };
        writeln!(formatter, "{:<9} {same}", "")?;
        for FieldChange { field, old, new } in &self.fields {
            writeln!(formatter, "field     {field:<18} {old} → {new}")?;
        }
        for (what, ids) in [
            ("added", &self.signatures_added),
            ("removed", &self.signatures_removed),
            ("changed", &self.signatures_changed),
        ] {
            for id in ids {
                writeln!(formatter, "signature {what:<18} {id}")?;
            }
        }
        for (slot, payload) in ["A", "B"].into_iter().zip(&self.payload) {
            writeln!(
                formatter,
                "payload   {:<18} {payload}",
                format!("in {slot}")
            )?;
        }
        writeln!(formatter, "chunks    {}", self.chunks)?;
        match (&self.symbols, &self.no_symbols) {
            (Some(symbols), _) => symbols.fmt(formatter),
            (None, Some(why)) => writeln!(
                formatter,
                "symbols   {}",
                paint(FAINT, format!("not compared: {why}"))
            ),
            (None, None) => Ok(()),
        }
    }
}

impl Difference {
    fn signatures_differ(&self) -> bool {
        let lists = [
            &self.signatures_added,
            &self.signatures_removed,
            &self.signatures_changed,
        ];
        lists.iter().any(|list| !list.is_empty())
    }
}

impl Display for PayloadChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            old,
            new,
            equal,
            changed,
        } = self;
        write!(
            formatter,
            "{old} → {new} bytes: {equal} equal, {changed} changed"
        )?;
        match new.cmp(old) {
            std::cmp::Ordering::Greater => write!(formatter, ", {} more", new - old),
            std::cmp::Ordering::Less => write!(formatter, ", {} fewer", old - new),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

impl Display for ChunkChanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "of {} bytes: {} equal ({} bytes), {} moved ({}), {} changed ({})",
            self.size,
            self.equal,
            self.equal_bytes,
            self.moved,
            self.moved_bytes,
            self.changed,
            self.changed_bytes
        )
    }
}

impl Display for SymbolChanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "symbols   {} added, {} removed, {} grown, {} shrunk, {} changed, {} equal",
            self.added.len(),
            self.removed.len(),
            self.grown.len(),
            self.shrunk.len(),
            self.changed.len(),
            self.equal
        )?;
        let sized = |sign: char| {
            move |symbol: &SymbolSize| (format!("{sign}{}", symbol.bytes), symbol.name.clone())
        };
        let resized = |symbol: &SymbolResize| {
            let sign = if symbol.new > symbol.old { '+' } else { '-' };
            let by = symbol.new.abs_diff(symbol.old);
            let name = format!("{} ({} → {})", symbol.name, symbol.old, symbol.new);
            (format!("{sign}{by}"), name)
        };
        let lists: [(&str, Vec<_>); 5] = [
            ("added", self.added.iter().map(sized('+')).collect()),
            ("removed", self.removed.iter().map(sized('-')).collect()),
            ("grown", self.grown.iter().map(resized).collect()),
            ("shrunk", self.shrunk.iter().map(resized).collect()),
            ("changed", self.changed.iter().map(sized(' ')).collect()),
        ];
        for (what, list) in lists {
            let style = match what {
                "added" | "grown" => BAD,
                "removed" | "shrunk" => GOOD,
                _ => FAINT,
            };
            for (by, name) in list.iter().take(LISTED) {
                let by = paint(style, format!("{by:>7}"));
                writeln!(formatter, "{what:>9} {by}  {name}")?;
            }
            if list.len() > LISTED {
                let more = list.len() - LISTED;
                writeln!(formatter, "{what:>9} {more:>7} more, with --json all")?;
            }
        }
        Ok(())
    }
}
