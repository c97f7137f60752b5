//! What happened to a job: changes of its peers, as the log says, and replays of its inputs, as their
//! slots have saved them.

use crate::clock::utc_text;
use crate::ids::{JobId, SlotId, TaskName};
use crate::replica::{JobEvent, Replica};
use crate::task::{SlotReplay, SlotReplays};
use serde::Serialize;
use std::fmt;

/// One event of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EventReport {
    /// What happened, in a sentence.
    pub text: String,
    /// The same as values.
    #[serde(flatten)]
    pub detail: EventDetail,
}

/// An event as values. Each has `at-ms`, milliseconds since 1970, and `event`, its kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventDetail {
    /// The peers of the job changed.
    Peers(JobEvent),
    /// An input replays.
    Replay(ReplayEvent),
}

/// A replay of a slot of an input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename = "input-replays", rename_all = "kebab-case")]
pub struct ReplayEvent {
    /// The input.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// Why, from where, and how many rows may be there twice.
    #[serde(flatten)]
    pub replay: SlotReplay,
}

impl EventReport {
    /// The events of a job, oldest first.
    pub(super) fn of_job(
        replica: &Replica,
        job: JobId,
        replays: Vec<(TaskName, SlotId, SlotReplays)>,
    ) -> Vec<EventReport> {
        let peers = replica.events.of(job).map(|event| EventReport {
            text: event.change.to_string(),
            detail: EventDetail::Peers(event.clone()),
        });
        let replays = replays.into_iter().flat_map(|(task, slot, replays)| {
            let of_slot = replays.recent.into_iter();
            of_slot.map(move |replay| EventReport {
                text: format!("input {task} {replay}"),
                detail: EventDetail::Replay(ReplayEvent {
                    task: task.clone(),
                    slot,
                    replay,
                }),
            })
        });
        let mut events: Vec<EventReport> = peers.chain(replays).collect();
        events.sort_by_key(EventReport::at_ms);
        events
    }

    /// When it happened, in milliseconds since 1970. None if the entry does not say.
    pub fn at_ms(&self) -> Option<u64> {
        match &self.detail {
            EventDetail::Peers(event) => event.at_ms,
            EventDetail::Replay(event) => Some(event.replay.at_ms),
        }
    }
}

impl fmt::Display for EventReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_ms() {
            Some(at_ms) => write!(f, "{} {}", utc_text(at_ms), self.text),
            None => f.write_str(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LogPosition;
    use crate::replica::{Events, JobEvents, PeerChange};
    use crate::task::ReplayCause;
    use serde_json::json;
    use std::sync::Arc;
    use uuid::Uuid;

    #[test]
    fn events_of_the_log_and_of_inputs_are_one_list_by_time() {
        let job = JobId(Uuid::from_u128(1));
        let suspended = JobEvent {
            entry: LogPosition(9),
            at_ms: Some(2_000),
            change: PeerChange::Suspended,
        };
        let of_job = JobEvents {
            recent: [suspended].into(),
            dropped: 0,
        };
        let events = Events {
            jobs: [(job, of_job)].into(),
            ..Events::default()
        };
        let replica = Replica {
            events: Arc::new(events),
            ..Replica::default()
        };
        let replay = |at_ms| SlotReplay {
            at_ms,
            cause: ReplayCause::PeerLost {
                entry: LogPosition(9),
            },
            from: None,
            saved_at_ms: None,
            may_be_twice: 3,
        };
        let replays = SlotReplays {
            recent: [replay(1_000), replay(3_000)].into(),
            dropped: 0,
        };
        let replays = vec![("read".into(), SlotId(0), replays)];
        let events = EventReport::of_job(&replica, job, replays);
        let at: Vec<_> = events.iter().map(EventReport::at_ms).collect();
        assert_eq!(at, [Some(1_000), Some(2_000), Some(3_000)]);
        assert_eq!(
            events[1].to_string(),
            "1970-01-01 00:00:02 UTC suspended: too few peers are left"
        );
        let shown = json!(events[0]);
        assert_eq!(shown["event"], "input-replays");
        assert_eq!(shown["task"], "read");
        assert_eq!(shown["cause"], "peer-lost");
        assert_eq!(shown["may-be-twice"], 3);
        assert_eq!(json!(events[1])["event"], "suspended");
    }
}
