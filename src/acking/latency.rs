//! How long roots took from their read to their completion, by buckets.

use std::time::Duration;

/// The upper bounds of the buckets, in milliseconds. What took longer counts in the last one alone.
pub const BOUNDS_MS: [u64; 14] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000,
];

/// Counts of roots by how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// By bucket, not cumulated; the last is for what is beyond every bound.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    /// The sum over all roots, in milliseconds.
    pub sum_ms: u64,
}

impl Latencies {
    /// So many roots took so long.
    pub(super) fn add(&mut self, roots: u64, took: Duration) {
        let took = took.as_millis() as u64;
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < took);
        self.counts[bucket] += roots;
        self.sum_ms = self.sum_ms.saturating_add(took.saturating_mul(roots));
    }

    /// The sums of two sets of counts.
    pub fn plus(mut self, other: &Latencies) -> Latencies {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut latencies = Latencies::default();
        for ms in [0, 1, 2, 3, 60_000, 60_001] {
            latencies.add(2, Duration::from_millis(ms));
        }
        let mut expected = [0; BOUNDS_MS.len() + 1];
        for (bucket, count) in [(0, 4), (1, 2), (2, 2), (13, 2), (14, 2)] {
            expected[bucket] = count;
        }
        assert_eq!(latencies.counts, expected);
        assert_eq!(latencies.sum_ms, 2 * (1 + 2 + 3 + 60_000 + 60_001));
    }
}
