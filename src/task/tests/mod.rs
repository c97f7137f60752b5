//! Tasks without any actor: `in>work>out` by hand, over the transport within one process.

mod broken_links;
mod inputs;
mod leases;
mod leaving;
mod outputs;
mod roots;
mod stations;
mod workers;

use super::beat::Beat;
use super::phases::PHASES;
use super::*;
use crate::acking::{Cause, Completions, Ledger, Progress, Reach, Retries};
use crate::clock::Clock;
use crate::coordination::memory::MemoryServer;
use crate::coordination::{Coordination, SessionLease, write_job};
use crate::functions::{FunctionContext, FunctionError, TaskFunction};
use crate::ids::{IdSource, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::job::vocabulary::Signature;
use crate::job::{Job, Task, TaskKind};
use crate::log::wants::{Assignment, Read, Seal};
use crate::messaging::{Inbox, InboxKind, LocalTransport, Message, Transport};
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use counters::{Counters, TaskFigures};
use registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// A job, the peers of its tasks, and what the source's acking daemon would keep.
struct Rig {
    services: TaskServices,
    transport: LocalTransport,
    job: JobId,
    /// What the source's acking daemon gets.
    acks: Inbox,
    ledger: Ledger,
    _server: MemoryServer,
}

const LONGER_THAN_A_TEST: Duration = Duration::from_secs(3_600);

/// The peer that runs a task.
fn peer(task: &str) -> PeerId {
    IdSource::from_seed(task.len() as u64).peer()
}

fn declared() -> Job {
    Job {
        name: "line".into(),
        workflow: vec![("in".into(), "work".into()), ("work".into(), "out".into())],
        catalog: vec![
            Task {
                plugin: Some("list".into()),
                ..Task::new("in", TaskKind::Input)
            },
            Task::new("work", TaskKind::Function),
            Task {
                plugin: Some("keep".into()),
                ..Task::new("out", TaskKind::Output)
            },
        ],
        ..Job::new("", [], [])
    }
}

impl Rig {
    /// The job, after changes, with what it can name.
    async fn new(registry: Registry, change: impl FnOnce(&mut Job)) -> Self {
        let mut job = declared();
        change(&mut job);
        let (server, transport) = (MemoryServer::default(), LocalTransport::new());
        let session: Arc<dyn Coordination> = Arc::new(server.connect());
        let id = IdSource::from_seed(1).job();
        write_job(&*session, id, &job).await.unwrap();
        let acks = transport
            .open_inbox(peer("in"), InboxKind::Acker, 1_000)
            .unwrap();
        let clock = Clock::start();
        let lease = SessionLease::unproved(clock);
        lease.extend(clock.now(), LONGER_THAN_A_TEST);
        let services = TaskServices {
            session,
            lease,
            transport: Arc::new(transport.clone()),
            registry: Arc::new(registry),
            counters: Counters::default(),
            traces: traces::Traces::one_in(3),
            clock,
            inbox_batches: 4,
            beat: Beat::default(),
            stop: StopFlag::default(),
        };
        let ledger = Ledger::default();
        Rig {
            services,
            transport,
            job: id,
            acks,
            ledger,
            _server: server,
        }
    }

    fn assignment(&self, task: &str) -> Assignment {
        let downstream = match task {
            "in" => vec![("work".into(), vec![(SlotId(0), peer("work"))])],
            "work" => vec![("out".into(), vec![(SlotId(0), peer("out"))])],
            _ => vec![],
        };
        let upstream = match task {
            "in" => None,
            "work" => Some(peer("in")),
            _ => Some(peer("work")),
        };
        Assignment {
            job: self.job,
            task: task.into(),
            slot: SlotId(0),
            version: LogPosition(7),
            last_loss: None,
            slots: 1,
            rank: 0,
            held: [SlotId(0)].into(),
            read: if task == "in" { Read::Go } else { Read::No },
            downstream,
            upstream: upstream.into_iter().collect(),
            seal: Seal::No,
            ackers: Vec::new(),
            // The test answers for all of them.
            workers: [peer("in")].into(),
            leaving: [].into(),
        }
    }

    async fn start(&self, task: &str) -> TaskRun {
        self.try_start(task).await.unwrap()
    }

    /// `in`, `work` and `out`, each of which finds the next one there.
    async fn start_all(&self) -> [TaskRun; 3] {
        let write = self.start("out").await;
        let work = self.start("work").await;
        [self.start("in").await, work, write]
    }

    async fn try_start(&self, task: &str) -> Result<TaskRun, StartFailed> {
        TaskRun::start(&self.services, peer(task), self.assignment(task), 1, 42).await
    }

    /// Opens the inbox of a task that a test plays itself.
    fn plays(&self, task: &str) -> Inbox {
        self.transport
            .open_inbox(peer(task), InboxKind::Task, 100)
            .unwrap()
    }

    /// Sends a message to the task of a peer.
    fn send(&self, task: &str, message: Message) {
        let mut link = self.transport.link(peer(task), InboxKind::Task).unwrap();
        link.try_send(message).unwrap();
    }

    /// Applies what the source's acking daemon has got. The roots that are complete now.
    fn complete(&mut self) -> Vec<u64> {
        let mut completed = Vec::new();
        let now = self.services.clock.now();
        while let Some(message) = self.acks.try_next() {
            match message {
                Message::Acks(acks) => {
                    self.ledger.apply(&acks, now, &mut completed);
                }
                Message::Inquiry(inquiry) => {
                    let (source, epoch) = (inquiry.source, inquiry.epoch);
                    let mut alive = self.ledger.moving(&inquiry, now);
                    for task in ["work", "out"] {
                        let of = (source, epoch);
                        alive.extend(self.transport.held(peer(task), of, &inquiry.roots));
                    }
                    self.send(
                        "in",
                        Message::Progress(Progress {
                            source,
                            epoch,
                            number: inquiry.number,
                            by: peer("in"),
                            alive,
                        }),
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        completed
            .into_iter()
            .flat_map(|completions| completions.roots)
            .collect()
    }

    /// A turn, whatever it asks, and what it waits for.
    async fn turn_and_answer(&mut self, run: &mut TaskRun) {
        if let Turn::Wait(wait) = run.turn().unwrap() {
            self.settle();
            run.wait(wait).await;
        }
    }

    /// What became of all that was read.
    fn account(&self) -> counters::Account {
        self.figures("in").account()
    }

    /// The same, told to the source.
    fn settle(&mut self) {
        let roots = self.complete();
        if !roots.is_empty() {
            let done = Completions {
                source: peer("in"),
                epoch: 1,
                reach: Reach::Written,
                roots,
            };
            self.send("in", Message::Completions(done));
        }
    }

    fn figures(&self, task: &str) -> TaskFigures {
        let task: TaskName = task.into();
        self.services
            .counters
            .figures(self.job)
            .get(&task)
            .copied()
            .unwrap_or_default()
    }
}

/// Takes turns until there is nothing to do. How many batches went through.
fn work_off(run: &mut TaskRun) -> usize {
    let mut batches = 0;
    for _ in 0..1_000 {
        match run.turn().unwrap() {
            Turn::Worked => batches += 1,
            // They would wait for no more than a millisecond.
            Turn::Wait(_) if run.context.acks.due().is_some() => run.context.send_acks(),
            Turn::Wait(_) => break,
        }
    }
    batches
}

fn n(segment: &Segment) -> i64 {
    segment.get("n").unwrap().as_int().unwrap()
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Segment> {
    range.map(|n| [("n", n)].into_iter().collect()).collect()
}

/// Takes the segments that arrived, with the roots they descend from, and has done with them.
fn arrived(inbox: &mut Inbox) -> Vec<(u64, i64)> {
    let mut segments = Vec::new();
    while let Some(message) = inbox.try_next() {
        let Message::Segments(message) = message else {
            panic!("{message:?}")
        };
        let (meta, payload) = message.batch.into_parts();
        let mut decoder = crate::codec::Decoder::default();
        for (index, row) in meta.rows().enumerate() {
            segments.push((row.root, n(&payload.decode(index, &mut decoder).unwrap())));
        }
    }
    inbox.settle();
    segments
}

/// Registers a function that may answer with any error.
fn with_function<F>(registry: &mut Registry, name: &str, function: F)
where
    F: Fn(Segment, &mut Vec<Segment>) -> Result<(), FunctionError> + Send + Sync + 'static,
{
    let function = Arc::new(function);
    let make = move |_: &FunctionContext<'_>| {
        let function = Arc::clone(&function);
        Ok(TaskFunction::make(move |segment, out| {
            function(segment, out)
        }))
    };
    registry
        .functions
        .register(name, Signature::default(), Arc::new(make));
}

#[test]
fn the_phases_of_a_batch_have_the_names_and_the_order_of_the_design() {
    assert_eq!(
        PHASES.map(|(name, _)| name),
        [
            "inject-resources",
            "read-batch",
            "tag-messages",
            "timeout-pool",
            "completion",
            "strip-sentinel",
            "apply-function",
            "build-new-segments",
            "write-batch",
            "flow-retry",
            "ack-messages",
            "close-resources",
        ]
    );
}
