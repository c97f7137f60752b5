//! The XOR of each root of one source, in a dense ring by sequence.
//!
//! Roots that stay incomplete while the ring moves on are kept apart as stragglers. Behind the
//! ring, what is not a straggler is complete or given up: that is the tombstone which keeps a late
//! ack from beginning a root again. A root whose very first ack comes after the ring has left it
//! counts as late too; its source replays it.

use super::acks::Reach;
use std::collections::BTreeMap;

/// How many consecutive roots the ring covers when it starts, and at most.
const SLOTS_MIN: u64 = 1 << 10;
const SLOTS_MAX: u64 = 1 << 16;
/// How many roots may stay incomplete behind the ring. Giving one up costs a replay.
const STRAGGLERS_MAX: usize = 1 << 20;

/// The roots of one source in one epoch.
#[derive(Debug)]
pub(super) struct Ring {
    /// The first root that the ring covers.
    base: u64,
    /// The highest root that was ever acked.
    highest: u64,
    /// Slot `root % len` belongs to `root`; a power of two of them.
    slots: Vec<Slot>,
    stragglers: BTreeMap<u64, Slot>,
    /// How many roots have some of their acks.
    open: usize,
    /// How many stragglers were given up for want of room.
    evicted: u64,
}

/// What one ack did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RingAck {
    /// The tree is not complete yet.
    Open,
    /// This was the last ack, and the tree came so far.
    Complete(Reach),
    /// The root had been completed or given up before; nothing changed.
    Late,
}

/// Time in units of 64 ms: exact enough to tell what moves, and small.
pub(super) type Tick = u32;

/// Time in units of about a second, which goes round in 18 hours.
type CoarseTick = u16;

fn coarse(tick: Tick) -> CoarseTick {
    (tick >> 4) as CoarseTick
}

/// Sixteen bytes, four to a cache line.
#[derive(Clone, Copy, Debug)]
struct Slot {
    value: u64,
    /// When the last ack came.
    last: Tick,
    /// When its source last asked about it, or else when the first ack came.
    asked: CoarseTick,
    state: State,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No ack yet.
    Unseen,
    /// Some acks.
    Open,
    /// Complete or given up.
    Done,
}

const UNSEEN: Slot = Slot {
    value: 0,
    last: 0,
    asked: 0,
    state: State::Unseen,
    reach: Reach::Inside,
};

impl Slot {
    /// Adds an ack, and says whether it was the last.
    #[inline]
    fn add(&mut self, value: u64, reach: Reach, now: Tick) -> bool {
        self.value ^= value;
        self.reach = self.reach.max(reach);
        self.last = now;
        self.value == 0
    }

    /// Whether there was neither an ack nor a question since then.
    fn is_silent_since(&self, limit: Tick) -> bool {
        let since_then = self.asked.wrapping_sub(coarse(limit)).cast_signed();
        self.last < limit && since_then <= 0
    }
}

impl Ring {
    pub(super) fn new() -> Self {
        Ring {
            base: 1,
            highest: 0,
            slots: vec![UNSEEN; SLOTS_MIN as usize],
            stragglers: BTreeMap::new(),
            open: 0,
            evicted: 0,
        }
    }

    /// Adds an ack to the XOR of its root.
    #[inline]
    pub(super) fn ack(&mut self, root: u64, value: u64, reach: Reach, now: Tick) -> RingAck {
        if root < self.base {
            return self.ack_straggler(root, value, reach, now);
        }
        if root - self.base >= self.slots.len() as u64 {
            self.make_room(root);
        }
        self.highest = self.highest.max(root);
        let at = self.place(root);
        let slot = &mut self.slots[at];
        if slot.state == State::Done {
            return RingAck::Late;
        }
        let was_open = usize::from(slot.state == State::Open);
        if slot.add(value, reach, now) {
            slot.state = State::Done;
            let reach = slot.reach;
            self.open -= was_open;
            return RingAck::Complete(reach);
        }
        if was_open == 0 {
            slot.asked = coarse(now);
        }
        slot.state = State::Open;
        self.open += 1 - was_open;
        RingAck::Open
    }

    /// Its source asks when the last ack of a root came. Tells it while the root is open, and
    /// remembers that it is waited for.
    pub(super) fn asked(&mut self, root: u64, now: Tick) -> Option<Tick> {
        let slot = if root < self.base {
            self.stragglers.get_mut(&root)?
        } else {
            let at = self.place(root);
            let is_covered = root - self.base < self.slots.len() as u64;
            is_covered.then_some(&mut self.slots[at])?
        };
        if slot.state != State::Open {
            return None;
        }
        slot.asked = coarse(now);
        Some(slot.last)
    }

