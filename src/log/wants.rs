//! What a peer wants, derived from the replica after every step and every jump. Whoever acts on it
//! compares it with what it has: watches first, then what is written in answer to the entry.

use super::PeerContext;
use super::commands::{
    AcceptJoinCluster, Command, ExhaustInput, NotifyJoinCluster, PrepareJoinCluster, SealTask,
    SignalReady, SlotWord,
};
use crate::ids::{AllocationVersion, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::job::{Sends, TaskKind, TaskScheduler};
use crate::replica::{Allocation, JobRecord, Membership, Place, Progress, Replica, Site};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a peer should have, watch, run and say, given a replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Wants {
    /// Where it stands.
    pub standing: Standing,
    /// Whose pulses to watch.
    pub watches: BTreeSet<PeerId>,
    /// The task to run.
    pub task: Option<Assignment>,
    /// What it owes the log: ready, exhaust and seal. Owed again after every step until the replica
    /// has it; an equal command that was written already is on its way and need not be repeated.
    pub owes: Vec<Command>,
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not in the replica: before its join, between two attempts, or removed.
    Outside,
    /// Prepared or accepted: the outbox lets only the join and leaves pass.
    Joining,
    /// A member: the outbox is open.
    Joined,
}

/// The place of a peer in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// The job's allocation version; changes without the assignment changing.
    pub version: AllocationVersion,
    /// The allocation's last loss of a peer.
    pub last_loss: Option<LogPosition>,
    /// How many slots the task has. Slots may have gaps; see `rank`.
    pub slots: u32,
    /// Which of the task's slots this is, from 0 and without gaps: an input that is read in parts
    /// reads part `rank` of `slots`.
    pub rank: u32,
    /// All slots of the task that somebody holds.
    pub held: BTreeSet<SlotId>,
    /// Whether this slot reads its medium.
    pub read: Read,
    /// Ready peers of each downstream task, in slot order.
    pub downstream: Vec<(TaskName, Vec<(SlotId, PeerId)>)>,
    /// Who holds a slot of a task that sends to this one.
    pub upstream: BTreeSet<PeerId>,
    /// Whether this output slot should be sealed now.
    pub seal: Seal,
    /// Who keeps the ledgers of the job; none when each source is its own acker. Only inputs ask.
    pub ackers: Vec<PeerId>,
    /// Who holds a slot of any task of the job, or is leaving one. Only inputs ask.
    pub workers: BTreeSet<PeerId>,
    /// Who was moved from a slot of the job and may still be finishing what it had received.
    pub leaving: BTreeSet<PeerId>,
}

/// Whether a slot reads its medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// It is no input, or is exhausted already.
    No,
    /// Not yet: some task of the job has no ready peer.
    Wait,
    /// Every task has one.
    Go,
}

/// Whether a slot should be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Something upstream may still come, or the slot is sealed already, or is no output.
    No,
    /// All that is upstream is exhausted: seal, then say so.
    Now,
}

/// What the peer's own pipeline has done, of which the replica may not know yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalFacts {
    /// The task that runs here, if any.
    pub running: Option<RunningTask>,
}

/// The state of the task that runs on this peer.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningTask {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// How far it is.
    pub phase: TaskPhase,
}

/// How far a running task is. Each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskPhase {
    /// It opens its plugin and inbox.
    Starting,
    /// It can receive.
    Ready,
    /// An input that has read everything, and all of it is acknowledged. When `rank` or `slots`
    /// change before the input as a whole is exhausted, it has another part to read and is ready
    /// again.
    Exhausted,
    /// An output that has sealed its slot.
    Sealed,
}

/// Derives what `me` wants.
pub fn wants(replica: &Replica, me: &PeerContext, facts: &LocalFacts) -> Wants {
    let membership = &replica.membership;
    let standing = standing(membership, me.me);
    let task = match standing {
        Standing::Joined => replica
            .assignment_of(me.me)
            .and_then(|place| assignment(replica, me.me, place)),
        Standing::Outside | Standing::Joining => None,
    };
    let owed = task
        .as_ref()
        .and_then(|assignment| owes(replica, me.me, assignment, facts));
    Wants {
        standing,
        watches: watches(membership, me.me),
        task,
        owes: owed.unwrap_or_default(),
    }
}

