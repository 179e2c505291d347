//! The identity file of one unit: who it is and its key, as they lie on its flash. Small, and Intel HEX: a gang
//! programmer puts it on top of the common image as it is.
//!
//! ```text
//!   partition `identity`      the identity block
//!   partition `device_key`    the block of the key's seed; not there if the device makes its own
//! ```
//!
//! Each block is filled with erased bytes up to whole write units. The file holds a secret, so text and bytes are
//! wiped when they are dropped, and no crate that would leave copies behind reads or writes them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bistable_core::digest::Digest;
use bistable_layout::Product;
use bistable_layout::product::Partition;
use bistable_updater::device_key::{self, BLOCK_LEN, DeviceKey as _, SEED_LEN, SoftwareKey};
use bistable_updater::identity::{Identity, MAX_LEN};
use zeroize::Zeroizing;

use crate::factory::{IDENTITY_PARTITION, KEY_PARTITION};
use crate::keys::stack;
use crate::memory_flash::ERASED;
use crate::{Error, hex};

/// The most bytes in a line.
const LINE: usize = 16;

/// Intel HEX says the upper 16 bits of addresses on lines of their own.
const LOWER: u32 = 0xFFFF;

const DATA: u8 = 0;
const END: u8 = 1;
const UPPER_ADDRESS: u8 = 4;

/// Where a unit's identity and key go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// The identity.
    pub identity: Place,
    /// The seed of the key; `None` if the product keeps none on its flash.
    pub device_key: Option<Place>,
}

/// A partition as a programmer sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Of its first byte.
    pub address: u32,
    /// Its length in bytes.
    pub size: u32,
    /// What is programmed at once, in bytes.
    pub write_size: u32,
}

impl Places {
    /// Those of a product, whose layout is the file at `layout`.
    ///
    /// # Errors
    /// There is none for the identity, or one is too small.
    pub fn of(product: &Product, layout: &Path) -> Result<Self, Error> {
        let identity = place(product, layout, IDENTITY_PARTITION, MAX_LEN)?;
        let identity = identity.ok_or_else(|| {
            Error::unexpected(
                layout,
                "no place for the identity",
                format!("a partition `{IDENTITY_PARTITION}` with room for {MAX_LEN} bytes"),
                format!("add [partition.{IDENTITY_PARTITION}] to the layout"),
            )
        })?;
        let device_key = place(product, layout, KEY_PARTITION, BLOCK_LEN)?;
        Ok(Self {
            identity,
            device_key,
        })
    }
}

fn place(
    product: &Product,
    layout: &Path,
    name: &str,
    needed: usize,
) -> Result<Option<Place>, Error> {
    let Some(Partition {
        flash,
        offset,
        size,
    }) = product.partitions.get(name)
    else {
        return Ok(None);
    };
    let flash = product.flash.get(flash);
    let place = flash.map(|flash| Place {
        address: flash.address.wrapping_add(*offset),
        size: *size,
        write_size: flash.write_size,
    });
    match place {
        Some(place) if place.size as usize >= needed => Ok(Some(place)),
        _ => Err(Error::unexpected(
            layout,
            format!("a partition `{name}` of {size} bytes"),
            format!("at least {needed}"),
            "make it larger",
        )),
    }
}

/// Bytes that are to be programmed.
#[derive(PartialEq, Eq)]
pub struct Block {
    /// Of the first one.
    pub address: u32,
    /// Whole write units.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Block {
    fn new(place: Place, content: &[u8]) -> Self {
        let unit = (place.write_size as usize).max(1);
        let len = content.len().next_multiple_of(unit);
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        bytes.extend_from_slice(content);
        bytes.resize(len, ERASED);
        let address = place.address;
        Self { address, bytes }
    }
}

/// What makes a device a unit of its own.
#[derive(PartialEq, Eq)]
pub struct IdentityFile {
    /// Who it is.
    pub identity: Block,
    /// The block of its key's seed; `None` if the device makes its own.
    pub device_key: Option<Block>,
}

