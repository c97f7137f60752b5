//! The ledger of one acking daemon: the XOR of every root it answers for.
//!
//! Loss and reordering only cost a replay. An ack that is applied twice could complete a root too
//! early, which would be loss of data; so each message is applied once. Callers keep three
//! promises: epochs of one peer grow, links keep the order of messages but for the few around a
//! reconnect, and a source has fewer roots in flight than the ring covers.

use super::acks::{AckGroup, AckMessage, Completions, Inquiry, Reach};
use super::ring::{Ring, RingAck, Tick};
use super::sequence_window::SequenceWindow;
use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Which trees are complete.
#[derive(Debug, Default)]
pub struct Ledger {
    sources: BTreeMap<PeerId, Source>,
    senders: BTreeMap<PeerId, Sender>,
    counters: LedgerCounters,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was new.
    Once,
    /// It had been applied before, or came so late that this cannot be excluded. Nothing changed.
    Refused,
}

/// What a ledger has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounters {
    /// Messages applied.
    pub messages: u64,
    /// Messages refused, as applied before or of an older epoch of their sender.
    pub refused: u64,
    /// Acks in the messages applied.
    pub acks: u64,
    /// Acks of those for roots that were complete or given up already.
    pub late: u64,
    /// Acks of those for an older epoch of their source, whose pending set is gone.
    pub stale: u64,
    /// Roots completed.
    pub completed: u64,
    /// Roots given up because they were incomplete for too long.
    pub swept: u64,
    /// Roots given up for want of room.
    pub evicted: u64,
    /// Roots given up because their source is gone.
    pub forgotten: u64,
}

#[derive(Debug)]
struct Source {
    epoch: u64,
    ring: Ring,
    last_ack: Millis,
}

#[derive(Debug)]
struct Sender {
    epoch: u64,
    window: SequenceWindow,
    last_message: Millis,
}

impl Ledger {
    /// Applies a message, unless it was applied before. Roots that became complete are appended to
    /// `completed`, to the entry of their source if there is one.
    pub fn apply(
        &mut self,
        message: &AckMessage,
        now: Millis,
        completed: &mut Vec<Completions>,
    ) -> Applied {
        if !self.first_sight(message, now) {
            self.counters.refused += 1;
            return Applied::Refused;
        }
        self.counters.messages += 1;
        for group in &message.groups {
            self.counters.acks += group.acks.len() as u64;
            self.apply_group(group, now, completed);
        }
        Applied::Once
    }

    /// Which of the roots that a source asks about move. One that is complete is said to stand
    /// still: its completion went out before this answer. What is asked about is waited for, and no
    /// sweep gives it up before it is as long ago.
    pub fn moving(&mut self, inquiry: &Inquiry, now: Millis) -> Vec<u64> {
        let kept = self.sources.get_mut(&inquiry.source);
        let Some(kept) = kept.filter(|it| it.epoch == inquiry.epoch) else {
            return Vec::new();
        };
        let limit = tick(Millis(now.0.saturating_sub(inquiry.quiet_ms.into())));
        let mut moves = |root: u64| {
            let last = kept.ring.asked(root, tick(now));
            last.is_some_and(|last| last >= limit)
        };
        let roots = inquiry.roots.iter().copied();
        roots.filter(|root| moves(*root)).collect()
    }

    /// Gives up roots whose last ack or question is older than this, and forgets sources without
    /// open roots that have been silent for as long. Must be longer than a source waits before it
    /// replays. Returns how many roots.
    pub fn sweep(&mut self, now: Millis, older_than: Duration) -> usize {
        let Some(limit) = now.0.checked_sub(Millis(0).plus(older_than).0).map(Millis) else {
            return 0;
        };
        let mut swept = 0;
        self.sources.retain(|_, source| {
            swept += source.ring.sweep(tick(limit));
            source.last_ack >= limit || source.ring.open() > 0
        });
        self.counters.swept += swept as u64;
        swept
    }

