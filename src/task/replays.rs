//! The replays of a slot of an input: why, from where, and how many rows an output may have twice.
//! Kept with the progress of the slot, so that they outlive its holder.

use super::context::{Identity, InputSide};
use crate::clock::{Clock, utc_text};
use crate::ids::{JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::nearest::counted;
use crate::plugins::Position;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// The replays of one slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlotReplays {
    /// The latest ones, at most [`SlotReplays::RECENT_MAX`], oldest first.
    pub recent: VecDeque<SlotReplay>,
    /// How many older ones were dropped.
    #[serde(default)]
    pub dropped: u64,
}

/// One replay of a slot of an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlotReplay {
    /// When it began, in milliseconds since 1970 by the clock of its node.
    pub at_ms: u64,
    /// Why.
    #[serde(flatten)]
    pub cause: ReplayCause,
    /// Everything before this position was complete. None if nothing was.
    pub from: Option<Position>,
    /// When that position was stored, in milliseconds since 1970. None if the input itself replays.
    #[serde(default)]
    pub saved_at_ms: Option<u64>,
    /// How many rows may have been written before and are written again. Exact if the input itself
    /// replays. After a takeover: the rows in flight at the last save, and as many as were read between
    /// its last two saves, because its former holder read on until it died.
    pub may_be_twice: u64,
}

/// Why a slot replays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "cause",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum ReplayCause {
    /// A peer of the job was lost, by this entry; it may have held segments of any pending root.
    PeerLost {
        /// The entry.
        entry: LogPosition,
    },
    /// The acker of some pending roots cannot be reached.
    AckerUnreachable {
        /// The acker.
        acker: PeerId,
    },
    /// The former holder of the slot died.
    TakenOver {
        /// The former holder.
        former: PeerId,
    },
    /// The former holder stopped before everything that it had read was complete.
    HandedOver {
        /// The former holder.
        former: PeerId,
    },
    /// The number of slots changed, so that every slot reads its new part from the beginning.
    Divided {
        /// The number of slots before.
        slots: u32,
    },
}

impl SlotReplays {
    /// How many replays of a slot are remembered.
    pub const RECENT_MAX: usize = 8;

    /// Adds a replay.
    pub(super) fn record(&mut self, replay: SlotReplay) {
        self.recent.push_back(replay);
        while self.recent.len() > Self::RECENT_MAX {
            self.recent.pop_front();
            self.dropped += 1;
        }
    }
}

impl InputSide {
    /// Records, counts and logs that pending roots of this input are replayed. Does nothing if there
    /// are none.
    pub(super) fn record_replay(&mut self, identity: &Identity, cause: ReplayCause, roots: usize) {
        if roots == 0 {
            return;
        }
        let position = self.pending.completed_position();
        let replay = SlotReplay {
            at_ms: Clock::unix_ms(),
            cause,
            from: position.or(self.began.position.as_ref()).cloned(),
            saved_at_ms: None,
            may_be_twice: roots as u64,
        };
        replay.log(identity.job, &identity.task.name, identity.slot);
        self.replays.record(replay);
    }
}

impl SlotReplay {
    /// Logs the beginning of this replay.
    pub(super) fn log(&self, job: JobId, task: &TaskName, slot: SlotId) {
        let rows = self.may_be_twice;
        tracing::warn!(%job, %task, slot = slot.0, rows, cause = %self, "input replays");
    }
}

impl fmt::Display for SlotReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Some(position) => write!(f, "replays from {}", shown(position))?,
            None => f.write_str("replays from the beginning")?,
        }
        if let Some(saved_at_ms) = self.saved_at_ms {
            write!(f, ", saved at {}", utc_text(saved_at_ms))?;
        }
        let rows = counted(self.may_be_twice, "row", "rows");
        let about = match self.cause {
            ReplayCause::TakenOver { .. } => "about ",
            _ => "",
        };
        write!(f, "; {about}{rows} may be there twice: ")?;
        match &self.cause {
            ReplayCause::PeerLost { entry } => write!(f, "entry {entry} removed a peer of the job"),
            ReplayCause::AckerUnreachable { acker } => write!(f, "acker {acker} cannot be reached"),
            ReplayCause::TakenOver { former } => write!(f, "its former holder, {former}, died"),
            ReplayCause::HandedOver { former } => {
                write!(
                    f,
                    "its former holder, {former}, stopped before they were complete"
                )
            }
            ReplayCause::Divided { slots } => write!(f, "the input had {slots} slots before"),
        }
    }
}

/// A position as `byte 1,024, row 17`, in the words of its plugin.
fn shown(position: &Position) -> String {
    let parts = position.iter().map(|(key, value)| {
        let value = serde_json::to_string(value).unwrap_or_default();
        format!("{key} {value}")
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    fn replay(number: u64) -> SlotReplay {
        SlotReplay {
            at_ms: number,
            cause: ReplayCause::PeerLost {
                entry: LogPosition(number),
            },
            from: Some([("row", 17)].into_iter().collect()),
            saved_at_ms: None,
            may_be_twice: 5,
        }
    }

    #[test]
    fn a_replay_says_from_where_and_how_many_rows_may_be_twice() {
        let expected =
            "replays from row 17; 5 rows may be there twice: entry 9 removed a peer of the job";
        assert_eq!(replay(9).to_string(), expected);
        let from_the_beginning = SlotReplay {
            from: None,
            may_be_twice: 1,
            ..replay(9)
        };
        let shown = from_the_beginning.to_string();
        assert!(
            shown.starts_with("replays from the beginning; 1 row may be"),
            "{shown}"
        );
    }

    #[test]
    fn a_takeover_says_when_the_position_was_saved_and_gives_an_estimate() {
        let former = IdSource::from_seed(1).peer();
        let taken_over = SlotReplay {
            cause: ReplayCause::TakenOver { former },
            saved_at_ms: Some(1_000),
            ..replay(9)
        };
        let expected = format!(
            "replays from row 17, saved at 1970-01-01 00:00:01 UTC; about 5 rows may be there twice: \
             its former holder, {former}, died"
        );
        assert_eq!(taken_over.to_string(), expected);
    }

    #[test]
    fn old_replays_are_dropped_and_counted() {
        let mut replays = SlotReplays::default();
        (0..10).for_each(|number| replays.record(replay(number)));
        assert_eq!(replays.recent.len(), SlotReplays::RECENT_MAX);
        assert_eq!((replays.dropped, replays.recent[0].at_ms), (2, 2));
    }
}
