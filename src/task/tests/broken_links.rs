//! Links that break with something on them: what was lost is made up for at once.

use super::stations::Ends;
use super::*;
use crate::messaging::{Altered, Link, LinkClosed, Lost, TrySendError};
use futures_util::future::BoxFuture;
use std::sync::Mutex;
use tokio::sync::watch;

/// A transport whose links can be cut: what is sent then gets lost, until they break.
#[derive(Clone)]
struct Cut {
    inner: LocalTransport,
    broken: watch::Sender<()>,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Line {
    Whole,
    Cut,
}

struct State {
    line: Line,
    /// Links of an earlier generation have broken.
    generation: u64,
}

struct CutLink {
    inner: Box<dyn Link>,
    lost: Vec<Lost>,
    generation: u64,
    state: Arc<Mutex<State>>,
}

impl Cut {
    fn of(inner: &LocalTransport) -> Self {
        let (line, generation) = (Line::Whole, 0);
        Cut {
            inner: inner.clone(),
            broken: watch::Sender::new(()),
            state: Arc::new(Mutex::new(State { line, generation })),
        }
    }

    fn cut(&self) {
        self.state.lock().unwrap().line = Line::Cut;
    }

    /// The links that there are break; others can be made.
    fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        state.line = Line::Whole;
        state.generation += 1;
        self.broken.send_replace(());
    }
}

impl Link for CutLink {
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        let State { line, generation } = *self.state.lock().unwrap();
        if self.generation < generation {
            return Err(TrySendError::Closed(message));
        }
        if line == Line::Whole {
            return self.inner.try_send(message);
        }
        self.lost.push(message.into());
        Ok(())
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), LinkClosed>> {
        self.inner.ready()
    }

    fn take_lost(&mut self) -> Vec<Lost> {
        match self.generation < self.state.lock().unwrap().generation {
            true => std::mem::take(&mut self.lost),
            false => Vec::new(),
        }
    }
}

impl Altered for Cut {
    fn inner(&self) -> &dyn Transport {
        &self.inner
    }

    fn alter(&self, inner: Box<dyn Link>) -> Box<dyn Link> {
        Box::new(CutLink {
            inner,
            lost: Vec::new(),
            generation: self.state.lock().unwrap().generation,
            state: self.state.clone(),
        })
    }

    fn breaks(&self) -> watch::Receiver<()> {
        self.broken.subscribe()
    }
}

async fn line() -> (Rig, Cut, Ends) {
    let ends = Ends::default();
    let mut rig = Rig::new(ends.registry(numbers(0..9)), |_| {}).await;
    let cut = Cut::of(&rig.transport);
    rig.services.transport = Arc::new(cut.clone());
    (rig, cut, ends)
}

#[tokio::test]
async fn segments_on_a_link_that_breaks_are_played_again_at_once() {
    let (rig, cut, _ends) = line().await;
    let mut next = rig.plays("work");
    let mut read = rig.start("in").await;
    cut.cut();
    work_off(&mut read);
    assert_eq!(arrived(&mut next), []);
    cut.mend();
    // It tells itself.
    work_off(&mut read);
    work_off(&mut read);
    assert_eq!(rig.figures("in").retried, 9);
    assert_eq!(arrived(&mut next).len(), 9);
}

#[tokio::test]
async fn acks_on_a_link_that_breaks_are_said_again_and_nothing_is_played_again() {
    let (mut rig, cut, ends) = line().await;
    let (mut write, mut work) = (rig.start("out").await, rig.start("work").await);
    let mut read = rig.start("in").await;
    work_off(&mut read);
    work_off(&mut work);
    cut.cut();
    work_off(&mut write);
    assert!(rig.complete().is_empty());
    cut.mend();
    work_off(&mut write);
    assert_eq!(rig.complete(), (1..=9).collect::<Vec<_>>());
    assert_eq!(rig.figures("in").retried, 0);
    assert_eq!(ends.written(), (0..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_task_that_waits_hears_of_a_link_that_breaks() {
    let (rig, cut, _ends) = line().await;
    let _next = rig.plays("work");
    let mut read = rig.start("in").await;
    cut.cut();
    work_off(&mut read);
    let Turn::Wait(wait) = read.turn().unwrap() else {
        panic!("there is nothing to do");
    };
    cut.mend();
    read.wait(wait).await;
    work_off(&mut read);
    work_off(&mut read);
    assert_eq!(rig.figures("in").retried, 9);
}
