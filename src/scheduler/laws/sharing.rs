//! Laws of the schedulers, of tags, flux policies, ackers and reach.

use super::{Explanation, World, batches, check_slots, live, running, stayed};
use crate::config::{JobScheduler, Transport};
use crate::ids::{GroupId, JobId, LogPosition, PeerId, TaskName};
use crate::job::percent::Percent;
use crate::job::{FluxPolicy, TaskScheduler};
use crate::replica::invariants::violations;
use crate::replica::sample::{job_id, knowing, record};
use crate::replica::{Agreed, JobRecord, Member, Outcome, Replica, Site, Slots, TaskRecord};
use crate::scheduler::{JobShare, TaskReason, explain, reallocate};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

const JOBS: [&str; 6] = [
    "in:i>out:1-1!%30 out:o:1-3!%70",
    "in:i>out:1-1!%50 out:o:2-2!~recover!%50",
    "in:i>out!%10 out:o!~kill!%90",
    "in:i>f!%20 f:f>out!#gpu!%30 out:o:1-2!~continue!%50",
    "in:i>out!%50 out:o:1-2!fn:x!#gpu!~kill!%50",
    "in:i>f:1-1!%40 f:f>out:1-2!~recover!%0 out:o!~kill!%60",
];
const ABILITIES: [&str; 4] = ["", "#gpu", "fn:x", "fn:x #gpu"];

/// Jobs of one task scheduler, each with a percentage and ackers; peers in three processes.
fn world(job_scheduler: JobScheduler, tasks: TaskScheduler, messaging: Transport) -> World {
    let percents = [30, 50, 20, 60, 10, 40];
    let jobs = JOBS.iter().zip(percents).map(|(tasks_of, percent)| {
        let mut job = record(tasks_of);
        job.task_scheduler = tasks;
        job.percentage = Percent::whole(percent);
        job.ackers.percentage = Percent::whole(percent);
        job.ackers.exempt_inputs = percent > 30;
        job
    });
    let members = ABILITIES.iter().flat_map(|words| {
        (1..4_u128).map(|place| Member {
            group: GroupId(Uuid::from_u128(place)),
            node: Default::default(),
            site: Site(format!("site {place}")),
            ..knowing(words)
        })
    });
    World {
        agreed: Agreed {
            job_scheduler,
            messaging,
        },
        jobs: jobs.collect(),
        members: members.collect(),
    }
}

fn any_world() -> impl Strategy<Value = (JobScheduler, TaskScheduler, Transport)> {
    (
        prop::sample::select(JobScheduler::ALL.to_vec()),
        prop::sample::select(TaskScheduler::ALL.to_vec()),
        prop::sample::select(vec![Transport::Local, Transport::Aeron]),
    )
}

type Tasks<'a> = BTreeMap<(JobId, &'a TaskName), Slots>;

fn is_there(replica: &Replica, peer: PeerId) -> bool {
    replica.membership.members.contains_key(&peer)
}

/// The slots of the tasks with one of these policies.
fn slots_of<'a>(replica: &'a Replica, policies: &[FluxPolicy]) -> Tasks<'a> {
    let mut tasks = BTreeMap::new();
    for (job, allocation) in replica.allocations.iter() {
        for (name, slots) in &allocation.tasks {
            let policy = replica
                .record(*job)
                .unwrap()
                .task(name)
                .unwrap()
                .flux_policy;
            if policy.is_some_and(|policy| policies.contains(&policy)) {
                tasks.insert((*job, name), slots.clone());
            }
        }
    }
    tasks
}

/// Whether a peer may work for a job: where segments stay in their process, in that of the job.
fn reaches(replica: &Replica, peer: PeerId, job: JobId) -> bool {
    let group = |peer: &PeerId| replica.membership.members[peer].group;
    let home = replica.allocations[&job].peers().next();
    replica.agreed.messaging == Transport::Aeron || home.is_none_or(|it| group(&it) == group(&peer))
}

