//! All rounds in a table, and what they have to show.

use crate::round::Round;
use crate::stage::SESSION;
use std::time::Duration;

/// The rounds so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rounds: Vec<Round>,
}

impl Report {
    /// Adds a round, and prints it.
    pub(crate) fn add(&mut self, round: Round) {
        if self.rounds.is_empty() {
            println!(
                "trouble        stall s  noticed s  end s  job s  missing  duplicates  losses  in flight  foreign"
            );
        }
        let difference = round.difference;
        println!(
            "{:<13} {:>8.2} {:>10} {:>6.2} {:>6.1} {:>8} {:>11} {:>7} {:>10} {:>8}",
            format!("{:?}", round.trouble),
            round.stall.as_secs_f64(),
            round
                .noticed
                .map_or("-".into(), |after| format!("{:.2}", after.as_secs_f64())),
            round.end.as_secs_f64(),
            round.took.as_secs_f64(),
            difference.missing,
            difference.duplicates,
            round.losses,
            round.in_flight,
            difference.foreign
        );
        self.rounds.push(round);
    }

    pub(crate) fn proves_that_no_row_was_lost(&self) {
        for round in &self.rounds {
            let difference = round.difference;
            assert_eq!(difference.missing, 0, "{round:?}");
            assert_eq!(difference.foreign, 0, "{round:?}");
            assert!(difference.duplicates <= round.in_flight, "{round:?}");
            assert_eq!((round.unaccounted, round.uncounted), (0, 0), "{round:?}");
        }
    }

    /// Recovery takes a session and five seconds at most, in 99 of 100 cases: with fewer than a
    /// hundred rounds, always.
    pub(crate) fn proves_that_recovery_is_quick(&self) {
        const BEYOND_SESSION: Duration = Duration::from_secs(5);
        let mut recoveries: Vec<_> = self.rounds.iter().map(Round::recovery).collect();
        recoveries.sort();
        let at = |share: f64| recoveries[((recoveries.len() - 1) as f64 * share).round() as usize];
        let duplicates = self.rounds.iter().map(|round| round.difference.duplicates);
        println!(
            "{} jobs with {} losses of peers; duplicates: {} at the most, {} in all; \
             recovery: median {:?}, 99th percentile {:?}",
            self.rounds.len(),
            self.rounds.iter().map(|round| round.losses).sum::<u64>(),
            duplicates.clone().max().unwrap_or(0),
            duplicates.sum::<u64>(),
            at(0.5),
            at(0.99)
        );
        assert!(at(0.99) <= SESSION + BEYOND_SESSION);
    }
}
