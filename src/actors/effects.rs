//! Effects: the few things that a peer does once because of one entry.

use super::virtual_peer::VirtualPeer;
use crate::coordination::{Node, Put, patiently, write_blob};
use crate::ids::{JobId, LogPosition};
use crate::log::Effect;
use crate::log::admission::is_open;
use crate::log::commands::{Command, KillJob};
use crate::log::wants::{LocalFacts, Standing, wants};
use crate::messages::peer_group::LookForGhosts;
use crate::messages::supervision::EndReason;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};

/// Carries out one effect of the entry at a position.
pub(super) fn run(
    peer: &mut VirtualPeer,
    effect: Effect,
    position: LogPosition,
    ctx: &mut Context<VirtualPeer>,
) {
    match effect {
        Effect::RejoinAfterBackOff => rejoin_after_back_off(peer, ctx),
        // Where there is one ghost there are more, of its group and of others.
        Effect::EvictIfGhost(_) => look_for_ghosts(peer),
        Effect::Restart => {
            let cause = format!("removed from the cluster by entry {position}");
            peer.end(ctx, EndReason::Removed, cause);
        }
    }
}

fn rejoin_after_back_off(peer: &mut VirtualPeer, ctx: &mut Context<VirtualPeer>) {
    let attempt = peer.next_join_attempt();
    let delay = peer
        .services
        .join_backoff
        .delay(attempt, peer.services.unit());
    tracing::debug!(peer = %peer.me.me, attempt, ?delay, "the join was refused; trying again");
    ctx.run_later(delay, |peer, ctx| {
        let replica = &peer.snapshot.replica;
        let standing = wants(replica, &peer.me, &LocalFacts::default()).standing;
        if standing != Standing::Outside {
            return;
        }
        if is_open(&replica.membership) {
            return peer.prepare();
        }
        // It would be refused. Whoever is in the way is dead, or will be done soon.
        look_for_ghosts(peer);
        rejoin_after_back_off(peer, ctx);
    });
}

fn look_for_ghosts(peer: &VirtualPeer) {
    #[expect(clippy::disallowed_methods, reason = "one message for a refused join")]
    peer.group.do_send(LookForGhosts);
}

/// Keeps the exception that killed a job, then writes the kill.
pub(super) fn kill_job(
    peer: &mut VirtualPeer,
    job: JobId,
    exception: String,
    ctx: &mut Context<VirtualPeer>,
) {
    peer.task.failed();
    let session = peer.services.task.session.clone();
    let text = exception.clone();
    let keep = async move {
        let put = || {
            write_blob(
                &*session,
                Node::Exception(job),
                text.clone().into_bytes(),
                Put::IfAbsent,
            )
        };
        if let Err(error) = patiently(&*session, put).await {
            tracing::warn!(%job, %error, "the exception could not be stored");
        }
    };
    ctx.spawn(wrap_future::<_, VirtualPeer>(keep).map(move |(), peer, _| {
        peer.write(Command::KillJob(KillJob::new(job, Some(exception))), None);
    }));
}
