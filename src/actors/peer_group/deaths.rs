//! Deaths that peers of this group noticed: who else is gone is looked up, and one entry for each
//! dead group is written, here or by a group that is nearer to it.

use super::PeerGroup;
use crate::coordination::patiently;
use crate::ids::PeerId;
use crate::log::commands::Command;
use crate::log::departures::{Departure, Speaker, departures};
use crate::messages::peer_group::LookForGhosts;
use crate::messages::virtual_peer::PulseGone;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context, Handler};
use std::collections::BTreeSet;
use std::time::Duration;

/// Who is nearer to the dead may be dead as well: after this long whoever knows of them says so.
const SPEAK_UP_AFTER: Duration = Duration::from_millis(500);

/// Between a look that failed and the next.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What this group knows of deaths.
#[derive(Default)]
pub(super) struct Deaths {
    /// Those whose leave was written here, or will be, and is not applied yet.
    told: BTreeSet<PeerId>,
    look: Look,
}

/// Whether pulses are being looked at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Look {
    #[default]
    Idle,
    Looking,
    /// Somebody asked after the look had begun.
    OnceMore,
}

impl Deaths {
    /// A look that was under way died with its session.
    pub(super) fn begin_session(&mut self) {
        self.look = Look::Idle;
    }

    /// Their leave is being written.
    pub(super) fn tell(&mut self, peers: impl IntoIterator<Item = PeerId>) {
        self.told.extend(peers);
    }

    /// Those whose leave may have to be written again, because the outbox that had it is gone.
    pub(super) fn told(&self) -> &BTreeSet<PeerId> {
        &self.told
    }
}

impl PeerGroup {
    /// What was told of peers that the cluster knows no more is forgotten.
    pub(super) fn forget_the_departed(&mut self) {
        if self.deaths.told.is_empty() {
            return;
        }
        let replica = self.position_and_replica().replica;
        let known = &replica.membership.members;
        self.deaths.told.retain(|peer| known.contains_key(peer));
    }

    /// Looks at all pulses at once, for those who are in the cluster now.
    fn look_for_ghosts(&mut self, ctx: &mut Context<Self>) {
        if self.deaths.look != Look::Idle {
            self.deaths.look = Look::OnceMore;
            return;
        }
        self.deaths.look = Look::Looking;
        let session = self.services.task.session.clone();
        let (of_session, asked_of) = (self.session, self.position_and_replica().replica);
        let look = async move { patiently(&*session, || session.pulses()).await };
        ctx.spawn(wrap_future::<_, Self>(look).map(move |pulses, this, ctx| {
            if this.session != of_session {
                return;
            }
            let again = std::mem::take(&mut this.deaths.look) == Look::OnceMore;
            match pulses {
                Ok(living) => {
                    for departure in departures(&asked_of.membership, &living) {
                        this.departed(departure, ctx);
                    }
                    if again {
                        this.look_for_ghosts(ctx);
                    }
                }
                // Only an answer tells of deaths, and whoever asked does not ask again.
                Err(error) => {
                    tracing::warn!(%error, "pulses could not be looked at; they are looked at again");
                    ctx.run_later(LOOK_AGAIN_AFTER, move |this, ctx| {
                        if this.session == of_session {
                            this.look_for_ghosts(ctx);
                        }
                    });
                }
            }
        }));
    }

    fn departed(&mut self, departure: Departure, ctx: &mut Context<Self>) {
        let mine = self.settings.member.group;
        match departure.speaker {
            Speaker::Group(group) if group != mine => {
                let of_session = self.session;
                ctx.run_later(SPEAK_UP_AFTER, move |this, _| {
                    if this.session == of_session {
                        this.say_departed(departure);
                    }
                });
            }
            Speaker::Group(_) | Speaker::Anybody => self.say_departed(departure),
        }
    }

    fn say_departed(&mut self, mut departure: Departure) {
        let told = &self.deaths.told;
        departure.gone.retain(|peer| !told.contains(peer));
        let replica = self.position_and_replica().replica;
        let Some(leave) = departure.leave(&replica.membership) else {
            return;
        };
        let (group, peers) = (departure.group, departure.gone.len());
        tracing::warn!(%group, peers, "peers have no pulse; their leave is written");
        self.deaths.tell(departure.gone);
        self.write(Command::LeaveCluster(leave));
    }
}

impl Handler<PulseGone> for PeerGroup {
    type Result = ();

    fn handle(&mut self, PulseGone(peer): PulseGone, ctx: &mut Context<Self>) {
        let replica = self.position_and_replica().replica;
        let is_news = replica.membership.members.contains_key(&peer);
        if is_news && !self.deaths.told.contains(&peer) {
            tracing::info!(gone = %peer, "a peer has no pulse");
            self.look_for_ghosts(ctx);
        }
    }
}

impl Handler<LookForGhosts> for PeerGroup {
    type Result = ();

    fn handle(&mut self, _: LookForGhosts, ctx: &mut Context<Self>) {
        self.look_for_ghosts(ctx);
    }
}
