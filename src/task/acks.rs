//! The acks of a task on their way out. While batches are small, those of several go together:
//! otherwise each segment would wake its acker once for every task that it passes.

use crate::acking::{AckMessage, AckerAcks};
use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Acks that were not sent yet, and how many messages of them have been.
#[derive(Debug, Default)]
pub(super) struct GatheredAcks {
    waiting: Vec<AckerAcks>,
    acks: usize,
    last_sent: Option<Millis>,
    /// The count of messages by acker: an acker applies each once.
    sequences: BTreeMap<PeerId, u64>,
}

/// So many acks wait for no others: about a batch.
const ACKS_MAX: usize = 256;

/// Fewer wait until this long after the last. Sources count time-outs in seconds.
const INTERVAL: Duration = Duration::from_millis(2);

impl GatheredAcks {
    /// Puts the acks of a batch to the others.
    pub(super) fn add(&mut self, fused: Vec<AckerAcks>) {
        for acks in fused {
            self.acks += acks.len();
            let known = self.waiting.iter_mut();
            match known.into_iter().find(|known| known.acker == acks.acker) {
                Some(known) => known.append(acks),
                None => self.waiting.push(acks),
            }
        }
    }

    /// When they are to be sent at the latest; none when there are none.
    pub(super) fn due(&self) -> Option<Millis> {
        if self.acks == 0 {
            return None;
        }
        let last = self.last_sent.filter(|_| self.acks < ACKS_MAX);
        Some(last.map_or(Millis(0), |last| last.plus(INTERVAL)))
    }

    /// Takes them out as messages of a sender in its epoch with at most so many bytes, each for its
    /// acker.
    pub(super) fn take(
        &mut self,
        (sender, epoch): (PeerId, u64),
        bytes_max: usize,
        now: Millis,
    ) -> Vec<(PeerId, AckMessage)> {
        if self.acks == 0 {
            return Vec::new();
        }
        (self.acks, self.last_sent) = (0, Some(now));
        let mut messages = Vec::new();
        for mut acks in self.waiting.drain(..) {
            let sequence = self.sequences.entry(acks.acker).or_default();
            for groups in acks.take_parts(bytes_max) {
                *sequence += 1;
                let message = AckMessage {
                    sender,
                    epoch,
                    sequence: *sequence,
                    groups,
                };
                messages.push((acks.acker, message));
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::Fuse;
    use crate::codec::{BatchMeta, Origin};
    use crate::ids::IdSource;

    fn batch(first: u64, len: usize) -> Vec<AckerAcks> {
        let mut ids = IdSource::from_seed(1);
        let origin = Origin {
            source: ids.peer(),
            acker: ids.peer(),
            epoch: 1,
            traced: 0,
        };
        Fuse::of(&BatchMeta::of_roots(origin, first, len)).finish()
    }

    fn take(acks: &mut GatheredAcks, at: u64) -> Vec<(u64, usize)> {
        let sender = IdSource::from_seed(2).peer();
        let messages = acks.take((sender, 7), usize::MAX, Millis(at));
        let told = messages.into_iter().map(|(_, message)| {
            let acks = message.groups.iter().map(|group| group.acks.len()).sum();
            (message.sequence, acks)
        });
        told.collect()
    }

    #[test]
    fn the_first_go_at_once_and_the_next_together_a_moment_later() {
        let mut acks = GatheredAcks::default();
        assert_eq!(acks.due(), None);
        acks.add(batch(1, 1));
        assert!(acks.due() <= Some(Millis(0)));
        assert_eq!(take(&mut acks, 5), [(1, 1)]);
        assert_eq!((acks.due(), take(&mut acks, 5)), (None, Vec::new()));
        acks.add(batch(2, 1));
        acks.add(batch(3, 1));
        assert_eq!(acks.due(), Some(Millis(7)));
        assert_eq!(take(&mut acks, 7), [(2, 2)]);
    }

    #[test]
    fn a_whole_batch_waits_for_nothing() {
        let mut acks = GatheredAcks::default();
        acks.add(batch(1, 1));
        take(&mut acks, 5);
        acks.add(batch(2, ACKS_MAX - 1));
        assert_eq!(acks.due(), Some(Millis(7)));
        acks.add(batch(900, 1));
        assert!(acks.due() <= Some(Millis(5)));
        assert_eq!(take(&mut acks, 5), [(2, ACKS_MAX)]);
    }
}
