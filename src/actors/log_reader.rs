//! The log reader, a peer's inbox: hands out the group's steps in order, one for each question.

use super::supervision::Obituary;
use crate::ids::LogPosition;
use crate::log::Step;
use crate::messages::log_reader::{Next, NextStep, Snapshot};
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use actix::ResponseActFuture;
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, Context, Handler, MessageResult};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// What the group publishes: its last steps in a bounded ring, and its newest replica.
#[derive(Clone)]
pub struct Published {
    /// The ring. A reader that falls out of it jumps.
    pub steps: broadcast::Sender<Arc<Step>>,
    /// The newest replica.
    pub latest: watch::Receiver<Snapshot>,
}

/// A position over the group's steps.
pub struct LogReader {
    cursor: Option<Cursor>,
    position: Option<LogPosition>,
    jumps: u64,
    /// Kept for its drop.
    _obituary: Obituary,
}

struct Cursor {
    published: Published,
    steps: broadcast::Receiver<Arc<Step>>,
    place: Place,
}

enum Place {
    /// Nothing was handed out yet, or steps were missed: the newest replica comes next.
    Lost,
    /// Everything up to here was handed out.
    At(Option<LogPosition>),
}

impl LogReader {
    /// A reader that starts with the newest replica.
    pub fn new(published: Published, obituary: Obituary) -> Self {
        // Subscribing before looking at the newest replica leaves no gap between the two.
        let steps = published.steps.subscribe();
        let cursor = Cursor {
            published,
            steps,
            place: Place::Lost,
        };
        LogReader {
            cursor: Some(cursor),
            position: None,
            jumps: 0,
            _obituary: obituary,
        }
    }
}

impl Cursor {
    async fn next(&mut self) -> Next {
        let Place::At(position) = self.place else {
            return self.jump();
        };
        loop {
            match self.steps.recv().await {
                // Already part of the replica it jumped to.
                Ok(step) if position.is_some_and(|position| step.position <= position) => {}
                Ok(step) => {
                    self.place = Place::At(Some(step.position));
                    return Next::Step(step);
                }
                Err(RecvError::Lagged(_)) => return self.jump(),
                Err(RecvError::Closed) => return Next::End,
            }
        }
    }

    /// Reads on from the end of the ring: what is left of it is part of the newest replica, and would
    /// only make the reader fall out of it again.
    fn jump(&mut self) -> Next {
        self.steps = self.steps.resubscribe();
        let snapshot = self.published.latest.borrow().clone();
        self.place = Place::At(snapshot.position);
        Next::Jump(snapshot)
    }
}

impl Actor for LogReader {
    type Context = Context<Self>;
}

impl Handler<NextStep> for LogReader {
    type Result = ResponseActFuture<Self, Next>;

    fn handle(&mut self, _: NextStep, _: &mut Context<Self>) -> Self::Result {
        let Some(mut cursor) = self.cursor.take() else {
            // A peer asks for the next only after it has absorbed the last.
            return Box::pin(wrap_future(async { Next::End }));
        };
        let next = async move {
            let next = cursor.next().await;
            (cursor, next)
        };
        Box::pin(wrap_future::<_, Self>(next).map(|(cursor, next), this, _| {
            this.cursor = Some(cursor);
            match &next {
                Next::Step(step) => this.position = Some(step.position),
                Next::Jump(snapshot) => {
                    this.position = snapshot.position;
                    this.jumps += 1;
                }
                Next::End => {}
            }
            next
        }))
    }
}

impl Handler<Stop> for LogReader {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for LogReader {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let detail = json!({ "position": self.position, "jumps": self.jumps });
        MessageResult(ActorReport::of(Child::LogReader, "reading", detail))
    }
}

impl Handler<Crash> for LogReader {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed by a test");
    }
}

#[cfg(test)]
mod tests;
