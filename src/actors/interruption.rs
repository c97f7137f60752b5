//! Interrupting a task whose job has ended, so that its peer is free for another at once.
//!
//! The task reads its stop flag where it works or waits for long. One that does not return from user code
//! within the grace is abandoned with its thread. Its peer goes on under the same id, with another
//! inbox: nothing of a job that has ended can be lost with the old one, and a death of the peer would
//! make the next job play its segments again.

use super::running_task::{Abandonment, RunningTask};
use super::virtual_peer::VirtualPeer;
use crate::messaging::InboxKind;
use crate::stop_flag::StopFlag;
use actix::{AsyncContext, Context};
use std::time::Duration;

/// Sets the stop flag of the peer's task if its job has ended, and abandons the task after the grace.
pub(super) fn interrupt_if_job_ended(peer: &mut VirtualPeer, ctx: &mut Context<VirtualPeer>) {
    let Some(running) = peer.task.current() else {
        return;
    };
    let is_live = peer.snapshot.replica.jobs.is_live(running.job());
    if is_live || running.is_interrupted() {
        return;
    }
    running.interrupt();
    look_later(running.incarnation(), Duration::ZERO, ctx);
}

/// Checks after a grace whether the task has ended. `before` is the time since it was interrupted.
fn look_later(incarnation: u64, before: Duration, ctx: &mut Context<VirtualPeer>) {
    ctx.run_later(StopFlag::GRACE, move |peer, ctx| {
        let Some(running) = peer.task.pipeline(incarnation) else {
            return;
        };
        let since = before + StopFlag::GRACE;
        if running.held_for() >= StopFlag::GRACE / 2 || since >= LAST_WORDS_MAX {
            abandon(peer, incarnation, since, ctx);
        } else {
            look_later(incarnation, since, ctx);
        }
    });
}

fn abandon(
    peer: &mut VirtualPeer,
    incarnation: u64,
    since: Duration,
    ctx: &mut Context<VirtualPeer>,
) {
    match peer.task.abandon(incarnation, &peer.services.held_tasks) {
        Abandonment::Done => {
            let transport = &peer.services.task.transport;
            transport.shut_inbox(peer.me.me, InboxKind::Task);
            RunningTask::reconcile(peer, ctx);
        }
        Abandonment::NoRoom => look_later(incarnation, since, ctx),
        Abandonment::HasEnded => {}
    }
}

/// A task that holds no thread saves its last position, which waits for coordination, for no longer.
const LAST_WORDS_MAX: Duration = Duration::from_secs(3);
