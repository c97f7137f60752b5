//! The kinds of values that options have, and the limits that go with a kind.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// No count, size or duration has a use beyond these; below them sums cannot overflow.
const COUNT_MAX: i64 = 1 << 30;
const MILLIS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;

/// A value that an option can have.
pub(super) trait OptionValue: Sized {
    /// What is expected, for a person who gave something else.
    const EXPECTED: &'static str;

    /// From a TOML integer.
    fn from_integer(n: i64) -> Option<Self> {
        let _ = n;
        None
    }

    /// From a TOML string.
    fn from_text(text: &str) -> Option<Self> {
        let _ = text;
        None
    }

    /// From a TOML list of strings.
    fn from_texts(texts: &[String]) -> Option<Self> {
        let _ = texts;
        None
    }

    /// From a variable, whose text stands for either.
    fn from_variable(text: &str) -> Option<Self> {
        Self::from_text(text).or_else(|| Self::from_integer(text.trim().parse().ok()?))
    }
}

impl OptionValue for String {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl OptionValue for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl OptionValue for IpAddr {
    const EXPECTED: &'static str = "an IP address, such as \"127.0.0.1\" or \"0.0.0.0\"";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A port; 0 is any that is free.
impl OptionValue for u16 {
    const EXPECTED: &'static str = "a port from 0 to 65535";

    fn from_integer(n: i64) -> Option<Self> {
        n.try_into().ok()
    }
}

/// A count of which there may be none.
impl OptionValue for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 1073741824";

    fn from_integer(n: i64) -> Option<Self> {
        (0..=COUNT_MAX)
            .contains(&n)
            .then(|| u32::try_from(n).ok())?
    }
}

/// A count or a size of which there must be some.
impl OptionValue for NonZeroUsize {
    const EXPECTED: &'static str = "an integer from 1 to 1073741824";

    fn from_integer(n: i64) -> Option<Self> {
        let count = (1..=COUNT_MAX)
            .contains(&n)
            .then(|| usize::try_from(n).ok())?;
        NonZeroUsize::new(count?)
    }
}

/// A duration in milliseconds, which its key says.
impl OptionValue for Duration {
    const EXPECTED: &'static str = "milliseconds, an integer from 1 to 2592000000 (30 days)";

    fn from_integer(n: i64) -> Option<Self> {
        let millis = (1..=MILLIS_MAX)
            .contains(&n)
            .then(|| u64::try_from(n).ok())?;
        millis.map(Duration::from_millis)
    }
}

/// Tags; a variable has them with commas between.
impl OptionValue for BTreeSet<String> {
    const EXPECTED: &'static str = "a list of tags, such as [\"gpu\", \"eu-west\"], each of 1 to 64 \
                                    characters without spaces and commas";

    fn from_texts(texts: &[String]) -> Option<Self> {
        let tags = texts.iter().map(|text| text.trim().to_owned());
        let tags: BTreeSet<String> = tags.collect();
        tags.iter().all(|tag| is_tag(tag)).then_some(tags)
    }

    fn from_variable(text: &str) -> Option<Self> {
        let tags: Vec<String> = text.split(',').map(String::from).collect();
        match text.trim().is_empty() {
            true => Some(BTreeSet::new()),
            false => Self::from_texts(&tags),
        }
    }
}

/// Whether a text can be a tag, of a peer or required by a task.
pub fn is_tag(text: &str) -> bool {
    const CHARACTERS_MAX: usize = 64;
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    (1..=CHARACTERS_MAX).contains(&text.chars().count()) && text.chars().all(fits)
}

/// A default of a count that has no zero.
pub(super) const fn count(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("a default that is not zero")
}
