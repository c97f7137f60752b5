//! A virtual peer: one incarnation, one id, five children, one for all.
//!
//! It absorbs one step after the other: what it wants is reconciled with what it has, effects run,
//! reactions go to the outbox, and the next step is asked for. It decides nothing itself.

use super::acking_daemon::AckingDaemon;
use super::effects;
use super::log_reader::{LogReader, Published};
use super::outbox::Outbox;
use super::peer_group::PeerGroup;
use super::pulse_watcher::PulseWatcher;
use super::running_task::RunningTask;
use super::services::PeerServices;
use super::supervision::{Obituary, runtime_has_ended};
use crate::coordination::CoordinationError;
use crate::ids::{LogPosition, PeerId};
use crate::log::commands::{Command, LeaveCluster, PrepareJoinCluster};
use crate::log::wants::{AfterJump, LocalFacts, Standing, Wants, after_jump, wants};
use crate::log::{PeerContext, Step};
use crate::messages::log_reader::{Next, NextStep, Snapshot};
use crate::messages::outbox::{SetGate, WriteAndConfirm, WriteEntry, WriteFailed};
use crate::messages::pulse_watcher::{CreatePulse, KeepWatches};
use crate::messages::supervision::{
    ActorReport, Child, ChildDown, Crash, EndReason, Exit, Observe, Stop,
};
use crate::messages::virtual_peer::{
    Drain, EndIncarnation, TaskFailed, TaskProgressed, TaskVerdict,
};
use actix::fut::{ready, wrap_future};
use actix::{Actor, ActorContext, ActorFuture, ActorFutureExt, Addr, AsyncContext, Context};
use actix::{Handler, MessageResult, ResponseFuture};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// One incarnation of a virtual peer.
pub struct VirtualPeer {
    pub(super) me: PeerContext,
    pub(super) services: PeerServices,
    pub(super) group: Addr<PeerGroup>,
    published: Published,
    /// How far it has read, for the group to see.
    progress: Rc<Cell<Option<LogPosition>>>,
    pub(super) children: Option<Children>,
    /// What its gate and its watches are, as far as they were said.
    kept: Option<(SetGate, BTreeSet<PeerId>)>,
    /// Its pulse, between its last word and its end.
    drained: Option<Addr<PulseWatcher>>,
    pub(super) task: RunningTask,
    pub(super) snapshot: Snapshot,
    /// Owed entries that were written and are not applied yet.
    said: Vec<Command>,
    join_attempts: u32,
    obituary: Obituary,
}

/// The children that live as long as the peer, in start order.
pub(super) struct Children {
    pub(super) outbox: Addr<Outbox>,
    pub(super) pulse_watcher: Addr<PulseWatcher>,
    pub(super) acking_daemon: Addr<AckingDaemon>,
    pub(super) log_reader: Addr<LogReader>,
}

type Doing = Pin<Box<dyn ActorFuture<VirtualPeer, Output = ()>>>;

impl VirtualPeer {
    /// A peer that joins as soon as it runs. Its id has never been used.
    pub fn new(
        me: PeerContext,
        services: PeerServices,
        group: Addr<PeerGroup>,
        published: Published,
        progress: Rc<Cell<Option<LogPosition>>>,
        obituary: Obituary,
    ) -> Self {
        VirtualPeer {
            me,
            services,
            group,
            published,
            progress,
            children: None,
            kept: None,
            drained: None,
            task: RunningTask::default(),
            snapshot: Snapshot::default(),
            said: Vec::new(),
            join_attempts: 0,
            obituary,
        }
    }

    fn start_children(&mut self, ctx: &mut Context<Self>) -> Result<Children, String> {
        let census = &self.services.census;
        let obituary = |child| Obituary::of(child, 0, ctx.address().recipient(), census);
        let (services, id) = (&self.services, self.me.me);
        let session = services.task.session.clone();
        let outbox = Outbox::new(
            session.clone(),
            services.task.lease.clone(),
            id.into(),
            SetGate::Pause,
            services.outbox_capacity,
            obituary(Child::Outbox),
        );
        let watcher = PulseWatcher::new(
            session,
            id,
            self.group.clone().recipient(),
            obituary(Child::PulseWatcher),
        );
        let daemon = AckingDaemon::new(
            id,
            &services.task,
            services.acking,
            self.published.latest.clone(),
            obituary(Child::AckingDaemon),
        )?;
        let reader = LogReader::new(self.published.clone(), obituary(Child::LogReader));
        Ok(Children {
            outbox: outbox.start(),
            pulse_watcher: watcher.start(),
            acking_daemon: daemon.start(),
            log_reader: reader.start(),
        })
    }