impl IdentityFile {
    /// Of a unit with this identity and this seed.
    #[must_use]
    pub fn new(places: Places, identity: &Identity, seed: Option<&[u8; SEED_LEN]>) -> Self {
        let device_key = places.device_key.zip(seed).map(|(place, seed)| {
            let block = Zeroizing::new(stack::wiped(|| device_key::encode(seed)));
            Block::new(place, block.as_slice())
        });
        Self {
            identity: Block::new(places.identity, &encode(identity)),
            device_key,
        }
    }

    /// Who the unit is; `None` if the block is damaged.
    #[must_use]
    pub fn unit(&self) -> Option<Identity> {
        Identity::decode(&self.identity.bytes)
    }

    /// The unit's public key; `None` if the device makes its own, or the block is damaged.
    #[must_use]
    pub fn public(&self) -> Option<[u8; 32]> {
        let block = self.device_key.as_ref()?.bytes.first_chunk()?;
        stack::wiped(|| SoftwareKey::decode(block).map(|key| key.public()))
    }

    /// The seed of the unit's key, in the same cases.
    #[must_use]
    pub fn seed(&self) -> Option<Zeroizing<[u8; SEED_LEN]>> {
        self.public()?;
        let block = self.device_key.as_ref()?.bytes.first_chunk::<BLOCK_LEN>()?;
        let seed = block.get(BLOCK_LEN - 4 - SEED_LEN..)?.first_chunk()?;
        Some(Zeroizing::new(*seed))
    }

    /// The file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let blocks = || [Some(&self.identity), self.device_key.as_ref()];
        let bytes: usize = blocks().iter().flatten().map(|it| it.bytes.len()).sum();
        // Never larger later: a string that grows leaves what it held.
        let mut text = Zeroizing::new(String::with_capacity(256 + 4 * bytes));
        for block in blocks().into_iter().flatten() {
            let mut upper = None;
            let mut address = block.address;
            let mut rest = block.bytes.as_slice();
            while !rest.is_empty() {
                let own = (address >> 16) as u16;
                if upper != Some(own) {
                    record(&mut text, 0, UPPER_ADDRESS, &own.to_be_bytes());
                    upper = Some(own);
                }
                let room = (LOWER - (address & LOWER)) as usize + 1;
                let (line, behind) = rest.split_at(LINE.min(room).min(rest.len()));
                record(&mut text, (address & LOWER) as u16, DATA, line);
                address = address.wrapping_add(line.len() as u32);
                rest = behind;
            }
        }
        record(&mut text, 0, END, &[]);
        text
    }

    /// Reads the file at `path`, of a product with these places.
    ///
    /// # Errors
    /// It cannot be read, or is not the identity file of such a unit.
    pub fn read(path: &Path, places: Places) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(Error::io(path, "read the identity file"))?;
        Self::parse(&text, places).ok_or_else(|| {
            Error::unexpected(
                path,
                "no identity file of this product",
                "one that `bistable factory provision` wrote for the same layout",
                "if it was wiped, its unit was flashed; give the layout that it was made for",
            )
        })
    }

    /// The same from text.
    #[must_use]
    pub fn parse(text: &str, places: Places) -> Option<Self> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut base = 0_u32;
        let mut lines = text.lines();
        loop {
            let (address, kind, data) = parse_record(lines.next()?)?;
            match kind {
                DATA => {
                    let address = base.checked_add(address.into())?;
                    match blocks.last_mut() {
                        Some(last) if last.end() == address => {
                            last.bytes.extend_from_slice(&data);
                        }
                        _ => {
                            let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 256));
                            bytes.extend_from_slice(&data);
                            blocks.push(Block { address, bytes });
                        }
                    }
                }
                UPPER_ADDRESS => {
                    let upper = u16::from_be_bytes(data.as_slice().try_into().ok()?);
                    base = u32::from(upper) << 16;
                }
                END => break,
                _ => return None,
            }
        }
        let mut blocks = blocks.into_iter();
        let file = Self {
            identity: blocks.next()?,
            device_key: blocks.next(),
        };
        let key = file.device_key.as_ref();
        let placed = file.identity.address == places.identity.address
            && key.is_none_or(|key| Some(key.address) == places.device_key.map(|it| it.address));
        let sound = file.unit().is_some() && (key.is_none() || file.public().is_some());
        (placed && sound && blocks.next().is_none() && lines.next().is_none()).then_some(file)
    }
}

impl Block {
    fn end(&self) -> u32 {
        self.address.wrapping_add(self.bytes.len() as u32)
    }
}

