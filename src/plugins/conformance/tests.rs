//! The checks against plugins that keep what they must, and against each way not to.

use super::*;
use crate::ids::SlotId;
use crate::plugins::{
    Input, Pieces, Polled, Position, ReadSegments, Rejected, Start, Worker, WorkerError,
};
use crate::segment::Segment;
use insta::assert_snapshot;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What an input of the tests does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// The position is ahead of what was read.
    Skips,
    /// The position is behind it.
    Repeats,
    /// It gives more than it was asked for.
    Floods,
    /// It reads on behind its end.
    NeverEnds,
    /// It takes from its medium what was polled, not what is complete.
    ForgetsWhatWasPolled,
    /// It rejects without a reason.
    IsSilent,
    /// Its position grows with what was read.
    RemembersEverything,
    /// It leaves out what it cannot read when it was resumed.
    DropsWhenResumed,
    /// Every slot reads everything.
    IgnoresItsRank,
}

/// Counts up to its end; every seventh number is no segment.
struct Counter {
    next: i64,
    step: i64,
    end: i64,
    first: Arc<Mutex<i64>>,
    mistake: Mistake,
    is_resumed: bool,
}

impl Input for Counter {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        let max = max + usize::from(self.mistake == Mistake::Floods);
        for _ in 0..max {
            if self.next >= self.end {
                if self.mistake == Mistake::NeverEnds {
                    self.next = self.end - 1;
                }
                return Ok(Polled::Exhausted);
            }
            if self.next % 7 == 6 {
                let reason = match self.mistake {
                    Mistake::IsSilent => "",
                    _ => "a seventh",
                };
                if !(self.mistake == Mistake::DropsWhenResumed && self.is_resumed) {
                    read.rejected.push(Rejected {
                        place: format!("number {}", self.next),
                        reason: reason.into(),
                        raw: String::new(),
                    });
                }
            } else {
                read.segments.push([("n", self.next)].into_iter().collect());
            }
            self.next += self.step;
        }
        if self.mistake == Mistake::ForgetsWhatWasPolled {
            *self.first.lock().unwrap() = self.next;
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        let by = match self.mistake {
            Mistake::Skips => i64::from(self.next == 3),
            Mistake::Repeats => -i64::from(self.next == 3),
            _ => 0,
        };
        let mut position: Position = [("next", (self.next + by).min(self.end))]
            .into_iter()
            .collect();
        if self.mistake == Mistake::RemembersEverything {
            position.set("seen", "x".repeat(self.next as usize * 10_000));
        }
        position
    }
}

fn counters(
    end: i64,
    mistake: Mistake,
) -> impl Fn(Start, (u32, u32)) -> Result<Box<dyn Input>, PluginError> {
    let first = Arc::new(Mutex::new(0));
    move |start, (rank, slots)| {
        let (rank, slots) = match mistake {
            Mistake::IgnoresItsRank => (0, 1),
            _ => (rank, slots),
        };
        let next = match &start {
            Start::Fresh => {
                *first.lock().unwrap() = 0;
                i64::from(rank)
            }
            Start::Resumed(None) => i64::from(rank),
            Start::Resumed(Some(position)) => position.get("next").unwrap().as_int().unwrap(),
        };
        let is_resumed = start != Start::Fresh;
        Ok(Box::new(Counter {
            next: next.max(*first.lock().unwrap()),
            step: slots.into(),
            end,
            first: Arc::clone(&first),
            mistake,
            is_resumed,
        }))
    }
}

#[test]
fn an_input_that_keeps_its_place_conforms_in_any_number_of_slots() {
    for end in [0, 1, 10, 200] {
        for slots in 1..5 {
            let read = check_input_slots(counters(end, Mistake::None), slots, 1).unwrap();
            let pieces = read.segments.len() + read.rejected.len();
            assert_eq!(pieces as i64, end);
        }
    }
}

fn violation(mistake: Mistake) -> String {
    let check = check_input_slots(counters(30, mistake), 2, 1);
    check.expect_err("it is caught").0
}

