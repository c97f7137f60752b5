//! How many bytes of segments an input may keep until they are complete.

/// What is kept and what may be. A read goes beyond it by as much as its segments are larger than
/// those of the read before.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteLimit {
    max: usize,
    kept: usize,
    /// Of the segments of the last read, on average.
    segment: usize,
}

impl ByteLimit {
    pub(super) fn new(max: usize) -> Self {
        ByteLimit {
            max,
            kept: 0,
            segment: 0,
        }
    }

    /// So many segments were read.
    pub(super) fn read(&mut self, segments: usize, bytes: usize) {
        if segments > 0 {
            self.segment = bytes.div_ceil(segments);
        }
    }

    /// So many bytes are kept from now on.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.kept += bytes;
    }

    /// So many are not needed any more.
    pub(super) fn release(&mut self, bytes: usize) {
        self.kept -= bytes;
    }

    /// How many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// How many segments may be read, if they are like the last ones. One may be, however large it
    /// is, when nothing else is kept.
    pub(super) fn room(&self) -> usize {
        let left = self.max.saturating_sub(self.kept);
        match left.checked_div(self.segment) {
            None if left > 0 => usize::MAX,
            None => 0,
            Some(0) if self.kept == 0 => 1,
            Some(segments) => segments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_read_as_there_is_room_for_by_the_size_of_the_last() {
        let mut limit = ByteLimit::new(1_000);
        assert_eq!(limit.room(), usize::MAX);
        limit.read(4, 400);
        limit.keep(400);
        assert_eq!((limit.room(), limit.kept()), (6, 400));
        limit.keep(550);
        assert_eq!(limit.room(), 0);
        limit.release(950);
        assert_eq!(limit.room(), 10);
    }

    #[test]
    fn a_segment_that_is_larger_than_all_that_may_be_kept_goes_alone() {
        let mut limit = ByteLimit::new(1_000);
        limit.read(1, 5_000);
        limit.keep(5_000);
        assert_eq!(limit.room(), 0);
        limit.release(5_000);
        assert_eq!(limit.room(), 1);
    }
}
