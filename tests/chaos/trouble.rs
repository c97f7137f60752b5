//! What happens in the middle of a job, and how it is put right again.

use crate::stage::{NODES, SESSION, Stage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// `kill -9` of a node, which starts again after at most five seconds.
    NodeKilled,
    /// SIGSTOP of a node for longer than its session lives.
    NodePaused,
    /// `kill -9` of the media driver that the nodes share.
    DriverKilled,
    /// `kill -9` of the server that leads the ensemble.
    LeaderKilled,
    /// The network of the last node is cut for longer than its session lives.
    NodeCutOff,
}

/// Trouble that has happened and is to be put right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    trouble: Trouble,
    /// Of a node or a server.
    number: usize,
    /// How long it lasts.
    pub(crate) lasts: Duration,
}

impl Trouble {
    /// Makes it happen to a random one.
    pub(crate) fn happen(self, stage: &mut Stage, random: &mut StdRng) -> Happened {
        let node = random.random_range(0..NODES);
        let some = |random: &mut StdRng, seconds: f64| {
            Duration::from_secs_f64(random.random_range(0.0..seconds))
        };
        let (number, lasts) = match self {
            Trouble::NodeKilled => {
                stage.kill_node(node);
                (node, some(random, 5.0))
            }
            Trouble::NodePaused => {
                stage.node(node).process().signal("STOP");
                (node, SESSION + some(random, 4.0))
            }
            Trouble::DriverKilled => {
                stage.kill_driver();
                (0, some(random, 2.0))
            }
            Trouble::LeaderKilled => (stage.servers.kill_leader(), some(random, 5.0)),
            Trouble::NodeCutOff => {
                stage.namespace().cut();
                (NODES - 1, SESSION + some(random, 4.0))
            }
        };
        Happened {
            trouble: self,
            number,
            lasts,
        }
    }
}

impl Trouble {
    /// Whether positions cannot be saved from the trouble on although segments still flow, until the
    /// session is over.
    pub(crate) fn hinders_saves(self) -> bool {
        match self {
            Trouble::NodeKilled | Trouble::NodePaused | Trouble::DriverKilled => false,
            Trouble::LeaderKilled | Trouble::NodeCutOff => true,
        }
    }
}

impl Happened {
    pub(crate) fn put_right(self, stage: &mut Stage) {
        match self.trouble {
            Trouble::NodeKilled => stage.start_node(self.number),
            Trouble::NodePaused => stage.node(self.number).process().signal("CONT"),
            Trouble::DriverKilled => stage.start_driver(),
            Trouble::LeaderKilled => stage.servers.restart(self.number),
            Trouble::NodeCutOff => stage.namespace().mend(),
        }
    }

    /// A node that can be asked about the job meanwhile.
    pub(crate) fn witness(self) -> usize {
        match self.trouble {
            Trouble::NodeKilled | Trouble::NodePaused | Trouble::NodeCutOff => {
                (self.number + 1) % NODES
            }
            Trouble::DriverKilled | Trouble::LeaderKilled => 0,
        }
    }
}

/// Random numbers from the seed of the environment, or from a new one, which is told.
pub(crate) fn random() -> StdRng {
    let given = std::env::var("CHAOS_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    eprintln!("CHAOS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
