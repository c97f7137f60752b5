//! Log lines about connections that were closed: one at once, then one in a while with a number, so
//! that a client with thousands of them does not fill the log.

use std::net::IpAddr;

use tracing::warn;

/// The time between two lines, in milliseconds.
const EVERY_MS: i64 = 10_000;

/// What was said, and what was not said yet.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    said_at: Option<i64>,
    unsaid: u64,
    last: Option<(IpAddr, String)>,
}

impl Complaints {
    /// A connection of this address was closed.
    pub(crate) fn note(&mut self, address: IpAddr, reason: String, now_ms: i64) {
        self.unsaid += 1;
        self.last = Some((address, reason));
        self.say(now_ms);
    }

    /// Says what is unsaid, unless something was said just now.
    pub(crate) fn say(&mut self, now_ms: i64) {
        let is_early = self.said_at.is_some_and(|at| now_ms - at < EVERY_MS);
        if is_early {
            return;
        }
        let Some((address, reason)) = self.last.take() else {
            return;
        };
        let connections = std::mem::take(&mut self.unsaid);
        self.said_at = Some(now_ms);
        warn!(
            %address,
            reason,
            connections,
            "turned connections away; the address and the reason are those of the last one"
        );
    }

    #[cfg(test)]
    fn unsaid(&self) -> u64 {
        self.unsaid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn many_complaints_are_few_lines_and_none_is_forgotten() {
        let mut complaints = Complaints::default();
        complaints.note(ADDRESS, "it is silent".into(), 0);
        assert_eq!(complaints.unsaid(), 0);
        for now in 1..=100 {
            complaints.note(ADDRESS, "it is silent".into(), now);
        }
        assert_eq!(complaints.unsaid(), 100);
        complaints.say(EVERY_MS - 1);
        assert_eq!(complaints.unsaid(), 100);
        complaints.say(EVERY_MS);
        assert_eq!(complaints.unsaid(), 0);
    }
}