fn can_do(replica: &Replica, peer: PeerId, task: &TaskRecord) -> bool {
    let member = &replica.membership.members[&peer];
    task.words.is_subset(&member.words) && task.required_tags.is_subset(&member.tags)
}

/// The peers whose task keeps them. A job that cannot be covered with them any more starts over.
fn pinned(changed: &Replica, new: &Replica) -> BTreeMap<PeerId, (JobId, TaskName)> {
    let keeping = slots_of(changed, &[FluxPolicy::Kill, FluxPolicy::Recover]);
    let is_same = |((job, task), slots): (&(JobId, &TaskName), &Slots)| {
        let now = new.allocations.get(job).and_then(|it| it.tasks.get(*task));
        let mut there = slots.iter().filter(|(_, peer)| is_there(new, **peer));
        let as_many = now.is_some_and(|now| now.len() == slots.len());
        as_many && there.all(|(slot, peer)| now.and_then(|now| now.get(slot)) == Some(peer))
    };
    let goes_on = |job: JobId| {
        keeping
            .iter()
            .filter(|((it, _), _)| *it == job)
            .all(is_same)
    };
    let holders = keeping.iter().flat_map(|((job, task), slots)| {
        let place = (*job, (*task).clone());
        slots.values().map(move |peer| (*peer, place.clone()))
    });
    holders
        .filter(|(peer, (job, _))| is_there(new, *peer) && goes_on(*job))
        .collect()
}

/// Where peers are wanted: a task; of a colocated job a task at a site.
type Post = (JobId, TaskName, Option<Site>);

/// How many peers each task has; of colocated jobs at each site.
fn posts_of(replica: &Replica) -> Vec<(Post, usize)> {
    let mut posts: BTreeMap<Post, usize> = BTreeMap::new();
    for (job, allocation) in replica.allocations.iter() {
        let colocated = replica.record(*job).unwrap().task_scheduler == TaskScheduler::Colocated;
        for (task, slots) in &allocation.tasks {
            for peer in slots.values() {
                let site = replica.membership.members[peer].site.clone();
                let post = (*job, task.clone(), Some(site).filter(|_| colocated));
                *posts.entry(post).or_default() += 1;
            }
        }
    }
    posts.into_iter().collect()
}

/// The most peers that can stay at their task when posts are to have these counts and those whose
/// task keeps them stay, tried one peer after another.
fn most_that_stay(changed: &Replica, new: &Replica, counts: &[(Post, usize)]) -> usize {
    let pinned = pinned(changed, new);
    let mut best: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    best.insert(counts.iter().map(|(_, count)| *count).collect(), 0);
    for &peer in &new.membership.peers {
        let held = changed.assignment_of(peer).map(|it| (it.job, it.task));
        let mut next = match pinned.get(&peer) {
            Some(_) => BTreeMap::new(),
            None => best.clone(),
        };
        for (missing, stayed) in &best {
            for (index, ((job, name, site), _)) in counts.iter().enumerate() {
                let task = new.record(*job).unwrap().task(name).unwrap();
                let is_it = |place: &(JobId, TaskName)| place.0 == *job && place.1 == *name;
                let here = &new.membership.members[&peer].site;
                let able = can_do(new, peer, task)
                    && reaches(new, peer, *job)
                    && site.as_ref().is_none_or(|site| site == here)
                    && pinned.get(&peer).is_none_or(is_it);
                if missing[index] == 0 || !able {
                    continue;
                }
                let mut missing = missing.clone();
                missing[index] -= 1;
                let most = next.entry(missing).or_default();
                *most = (*most).max(stayed + usize::from(held.as_ref().is_some_and(is_it)));
            }
        }
        best = next;
    }
    best[&vec![0; counts.len()]]
}

