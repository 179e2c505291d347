//! The demo's health checks.

use bistable_updater::health::{Check, Policy};

use crate::layout;

/// How many checks there are. Their names are in the product's layout.
pub(crate) const COUNT: usize = layout::CHECKS.len();

/// The flash is what it should be.
pub(crate) const SELF_TEST: &str = layout::CHECKS[0];

/// Deadlines are generous: the emulator's clock is that of the host, which may be busy with other things.
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