    /// Gives up what had neither an ack nor a question since `limit`, and says how many roots that
    /// were.
    pub(super) fn sweep(&mut self, limit: Tick) -> usize {
        let mut swept = 0;
        for slot in &mut self.slots {
            if slot.state == State::Open && slot.is_silent_since(limit) {
                slot.state = State::Done;
                swept += 1;
            }
        }
        let before = self.stragglers.len();
        self.stragglers
            .retain(|_, slot| !slot.is_silent_since(limit));
        swept += before - self.stragglers.len();
        self.open -= swept;
        swept
    }

    /// How many roots have some of their acks.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// How many stragglers were given up since the last time this was asked.
    pub(super) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    fn place(&self, root: u64) -> usize {
        (root & (self.slots.len() as u64 - 1)) as usize
    }

    fn ack_straggler(&mut self, root: u64, value: u64, reach: Reach, now: Tick) -> RingAck {
        let Some(slot) = self.stragglers.get_mut(&root) else {
            return RingAck::Late;
        };
        if !slot.add(value, reach, now) {
            return RingAck::Open;
        }
        let reach = slot.reach;
        self.stragglers.remove(&root);
        self.open -= 1;
        RingAck::Complete(reach)
    }

    /// Moves on and widens until `root` is covered.
    #[inline(never)]
    fn make_room(&mut self, root: u64) {
        while self.base <= self.highest && self.slots[self.place(self.base)].state == State::Done {
            self.leave_base();
        }
        let span = root - self.base;
        let wide = (span + 1).min(SLOTS_MAX).next_power_of_two();
        // One that is as wide as it gets moves on: copying it for every root would starve the peer.
        if wide > self.slots.len() as u64 && self.base <= self.highest {
            self.widen(wide);
        }
        // Beyond the highest root every slot is unseen, so that a leap costs one round at most.
        let base = (root - (self.slots.len() as u64 - 1).min(root)).max(self.base);
        while self.base < base && self.base <= self.highest {
            self.leave_base();
        }
        self.base = base;
        while self.stragglers.len() > STRAGGLERS_MAX {
            self.stragglers.pop_first();
            self.open -= 1;
            self.evicted += 1;
        }
    }

    fn leave_base(&mut self) {
        let at = self.place(self.base);
        let slot = std::mem::replace(&mut self.slots[at], UNSEEN);
        if slot.state == State::Open {
            self.stragglers.insert(self.base, slot);
        }
        self.base += 1;
    }

