//! The flash as a bar to scale, and a line for each region: at most 80 columns wide.
//!
//! ```text
//!   ┌─┬─┬───┬─────────────────┬─────────────────┐
//!   │J│i│   │A█████░░░░░░░░░░░│B░░░░░░░░░░░░░░░░│
//!   └─┴─┴───┴─────────────────┴─────────────────┘
//! ```

use std::fmt::{self, Display, Write as _};

use anstyle::Style;

use crate::doctor::map::Place;
use crate::output::{BAD, FAINT, GOOD, paint};

/// As wide as it gets, in columns.
pub const WIDTH: usize = 80;

/// A flash to draw.
pub struct Picture<'p> {
    /// Its name.
    pub name: &'p str,
    /// Where the processor sees its first byte.
    pub address: u64,
    /// Length in bytes.
    pub size: u64,
    /// What lies on it, in the order of the addresses.
    pub places: &'p [Place],
}

/// A piece of the bar: a region, or what lies between two.
struct Piece<'p> {
    place: Option<(&'p Place, char)>,
    size: u64,
    columns: usize,
}

impl Display for Picture<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces = self.pieces();
        let end = self.address + self.size;
        writeln!(
            formatter,
            "flash `{}`, {:#010x}..{end:#010x}, {}",
            self.name,
            self.address,
            length(self.size)
        )?;
        border(formatter, &pieces, ['┌', '┬', '┐'])?;
        for piece in &pieces {
            formatter.write_char('│')?;
            piece.draw(formatter)?;
        }
        writeln!(formatter, "│")?;
        border(formatter, &pieces, ['└', '┴', '┘'])?;
        for (place, letter) in pieces.iter().filter_map(|piece| piece.place) {
            let full = match place.used {
                Some(used) => format!("{:>3} %", used * 100 / place.size.max(1)),
                None => "  ?  ".into(),
            };
            writeln!(
                formatter,
                "{} {:<20.20} {:#010x} {:>8} {full} {:.31}",
                paint(place.style(), letter),
                place.name,
                place.address,
                length(place.size),
                place.state
            )?;
        }
        Ok(())
    }
}

impl<'p> Picture<'p> {
    /// Regions and what lies between them, with as many columns as their share, but one at least.
    fn pieces(&self) -> Vec<Piece<'p>> {
        let mut pieces = Vec::new();
        let mut letters = Vec::new();
        let mut at = 0;
        for place in self.places {
            if place.offset > at {
                pieces.push(Piece::gap(place.offset - at));
            }
            let letter = letter(&place.name, &letters);
            letters.push(letter);
            pieces.push(Piece {
                place: Some((place, letter)),
                size: place.size,
                columns: 1,
            });
            at = place.offset + place.size;
        }
        if self.size > at {
            pieces.push(Piece::gap(self.size - at));
        }
        let room = WIDTH.saturating_sub(2 * pieces.len() + 1);
        let total = self.size.max(1);
        for piece in &mut pieces {
            let share = u128::from(piece.size) * room as u128 / u128::from(total);
            piece.columns += share as usize;
        }
        pieces
    }
}

impl Piece<'_> {
    const fn gap(size: u64) -> Self {
        Self {
            place: None,
            size,
            columns: 1,
        }
    }

    fn draw(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((place, letter)) = self.place else {
            return write!(formatter, "{}", " ".repeat(self.columns));
        };
        let rest = self.columns.saturating_sub(1);
        let bar = match place.used {
            None => "?".repeat(rest),
            Some(used) => {
                let full = u128::from(used) * rest as u128;
                let full = (full.div_ceil(u128::from(place.size.max(1))) as usize).min(rest);
                "█".repeat(full) + &"░".repeat(rest - full)
            }
        };
        write!(
            formatter,
            "{}",
            paint(place.style(), format!("{letter}{bar}"))
        )
    }
}

impl Place {
    const fn style(&self) -> Style {
        match self.good {
            Some(true) => GOOD,
            Some(false) => BAD,
            None => FAINT,
        }
    }
}

fn border(
    formatter: &mut fmt::Formatter<'_>,
    pieces: &[Piece<'_>],
    [left, between, right]: [char; 3],
) -> fmt::Result {
    for (number, piece) in pieces.iter().enumerate() {
        formatter.write_char(if number == 0 { left } else { between })?;
        write!(formatter, "{}", "─".repeat(piece.columns))?;
    }
    writeln!(formatter, "{right}")
}

/// `A` for slot A, `J` for the journal, the first free letter of a partition's name, else a digit.
fn letter(name: &str, taken: &[char]) -> char {
    match name {
        "the journal" => 'J',
        "the bootloader" => 'L',
        "the ledger" => 'R',
        "slot A" => 'A',
        "slot B" => 'B',
        name => {
            let own = name.split('`').nth(1).unwrap_or(name);
            let mut letters = own.chars().chain('0'..='9').chain('a'..='z');
            let free = |letter: &char| letter.is_ascii_alphanumeric() && !taken.contains(letter);
            letters.find(free).unwrap_or('#')
        }
    }
}

fn length(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, offset: u64, size: u64, used: Option<u64>) -> Place {
        Place {
            name: name.into(),
            address: 0x2100_0000 + offset,
            offset,
            size,
            used,
            state: "a state that goes on and on, far beyond what fits".into(),
            good: Some(true),
        }
    }

    fn draw(size: u64, places: &[Place]) -> Vec<String> {
        let picture = Picture {
            name: "main",
            address: 0x2100_0000,
            size,
            places,
        };
        let text = anstream::adapter::strip_str(&picture.to_string()).to_string();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn regions_are_to_scale_and_the_smallest_is_seen() {
        let places = [
            place("the journal", 0, 0x3000, Some(0x3000)),
            place("partition `identity`", 0x3000, 0x1000, Some(10)),
            place("slot A", 0x8_0000, 0x8_0000, Some(0x4_0000)),
            place("slot B", 0x10_0000, 0x8_0000, None),
        ];
        let lines = draw(0x20_0000, &places);
        let bar = &lines[2];
        let pieces: Vec<_> = bar.split('│').filter(|piece| !piece.is_empty()).collect();
        assert_eq!(pieces[..2], ["J", "i"]);
        assert_eq!(pieces[3], "A████████░░░░░░░░");
        assert_eq!(pieces[4], "B????????????????");
        let count = pieces[3].chars().count();
        assert!(pieces[5].chars().count().abs_diff(count) <= 2, "{bar}");
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let many = (0..12).map(|number| {
            let name = format!("partition `same-{number}-and-a-very-long-name`");
            place(&name, number * 0x1000, 0x1000, Some(1))
        });
        for places in [many.collect::<Vec<_>>(), Vec::new()] {
            for line in draw(u64::from(u32::MAX), &places) {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
    }
}
