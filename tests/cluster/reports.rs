//! Reading what a node says of its actors.

use onyx::api::NodeHandle;
use onyx::ids::PeerId;
use onyx::messages::supervision::{ActorReport, Child};
use std::collections::{BTreeMap, BTreeSet};

/// The actors of a peer.
pub(crate) const ACTORS: [Child; 6] = [
    Child::Outbox,
    Child::PulseWatcher,
    Child::AckingDaemon,
    Child::LogReader,
    Child::TaskPipeline,
    Child::VirtualPeer,
];

/// What a node says of its peer with an index.
pub(crate) async fn peer_report(node: &NodeHandle, index: usize) -> ActorReport {
    let report = node.observe().await.unwrap();
    let mut peers = report
        .children
        .into_iter()
        .filter(|child| child.actor == Child::VirtualPeer);
    peers.nth(index).unwrap()
}

/// For what peers of a node were started again, and how often.
pub(crate) async fn restarts(node: &NodeHandle) -> Vec<(&'static str, u64)> {
    let measured = node.measurements().await.unwrap();
    let by_reason = measured.peer_restarts.into_iter();
    by_reason.filter(|(_, count)| *count > 0).collect()
}

/// The id of the peer that lives in a place now, if one does.
pub(crate) async fn incarnation_of(node: &NodeHandle, index: usize) -> Option<PeerId> {
    peer_report(node, index)
        .await
        .detail
        .get("id")?
        .as_str()?
        .parse()
        .ok()
}

/// Whom the peers of a node watch.
pub(crate) async fn watches_of(node: &NodeHandle) -> BTreeMap<PeerId, BTreeSet<PeerId>> {
    let report = node.observe().await.unwrap();
    let peers = report.children.into_iter().filter_map(|peer| {
        let id = peer.detail.get("id")?.as_str()?.parse().ok()?;
        let mut children = peer.children.into_iter();
        let watcher = children.find(|child| child.actor == Child::PulseWatcher)?;
        let watches = watcher.detail["watches"].as_array()?.iter();
        let watches = watches.map(|peer| peer.as_str().unwrap().parse().unwrap());
        Some((id, watches.collect()))
    });
    peers.collect()
}
