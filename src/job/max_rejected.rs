//! How many rows an input may reject before its job fails.

use super::percent::Percent;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The most rows that an input may reject: a number, or a share of all rows. Written `10` or `5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxRejected {
    /// At most this many.
    Rows(u32),
    /// At most this share of the rows, those that are rejected included.
    Share(Percent),
}

impl MaxRejected {
    /// What is expected where one is written.
    pub const EXPECTED: &'static str =
        "a number of rows such as `10`, or a share of them such as `5%`";

    /// Whether `rejected` rows beside `read` ones exceed the limit.
    pub fn is_exceeded(self, rejected: u64, read: u64) -> bool {
        match self {
            MaxRejected::Rows(most) => rejected > u64::from(most),
            MaxRejected::Share(share) => {
                let rows = u128::from(rejected) + u128::from(read);
                let whole = u128::from(Percent::WHOLE.parts());
                u128::from(rejected) * whole > rows * u128::from(share.parts())
            }
        }
    }
}

impl fmt::Display for MaxRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxRejected::Rows(most) => most.fmt(f),
            MaxRejected::Share(share) => write!(f, "{share}%"),
        }
    }
}

impl FromStr for MaxRejected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(share) => {
                let share = share.trim_end().parse().ok().and_then(Percent::new);
                share.map(MaxRejected::Share)
            }
            None => text.parse().ok().map(MaxRejected::Rows),
        };
        parsed.ok_or_else(|| format!("expected {}, found `{text}`", Self::EXPECTED))
    }
}

impl Serialize for MaxRejected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MaxRejected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_rows_or_a_share_of_them() {
        for text in ["0", "10", "0%", "5%", "2.5%", "100%"] {
            let limit: MaxRejected = text.parse().unwrap();
            assert_eq!(limit.to_string(), text);
        }
        for text in ["", "-1", "1.5", "101%", "-1%", "x", "5 percent", "NaN%"] {
            assert!(text.parse::<MaxRejected>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_exceeded_by_one_row_more() {
        let exceeded = |limit: &str, rejected, read| {
            let limit: MaxRejected = limit.parse().unwrap();
            limit.is_exceeded(rejected, read)
        };
        assert!(!exceeded("10", 10, 0) && exceeded("10", 11, u64::MAX));
        assert!(!exceeded("0", 0, 5) && exceeded("0", 1, 5));
        assert!(!exceeded("5%", 5, 95) && exceeded("5%", 6, 94));
        assert!(!exceeded("100%", 7, 0) && !exceeded("0%", 0, 0) && exceeded("0%", 1, 1_000));
    }
}
