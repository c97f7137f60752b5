//! The roots that were handed out together, and which of them are still open.

use crate::codec::Encoded;
use std::ops::Range;

/// One read, or one replay: consecutive roots and their segments.
#[derive(Debug)]
pub(super) struct OpenRoots {
    first: u64,
    count: u64,
    /// Emptied when no root is open any more.
    segments: Encoded,
    bits: Vec<Bits>,
    open: usize,
    /// Where the segments come from.
    pub(super) reads: Reads,
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
    pub(super) fn new(first: u64, segments: Encoded, reads: Reads) -> Self {
        let count = segments.len();
        let mut bits = vec![Bits::default(); count.div_ceil(64)];
        for (word, bits) in bits.iter_mut().enumerate() {
            let left = count - 64 * word;
            bits.open = if left < 64 { (1 << left) - 1 } else { u64::MAX };
        }
        OpenRoots {
            first,
            count: count as u64,
            segments,
            bits,
            open: count,
            reads,
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

    /// The segment of a root that is to be replayed, and its attempt so far.
    pub(super) fn waiting(&self, root: u64) -> Option<(&[u8], Attempt)> {
        let (word, bit) = self.place(root)?;
        if self.bits[word].waiting & bit == 0 {
            return None;
        }
        let index = (root - self.first) as usize;
        let attempt = match &self.reads {
            Reads::First(read) => Attempt {
                read: *read,
                attempt: 1,
            },
            Reads::Again(attempts) => attempts[index],
        };
        Some((self.segments.raw(index), attempt))
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

    /// Marks the open roots of a range for replay, and appends those that were not marked before.
    pub(super) fn mark(&mut self, roots: Range<u64>, marked: &mut impl Extend<u64>) -> usize {
        let own = self.roots();
        let mut count = 0;
        for root in roots.start.max(own.start)..roots.end.min(own.end) {
            let Some((word, bit)) = self.place(root) else {
                break;
            };
            let bits = &mut self.bits[word];
            if bits.open & !bits.waiting & bit != 0 {
                bits.waiting |= bit;
                marked.extend([root]);
                count += 1;
            }
        }
        count
    }

    fn place(&self, root: u64) -> Option<(usize, u64)> {
        let index = root.checked_sub(self.first)?;
        (index < self.count).then_some(((index / 64) as usize, 1 << (index % 64)))
    }
}
