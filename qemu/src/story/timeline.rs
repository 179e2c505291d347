//! The timeline that the demo prints: who observed what.

use std::time::Duration;

/// A step begins.
pub(super) fn step(number: u8, title: &str) {
    println!("\n{number}  {title}");
}

/// What `who` (tools, device, journal, flash, server, power) observed.
pub(super) fn observed(who: &str, what: impl AsRef<str>) {
    for (place, line) in what.as_ref().lines().enumerate() {
        println!("   {:<8} {line}", if place == 0 { who } else { "" });
    }
}

/// The story is over.
pub(super) fn end(took: Duration, building: Duration) {
    println!(
        "\nEvery step came true: {:.0} s, of which {:.0} s building firmware.",
        took.as_secs_f64(),
        building.as_secs_f64()
    );
}
