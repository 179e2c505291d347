//! The updater: what it takes for the running slot, what it resumes, in which order it writes, what it bears witness to.

use crate::Edit;

const UPDATER: &str = "updater/src/updater.rs";
const WITNESS: &str = "updater/src/witness.rs";
const WRITING: &str = "updater/src/install/writing.rs";

pub(super) const EDITS: &[Edit] = &[
    Edit {
        file: "updater/src/install.rs",
        find: "
            Some(progress) if progress.image.digest == image.digest => progress,
",
        replace: r#"
            Some(progress)
                if progress.image.digest == image.digest
                    && !bistable_core::planted::is("progress-thrown-away") =>
            {
                progress
            }
"#,
    },
    Edit {
        file: UPDATER,
        find: "
            .ok_or(Refusal::RunningSlotUnclear)?;
",
        replace: r#"
            .ok_or(Refusal::RunningSlotUnclear)?;
        let running = match bistable_core::planted::is("running-slot-swapped") {
            true => running.other(),
            false => running,
        };
"#,
    },
    Edit {
        file: UPDATER,
        find: "
        updater.open_journal();
        updater.mirror_floor();
        Ok(updater)
",
        replace: r#"
        updater.open_journal();
        if !bistable_core::planted::is("fuses-raised-at-confirm-only") {
            updater.mirror_floor();
        }
        if bistable_core::planted::is("running-slot-is-the-active") {
            updater.running = updater.snapshot.active;
        }
        if bistable_core::planted::is("attempt-recorded-after-the-jump")
            && updater.standing() == Standing::Trial
        {
            let charge = updater.handover.reset.charge();
            let _ = updater.record(Event::BootTrial {
                slot: updater.running,
                charge,
            });
        }
        Ok(updater)
"#,
    },
    Edit {
        file: UPDATER,
        find: "
        let Some(after) = transition(&self.snapshot, event)? else {
            return Ok(());
        };
",
        replace: r#"
        let Some(mut after) = transition(&self.snapshot, event)? else {
            return Ok(());
        };
        if let Event::Activate { target, .. } = event
            && bistable_core::planted::is("floor-rises-at-activation")
        {
            let (flash, _) = self.platform.slot_flash(target);
            let header = read_header(flash, self.product.layout, target)?;
            let manifest = *Header::new_checked(&header)?.manifest();
            after.floor = after.floor.max(manifest.revoke_below());
        }
"#,
    },
    Edit {
        file: UPDATER,
        find: "
        if self.journal.write(flash, watchdog, &after).is_err() {
",
        replace: r#"
        if self.journal.write(flash, watchdog, &after).is_err()
            && !bistable_core::planted::is("record-failure-ignored")
        {
"#,
    },
    Edit {
        file: "updater/src/install.rs",
        find: "
        let stage = if receiving && self.holds_header_of(target, image) {
",
        replace: r#"
        let may_resume = receiving || bistable_core::planted::is("resumed-by-header-alone");
        let stage = if may_resume
            && (bistable_core::planted::is("resumed-without-its-header")
                || self.holds_header_of(target, image))
        {
"#,
    },
    Edit {
        file: UPDATER,
        find: "
        if self.standing() != Standing::Confirmed || self.snapshot.floor <= self.fused_floor {
",
        replace: r#"
        if bistable_core::planted::is("fuses-raised-by-a-trial")
            && self.standing() == Standing::Trial
        {
            let floor = self.manifest.revoke_below();
            let _ = self.platform.fuses().raise(floor);
        }
        if self.standing() != Standing::Confirmed
            || (self.snapshot.floor <= self.fused_floor
                && !bistable_core::planted::is("fuses-raised-again"))
            || bistable_core::planted::is("fuses-never-raised")
        {
"#,
    },
    Edit {
        file: "updater/src/trial.rs",
        find: "
        if self.handover.abnormal > 0 && is_over && self.standing() == Standing::Confirmed {
",
        replace: r#"
        if self.handover.abnormal > 0
            && (is_over || bistable_core::planted::is("crashes-forgotten-at-once"))
            && self.standing() == Standing::Confirmed
            && !bistable_core::planted::is("crashes-never-forgotten")
        {
"#,
    },
    Edit {
        file: "updater/src/install/pages.rs",
        find: "
            if piece.iter().any(|byte| *byte != 0xFF) {
                return Ok(true);
            }
        }
        Ok(false)
",
        replace: r#"
            if piece.iter().any(|byte| *byte != 0xFF) {
                return Ok(true);
            }
        }
        Ok(bistable_core::planted::is("erased-counts-as-a-match"))
"#,
    },
    Edit {
        file: WRITING,
        find: "
        self.want_after(index.saturating_add(1), end, next, behind);
        Ok(())
    }
",
        replace: r#"
        self.want_after(index.saturating_add(1), end, next, behind);
        if bistable_core::planted::is("header-last")
            && self.progress.wanted == Wanted::Nothing
            && !self.updater.holds_header_of(self.target, self.image)
        {
            self.program_header()?;
        }
        Ok(())
    }
"#,
    },
    Edit {
        file: WRITING,
        find: "
        self.updater.record(event)?;
        let header = *self.authentic.as_bytes();
",
        replace: r#"
        self.updater.record(event)?;
        if bistable_core::planted::is("header-last") {
            return Ok(());
        }
        self.program_header()
    }

    fn program_header(&mut self) -> Result<(), Refusal> {
        let header = *self.authentic.as_bytes();
"#,
    },
    Edit {
        file: WRITING,
        find: "
                    flash.erase(from, to).map_err(|_| Refusal::FlashErase)?;
",
        replace: r#"
                    if bistable_core::planted::is("blank-slot-sector-not-erased") {
                        let mut piece = [0; 64];
                        let mut pieces = (from..to).step_by(piece.len());
                        if pieces.all(|at| {
                            embedded_storage::nor_flash::ReadNorFlash::read(flash, at, &mut piece)
                                .is_ok_and(|()| piece.iter().all(|byte| *byte == 0xFF))
                        }) {
                            continue;
                        }
                    }
                    flash.erase(from, to).map_err(|_| Refusal::FlashErase)?;
"#,
    },
    Edit {
        file: WITNESS,
        find: "
        witness.look(flash, watchdog);
        witness
",
        replace: r#"
        if bistable_core::planted::is("ledger-not-healed-before-it-speaks") {
            let current = witness.ledger.inspect(flash).find(|view| view.current);
            if let Some(entry) = current.and_then(|view| view.snapshot) {
                witness.found = Found::of(&entry);
            }
        } else {
            witness.look(flash, watchdog);
        }
        witness
"#,
    },
    Edit {
        file: WITNESS,
        find: "
            _ => self.ledger.write(flash, watchdog, &entry),
",
        replace: r#"
            _ if bistable_core::planted::is("receipt-given-out-unkept") => Ok(()),
            _ if bistable_core::planted::is("receipts-replace-the-ledger") => {
                self.ledger.format(flash, watchdog, &entry)
            }
            _ => self.ledger.write(flash, watchdog, &entry),
"#,
    },
    Edit {
        file: WITNESS,
        find: "
        let number = newest.number.saturating_add(1);
",
        replace: r#"
        let raised = !bistable_core::planted::is("number-not-raised");
        let number = newest.number.saturating_add(raised.into());
"#,
    },
    Edit {
        file: WITNESS,
        find: "
        if kept.is_err() {
",
        replace: r#"
        if bistable_core::planted::is("receipt-kept-twice") {
            let _ = self.ledger.write(flash, watchdog, &entry);
        }
        if kept.is_err() && !bistable_core::planted::is("failed-receipt-given-out") {
"#,
    },
    Edit {
        file: WITNESS,
        find: "
            Opened::Sound { snapshot, .. } => Found::of(&snapshot),
",
        replace: r#"
            Opened::Sound { rewrites, .. }
                if rewrites > 0 && bistable_core::planted::is("cut-ledger-begins-again") =>
            {
                Found::Nothing
            }
            Opened::Sound { snapshot, .. } => Found::of(&snapshot),
"#,
    },
];
