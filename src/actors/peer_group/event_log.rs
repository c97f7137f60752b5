//! Log lines for the events of a step: nodes that left, peers that jobs lost.

use crate::ids::{JobId, LogPosition};
use crate::log::Step;
use crate::replica::{JobEvent, PeerChange, Replica};
use std::sync::Arc;

/// Logs the events that a step added. Moves are normal and logged at `debug`.
pub(super) fn log_events(step: &Step) {
    let (old, new) = (&step.old.events, &step.new.events);
    if Arc::ptr_eq(old, new) {
        return;
    }
    let known = old.departures.back().map(|last| last.entry);
    let departed = new.departures.iter();
    for gone in departed.filter(|gone| Some(gone.entry) > known) {
        tracing::warn!(node = %gone.node, peers = gone.peers, entry = %gone.entry, "node left the cluster");
    }
    for job in new.jobs.keys() {
        let known = last_entry(&step.old, *job);
        for event in new.of(*job).filter(|event| Some(event.entry) > known) {
            log_event(*job, event);
        }
    }
}

fn last_entry(replica: &Replica, job: JobId) -> Option<LogPosition> {
    replica.events.of(job).last().map(|event| event.entry)
}

fn log_event(job: JobId, event: &JobEvent) {
    let (entry, change) = (event.entry, &event.change);
    match change {
        PeerChange::PeersLost { .. } | PeerChange::Suspended => {
            tracing::warn!(%job, %entry, %change, "job lost peers");
        }
        PeerChange::Resumed => tracing::info!(%job, %entry, "job resumed"),
        PeerChange::PeersMoved { .. } => tracing::debug!(%job, %entry, %change, "peers moved"),
    }
}
