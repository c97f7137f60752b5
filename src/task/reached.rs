//! How far a slot has come: where its input is, and what became of what was read.

use super::context::InputSide;
use super::counters::Account;
use super::rejections::InputTotals;
use super::replays::SlotReplays;
use crate::plugins::Position;
use serde::{Deserialize, Serialize};

/// How far a slot has come. A position and what became of everything before it are one value, so that
/// whoever goes on there also counts on from there: nothing is missing, and nothing is counted twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reached {
    /// Where an input is: everything before it is complete. None when nothing is, or for an output.
    pub(super) position: Option<Position>,
    /// What became of everything before the position.
    pub(super) before: Account,
    /// The same, and what was read behind the position.
    pub(super) so_far: Account,
    /// The replays of the slot by all its holders.
    #[serde(default)]
    pub(super) replays: SlotReplays,
    /// What its holders have rejected.
    #[serde(default)]
    pub(super) rejected: u64,
    /// Whether everything was read and is complete.
    #[serde(default)]
    pub(super) is_at_end: bool,
    /// Whether the holder of the slot has stopped and saved this last.
    #[serde(default)]
    pub(super) is_final: bool,
}

impl Reached {
    /// How far an input is that began there.
    pub(super) fn of(input: &InputSide) -> Reached {
        let (pending, began) = (&input.pending, &input.began);
        let (settled, counters) = (pending.settled(), pending.counters());
        let before = Account::of(settled.read, settled.ends, 0);
        let so_far = Account::of(counters.read, counters.ends, pending.in_flight() as u64);
        let position = pending.completed_position().or(began.position.as_ref());
        Reached {
            position: position.cloned(),
            before: began.before.plus(&before),
            so_far: began.before.plus(&so_far),
            replays: input.replays.clone(),
            rejected: input.rejections.total(),
            is_at_end: input.drained,
            is_final: false,
        }
    }

    /// What was read of the slot, and what was rejected.
    pub(super) fn totals(&self) -> InputTotals {
        InputTotals {
            read: self.so_far.r#in,
            rejected: self.rejected,
        }
    }

    /// Where whoever follows goes on: what was read behind the position is read again.
    pub(super) fn resumed(self) -> Reached {
        Reached {
            so_far: self.before,
            is_final: false,
            ..self
        }
    }

    /// What is left when the input has stopped.
    pub fn left_behind(self) -> Reached {
        Reached {
            so_far: self.so_far.left_behind(),
            is_final: true,
            ..self
        }
    }

    /// Whether everything was read and is complete.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Where an input is.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }
}
