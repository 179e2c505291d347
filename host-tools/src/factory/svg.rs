//! A map as a picture: each flash a bar to scale, and under it a line for each region. For light and for dark pages.

use std::fmt::Write as _;

use crate::factory::map::{Map, MappedFlash, MappedRegion};

/// Pixels.
const WIDTH: u64 = 1100;
const MARGIN: u64 = 16;
const BAR_WIDTH: u64 = WIDTH - 2 * MARGIN;
const BAR_HEIGHT: u64 = 44;
const LINE: u64 = 22;
/// So wide is the smallest region, and the smallest gap between two.
const LEAST: u64 = 12;

/// Where the columns of the lines begin.
const COLUMNS: [(&str, u64); 6] = [
    ("region", 40),
    ("address", 225),
    ("size", 410),
    ("used", 490),
    ("holds", 545),
    ("SHA-256", 690),
];

/// Colours of a middle brightness for what is drawn; text is dark or light, as the page is.
const STYLE: &str = "\
text { font: 13px ui-monospace, Consolas, monospace; fill: #24292f }
.title { font-weight: bold; font-size: 15px }
.faint { fill: #6e7781 }
.digest { font-size: 10px }
.frame { fill: none; stroke: #6e7781 }
.bootloader { fill: #a371f7 } .journal { fill: #d29922 } .slot { fill: #3b82f6 }
.ledger { fill: #2da47a } .partition { fill: #db6d28 }
.rest { fill-opacity: 0.25 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .faint { fill: #8b949e } }
";

/// The picture of `map`. It has no background.
#[must_use]
pub fn draw(map: &Map) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    let title = match &map.serial {
        Some(serial) => format!("{} for {serial}", map.version),
        None => format!("{} for all units", map.version),
    };
    text(&mut body, MARGIN, top + 12, "title", &title);
    let image = format!("image {}", map.image);
    text(&mut body, MARGIN, top + 32, "faint", &image);
    top += 44;
    for flash in &map.flashes {
        top = draw_flash(&mut body, map, flash, top + MARGIN);
    }
    let height = top + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n{body}</svg>\n",
        escaped(&title)
    )
}

/// Returns where it ends.
fn draw_flash(body: &mut String, map: &Map, flash: &MappedFlash, top: u64) -> u64 {
    let end = flash.address + flash.length;
    let title = format!(
        "flash {}, {:#010x}..{end:#010x}, {} bytes in sectors of {}",
        flash.name, flash.address, flash.length, flash.erase_size
    );
    text(body, MARGIN, top + 14, "", &title);
    let bar = top + 22;
    let regions: Vec<_> = map
        .regions
        .iter()
        .filter(|region| region.flash == flash.name)
        .collect();
    for piece in pieces(&regions, flash) {
        if let Some((number, region)) = piece.region {
            let class = class(&region.name);
            let full = u128::from(region.used) * u128::from(piece.width);
            let full = full.div_ceil(u128::from(region.length.max(1))) as u64;
            rectangle(body, piece.left, bar, piece.width, &format!("{class} rest"));
            rectangle(body, piece.left, bar, full, class);
            if piece.width > LEAST {
                let label = (number + 1).to_string();
                text(body, piece.left + 3, bar + BAR_HEIGHT / 2 + 5, "", &label);
            }
        }
        rectangle(body, piece.left, bar, piece.width, "frame");
    }
    let mut line = bar + BAR_HEIGHT + LINE;
    for (name, left) in COLUMNS {
        text(body, left, line, "faint", name);
    }
    for (number, region) in regions.iter().enumerate() {
        line += LINE;
        let _ = writeln!(
            body,
            "<rect x=\"{MARGIN}\" y=\"{}\" width=\"12\" height=\"12\" class=\"{}\"/>",
            line - 11,
            class(&region.name)
        );
        let address = format!("{:#010x}..{:#010x}", region.address, region.end());
        let used = match region.included {
            true => format!("{} %", region.used * 100 / region.length.max(1)),
            false => "?".into(),
        };
        let digest = region.digest.as_deref().unwrap_or("–");
        let name = format!("{} {}", number + 1, region.name.replace('`', ""));
        let size = region.length.to_string();
        let cells = [&name, &address, &size, &used, region.state(), digest];
        for ((name, left), cell) in COLUMNS.into_iter().zip(cells) {
            let class = if name == "SHA-256" { "digest" } else { "" };
            text(body, left, line, class, cell);
        }
    }
    line + LINE / 2
}

/// A part of the bar: a region with its number, or what lies between two.
struct Piece<'r> {
    region: Option<(usize, &'r MappedRegion)>,
    left: u64,
    width: u64,
}

/// Each as wide as its share of the flash, and a little, so that the smallest is seen.
fn pieces<'r>(regions: &[&'r MappedRegion], flash: &MappedFlash) -> Vec<Piece<'r>> {
    let mut parts = Vec::new();
    let mut at = flash.address;
    for (number, region) in regions.iter().enumerate() {
        if region.address > at {
            parts.push((None, region.address - at));
        }
        parts.push((Some((number, *region)), region.length));
        at = region.end();
    }
    let end = flash.address + flash.length;
    if end > at {
        parts.push((None, end - at));
    }
    let count = parts.len() as u64;
    let least = LEAST.min(BAR_WIDTH / count.max(1));
    let room = u128::from(BAR_WIDTH - least * count);
    let mut left = MARGIN;
    let parts = parts.into_iter().map(|(region, length)| {
        let share = u128::from(length) * room / u128::from(flash.length.max(1));
        let width = least + share as u64;
        left += width;
        Piece {
            region,
            left: left - width,
            width,
        }
    });
    parts.collect()
}

fn class(name: &str) -> &'static str {
    match name {
        "the bootloader" => "bootloader",
        "the journal" => "journal",
        "the ledger" => "ledger",
        "slot A" | "slot B" => "slot",
        _ => "partition",
    }
}

// A String takes everything.
fn rectangle(body: &mut String, left: u64, top: u64, width: u64, class: &str) {
    let _ = writeln!(
        body,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{BAR_HEIGHT}\" class=\"{class}\"/>"
    );
}

fn text(body: &mut String, left: u64, base: u64, class: &str, what: &str) {
    let what = escaped(what);
    let class = match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    let _ = writeln!(body, "<text x=\"{left}\" y=\"{base}\"{class}>{what}</text>");
}

/// As XML wants it; what XML has no characters for is a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            control if control.is_control() => out.push('?'),
            other => out.push(other),
        }
    }
    out
}
