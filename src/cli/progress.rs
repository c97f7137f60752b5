//! How far a job is, in a line.

use crate::clock::Millis;
use crate::task::counters::TaskFigures;
use std::fmt;

/// How far a job is.
#[derive(Debug)]
pub(super) struct ProgressLine<'a> {
    pub(super) name: &'a str,
    pub(super) figures: TaskFigures,
    /// Segments completed in a second, over the whole run.
    pub(super) rate: u64,
}

/// Segments completed in a second.
pub(super) fn rate(completed: u64, time: Millis) -> u64 {
    completed
        .saturating_mul(1_000)
        .checked_div(time.0)
        .unwrap_or(completed)
}

impl fmt::Display for ProgressLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskFigures {
            read,
            in_flight,
            completed,
            retried,
            ..
        } = self.figures;
        write!(
            f,
            "{}: {} read, {} in flight, {} completed, {} retried, {}/s",
            self.name,
            grouped(read),
            grouped(in_flight),
            grouped(completed),
            grouped(retried),
            grouped(self.rate),
        )
    }
}

/// A number as people read it: `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_grouped() {
        for (n, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(n), shown);
        }
    }

    #[test]
    fn a_rate_needs_some_time() {
        assert_eq!(rate(500, Millis(250)), 2_000);
        assert_eq!(rate(500, Millis(0)), 500);
    }
}