/// What a peer does after it jumped from one replica to a later one without reading the entries
/// between them: it has missed their effects and reactions.
#[derive(Clone, Debug, PartialEq)]
pub enum AfterJump {
    /// It was removed, or its join was undone: end this incarnation.
    Restart,
    /// Write its part of a join that is under way, or its own join again. Harmless when it has
    /// written the same before.
    Write(Vec<Command>),
}

/// Derives what `me` has to make up for.
pub fn after_jump(old: &Replica, new: &Replica, me: &PeerContext) -> AfterJump {
    let membership = &new.membership;
    let stood_inside = standing(&old.membership, me.me) != Standing::Outside;
    let mut commands = Vec::new();
    if standing(membership, me.me) == Standing::Outside {
        if stood_inside {
            return AfterJump::Restart;
        }
        let prepare = PrepareJoinCluster {
            joiner: me.me,
            member: me.member.clone(),
        };
        commands.push(Command::PrepareJoinCluster(prepare));
    }
    if let Some(joiner) = membership.prepared.get(&me.me) {
        commands.push(Command::NotifyJoinCluster(NotifyJoinCluster {
            observer: *joiner,
        }));
    }
    if membership.accepted.values().any(|joiner| *joiner == me.me) {
        let accept = AcceptJoinCluster::of(membership, me.me);
        commands.extend(accept.map(Command::AcceptJoinCluster));
    }
    AfterJump::Write(commands)
}

fn standing(membership: &Membership, me: PeerId) -> Standing {
    if membership.is_joining(me) {
        return Standing::Joining;
    }
    match membership.members.contains_key(&me) {
        true => Standing::Joined,
        false => Standing::Outside,
    }
}

/// Whom I watch in the ring, the joiner that I help in, and, while I join, who helps me in and whom
/// I am going to watch: whichever of them dies, somebody who depends on it says so.
fn watches(membership: &Membership, me: PeerId) -> BTreeSet<PeerId> {
    let mine = [
        membership.pairs.get(&me),
        membership.prepared.get(&me),
        membership.accepted.get(&me),
    ];
    let mut watches: BTreeSet<PeerId> = mine.into_iter().flatten().copied().collect();
    if let Some(observer) = membership.observer_of(me) {
        watches.insert(observer);
        watches.extend(membership.pairs.get(&observer));
    }
    watches.remove(&me);
    watches
}

/// The slot that a peer has lost, as it sees it while it finishes what it has received. None when that
/// is for nothing: the job has ended or stands still, or a peer of it was lost, and all is played again.
pub fn parting(replica: &Replica, me: PeerId, lost: &Assignment) -> Option<Assignment> {
    let allocation = replica.allocations.get(&lost.job)?;
    if !allocation.leaving.contains(&me) || allocation.last_loss != lost.last_loss {
        return None;
    }
    let Assignment {
        job,
        ref task,
        slot,
        ..
    } = *lost;
    let task = task.clone();
    let seen = assignment(replica, me, Place { job, task, slot })?;
    Some(Assignment {
        slots: lost.slots,
        rank: lost.rank,
        held: lost.held.clone(),
        // What is given back is sent again as soon as a peer can receive it, also while the successor
        // waits for the slot.
        read: match seen.read {
            Read::No => Read::No,
            Read::Wait | Read::Go => Read::Go,
        },
        seal: Seal::No,
        ..seen
    })
}

