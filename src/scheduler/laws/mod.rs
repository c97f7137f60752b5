//! Laws of the scheduler, against slow but plain answers to the same questions.

mod examples;
mod sharing;

use super::{Explanation, explain, reallocate};
use crate::ids::{JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::replica::invariants::violations;
use crate::replica::sample::{job_id, knowing, peer, record};
use crate::replica::{Agreed, JobRecord, JobState, Member, Outcome, Replica, TaskRecord};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const JOBS: [&str; 6] = [
    "in:i>out:1-1 out:o:1-1",
    "in:i>out:1-2 out:o:1-3",
    "in:i>f f:f>out out:o",
    "in:i>out:2- out:o:2-2",
    "in:i>f f:f>out!fn:x out:o:1-2!fn:y",
    "in:i>f:1-2!fn:x f:f>out:2-!fn:y out:o:1-1!fn:x",
];
const WORDS: [&str; 4] = ["", "fn:x", "fn:y", "fn:x fn:y"];

/// What can be submitted, who can join, and what was agreed on.
struct World {
    agreed: Agreed,
    jobs: Vec<JobRecord>,
    members: Vec<Member>,
}

fn world(jobs: &[&str], words: &[&str]) -> World {
    World {
        agreed: Agreed::default(),
        jobs: jobs.iter().map(|tasks| record(tasks)).collect(),
        members: words.iter().map(|words| knowing(words)).collect(),
    }
}

#[derive(Clone, Debug)]
enum Event {
    Join { kind: usize },
    Leave { index: usize },
    Submit { job: usize },
    End { index: usize },
}

fn batches() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let event = prop_oneof![
        4 => (0..16usize).prop_map(|kind| Event::Join { kind }),
        2 => (0..8usize).prop_map(|index| Event::Leave { index }),
        2 => (0..16usize).prop_map(|job| Event::Submit { job }),
        1 => (0..8usize).prop_map(|index| Event::End { index }),
    ];
    vec(vec(event, 1..6), 0..12)
}

/// What an event makes of a replica, before peers are shared anew; the ring is always whole.
fn happen(world: &World, replica: &Replica, event: &Event, number: usize) -> Replica {
    let mut new = replica.clone();
    let peers = &replica.membership.peers;
    match event {
        Event::Join { .. } if peers.len() >= 7 => {}
        Event::Join { kind } => {
            // Ids do not grow with time, as random ones do not.
            let name = format!("{}{number}", char::from(b'a' + (number * 7 % 26) as u8));
            let membership = Arc::make_mut(&mut new.membership);
            membership.peers.push(peer(&name));
            let member = world.members[kind % world.members.len()].clone();
            membership.members.insert(peer(&name), member);
        }
        Event::Leave { index } => {
            if let Some(gone) = peers.get(*index) {
                Arc::make_mut(&mut new.membership).remove(*gone);
            }
        }
        Event::Submit { .. } if replica.jobs.live.len() >= 4 => {}
        Event::Submit { job } => {
            let id = job_id((number * 11 % 64) as u32);
            if !replica.jobs.is_known(id) {
                let record = world.jobs[job % world.jobs.len()].clone();
                Arc::make_mut(&mut new.jobs).submit(id, record);
            }
        }
        Event::End { index } => {
            if let Some(job) = replica.jobs.live.get(*index) {
                Arc::make_mut(&mut new.jobs).finish(*job, Outcome::Killed, LogPosition(0));
                Arc::make_mut(&mut new.allocations).remove(job);
            }
        }
    }
    let membership = Arc::make_mut(&mut new.membership);
    let next = membership.peers.iter().cycle().skip(1);
    let pairs = membership.peers.iter().copied().zip(next.copied());
    membership.pairs = pairs.filter(|(from, to)| from != to).collect();
    new
}

fn running(replica: &Replica) -> Vec<JobId> {
    let live = replica.jobs.live.iter().copied();
    live.filter(|job| replica.job_state(*job) == Some(JobState::Running))
        .collect()
}

/// Those of the running jobs that have not lost all their peers.
fn still_there(replica: &Replica) -> Vec<JobId> {
    let mut running = running(replica);
    let members = &replica.membership.members;
    running.retain(|job| {
        let mut peers = replica.allocations[job].peers();
        peers.any(|peer| members.contains_key(&peer))
    });
    running
}

fn needs(replica: &Replica, job: JobId) -> u64 {
    replica.record(job).unwrap().min_peers()
}

