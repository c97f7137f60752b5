//! Laws of the threads of tasks: everything that is ready runs, whatever holds up whom.

use super::rota::{Call, Duty, Look, Rota, Who};
use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc as blocking;
use tokio::sync::mpsc;

/// A thread in a life of the rota.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Thread {
    /// Rests, or is being started.
    Rests,
    /// Is at something that comes back, or does not.
    Works(Duty, bool),
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Ready(Kind),
    /// The how-manieth thread does the next thing that it does.
    Thread(usize),
    /// … or starts in vain, if it is one that is to be started.
    NotStarted,
    Look,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Short,
    /// Was long the last time.
    Long,
    /// Never comes back.
    Stuck,
}

/// Threads and what they do, one step after the other.
struct Life {
    rota: Rota<Kind>,
    threads: Vec<Thread>,
    added: usize,
    taken: usize,
}

impl Life {
    fn new() -> Self {
        Life {
            rota: Rota::new(2),
            threads: Vec::new(),
            added: 0,
            taken: 0,
        }
    }

    fn called(&mut self, call: Call) {
        if call.thread == Some(Who::New) {
            self.threads.push(Thread::Rests);
        }
    }

    fn ready(&mut self, kind: Kind) {
        self.added += 1;
        let call = self.rota.add(kind);
        self.called(call);
    }

    fn look(&mut self) {
        let (_, call) = self.rota.look();
        self.called(call);
    }

    /// What a thread does until it lets others look at the rota. Whether it did anything.
    fn step(&mut self, at: usize) -> bool {
        let mut duty = match self.threads[at] {
            Thread::Rests => match self.rota.answer() {
                Some(duty) => duty,
                None => return false,
            },
            Thread::Works(mut duty, true) => {
                self.rota.back(&mut duty, None);
                duty
            }
            Thread::Works(_, false) => return false,
        };
        self.threads[at] = match self.rota.take(&mut duty, |kind| *kind == Kind::Long) {
            Some((kind, call)) => {
                self.taken += 1;
                self.called(call);
                Thread::Works(duty, kind != Kind::Stuck)
            }
            None => {
                self.rota.rest();
                Thread::Rests
            }
        };
        true
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Ready(kind) => self.ready(kind),
            Event::Look => self.look(),
            Event::Thread(_) if self.threads.is_empty() => {}
            Event::Thread(at) => {
                self.step(at % self.threads.len());
            }
            Event::NotStarted => {
                let resting = self.threads.iter().position(|it| *it == Thread::Rests);
                if let Some(at) = resting.filter(|_| self.rota.is_called()) {
                    self.rota.not_started();
                    self.threads.remove(at);
                }
            }
        }
    }

    /// Everything that is ready is taken, though nothing that is stuck comes back.
    fn comes_to_rest(&mut self) {
        for _ in 0..4 * (self.added + 2) {
            while (0..self.threads.len()).any(|at| self.step(at)) {}
            self.look();
        }
        assert_eq!(self.taken, self.added, "something is left: {:?}", self.rota);
        let is_done = |it: &Thread| !matches!(it, Thread::Works(_, true));
        assert!(self.threads.iter().all(is_done), "a thread goes on");
    }
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![8 => Just(Kind::Short), 2 => Just(Kind::Long), 1 => Just(Kind::Stuck)];
    prop_oneof![
        4 => kind.prop_map(Event::Ready),
        8 => (0..20_usize).prop_map(Event::Thread),
        1 => Just(Event::NotStarted),
        2 => Just(Event::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn everything_that_is_ready_is_taken(events in prop::collection::vec(event(), 0..200)) {
        let mut life = Life::new();
        for event in events {
            life.happens(event);
        }
        life.comes_to_rest();
    }
}

#[test]
fn neighbours_need_one_thread_as_long_as_nobody_is_held_up() {
    let mut life = Life::new();
    for _ in 0..5 {
        life.ready(Kind::Short);
    }
    while life.step(0) {}
    assert_eq!((life.threads.len(), life.taken), (1, 5));
    // The next calls the same one.
    life.ready(Kind::Short);
    while life.step(0) {}
    assert_eq!((life.threads.len(), life.taken), (1, 6));
}

#[test]
fn what_was_long_is_left_alone_with_its_thread() {
    let mut life = Life::new();
    life.ready(Kind::Long);
    life.ready(Kind::Short);
    life.step(0);
    assert_eq!(life.threads.len(), 2, "nobody was called for the second");
    life.step(1);
    assert_eq!(life.taken, 2);
}

#[test]
fn a_thread_that_is_held_up_is_relieved_at_the_next_look() {
    let mut life = Life::new();
    life.ready(Kind::Stuck);
    life.step(0);
    life.ready(Kind::Short);
    assert_eq!(life.threads.len(), 1, "it may come back in a moment");
    life.look();
    assert_eq!(
        life.threads.len(),
        1,
        "it has taken something since the last look"
    );
    life.look();
    assert_eq!(life.threads.len(), 2);
    life.comes_to_rest();
}

#[test]
fn more_than_one_thread_can_do_is_shared() {
    let mut life = Life::new();
    let keep_busy = |life: &mut Life| {
        life.ready(Kind::Short);
        life.ready(Kind::Short);
        life.step(0);
    };
    life.ready(Kind::Short);
    life.step(0);
    for _ in 0..2 {
        keep_busy(&mut life);
        life.look();
    }
    assert_eq!(life.threads.len(), 2);
    for _ in 0..8 {
        keep_busy(&mut life);
        life.look();
    }
    assert_eq!(life.threads.len(), 2, "more than processors");
}

#[test]
fn nobody_looks_for_ever_where_nothing_happens() {
    let mut rota = Rota::new(2);
    assert!(rota.add(()).lookout);
    let mut duty = rota.answer().unwrap();
    let (_, call) = rota.take(&mut duty, |()| false).unwrap();
    assert_eq!(call, Call::default());
    rota.back(&mut duty, None);
    rota.rest();
    let looks = std::iter::from_fn(|| Some(rota.look().0)).take_while(|look| *look != Look::Stop);
    assert_eq!(looks.count(), 50);
    assert!(rota.add(()).lookout);
    assert!(!rota.add(()).lookout);
}

fn threads() -> TaskThreads {
    TaskThreads::start().unwrap()
}

#[tokio::test]
async fn what_runs_comes_back_with_its_outcome_and_timers_work() {
    let threads = threads();
    let asked = threads.run(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        6 * 7
    });
    let watch = asked.watch();
    assert_eq!(asked.await, Ok(42));
    // The outcome is told from within the last turn.
    while !watch.has_ended() {
        tokio::task::yield_now().await;
    }
    assert_eq!(watch.held_for(), Duration::ZERO);
}

