//! The decisions in `core`.

use crate::Edit;

const PLAN: &str = "core/src/plan.rs";
const CHOOSE: &str = "core/src/choose.rs";
const TRANSITION: &str = "core/src/transition.rs";
const VERIFY: &str = "core/src/verify.rs";

pub(super) const EDITS: &[Edit] = &[
    Edit {
        file: "core/src/lib.rs",
        find: "pub mod plan;\n",
        replace: "pub mod plan;\npub mod planted;\n",
    },
    Edit {
        file: "core/src/admit.rs",
        find: "
        if let Some(rejection) = snapshot.rejection(image.digest())
            && !rejection.is_forgiven()
        {
",
        replace: r#"
        if let Some(rejection) = snapshot.rejection(image.digest())
            && !crate::planted::is("rejected-accepted")
            && (!rejection.is_forgiven() || crate::planted::is("cut-off-not-forgiven"))
        {
"#,
    },
    Edit {
        file: CHOOSE,
        find: "
            if !against.trials && !beside_failed && budget.left(charge) > 0 =>
",
        replace: r#"
            if !against.trials
                && !beside_failed
                && !crate::planted::is("trials-never-started")
                && !(budget.booted && crate::planted::is("second-start-refused"))
                && (budget.left(charge) > 0 || crate::planted::is("budget-not-checked")) =>
"#,
    },
    Edit {
        file: CHOOSE,
        find: "
    let charge = reset.charge();
    let active = snapshot.active;
",
        replace: r#"
    let charge = match crate::planted::is("power-charged-to-attempts") {
        true => Charge::Attempt,
        false => reset.charge(),
    };
    let active = snapshot.active;
"#,
    },
    Edit {
        file: CHOOSE,
        find: "
        _ if !active_failed => (active, Role::Active),
",
        replace: r#"
        SlotState::Confirmed(_)
            if !beside_failed && crate::planted::is("other-before-active") =>
        {
            (beside, Role::Other)
        }
        _ if !active_failed => (active, Role::Active),
"#,
    },
    Edit {
        file: CHOOSE,
        find: "
        (SlotState::Trial(..), _) if *beside.of(&against.failed) => {
",
        replace: r#"
        (SlotState::Trial(..), _)
            if *beside.of(&against.failed) && crate::planted::is("broken-trial-kept") =>
        {
            return false;
        }
        (SlotState::Trial(..), _) if *beside.of(&against.failed) => {
"#,
    },
    Edit {
        file: CHOOSE,
        find: "
        SlotState::Confirmed(_) if against.crashed && !beside_failed => (beside, Role::Other),
",
        replace: r#"
        SlotState::Confirmed(_)
            if against.crashed
                && !beside_failed
                && !crate::planted::is("crash-loop-ignored") =>
        {
            (beside, Role::Other)
        }
"#,
    },
    Edit {
        file: CHOOSE,
        find: "
        (_, Role::Other) if against.crashed => (state.active, Reason::CrashLoop),
",
        replace: r#"
        (SlotState::Confirmed(_), Role::Active)
            if against.crashed && crate::planted::is("crash-loop-ends-nowhere") =>
        {
            (state.active, Reason::CrashLoop)
        }
        (_, Role::Other) if against.crashed && !crate::planted::is("crash-loop-not-recorded") => {
            (state.active, Reason::CrashLoop)
        }
"#,
    },
    Edit {
        file: "core/src/handover.rs",
        find: "
        most > 0 && self.abnormal >= most && self.running == Some(active)
",
        replace: r#"
        let is_the_active =
            self.running == Some(active) || crate::planted::is("active-blamed-for-the-other");
        most > 0 && self.abnormal >= most && is_the_active
"#,
    },
    Edit {
        file: "core/src/handover.rs",
        find: "
            if last.standing == Standing::Confirmed {
",
        replace: r#"
            if crate::planted::is("crash-counted-twice") {
                next.abnormal = last.abnormal.saturating_add(1);
            }
            if last.standing == Standing::Confirmed {
                let last = &next;
"#,
    },
    Edit {
        file: "core/src/admit.rs",
        find: "
        } else if !self.schema.is_none_or(is_readable) {
",
        replace: r#"
        } else if !self.schema.is_none_or(is_readable)
            && !crate::planted::is("schema-ignored")
        {
"#,
    },
    Edit {
        file: "core/src/admit.rs",
        find: "
            floor: layout.factory_floor.max(fused_floor),
",
        replace: r#"
            floor: match crate::planted::is("fuses-ignored") {
                true => layout.factory_floor,
                false => layout.factory_floor.max(fused_floor),
            },
"#,
    },
    Edit {
        file: TRANSITION,
        find: "
        SlotState::Confirmed(_) if state.active == running => {
            state.schema = schema;
",
        replace: r#"
        SlotState::Trial(..) if crate::planted::is("migrated-on-trial") => {
            state.schema = schema;
            Ok(())
        }
        SlotState::Confirmed(_) if state.active == running => {
            state.schema = schema;
"#,
    },
    Edit {
        file: PLAN,
        find: "
        let sector_size = chunk_size.checked_next_multiple_of(erase_size);
",
        replace: r#"
        let sector_size = match crate::planted::is("small-sectors-stand-alone") {
            true => Some(erase_size),
            false => chunk_size.checked_next_multiple_of(erase_size),
        };
"#,
    },
    Edit {
        file: PLAN,
        find: "
            .map_or(0, |last| self.sector_of(self.chunk(last).start))
",
        replace: r#"
            .map_or(0, |last| {
                let rewritten = match crate::planted::is("last-match-believed") {
                    true => matches,
                    false => last,
                };
                self.sector_of(self.chunk(rewritten).start)
            })
"#,
    },
    Edit {
        file: PLAN,
        find: "
pub const fn beginning(target: &SlotState, header_lies_there: bool) -> Beginning {
    match (target, header_lies_there) {
",
        replace: r#"
pub fn beginning(target: &SlotState, header_lies_there: bool) -> Beginning {
    match (target, header_lies_there) {
        _ if crate::planted::is("always-recorded-first") => Beginning::Record,
        _ if crate::planted::is("always-erased-first") => Beginning::Erase,
        _ if crate::planted::is("always-disowned") => Beginning::DisownAndErase,
        (SlotState::Confirmed(_) | SlotState::Trial(..), _)
            if crate::planted::is("recorded-after-the-erase") =>
        {
            Beginning::Erase
        }
        (SlotState::Confirmed(_) | SlotState::Trial(..), true)
            if crate::planted::is("own-image-not-disowned") =>
        {
            Beginning::Record
        }
        (SlotState::Receiving(_), false)
            if crate::planted::is("other-download-erased-first") =>
        {
            Beginning::Erase
        }
"#,
    },
    Edit {
        file: PLAN,
        find: "
            let ahead = plan.next_used(self.first);
",
        replace: r#"
            let ahead = match self.is_not_ahead() {
                true => None,
                false => plan.next_used(self.first),
            };
"#,
    },
    Edit {
        file: PLAN,
        find: "
            return Some(([ahead, Some(self.first)], after));
        };
        let next = plan.next_used(last)?;
        (last <= filling).then_some((
",
        replace: r#"
            return Some(match crate::planted::is("first-erased-first") {
                true => ([Some(self.first), ahead], after),
                false => ([ahead, Some(self.first)], after),
            });
        };
        let next = plan.next_used(last)?;
        let is_due = match self.is_not_ahead() {
            true => last < filling,
            false => last <= filling,
        };
        is_due.then_some((
"#,
    },
    Edit {
        file: PLAN,
        find: "
    /// The first sector that is not kept.
    #[must_use]
    pub const fn first(&self) -> u32 {
",
        replace: r#"
    fn is_not_ahead(&self) -> bool {
        self.first > 0 && crate::planted::is("resumed-without-erasing-ahead")
    }

    /// The first sector that is not kept.
    #[must_use]
    pub const fn first(&self) -> u32 {
"#,
    },
    Edit {
        file: TRANSITION,
        find: "
    *charged = charged.wrapping_sub(1);
",
        replace: r#"
    if !(charge == Charge::Power && crate::planted::is("power-budget-not-counted")) {
        *charged = charged.wrapping_sub(1);
    }
"#,
    },
    Edit {
        file: TRANSITION,
        find: "
            *slot = SlotState::Confirmed(image);
            state.active = running;
            state.floor = state.floor.max(revoke_below);
            state.revoked = state.revoked.union(revokes);
",
        replace: r#"
            *slot = SlotState::Confirmed(image);
            if !crate::planted::is("confirmed-but-not-active") {
                state.active = running;
            }
            state.floor = match crate::planted::is("floor-replaced") {
                true => revoke_below,
                false => state.floor.max(revoke_below),
            };
            state.revoked = match crate::planted::is("revocations-replaced") {
                true => revokes,
                false => state.revoked.union(revokes),
            };
"#,
    },
    Edit {
        file: TRANSITION,
        find: "
    if !(other_is_acceptable && other_is_confirmed) {
",
        replace: r#"
    let other_is_acceptable =
        other_is_acceptable || crate::planted::is("rejected-whatever-the-other-is");
    if !(other_is_acceptable && other_is_confirmed) {
"#,
    },
    Edit {
        file: TRANSITION,
        find: "
        state.add_rejected(&image, reason);
",
        replace: r#"
        if !crate::planted::is("rejection-not-remembered") {
            state.add_rejected(&image, reason);
        }
"#,
    },
    Edit {
        file: VERIFY,
        find: "
    header.check_signatures(rules.ring, rules.revoked)?;
",
        replace: r#"
    if !crate::planted::is("signatures-not-checked") {
        header.check_signatures(rules.ring, rules.revoked)?;
    }
"#,
    },
    Edit {
        file: VERIFY,
        find: "
        None => verify_payload(flash, layout, slot, manifest, watchdog)?,
    }
",
        replace: r#"
        None => {
            let is_active = crate::planted::was_noted();
            if !crate::planted::is("payload-not-verified")
                && !(is_active && crate::planted::is("active-payload-not-verified"))
            {
                verify_payload(flash, layout, slot, manifest, watchdog)?;
            }
        }
    }
"#,
    },
];