/// Whether the minima of these jobs can be met together: one place after another finds a peer,
/// others make room.
fn can_cover(replica: &Replica, jobs: &[JobId]) -> bool {
    let tasks = jobs
        .iter()
        .flat_map(|job| &replica.record(*job).unwrap().tasks);
    let places = tasks.flat_map(|task| vec![task; task.min_peers as usize]);
    let places: Vec<&TaskRecord> = places.collect();
    let mut taken = BTreeMap::new();
    (0..places.len()).all(|place| {
        let mut tried = Vec::new();
        finds_peer(replica, &places, place, &mut tried, &mut taken)
    })
}

fn finds_peer(
    replica: &Replica,
    places: &[&TaskRecord],
    place: usize,
    tried: &mut Vec<PeerId>,
    taken: &mut BTreeMap<PeerId, usize>,
) -> bool {
    for peer in &replica.membership.peers {
        let knows = places[place]
            .words
            .is_subset(&replica.membership.members[peer].words);
        if !knows || tried.contains(peer) {
            continue;
        }
        tried.push(*peer);
        let holder = taken.get(peer).copied();
        if holder.is_none_or(|holder| finds_peer(replica, places, holder, tried, taken)) {
            taken.insert(*peer, place);
            return true;
        }
    }
    false
}

/// The most jobs of a list whose needs fit into so many peers, tried one set after another.
fn most_that_fit(needs: &[u64], peers: u64) -> usize {
    let sets = 0..1u32 << needs.len();
    let fits = sets.filter(|set| {
        let chosen = needs
            .iter()
            .enumerate()
            .filter(|(index, _)| set >> index & 1 == 1);
        chosen.map(|(_, needs)| needs).sum::<u64>() <= peers
    });
    fits.map(u32::count_ones).max().unwrap_or(0) as usize
}

type Counts = Vec<((JobId, TaskName), usize)>;

/// The most peers that can stay at their task when the tasks are to have these counts, tried one
/// peer after another.
fn most_that_stay(old: &Replica, new: &Replica, counts: &Counts) -> usize {
    let mut best: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    best.insert(counts.iter().map(|(_, count)| *count).collect(), 0);
    for peer in &new.membership.peers {
        let words = &new.membership.members[peer].words;
        let held = old
            .assignment_of(*peer)
            .map(|place| (place.job, place.task));
        let mut next = best.clone();
        for (missing, stayed) in &best {
            for (index, ((job, task), _)) in counts.iter().enumerate() {
                let needed = &new.record(*job).unwrap().task(task).unwrap().words;
                if missing[index] == 0 || !needed.is_subset(words) {
                    continue;
                }
                let mut missing = missing.clone();
                missing[index] -= 1;
                let stays = held.as_ref() == Some(&(*job, task.clone()));
                let most = next.entry(missing).or_default();
                *most = (*most).max(stayed + usize::from(stays));
            }
        }
        best = next;
    }
    best[&vec![0; counts.len()]]
}

fn counts_of(replica: &Replica) -> Counts {
    let jobs = replica.allocations.keys().copied();
    let tasks = jobs.flat_map(|job| {
        let counts = replica.task_counts(job).into_iter();
        counts.map(move |(task, count)| ((job, task), count))
    });
    tasks.collect()
}

fn stayed(old: &Replica, new: &Replica) -> usize {
    let peers = new.membership.peers.iter();
    let task = |place: crate::replica::Place| (place.job, place.task);
    let same = peers.filter(|peer| {
        let before = old.assignment_of(**peer).map(task);
        before.is_some() && before == new.assignment_of(**peer).map(task)
    });
    same.count()
}

/// Everything that the scheduler promises of one reallocation.
fn check(old: &Replica, changed: &Replica, position: LogPosition) -> Replica {
    let new = reallocate(changed, position);
    let found = violations(&new, position);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        reallocate(&new, position.next()),
        new,
        "it moves though nothing changed"
    );
    let runs = running(&new);
    let mut kept = Vec::new();
    for job in still_there(changed) {
        let with: Vec<JobId> = kept.iter().copied().chain([job]).collect();
        let expected = can_cover(changed, &with);
        assert_eq!(
            runs.contains(&job),
            expected,
            "running jobs keep their coverage in order"
        );
        if expected {
            kept = with;
        }
    }
    for job in new.jobs.live.iter().filter(|job| !runs.contains(job)) {
        let with: Vec<JobId> = runs.iter().chain([job]).copied().collect();
        assert!(!can_cover(&new, &with), "{job} could run as well");
        assert!(!matches!(explain(&new, *job), Explanation::Allocated(_)));
    }
    assert_eq!(
        stayed(changed, &new),
        most_that_stay(changed, &new, &counts_of(&new))
    );
    check_slots(old, &new, position);
    new
}

