//! What peers hear of pulses at the wrong time: that one is gone of which its process has spoken, or
//! nothing new at all; and what was seen a while ago and is said now, or twice.

use crate::cluster::Cluster;
use onyx::ids::PeerId;
use onyx::log::departures::{Departure, departures};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Of a thousand actions, so many are followed by a rumour.
const RUMOURS: u32 = 30;

/// The rumours of a life. They have draws of their own: a life without them is what it was before there
/// were any.
pub(crate) struct Rumours {
    random: StdRng,
    /// Who looked, and found whom gone.
    looks: Vec<(PeerId, Vec<Departure>)>,
}

impl Rumours {
    /// Lives of odd seeds have rumours.
    pub(crate) fn of(seed: u64) -> Option<Self> {
        let random = StdRng::seed_from_u64(!seed);
        let looks = Vec::new();
        (seed % 2 == 1).then_some(Rumours { random, looks })
    }

    /// After an action: perhaps one is heard, and perhaps one is passed on.
    pub(crate) fn spread(&mut self, cluster: &mut Cluster) {
        if self.random.random_range(0..1000) >= RUMOURS {
            return;
        }
        let index = self.random.random_range(0..cluster.peers.len().max(1));
        let Some(peer) = cluster.peers.keys().nth(index).copied() else {
            return;
        };
        match self.random.random_range(0..3) {
            0 => cluster.look_again(peer),
            1 => {
                let replica = cluster.replica_before(cluster.peers[&peer].next);
                let found = departures(&replica.membership, &cluster.pulses);
                self.looks.push((peer, found));
            }
            _ => self.say_one(cluster),
        }
    }

    /// What was seen is said at last.
    pub(crate) fn say_all(&mut self, cluster: &mut Cluster) {
        for (peer, found) in std::mem::take(&mut self.looks) {
            cluster.speak_of(peer, found);
        }
    }

    fn say_one(&mut self, cluster: &mut Cluster) {
        if self.looks.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.looks.len());
        let (peer, found) = match self.random.random_bool(0.3) {
            true => self.looks[index].clone(),
            false => self.looks.swap_remove(index),
        };
        cluster.speak_of(peer, found);
    }
}
