//! An image of two links: the same inputs give the same bytes on every machine.

use bistable_core::header::{self, MAX_SIGNATURES};
use bistable_core::layout::{Layout, Slot};
use bistable_core::manifest::{CHUNK_SIZES, Fields, Manifest};

use crate::Error;
use crate::facts::Facts;
use crate::image::assemble::Chain;
use crate::image::elf::Link;
use crate::image::file::ImageFile;
use crate::image::pair::Pair;
use crate::keys::Signer;

/// An image, made and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The same, taken apart.
    pub image: ImageFile,
}

/// Makes an image of two links. Of `fields`, what the links and the layout say is filled in here.
///
/// # Errors
/// The links differ in more than addresses, the manifest's format does not allow it, or a key cannot sign.
pub fn make(
    facts: &Facts,
    links: [Link; 2],
    fields: Fields,
    keys: &[Box<dyn Signer>],
) -> Result<Built, Error> {
    let [a, b] = links;
    let path = b.path.clone();
    let pair = Pair::new(a, b)?;
    let layout = &facts.product.layout;
    let chain = Chain::new(&pair, layout.chunk_size).map_err(|refused| {
        Error::unexpected(
            &path,
            refused,
            "fewer, so that a page holds them",
            fewer_fixups(layout),
        )
    })?;
    let first = chain.first();
    let manifest = Manifest::new(&Fields {
        vendor_id: layout.vendor_id,
        class_id: layout.class_id,
        layout: layout.digest,
        payload_len: pair.payload(Slot::A).len() as u32,
        payload: pair.digests(),
        chunk_size: layout.chunk_size,
        first_page_len: first.len,
        first_page: first.digest,
        ..fields
    });
    let impossible = |found: String| {
        Error::unexpected(
            &path,
            found,
            "a sound image",
            "please report this: it is a mistake of the tool",
        )
    };
    let manifest =
        manifest.map_err(|refusal| impossible(format!("a manifest refused as {refusal}")))?;
    let signatures = keys.iter().map(|key| key.sign_manifest(&manifest));
    let mut signatures = signatures.collect::<Result<Vec<_>, _>>()?;
    let header = header::assemble(&manifest, &mut signatures).map_err(|_| {
        Error::argument(
            "--key",
            format!("{} keys, or one of them twice", keys.len()),
            format!("at most {MAX_SIGNATURES}, each once"),
            "leave out what is too much",
        )
    })?;
    let bytes = chain.file(&header, &pair);
    // Nothing is written that would not be read again as what it was made of.
    let image = ImageFile::parse(&bytes).map_err(|defect| impossible(defect.to_string()))?;
    let same = Slot::BOTH
        .into_iter()
        .all(|slot| image.payload(slot) == pair.payload(slot));
    match same {
        true => Ok(Built { bytes, image }),
        false => Err(impossible("another payload than that of the links".into())),
    }
}

/// What in the layout makes room for fix-ups, or spares some.
fn fewer_fixups(layout: &Layout) -> String {
    let [a, b] = Slot::BOTH.map(|slot| layout.payload_address(slot));
    let distance = b.wrapping_sub(a);
    let differing = distance
        .to_be_bytes()
        .iter()
        .filter(|byte| **byte != 0)
        .count();
    let [.., largest] = CHUNK_SIZES;
    let larger = "make slots.chunk_size larger in the layout: pages grow with it";
    let nearer = format!(
        "place the slots so that fewer bytes of their distance, {distance:#010x}, are not 0: each of them is a byte of every address that \
         differs"
    );
    match (differing > 1, layout.chunk_size < largest) {
        (true, true) => format!("{larger}; or {nearer}"),
        (true, false) => nearer,
        _ => larger.into(),
    }
}
