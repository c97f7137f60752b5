//! What an input has rejected: which of it is logged, and when it is too much for the job.

use crate::job::max_rejected::MaxRejected;
use crate::plugins::Rejected;

/// A run logs at most this many rejected pieces one by one; the others would drown everything else,
/// and are logged as a number when it ends.
const LOGGED_MAX: u64 = 10;

/// Rows of an input before a share of them is judged while it is read.
const ROWS_JUDGED_MIN: u64 = 5_000;

/// What one run of an input has rejected.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// By the runs before it, as far as they saved it.
    before: u64,
    here: u64,
    /// Where the first one was, and why.
    first: Option<String>,
}

/// What all slots of an input have read and rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputTotals {
    /// Rows that became segments.
    pub read: u64,
    /// Rows, lines and other pieces that did not.
    pub rejected: u64,
}

impl Rejections {
    /// The rejections of a run, after earlier runs that rejected `before` rows.
    pub(super) fn after(before: u64) -> Self {
        Rejections {
            before,
            ..Rejections::default()
        }
    }

    /// By all runs of the slot. What a run read again after a crash counts again.
    pub(super) fn total(&self) -> u64 {
        self.before + self.here
    }

    /// Takes note of some, and gives those that are to be logged.
    pub(super) fn note<'r>(&mut self, rejected: &'r [Rejected]) -> &'r [Rejected] {
        if let (None, Some(first)) = (&self.first, rejected.first()) {
            self.first = Some(format!("{}: {}", first.place, first.reason));
        }
        let logged = LOGGED_MAX.saturating_sub(self.here);
        self.here += rejected.len() as u64;
        let logged = usize::try_from(logged).unwrap_or(usize::MAX);
        &rejected[..rejected.len().min(logged)]
    }

    /// How many were not logged one by one.
    pub(super) fn not_logged(&self) -> u64 {
        self.here.saturating_sub(LOGGED_MAX)
    }

    /// Why the input must not go on, if it has rejected too much of what it has come to so far.
    pub(super) fn too_many_so_far(
        &self,
        limit: Option<MaxRejected>,
        so_far: InputTotals,
    ) -> Option<String> {
        let limit = limit?;
        let InputTotals { read, rejected } = so_far;
        let is_early = matches!(limit, MaxRejected::Share(_)) && read + rejected < ROWS_JUDGED_MIN;
        (!is_early && limit.is_exceeded(rejected, read)).then(|| self.exceeds(limit, so_far))
    }

    /// Why the job must not complete, if the whole input has rejected too much. Without a limit that is
    /// everything there was.
    pub(super) fn too_many(&self, limit: Option<MaxRejected>, all: InputTotals) -> Option<String> {
        let InputTotals { read, rejected } = all;
        match limit {
            Some(limit) if limit.is_exceeded(rejected, read) => Some(self.exceeds(limit, all)),
            None if rejected > 0 && read == 0 => {
                let first = self.first();
                Some(format!(
                    "all rows of the input were rejected, {rejected} of {rejected}{first}; set \
                     `max-rejected` to allow it"
                ))
            }
            _ => None,
        }
    }

    fn exceeds(&self, limit: MaxRejected, totals: InputTotals) -> String {
        let InputTotals { read, rejected } = totals;
        let (rows, first) = (read + rejected, self.first());
        format!(
            "{rejected} of {rows} rows of the input were rejected, more than its `max-rejected` of \
             {limit}{first}"
        )
    }

    fn first(&self) -> String {
        match &self.first {
            Some(first) => format!("; the first here was {first}"),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(n: usize) -> Vec<Rejected> {
        let piece = |line| Rejected {
            place: format!("in.csv line {line}"),
            reason: "odd".into(),
            raw: String::new(),
        };
        (1..=n).map(piece).collect()
    }

    #[test]
    fn the_first_pieces_are_logged_and_the_others_are_a_number() {
        let mut rejections = Rejections::after(100);
        let many = pieces(200);
        assert_eq!(rejections.note(&many[..4]).len(), 4);
        assert_eq!(rejections.note(&many[4..]).len(), 6);
        assert_eq!(rejections.note(&many[..1]).len(), 0);
        assert_eq!((rejections.not_logged(), rejections.total()), (191, 301));
    }

    #[test]
    fn without_a_limit_only_an_input_of_which_everything_is_rejected_is_too_bad() {
        let mut rejections = Rejections::default();
        rejections.note(&pieces(2));
        let judged = |read, rejected| rejections.too_many(None, InputTotals { read, rejected });
        insta::assert_snapshot!(judged(0, 2).unwrap(), @"all rows of the input were rejected, 2 of 2; the first here was in.csv line 1: odd; set `max-rejected` to allow it");
        assert_eq!((judged(1, 2), judged(0, 0)), (None, None));
        let so_far = InputTotals {
            read: 0,
            rejected: 1_000_000,
        };
        assert_eq!(rejections.too_many_so_far(None, so_far), None);
    }

    #[test]
    fn a_number_is_judged_at_once_and_a_share_once_there_are_rows_enough() {
        let rejections = Rejections::default();
        let so_far = |limit: &str, read, rejected| {
            let totals = InputTotals { read, rejected };
            rejections.too_many_so_far(limit.parse().ok(), totals)
        };
        insta::assert_snapshot!(so_far("2", 1, 3).unwrap(), @"3 of 4 rows of the input were rejected, more than its `max-rejected` of 2");
        assert_eq!(so_far("2", 1, 2), None);
        assert_eq!(so_far("5%", 0, ROWS_JUDGED_MIN - 1), None);
        assert!(so_far("5%", 4_700, 300).is_some());
        let all = InputTotals {
            read: 1,
            rejected: 1,
        };
        assert!(rejections.too_many("5%".parse().ok(), all).is_some());
        assert_eq!(rejections.too_many("100%".parse().ok(), all), None);
    }
}
