//! Who takes what is ready: how many threads are on duty, and when another one is called.
//!
//! Waking a thread costs more than a small batch takes, so that a thread that will be free in a moment is
//! better than another one at once. What holds a thread up for long must hold up nobody else. So a
//! thread that takes something that is expected to be long leaves its duty to another before, and one that
//! turns out to be held up is relieved at the next look around. Counts only: threads and time are outside.

use std::collections::VecDeque;

/// What is ready, and the threads that there are for it.
///
/// When something is ready, a thread is on duty or on its way.
#[derive(Debug)]
pub(super) struct Rota<T> {
    ready: VecDeque<T>,
    /// Threads that will look for something ready in a moment; those on their way included.
    on_duty: usize,
    /// Threads that have been called and have not answered yet.
    called: usize,
    /// Threads that rest, and those that are being started.
    idle: usize,
    /// How often those on duty have been relieved. Who was on duty before is not any more.
    relieved: u64,
    /// How often something was taken, …
    taken: u64,
    /// … and had been at the last look.
    taken_before: u64,
    /// Whether something was ready at the last look.
    was_crowded: bool,
    quiet_looks: u32,
    on_duty_max: usize,
}

/// Whether a thread is on duty, in its own view: since so many reliefs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duty(Option<u64>);

/// Who has to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "whoever is called must hear of it"]
pub(super) struct Call {
    pub(super) thread: Option<Who>,
    /// Whoever looks around, and has stopped for there was nothing to see.
    pub(super) lookout: bool,
}

/// The thread that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// One of those that wait.
    Idle,
    /// One that is yet to be started.
    New,
}

/// What a look around comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Again,
    /// Nothing has happened for a while: no look until the next call.
    Stop,
}

impl<T> Rota<T> {
    /// Nothing is ready, and there are no threads. Not more than so many are on duty at a time: as many
    /// as can run.
    pub(super) fn new(on_duty_max: usize) -> Self {
        Rota {
            ready: VecDeque::new(),
            on_duty: 0,
            called: 0,
            idle: 0,
            relieved: 0,
            taken: 0,
            taken_before: 0,
            was_crowded: false,
            quiet_looks: QUIET_LOOKS_MAX,
            on_duty_max: on_duty_max.max(1),
        }
    }

    /// Something has become ready.
    pub(super) fn add(&mut self, item: T) -> Call {
        self.ready.push_back(item);
        let lookout = self.is_unwatched();
        if lookout {
            self.quiet_looks = 0;
        }
        let thread = self.cover();
        Call { thread, lookout }
    }

    /// A thread on duty takes what has been ready for longest. When that may hold it up it leaves its
    /// duty to another.
    pub(super) fn take(
        &mut self,
        duty: &mut Duty,
        is_long: impl Fn(&T) -> bool,
    ) -> Option<(T, Call)> {
        let item = self.ready.pop_front()?;
        self.taken += 1;
        let mut call = Call::default();
        if is_long(&item) {
            self.on_duty -= 1;
            *duty = Duty(None);
            call.thread = self.cover();
        }
        Some((item, call))
    }

    /// A thread is through with what it took, and on duty again; that may have become ready again.
    pub(super) fn back(&mut self, duty: &mut Duty, again: Option<T>) {
        if *duty != Duty(Some(self.relieved)) {
            self.on_duty += 1;
            *duty = Duty(Some(self.relieved));
        }
        self.ready.extend(again);
    }

    /// A thread on duty found nothing.
    pub(super) fn rest(&mut self) {
        self.on_duty -= 1;
        self.idle += 1;
    }

    /// A thread that was started, or one that rests, asks whether it is called.
    pub(super) fn answer(&mut self) -> Option<Duty> {
        self.called = self.called.checked_sub(1)?;
        self.idle -= 1;
        Some(Duty(Some(self.relieved)))
    }

    /// Whether a thread is called and none has answered.
    pub(super) fn is_called(&self) -> bool {
        self.called > 0
    }

    /// A thread that rests, and is not called, ends.
    pub(super) fn leave(&mut self) {
        self.idle -= 1;
    }

    /// A thread that was to be started could not be. The next look calls again.
    pub(super) fn not_started(&mut self) {
        self.on_duty -= 1;
        self.called -= 1;
        self.idle -= 1;
    }

    /// Looks whether something waits for threads that are held up, or for more than there are.
    pub(super) fn look(&mut self) -> (Look, Call) {
        let stood_still = self.taken == self.taken_before;
        self.taken_before = self.taken;
        let is_crowded = !self.ready.is_empty();
        let was_crowded = std::mem::replace(&mut self.was_crowded, is_crowded);
        if !is_crowded {
            self.quiet_looks = if stood_still { self.quiet_looks + 1 } else { 0 };
            let look = match self.is_unwatched() {
                true => Look::Stop,
                false => Look::Again,
            };
            return (look, Call::default());
        }
        if stood_still && self.on_duty > self.called {
            // Who has answered has taken something, and is not back since the last look.
            self.relieved += 1;
            self.on_duty = self.called;
        }
        let thread = match self.on_duty {
            0 => self.cover(),
            more if was_crowded && more < self.on_duty_max => Some(self.call()),
            _ => None,
        };
        let lookout = false;
        (Look::Again, Call { thread, lookout })
    }

    /// Whether nobody looks any more, until the next call.
    pub(super) fn is_unwatched(&self) -> bool {
        self.quiet_looks >= QUIET_LOOKS_MAX
    }

    /// Calls somebody when something is ready and nobody is on duty.
    fn cover(&mut self) -> Option<Who> {
        (self.on_duty == 0 && !self.ready.is_empty()).then(|| self.call())
    }

    /// Whoever comes first answers: one that rests, or one that is started.
    fn call(&mut self) -> Who {
        self.on_duty += 1;
        self.called += 1;
        if self.idle >= self.called {
            return Who::Idle;
        }
        self.idle += 1;
        Who::New
    }
}

/// After so many looks at which nothing had been taken, nobody looks any more.
const QUIET_LOOKS_MAX: u32 = 50;