    /// Shows the pulse and begins to read: the first jump says that the join is to be written.
    fn join(&mut self, ctx: &mut Context<Self>) {
        let Some(children) = &self.children else {
            return;
        };
        let pulse = children.pulse_watcher.send(CreatePulse);
        ctx.spawn(
            wrap_future::<_, Self>(pulse).map(|result, this, ctx| match result {
                Ok(Ok(())) => this.pull(ctx),
                // Its obituary follows.
                Err(_) => {}
                Ok(Err(CoordinationError::Expired)) => {
                    this.end(ctx, EndReason::Session, "the session is over");
                }
                Ok(Err(error)) => {
                    this.end(ctx, EndReason::Failed, format!("no pulse: {error}"));
                }
            }),
        );
    }

    /// Writes `prepare-join-cluster`.
    pub(super) fn prepare(&mut self) {
        let prepare = PrepareJoinCluster {
            joiner: self.me.me,
            member: self.me.member.clone(),
        };
        self.write(Command::PrepareJoinCluster(prepare), None);
    }

    /// Asks for what comes next. Nothing is asked before the last step has been absorbed.
    fn pull(&mut self, ctx: &mut Context<Self>) {
        let Some(children) = &self.children else {
            return;
        };
        let next = children.log_reader.send(NextStep);
        let absorb = wrap_future::<_, Self>(next).then(|next, this: &mut Self, ctx| match next {
            Ok(Next::Step(step)) => this.absorb(step, ctx),
            Ok(Next::Jump(snapshot)) => this.adopt(snapshot, ctx),
            // The group is ending, or the reader died: an order or an obituary follows.
            Ok(Next::End) | Err(_) => Box::pin(ready(())),
        });
        ctx.spawn(absorb);
    }

    /// One step: watches first, then effects, then what is written in answer.
    fn absorb(&mut self, step: Arc<Step>, ctx: &mut Context<Self>) -> Doing {
        let snapshot = Snapshot {
            position: Some(step.position),
            replica: step.new.clone(),
        };
        let reconciled = self.reconcile(snapshot, ctx);
        Box::pin(reconciled.map(move |(), this, ctx| {
            for effect in step.effects(&this.me) {
                effects::run(this, effect, step.position, ctx);
            }
            for command in step.reactions(&this.me) {
                this.write(command, Some(step.position));
            }
            this.pull(ctx);
        }))
    }

    /// A jump over entries, the first of which is from nothing to the newest replica.
    fn adopt(&mut self, snapshot: Snapshot, ctx: &mut Context<Self>) -> Doing {
        let missed = after_jump(&self.snapshot.replica, &snapshot.replica, &self.me);
        let reconciled = self.reconcile(snapshot, ctx);
        Box::pin(reconciled.map(move |(), this, ctx| match missed {
            AfterJump::Restart => {
                let cause = "removed from the cluster while it lagged";
                this.end(ctx, EndReason::Removed, cause);
            }
            AfterJump::Write(commands) => {
                for command in commands {
                    this.write(command, this.snapshot.position);
                }
                this.pull(ctx);
            }
        }))
    }

    /// Brings what the peer has in line with what it wants.
    fn reconcile(&mut self, snapshot: Snapshot, ctx: &mut Context<Self>) -> Doing {
        self.progress.set(snapshot.position);
        self.snapshot = snapshot;
        // A peer that is stopping wants nothing any more.
        if self.children.is_none() {
            return Box::pin(ready(()));
        }
        let Wants {
            standing,
            watches,
            task,
            owes,
        } = self.wants();
        self.task.want(task);
        RunningTask::reconcile(self, ctx);
        // What a task has done that was just told to end was done in another place.
        let owes = self.task.facts().map_or_else(Vec::new, |_| owes);
        self.pay(owes);
        let Some(children) = &self.children else {
            return Box::pin(ready(()));
        };
        let gate = match standing {
            Standing::Joined => SetGate::Resume,
            Standing::Joining | Standing::Outside => SetGate::Pause,
        };
        if standing != Standing::Outside {
            self.join_attempts = 0;
        }
        // Most entries change neither.
        let wanted = (gate, watches);
        if self.kept.as_ref() == Some(&wanted) {
            return Box::pin(ready(()));
        }
        let gated = children.outbox.send(gate);
        let placed = children.pulse_watcher.send(KeepWatches(wanted.1.clone()));
        self.kept = Some(wanted);
        let both = async move {
            // A child that is gone has sent its obituary.
            let _ = gated.await;
            let _ = placed.await;
        };
        Box::pin(wrap_future(both))
    }

    fn wants(&self) -> Wants {
        let facts = LocalFacts {
            running: self.task.facts(),
        };
        wants(&self.snapshot.replica, &self.me, &facts)
    }

