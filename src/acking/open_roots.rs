//! The roots that were handed out together, and which of them are still open.

use crate::clock::Millis;
use crate::codec::Encoded;
use crate::ids::PeerId;
use std::ops::Range;

/// One read, or one replay: consecutive roots and their segments.
#[derive(Debug)]
pub(super) struct OpenRoots {
    first: u64,
    count: u64,
    /// Emptied when no root is open any more.
    segments: Encoded,
    /// How many they take, until then.
    pub(super) bytes: usize,
    bits: Vec<Bits>,
    open: usize,
    /// How its roots ended; not those that were played again.
    pub(super) ends: Ends,
    /// Where the segments come from.
    pub(super) reads: Reads,
    /// Who keeps their ledger.
    pub(super) acker: PeerId,
    /// When they were sent on their way.
    pub(super) sent_at: Millis,
}

/// How roots ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// An output wrote something of them.
    pub written: u64,
    /// Nothing was left of them to write.
    pub filtered: u64,
    /// They went to the dead letters.
    pub dead_lettered: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Written,
    Filtered,
    DeadLettered,
}

impl Ends {
    #[inline]
    pub(super) fn count(&mut self, end: End) {
        match end {
            End::Written => self.written += 1,
            End::Filtered => self.filtered += 1,
            End::DeadLettered => self.dead_lettered += 1,
        }
    }

    pub(super) fn add(&mut self, more: Ends) {
        self.written += more.written;
        self.filtered += more.filtered;
        self.dead_lettered += more.dead_lettered;
    }
}

/// From which reads the segments are.
#[derive(Debug)]
pub(super) enum Reads {
    /// All from this one, for the first time.
    First(u64),
    /// Each from one of its own, again.
    Again(Vec<Attempt>),
}

/// A segment that was read, and how often it has been sent on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) read: u64,
    pub(super) attempt: u32,
}

/// The state of 64 roots.
#[derive(Clone, Copy, Debug, Default)]
struct Bits {
    open: u64,
    /// Open, and to be replayed.
    waiting: u64,
}

impl OpenRoots {
    pub(super) fn new(
        first: u64,
        segments: Encoded,
        reads: Reads,
        acker: PeerId,
        sent_at: Millis,
    ) -> Self {
        let count = segments.len();
        let mut bits = vec![Bits::default(); count.div_ceil(64)];
        for (word, bits) in bits.iter_mut().enumerate() {
            let left = count - 64 * word;
            bits.open = if left < 64 { (1 << left) - 1 } else { u64::MAX };
        }
        OpenRoots {
            first,
            count: count as u64,
            bytes: segments.byte_len(),
            segments,
            bits,
            open: count,
            ends: Ends::default(),
            reads,
            acker,
            sent_at,
        }
    }

    pub(super) fn roots(&self) -> Range<u64> {
        self.first..self.first + self.count
    }

    pub(super) fn is_done(&self) -> bool {
        self.open == 0
    }

    pub(super) fn is_open(&self, root: u64) -> bool {
        self.place(root)
            .is_some_and(|(word, bit)| self.bits[word].open & bit != 0)
    }

    /// Whether a root is open and not to be replayed yet.
    pub(super) fn is_under_way(&self, root: u64) -> bool {
        self.place(root)
            .is_some_and(|(word, bit)| self.bits[word].open & !self.bits[word].waiting & bit != 0)
    }

    /// Whether a root is to be replayed.
    pub(super) fn is_waiting(&self, root: u64) -> bool {
        self.place(root)
            .is_some_and(|(word, bit)| self.bits[word].waiting & bit != 0)
    }

    /// The segment of an open root, and its attempt so far. Panics, as a slice does, when it is not
    /// among these.
    pub(super) fn segment(&self, root: u64) -> (&[u8], Attempt) {
        let index = (root - self.first) as usize;
        let attempt = match &self.reads {
            Reads::First(read) => Attempt {
                read: *read,
                attempt: 1,
            },
            Reads::Again(attempts) => attempts[index],
        };
        (self.segments.raw(index), attempt)
    }

    /// Closes a root; false when it is not open.
    #[inline]
    pub(super) fn close(&mut self, root: u64) -> bool {
        let Some((word, bit)) = self.place(root) else {
            return false;
        };
        let bits = &mut self.bits[word];
        if bits.open & bit == 0 {
            return false;
        }
        bits.open &= !bit;
        bits.waiting &= !bit;
        self.open -= 1;
        if self.open == 0 {
            self.segments = Encoded::default();
        }
        true
    }

    /// Marks a root for replay. False when it is not open, or was marked before.
    pub(super) fn mark(&mut self, root: u64) -> bool {
        let is_new = self.is_under_way(root);
        if is_new && let Some((word, bit)) = self.place(root) {
            self.bits[word].waiting |= bit;
        }
        is_new
    }

    fn place(&self, root: u64) -> Option<(usize, u64)> {
        let index = root.checked_sub(self.first)?;
        (index < self.count).then_some(((index / 64) as usize, 1 << (index % 64)))
    }
}
