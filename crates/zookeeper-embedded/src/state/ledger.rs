//! Everything that a transaction can change: the tree, the sessions and the number of the last one.

use std::cmp::Ordering;

use thiserror::Error;

use super::Millis;
use super::authentication::Author;
use super::happening::{Committed, Happening};
use super::prepare::prepare;
use super::sessions::Sessions;
use super::transaction::{Change, Stamp, Transaction};
use super::tree::{Tree, Undo};
use crate::protocol::connect::Password;
use crate::protocol::op_code as op;
use crate::protocol::response::{Part, PartResult};
use crate::protocol::{CreateReply, ErrorCode, Response, Write};

/// The state that survives a restart when transactions are logged.
#[derive(Debug)]
pub(crate) struct Ledger {
    tree: Tree,
    sessions: Sessions,
    zxid: i64,
    journal: Journal,
}

/// The transactions that were not handed to the log yet, as bytes.
#[derive(Debug)]
enum Journal {
    /// Nobody keeps a log.
    Off,
    On(Vec<u8>),
}

/// Why a logged transaction cannot be applied.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Misfit {
    #[error("transaction {zxid} comes where {expected} should")]
    OutOfOrder { zxid: i64, expected: i64 },
    #[error("transaction {zxid} contradicts those before it ({code:?})")]
    Contradiction { zxid: i64, code: ErrorCode },
}

/// The write that could not be done, and took those before it along.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) index: usize,
    pub(crate) code: ErrorCode,
}

