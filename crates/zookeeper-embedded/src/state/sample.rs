//! Histories for tests: what a few busy clients would have done, drawn from a seed.

use super::authentication::{Author, Standing};
use super::{Ledger, Millis, Transaction};
use crate::protocol::{Acl, Create, CreateReply, Payload, Write};

/// So many transactions, each of which fits its predecessors.
pub(crate) fn history(seed: u64, length: usize) -> Vec<Transaction> {
    let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut ledger = Ledger::new(0);
    ledger.wake(0);
    let mut history = Vec::with_capacity(length);
    while history.len() < length {
        let now = Millis::try_from(history.len()).unwrap();
        step(&mut ledger, &mut draws, now);
        let bytes = std::mem::take(ledger.journal().unwrap());
        let mut bytes = crate::jute::Decoder::new(&bytes);
        while !bytes.is_empty() {
            history.push(Transaction::decode(&mut bytes).unwrap());
        }
    }
    history.truncate(length);
    history
}

/// Where a history leads.
pub(crate) fn ledger(history: &[Transaction]) -> Ledger {
    let mut ledger = Ledger::new(0);
    for transaction in history {
        ledger.replay(transaction).unwrap();
    }
    ledger
}

/// Everything that has to survive.
pub(crate) fn shown(ledger: &Ledger) -> String {
    let sessions: Vec<_> = ledger.sessions().all().collect();
    format!("{} {sessions:?} {:?}", ledger.zxid(), ledger.tree())
}

fn step(ledger: &mut Ledger, draws: &mut Draws, now: Millis) {
    let sessions: Vec<i64> = ledger.sessions().all().map(|(id, ..)| id).collect();
    let Some(session) = draws.choose(&sessions) else {
        ledger.open_session(1000, now);
        return;
    };
    match draws.below(20) {
        0 => {
            ledger.open_session(1000, now);
        }
        1 => {
            ledger.close_session(session, now);
        }
        _ => {
            let author = Author {
                session,
                standing: Standing::Served,
                identities: Vec::new(),
            };
            let writes = (0..=draws.below(3)).map(|_| write(ledger, draws)).collect();
            // One that is refused leaves no trace, which is as good.
            let _ = ledger.write(&author, writes, now);
        }
    }
}

fn write(ledger: &Ledger, draws: &mut Draws) -> Write {
    let paths: Vec<String> = ledger
        .tree()
        .nodes()
        .map(|(path, _)| path.to_owned())
        .collect();
    let path = draws.choose(&paths).unwrap();
    let data = match draws.below(40) {
        0 => Payload::default(),
        length => Payload::from(vec![b'x'; length].as_slice()),
    };
    let version = -1;
    match draws.below(6) {
        0 => Write::Delete { path, version },
        1 => Write::SetData {
            path,
            data,
            version,
        },
        2 => Write::SetAcl {
            path,
            acl: vec![Acl::anyone()],
            version,
        },
        _ => Write::Create(Create {
            path: format!("{}/n", path.trim_end_matches('/')),
            data,
            acl: vec![Acl::anyone()],
            flags: i32::try_from(draws.below(5)).unwrap(),
            ttl_ms: None,
            reply: CreateReply::Path,
        }),
    }
}

struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn choose<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        (!items.is_empty()).then(|| items[self.below(items.len())].clone())
    }
}