/// Who stays at a task keeps the slot; versions tell of every change, and losses of every death.
fn check_slots(old: &Replica, new: &Replica, position: LogPosition) {
    for peer in &new.membership.peers {
        let (Some(before), Some(after)) = (old.assignment_of(*peer), new.assignment_of(*peer))
        else {
            continue;
        };
        if (&before.job, &before.task) == (&after.job, &after.task) {
            assert_eq!(before.slot, after.slot);
        }
    }
    for (job, allocation) in new.allocations.iter() {
        let Some(before) = old.allocations.get(job) else {
            continue;
        };
        let is_same = before.tasks == allocation.tasks;
        assert_eq!(is_same, before.version == allocation.version);
        let holds =
            |(task, slot): (&TaskName, SlotId), peer| allocation.holder(task, slot) == Some(peer);
        let slots = before
            .tasks
            .iter()
            .flat_map(|(task, slots)| slots.iter().map(move |(slot, peer)| ((task, *slot), *peer)));
        let moved = slots.filter(|(at, peer)| !holds(*at, *peer));
        let moved = moved.map(|(_, peer)| peer).chain(before.leaving.clone());
        let (leaving, lost): (BTreeSet<PeerId>, BTreeSet<PeerId>) =
            moved.partition(|peer| new.membership.peers.contains(peer));
        let expected = if lost.is_empty() {
            before.last_loss
        } else {
            Some(position)
        };
        assert_eq!(allocation.last_loss, expected);
        assert_eq!(allocation.leaving, leaving);
    }
}

/// Shares peers anew after every batch of events.
fn live(
    world: &World,
    batches: &[Vec<Event>],
    mut check: impl FnMut(&Replica, &Replica, LogPosition) -> Replica,
) {
    let mut replica = Replica {
        agreed: world.agreed,
        ..Replica::default()
    };
    let mut number = 0;
    for (position, batch) in batches.iter().enumerate() {
        let mut changed = replica.clone();
        for event in batch {
            changed = happen(world, &changed, event, number);
            number += 1;
        }
        replica = check(&replica, &changed, LogPosition(position as u64));
    }
}

/// Nobody has spare peers while another that could use them has fewer; and no peer idles that
/// somebody could use.
fn check_fairness(new: &Replica) {
    let saturation = |job: &JobId| new.record(*job).unwrap().saturation().unwrap_or(u64::MAX);
    let runs = running(new);
    let could_grow = |job: &&JobId| (new.peer_count(**job) as u64) < saturation(job);
    for poor in runs.iter().filter(could_grow) {
        assert!(
            new.unassigned().is_empty(),
            "peers idle that {poor} could use"
        );
        for rich in &runs {
            let (has, other) = (new.peer_count(*rich), new.peer_count(*poor));
            let has_spare = has as u64 > needs(new, *rich);
            assert!(
                !has_spare || has <= other + 1,
                "{rich} has {has}, {poor} {other}"
            );
        }
    }
}

proptest! {
    #[test]
    fn every_reallocation_keeps_its_promises(
        batches in batches(),
    ) {
        live(&world(&JOBS, &WORDS), &batches, check);
    }

    #[test]
    fn without_words_as_many_jobs_as_possible_run_and_share_fairly(
        batches in batches(),
    ) {
        live(&world(&JOBS[..4], &WORDS), &batches, |old, changed, position| {
            let new = check(old, changed, position);
            let before = still_there(changed);
            let kept: Vec<JobId> =
                running(&new).into_iter().filter(|job| before.contains(job)).collect();
            let taken: u64 = kept.iter().map(|job| needs(&new, *job)).sum();
            let waiting = new.jobs.live.iter().filter(|job| !before.contains(job));
            let waiting: Vec<u64> = waiting.map(|job| needs(&new, *job)).collect();
            let free = new.membership.peers.len() as u64 - taken;
            let started = running(&new).len() - kept.len();
            assert_eq!(started, most_that_fit(&waiting, free));
            check_fairness(&new);
            new
        });
    }
}
