//! A log of real shape, made by the functions that nodes run: peers join through each other, jobs
//! are submitted and run, peers leave and return under other ids, jobs complete and others follow.

use onyx::ids::{EntrySource, GroupId, IdSource, JobId, LogPosition, PeerId, SlotId, WriterId};
use onyx::job::TaskKind;
use onyx::log::commands::{
    Command, ExhaustInput, LeaveCluster, PrepareJoinCluster, SealTask, SlotWord, SubmitJob,
    SubmittedJob,
};
use onyx::log::wants::{LocalFacts, RunningTask, TaskPhase, wants};
use onyx::log::{Entry, PeerContext, Step, step};
use onyx::replica::{Allocation, Member, Replica, Site, TaskRecord};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TASKS: [&str; 5] = ["read", "parse", "enrich", "count", "write"];

/// The log so far, and what it came to.
pub(crate) struct Recorder {
    pub(crate) entries: Vec<Entry>,
    /// How long each entry took to apply.
    pub(crate) times: Vec<Duration>,
    pub(crate) replica: Arc<Replica>,
    ids: IdSource,
    member: Member,
    sequences: BTreeMap<WriterId, u64>,
    client: WriterId,
    /// The order in which peers come and go.
    peers: VecDeque<PeerId>,
    jobs: VecDeque<JobId>,
}

impl Recorder {
    pub(crate) fn new(seed: u64) -> Self {
        let mut ids = IdSource::from_seed(seed);
        Recorder {
            entries: Vec::new(),
            times: Vec::new(),
            replica: Arc::default(),
            member: Member {
                group: GroupId(ids.uuid()),
                node: Default::default(),
                site: Site("here".into()),
                words: Arc::default(),
                tags: Arc::default(),
            },
            sequences: BTreeMap::new(),
            client: WriterId(ids.uuid()),
            peers: VecDeque::new(),
            jobs: VecDeque::new(),
            ids,
        }
    }

    /// So many peers join, and so many jobs are submitted.
    pub(crate) fn begin(&mut self, peers: usize, jobs: usize) {
        (0..peers).for_each(|_| self.join());
        (0..jobs).for_each(|_| self.submit());
        assert_eq!(self.replica.membership.peers.len(), peers, "all are joined");
        assert_eq!(self.replica.allocations.len(), jobs, "all jobs run");
    }

    /// Peers leave and return and jobs complete and follow, until there are so many entries.
    pub(crate) fn live(&mut self, entries: usize) {
        while self.entries.len() < entries {
            for _ in 0..5 {
                self.leave();
                self.join();
            }
            self.complete();
            self.submit();
        }
    }

    fn context(&self, me: PeerId) -> PeerContext {
        PeerContext {
            me,
            member: self.member.clone(),
        }
    }

    fn append(&mut self, writer: WriterId, command: Command) -> Step {
        let sequence = self.sequences.entry(writer).or_default();
        *sequence += 1;
        let source = EntrySource {
            writer,
            sequence: *sequence,
        };
        let entry = Entry {
            source: Some(source),
            entry_parent: None,
            written_at_ms: None,
            command,
        };
        let position = LogPosition(self.entries.len() as u64);
        self.entries.push(entry.clone());
        let old = Arc::clone(&self.replica);
        let start = Instant::now();
        let step = step(position, Ok(entry), old);
        self.times.push(start.elapsed());
        assert_eq!(step.ignored, None, "every entry of the log counts");
        self.replica = Arc::clone(&step.new);
        step
    }

    /// Three entries: by the joiner, by its observer, by the joiner.
    fn join(&mut self) {
        let joiner = self.ids.peer();
        let member = self.member.clone();
        let prepare = Command::PrepareJoinCluster(PrepareJoinCluster { joiner, member });
        let mut step = self.append(joiner.into(), prepare);
        while let Some(observer) = self.replica.membership.observer_of(joiner) {
            let answers = [observer, joiner].map(|peer| {
                let answers = step.reactions(&self.context(peer));
                (peer, answers)
            });
            let answer = answers.into_iter().find_map(|(peer, answers)| {
                answers.into_iter().next().map(|answer| (peer, answer))
            });
            let (peer, answer) = answer.expect("somebody goes on with the join");
            step = self.append(peer.into(), answer);
        }
        self.peers.push_back(joiner);
        self.get_ready();
    }

    /// The peer that has been there for longest.
    fn leave(&mut self) {
        if let Some(peer) = self.peers.pop_front() {
            let leave = Command::LeaveCluster(LeaveCluster::of(peer));
            self.append(self.client, leave);
            self.get_ready();
        }
    }

    fn submit(&mut self) {
        let id = self.ids.job();
        let task = |(index, name): (usize, &&str)| {
            let kind = match index {
                0 => TaskKind::Input,
                4 => TaskKind::Output,
                _ => TaskKind::Function,
            };
            let next = TASKS.get(index + 1).map(|next| (*next).into());
            let most = (kind == TaskKind::Input).then_some(2);
            TaskRecord {
                max_peers: most,
                ..TaskRecord::new(*name, kind, next.into_iter().collect())
            }
        };
        let tasks = TASKS.iter().enumerate().map(task).collect();
        let job = SubmittedJob::new("recorded", tasks);
        self.append(self.client, Command::SubmitJob(SubmitJob { id, job }));
        self.jobs.push_back(id);
        self.get_ready();
    }

    /// Everybody whose place is new says that it can receive.
    fn get_ready(&mut self) {
        let allocations = self.replica.allocations.values();
        let not_ready = |allocation: &Arc<Allocation>| {
            let ready = allocation.ready.clone();
            let peers: Vec<PeerId> = allocation.peers().collect();
            peers.into_iter().filter(move |peer| !ready.contains(peer))
        };
        let waiting: Vec<PeerId> = allocations.flat_map(not_ready).collect();
        for peer in waiting {
            let Some(place) = self.replica.assignment_of(peer) else {
                continue;
            };
            let running = RunningTask {
                job: place.job,
                task: place.task,
                slot: place.slot,
                phase: TaskPhase::Ready,
            };
            let facts = LocalFacts {
                running: Some(running),
            };
            for owed in wants(&self.replica, &self.context(peer), &facts).owes {
                self.append(peer.into(), owed);
            }
        }
    }

    /// The job that was submitted first reads its last and seals its outputs.
    fn complete(&mut self) {
        let Some(job) = self.jobs.pop_front() else {
            return;
        };
        for (slot, id, version) in self.slots(job, TASKS[0]) {
            let task = TASKS[0].into();
            let exhaust = ExhaustInput(SlotWord {
                job,
                task,
                slot,
                version,
                id: Some(id),
            });
            self.append(id.into(), Command::ExhaustInput(exhaust));
        }
        for (slot, id, version) in self.slots(job, TASKS[4]) {
            let task = TASKS[4].into();
            let seal = SealTask(SlotWord {
                job,
                task,
                slot,
                version,
                id: Some(id),
            });
            self.append(id.into(), Command::SealTask(seal));
        }
        assert!(!self.replica.jobs.is_live(job), "the job has completed");
        self.get_ready();
    }

    fn slots(&self, job: JobId, task: &str) -> Vec<(SlotId, PeerId, LogPosition)> {
        let allocation = &self.replica.allocations[&job];
        let slots = allocation.tasks[&task.into()].iter();
        slots
            .map(|(slot, peer)| (*slot, *peer, allocation.version))
            .collect()
    }
}
