//! Charts as SVG, for light and for dark pages: no background, and colours of a middle brightness.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::Figures;
use crate::quoted::{EMBASSY_BOOT_TEXT, QUOTED, SMALLEST_MCUBOOT};

/// What the charts are called, in `docs/benchmarks`.
pub(crate) const NAMES: [&str; 3] = ["text", "instructions", "erases"];

/// The board that the others were measured on.
pub(crate) const COMPARED: &str = "mps2-an385";

/// The charts, in the order of [`NAMES`].
pub(crate) fn charts(figures: &Figures) -> Result<[String; 3]> {
    Ok([
        draw("Bytes of flash", &text(figures))?,
        draw(
            "Millions of instructions to boot 256 KiB after power-on (lighter: clearing the RAM)",
            &instructions(figures),
        )?,
        draw(
            "Sector erases per update of 256 KiB (lighter: more for going back)",
            &erases(figures),
        )?,
    ])
}

/// A bar of two parts, one behind the other.
struct Bar {
    name: String,
    parts: [f64; 2],
    whose: Whose,
    label: String,
}

/// Whose figure it is, and whether it was measured here.
#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Measured,
    Quoted,
}

impl Whose {
    fn colour(self) -> RGBColor {
        match self {
            Self::Ours => RGBColor(0x3B, 0x82, 0xF6),
            Self::Measured => RGBColor(0x2D, 0xA4, 0x7A),
            Self::Quoted => RGBColor(0x8B, 0x94, 0x9E),
        }
    }
}

const WORDS: RGBColor = RGBColor(0x7D, 0x85, 0x90);

fn text(figures: &Figures) -> Vec<Bar> {
    let bar = |name: &str, bytes: u64, whose| Bar {
        name: name.into(),
        parts: [bytes as f64, 0.0],
        whose,
        label: bytes.to_string(),
    };
    let mut bars: Vec<Bar> = ours(figures)
        .map(|(name, measured)| bar(&name, measured.text, Whose::Ours))
        .collect();
    bars.push(bar("MCUboot, smallest", SMALLEST_MCUBOOT, Whose::Quoted));
    bars.extend(
        QUOTED
            .iter()
            .map(|quoted| bar(quoted.name, quoted.text, Whose::Quoted)),
    );
    bars.push(bar(
        "embassy-boot (verifies nothing)",
        EMBASSY_BOOT_TEXT,
        Whose::Quoted,
    ));
    bars
}

fn instructions(figures: &Figures) -> Vec<Bar> {
    let millions = |count: u64| count as f64 / 1e6;
    let ours = ours(figures).map(|(name, measured)| {
        let (all, clearing) = (measured.instructions_256k, measured.instructions_clearing);
        Bar {
            name,
            parts: [millions(all - clearing), millions(clearing)],
            whose: Whose::Ours,
            label: format!("{:.2}", millions(all)),
        }
    });
    let quoted = QUOTED.iter().map(|quoted| Bar {
        name: quoted.name.into(),
        parts: [quoted.instructions.1, 0.0],
        whose: Whose::Quoted,
        label: format!("{:.2}", quoted.instructions.1),
    });
    ours.chain(quoted).collect()
}

fn erases(figures: &Figures) -> Vec<Bar> {
    let bar = |name: &str, update: u64, revert: Option<u64>, whose| Bar {
        name: name.into(),
        parts: [update as f64, revert.unwrap_or(0) as f64],
        whose,
        label: match revert {
            Some(revert) => format!("{update} + {revert}"),
            None => format!("{update}, no way back"),
        },
    };
    let same = figures.same_geometry.iter();
    let same = same.map(|costs| {
        let (update, revert) = (costs.update.erases, costs.revert.erases);
        let whose = match costs.of.starts_with("Bistable") {
            true => Whose::Ours,
            false => Whose::Measured,
        };
        bar(&costs.of, update, Some(revert), whose)
    });
    let quoted = QUOTED.iter();
    let quoted = quoted.map(|quoted| bar(quoted.name, quoted.erases, quoted.revert, Whose::Quoted));
    same.chain(quoted).collect()
}

/// The profiles of the board that others were measured on.
fn ours(figures: &Figures) -> impl Iterator<Item = (String, &crate::figures::Measured)> {
    let profiles = figures.boards.get(COMPARED).into_iter().flatten();
    profiles.map(|(profile, measured)| (format!("Bistable, {profile}"), measured))
}

/// Pixels.
const WIDTH: u32 = 800;
const NAMES_WIDTH: u32 = 270;
const LABELS_WIDTH: u32 = 130;
const BAR_HEIGHT: u32 = 26;
const TITLE_HEIGHT: u32 = 34;

fn draw(title: &str, bars: &[Bar]) -> Result<String> {
    let mut svg = String::new();
    let height = TITLE_HEIGHT + BAR_HEIGHT * bars.len() as u32 + 6;
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let longest = bars
        .iter()
        .map(|bar| bar.parts.iter().sum())
        .fold(1.0, f64::max);
    let scale = f64::from(WIDTH - NAMES_WIDTH - LABELS_WIDTH) / longest;
    let words = ("sans-serif", 17).into_font().color(&WORDS);
    let at = |side| words.pos(Pos::new(side, VPos::Center));
    let failed = |error: DrawingAreaErrorKind<_>| anyhow!("a chart: {error}");
    let heading = Text::new(title, (8, TITLE_HEIGHT as i32 / 2), at(HPos::Left));
    area.draw(&heading).map_err(failed)?;
    for (row, bar) in (0..).zip(bars) {
        let top = (TITLE_HEIGHT + BAR_HEIGHT * row) as i32 + 3;
        let (bottom, middle) = (top + BAR_HEIGHT as i32 - 6, top + BAR_HEIGHT as i32 / 2 - 3);
        let name = Text::new(
            bar.name.as_str(),
            (NAMES_WIDTH as i32 - 8, middle),
            at(HPos::Right),
        );
        area.draw(&name).map_err(failed)?;
        let colour = bar.whose.colour();
        let mut left = NAMES_WIDTH as i32;
        for (part, opacity) in bar.parts.iter().zip([1.0, 0.5]) {
            let right = left + (part * scale).round() as i32;
            if right > left {
                let filled = colour.mix(opacity).filled();
                let part = Rectangle::new([(left, top), (right, bottom)], filled);
                area.draw(&part).map_err(failed)?;
            }
            left = right;
        }
        let label = Text::new(bar.label.as_str(), (left + 6, middle), at(HPos::Left));
        area.draw(&label).map_err(failed)?;
    }
    area.present().map_err(failed)?;
    drop(area);
    Ok(svg)
}
