//! The bootloader's story.

use crate::Edit;

const STORY: &str = "bootloader/src/story.rs";

pub(super) const EDITS: &[Edit] = &[
    Edit {
        file: STORY,
        find: "
        if is_another {
            self.handover.abnormal = 0;
        }
",
        replace: r#"
        if is_another && !bistable_core::planted::is("crashes-of-another-counted") {
            self.handover.abnormal = 0;
        }
        let is_another = is_another && !bistable_core::planted::is("ram-never-cleared");
"#,
    },
    Edit {
        file: STORY,
        find: "
            let Some((image, role, against)) = &self.select(snapshot, !may_record) else {
                return None;
            };
            if !may_record || !settle_in_place(snapshot, *against, *role) || self.record(snapshot) {
",
        replace: r#"
            let no_trials =
                !may_record && !bistable_core::planted::is("trial-without-a-journal");
            let Some((image, role, against)) = &self.select(snapshot, no_trials) else {
                return None;
            };
            let is_trial = matches!(role, Role::Trial(_));
            let is_left_to_the_image =
                is_trial && bistable_core::planted::is("attempt-recorded-after-the-jump");
            let changed = may_record
                && !is_left_to_the_image
                && (settle_in_place(snapshot, *against, *role)
                    || bistable_core::planted::is("every-boot-recorded"));
            if changed && bistable_core::planted::is("recorded-twice") {
                let _ = self.record(snapshot);
            }
            if !changed
                || self.record(snapshot)
                || (is_trial && bistable_core::planted::is("trial-started-unrecorded"))
            {
"#,
    },
    Edit {
        file: STORY,
        find: "
        self.rules.revoked = snapshot.revoked;
        self.rules.terms.go_by(snapshot);
",
        replace: r#"
        if !bistable_core::planted::is("revocations-ignored-at-boot") {
            self.rules.revoked = snapshot.revoked;
        }
        self.rules.terms.go_by(snapshot);
        if bistable_core::planted::is("floor-ignored-at-boot") {
            self.rules.terms.floor = self.product.layout.factory_floor;
        }
"#,
    },
    Edit {
        file: STORY,
        find: "
            match self.verify(candidate.slot, Some(candidate.image.digest)) {
",
        replace: r#"
            bistable_core::planted::note(candidate.role == Role::Active);
            let verdict = self.verify(candidate.slot, Some(candidate.image.digest));
            bistable_core::planted::note(false);
            match verdict {
"#,
    },
];
