//! The balanced task scheduler: minima first, then the task with the fewest peers.

/// The task that gets the next spare peer: of the open ones the one with the fewest, the earliest in
/// topological order when they are equal.
pub(in crate::scheduler) fn next(counts: &[usize], open: impl Fn(usize) -> bool) -> Option<usize> {
    let tasks = (0..counts.len()).filter(|task| open(*task));
    tasks.min_by_key(|task| (counts[*task], *task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_open_task_is_next_and_the_earliest_of_equals() {
        assert_eq!(next(&[2, 1, 1], |_| true), Some(1));
        assert_eq!(next(&[2, 1, 1], |task| task != 1), Some(2));
        assert_eq!(next(&[2, 1, 1], |_| false), None);
    }
}