fn assignment(replica: &Replica, me: PeerId, place: Place) -> Option<Assignment> {
    let Place { job, task, slot } = place;
    let record = replica.record(job)?;
    let allocation = replica.allocations.get(&job)?;
    let slots = allocation.tasks.get(&task)?;
    let task_record = record.task(&task)?;
    let default = Progress::default();
    let progress = replica
        .progress
        .get(&job)
        .map_or(&default, |progress| progress);
    let reach = Reach::of(replica, record, me);
    let downstream = task_record.downstream.iter();
    let upstream = record
        .upstream(&task)
        .filter_map(|from| allocation.tasks.get(&from.name));
    let workers = allocation.tasks.values().flat_map(|slots| slots.values());
    let workers = workers.chain(&allocation.leaving);
    Some(Assignment {
        job,
        slot,
        version: allocation.version,
        last_loss: allocation.last_loss,
        slots: slots.len() as u32,
        rank: slots.keys().filter(|before| **before < slot).count() as u32,
        held: slots.keys().copied().collect(),
        read: read(task_record.kind, allocation, progress, &task, slot),
        downstream: downstream
            .map(|to| (to.clone(), reach.ready_slots(allocation, to)))
            .collect(),
        upstream: upstream.flat_map(|slots| slots.values().copied()).collect(),
        seal: seal(record, task_record.kind, progress, &task, slot),
        ackers: match task_record.kind {
            TaskKind::Input => allocation.ackers.clone(),
            TaskKind::Function | TaskKind::Output => Vec::new(),
        },
        workers: match task_record.kind {
            TaskKind::Input => workers.copied().collect(),
            TaskKind::Function | TaskKind::Output => BTreeSet::new(),
        },
        leaving: allocation.leaving.clone(),
        task,
    })
}

/// To whom a peer may send.
enum Reach<'a> {
    /// Every peer of the job.
    Job,
    /// Peers at its site, as long as the downstream task has any there.
    Site(&'a Membership, &'a Site),
}

impl<'a> Reach<'a> {
    fn of(replica: &'a Replica, record: &JobRecord, me: PeerId) -> Self {
        let own_copy =
            record.task_scheduler == TaskScheduler::Colocated && record.sends == Sends::Local;
        let membership = replica.membership.as_ref();
        match membership.members.get(&me) {
            Some(member) if own_copy => Reach::Site(membership, &member.site),
            Some(_) | None => Reach::Job,
        }
    }

    fn ready_slots(&self, allocation: &Allocation, to: &TaskName) -> Vec<(SlotId, PeerId)> {
        let ready = allocation.ready_slots(to);
        let Reach::Site(membership, site) = self else {
            return ready;
        };
        let is_here = |peer: &PeerId| {
            let member = membership.members.get(peer);
            member.is_some_and(|member| member.site == **site)
        };
        let all = allocation.tasks.get(to).into_iter().flatten();
        match all.map(|(_, peer)| peer).any(is_here) {
            true => ready
                .into_iter()
                .filter(|(_, peer)| is_here(peer))
                .collect(),
            false => ready,
        }
    }
}

fn read(
    kind: TaskKind,
    allocation: &Allocation,
    progress: &Progress,
    task: &TaskName,
    slot: SlotId,
) -> Read {
    if kind != TaskKind::Input || progress.is_exhausted(task, slot) {
        return Read::No;
    }
    match allocation.is_ready() {
        true => Read::Go,
        false => Read::Wait,
    }
}

fn seal(
    record: &JobRecord,
    kind: TaskKind,
    progress: &Progress,
    task: &TaskName,
    slot: SlotId,
) -> Seal {
    let due = kind == TaskKind::Output
        && !progress.is_sealed(task, slot)
        && progress.nothing_more_comes_to(record, task);
    match due {
        true => Seal::Now,
        false => Seal::No,
    }
}

