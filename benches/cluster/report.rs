//! How figures are told, and what several of a kind come to.

use std::time::Duration;

/// A figure beside the most that it should be.
pub(crate) fn figure(what: &str, found: f64, most: f64, unit: &str) {
    let verdict = if found <= most { "ok" } else { "missed" };
    println!("{what}: {found:.3} {unit} (target {most} {unit}): {verdict}");
}

/// The value below which this share of the durations is.
pub(crate) fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    durations.get(index).copied().unwrap_or_default()
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
