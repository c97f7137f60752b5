//! Replicas as people write them down, and entries by hand: what `onyx-node log apply` reads.

use super::entries;
use onyx::ids::LogPosition;
use onyx::log::incident::Recorded;
use onyx::log::{Entry, Unreadable};
use onyx::replica::Replica;
use serde_json::Value;
use std::sync::Arc;

/// More are not applied: each is as good as any other.
const ENTRIES_MAX: usize = 8;

/// An input is a question to `log apply`. Whatever it says, there is an answer; what cannot be read is
/// told with the place where it is.
pub fn check(data: &[u8]) {
    let Ok(question) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let mut replica = match Replica::from_view(&question["replica"]) {
        Ok(replica) => {
            let stored = onyx::codec::to_payload(&replica).expect("a replica can be stored");
            let again = onyx::codec::from_payload::<Replica>(&stored);
            assert_eq!(again.as_ref(), Ok(&replica));
            Arc::new(replica)
        }
        Err(misread) => {
            assert!(misread.to_string().starts_with("replica"), "{misread}");
            return;
        }
    };
    let given = question["entries"].as_array();
    for (position, value) in (0..).zip(given.into_iter().flatten().take(ENTRIES_MAX)) {
        let path = format!("entries[{position}]");
        let entry = Entry::read(value, &path).map_err(|misread| {
            let reason = misread.to_string();
            assert!(reason.starts_with(&path), "{reason}");
            Unreadable(reason)
        });
        let recorded = Recorded {
            position: LogPosition(position),
            entry,
        };
        replica = entries::apply(recorded, replica).new;
    }
}
