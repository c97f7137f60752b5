//! Collecting the log: when it is due, who does it, and that it runs beside everything else.
//!
//! Everybody counts what stands in the log since it was collected last. The group of the peer that
//! joined first collects when there is enough; the next group does when there is twice as much, and
//! so on, should the ones before it be unable to. Two that collect at once do no harm.

use super::PeerGroup;
use crate::actors::outbox::Outbox;
use crate::coordination::Coordination;
use crate::coordination::collection::{Collected, collect};
use crate::ids::GroupId;
use crate::log::Step;
use crate::log::commands::{Command, Gc};
use crate::messages::log_reader::Snapshot;
use crate::messages::outbox::{WriteAndConfirm, WriteFailed};
use crate::messages::peer_group::{CollectFailed, CollectLog};
use crate::replica::Membership;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, Addr, AsyncContext, Context, Handler, ResponseFuture};
use futures_util::FutureExt;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// When the log is collected.
#[derive(Clone, Copy, Debug)]
pub struct CollectionPolicy {
    /// With so many entries since the last time; 0 is never.
    pub entries: u64,
    /// With so many bytes since the last time; 0 is never.
    pub bytes: u64,
}

/// What a group knows of the log since it was collected.
#[derive(Debug, Default)]
pub(super) struct Collector {
    entries: u64,
    bytes: u64,
    activity: Activity,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Activity {
    #[default]
    Idle,
    Collecting,
}

impl Collector {
    /// Begins the count anew.
    pub(super) fn begin_anew(&mut self) {
        (self.entries, self.bytes) = (0, 0);
    }

    /// Counts an entry. One that says that somebody collects begins the count anew: should he fail,
    /// the next time comes.
    pub(super) fn applied(&mut self, step: &Step, bytes: usize) {
        let command = step.entry.as_ref().map(|entry| &entry.command);
        if let Ok(Command::Gc(_)) = command {
            self.begin_anew();
        }
        self.entries += 1;
        self.bytes += bytes as u64;
    }

    /// Whether there is enough for the group of a rank.
    fn is_due(&self, policy: CollectionPolicy, rank: u64) -> bool {
        let exceeds = |amount: u64, limit: u64| limit > 0 && amount >= limit * (rank + 1);
        exceeds(self.entries, policy.entries) || exceeds(self.bytes, policy.bytes)
    }
}

/// The place of a group among those that have peers, by who joined first; none when it has none.
fn rank(membership: &Membership, group: GroupId) -> Option<u64> {
    let mut before = Vec::new();
    for peer in &membership.peers {
        let of_peer = membership.members.get(peer)?.group;
        if of_peer == group {
            return Some(before.len() as u64);
        }
        if !before.contains(&of_peer) {
            before.push(of_peer);
        }
    }
    None
}

impl PeerGroup {
    /// Collects the log if it is due, and nobody else's turn.
    pub(super) fn collect_if_due(&mut self, ctx: &mut Context<Self>) {
        let policy = self.settings.collection;
        let collector = &self.collector;
        if collector.activity == Activity::Collecting || !collector.is_due(policy, 0) {
            return;
        }
        let replica = self.position_and_replica().replica;
        let rank = rank(&replica.membership, self.settings.member.group);
        if !rank.is_some_and(|rank| self.collector.is_due(policy, rank)) {
            return;
        }
        self.collector.activity = Activity::Collecting;
        let collection = self.collection();
        ctx.spawn(wrap_future::<_, Self>(collection).map(|done, this, _| {
            this.collector.activity = Activity::Idle;
            if let Err(error) = done {
                tracing::warn!(%error, "the log could not be collected; the next time comes");
                // Not with the next entry, but after as many again.
                this.collector.begin_anew();
            }
        }));
    }

    fn collection(
        &mut self,
    ) -> impl Future<Output = Result<Option<Collected>, CollectFailed>> + use<> {
        let id = self.services.ids.borrow_mut().uuid();
        let session = self.services.task.session.clone();
        let latest = self.published.latest.clone();
        let outbox = self.outbox.clone();
        async move {
            let outbox = outbox.ok_or(WriteFailed::Ended)?;
            run(id, &outbox, session, latest).await
        }
    }
}

/// Writes `gc`, and stores what it left once it was applied here.
async fn run(
    id: Uuid,
    outbox: &Addr<Outbox>,
    session: Arc<dyn Coordination>,
    mut latest: watch::Receiver<Snapshot>,
) -> Result<Option<Collected>, CollectFailed> {
    let written = outbox.send(WriteAndConfirm(Command::Gc(Gc { id }))).await;
    let position = written.unwrap_or(Err(WriteFailed::Ended))?;
    let applied = |snapshot: &Snapshot| snapshot.position >= Some(position);
    let snapshot = latest.wait_for(applied).await;
    let Snapshot {
        position: at,
        replica,
    } = snapshot.map_err(|_| WriteFailed::Ended)?.clone();
    let collected = collect(&*session, id, at.unwrap_or(position), replica).await?;
    match &collected {
        Some(Collected {
            position,
            entries_left,
            origin_bytes,
            jobs,
            not_taken,
            ..
        }) => tracing::info!(
            %position,
            entries_left,
            origin_bytes,
            jobs,
            not_taken,
            "the log was collected"
        ),
        None => tracing::info!(%position, "the log was collected further by another node"),
    }
    Ok(collected)
}

impl Handler<CollectLog> for PeerGroup {
    type Result = ResponseFuture<Result<Option<Collected>, CollectFailed>>;

    fn handle(&mut self, _: CollectLog, _: &mut Context<Self>) -> Self::Result {
        self.collection().boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::sample::{joined, peer};

    #[test]
    fn groups_take_turns_by_the_peer_that_joined_first() {
        let mut membership = joined("a b c d");
        let group = |number| GroupId(Uuid::from_u128(number));
        for (name, number) in [("a", 1), ("b", 1), ("c", 2), ("d", 3)] {
            membership.members.get_mut(&peer(name)).unwrap().group = group(number);
        }
        let ranks = [1, 2, 3, 4].map(|number| rank(&membership, group(number)));
        assert_eq!(ranks, [Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn it_is_due_by_entries_or_bytes_and_later_for_others() {
        let policy = CollectionPolicy {
            entries: 10,
            bytes: 1_000,
        };
        let due = |entries, bytes, rank| {
            let collector = Collector {
                entries,
                bytes,
                ..Collector::default()
            };
            collector.is_due(policy, rank)
        };
        assert_eq!(
            [due(9, 999, 0), due(10, 0, 0), due(0, 1_000, 0)],
            [false, true, true]
        );
        assert_eq!([due(19, 1_999, 1), due(20, 0, 1)], [false, true]);
        let never = CollectionPolicy {
            entries: 0,
            bytes: 0,
        };
        assert!(
            !Collector {
                entries: 1 << 40,
                ..Collector::default()
            }
            .is_due(never, 0)
        );
    }
}