#[test]
fn every_mistake_of_an_input_is_caught() {
    assert_snapshot!(violation(Mistake::Skips), @r#"resumed at Segment { fields: [("next", Int(4))] }: segment 0 is Some(Segment { fields: [("n", Int(4))] }), expected Some(Segment { fields: [("n", Int(3))] })"#);
    assert_snapshot!(violation(Mistake::Repeats), @r#"resumed at Segment { fields: [("next", Int(2))] }: segment 0 is Some(Segment { fields: [("n", Int(2))] }), expected Some(Segment { fields: [("n", Int(3))] })"#);
    assert_snapshot!(violation(Mistake::Floods), @"polled for 1, got 2 pieces");
    assert_snapshot!(violation(Mistake::NeverEnds), @"was exhausted behind 26 segments, then read on");
    assert_snapshot!(violation(Mistake::ForgetsWhatWasPolled), @r#"resumed without a position: is at Segment { fields: [("next", Int(30))] }, expected Segment { fields: [("next", Int(0))] }"#);
    assert_snapshot!(violation(Mistake::IsSilent), @r#"rejects Rejected { place: "number 6", reason: "", raw: "" } without a place or a reason"#);
    assert_snapshot!(violation(Mistake::RemembersEverything), @"a position of 70020 bytes; 65536 are allowed");
    assert_snapshot!(violation(Mistake::DropsWhenResumed), @r#"resumed at Segment { fields: [("next", Int(0))] }: rejected piece 0 is None, expected Some(Rejected { place: "number 6", reason: "a seventh", raw: "" })"#);
    assert_snapshot!(violation(Mistake::IgnoresItsRank), @r#"the parts of 2 slots together: segment 1 is Some(Segment { fields: [("n", Int(0))] }), expected Some(Segment { fields: [("n", Int(1))] })"#);
}

/// What a thread does at its fifth piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fails,
    Panics,
    FailsUnheard,
    GoesOn,
}

/// An input with a thread of its own.
struct Threaded {
    worker: Worker<i64>,
    next: i64,
    end: End,
}

impl Input for Threaded {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        for _ in 0..max {
            match self.worker.next() {
                Ok(Pieces::Piece(n)) => {
                    read.segments.push([("n", n)].into_iter().collect());
                    self.next = n + 1;
                }
                Ok(Pieces::NoneYet) => return Ok(Polled::Idle(Duration::from_millis(1))),
                Ok(Pieces::End) => return Ok(Polled::Exhausted),
                Err(_) if self.end == End::FailsUnheard => {
                    return Ok(Polled::Idle(Duration::from_millis(1)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        [("next", self.next)].into_iter().collect()
    }
}

/// How far ahead of its task the thread reads, and how often its medium is owned.
#[derive(Default)]
struct Medium(AtomicUsize);

fn threaded(
    medium: &Arc<Medium>,
    end: End,
    waiting_max: usize,
) -> impl Fn(Start) -> Result<Box<dyn Input>, PluginError> {
    let medium = Arc::clone(medium);
    move |start| {
        let medium = Arc::clone(&medium);
        let first = match start {
            Start::Fresh | Start::Resumed(None) => 0,
            Start::Resumed(Some(position)) => position.get("next").unwrap().as_int().unwrap(),
        };
        let worker = Worker::start("threaded", waiting_max, move |out| {
            for n in first..40 {
                match end {
                    End::Fails | End::FailsUnheard if n == 5 => {
                        return Err(WorkerError::Failed(PluginError("the line is dead".into())));
                    }
                    End::Panics if n == 5 => panic!("oh no"),
                    _ => {}
                }
                medium.0.fetch_add(1, Ordering::SeqCst);
                out.give(n)?;
            }
            Ok(())
        })?;
        Ok(Box::new(Threaded {
            worker,
            next: first,
            end,
        }))
    }
}

#[test]
fn an_input_with_a_thread_of_its_own_can_conform() {
    let medium = Arc::new(Medium::default());
    let read = check_input(threaded(&medium, End::GoesOn, 3), 1).unwrap();
    assert_eq!(read.segments.len(), 40);
    medium.0.store(0, Ordering::SeqCst);
    let taken = || medium.0.load(Ordering::SeqCst);
    let held = || Arc::strong_count(&medium);
    let open = threaded(&medium, End::GoesOn, 3);
    // Three wait, and the fourth is in the thread's hands.
    check_input_bounds(open, taken, held, 4).unwrap();
}

#[test]
fn errors_of_a_thread_must_reach_the_task() {
    let failing = |end| check_failing_input(threaded(&Arc::default(), end, 3));
    assert_snapshot!(failing(End::Fails).unwrap(), @"the line is dead");
    assert_snapshot!(failing(End::Panics).unwrap(), @"a thread of the plugin panicked: oh no");
    assert_snapshot!(failing(End::FailsUnheard).unwrap_err(), @"stays idle, although its medium failed: the error never reaches the task");
    assert_snapshot!(check_failing_input(|start| counters(9, Mistake::None)(start, (0, 1))).unwrap_err(), @"was exhausted, although its medium failed");
}

#[test]
fn reading_ahead_without_a_bound_and_going_on_after_the_end_are_caught() {
    let medium = Arc::new(Medium::default());
    let taken = || medium.0.load(Ordering::SeqCst);
    let held = || Arc::strong_count(&medium);
    let open = threaded(&medium, End::GoesOn, 1_000);
    assert_snapshot!(check_input_bounds(open, taken, held, 4).unwrap_err(), @"holds 40 pieces nobody polled, more than 4");
    let kept = Mutex::new(Vec::new());
    medium.0.store(0, Ordering::SeqCst);
    let open = |_: Start| -> Result<Box<dyn Input>, PluginError> {
        kept.lock().unwrap().push(Arc::clone(&medium));
        counters(9, Mistake::None)(Start::Fresh, (0, 1))
    };
    assert_snapshot!(check_input_bounds(open, taken, held, 4).unwrap_err(), @"holds its medium after it was dropped: something of it goes on");
}

/// What an output of several slots does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    SharesItsMedium,
    SealsTwice,
}

struct Slot {
    rows: Arc<Mutex<BTreeMap<u32, Vec<Segment>>>>,
    slot: u32,
    fault: Fault,
}

impl crate::plugins::Output for Slot {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        let mut rows = self.rows.lock().unwrap();
        rows.entry(self.slot)
            .or_default()
            .extend_from_slice(segments);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        if self.fault == Fault::SealsTwice {
            self.write(&[[("sealed", true)].into_iter().collect()])?;
        }
        Ok(())
    }
}

fn check_slots(fault: Fault) -> Result<(), Violation> {
    let rows = Arc::new(Mutex::new(BTreeMap::new()));
    let open =
        |start: Start, slot: SlotId| -> Result<Box<dyn crate::plugins::Output>, PluginError> {
            let slot = match fault {
                Fault::SharesItsMedium => 0,
                _ => slot.0,
            };
            if start == Start::Fresh {
                rows.lock().unwrap().insert(slot, Vec::new());
            }
            let rows = Arc::clone(&rows);
            Ok(Box::new(Slot { rows, slot, fault }))
        };
    let read_back = || {
        let rows = rows.lock().unwrap();
        Ok(rows.values().flatten().cloned().collect::<Vec<Segment>>())
    };
    let batch = |n: i64| vec![[("n", n)].into_iter().collect::<Segment>()];
    let batches: Vec<Vec<Segment>> = (0..10).map(batch).collect();
    check_output_slots(open, read_back, 3, &batches, 1)
}

#[test]
fn slots_that_write_and_seal_apart_conform_and_others_do_not() {
    check_slots(Fault::None).unwrap();
    assert_snapshot!(check_slots(Fault::SharesItsMedium).unwrap_err(), @r#"when one of several slots began: segment 0 is None, expected Some(Segment { fields: [("n", Int(0))] })"#);
    assert_snapshot!(check_slots(Fault::SealsTwice).unwrap_err(), @r#"when one of several slots was sealed: segment 13 is Some(Segment { fields: [("sealed", Bool(true))] }), expected None"#);
}

/// What an output does that has a medium of its own to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    Waits,
    /// Takes whatever it is given, for later.
    Hoards,
    /// So, and something of it goes on when it is gone.
    GoesOn,
}

/// Takes nothing while it is shut.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    rows: Mutex<Vec<Segment>>,
}

struct Gated {
    gate: Arc<Gate>,
    haste: Haste,
    hoard: Vec<Segment>,
}

impl Gate {
    fn pass(&self) {
        let shut = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(shut, |is_open| !*is_open).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl crate::plugins::Output for Gated {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        if self.haste != Haste::Waits {
            self.hoard.extend_from_slice(segments);
            return Ok(());
        }
        self.gate.pass();
        self.gate.rows.lock().unwrap().extend_from_slice(segments);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn gated(
    gate: &Arc<Gate>,
    haste: Haste,
) -> impl Fn(Start) -> Result<Box<dyn crate::plugins::Output>, PluginError> {
    let kept = Mutex::new(Vec::new());
    move |_| {
        if haste == Haste::GoesOn {
            kept.lock().unwrap().push(Arc::clone(gate));
        }
        let gate = Arc::clone(gate);
        let hoard = Vec::new();
        Ok(Box::new(Gated { gate, haste, hoard }))
    }
}

fn number(n: usize) -> Segment {
    [("n", n as i64)].into_iter().collect()
}

#[test]
fn an_output_must_wait_for_its_medium_and_let_go_of_it() {
    let bounds = |haste| {
        let gate = Arc::new(Gate::default());
        let go_on = || {
            gate.open();
            // It is given the rest meanwhile.
            let all = || gate.rows.lock().unwrap().len() == 10;
            while !all() {
                wait_a_moment();
            }
            Ok(gate.rows.lock().unwrap().clone())
        };
        check_output_bounds(gated(&gate, haste), go_on, number, 5)
    };
    bounds(Haste::Waits).unwrap();
    assert_snapshot!(bounds(Haste::Hoards).unwrap_err(), @"took 6 pieces from its task while its medium stood still");
    let stop = |haste| {
        let gate = Arc::new(Gate::default());
        gate.open();
        let held = || Arc::strong_count(&gate);
        check_output_stop(gated(&gate, haste), held, &[number(1)])
    };
    stop(Haste::Waits).unwrap();
    assert_snapshot!(stop(Haste::GoesOn).unwrap_err(), @"holds its medium after it was dropped: something of it goes on");
}

#[test]
fn an_output_must_not_keep_a_failure_to_itself() {
    let gate = Arc::new(Gate::default());
    let hoards = gated(&gate, Haste::Hoards);
    assert_snapshot!(check_failing_output(hoards, &[number(1)]).unwrap_err(), @"`write` returned, although its medium failed: its segments are lost");
    let fails = |_: Start| Err(PluginError("no medium".into()));
    assert_snapshot!(check_failing_output(fails, &[number(1)]).unwrap(), @"no medium");
}