#[tokio::test]
async fn one_that_is_held_up_holds_up_nobody() {
    let threads = threads();
    let (release, released) = blocking::channel::<()>();
    let held = threads.run(async move { released.recv().is_ok() });
    let watch = held.watch();
    // Both ways: by one that was there before, and by those that come.
    for number in 0..20 {
        assert_eq!(threads.run(async move { number }).await, Ok(number));
    }
    assert!(watch.held_for() > Duration::ZERO);
    assert!(!watch.has_ended());
    release.send(()).unwrap();
    assert_eq!(held.await, Ok(true));
}

#[tokio::test]
async fn a_panic_is_the_end_of_one_and_no_other() {
    let threads = threads();
    let (wake, woken) = oneshot::channel();
    let other = threads.run(async { woken.await.is_ok() });
    let gone = threads.run(async {
        assert!(std::hint::black_box(false), "as a bug would");
    });
    assert_eq!(gone.await, Err(NoOutcome));
    wake.send(()).unwrap();
    assert_eq!(other.await, Ok(true));
}

/// Tells when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}

#[tokio::test]
async fn who_is_not_wanted_any_more_is_dropped_where_it_waits() {
    let threads = threads();
    let (dropped, told) = oneshot::channel();
    let (begun, begins) = oneshot::channel();
    let running = threads.run(async {
        let _kept = Dropped(Some(dropped));
        begun.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    begins.await.unwrap();
    drop(running);
    assert_eq!(told.await, Ok(()));
}

#[tokio::test]
async fn who_is_not_wanted_any_more_is_dropped_when_it_comes_back() {
    let threads = threads();
    let (dropped, mut told) = oneshot::channel();
    let (begun, begins) = oneshot::channel();
    let (release, released) = blocking::channel::<()>();
    let came_further = Arc::new(AtomicBool::new(false));
    let further = came_further.clone();
    let running = threads.run(async move {
        let _kept = Dropped(Some(dropped));
        begun.send(()).unwrap();
        released.recv().unwrap();
        tokio::task::yield_now().await;
        further.store(true, Ordering::SeqCst);
    });
    begins.await.unwrap();
    drop(running);
    assert!(told.try_recv().is_err(), "it holds what it had");
    release.send(()).unwrap();
    assert_eq!(told.await, Ok(()));
    assert!(!came_further.load(Ordering::SeqCst));
}

#[tokio::test]
async fn many_that_wake_each_other_all_come_to_their_end() {
    const STRANDS: usize = 50;
    const ROUNDS: usize = 200;
    let threads = threads();
    let counted = Arc::new(AtomicUsize::new(0));
    let (first, mut received) = mpsc::unbounded_channel();
    let mut running = Vec::new();
    for number in 0..STRANDS {
        let (next, following) = mpsc::unbounded_channel();
        let mut received = std::mem::replace(&mut received, following);
        let counted = counted.clone();
        running.push(threads.run(async move {
            while let Some(value) = received.recv().await {
                if number % 10 == 0 {
                    // As a function that computes.
                    (0..20_000).for_each(|it| _ = std::hint::black_box(it));
                    tokio::task::yield_now().await;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                if next.send(value).is_err() {
                    return;
                }
            }
        }));
    }
    for round in 0..ROUNDS {
        first.send(round).unwrap();
    }
    for round in 0..ROUNDS {
        assert_eq!(received.recv().await, Some(round));
    }
    drop(first);
    for strand in running {
        strand.await.unwrap();
    }
    assert_eq!(counted.load(Ordering::Relaxed), STRANDS * ROUNDS);
}

#[tokio::test]
async fn no_thread_is_left_when_nobody_has_them_and_nothing_runs() {
    let threads = threads();
    let pool = Arc::downgrade(&threads.0.0);
    let (wake, woken) = oneshot::channel();
    let waits = threads.run(async { woken.await.is_ok() });
    let (release, released) = blocking::channel::<()>();
    let held = threads.run(async move { released.recv().is_ok() });
    drop(threads);
    wake.send(()).unwrap();
    assert_eq!(waits.await, Ok(true));
    let is_unwatched = || pool.upgrade().unwrap().state().rota.is_unwatched();
    while !is_unwatched() {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    assert_eq!(held.await, Ok(true));
    while pool.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
