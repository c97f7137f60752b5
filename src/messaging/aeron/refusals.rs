//! What arrived and was not taken, counted by reason.

use super::window::Misplaced;
use crate::messaging::FrameError;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why something that arrived was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Cut off, altered on its way, or not a frame of ours.
    Damaged,
    /// Of another version of frames.
    OtherVersion,
    /// From another cluster or tenancy.
    Foreign,
    /// From an earlier life of its sender.
    Stale,
    /// For a link that there is not, or not any more.
    NoLink,
    /// For an inbox that has closed.
    Closed,
    /// A message that has been here.
    Repeated,
    /// A message before which others are missing: its link ends.
    Gap,
    /// A message that had not been granted: its link ends.
    BeyondLimit,
    /// From a site that cannot be read.
    NoSite,
}

const REFUSALS: [(Refusal, &str); 10] = [
    (Refusal::Damaged, "damaged"),
    (Refusal::OtherVersion, "other-version"),
    (Refusal::Foreign, "foreign"),
    (Refusal::Stale, "stale"),
    (Refusal::NoLink, "no-link"),
    (Refusal::Closed, "closed"),
    (Refusal::Repeated, "repeated"),
    (Refusal::Gap, "gap"),
    (Refusal::BeyondLimit, "beyond-limit"),
    (Refusal::NoSite, "no-site"),
];

/// How often each happened.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; REFUSALS.len()]);

impl Refusals {
    /// How often this happened.
    pub(super) fn get(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize].load(Ordering::Relaxed)
    }

    /// Each reason by name, and how often it happened.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REFUSALS
            .iter()
            .map(|&(refusal, name)| (name, self.get(refusal)))
    }

    pub(super) fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl From<&FrameError> for Refusal {
    fn from(error: &FrameError) -> Self {
        match error {
            FrameError::Version(_) => Refusal::OtherVersion,
            FrameError::Cluster { .. } => Refusal::Foreign,
            _ => Refusal::Damaged,
        }
    }
}

impl From<Misplaced> for Refusal {
    fn from(misplaced: Misplaced) -> Self {
        match misplaced {
            Misplaced::Again => Refusal::Repeated,
            Misplaced::Gap => Refusal::Gap,
            Misplaced::BeyondLimit => Refusal::BeyondLimit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        for (at, (refusal, _)) in REFUSALS.iter().enumerate() {
            assert_eq!(*refusal as usize, at);
        }
        let refusals = Refusals::default();
        refusals.count(Refusal::Gap);
        let counted: Vec<_> = refusals.all().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("gap", 1)]);
    }
}
