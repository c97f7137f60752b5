//! Why a running job has the peers it has.

use super::{Beyond, ByPercentage, JobShare, Shares, TaskReason, TaskShare};
use crate::config::JobScheduler;
use crate::ids::{JobId, PeerId};
use crate::job::percent::Percent;
use crate::job::{FluxPolicy, TaskScheduler};
use crate::replica::{JobRecord, Member, Replica, Site, TaskRecord};
use crate::scheduler::classes::can_do;
use crate::scheduler::jobs::percentage::{self, weight};
use crate::scheduler::reach::{Crew, crews, home};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A running job, and the peers among which its own were chosen.
struct Running<'a> {
    replica: &'a Replica,
    id: JobId,
    record: &'a JobRecord,
    crew: Vec<(PeerId, &'a Member)>,
    peers: usize,
}

pub(super) fn shares(replica: &Replica, id: JobId, record: &JobRecord) -> Shares {
    let home = home(replica, id);
    let is_own = |crew: &Crew<'_>| crew.group.is_none() || crew.group == home;
    let crew = crews(replica).into_iter().find(is_own);
    let running = Running {
        replica,
        id,
        record,
        crew: crew.map(|crew| crew.peers).unwrap_or_default(),
        peers: replica.peer_count(id),
    };
    let tasks = record.tasks.iter().map(|task| TaskShare {
        task: task.name.clone(),
        peers: running.peers_of(task).count(),
        reason: running.task_reason(task),
    });
    let tasks: Vec<TaskShare> = tasks.collect();
    Shares {
        peers: running.peers,
        share: running.job_share(&tasks),
        tasks,
    }
}

impl Running<'_> {
    fn peers_of(&self, task: &TaskRecord) -> impl Iterator<Item = PeerId> {
        let allocation = self.replica.allocations.get(&self.id);
        let slots = allocation.and_then(|allocation| allocation.tasks.get(&task.name));
        slots.into_iter().flat_map(|slots| slots.values().copied())
    }

    fn job_share(&self, tasks: &[TaskShare]) -> JobShare {
        let of = self.crew.len();
        let is_full = |task: &TaskShare| {
            use TaskReason::{Finished, Fixed, Frozen, Saturated, Slots};
            matches!(task.reason, Finished | Fixed | Frozen | Saturated | Slots)
        };
        if tasks.iter().all(is_full) {
            return JobShare::Saturated;
        }
        let scheduler = self.replica.agreed.job_scheduler;
        if scheduler == JobScheduler::Percentage {
            return match self.record.percentage {
                Some(percentage) => JobShare::Percentage(self.by_percentage(percentage)),
                None => JobShare::NoPercentage,
            };
        }
        if self.record.task_scheduler == TaskScheduler::Colocated
            && self.record.tasks.iter().any(|task| {
                let has = self.peers_of(task).count();
                task.max_peers.is_some_and(|max| has >= max as usize)
            })
        {
            return JobShare::Saturated;
        }
        if self.peers as u64 == self.record.min_peers() {
            return JobShare::Minimum;
        }
        match scheduler {
            JobScheduler::Greedy if self.is_first() => JobShare::First { of },
            JobScheduler::Greedy => JobShare::Rest { of },
            JobScheduler::Balanced | JobScheduler::Percentage => {
                let jobs = self.jobs_of_crew().count();
                let beyond = self.peers.saturating_sub(of.div_ceil(jobs.max(1)));
                JobShare::Even { of, jobs, beyond }
            }
        }
    }

    fn by_percentage(&self, percentage: Percent) -> ByPercentage {
        let records = self.jobs_of_crew().map(|job| self.replica.record(*job));
        let percentages = records.map(|record| weight(record.and_then(|it| it.percentage)));
        let percentages: Vec<u64> = percentages.collect();
        let of = self.crew.len();
        let mine = self.jobs_of_crew().position(|job| *job == self.id);
        let shares = percentage::shares(of, &percentages);
        let share = mine.and_then(|mine| shares.get(mine).copied()).unwrap_or(0);
        ByPercentage {
            percentage,
            of,
            all: percentages.iter().sum(),
            share,
            beyond: match self.peers.cmp(&share) {
                Ordering::Less => Beyond::Short,
                Ordering::Equal => Beyond::Nothing,
                Ordering::Greater if self.peers as u64 == self.record.min_peers() => {
                    Beyond::ToItsMinimum
                }
                Ordering::Greater => Beyond::By(self.peers - share),
            },
        }
    }

    /// The running jobs among which the peers are shared, in the order of their submission.
    fn jobs_of_crew(&self) -> impl Iterator<Item = &JobId> {
        let live = self.replica.jobs.live.iter();
        live.filter(|job| self.has_peers_of_crew(job))
    }

    /// Whether no job that was submitted before it has any of the peers.
    fn is_first(&self) -> bool {
        let live = self.replica.jobs.live.iter();
        let mut earlier = live.take_while(|job| **job != self.id);
        !earlier.any(|job| self.has_peers_of_crew(job))
    }

    fn has_peers_of_crew(&self, job: &JobId) -> bool {
        let allocation = self.replica.allocations.get(job);
        allocation.is_some_and(|allocation| {
            let is_of_crew = |peer| self.crew.iter().any(|(other, _)| *other == peer);
            allocation.peers().any(is_of_crew)
        })
    }

    fn task_reason(&self, task: &TaskRecord) -> TaskReason {
        let count = self.peers_of(task).count();
        match task.flux_policy {
            Some(FluxPolicy::Kill) => return TaskReason::Frozen,
            Some(FluxPolicy::Recover) => return TaskReason::Slots,
            Some(FluxPolicy::Continue) | None => {}
        }
        if self.record.task_scheduler == TaskScheduler::Colocated {
            let sites: BTreeSet<&Site> =
                self.peers_of(task).filter_map(|it| self.site(it)).collect();
            return TaskReason::Copies {
                copies: count,
                sites: sites.len(),
            };
        }
        if task.max_peers == Some(task.min_peers) {
            return TaskReason::Fixed;
        }
        if task.max_peers.is_some_and(|max| count >= max as usize) {
            return TaskReason::Saturated;
        }
        let progress = self.replica.progress.get(&self.id);
        if progress.is_some_and(|it| it.finished_tasks(self.record).contains(&task.name)) {
            return TaskReason::Finished;
        }
        let able = self.crew.iter().filter(|(_, member)| can_do(member, task));
        let (able, joined) = (able.count(), self.crew.len());
        if able < joined && count >= able {
            let tags = task.required_tags.clone();
            return TaskReason::FewAble { able, joined, tags };
        }
        let of = self.peers;
        match (self.record.task_scheduler, task.percentage) {
            _ if count == task.min_peers as usize && of as u64 == self.record.min_peers() => {
                TaskReason::Minimum
            }
            (TaskScheduler::Percentage, Some(percentage)) => {
                TaskReason::Percentage { percentage, of }
            }
            (TaskScheduler::Percentage, None) => TaskReason::Minimum,
            _ => TaskReason::Even { of },
        }
    }

    fn site(&self, peer: PeerId) -> Option<&Site> {
        let member = self.replica.membership.members.get(&peer)?;
        Some(&member.site)
    }
}