    /// Writes what is owed and was not written before. What was written and refused for an older
    /// version is owed again under the present one, and is then another command.
    fn pay(&mut self, owes: Vec<Command>) {
        self.said.retain(|said| owes.contains(said));
        for command in owes {
            if !self.said.contains(&command) {
                self.said.push(command.clone());
                self.write(command, self.snapshot.position);
            }
        }
    }

    /// Puts a command on the outbox, behind the others. An outbox that is full ends, and the peer
    /// with it: it is a thousand entries behind, and whatever it would say is stale.
    pub(super) fn write(&mut self, command: Command, entry_parent: Option<LogPosition>) {
        let Some(children) = &self.children else {
            return;
        };
        let name = command.name();
        #[expect(
            clippy::disallowed_methods,
            reason = "the outbox has its own bound and ends beyond it"
        )]
        children.outbox.do_send(WriteEntry {
            command,
            entry_parent,
        });
        tracing::trace!(peer = %self.me.me, entry = name, "entry given to the outbox");
    }

    /// Ends this incarnation: the group cleans up after it and starts another.
    pub(super) fn end(
        &mut self,
        ctx: &mut Context<Self>,
        reason: EndReason,
        cause: impl Into<String>,
    ) {
        let cause = cause.into();
        tracing::warn!(peer = %self.me.me, cause, "this incarnation ends");
        self.obituary.because_of(reason, cause);
        ctx.stop();
    }

    /// The first part of a planned end: the task drains and the children end, but for the pulse.
    /// What is said last goes out before the outbox ends. A task in one call of user code for
    /// `blocked_after` is abandoned.
    fn drain(
        &mut self,
        last_word: Option<Command>,
        blocked_after: Duration,
    ) -> LocalBoxFuture<'static, Result<(), WriteFailed>> {
        let pipeline = self.task.take();
        let Some(children) = self.children.take() else {
            return async { Ok(()) }.boxed_local();
        };
        let Children {
            outbox,
            pulse_watcher,
            acking_daemon,
            log_reader,
        } = children;
        self.drained = Some(pulse_watcher);
        async move {
            if let Some(pipeline) = pipeline {
                pipeline.stop(blocked_after).await;
            }
            let _ = log_reader.send(Stop).await;
            let _ = acking_daemon.send(Stop).await;
            let said = match last_word {
                // Whoever watches this peer reads of its leave before its pulse is gone, and has
                // nothing to say about it.
                Some(last_word) => {
                    let written = outbox.send(WriteAndConfirm(last_word)).await;
                    written.unwrap_or(Err(WriteFailed::Ended)).map(|_| ())
                }
                None => Ok(()),
            };
            let _ = outbox.send(Stop).await;
            said
        }
        .boxed_local()
    }

    /// The task is to start again, which it does on a peer with another id; or its job is killed, if it
    /// has failed too often.
    fn restart_task(&mut self, failed: TaskFailed, ctx: &mut Context<Self>) {
        let TaskFailed {
            job,
            task,
            exception,
            ..
        } = failed;
        let now = self.services.task.clock.now();
        let jobs = &self.snapshot.replica.jobs;
        let restarts = &self.services.task_restarts;
        match restarts.record((job, &task), &exception, now, |job| jobs.is_live(job)) {
            Ok(()) => self.end(ctx, EndReason::Exception, exception),
            Err(too_often) => effects::kill_job(self, job, too_often, ctx),
        }
    }

    /// Which attempt to join this is, counted from 0.
    pub(super) fn next_join_attempt(&mut self) -> u32 {
        self.join_attempts += 1;
        self.join_attempts - 1
    }
}

impl Actor for VirtualPeer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if runtime_has_ended() {
            return;
        }
        match self.start_children(ctx) {
            Ok(children) => {
                self.children = Some(children);
                self.join(ctx);
            }
            Err(cause) => self.end(ctx, EndReason::Failed, cause),
        }
    }

    /// One for all: whatever still lives of this incarnation ends with it, the last started first.
    fn stopped(&mut self, _: &mut Context<Self>) {
        drop(self.task.take());
        if let Some(children) = self.children.take() {
            let Children {
                outbox,
                pulse_watcher,
                acking_daemon,
                log_reader,
            } = children;
            #[expect(clippy::disallowed_methods, reason = "an order to end is not refused")]
            {
                log_reader.do_send(Stop);
                acking_daemon.do_send(Stop);
                pulse_watcher.do_send(Stop);
                outbox.do_send(Stop);
            }
        }
        if let Some(pulse_watcher) = self.drained.take() {
            #[expect(clippy::disallowed_methods, reason = "an order to end is not refused")]
            pulse_watcher.do_send(Stop);
        }
    }
}