    /// Forgets sources that are gone and for which nothing came for `quiet`: nobody waits for their
    /// roots. Senders that are gone are remembered for `memory`, in case a message of theirs is on
    /// its way for the second time. Returns how many open roots went with the sources.
    pub fn forget_gone(
        &mut self,
        is_here: impl Fn(PeerId) -> bool,
        now: Millis,
        quiet: Duration,
        memory: Duration,
    ) -> usize {
        let mut forgotten = 0;
        self.sources.retain(|peer, source| {
            let stays = is_here(*peer) || now.since(source.last_ack) < quiet;
            if !stays {
                forgotten += source.ring.open();
            }
            stays
        });
        self.senders
            .retain(|peer, sender| is_here(*peer) || now.since(sender.last_message) < memory);
        self.counters.forgotten += forgotten as u64;
        forgotten
    }

    /// How many roots have some of their acks.
    pub fn open(&self) -> usize {
        self.sources.values().map(|source| source.ring.open()).sum()
    }

    /// What was seen so far.
    pub fn counters(&self) -> LedgerCounters {
        self.counters
    }

    fn first_sight(&mut self, message: &AckMessage, now: Millis) -> bool {
        let new = || Sender {
            epoch: message.epoch,
            window: SequenceWindow::new(),
            last_message: now,
        };
        let sender = self.senders.entry(message.sender).or_insert_with(new);
        if message.epoch < sender.epoch {
            return false;
        }
        if message.epoch > sender.epoch {
            *sender = new();
        }
        sender.last_message = now;
        sender.window.first_sight(message.sequence)
    }

    fn apply_group(&mut self, group: &AckGroup, now: Millis, completed: &mut Vec<Completions>) {
        let new = || Source {
            epoch: group.epoch,
            ring: Ring::new(),
            last_ack: now,
        };
        let source = self.sources.entry(group.source).or_insert_with(new);
        if group.epoch < source.epoch {
            self.counters.stale += group.acks.len() as u64;
            return;
        }
        if group.epoch > source.epoch {
            *source = new();
        }
        source.last_ack = now;
        let now = tick(now);
        let (mut written, mut filtered) = (Vec::new(), Vec::new());
        for ack in &group.acks {
            match source.ring.ack(ack.root, ack.value, group.reach, now) {
                RingAck::Open => {}
                RingAck::Complete(Reach::Written) => written.push(ack.root),
                RingAck::Complete(Reach::Inside) => filtered.push(ack.root),
                RingAck::Late => self.counters.late += 1,
            }
        }
        self.counters.evicted += source.ring.take_evicted();
        self.counters.completed += (written.len() + filtered.len()) as u64;
        add(completed, group, Reach::Written, written);
        add(completed, group, Reach::Inside, filtered);
    }
}

/// Adds roots of a group to what is complete.
fn add(completed: &mut Vec<Completions>, group: &AckGroup, reach: Reach, mut roots: Vec<u64>) {
    if roots.is_empty() {
        return;
    }
    let whose = (group.source, group.epoch, reach);
    let known = completed
        .iter_mut()
        .find(|known| (known.source, known.epoch, known.reach) == whose);
    match known {
        Some(known) => known.roots.append(&mut roots),
        None => completed.push(Completions {
            source: group.source,
            epoch: group.epoch,
            reach,
            roots,
        }),
    }
}

