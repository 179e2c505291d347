//! `core/src/journal.rs` and what it is written with.

use crate::Edit;

const JOURNAL: &str = "core/src/journal.rs";

pub(super) const EDITS: &[Edit] = &[
    Edit {
        file: JOURNAL,
        find: "const STRONG: u8 = 3;
",
        replace: r#"fn strong() -> u8 {
    if crate::planted::is("one-copy-is-enough") {
        1
    } else if crate::planted::is("all-copies-are-needed") {
        COPIES
    } else {
        3
    }
}
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
            if seen.whole {
",
        replace: r#"
            if seen.whole
                || crate::planted::is("nothing-healed")
                || (crate::planted::is("acts-before-it-is-healed") && rewrites > 0)
            {
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
            opened = Opened::GaveUp(*snapshot);
",
        replace: r#"
            opened = Opened::GaveUp(*snapshot);
            if crate::planted::is("all-torn-ones-erased-first") && rewrites == 0 {
                for place in 0..self.place.sectors {
                    if place != current.place && self.look_at(flash, place).valid < COPIES {
                        watchdog.feed();
                        let _ = self.erase(flash, place);
                    }
                }
            }
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
        self.put(flash, watchdog, seen.highest, target, &mut content)
    }
",
        replace: r#"
        let written = self.put(flash, watchdog, seen.highest, target, &mut content);
        if crate::planted::is("errors-ignored") {
            self.failed = 0;
        } else {
            written?;
        }
        if crate::planted::is("others-erased-after-a-write") {
            for sector in (0..self.place.sectors).filter(|sector| *sector != target) {
                watchdog.feed();
                self.erase(flash, sector)?;
            }
        }
        Ok(())
    }
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
            if place != current.place && self.failed & bit(place) == 0 && turn < first_turn {
",
        replace: r#"
            let may = self.failed & bit(place) == 0 || crate::planted::is("dead-sector-tried-again");
            if place != current.place && may && turn < first_turn {
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
        let sequence = highest.checked_add(1).ok_or(WriteError::Flash)?;
",
        replace: r#"
        let sequence = if crate::planted::is("sequence-not-increased") {
            highest
        } else {
            highest.checked_add(1).ok_or(WriteError::Flash)?
        };
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
            written.map_err(|_| WriteError::Flash)?;
        }
        let after = self.look_at(flash, target);
",
        replace: r#"
            let programmed = written.map_err(|_| WriteError::Flash);
            if crate::planted::is("one-copy-is-success") && copy > 0 && programmed.is_err() {
                break;
            }
            programmed?;
        }
        let after = self.look_at(flash, target);
        if crate::planted::is("one-copy-is-success")
            && after.valid > 0
            && after.sequence == sequence
        {
            return Ok(());
        }
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
    fn erase<F: NorFlash>(&self, flash: &mut F, sector: u8) -> Result<(), WriteError> {
",
        replace: r#"
    fn erase<F: NorFlash>(&self, flash: &mut F, sector: u8) -> Result<(), WriteError> {
        if crate::planted::is("blank-not-erased") {
            let mut content = R::ZEROS;
            let reads_as_blank = (0..COPIES).all(|copy| {
                self.read(flash, sector, copy, &mut content)
                    && content.as_ref().iter().all(|byte| *byte == 0xFF)
            });
            if reads_as_blank {
                return Ok(());
            }
        }
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
            seen.whole &= sector.valid == COPIES || self.failed & bit(place) != 0;
",
        replace: r#"
            let whole = match crate::planted::is("whole-at-three-copies") {
                true => 3,
                false => COPIES,
            };
            seen.whole &= sector.valid >= whole || self.failed & bit(place) != 0;
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
            if sector.valid > 0 && seen.current.is_none_or(counts) {
                seen.current = Some(sector);
            }
        }
",
        replace: r#"
            let is_lost = crate::planted::is("weak-copies-are-lost") && sector.valid < strong();
            if sector.valid > 0 && !is_lost && seen.current.is_none_or(counts) {
                seen.current = Some(sector);
            }
        }
        if crate::planted::is("only-the-newest-is-healed") {
            seen.whole = seen.current.is_some_and(|current| current.valid == COPIES);
        }
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
        let mut target = None;
",
        replace: r#"
        if crate::planted::is("healed-in-place") && current.valid < COPIES {
            return Some(current.place);
        }
        let mut target = None;
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
    const fn counts_before(&self, best: &Self) -> bool {
        match (self.valid >= STRONG, best.valid >= STRONG) {
",
        replace: r#"
    fn counts_before(&self, best: &Self) -> bool {
        match (self.valid >= strong(), best.valid >= strong()) {
            (true, true) if crate::planted::is("newest-by-position") => true,
            (false, false) if crate::planted::is("newest-of-the-weak") => {
                self.sequence > best.sequence
            }
"#,
    },
    Edit {
        file: JOURNAL,
        find: "
    const fn turn(&self, current: &Self) -> (u8, u32) {
        if self.valid == 0 {
",
        replace: r#"
    fn turn(&self, current: &Self) -> (u8, u32) {
        if crate::planted::is("oldest-is-always-the-target") {
            (2, self.sequence)
        } else if self.valid == 0 {
"#,
    },
    Edit {
        file: "core/src/snapshot.rs",
        find: "
    if encode(says, sequence(bytes), layout) == *bytes {
",
        replace: r#"
    let mut expected = encode(says, sequence(bytes), layout);
    if crate::planted::is("checksum-not-checked") {
        let checksum: [u8; 4] = wire::bytes(bytes, field::CRC);
        wire::put(&mut expected, field::CRC, &checksum);
    }
    if expected == *bytes {
"#,
    },
];
