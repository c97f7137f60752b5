//! Why a job runs, with as many peers as it does, or waits, for people.

mod running;
mod text;
mod waiting;

use crate::ids::{JobId, TaskName};
use crate::job::percent::Percent;
use crate::replica::{JobState, Loss, Replica};
use std::collections::BTreeSet;

/// What the scheduler has to say of a job. Prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// It is not remembered.
    Unknown,
    /// Every output was sealed.
    Completed,
    /// It was ended early.
    Killed {
        /// Whom it could not do without, if that was the reason.
        loss: Option<Loss>,
    },
    /// It has its peers.
    Allocated(Shares),
    /// The cluster is too small.
    TooFewPeers {
        /// The sum of its minima.
        needs: u64,
        /// Peers of the cluster.
        joined: usize,
    },
    /// No peer can run one of its tasks.
    NobodyAble {
        /// The first such task.
        task: TaskName,
        /// Its words that no peer knows.
        words: BTreeSet<String>,
        /// Its tags that no peer has. When both are empty, some peers have each, but nobody all.
        tags: BTreeSet<String>,
    },
    /// Too few peers can run its tasks.
    TooFewAble {
        /// The tasks that lack peers, when it shows at single tasks.
        tasks: Vec<Shortage>,
    },
    /// It is colocated, and no site has room for a copy of it.
    NoSiteForCopy {
        /// The peers of a copy.
        needs: usize,
        /// The peers of the largest site.
        largest: usize,
    },
    /// It would fit into the cluster, but into no single process, and segments do not leave theirs.
    OnlyAcrossProcesses {
        /// The sum of its minima.
        needs: u64,
        /// Peers of the cluster.
        joined: usize,
        /// The peers of the largest process.
        largest: usize,
    },
    /// It would run if other jobs did not.
    Busy {
        /// The sum of its minima.
        needs: u64,
        /// Peers of the cluster that could serve it.
        available: Available,
        /// The most of them in one process. None if a job may span processes.
        most_in_one_process: Option<u64>,
        /// The running jobs with their peers.
        serving: Vec<Serving>,
    },
}

/// A task with too few peers that can run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The task.
    pub task: TaskName,
    /// Its minimum.
    pub needs: u32,
    /// Peers that can run it.
    pub able: usize,
    /// The tags that they must have.
    pub tags: BTreeSet<String>,
}

/// Peers that a waiting job could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Peers without a job.
    pub free: u64,
    /// Peers of running jobs beyond what those jobs keep.
    pub spare: u64,
}

/// A running job and its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// The peers that it has.
    pub has: u64,
    /// The peers that it keeps when another job needs some: the sum of its minima, or with the greedy
    /// scheduler all.
    pub keeps: u64,
}

impl Serving {
    fn spare(&self) -> u64 {
        self.has.saturating_sub(self.keeps)
    }
}

impl Available {
    fn sum(self) -> u64 {
        self.free + self.spare
    }
}

/// The peers of a running job, and why it has so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// How many.
    pub peers: usize,
    /// Why the job has so many.
    pub share: JobShare,
    /// Its tasks in topological order.
    pub tasks: Vec<TaskShare>,
}

/// Why a running job has as many peers as it has. Prints as a part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobShare {
    /// No task can use more.
    Saturated,
    /// Its minimum, and all peers have work.
    Minimum,
    /// Its minimum: it has no percentage, and the scheduler goes by it.
    NoPercentage,
    /// As many as other jobs, where they can use them.
    Even {
        /// The peers that are shared.
        of: usize,
        /// The running jobs among which they are.
        jobs: usize,
        /// How many it has beyond that, which the others cannot use.
        beyond: usize,
    },
    /// What it can use, before any other job.
    First {
        /// The peers that are shared.
        of: usize,
    },
    /// What earlier jobs leave.
    Rest {
        /// The peers that are shared.
        of: usize,
    },
    /// By its percentage.
    Percentage(ByPercentage),
}

/// What a job has by its percentage, and beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByPercentage {
    /// Its percentage.
    pub percentage: Percent,
    /// The peers that are shared.
    pub of: usize,
    /// The percentages of all running jobs together, in hundredths of a percent. If they are more than
    /// there is, they are taken in proportion.
    pub all: u64,
    /// How many peers that is.
    pub share: usize,
    /// What it has besides.
    pub beyond: Beyond,
}

/// How the peers of a job compare with its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// It has its share.
    Nothing,
    /// It has fewer: not so many can run its tasks.
    Short,
    /// Its minimum is more than its share.
    ToItsMinimum,
    /// It has so many more, which the others cannot use.
    By(usize),
}

/// The peers of a task of a running job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskShare {
    /// The task.
    pub task: TaskName,
    /// How many peers it has.
    pub peers: usize,
    /// Why.
    pub reason: TaskReason,
}

/// Why a task of a running job has as many peers as it has. Prints as a part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskReason {
    /// Its flux policy is `kill`.
    Frozen,
    /// Its flux policy is `recover`.
    Slots,
    /// Nothing more comes to it.
    Finished,
    /// One of each copy of a colocated job.
    Copies {
        /// How many copies there are.
        copies: usize,
        /// On how many sites.
        sites: usize,
    },
    /// Its minimum is its maximum.
    Fixed,
    /// Its maximum.
    Saturated,
    /// Nobody else can run it.
    FewAble {
        /// Peers that can.
        able: usize,
        /// All that are joined.
        joined: usize,
        /// The tags that they must have.
        tags: BTreeSet<String>,
    },
    /// Its minimum; the job has no more to give.
    Minimum,
    /// By its percentage of the job's peers.
    Percentage {
        /// Its percentage.
        percentage: Percent,
        /// The peers of the job.
        of: usize,
    },
    /// As many as other tasks, where they can use them.
    Even {
        /// The peers of the job.
        of: usize,
    },
}

/// Why a job runs or waits.
pub fn explain(replica: &Replica, job: JobId) -> Explanation {
    let (Some(state), Some(record)) = (replica.job_state(job), replica.record(job)) else {
        return Explanation::Unknown;
    };
    match state {
        JobState::Completed => Explanation::Completed,
        JobState::Killed => Explanation::Killed {
            loss: replica.jobs.losses.get(&job).cloned(),
        },
        JobState::Running => Explanation::Allocated(running::shares(replica, job, record)),
        JobState::Waiting => waiting::explain(replica, job, record),
    }
}
