//! Whether a measure grows: the medians of two late windows are compared, so that neither the warm-up nor
//! a peak decides.

use std::fmt;

/// How far a measure may rise from one window to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) percent: u64,
    /// At least this, in the unit of the measure.
    pub(crate) least: u64,
}

/// A rise beyond what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    earlier: u64,
    later: u64,
    allowed: u64,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Growth {
            earlier,
            later,
            allowed,
        } = self;
        write!(
            f,
            "median {earlier} in the second third, {later} in the last; a rise of {allowed} is allowed"
        )
    }
}

/// The first third is the warm-up; the last third is compared with the second.
pub(crate) fn growth(column: &[u64], allowance: Allowance) -> Option<Growth> {
    let third = column.len() / 3;
    if third == 0 {
        return None;
    }
    let later = &column[column.len() - third..];
    let earlier = &column[column.len() - 2 * third..column.len() - third];
    let (earlier, later) = (
        median(earlier.iter().copied()),
        median(later.iter().copied()),
    );
    let allowed = allowance.least.max(earlier * allowance.percent / 100);
    (later > earlier + allowed).then_some(Growth {
        earlier,
        later,
        allowed,
    })
}

/// Of an even number of values the higher of the two in the middle; 0 of none.
pub(crate) fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[test]
fn a_rise_within_the_warm_up_is_no_growth() {
    let allowance = Allowance {
        percent: 0,
        least: 0,
    };
    assert_eq!(growth(&[1, 5, 9, 9, 9, 9, 9, 9, 9], allowance), None);
}

#[test]
fn one_peak_is_no_growth() {
    let allowance = Allowance {
        percent: 0,
        least: 0,
    };
    assert_eq!(growth(&[1, 5, 9, 9, 9, 9, 9, 70, 9], allowance), None);
}

#[test]
fn a_steady_rise_beyond_the_allowance_is_growth() {
    let column = [100, 110, 120, 130, 140, 150, 160, 170, 180];
    let allowance = |percent, least| Allowance { percent, least };
    assert_eq!(
        growth(&column, allowance(5, 10)),
        Some(Growth {
            earlier: 140,
            later: 170,
            allowed: 10
        })
    );
    assert_eq!(growth(&column, allowance(5, 30)), None);
    assert_eq!(growth(&column, allowance(22, 10)), None);
}