/// What the running task has reached and the replica does not know, always about the present
/// version: a word about an older one would change nothing.
fn owes(
    replica: &Replica,
    me: PeerId,
    assignment: &Assignment,
    facts: &LocalFacts,
) -> Option<Vec<Command>> {
    let running = facts.running.as_ref()?;
    let Assignment {
        job,
        ref task,
        slot,
        version,
        ..
    } = *assignment;
    if (running.job, &running.task, running.slot) != (job, task, slot) {
        return None;
    }
    let record = replica.record(job)?.task(task)?;
    let is_ready = replica.allocations.get(&job)?.ready.contains(&me);
    let exhausted = replica
        .progress
        .get(&job)
        .is_some_and(|p| p.is_exhausted(task, slot));
    let word = || SlotWord {
        job,
        task: task.clone(),
        slot,
        version,
        id: Some(me),
    };
    let mut owes = Vec::new();
    if running.phase >= TaskPhase::Ready && !is_ready {
        owes.push(Command::SignalReady(SignalReady(word())));
    }
    if running.phase == TaskPhase::Exhausted && record.kind == TaskKind::Input && !exhausted {
        owes.push(Command::ExhaustInput(ExhaustInput(word())));
    }
    if running.phase == TaskPhase::Sealed && assignment.seal == Seal::Now {
        owes.push(Command::SealTask(SealTask(word())));
    }
    Some(owes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, exhaust, me, submit};
    use crate::replica::sample::{job_id, member, peer};
    use std::sync::Arc;

    fn nothing_runs() -> LocalFacts {
        LocalFacts::default()
    }

    fn runs(task: &str, phase: TaskPhase) -> LocalFacts {
        let (job, slot) = (job_id(0), SlotId(0));
        LocalFacts {
            running: Some(RunningTask {
                job,
                task: task.into(),
                slot,
                phase,
            }),
        }
    }

    fn watched_by(cluster: &Cluster, name: &str) -> Vec<PeerId> {
        let wants = wants(&cluster.replica, &me(name), &nothing_runs());
        wants.watches.into_iter().collect()
    }

    #[test]
    fn both_sides_of_a_join_are_watched() {
        let mut cluster = Cluster::of("a b c");
        cluster.membership().prepare(peer("a"), peer("d"), member());
        assert_eq!(watched_by(&cluster, "a"), ["b", "d"].map(peer));
        assert_eq!(watched_by(&cluster, "d"), ["a", "b"].map(peer));
        cluster.membership().promote(peer("a"), peer("d"));
        assert_eq!(watched_by(&cluster, "a"), ["b", "d"].map(peer));
        assert_eq!(watched_by(&cluster, "d"), ["a", "b"].map(peer));
        cluster.membership().stitch(peer("a"), peer("d"));
        assert_eq!(watched_by(&cluster, "a"), ["d"].map(peer));
        assert_eq!(watched_by(&cluster, "d"), ["b"].map(peer));
    }

    #[test]
    fn nobody_watches_itself_or_from_outside() {
        assert_eq!(watched_by(&Cluster::of("a"), "a"), []);
        assert_eq!(watched_by(&Cluster::of("a b"), "z"), []);
    }

    #[test]
    fn standing_follows_the_join() {
        let mut cluster = Cluster::of("a");
        let of = |cluster: &Cluster| wants(&cluster.replica, &me("b"), &nothing_runs()).standing;
        assert_eq!(of(&cluster), Standing::Outside);
        cluster.membership().prepare(peer("a"), peer("b"), member());
        assert_eq!(of(&cluster), Standing::Joining);
        cluster.membership().promote(peer("a"), peer("b"));
        assert_eq!(of(&cluster), Standing::Joining);
        cluster.membership().stitch(peer("a"), peer("b"));
        assert_eq!(of(&cluster), Standing::Joined);
    }

    #[test]
    fn after_a_jump_a_peer_writes_what_it_would_have_answered() {
        let mut cluster = Cluster::of("a b");
        let start = cluster.replica.clone();
        let missed = |new: &Replica, me: &PeerContext| match after_jump(&start, new, me) {
            AfterJump::Write(commands) => commands,
            AfterJump::Restart => panic!("{me:?} was not removed"),
        };
        assert_eq!(missed(&cluster.replica, &me("a")), []);
        let prepare = PrepareJoinCluster {
            joiner: peer("c"),
            member: member(),
        };
        let prepare = Command::PrepareJoinCluster(prepare);
        assert_eq!(
            missed(&cluster.replica, &me("c")),
            std::slice::from_ref(&prepare)
        );
        let step = cluster.run(prepare);
        let observer = step.new.membership.observer_of(peer("c")).unwrap();
        let observer = PeerContext {
            me: observer,
            member: member(),
        };
        let notify = missed(&cluster.replica, &observer);
        assert_eq!(notify, step.reactions(&observer));
        let step = cluster.run(notify[0].clone());
        assert_eq!(missed(&cluster.replica, &me("c")), step.reactions(&me("c")));
    }

    #[test]
    fn after_a_jump_over_its_own_leave_a_peer_restarts() {
        let mut cluster = Cluster::of("a b");
        let start = cluster.replica.clone();
        cluster.membership().remove(peer("b"));
        assert_eq!(
            after_jump(&start, &cluster.replica, &me("b")),
            AfterJump::Restart
        );
    }

    #[test]
    fn inputs_wait_for_the_job_and_send_to_ready_peers_only() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>out:1-1 out:o"));
        let task = |cluster: &Cluster, facts: LocalFacts| wants(&cluster.replica, &me("a"), &facts);
        let before = task(&cluster, runs("in", TaskPhase::Ready));
        assert_eq!(before.task.as_ref().unwrap().read, Read::Wait);
        assert_eq!(
            before.task.as_ref().unwrap().downstream,
            [("out".into(), vec![])]
        );
        cluster.run(before.owes[0].clone());
        let out = wants(&cluster.replica, &me("b"), &runs("out", TaskPhase::Ready));
        assert_eq!(
            (
                out.task.as_ref().unwrap().slots,
                out.task.as_ref().unwrap().rank
            ),
            (2, 0)
        );
        cluster.run(out.owes[0].clone());
        let after = task(&cluster, runs("in", TaskPhase::Ready));
        assert_eq!(after.owes, []);
        assert_eq!(after.task.as_ref().unwrap().read, Read::Go);
        let ready = vec![(SlotId(0), peer("b"))];
        assert_eq!(after.task.unwrap().downstream, [("out".into(), ready)]);
    }

    #[test]
    fn a_copy_of_a_colocated_job_keeps_to_itself_unless_it_says_otherwise() {
        let sends_to = |sends: Sends| {
            let mut cluster = Cluster::of("a b c d");
            for (name, site) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")] {
                let member = cluster.membership().members.get_mut(&peer(name)).unwrap();
                member.site = Site(site.into());
            }
            let Command::SubmitJob(mut job) = submit(0, "in:i>out out:o") else {
                panic!("it is a submission")
            };
            job.job.task_scheduler = TaskScheduler::Colocated;
            job.job.sends = sends;
            cluster.run(Command::SubmitJob(job));
            for name in ["a", "b", "c", "d"] {
                let place = cluster.replica.assignment_of(peer(name)).unwrap();
                let running = RunningTask {
                    job: place.job,
                    task: place.task,
                    slot: place.slot,
                    phase: TaskPhase::Ready,
                };
                let running = Some(running);
                let owed = wants(&cluster.replica, &me(name), &LocalFacts { running }).owes;
                cluster.run(owed[0].clone());
            }
            let of_inputs = ["a", "b", "c", "d"].map(|name| {
                let task = wants(&cluster.replica, &me(name), &nothing_runs())
                    .task
                    .unwrap();
                let slots = task.downstream.into_iter().flat_map(|(_, slots)| slots);
                let site = |peer| cluster.replica.membership.members[&peer].site.0.clone();
                slots.map(|(_, to)| site(to)).collect::<String>()
            });
            of_inputs.join(" ")
        };
        assert_eq!(sends_to(Sends::Local), "x  y ");
        assert_eq!(sends_to(Sends::Anywhere), "xy  xy ");
    }

    #[test]
    fn who_has_lost_its_slot_sees_the_job_until_it_ends_or_loses_a_peer() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1"));
        let of = |cluster: &Cluster| {
            let wants = wants(&cluster.replica, &me("a"), &nothing_runs());
            wants.task.unwrap()
        };
        let held = of(&cluster);
        assert_eq!(parting(&cluster.replica, peer("a"), &held), None);
        let change = |cluster: &mut Cluster, change: &dyn Fn(&mut Allocation)| {
            let allocations = &mut Arc::make_mut(&mut cluster.replica).allocations;
            let allocation = Arc::make_mut(allocations).get_mut(&job_id(0)).unwrap();
            change(Arc::make_mut(allocation));
        };
        change(&mut cluster, &|allocation| {
            let slots = [(SlotId(0), peer("c"))];
            allocation.tasks.insert("in".into(), slots.into());
            allocation.leaving.insert(peer("a"));
        });
        let seen = parting(&cluster.replica, peer("a"), &held).unwrap();
        assert_eq!((seen.read, seen.rank, seen.slots), (Read::Go, 0, 1));
        assert_eq!(seen.workers, ["a", "b", "c"].map(peer).into());
        let lost = &|allocation: &mut Allocation| allocation.last_loss = Some(LogPosition(9));
        change(&mut cluster, lost);
        assert_eq!(parting(&cluster.replica, peer("a"), &held), None);
    }

    #[test]
    fn exhaust_and_seal_are_owed_until_the_replica_has_them() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        let owed = wants(
            &cluster.replica,
            &me("a"),
            &runs("in", TaskPhase::Exhausted),
        )
        .owes;
        assert_eq!(owed.len(), 2);
        assert_eq!(owed[1], exhaust(&cluster, 0, "in", 0));
        for command in owed {
            cluster.run(command);
        }
        let input = wants(
            &cluster.replica,
            &me("a"),
            &runs("in", TaskPhase::Exhausted),
        );
        assert_eq!((input.owes, input.task.unwrap().read), (vec![], Read::No));
        let output = wants(&cluster.replica, &me("b"), &runs("out", TaskPhase::Ready));
        assert_eq!(output.task.unwrap().seal, Seal::Now);
        let sealed = wants(&cluster.replica, &me("b"), &runs("out", TaskPhase::Sealed));
        assert_eq!(sealed.owes.len(), 2);
        for command in sealed.owes {
            cluster.run(command);
        }
        assert_eq!(cluster.replica.jobs.completed, [job_id(0)]);
    }

    #[test]
    fn outputs_alone_are_to_be_sealed_each_once_and_after_everything_was_read() {
        const PEERS: [&str; 4] = ["a", "b", "c", "d"];
        let mut cluster = Cluster::of(&PEERS.join(" "));
        cluster.run(submit(0, "in:i>f f:f>o,p o:o p:o"));
        let to_seal = |cluster: &Cluster| {
            let task = |name| {
                wants(&cluster.replica, &me(name), &nothing_runs())
                    .task
                    .unwrap()
            };
            let due = PEERS
                .map(task)
                .into_iter()
                .filter(|task| task.seal == Seal::Now);
            due.map(|task| task.task.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(to_seal(&cluster), [""; 0]);
        for (task, phase) in [
            ("in", TaskPhase::Exhausted),
            ("f", TaskPhase::Ready),
            ("o", TaskPhase::Ready),
            ("p", TaskPhase::Ready),
        ] {
            reaches(&mut cluster, task, phase);
        }
        assert_eq!(to_seal(&cluster), ["o", "p"]);
        reaches(&mut cluster, "o", TaskPhase::Sealed);
        assert_eq!(to_seal(&cluster), ["p"]);
    }

    /// Whoever has a task writes what it owes when the task has come so far.
    fn reaches(cluster: &mut Cluster, task: &str, phase: TaskPhase) {
        let slots = &cluster.replica.allocations[&job_id(0)].tasks[&task.into()];
        let me = PeerContext {
            me: slots[&SlotId(0)],
            member: member(),
        };
        for owed in wants(&cluster.replica, &me, &runs(task, phase)).owes {
            cluster.run(owed);
        }
    }

    #[test]
    fn what_runs_elsewhere_owes_nothing() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        let elsewhere = wants(&cluster.replica, &me("a"), &runs("out", TaskPhase::Sealed));
        assert_eq!(elsewhere.owes, []);
    }
}
