//! What every plugin must keep, as checks that the tests of a plugin call with one of its own.
//!
//! An input that is stopped anywhere and opened again at a position it gave reads exactly the
//! rest; killed anywhere and opened where it was saved last, it reads everything at least once. An
//! output has let go of everything when `write` returns, and one that is opened again goes on behind
//! it, or behind its seal. Slots divide what is read, and keep out of each other's way where they
//! write. Nothing is held without a bound, nothing goes on after the end, and no error stays in a
//! thread of the plugin's own.
//!
//! ```
//! use onyx::plugins::{Input, PluginError, Polled, Position, ReadSegments, Start};
//! use onyx::plugins::conformance::check_input;
//! use onyx::{Segment, Value};
//!
//! struct Countdown(i64);
//!
//! impl Input for Countdown {
//!     fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
//!         for _ in 0..max {
//!             if self.0 == 0 {
//!                 return Ok(Polled::Exhausted);
//!             }
//!             read.segments.push([("left", self.0)].into_iter().collect());
//!             self.0 -= 1;
//!         }
//!         Ok(Polled::More)
//!     }
//!
//!     fn position(&self) -> Position {
//!         [("left", self.0)].into_iter().collect()
//!     }
//! }
//!
//! let open = |start: Start| -> Result<Box<dyn Input>, PluginError> {
//!     let left = match start {
//!         Start::Fresh | Start::Resumed(None) => 10,
//!         Start::Resumed(Some(position)) => position.get("left").and_then(Value::as_int).unwrap(),
//!     };
//!     Ok(Box::new(Countdown(left)))
//! };
//! let read = check_input(open, 42).unwrap();
//! assert_eq!(read.segments.len(), 10);
//! ```

mod input;
mod output;
mod output_limits;
#[cfg(test)]
mod tests;

pub use input::{check_failing_input, check_input, check_input_bounds, check_input_slots};
pub use output::{check_output, check_output_slots};
pub use output_limits::{check_failing_output, check_output_bounds, check_output_stop};

use super::PluginError;
use crate::ids::IdSource;
use std::fmt;
use std::time::Duration;

/// An input that says "idle" so often in a row has none of the end that a check needs.
const IDLE_POLLS_MAX: usize = 1_000;

/// What a plugin does not keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl From<PluginError> for Violation {
    fn from(error: PluginError) -> Self {
        Violation(format!("the plugin failed: {error}"))
    }
}

/// Compares piece by piece, so that a violation names the first that differs.
fn same<T>(what: &str, unit: &str, found: &[T], expected: &[T]) -> Result<(), Violation>
where
    T: PartialEq + fmt::Debug,
{
    let pairs = found.len().max(expected.len());
    let Some(at) = (0..pairs).find(|at| found.get(*at) != expected.get(*at)) else {
        return Ok(());
    };
    let (found, expected) = (found.get(at), expected.get(at));
    Err(Violation(format!(
        "{what}: {unit} {at} is {found:?}, expected {expected:?}"
    )))
}

/// A draw from 0 to below a limit.
fn below(limit: usize, draws: &mut IdSource) -> usize {
    (draws.bits() % limit as u64) as usize
}

/// A plugin with a thread of its own does nothing until that thread comes to it.
fn wait_a_moment() {
    std::thread::park_timeout(Duration::from_millis(1));
}
