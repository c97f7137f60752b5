//! Our own supervision: death notices, back-off, budgets. `actix::Supervisor` does not restart
//! after a panic, reuses the same value after a stop and has no budget.

mod backoff;
mod budget;
mod obituary;
mod panic_cause;

pub use backoff::Backoff;
pub use budget::{RestartBudget, Verdict};
pub use obituary::{Census, Obituary};
pub use panic_cause::remember_panics;

/// Whether actors run down with their runtime. A context that is dropped before its actor started
/// starts it all the same, where nothing can be awaited any more.
pub(super) fn runtime_has_ended() -> bool {
    tokio::runtime::Handle::try_current().is_err()
}
