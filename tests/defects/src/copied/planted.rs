//! The defects that were planted into this copy of the sources, and which of them is awake.
//!
//! Each is asked for by its place in [`NAMES`]: one load and one comparison.

extern crate std;
use std::cell::Cell;
use std::sync::LazyLock;

/// Their names.
pub const NAMES: &[&str] = &[];

/// Whether the defect at this place is awake.
///
/// # Panics
/// If the environment names one that there is not.
#[inline]
#[must_use]
pub fn is(place: usize) -> bool {
    *AWAKE == place
}

static AWAKE: LazyLock<usize> = LazyLock::new(|| {
    let wanted = std::env::var("BISTABLE_DEFECT").unwrap_or_default();
    if wanted.is_empty() {
        return usize::MAX;
    }
    let place = NAMES.iter().position(|name| *name == wanted);
    place.unwrap_or_else(|| panic!("there is no defect {wanted:?}; there are {NAMES:?}"))
});

std::thread_local! {
    static NOTED: Cell<bool> = const { Cell::new(false) };
}

/// Notes for a function further down what only its caller knows.
pub fn note(it: bool) {
    NOTED.set(it);
}

/// What was noted last.
#[must_use]
pub fn was_noted() -> bool {
    NOTED.get()
}
