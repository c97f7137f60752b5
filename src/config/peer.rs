//! `[peer]`: the limits and waits of virtual peers.

use super::section::Section;
use super::value::count;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Virtual peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// What they can do that others cannot: tasks with required tags go where these are.
    pub tags: BTreeSet<String>,
    /// Log entries that wait to be written. Full means that the peer starts again as another.
    pub outbox_capacity_entries: NonZeroUsize,
    /// The longest wait before a join that failed is tried again.
    pub join_failure_back_off: Duration,
    /// The longest wait before the first restart; it doubles with each that follows.
    pub restart_back_off_min: Duration,
    /// Where that doubling ends.
    pub restart_back_off_max: Duration,
    /// Peers of this process that restart at the same time.
    pub restarts_at_once: NonZeroUsize,
    /// Steps that are kept for readers that are behind; one that is further behind jumps.
    pub step_ring_entries: NonZeroUsize,
    /// A task that hangs in user code, or that was asked to stop and has not, for this long is
    /// abandoned with its thread.
    pub stuck_after: Duration,
    /// The most abandoned tasks that have not returned from user code. At this number no further one is
    /// abandoned.
    pub abandoned_tasks_max: NonZeroUsize,
    /// How often a task that failed is started again on one node within the window. One more failure
    /// kills its job.
    pub task_restarts_max: NonZeroUsize,
    /// The window.
    pub task_restarts_window: Duration,
}

impl Default for PeerConfig {
    fn default() -> Self {
        PeerConfig {
            tags: BTreeSet::new(),
            outbox_capacity_entries: count(1000),
            join_failure_back_off: Duration::from_millis(500),
            restart_back_off_min: Duration::from_secs(2),
            restart_back_off_max: Duration::from_secs(60),
            restarts_at_once: count(4),
            step_ring_entries: count(4096),
            stuck_after: Duration::from_secs(120),
            abandoned_tasks_max: count(64),
            task_restarts_max: count(10),
            task_restarts_window: Duration::from_secs(600),
        }
    }
}

impl PeerConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = PeerConfig::default();
        let config = PeerConfig {
            tags: keys.get("tags", default.tags),
            outbox_capacity_entries: keys
                .get("outbox-capacity-entries", default.outbox_capacity_entries),
            join_failure_back_off: keys
                .get("join-failure-back-off-ms", default.join_failure_back_off),
            restart_back_off_min: keys.get("restart-back-off-min-ms", default.restart_back_off_min),
            restart_back_off_max: keys.get("restart-back-off-max-ms", default.restart_back_off_max),
            restarts_at_once: keys.get("restarts-at-once", default.restarts_at_once),
            step_ring_entries: keys.get("step-ring-entries", default.step_ring_entries),
            stuck_after: keys.get("stuck-after-ms", default.stuck_after),
            abandoned_tasks_max: keys.get("abandoned-tasks-max", default.abandoned_tasks_max),
            task_restarts_max: keys.get("task-restarts-max", default.task_restarts_max),
            task_restarts_window: keys.get("task-restarts-window-ms", default.task_restarts_window),
        };
        if config.restart_back_off_min > config.restart_back_off_max {
            let message = format!(
                "{} ms is longer than restart-back-off-max-ms, {}, up to which it doubles",
                config.restart_back_off_min.as_millis(),
                config.restart_back_off_max.as_millis()
            );
            keys.refuse("restart-back-off-min-ms", &message);
        }
        config
    }
}
