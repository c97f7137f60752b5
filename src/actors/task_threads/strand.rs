//! A strand: one future that runs on the threads of tasks, now on one, now on another.

use super::Pool;
use futures_util::future::BoxFuture;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

/// A future and where it is on its way.
pub(super) struct Strand {
    /// None when it has ended. Locked by the thread that runs it.
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    stage: AtomicU8,
    /// Nobody wants it any more.
    is_cancelled: AtomicBool,
    /// How many of its last turns took long, in a measure of its own.
    tardiness: AtomicU8,
    /// When the turn began in which it is, in nanoseconds since it was made; 0 in none.
    turn_began: AtomicU64,
    made: Instant,
    pool: Arc<Pool>,
}

/// Where a strand is. Woken while it runs, it runs again.
mod stage {
    pub(super) const WAITS: u8 = 0;
    pub(super) const READY: u8 = 1;
    pub(super) const RUNS: u8 = 2;
    pub(super) const RUNS_AGAIN: u8 = 3;
    pub(super) const HAS_ENDED: u8 = 4;
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterTurn {
    Waits,
    Ready,
    HasEnded,
}

impl Strand {
    pub(super) fn new(future: BoxFuture<'static, ()>, pool: Arc<Pool>) -> Arc<Self> {
        Arc::new(Strand {
            future: Mutex::new(Some(future)),
            stage: AtomicU8::new(stage::WAITS),
            is_cancelled: AtomicBool::new(false),
            tardiness: AtomicU8::new(0),
            turn_began: AtomicU64::new(0),
            made: now(),
            pool,
        })
    }

    /// Whether its next turn is expected to take long.
    pub(super) fn is_tardy(&self) -> bool {
        self.tardiness.load(Ordering::Relaxed) > TARDINESS_OF_ONE
    }

    /// For how long it has been in this turn.
    pub(super) fn held_for(&self) -> Duration {
        match self.turn_began.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => self.age().saturating_sub(Duration::from_nanos(began)),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == stage::HAS_ENDED
    }

    fn age(&self) -> Duration {
        now().saturating_duration_since(self.made)
    }

    /// Its future is dropped as soon as it comes back from where it is.
    pub(super) fn cancel(self: &Arc<Self>) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        self.clone().wake();
    }

    /// One turn, on this thread.
    pub(super) fn run(self: &Arc<Self>) -> AfterTurn {
        self.stage.store(stage::RUNS, Ordering::SeqCst);
        let began = self.age();
        let nanos = u64::try_from(began.as_nanos()).unwrap_or(u64::MAX);
        self.turn_began.store(nanos.max(1), Ordering::Relaxed);
        let has_ended = self.get_on();
        self.turn_began.store(0, Ordering::Relaxed);
        if has_ended {
            self.stage.store(stage::HAS_ENDED, Ordering::SeqCst);
            return AfterTurn::HasEnded;
        }
        let before = self.tardiness.load(Ordering::Relaxed);
        let tardiness = match self.age() - began >= LONG {
            true => TARDINESS_MAX.min(before + TARDINESS_OF_ONE),
            false => before.saturating_sub(1),
        };
        self.tardiness.store(tardiness, Ordering::Relaxed);
        let (runs, waits) = (stage::RUNS, stage::WAITS);
        let waits = self
            .stage
            .compare_exchange(runs, waits, Ordering::SeqCst, Ordering::SeqCst);
        if waits.is_ok() {
            return AfterTurn::Waits;
        }
        self.stage.store(stage::READY, Ordering::SeqCst);
        AfterTurn::Ready
    }

    /// Lets the future get on. Whether it is over then.
    fn get_on(self: &Arc<Self>) -> bool {
        let mut place = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(future) = place.as_mut() else {
            return true;
        };
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        let is_cancelled = || self.is_cancelled.load(Ordering::SeqCst);
        let is_over = is_cancelled() || future.as_mut().poll(&mut context).is_ready();
        if is_over || is_cancelled() {
            // What it holds may be user code's, and panic once more.
            let dropped = catch_unwind(AssertUnwindSafe(|| *place = None));
            if dropped.is_err() {
                tracing::error!("a task panicked while it was dropped");
            }
            return true;
        }
        false
    }
}

impl Wake for Strand {
    fn wake(self: Arc<Self>) {
        let woken = self
            .stage
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| match now {
                stage::WAITS => Some(stage::READY),
                stage::RUNS => Some(stage::RUNS_AGAIN),
                _ => None,
            });
        if woken == Ok(stage::WAITS) {
            let pool = self.pool.clone();
            pool.add(self);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a thread is held up is a matter of real time"
)]
fn now() -> Instant {
    Instant::now()
}

/// A turn of this length holds up others: some twenty times what waking a thread takes.
const LONG: Duration = Duration::from_micros(100);

/// One long turn says little: the system may have given the processor to others meanwhile. Two of three
/// are expected to go on, and so is every second one.
const TARDINESS_OF_ONE: u8 = 2;
const TARDINESS_MAX: u8 = 4 * TARDINESS_OF_ONE;