    fn widen(&mut self, slots: u64) {
        let narrow = std::mem::replace(&mut self.slots, vec![UNSEEN; slots as usize]);
        for root in self.base..=self.highest {
            let at = self.place(root);
            self.slots[at] = narrow[(root & (narrow.len() as u64 - 1)) as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_is_as_wide_as_it_gets_moves_on_and_is_not_copied() {
        // Every second root is another acker's and never seen here; the first of all stays open.
        let mut ring = Ring::new();
        let seen = |ring: &mut Ring, root| {
            ring.ack(root, 9, Reach::Inside, 0);
            ring.ack(root, 9, Reach::Inside, 0)
        };
        ring.ack(1, 5, Reach::Inside, 0);
        for root in (3..2 * SLOTS_MAX).step_by(2) {
            assert_eq!(seen(&mut ring, root), RingAck::Complete(Reach::Inside));
        }
        let place = ring.slots.as_ptr();
        for root in (2 * SLOTS_MAX + 1..4 * SLOTS_MAX).step_by(2) {
            assert_eq!(seen(&mut ring, root), RingAck::Complete(Reach::Inside));
            assert_eq!(ring.slots.as_ptr(), place, "copied at {root}");
        }
        assert_eq!(ring.slots.len() as u64, SLOTS_MAX);
    }

    #[test]
    fn a_root_left_behind_by_the_ring_still_completes() {
        let mut ring = Ring::new();
        assert_eq!(ring.ack(1, 5, Reach::Inside, 0), RingAck::Open);
        for root in 2..4 * SLOTS_MAX {
            assert_eq!(ring.ack(root, 9, Reach::Inside, 0), RingAck::Open);
            assert_eq!(
                ring.ack(root, 9, Reach::Inside, 0),
                RingAck::Complete(Reach::Inside)
            );
        }
        assert_eq!(ring.slots.len() as u64, SLOTS_MAX);
        assert_eq!((ring.stragglers.len(), ring.open()), (1, 1));
        assert_eq!(
            ring.ack(1, 5, Reach::Inside, 0),
            RingAck::Complete(Reach::Inside)
        );
        assert_eq!(ring.ack(1, 5, Reach::Inside, 0), RingAck::Late);
        assert_eq!(ring.ack(2, 5, Reach::Inside, 0), RingAck::Late);
        assert_eq!(ring.open(), 0);
    }

    #[test]
    fn of_roots_that_never_complete_the_oldest_are_given_up_and_counted() {
        const GIVEN_UP: u64 = 7;
        let mut ring = Ring::new();
        let all = STRAGGLERS_MAX as u64 + SLOTS_MAX + GIVEN_UP;
        for root in 1..=all {
            assert_eq!(ring.ack(root, 5, Reach::Inside, 0), RingAck::Open);
        }
        assert_eq!(ring.take_evicted(), GIVEN_UP);
        assert_eq!(ring.open() as u64, all - GIVEN_UP);
        assert_eq!(ring.ack(GIVEN_UP, 5, Reach::Inside, 0), RingAck::Late);
        let kept = ring.ack(GIVEN_UP + 1, 5, Reach::Inside, 0);
        assert_eq!(kept, RingAck::Complete(Reach::Inside));
    }

    #[test]
    fn a_ring_whose_roots_complete_stays_small() {
        let mut ring = Ring::new();
        for root in 1..10 * SLOTS_MAX {
            ring.ack(root, 9, Reach::Inside, 0);
            ring.ack(root, 9, Reach::Inside, 0);
        }
        assert_eq!(ring.slots.len() as u64, SLOTS_MIN);
        assert!(ring.stragglers.is_empty());
    }

    #[test]
    fn a_leap_to_any_root_is_cheap_and_harmless() {
        let mut ring = Ring::new();
        ring.ack(3, 1, Reach::Inside, 0);
        for root in [1 << 40, 1 << 62, u64::MAX] {
            assert_eq!(ring.ack(root, 7, Reach::Inside, 0), RingAck::Open);
        }
        assert_eq!(ring.ack(0, 7, Reach::Inside, 0), RingAck::Late);
        assert_eq!(
            ring.ack(u64::MAX, 7, Reach::Inside, 0),
            RingAck::Complete(Reach::Inside)
        );
        assert_eq!(
            ring.ack(1 << 40, 7, Reach::Inside, 0),
            RingAck::Complete(Reach::Inside)
        );
        assert_eq!(
            ring.ack(3, 1, Reach::Inside, 0),
            RingAck::Complete(Reach::Inside)
        );
        assert_eq!(ring.open(), 1);
    }

    #[test]
    fn what_was_swept_does_not_begin_again() {
        let mut ring = Ring::new();
        ring.ack(1, 5, Reach::Inside, 10);
        ring.ack(2, 5, Reach::Inside, 20);
        assert_eq!(ring.sweep(15), 1);
        assert_eq!(ring.ack(1, 5, Reach::Inside, 21), RingAck::Late);
        assert_eq!(
            ring.ack(2, 5, Reach::Inside, 21),
            RingAck::Complete(Reach::Inside)
        );
    }

    #[test]
    fn the_last_ack_of_an_open_root_is_known_wherever_it_is_kept() {
        let mut ring = Ring::new();
        ring.ack(1, 5, Reach::Inside, 10);
        ring.ack(1, 6, Reach::Inside, 30);
        assert_eq!(ring.asked(1, 40), Some(30));
        for root in 2..4 * SLOTS_MAX {
            ring.ack(root, 0, Reach::Inside, 40);
        }
        assert_eq!((ring.asked(1, 40), ring.stragglers.len()), (Some(30), 1));
        ring.ack(1, 7, Reach::Inside, 50);
        assert_eq!((ring.asked(1, 40), ring.asked(2, 40)), (Some(50), None));
        assert_eq!(ring.asked(u64::MAX, 40), None);
        assert_eq!(ring.sweep(50), 0);
        assert_eq!((ring.sweep(51), ring.asked(1, 40)), (1, None));
    }

    #[test]
    fn what_is_asked_about_is_not_swept_and_goes_when_nobody_asks_any_more() {
        let (second, mut ring) = (16, Ring::new());
        for root in [1, 2, 3] {
            ring.ack(root, 5, Reach::Inside, second);
        }
        ring.ack(3, 5, Reach::Inside, second);
        for now in (2..200_000).step_by(1_000) {
            assert_eq!(ring.asked(1, now * second), Some(second), "at {now}");
            let limit = (now - 1) * second + 1;
            assert_eq!(ring.sweep(limit), usize::from(now == 2), "at {now}");
        }
        assert_eq!((ring.asked(2, 9), ring.asked(3, 9)), (None, None));
        assert_eq!((ring.open(), ring.sweep(199_100 * second)), (1, 1));
    }

    #[test]
    fn a_tree_reached_an_output_when_any_of_its_acks_says_so() {
        let mut ring = Ring::new();
        for (root, reach) in [(1, Reach::Inside), (2, Reach::Written)] {
            ring.ack(root, 5, reach, 0);
            ring.ack(root, 6, Reach::Inside, 0);
            assert_eq!(
                ring.ack(root, 3, Reach::Inside, 0),
                RingAck::Complete(reach)
            );
        }
    }
}
