//! Bugs on demand: an actor panics as if it had one.

use crate::api::NodeHandle;
use crate::messages::peer_group::CrashChild;
use crate::messages::supervision::{Child, Crash};

/// Who panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The peer group, and with it the node.
    Group,
    /// The outbox through which the group and its clients write.
    GroupOutbox,
    /// A child of a peer, or the peer itself.
    Peer {
        /// Which of the node's peers, from 0.
        index: usize,
        /// Which of its actors.
        child: Child,
    },
}

/// Makes an actor panic. Answers whether there was somebody to tell; a peer that runs no task has
/// no pipeline, which then goes unnoticed.
pub async fn crash(node: &NodeHandle, victim: Victim) -> bool {
    let group = node.group();
    match victim {
        Victim::Group => group.try_send(Crash(Child::PeerGroup)).is_ok(),
        Victim::GroupOutbox => group.send(Crash(Child::Outbox)).await.is_ok(),
        Victim::Peer { index, child } => group
            .send(CrashChild {
                peer_index: index,
                child,
            })
            .await
            .unwrap_or(false),
    }
}
