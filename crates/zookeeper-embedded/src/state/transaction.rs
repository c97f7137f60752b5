//! Transactions: the only way in which anything durable changes.
//!
//! A transaction says what happened, with every choice already made (names of sequential nodes,
//! session ids, passwords). Applying the same transactions to an empty state gives the same state,
//! so a log of them is all that durability needs.

use std::sync::Arc;

use super::Millis;
use super::node::Owner;
use crate::protocol::connect::Password;
use crate::protocol::{Acl, Payload};

/// Changes that happen together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) stamp: Stamp,
    pub(crate) changes: Vec<Change>,
}

/// The number and the time of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) zxid: i64,
    pub(crate) time: Millis,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    OpenSession {
        session: i64,
        timeout: Millis,
        password: Password,
    },
    CloseSession {
        session: i64,
    },
    Create {
        path: String,
        data: Payload,
        acl: Arc<[Acl]>,
        owner: Owner,
    },
    Delete {
        path: String,
    },
    SetData {
        path: String,
        data: Payload,
    },
    SetAcl {
        path: String,
        acl: Arc<[Acl]>,
    },
    /// A condition that held.
    Check {
        path: String,
    },
}
