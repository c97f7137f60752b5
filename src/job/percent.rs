//! Shares in hundredths of a percent: integers, so that every peer computes the same.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A share from 0 to 100 percent, with two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// Everything.
    pub const WHOLE: Percent = Percent(100 * Percent::PARTS);

    /// Parts of one percent.
    const PARTS: u32 = 100;

    /// A share of so many whole percent; none above 100.
    pub fn whole(percent: u32) -> Option<Percent> {
        let parts = percent.checked_mul(Percent::PARTS)?;
        (parts <= Percent::WHOLE.0).then_some(Percent(parts))
    }

    /// A share of so many percent, rounded to two decimals; none outside of 0 to 100.
    pub fn new(percent: f64) -> Option<Percent> {
        let parts = (percent * f64::from(Percent::PARTS)).round();
        (0.0..=f64::from(Percent::WHOLE.0))
            .contains(&parts)
            .then_some(Percent(parts as u32))
    }

    /// This share of a number, rounded up.
    pub fn of_rounded_up(self, whole: usize) -> usize {
        let parts = whole as u128 * u128::from(self.0);
        parts.div_ceil(u128::from(Percent::WHOLE.0)) as usize
    }

    /// In hundredths of a percent.
    pub fn parts(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % Percent::PARTS {
            0 => write!(f, "{}", self.0 / Percent::PARTS),
            _ => write!(f, "{}", f64::from(self.0) / f64::from(Percent::PARTS)),
        }
    }
}

/// A whole number where it is one.
impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % Percent::PARTS {
            0 => serializer.serialize_u32(self.0 / Percent::PARTS),
            _ => serializer.serialize_f64(f64::from(self.0) / f64::from(Percent::PARTS)),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        let outside = || de::Error::custom(format!("{percent} is not a percentage from 0 to 100"));
        Percent::new(percent).ok_or_else(outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{from_payload, to_payload};

    #[test]
    fn two_decimals_survive_and_whole_numbers_stay_whole() {
        for (percent, json) in [(30.0, "30"), (33.33, "33.33"), (0.0, "0"), (100.0, "100")] {
            let share = Percent::new(percent).unwrap();
            assert_eq!(serde_json::to_string(&share).unwrap(), json);
            assert_eq!(serde_json::from_str::<Percent>(json).unwrap(), share);
            let stored: Percent = from_payload(&to_payload(&share).unwrap()).unwrap();
            assert_eq!(stored, share);
            assert_eq!(share.to_string(), json);
        }
        assert_eq!(Percent::whole(30), Percent::new(30.0));
    }

    #[test]
    fn nothing_is_more_than_everything_or_less_than_nothing() {
        for percent in [-1.0, 100.01, f64::NAN, f64::INFINITY] {
            assert_eq!(Percent::new(percent), None, "{percent}");
        }
        assert_eq!(Percent::whole(101), None);
        assert!(serde_json::from_str::<Percent>("101").is_err());
    }
}