/// Whether these places can be filled by these peers, one place after another.
fn can_fill(replica: &Replica, peers: &[PeerId], places: &[&TaskRecord]) -> bool {
    fn find(
        replica: &Replica,
        peers: &[PeerId],
        places: &[&TaskRecord],
        place: usize,
        tried: &mut BTreeSet<PeerId>,
        taken: &mut BTreeMap<PeerId, usize>,
    ) -> bool {
        for &peer in peers {
            if !can_do(replica, peer, places[place]) || !tried.insert(peer) {
                continue;
            }
            let holder = taken.get(&peer).copied();
            if holder.is_none_or(|holder| find(replica, peers, places, holder, tried, taken)) {
                taken.insert(peer, place);
                return true;
            }
        }
        false
    }
    let mut taken = BTreeMap::new();
    (0..places.len()).all(|place| {
        find(
            replica,
            peers,
            places,
            place,
            &mut BTreeSet::new(),
            &mut taken,
        )
    })
}

/// Nobody waits that could run beside those that run: beside their minima, or, where the earliest
/// takes all, beside all that they have.
fn check_coverage(changed: &Replica, new: &Replica) {
    let pinned = pinned(changed, new);
    let groups: BTreeSet<GroupId> = match new.agreed.messaging {
        Transport::Local => new.membership.members.values().map(|m| m.group).collect(),
        Transport::Aeron => [GroupId(Uuid::nil())].into(),
    };
    let running = running(new);
    for waiting in new.jobs.live.iter().filter(|job| !running.contains(job)) {
        assert!(!matches!(explain(new, *waiting), Explanation::Allocated(_)));
        for group in &groups {
            let is_here = |peer: &PeerId| {
                let of_group = new.membership.members[peer].group == *group;
                of_group || new.agreed.messaging == Transport::Aeron
            };
            let here = new.membership.peers.iter().copied().filter(is_here);
            let free: Vec<PeerId> = here.filter(|peer| !pinned.contains_key(peer)).collect();
            let mut places: Vec<&TaskRecord> = Vec::new();
            for job in &running {
                let slots = &new.allocations[job].tasks;
                if !slots.values().flat_map(|it| it.values()).all(is_here) {
                    continue;
                }
                for task in &new.record(*job).unwrap().tasks {
                    let has = &slots[&task.name];
                    let keeps = has
                        .values()
                        .filter(|peer| pinned.contains_key(peer))
                        .count();
                    let needs = match new.agreed.job_scheduler {
                        JobScheduler::Greedy => has.len(),
                        _ => (task.min_peers as usize).max(keeps),
                    };
                    places.extend(vec![task; needs - keeps]);
                }
            }
            let minima = &new.record(*waiting).unwrap().tasks;
            places.extend(minima.iter().flat_map(|it| vec![it; it.min_peers as usize]));
            assert!(
                !can_fill(new, &free, &places),
                "{waiting} could run as well"
            );
        }
    }
}

/// What holds whatever the schedulers are.
fn check(old: &Replica, changed: &Replica, position: LogPosition) -> Replica {
    let new = reallocate(changed, position);
    assert_eq!(violations(&new, position), []);
    assert_eq!(
        reallocate(&new, position.next()),
        new,
        "it moves though nothing changed"
    );
    check_slots(old, &new, position);
    check_flux(changed, &new);
    new
}

/// Without a loss nobody enters or leaves a task that keeps its peers. With one, a job may be unable
/// to go on with them, and starts over.
fn check_flux(changed: &Replica, new: &Replica) {
    let mut working = changed.allocations.values().flat_map(|it| it.peers());
    let nobody_lost = working.all(|peer| is_there(changed, peer));
    let policies = [FluxPolicy::Kill, FluxPolicy::Recover];
    let now = slots_of(new, &policies);
    for ((job, task), slots) in slots_of(changed, &policies) {
        let Some(now) = now.get(&(job, task)) else {
            assert!(!nobody_lost, "{job} was stopped though nobody left");
            continue;
        };
        if nobody_lost {
            assert_eq!(*now, slots, "{task} of {job} keeps its peers");
        }
    }
}