impl Handler<ChildDown> for VirtualPeer {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Context<Self>) {
        if down.child == Child::TaskPipeline {
            // A planned end, and one that was told before, is none; anything else is a death.
            if self.task.died(down.incarnation) && down.exit != Exit::Stopped {
                return self.end(ctx, down.reason, format!("{}: {}", down.child, down.exit));
            }
            return RunningTask::reconcile(self, ctx);
        }
        if self.children.is_some() {
            self.end(ctx, down.reason, format!("{}: {}", down.child, down.exit));
        }
    }
}

impl Handler<TaskProgressed> for VirtualPeer {
    type Result = ();

    fn handle(&mut self, progressed: TaskProgressed, _: &mut Context<Self>) {
        if self
            .task
            .progressed(progressed.incarnation, progressed.phase)
        {
            let owes = self.wants().owes;
            self.pay(owes);
        }
    }
}

impl Handler<TaskFailed> for VirtualPeer {
    type Result = ();

    fn handle(&mut self, failed: TaskFailed, ctx: &mut Context<Self>) {
        if !self.task.is_current(failed.incarnation) {
            return;
        }
        let position = self.snapshot.position.map(|position| position.0);
        tracing::error!(peer = %self.me.me, job = %failed.job, task = %failed.task, position, exception = failed.exception, "a task failed");
        match failed.verdict {
            TaskVerdict::RestartPeer => self.end(ctx, EndReason::Exception, failed.exception),
            TaskVerdict::RestartTask => self.restart_task(failed, ctx),
            TaskVerdict::KillJob => effects::kill_job(self, failed.job, failed.exception, ctx),
        }
    }
}

impl Handler<EndIncarnation> for VirtualPeer {
    type Result = ();

    fn handle(&mut self, end: EndIncarnation, ctx: &mut Context<Self>) {
        self.end(ctx, end.reason, end.cause);
    }
}

impl Handler<Drain> for VirtualPeer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let blocked_after = self.services.blocked_after;
        self.drain(None, blocked_after).map(|_| ()).boxed_local()
    }
}

impl Handler<Stop> for VirtualPeer {
    type Result = ResponseFuture<()>;

    /// A planned end: the task drains, the peer leaves the cluster, unless all of its group do, the
    /// outbox is flushed, the pulse goes.
    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> Self::Result {
        let drained = match self.children {
            Some(_) => {
                let leave = Command::LeaveCluster(LeaveCluster::of(self.me.me));
                self.drain(Some(leave), self.services.stuck_after)
            }
            None => async { Ok(()) }.boxed_local(),
        };
        let (pulse_watcher, me) = (self.drained.clone(), ctx.address());
        async move {
            let left = drained.await;
            if let Some(pulse_watcher) = pulse_watcher {
                let _ = pulse_watcher.send(Stop).await;
            }
            match left {
                Ok(()) => me.send(Finish).await.ok(),
                // Its group leaves for it.
                Err(error) => {
                    let cause = format!("its leave was not written: {error}");
                    let reason = EndReason::Failed;
                    me.send(EndIncarnation { reason, cause }).await.ok()
                }
            };
        }
        .boxed_local()
    }
}

/// The peer to itself, at the end of a planned stop.
struct Finish;

impl actix::Message for Finish {
    type Result = ();
}

impl Handler<Finish> for VirtualPeer {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for VirtualPeer {
    type Result = ResponseFuture<ActorReport>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let standing = match self.wants().standing {
            Standing::Outside => "outside",
            Standing::Joining => "joining",
            Standing::Joined => "joined",
        };
        let detail = json!({ "id": self.me.me, "position": self.snapshot.position });
        let mut report = ActorReport::of(Child::VirtualPeer, standing, detail);
        let mut asked = Vec::new();
        if let Some(children) = &self.children {
            asked.push(children.outbox.send(Observe).boxed_local());
            asked.push(children.pulse_watcher.send(Observe).boxed_local());
            asked.push(children.acking_daemon.send(Observe).boxed_local());
            asked.push(children.log_reader.send(Observe).boxed_local());
        }
        asked.extend(self.task.observe());
        async move {
            report.children = join_all(asked).await.into_iter().flatten().collect();
            report
        }
        .boxed_local()
    }
}

impl Handler<Crash> for VirtualPeer {
    type Result = MessageResult<Crash>;

    fn handle(&mut self, crash: Crash, _: &mut Context<Self>) -> Self::Result {
        let Some(children) = &self.children else {
            return MessageResult(());
        };
        match crash.0 {
            Child::Outbox => drop(children.outbox.try_send(crash)),
            Child::PulseWatcher => drop(children.pulse_watcher.try_send(crash)),
            Child::AckingDaemon => drop(children.acking_daemon.try_send(crash)),
            Child::LogReader => drop(children.log_reader.try_send(crash)),
            Child::TaskPipeline => self.task.crash(),
            Child::VirtualPeer | Child::PeerGroup => panic!("crashed by a test"),
        }
        MessageResult(())
    }
}