impl Ledger {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            tree: Tree::new(),
            sessions: Sessions::new(now),
            zxid: 0,
            journal: Journal::Off,
        }
    }

    /// What a snapshot showed.
    pub(crate) fn restored(tree: Tree, sessions: Sessions, zxid: i64) -> Self {
        Self {
            tree,
            sessions,
            zxid,
            journal: Journal::Off,
        }
    }

    /// Applies a transaction from the log.
    pub(crate) fn replay(&mut self, transaction: &Transaction) -> Result<(), Misfit> {
        let (zxid, expected) = (transaction.stamp.zxid, self.zxid + 1);
        if zxid != expected {
            return Err(Misfit::OutOfOrder { zxid, expected });
        }
        for change in &transaction.changes {
            self.enact(transaction.stamp, change)
                .map_err(|code| Misfit::Contradiction { zxid, code })?;
        }
        self.zxid = zxid;
        Ok(())
    }

    /// Begins to serve: sessions live from now on, and transactions are kept for the log.
    pub(crate) fn wake(&mut self, now: Millis) {
        self.sessions.wake(now);
        self.journal = Journal::On(Vec::new());
    }

    /// The transactions that were not handed to the log yet; whoever hands them over clears it.
    pub(crate) fn journal(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.journal {
            Journal::Off => None,
            Journal::On(bytes) => Some(bytes),
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// For what is not worth a transaction: signs of life, and who holds which connection.
    pub(crate) fn sessions_mut(&mut self) -> &mut Sessions {
        &mut self.sessions
    }

    pub(crate) fn zxid(&self) -> i64 {
        self.zxid
    }

    /// Does all the writes in one transaction, or none of them.
    pub(crate) fn write(
        &mut self,
        author: &Author,
        writes: Vec<Write>,
        now: Millis,
    ) -> Result<(Vec<Part>, Committed), Failure> {
        let stamp = self.next_stamp(now);
        let mut changes = Vec::with_capacity(writes.len());
        let mut parts = Vec::with_capacity(writes.len());
        let mut undos: Vec<Undo> = Vec::with_capacity(writes.len());
        let mut happenings = Vec::new();
        for (index, write) in writes.into_iter().enumerate() {
            let reply = write.create_reply();
            let attempt = prepare(&self.tree, author, write)
                .and_then(|change| Ok((self.tree.apply(stamp, &change)?, change)));
            match attempt {
                Ok((undo, change)) => {
                    parts.push(describe(&self.tree, &change, reply));
                    happenings.extend(Happening::of(&self.tree, &change, &undo));
                    undos.push(undo);
                    changes.push(change);
                }
                Err(code) => {
                    undos
                        .into_iter()
                        .rev()
                        .for_each(|undo| self.tree.undo(undo));
                    return Err(Failure { index, code });
                }
            }
        }
        let transaction = self.conclude(Transaction { stamp, changes });
        let committed = Committed {
            transaction,
            happenings,
        };
        Ok((parts, committed))
    }

    pub(crate) fn open_session(&mut self, timeout: Millis, now: Millis) -> (i64, Password) {
        let (session, password) = self.sessions.draw();
        self.grant_session(session, password, timeout, now);
        (session, password)
    }

    /// Lets a session go on with another time-out.
    pub(crate) fn renew_session(
        &mut self,
        session: i64,
        password: Password,
        timeout: Millis,
        now: Millis,
    ) {
        if self.sessions.timeout(session) != Some(timeout) {
            self.grant_session(session, password, timeout, now);
        }
    }

    fn grant_session(&mut self, session: i64, password: Password, timeout: Millis, now: Millis) {
        let change = Change::OpenSession {
            session,
            timeout,
            password,
        };
        self.commit(vec![change], now);
    }

    /// Removes a session and its ephemeral nodes.
    pub(crate) fn close_session(&mut self, session: i64, now: Millis) -> Committed {
        let ephemerals = self.tree.ephemerals(session).cloned();
        let mut changes: Vec<Change> = ephemerals.map(|path| Change::Delete { path }).collect();
        changes.push(Change::CloseSession { session });
        self.commit(changes, now)
    }

    /// Removes a container or TTL node.
    pub(crate) fn delete_abandoned(&mut self, path: String, now: Millis) -> Committed {
        self.commit(vec![Change::Delete { path }], now)
    }

    /// Applies changes that the server decided itself, from the very state they apply to.
    fn commit(&mut self, changes: Vec<Change>, now: Millis) -> Committed {
        let stamp = self.next_stamp(now);
        let mut happenings = Vec::new();
        for change in &changes {
            match self.enact(stamp, change) {
                Ok(undo) => happenings.extend(Happening::of(&self.tree, change, &undo)),
                Err(code) => debug_assert!(false, "the server's own {change:?} fits, not {code:?}"),
            }
        }
        let transaction = self.conclude(Transaction { stamp, changes });
        Committed {
            transaction,
            happenings,
        }
    }

    fn enact(&mut self, stamp: Stamp, change: &Change) -> Result<Undo, ErrorCode> {
        match change {
            Change::OpenSession {
                session,
                timeout,
                password,
            } => self
                .sessions
                .open(*session, *timeout, *password, stamp.time),
            Change::CloseSession { session } => self.sessions.close(*session),
            change => return self.tree.apply(stamp, change),
        }
        Ok(Undo::Nothing)
    }

    /// Everything committed passes here once, in order.
    fn conclude(&mut self, transaction: Transaction) -> Transaction {
        debug_assert_eq!(
            transaction.stamp.zxid,
            self.zxid + 1,
            "transactions have no gaps"
        );
        self.zxid = transaction.stamp.zxid;
        if let Journal::On(bytes) = &mut self.journal {
            transaction.encode(bytes);
        }
        transaction
    }

    fn next_stamp(&self, time: Millis) -> Stamp {
        Stamp {
            zxid: self.zxid + 1,
            time,
        }
    }
}

impl Failure {
    /// The failure as the results of a multi request with so many operations.
    pub(crate) fn parts(&self, count: usize) -> Vec<Part> {
        let result = |index: usize| match index.cmp(&self.index) {
            Ordering::Less => PartResult::RolledBack,
            Ordering::Equal => PartResult::Failed(self.code),
            Ordering::Greater => PartResult::Failed(ErrorCode::RuntimeInconsistency),
        };
        (0..count)
            .map(|index| Part {
                op: op::ERROR,
                result: result(index),
            })
            .collect()
    }
}

/// What the client learns of a change that was just applied.
fn describe(tree: &Tree, change: &Change, reply: CreateReply) -> Part {
    let stat = |path: &str| tree.get(path).map(|node| node.stat()).unwrap_or_default();
    let (op, response) = match (change, reply) {
        (Change::Create { path, .. }, CreateReply::Path) => {
            (op::CREATE, Response::Path(path.clone()))
        }
        (Change::Create { path, .. }, CreateReply::PathAndStat) => (
            op::CREATE2,
            Response::Created {
                path: path.clone(),
                stat: stat(path),
            },
        ),
        (Change::SetData { path, .. }, _) => (op::SET_DATA, Response::Stat(stat(path))),
        (Change::SetAcl { path, .. }, _) => (op::SET_ACL, Response::Stat(stat(path))),
        (Change::Delete { .. }, _) => (op::DELETE, Response::Empty),
        (Change::Check { .. }, _) => (op::CHECK, Response::Empty),
        (Change::OpenSession { .. } | Change::CloseSession { .. }, _) => {
            (op::ERROR, Response::Empty)
        }
    };
    Part {
        op,
        result: PartResult::Done(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Acl, Create, Payload};
    use crate::state::authentication::Standing;

    fn create(path: &str, flags: i32) -> Write {
        Write::Create(Create {
            path: path.to_owned(),
            data: Payload::default(),
            acl: vec![Acl::anyone()],
            flags,
            ttl_ms: None,
            reply: CreateReply::Path,
        })
    }

    fn write(ledger: &mut Ledger, session: i64, writes: Vec<Write>) -> Result<Vec<Part>, Failure> {
        let author = Author {
            session,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        ledger.write(&author, writes, 0).map(|(parts, _)| parts)
    }

    #[test]
    fn a_multi_sees_its_own_earlier_writes() {
        let mut ledger = Ledger::new(0);
        let writes = vec![create("/a", 0), create("/a/b-", 2), create("/a/b-", 2)];
        let parts = write(&mut ledger, 1, writes).unwrap();
        let paths = ["/a", "/a/b-0000000000", "/a/b-0000000001"];
        let expected = paths.map(|path| Part {
            op: op::CREATE,
            result: PartResult::Done(Response::Path(path.to_owned())),
        });
        assert_eq!(parts, expected);
        assert_eq!(ledger.zxid(), 1);
    }

    #[test]
    fn a_failed_multi_changes_nothing() {
        let mut ledger = Ledger::new(0);
        let before = format!("{:?}", ledger.tree());
        let failure = write(
            &mut ledger,
            1,
            vec![create("/a", 0), create("/a", 0), create("/b", 0)],
        );
        let failure = failure.unwrap_err();
        assert_eq!(
            failure,
            Failure {
                index: 1,
                code: ErrorCode::NodeExists
            }
        );
        assert_eq!(format!("{:?}", ledger.tree()), before);
        assert_eq!(ledger.zxid(), 0);
        let results: Vec<_> = failure
            .parts(3)
            .into_iter()
            .map(|part| part.result)
            .collect();
        let expected = [
            PartResult::RolledBack,
            PartResult::Failed(ErrorCode::NodeExists),
            PartResult::Failed(ErrorCode::RuntimeInconsistency),
        ];
        assert_eq!(results, expected);
    }

    #[test]
    fn the_same_transactions_lead_to_the_same_tree() {
        let mut ledger = Ledger::new(0);
        let author = Author {
            session: 7,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        let batches = [
            vec![create("/a", 0)],
            vec![create("/a/n", 3), create("/b", 1)],
        ];
        let mut log: Vec<Transaction> = batches
            .map(|writes| ledger.write(&author, writes, 5).unwrap().1.transaction)
            .into();
        log.push(ledger.close_session(7, 6).transaction);

        let mut replayed = Tree::new();
        for transaction in &log {
            for change in &transaction.changes {
                replayed.apply(transaction.stamp, change).unwrap();
            }
        }
        assert_eq!(format!("{replayed:?}"), format!("{:?}", ledger.tree()));
        assert_eq!(ledger.tree().ephemeral_count(), 0);
    }
}