/// The SHA-256 of an identity's block, as birth records have it: without the erased bytes behind it.
#[must_use]
pub fn digest(identity: &Identity) -> Digest {
    Digest::of(&encode(identity))
}

fn encode(identity: &Identity) -> Vec<u8> {
    let mut buffer = [ERASED; MAX_LEN];
    // The longest identity fits, as its own tests say.
    identity.encode(&mut buffer).unwrap_or_default().to_vec()
}

fn record(text: &mut String, address: u16, kind: u8, data: &[u8]) {
    let [high, low] = address.to_be_bytes();
    let head = [data.len() as u8, high, low, kind];
    let all = || head.iter().chain(data);
    let sum = all().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    text.push(':');
    for byte in all().chain(&[sum.wrapping_neg()]) {
        let _ = write!(text, "{byte:02X}"); // A String takes everything.
    }
    text.push('\n');
}

/// Address, kind and data.
fn parse_record(line: &str) -> Option<(u16, u8, Zeroizing<Vec<u8>>)> {
    let digits = line.strip_prefix(':')?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2 + 1));
    for pair in digits.as_bytes().chunks(2) {
        let [byte] = hex::decode::<1>(str::from_utf8(pair).ok()?)?;
        bytes.push(byte);
    }
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let ([len, high, low, kind], rest) = bytes.split_first_chunk()?;
    let (_, data) = rest.split_last()?;
    let sound = sum == 0 && usize::from(*len) == data.len();
    let address = u16::from_be_bytes([*high, *low]);
    sound.then(|| (address, *kind, Zeroizing::new(data.to_vec())))
}

#[cfg(test)]
mod tests {
    use bistable_updater::identity::{Calibration, Serial};

    use super::*;

    fn places() -> Places {
        let place = |address| Place {
            address,
            size: 4096,
            write_size: 8,
        };
        Places {
            identity: place(0x2100_FFF0), // across 64 KiB
            device_key: Some(place(0x2200_8000)),
        }
    }

    fn identity() -> Identity {
        Identity {
            serial: Serial::try_from("BST-000042").unwrap(),
            hardware_revision: 3,
            calibration: Calibration::from_slice(&[-17, 1_000_003]).unwrap(),
        }
    }

    #[test]
    fn what_was_written_is_read_again_with_and_without_a_key() {
        for seed in [None, Some(&[7; SEED_LEN])] {
            let file = IdentityFile::new(places(), &identity(), seed);
            let again = IdentityFile::parse(&file.to_hex(), places()).unwrap();
            assert!(again == file);
            assert_eq!(again.unit(), Some(identity()));
            assert_eq!(again.seed().as_deref(), seed);
            let public = seed.map(|seed| SoftwareKey::from_seed(*seed).public());
            assert_eq!(again.public(), public);
        }
    }

    #[test]
    fn other_tools_read_the_same_bytes_at_the_same_addresses() {
        let file = IdentityFile::new(places(), &identity(), Some(&[7; SEED_LEN]));
        let pieces = crate::image::intel_hex::pieces(Path::new("x.hex"), file.to_hex().as_bytes());
        let pieces = pieces.unwrap();
        let found: Vec<_> = pieces
            .iter()
            .map(|it| (it.address, it.data.to_vec()))
            .collect();
        let key = file.device_key.as_ref().unwrap();
        let expected = [&file.identity, key].map(|it| (it.address, it.bytes.to_vec()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_that_is_cut_changed_wiped_or_for_another_layout_is_refused() {
        let text = IdentityFile::new(places(), &identity(), Some(&[7; SEED_LEN])).to_hex();
        for len in 0..text.len() - 1 {
            assert!(
                IdentityFile::parse(&text[..len], places()).is_none(),
                "{len}"
            );
        }
        for place in 0..text.len() - 1 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(IdentityFile::parse(&changed, places()).is_none(), "{place}");
        }
        assert!(IdentityFile::parse(&"0".repeat(text.len()), places()).is_none());
        let mut other = places();
        other.identity.address += 4096;
        assert!(IdentityFile::parse(&text, other).is_none());
        other = places();
        other.device_key = None;
        assert!(IdentityFile::parse(&text, other).is_none());
    }
}
