//! What must hold before a new image is kept; otherwise the device goes back to the one before.

use bistable_updater::health::{Check, Policy};

use crate::layout;

/// How many checks there are. Their names are in the product's layout.
pub(crate) const COUNT: usize = layout::CHECKS.len();

/// Your own check: what `app` says of itself.
pub(crate) const SELF_TEST: &str = layout::CHECKS[0];

/// The checks, each with its deadline in seconds. The others are measured by the updater. A new one gets a name
/// at the end of `health.checks` in `layout.toml`, and a line at the end here.
pub(crate) static CHECKS: [Check; COUNT] = [
    Check::required(SELF_TEST).within(20),
    Check::update_source(layout::CHECKS[1]).within(60),
    Check::supply(layout::CHECKS[2], 3000).within(20),
    Check::free_stack(layout::CHECKS[3], 16 << 10).within(20),
];

/// What the product asks of its images.
pub(crate) const POLICY: Policy = Policy {
    checks: &CHECKS,
    trial_soak_seconds: layout::TRIAL_SOAK_SECONDS,
    soak_seconds: layout::SOAK_SECONDS,
    forgives_resets: true,
};
