//! What an input hears of its roots between batches, and what it does about those that are not
//! complete.

use super::context::{Identity, Role};
use super::dead_letters::GivenUp;
use super::exception::{Fault, Phase, shortened};
use super::run::TaskRun;
use super::traces::Traced;
use crate::acking::{Inquiry, Question, RootId};
use crate::ids::PeerId;
use crate::messaging::Message;
use serde_json::json;

/// A run tells of so many segments that were given up; all of them are counted and buried.
const BURIALS_TOLD_MAX: usize = 10;
/// So much of it.
const SEGMENT_TOLD_BYTES_MAX: usize = 1000;

impl TaskRun {
    /// Completions and forced retries, which only inputs get. They are taken even while the output
    /// is blocked: a source that did not listen could block the acker that its own peers wait for.
    pub(super) fn take_control_messages(&mut self) {
        let context = &mut self.context;
        let mut traced = Vec::new();
        let Role::Input(input) = &mut context.role else {
            return;
        };
        let mut strangers = Vec::new();
        loop {
            let next = context
                .arrived
                .pop_front()
                .or_else(|| context.inbox.try_next());
            let Some(message) = next else { break };
            let Identity { peer, epoch, .. } = context.identity;
            let is_mine = |(source, of): (PeerId, u64)| (source, of) == (peer, epoch);
            let (pending, now) = (&mut input.pending, context.now);
            match message {
                Message::Completions(done) if is_mine((done.source, done.epoch)) => {
                    for root in done.roots {
                        let is_news = pending.complete(root, done.reach, now);
                        if is_news && !input.traced.is_empty() && input.traced.remove(&root) {
                            traced.push((root, done.reach));
                        }
                    }
                }
                Message::Retries(back) if is_mine((back.source, back.epoch)) => {
                    for root in back.roots {
                        pending.give_back(root, back.cause, &back.reason, now);
                    }
                }
                Message::Progress(answer) if is_mine((answer.source, answer.epoch)) => {
                    pending.answered(answer.number, answer.by, &answer.alive, now);
                }
                other => strangers.push(other),
            }
        }
        strangers
            .into_iter()
            .for_each(|message| context.turn_away(message));
        // Segments that came to an input by mistake are not with it any more.
        context.inbox.settle();
        for (root, reach) in traced {
            context.note(context.root_id(root), Traced::completed(reach));
        }
        context.tell_roots();
    }

    /// Asks who works on the job about roots that have pended for their time-out.
    pub(super) fn expire_pending(&mut self) {
        let context = &mut self.context;
        let Role::Input(input) = &mut context.role else {
            return;
        };
        let (mut asked, mut inquiries) = (Vec::new(), Vec::new());
        let now = context.now;
        input.pending.expire(now);
        for question in input.pending.take_questions(&self.assignment.workers, now) {
            let Question { number, of, roots } = question;
            let is_traced = |root: &&u64| input.traced.contains(root);
            asked.extend(roots.iter().filter(is_traced).copied());
            let inquiry = Inquiry {
                source: context.identity.peer,
                epoch: context.identity.epoch,
                number,
                quiet_ms: context.identity.task.pending_timeout_ms.get(),
                roots,
            };
            inquiries.extend(of.into_iter().map(|peer| (peer, inquiry.clone())));
        }
        if !inquiries.is_empty() {
            context.outbound.ask(inquiries);
        }
        for root in asked {
            context.note(context.root_id(root), Traced::Asked);
        }
    }

    /// Writes what is not tried again to the dead letters.
    pub(super) fn bury(&mut self) -> Result<(), Fault> {
        let context = &mut self.context;
        let Role::Input(input) = &mut context.role else {
            return Ok(());
        };
        let fault = |text: String| Fault::in_phase(Phase::ReadBatch, text);
        let mut buried = Vec::new();
        while let Some(condemned) = input.pending.next_condemned() {
            let Identity { peer, epoch, .. } = context.identity;
            let root = RootId {
                source: peer,
                epoch,
                root: condemned.root,
            };
            let segment = context.decoder.decode(&condemned.segment);
            let segment = segment.map_err(|error| fault(error.to_string()))?;
            let given_up = GivenUp {
                root,
                reason: &condemned.reason,
                attempts: condemned.attempts,
                segment: &segment,
            };
            if let Some(letters) = &mut input.dead_letters {
                let written = letters.write_segment(&given_up);
                written.map_err(|error| fault(format!("cannot write a dead letter: {error}")))?;
            }
            if context.burials_told < BURIALS_TOLD_MAX {
                context.burials_told += 1;
                tracing::error!(
                    job = %context.identity.job, task = %context.identity.task.name, %root,
                    attempts = condemned.attempts, reason = condemned.reason,
                    segment = shortened(json!(given_up.segment).to_string(), SEGMENT_TOLD_BYTES_MAX),
                    "a segment is given up"
                );
            }
            input.pending.bury(condemned.root, context.now);
            input.traced.remove(&condemned.root);
            let reason = condemned.reason;
            buried.push((root, Traced::DeadLettered { reason }));
        }
        if buried.is_empty() {
            return Ok(());
        }
        for (root, what) in buried {
            context.note(root, what);
        }
        context.tell_roots();
        Ok(())
    }
}
