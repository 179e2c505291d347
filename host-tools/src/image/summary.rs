//! What `image build` says of an image: how full the slot is, and what it costs.

use std::path::Path;

use bistable_core::header::Header;

use crate::facts::Facts;
use crate::image::cost::instructions_to_verify;
use crate::image::make::Built;
use crate::image::signers::Signers;

/// A few lines about the image that was written to `path`.
#[must_use]
pub fn summary(path: &Path, built: &Built, facts: &Facts) -> String {
    let image = &built.image;
    let manifest = image.manifest();
    let layout = &facts.product.layout;
    let used = u64::from(layout.payload_offset) + u64::from(manifest.payload_len());
    let size = u64::from(layout.slot_size);
    let header = Header::new_checked(image.header());
    let signed = header.map_or_else(
        |_| String::new(),
        |header| Signers::of(&header, facts).to_string(),
    );
    let instructions = instructions_to_verify(manifest, &facts.key_ring());
    format!(
        "image     {} ({} bytes)\n\
         name      {}\n\
         version   {}, sequence {}, security counter {}\n\
         slot      {:.1} % used, {} bytes headroom\n\
         fix-ups   {} bytes differ between the slots\n\
         pages     {} bytes in {} pages, {:.1} % of the file\n\
         boot      about {:.1} million instructions to verify\n\
         signed    {signed}\n",
        path.display(),
        built.bytes.len(),
        manifest.digest(),
        manifest.version(),
        manifest.sequence(),
        manifest.security_counter(),
        percent(used, size),
        size.saturating_sub(used),
        image.fixups(),
        image.pages_len(),
        image.pages().len(),
        percent(image.pages_len() as u64, built.bytes.len() as u64),
        instructions as f64 / 1e6,
    )
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
