//! Why a job runs or waits, for people.

use super::capacity::{Capacity, Cover};
use super::roster::Roster;
use crate::ids::{JobId, TaskName};
use crate::replica::{JobRecord, JobState, Replica};
use std::collections::BTreeSet;
use std::fmt;

/// What the scheduler has to say of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// It is not remembered.
    Unknown,
    /// Every output was sealed.
    Completed,
    /// It was ended early.
    Killed,
    /// It has its peers.
    Allocated {
        /// How many.
        peers: usize,
    },
    /// The cluster is too small.
    TooFewPeers {
        /// The sum of its minima.
        needs: u64,
        /// Peers of the cluster.
        joined: usize,
    },
    /// No peer can run one of its tasks.
    UnknownWords {
        /// The first such task.
        task: TaskName,
        /// Its words that no peer knows; empty when some know each, but nobody all of them.
        words: BTreeSet<String>,
    },
    /// Too few peers can run its tasks.
    TooFewAble {
        /// The tasks that lack peers, when it shows at single tasks.
        tasks: Vec<Shortage>,
    },
    /// It would run if other jobs did not.
    Busy {
        /// The sum of its minima.
        needs: u64,
        /// Peers that no running job needs for its own minima.
        free: u64,
        /// The running jobs and what they need.
        serving: Vec<Serving>,
    },
}

/// A task with too few peers that know its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The task.
    pub task: TaskName,
    /// Its minimum.
    pub needs: u32,
    /// Peers that know its words.
    pub able: usize,
}

/// A running job and the peers it cannot do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// The sum of its minima.
    pub needs: u64,
}

/// Why a job runs or waits.
pub fn explain(replica: &Replica, job: JobId) -> Explanation {
    let (Some(state), Some(record)) = (replica.job_state(job), replica.record(job)) else {
        return Explanation::Unknown;
    };
    match state {
        JobState::Completed => Explanation::Completed,
        JobState::Killed => Explanation::Killed,
        JobState::Running => Explanation::Allocated {
            peers: replica.peer_count(job),
        },
        JobState::Waiting => explain_waiting(replica, job, record),
    }
}

fn explain_waiting(replica: &Replica, job: JobId, record: &JobRecord) -> Explanation {
    let alone = Roster::of_jobs(replica, &[(job, record)]);
    if alone.class_sizes.is_empty() {
        return Explanation::TooFewPeers {
            needs: record.min_peers(),
            joined: 0,
        };
    }
    if let Some(task) = alone.tasks.iter().find(|task| task.classes.is_empty()) {
        let members = &replica.membership.members;
        let nobody = |word: &&String| !members.values().any(|m| m.words.contains(*word));
        let words = task.record.words.iter().filter(nobody).cloned().collect();
        return Explanation::UnknownWords {
            task: task.record.name.clone(),
            words,
        };
    }
    let joined = alone.peers.len();
    if record.min_peers() > joined as u64 {
        return Explanation::TooFewPeers {
            needs: record.min_peers(),
            joined,
        };
    }
    if Capacity::new(&alone).cover(0) == Cover::Impossible {
        return Explanation::TooFewAble {
            tasks: shortages(&alone),
        };
    }
    let running = replica
        .jobs
        .live
        .iter()
        .filter(|live| replica.allocations.contains_key(live));
    let running = running.filter_map(|job| Some((*job, replica.record(*job)?)));
    let serving: Vec<Serving> = running
        .map(|(job, record)| Serving {
            job,
            name: record.name.clone(),
            needs: record.min_peers(),
        })
        .collect();
    let taken: u64 = serving.iter().map(|serving| serving.needs).sum();
    let free = (joined as u64).saturating_sub(taken);
    Explanation::Busy {
        needs: record.min_peers(),
        free,
        serving,
    }
}

fn shortages(roster: &Roster<'_>) -> Vec<Shortage> {
    let shortages = roster.tasks.iter().map(|task| Shortage {
        task: task.record.name.clone(),
        needs: task.record.min_peers,
        able: task
            .classes
            .iter()
            .map(|class| roster.class_sizes[*class])
            .sum(),
    });
    shortages
        .filter(|shortage| (shortage.needs as usize) > shortage.able)
        .collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Explanation::Unknown => f.write_str("not known: never submitted, or forgotten"),
            Explanation::Completed => f.write_str("completed"),
            Explanation::Killed => f.write_str("killed"),
            Explanation::Allocated { peers } => write!(f, "runs with {}", count(*peers as u64)),
            Explanation::TooFewPeers { needs, joined } => {
                write!(
                    f,
                    "waits: needs {}, {} joined",
                    count(*needs),
                    are(*joined as u64)
                )
            }
            Explanation::UnknownWords { task, words } if words.is_empty() => {
                write!(f, "waits: no peer knows all the words of task {task}")
            }
            Explanation::UnknownWords { task, words } => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                write!(
                    f,
                    "waits: task {task} needs {}, which no peer knows",
                    words.join(", ")
                )
            }
            Explanation::TooFewAble { tasks } if tasks.is_empty() => {
                f.write_str("waits: too few peers know the words of several tasks at once")
            }
            Explanation::TooFewAble { tasks } => {
                let short = tasks.iter().map(|short| {
                    format!(
                        "task {} needs {} that know its words, {} joined",
                        short.task,
                        count(u64::from(short.needs)),
                        are(short.able as u64)
                    )
                });
                write!(f, "waits: {}", short.collect::<Vec<_>>().join("; "))
            }
            Explanation::Busy {
                needs,
                free,
                serving,
            } => {
                write!(f, "waits: needs {}, {} free", count(*needs), are(*free))?;
                let serving = serving
                    .iter()
                    .map(|s| format!("{} serve job {}", s.needs, s.name));
                write!(f, ": {}", serving.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn are(peers: u64) -> String {
    match peers {
        1 => "1 is".into(),
        _ => format!("{peers} are"),
    }
}

fn count(peers: u64) -> String {
    match peers {
        1 => "1 peer".into(),
        _ => format!("{peers} peers"),
    }
}