fn tick(time: Millis) -> Tick {
    (time.0 >> 6) as Tick
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::Ack;
    use crate::ids::IdSource;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SWEEP: Duration = Duration::from_secs(480);

    fn peer(seed: u64) -> PeerId {
        IdSource::from_seed(seed).peer()
    }

    fn message(sender: u64, sequence: u64, acks: &[(u64, u64)]) -> AckMessage {
        AckMessage {
            sender: peer(sender),
            epoch: 1,
            sequence,
            groups: vec![AckGroup {
                source: peer(100),
                epoch: 1,
                reach: Reach::Inside,
                acks: acks
                    .iter()
                    .map(|&(root, value)| Ack { root, value })
                    .collect(),
            }],
        }
    }

    fn roots(completed: &[Completions]) -> Vec<u64> {
        completed
            .iter()
            .flat_map(|some| some.roots.clone())
            .collect()
    }

    /// The acks of one random tree: each of its tasks draws values for its children and acks.
    fn tree(root: u64, fan_outs: &[usize], ids: &mut IdSource) -> Vec<(u64, u64)> {
        let mut acks = Vec::new();
        let mut unacked = vec![0_u64];
        for &fan_out in fan_outs {
            let Some(received) = unacked.pop() else { break };
            let children: Vec<u64> = (0..fan_out).map(|_| ids.bits()).collect();
            acks.push((
                root,
                children.iter().fold(received, |xor, child| xor ^ child),
            ));
            unacked.extend(children);
        }
        acks.extend(unacked.into_iter().map(|received| (root, received)));
        acks
    }

    /// All acks of some trees, each in a message of its own, in a random order.
    fn shuffled(trees: &[Vec<usize>], seed: u64) -> Vec<AckMessage> {
        let mut ids = IdSource::from_seed(seed);
        let mut acks: Vec<(u64, u64)> = Vec::new();
        for (index, fan_outs) in trees.iter().enumerate() {
            acks.extend(tree(index as u64 + 1, fan_outs, &mut ids));
        }
        for at in (1..acks.len()).rev() {
            acks.swap(at, (ids.bits() % (at as u64 + 1)) as usize);
        }
        let sequenced = acks.iter().zip(1..);
        sequenced
            .map(|(ack, sequence)| message(7, sequence, &[*ack]))
            .collect()
    }

    fn any_trees() -> impl Strategy<Value = Vec<Vec<usize>>> {
        vec(vec(0..4_usize, 1..8), 1..20)
    }

    fn root_of(message: &AckMessage) -> u64 {
        message.groups[0].acks[0].root
    }

    proptest! {
        #[test]
        fn each_root_completes_once_and_only_with_its_last_ack(
            trees in any_trees(),
            seed: u64,
            repeated in vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let messages = shuffled(&trees, seed);
            let mut ledger = Ledger::default();
            for (at, message) in messages.iter().enumerate() {
                let mut completed = Vec::new();
                prop_assert_eq!(ledger.apply(message, Millis(0), &mut completed), Applied::Once);
                let later = &messages[at + 1..];
                let is_last = later.iter().all(|later| root_of(later) != root_of(message));
                let expected = if is_last { vec![root_of(message)] } else { vec![] };
                prop_assert_eq!(roots(&completed), expected);
                for repeated in &repeated {
                    let again = &messages[repeated.index(at + 1)];
                    let mut completed = Vec::new();
                    let refused = ledger.apply(again, Millis(0), &mut completed);
                    prop_assert_eq!((refused, completed), (Applied::Refused, vec![]));
                }
            }
            prop_assert_eq!(ledger.open(), 0);
            prop_assert_eq!(ledger.counters().completed, trees.len() as u64);
        }

        #[test]
        fn a_root_that_lost_an_ack_never_completes(
            trees in any_trees(),
            seed: u64,
            lost in any::<prop::sample::Index>(),
        ) {
            let mut messages = shuffled(&trees, seed);
            let lost = messages.remove(lost.index(messages.len()));
            let mut ledger = Ledger::default();
            let mut completed = Vec::new();
            for message in &messages {
                ledger.apply(message, Millis(0), &mut completed);
            }
            prop_assert!(!roots(&completed).contains(&root_of(&lost)));
            prop_assert_eq!(roots(&completed).len(), trees.len() - 1);
        }
    }

    #[test]
    fn a_source_without_children_completes_at_once() {
        let mut completed = Vec::new();
        Ledger::default().apply(&message(7, 1, &[(1, 0)]), Millis(0), &mut completed);
        assert_eq!(roots(&completed), [1]);
    }

    #[test]
    fn late_acks_neither_recreate_nor_complete() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        ledger.apply(&message(7, 1, &[(1, 5)]), Millis(0), &mut completed);
        ledger.apply(
            &message(8, 1, &[(1, 5), (1, 5), (1, 0)]),
            Millis(0),
            &mut completed,
        );
        assert_eq!(roots(&completed), [1]);
        assert_eq!((ledger.counters().late, ledger.open()), (2, 0));
    }

    #[test]
    fn an_older_epoch_of_sender_or_source_changes_nothing() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        let mut newer = message(7, 1, &[(1, 5)]);
        newer.epoch = 2;
        newer.groups[0].epoch = 2;
        ledger.apply(&newer, Millis(0), &mut completed);
        let older = message(7, 2, &[(1, 5)]);
        assert_eq!(
            ledger.apply(&older, Millis(0), &mut completed),
            Applied::Refused
        );
        let older = message(8, 1, &[(1, 5)]);
        assert_eq!(
            ledger.apply(&older, Millis(0), &mut completed),
            Applied::Once
        );
        assert_eq!((ledger.counters().stale, completed.len()), (1, 0));
    }

    #[test]
    fn what_stands_still_for_too_long_is_swept_and_silent_sources_are_forgotten() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        ledger.apply(&message(7, 1, &[(1, 5)]), Millis(0), &mut completed);
        let later = Millis(0).plus(SWEEP / 2);
        ledger.apply(&message(7, 2, &[(2, 5)]), later, &mut completed);
        assert_eq!(ledger.sweep(later, SWEEP), 0);
        assert_eq!(ledger.sweep(later.plus(SWEEP * 3 / 4), SWEEP), 1);
        ledger.apply(&message(7, 3, &[(1, 5)]), later.plus(SWEEP), &mut completed);
        assert_eq!((completed.len(), ledger.counters().late), (0, 1));
        assert_eq!(ledger.sweep(later.plus(SWEEP * 3), SWEEP), 1);
        assert!(ledger.sources.is_empty());
    }

    #[test]
    fn a_root_that_moves_is_not_swept_however_old_it_is() {
        let mut ledger = Ledger::default();
        let mut now = Millis(0);
        for sequence in 1..10 {
            ledger.apply(
                &message(7, sequence, &[(1, 1 << sequence)]),
                now,
                &mut Vec::new(),
            );
            now = now.plus(SWEEP / 2);
            assert_eq!(ledger.sweep(now, SWEEP), 0);
        }
        assert_eq!(ledger.open(), 1);
    }

    #[test]
    fn a_source_is_told_which_of_its_roots_move() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        let early = message(7, 1, &[(1, 5), (2, 5), (3, 0)]);
        ledger.apply(&early, Millis(0), &mut completed);
        ledger.apply(&message(7, 2, &[(2, 6)]), Millis(5_000), &mut completed);
        let ask = |epoch| Inquiry {
            source: peer(100),
            epoch,
            number: 1,
            quiet_ms: 2_000,
            roots: vec![1, 2, 3, 4],
        };
        assert_eq!(ledger.moving(&ask(1), Millis(6_000)), [2]);
        assert!(ledger.moving(&ask(2), Millis(6_000)).is_empty());
    }

    #[test]
    fn of_a_peer_that_is_gone_nothing_is_kept_for_long() {
        let mut ledger = Ledger::default();
        ledger.apply(&message(7, 1, &[(1, 5)]), Millis(0), &mut Vec::new());
        let (quiet, nobody) = (SWEEP / 32, |_| false);
        let now = Millis(0).plus(quiet);
        assert_eq!(ledger.forget_gone(|_| true, now, quiet, SWEEP), 0);
        assert_eq!(ledger.forget_gone(nobody, Millis(1), quiet, SWEEP), 0);
        assert_eq!(ledger.forget_gone(nobody, now, quiet, SWEEP), 1);
        assert!(ledger.sources.is_empty() && !ledger.senders.is_empty());
        ledger.forget_gone(nobody, Millis(0).plus(SWEEP), quiet, SWEEP);
        assert!(ledger.senders.is_empty());
        assert_eq!(ledger.counters().forgotten, 1);
    }
}