/// Who has its minimum because all others have work is told so only while that is true.
fn check_reasons(replica: &Replica) {
    let group_of = |peer: &PeerId| replica.membership.members[peer].group;
    let is_local = replica.agreed.messaging == Transport::Local;
    for job in running(replica) {
        let Explanation::Allocated(shares) = explain(replica, job) else {
            panic!("it runs")
        };
        if shares.share != JobShare::Minimum {
            continue;
        }
        let home = replica.allocations[&job]
            .peers()
            .map(|it| group_of(&it))
            .next();
        for idle in replica.unassigned() {
            let is_near = !is_local || home == Some(group_of(&idle));
            for (task, share) in replica.record(job).unwrap().tasks.iter().zip(&shares.tasks) {
                use TaskReason::{Finished, Fixed, Frozen, Saturated, Slots};
                let is_full = matches!(share.reason, Finished | Fixed | Frozen | Saturated | Slots);
                let able = can_do(replica, idle, task);
                assert!(!(is_near && able && !is_full), "{idle} idles: {replica:?}");
            }
        }
    }
}

/// A leave that takes a peer of a frozen task has killed the job before peers are shared anew.
fn without_killed(changed: &Replica) -> Replica {
    let mut killed = changed.clone();
    for ((job, _), slots) in slots_of(changed, &[FluxPolicy::Kill]) {
        let lost = slots.values().any(|peer| !is_there(changed, *peer));
        if lost && killed.jobs.is_live(job) {
            Arc::make_mut(&mut killed.jobs).finish(job, Outcome::Killed, LogPosition(0));
            Arc::make_mut(&mut killed.allocations).remove(&job);
        }
    }
    killed
}

proptest! {
    #[test]
    fn promises_are_kept_whatever_the_schedulers(
        (jobs, tasks, messaging) in any_world(),
        batches in batches(),
    ) {
        let world = world(jobs, tasks, messaging);
        live(&world, &batches, |old, changed, position| {
            let changed = without_killed(changed);
            let new = check(old, &changed, position);
            if tasks != TaskScheduler::Colocated {
                check_coverage(&changed, &new);
                check_reasons(&new);
            }
            // Of colocated jobs at the sites where their copies are.
            let most = most_that_stay(&changed, &new, &posts_of(&new));
            assert_eq!(stayed(&changed, &new), most);
            new
        });
    }

    #[test]
    fn the_greedy_give_the_later_nothing_spare_that_the_earlier_can_use(batches in batches()) {
        let mut world = world(JobScheduler::Greedy, TaskScheduler::Balanced, Transport::Aeron);
        world.jobs = ["in:i>out:1-1 out:o:1-3", "in:i>out out:o", "in:i>out:2-2 out:o:1-2"]
            .map(record)
            .into();
        live(&world, &batches, |old, changed, position| {
            let new = check(old, changed, position);
            let full = |job: &JobId| {
                let most = new.record(*job).unwrap().saturation();
                most.is_some_and(|most| new.peer_count(*job) as u64 >= most)
            };
            let running = running(&new);
            for (index, later) in running.iter().enumerate() {
                let least = new.record(*later).unwrap().min_peers();
                let spare = new.peer_count(*later) as u64 > least;
                assert!(!spare || running[..index].iter().all(full));
                assert!(full(later) || new.unassigned().is_empty());
            }
            new
        });
    }

    #[test]
    fn a_colocated_job_has_as_many_copies_as_fit(sites in prop::collection::vec(0..9_usize, 1..5)) {
        let job = JobRecord {
            task_scheduler: TaskScheduler::Colocated,
            ..record("in:i>f f:f>out out:o")
        };
        let member = |site: usize| Member { site: Site(site.to_string()), ..knowing("") };
        let places = sites.iter().enumerate().flat_map(|(site, size)| vec![site; *size]);
        let mut replica = Replica::default();
        let membership = Arc::make_mut(&mut replica.membership);
        for (number, site) in (0..).zip(places) {
            membership.found(PeerId(Uuid::from_u128(number * 7919 % 1009)), member(site));
        }
        let id = job_id(0);
        Arc::make_mut(&mut replica.jobs).submit(id, job);
        let new = reallocate(&replica, LogPosition(0));
        let copies: usize = sites.iter().map(|size| size / 3).sum();
        prop_assert_eq!(new.peer_count(id), copies * 3);
    }
}
