//! The threads on which the tasks of a process run.
//!
//! Tasks that follow each other and have little to do run on one thread, one after the other: a segment
//! goes through all of them without waking anybody. One that computes or waits for long has its thread for
//! itself meanwhile, and another takes its neighbours over. So user code may take as long as it takes.

mod rota;
mod strand;
#[cfg(test)]
mod tests;

use futures_util::FutureExt;
use rota::{Call, Duty, Look, Rota, Who};
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::Duration;
use strand::{AfterTurn, Strand};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};

/// The threads of tasks. Clones share them; they end after the last clone, when their work has.
#[derive(Clone)]
pub struct TaskThreads(Arc<Owner>);

/// Something that runs on them. Dropping it ends that as soon as it comes back from where it is.
pub struct Running<T> {
    outcome: oneshot::Receiver<Option<T>>,
    strand: Arc<Strand>,
}

/// Watches whether something that runs comes back.
#[derive(Clone)]
pub struct Watch(Arc<Strand>);

/// It panicked, or it was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoOutcome;

struct Owner(Arc<Pool>);

/// What the threads share.
struct Pool {
    state: Mutex<State>,
    /// Of the thread that looks around.
    look_again: Notify,
    /// Drives the timers of all strands: it never runs one, so that nobody holds it up.
    timers: Handle,
}

struct State {
    rota: Rota<Arc<Strand>>,
    /// The bells of those who rest. The last one is called first: what it needs is still at hand, and
    /// those who are one too many are never called, and end.
    resting: Vec<Arc<Condvar>>,
    strands: usize,
    is_closed: bool,
}

impl TaskThreads {
    /// No threads yet, but the one that looks around.
    pub fn start() -> io::Result<Self> {
        let timers = Builder::new_current_thread().enable_all().build()?;
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let pool = Arc::new(Pool {
            state: Mutex::new(State {
                rota: Rota::new(processors),
                resting: Vec::new(),
                strands: 0,
                is_closed: false,
            }),
            look_again: Notify::new(),
            timers: timers.handle().clone(),
        });
        let lookout = pool.clone();
        thread::Builder::new()
            .name("tasks-lookout".into())
            .spawn(move || timers.block_on(lookout.look_around()))?;
        Ok(TaskThreads(Arc::new(Owner(pool))))
    }

    /// Runs a future.
    pub fn run<F>(&self, future: F) -> Running<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (told, outcome) = oneshot::channel();
        let future = async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            // Whoever does not wait any more has cancelled it.
            let _ = told.send(outcome.ok());
        };
        let pool = self.0.0.clone();
        pool.state().strands += 1;
        let strand = Strand::new(future.boxed(), pool);
        strand.wake_by_ref();
        Running { outcome, strand }
    }
}

impl<T> Running<T> {
    /// Watches it from elsewhere.
    pub fn watch(&self) -> Watch {
        Watch(self.strand.clone())
    }
}

impl Watch {
    /// For how long it has not come back from where it is.
    pub fn held_for(&self) -> Duration {
        self.0.held_for()
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, NoOutcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let told = self.outcome.poll_unpin(context);
        told.map(|told| told.ok().flatten().ok_or(NoOutcome))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.strand.cancel();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        state.resting.iter().for_each(|bell| bell.notify_one());
        self.0.look_again.notify_one();
    }
}

impl Pool {
    // A poisoned lock means that a thread panicked between two whole changes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A strand has become ready.
    fn add(self: &Arc<Self>, strand: Arc<Strand>) {
        let mut state = self.state();
        let call = state.rota.add(strand);
        self.call(state, call);
    }

    /// Tells whoever is called, without holding him up.
    fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State>, call: Call) {
        let bell = match call.thread {
            // One that is being started will answer if nobody rests yet.
            Some(Who::Idle) => state.resting.pop(),
            Some(Who::New) | None => None,
        };
        drop(state);
        if let Some(bell) = bell {
            bell.notify_one();
        }
        if call.thread == Some(Who::New) {
            self.start_thread();
        }
        if call.lookout {
            self.look_again.notify_one();
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let pool = self.clone();
        let started = thread::Builder::new()
            .name("tasks".into())
            .spawn(move || pool.serve());
        if let Err(error) = started {
            tracing::error!(%error, "no thread can be started for tasks; those that there are go on");
            self.state().rota.not_started();
        }
    }

    /// What a thread does.
    fn serve(self: Arc<Self>) {
        let _timers = self.timers.enter();
        let bell = Arc::new(Condvar::new());
        let mut next = self.rest(self.state(), &bell);
        while let Some((mut state, mut duty)) = next {
            while let Some((strand, call)) = state.rota.take(&mut duty, |it| it.is_tardy()) {
                self.call(state, call);
                let after = strand.run();
                state = self.state();
                let again = (after == AfterTurn::Ready).then_some(strand);
                state.rota.back(&mut duty, again);
                if after == AfterTurn::HasEnded {
                    self.ended(&mut state);
                }
            }
            state.rota.rest();
            next = self.rest(state, &bell);
        }
    }

    fn ended(&self, state: &mut State) {
        state.strands -= 1;
        if state.is_closed && state.strands == 0 {
            // Whoever looks around may have stopped, and is to end.
            self.look_again.notify_one();
        }
    }

    /// Waits for a call; none when it is time to end.
    fn rest<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        bell: &Arc<Condvar>,
    ) -> Option<(MutexGuard<'a, State>, Duty)> {
        loop {
            if let Some(duty) = state.rota.answer() {
                return Some((state, duty));
            }
            if state.is_closed {
                state.rota.leave();
                return None;
            }
            state.resting.push(bell.clone());
            let waited = bell.wait_timeout(state, REST_MAX);
            let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            // Whoever called took it out; nobody did when the time is over.
            state.resting.retain(|other| !Arc::ptr_eq(other, bell));
            if waited.timed_out() && !state.rota.is_called() {
                state.rota.leave();
                return None;
            }
        }
    }

    /// What the thread does that looks around, and drives the timers meanwhile.
    async fn look_around(self: Arc<Self>) {
        while let Some(look) = self.look() {
            match look {
                Look::Again => tokio::time::sleep(LOOK_EVERY).await,
                Look::Stop => self.look_again.notified().await,
            }
        }
    }

    /// None when there will never be anything to see.
    fn look(self: &Arc<Self>) -> Option<Look> {
        let mut state = self.state();
        if state.is_closed && state.strands == 0 {
            return None;
        }
        let (look, call) = state.rota.look();
        self.call(state, call);
        Some(look)
    }
}

/// What is held up waits for so long, and once more while somebody is called.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A thread that nobody has called for so long ends.
const REST_MAX: Duration = Duration::from_secs(10);
