//! The balanced task scheduler: minima first, then the task with the fewest peers.

/// The task that gets the next spare peer: of the open ones the one with the fewest, the earliest in
/// topological order when they are equal.
pub(super) fn next(open: &[bool], count: impl Fn(usize) -> usize) -> Option<usize> {
    let tasks = (0..open.len()).filter(|task| open[*task]);
    // The first of equals.
    tasks.min_by_key(|task| count(*task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_open_task_is_next_and_the_earliest_of_equals() {
        let counts = |task: usize| [2, 1, 1][task];
        assert_eq!(next(&[true, true, true], counts), Some(1));
        assert_eq!(next(&[true, false, true], counts), Some(2));
        assert_eq!(next(&[false, false, false], counts), None);
    }
}
