//! Why a job waits.

use super::{Available, Explanation, Serving, Shortage};
use crate::config::JobScheduler;
use crate::ids::JobId;
use crate::job::TaskScheduler;
use crate::replica::{JobRecord, Member, Replica, Site, TaskRecord};
use crate::scheduler::capacity::Capacity;
use crate::scheduler::classes::can_do;
use crate::scheduler::jobs::{Cover, cover};
use crate::scheduler::reach::{Candidate, Crew, JobState, crews, everybody, home};
use crate::scheduler::roster::Roster;
use std::collections::BTreeMap;

pub(super) fn explain(replica: &Replica, id: JobId, record: &JobRecord) -> Explanation {
    let all = everybody(replica);
    let needs = least(record);
    let joined = all.peers.len();
    if joined == 0 {
        return Explanation::TooFewPeers { needs, joined };
    }
    let nobody = |task: &&TaskRecord| !all.peers.iter().any(|(_, member)| can_do(member, task));
    if let Some(task) = record.tasks.iter().find(nobody) {
        return nobody_able(&all, task);
    }
    if needs > joined as u64 {
        return Explanation::TooFewPeers { needs, joined };
    }
    let alone = Candidate {
        index: 0,
        id,
        record,
        allocation: replica.allocations.get(&id).map(|it| &**it),
        state: JobState::Waiting,
    };
    if !could_cover(replica, &all, alone) {
        return too_few_able(&all, record);
    }
    let crews = crews(replica);
    let able: Vec<&Crew<'_>> = crews
        .iter()
        .filter(|crew| could_cover(replica, crew, alone))
        .collect();
    if able.is_empty() {
        let largest = crews.iter().map(|crew| crew.peers.len()).max();
        return Explanation::OnlyAcrossProcesses {
            needs,
            joined,
            largest: largest.unwrap_or(0),
        };
    }
    busy(replica, &able, needs)
}

/// The fewest peers with which it runs.
fn least(record: &JobRecord) -> u64 {
    match record.task_scheduler {
        TaskScheduler::Colocated => u64::from(record.min_copies()) * record.tasks.len() as u64,
        TaskScheduler::Balanced | TaskScheduler::Percentage => record.min_peers(),
    }
}

fn nobody_able(all: &Crew<'_>, task: &TaskRecord) -> Explanation {
    let no_peer = |has: &dyn Fn(&Member) -> bool| !all.peers.iter().any(|(_, it)| has(it));
    let words = task.words.iter();
    let words = words.filter(|word| no_peer(&|member| member.words.contains(*word)));
    let words = words.cloned().collect();
    let tags = task.required_tags.iter();
    let tags = tags.filter(|tag| no_peer(&|member| member.tags.contains(*tag)));
    Explanation::NobodyAble {
        task: task.name.clone(),
        words,
        tags: tags.cloned().collect(),
    }
}

/// Whether a crew without other work could cover the job.
fn could_cover(replica: &Replica, crew: &Crew<'_>, alone: Candidate<'_>) -> bool {
    let roster = Roster::new(replica, crew, &[alone]);
    cover(&roster, &mut Capacity::new(&roster), 0) == Cover::Covered
}

fn too_few_able(all: &Crew<'_>, record: &JobRecord) -> Explanation {
    let shortages = record.tasks.iter().map(|task| Shortage {
        task: task.name.clone(),
        needs: task.min_peers,
        able: all
            .peers
            .iter()
            .filter(|(_, member)| can_do(member, task))
            .count(),
        tags: task.required_tags.clone(),
    });
    let tasks: Vec<Shortage> = shortages
        .filter(|shortage| (shortage.needs as usize) > shortage.able)
        .collect();
    let largest = largest_site(all);
    let needs = record.tasks.len();
    let colocated = record.task_scheduler == TaskScheduler::Colocated;
    if colocated && tasks.is_empty() && largest < needs {
        return Explanation::NoSiteForCopy { needs, largest };
    }
    Explanation::TooFewAble { tasks }
}

fn largest_site(all: &Crew<'_>) -> usize {
    let mut sites: BTreeMap<&Site, usize> = BTreeMap::new();
    for (_, member) in &all.peers {
        *sites.entry(&member.site).or_default() += 1;
    }
    sites.into_values().max().unwrap_or(0)
}

/// The crews that could cover the job have other work.
fn busy(replica: &Replica, able: &[&Crew<'_>], needs: u64) -> Explanation {
    let serving = serving(replica);
    let in_one = able.iter().filter_map(|crew| {
        let group = crew.group?;
        let here = |it: &&Serving| home(replica, it.job) == Some(group);
        let here = serving.iter().filter(here);
        Some(available(crew.peers.len() as u64, here).sum())
    });
    Explanation::Busy {
        needs,
        available: available(replica.membership.peers.len() as u64, serving.iter()),
        most_in_one_process: in_one.max(),
        serving,
    }
}

/// The peers that these jobs leave free, or have beyond their minimum.
fn available<'a>(peers: u64, serving: impl Iterator<Item = &'a Serving> + Clone) -> Available {
    let taken: u64 = serving.clone().map(|it| it.has).sum();
    Available {
        free: peers.saturating_sub(taken),
        spare: serving.map(Serving::spare).sum(),
    }
}

/// The jobs that run.
fn serving(replica: &Replica) -> Vec<Serving> {
    let live = replica.jobs.live.iter();
    let running = live.filter(|live| replica.allocations.contains_key(live));
    let running = running.filter_map(|job| Some((*job, replica.record(*job)?)));
    let serving = running.map(|(job, record)| {
        let has = replica.peer_count(job) as u64;
        Serving {
            job,
            name: record.name.clone(),
            has,
            keeps: match replica.agreed.job_scheduler {
                JobScheduler::Greedy => has,
                JobScheduler::Balanced | JobScheduler::Percentage => least(record),
            },
        }
    });
    serving.collect()
}
