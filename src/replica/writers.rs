//! Which entries of a writer were applied, so that one that was written twice counts once.

use super::{Membership, Writers};
use crate::ids::{EntrySource, LogPosition, PeerId, WriterId};

impl Writers {
    /// At least so many writers that are not members are remembered: the ones that wrote last. Up
    /// to twice as many are, so that the silent ones need not be looked for at every entry.
    pub const OTHERS_REMEMBERED: usize = 1_024;

    /// Whether an entry with this source was applied before.
    pub fn has_seen(&self, source: &EntrySource) -> bool {
        let last = self.last.get(&source.writer);
        last.is_some_and(|(sequence, _)| source.sequence <= *sequence)
    }

    /// Remembers an entry, and forgets the writers that have been silent for longest when there
    /// are too many that are not members.
    pub(crate) fn remember(
        &mut self,
        source: &EntrySource,
        position: LogPosition,
        membership: &Membership,
    ) {
        self.last.insert(source.writer, (source.sequence, position));
        if self.last.len() <= membership.members.len() + 2 * Self::OTHERS_REMEMBERED {
            return;
        }
        let is_member = |writer: &WriterId| membership.members.contains_key(&PeerId(writer.0));
        let rank =
            |writer: &WriterId, (_, at): &(u64, LogPosition)| (!is_member(writer)).then_some(*at);
        self.last.keep_highest(Self::OTHERS_REMEMBERED, rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::sample::{joined, peer};
    use uuid::Uuid;

    fn source(writer: WriterId, sequence: u64) -> EntrySource {
        EntrySource { writer, sequence }
    }

    #[test]
    fn members_are_kept_and_the_longest_silent_others_forgotten() {
        let mut writers = Writers::default();
        let membership = joined("a");
        writers.remember(&source(peer("a").into(), 1), LogPosition(0), &membership);
        let limit = 2 * Writers::OTHERS_REMEMBERED as u64;
        for number in 1..=limit + 1 {
            let client = WriterId(Uuid::from_u128(u128::from(number) << 64));
            writers.remember(&source(client, 1), LogPosition(number), &membership);
        }
        assert!(writers.has_seen(&source(peer("a").into(), 1)));
        let first_kept = u128::from(limit) / 2 + 2;
        let client = |number: u128| WriterId(Uuid::from_u128(number << 64));
        assert!(!writers.has_seen(&source(client(first_kept - 1), 1)));
        assert!(writers.has_seen(&source(client(first_kept), 1)));
        assert_eq!(writers.last.len(), Writers::OTHERS_REMEMBERED + 1);
    }

    #[test]
    fn a_later_sequence_was_not_seen() {
        let mut writers = Writers::default();
        let writer = WriterId(Uuid::from_u128(7));
        writers.remember(&source(writer, 3), LogPosition(0), &Membership::default());
        assert!(writers.has_seen(&source(writer, 2)));
        assert!(writers.has_seen(&source(writer, 3)));
        assert!(!writers.has_seen(&source(writer, 4)));
    }
}
