//! What must hold before a new image is kept; otherwise the device goes back to the one before.

use bistable_updater::health::{Check, Policy};
use board::layout;

/// The application's own check.
pub(crate) const SELF_TEST: &str = layout::CHECKS[0];

/// The checks, each with its deadline in seconds. The second one is the updater's to measure.
static CHECKS: [Check; layout::CHECKS.len()] = [
    Check::required(SELF_TEST).within(20),
    Check::update_source(layout::CHECKS[1]).within(60),
];

/// What the product asks of its images.
pub(crate) const POLICY: Policy = Policy {
    checks: &CHECKS,
    trial_soak_seconds: layout::TRIAL_SOAK_SECONDS,
    soak_seconds: layout::SOAK_SECONDS,
    forgives_resets: true,
};
