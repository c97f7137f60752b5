//! Readers that know nothing but the bytes of the log: one reads it from its beginning, one from the
//! newest origin. After every entry each has the replica that the cluster has.

use onyx::codec::{from_payload, to_payload};
use onyx::log::{Entry, Step, Unreadable, step};
use onyx::replica::Replica;
use std::sync::Arc;

pub(crate) struct Followers {
    /// What is stored at each position.
    payloads: Vec<Vec<u8>>,
    from_beginning: Follower,
    from_origin: Option<Follower>,
}

struct Follower {
    /// The position where it began.
    from: usize,
    replica: Arc<Replica>,
}

impl Followers {
    pub(crate) fn of(first: &Replica) -> Self {
        Followers {
            payloads: Vec::new(),
            from_beginning: Follower {
                from: 0,
                replica: Arc::new(first.clone()),
            },
            from_origin: None,
        }
    }

    /// How many entries they have read.
    pub(crate) fn read(&self) -> usize {
        self.payloads.len()
    }

    /// Lets everybody read an entry that was appended.
    pub(crate) fn read_next(&mut self, step: &Step) {
        assert_eq!(step.position.0 as usize, self.read(), "an entry was missed");
        let payload = match &step.entry {
            Ok(entry) => to_payload(entry).expect("an entry can be written"),
            Err(Unreadable(noise)) => noise.clone().into_bytes(),
        };
        self.payloads.push(payload);
        let readers = [Some(&mut self.from_beginning), self.from_origin.as_mut()];
        for reader in readers.into_iter().flatten() {
            reader.read(&self.payloads, step);
        }
    }

    /// Lets somebody begin with an origin, the replica after a position, and read on to the end of
    /// what became of the entries.
    pub(crate) fn begin(&mut self, at: usize, origin: &Replica, steps: &[Arc<Step>]) {
        let mut reader = Follower {
            from: at + 1,
            replica: Arc::new(origin.clone()),
        };
        for step in &steps[reader.from..] {
            reader.read(&self.payloads, step);
        }
        self.from_origin = Some(reader);
    }
}

impl Follower {
    fn read(&mut self, payloads: &[Vec<u8>], expected: &Step) {
        let position = expected.position;
        let entry = from_payload::<Entry>(&payloads[position.0 as usize]);
        assert_eq!(
            entry.is_ok(),
            expected.entry.is_ok(),
            "{entry:?} at {position}"
        );
        let entry = entry.map_err(|error| Unreadable(error.to_string()));
        let before = Arc::clone(&self.replica);
        self.replica = step(position, entry, before).new;
        assert_eq!(
            self.replica, expected.new,
            "read from {} to {position}",
            self.from
        );
    }
}
