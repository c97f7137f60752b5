//! The check of an input: stopped anywhere and resumed, it reads exactly the rest.

use super::{IDLE_POLLS_MAX, Violation, below, same, wait_a_moment};
use crate::ids::IdSource;
use crate::plugins::{Input, PluginError, Polled, Position, ReadSegments, Rejected, Start};
use std::collections::VecDeque;
use std::fmt;

/// The most segments that a check asks for at once.
const POLL_MAX: usize = 9;

/// From so many positions, at most, a check reads the rest one by one.
const RESUMES_MAX: usize = 64;

/// Checks an input over a medium that ends, and gives back what it holds. `open` opens the same
/// medium each time; `seed` decides where the check stops and how much it asks for.
pub fn check_input<F>(open: F, seed: u64) -> Result<ReadSegments, Violation>
where
    F: Fn(Start) -> Result<Box<dyn Input>, PluginError>,
{
    let mut draws = IdSource::from_seed(seed);
    let mut visits = Vec::new();
    let mut input = open(Start::Fresh)?;
    let mut whole = ReadSegments::default();
    loop {
        visits.push(Visit::of(input.as_ref(), &whole));
        let end = poll(input.as_mut(), 1, &mut whole)?;
        if end == Reading::Ended {
            break;
        }
    }
    stays_exhausted(input.as_mut(), &whole)?;
    says_what_it_rejects(&whole)?;
    visits.push(Visit::of(input.as_ref(), &whole));

    let unplaced = open(Start::Resumed(None))?.position();
    same_position("resumed without a position", &unplaced, &visits[0].position)?;
    let few = RESUMES_MAX as f64 / visits.len() as f64;
    let last = visits.len() - 1;
    for (at, visit) in visits.iter().enumerate() {
        if at == 0 || at == last || draws.unit() < few {
            resumes_at(&open, visit, &whole, &mut draws)?;
        }
    }
    survives_stops(&open, &whole, &mut draws)?;
    survives_kills(&open, &whole, &mut draws)?;
    Ok(whole)
}

/// Checks the input of each of so many slots, and that together they hold what one slot alone does.
/// `open` is given a start, and rank and number of the slots.
pub fn check_input_slots<F>(open: F, slots: u32, seed: u64) -> Result<ReadSegments, Violation>
where
    F: Fn(Start, (u32, u32)) -> Result<Box<dyn Input>, PluginError>,
{
    let alone = check_input(|start| open(start, (0, 1)), seed)?;
    let mut together = ReadSegments::default();
    for rank in 0..slots {
        let part = check_input(|start| open(start, (rank, slots)), seed ^ u64::from(rank))?;
        together.segments.extend(part.segments);
        together.rejected.extend(part.rejected);
    }
    let what = format!("the parts of {slots} slots together");
    same(
        &what,
        "segment",
        &sorted(&together.segments),
        &sorted(&alone.segments),
    )?;
    same(
        &what,
        "rejected piece",
        &sorted(&together.rejected),
        &sorted(&alone.rejected),
    )?;
    Ok(alone)
}

/// Checks that an input whose medium fails, or whose own thread ends with an error or a panic, says
/// so when it is polled, and neither stays idle nor claims to be at its end.
pub fn check_failing_input<F>(open: F) -> Result<PluginError, Violation>
where
    F: Fn(Start) -> Result<Box<dyn Input>, PluginError>,
{
    let mut input = match open(Start::Fresh) {
        Ok(input) => input,
        Err(error) => return Ok(error),
    };
    let mut read = ReadSegments::default();
    let mut idle = 0;
    while idle < IDLE_POLLS_MAX {
        match input.poll(POLL_MAX, &mut read) {
            Err(error) => return Ok(error),
            Ok(Polled::Exhausted) => {
                let message = "was exhausted, although its medium failed";
                return Err(Violation(message.into()));
            }
            Ok(Polled::More) => idle = 0,
            Ok(Polled::Idle(_)) => {
                idle += 1;
                wait_a_moment();
            }
        }
    }
    let message = "stays idle, although its medium failed: the error never reaches the task";
    Err(Violation(message.into()))
}

/// Checks that an input takes only so much from its medium ahead of what is polled, and lets go of
/// the medium when it is dropped. `taken` says how many pieces it has taken, `held` how many own the
/// medium, as [`std::sync::Arc::strong_count`] does; the medium must have more than `ahead_max`
/// pieces.
pub fn check_input_bounds<F>(
    open: F,
    taken: impl Fn() -> usize,
    held: impl Fn() -> usize,
    ahead_max: usize,
) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Input>, PluginError>,
{
    let before = held();
    let mut input = open(Start::Fresh)?;
    let mut read = ReadSegments::default();
    for polls in 0..3 {
        // A thread of its own has all the time it wants.
        for _ in 0..IDLE_POLLS_MAX / 10 {
            wait_a_moment();
        }
        let polled = read.segments.len() + read.rejected.len();
        let ahead = taken().saturating_sub(polled);
        if ahead > ahead_max {
            let message = format!("holds {ahead} pieces nobody polled, more than {ahead_max}");
            return Err(Violation(message));
        }
        if polls < 2 && poll(input.as_mut(), POLL_MAX, &mut read)? == Reading::Ended {
            break;
        }
    }
    drop(input);
    if held() > before {
        let message = "holds its medium after it was dropped: something of it goes on";
        return Err(Violation(message.into()));
    }
    Ok(())
}

fn sorted<T: fmt::Debug + Clone>(pieces: &[T]) -> Vec<T> {
    let mut pieces = pieces.to_vec();
    pieces.sort_by_cached_key(|piece| format!("{piece:?}"));
    pieces
}

fn says_what_it_rejects(whole: &ReadSegments) -> Result<(), Violation> {
    let silent = |it: &&Rejected| it.place.is_empty() || it.reason.is_empty();
    match whole.rejected.iter().find(silent) {
        Some(piece) => {
            let message = format!("rejects {piece:?} without a place or a reason");
            Err(Violation(message))
        }
        None => Ok(()),
    }
}

/// A position, and how much had been read there.
struct Visit {
    position: Position,
    segments: usize,
    rejected: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    GoesOn,
    Ended,
}

impl Visit {
    fn of(input: &dyn Input, read: &ReadSegments) -> Self {
        Visit {
            position: input.position(),
            segments: read.segments.len(),
            rejected: read.rejected.len(),
        }
    }

    fn start(&self) -> Result<Start, Violation> {
        stored(&self.position).map(|position| Start::Resumed(Some(position)))
    }
}

/// A position is written every second or so, to a service that many share.
const POSITION_BYTES_MAX: usize = 64 * 1024;

/// A position as it is when it was stored and loaded.
fn stored(position: &Position) -> Result<Position, Violation> {
    let wrong = |error| Violation(format!("{position:?} cannot be stored: {error}"));
    let text = serde_json::to_string(position).map_err(wrong)?;
    if text.len() > POSITION_BYTES_MAX {
        let bytes = text.len();
        let message = format!("a position of {bytes} bytes; {POSITION_BYTES_MAX} are allowed");
        return Err(Violation(message));
    }
    serde_json::from_str(&text).map_err(wrong)
}

/// Polls until there is something, or the end.
fn poll(input: &mut dyn Input, max: usize, read: &mut ReadSegments) -> Result<Reading, Violation> {
    let before = read.segments.len() + read.rejected.len();
    for _ in 0..IDLE_POLLS_MAX {
        let polled = input.poll(max, read)?;
        let grown = read.segments.len() + read.rejected.len() - before;
        if grown > max {
            return Err(Violation(format!("polled for {max}, got {grown} pieces")));
        }
        match polled {
            Polled::Exhausted => return Ok(Reading::Ended),
            Polled::More => return Ok(Reading::GoesOn),
            Polled::Idle(_) if grown > 0 => return Ok(Reading::GoesOn),
            Polled::Idle(_) => wait_a_moment(),
        }
    }
    let message = "idle for ever: check an input over a medium that ends";
    Err(Violation(message.into()))
}

fn stays_exhausted(input: &mut dyn Input, whole: &ReadSegments) -> Result<(), Violation> {
    let position = input.position();
    let mut more = ReadSegments::default();
    let reading = poll(input, POLL_MAX, &mut more)?;
    if reading == Reading::GoesOn || !more.segments.is_empty() || !more.rejected.is_empty() {
        let read = whole.segments.len();
        let message = format!("was exhausted behind {read} segments, then read on");
        return Err(Violation(message));
    }
    if input.position() != position {
        let message = "moved its position when polled after its end";
        return Err(Violation(message.into()));
    }
    Ok(())
}

/// From a position, in batches of any size, comes what was behind it.
fn resumes_at<F>(
    open: &F,
    visit: &Visit,
    whole: &ReadSegments,
    draws: &mut IdSource,
) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Input>, PluginError>,
{
    let mut input = open(visit.start()?)?;
    input.completed(&visit.position)?;
    same_position("just resumed", &input.position(), &visit.position)?;
    let mut rest = ReadSegments::default();
    while poll(input.as_mut(), below(POLL_MAX, draws) + 1, &mut rest)? == Reading::GoesOn {}
    let expected = ReadSegments {
        segments: whole.segments[visit.segments..].to_vec(),
        rejected: whole.rejected[visit.rejected..].to_vec(),
        ..ReadSegments::default()
    };
    same_read(
        &format!("resumed at {:?}", visit.position),
        &rest,
        &expected,
    )
}

/// Stopped and resumed again and again, it reads everything once.
fn survives_stops<F>(open: &F, whole: &ReadSegments, draws: &mut IdSource) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Input>, PluginError>,
{
    let mut read = ReadSegments::default();
    let mut start = Start::Fresh;
    loop {
        let mut input = open(start)?;
        for _ in 0..=below(4, draws) {
            if poll(input.as_mut(), below(POLL_MAX, draws) + 1, &mut read)? == Reading::Ended {
                return same_read("stopped and resumed many times", &read, whole);
            }
        }
        let position = input.position();
        input.completed(&position)?;
        start = Start::Resumed(Some(stored(&position)?));
    }
}

/// Killed again and again, and opened where its task had saved last, it reads everything at least
/// once, and again only what had not been saved. Nothing is said to be complete before it is saved.
fn survives_kills<F>(open: &F, whole: &ReadSegments, draws: &mut IdSource) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Input>, PluginError>,
{
    let mut saved = Visit {
        position: Position::new(),
        segments: 0,
        rejected: 0,
    };
    let mut start = Start::Fresh;
    for _ in 0..KILLS_MAX {
        let mut input = open(start)?;
        let mut read = ReadSegments::default();
        let mut polled = VecDeque::new();
        for _ in 0..=below(6, draws) {
            let reading = poll(input.as_mut(), below(POLL_MAX, draws) + 1, &mut read)?;
            let expected = ReadSegments {
                segments: window(&whole.segments, saved.segments, read.segments.len()),
                rejected: window(&whole.rejected, saved.rejected, read.rejected.len()),
                ..ReadSegments::default()
            };
            same_read("opened where it was saved last", &read, &expected)?;
            polled.push_back(Visit::of(input.as_ref(), &read));
            if reading == Reading::Ended {
                break;
            }
        }
        let complete = below(polled.len() + 1, draws);
        if let Some(visit) = polled.drain(..complete).next_back() {
            input.completed(&visit.position)?;
            saved.segments += visit.segments;
            saved.rejected += visit.rejected;
            saved.position = stored(&visit.position)?;
        }
        start = match (saved.segments, saved.rejected) {
            (0, 0) => Start::Resumed(None),
            _ => Start::Resumed(Some(saved.position.clone())),
        };
    }
    Ok(())
}

/// So often a check kills an input.
const KILLS_MAX: usize = 24;

fn window<T: Clone>(pieces: &[T], from: usize, length: usize) -> Vec<T> {
    let to = (from + length).min(pieces.len());
    pieces[from.min(to)..to].to_vec()
}

fn same_position(what: &str, found: &Position, expected: &Position) -> Result<(), Violation> {
    if found == expected {
        return Ok(());
    }
    Err(Violation(format!(
        "{what}: is at {found:?}, expected {expected:?}"
    )))
}

fn same_read(what: &str, found: &ReadSegments, expected: &ReadSegments) -> Result<(), Violation> {
    same(what, "segment", &found.segments, &expected.segments)?;
    same(what, "rejected piece", &found.rejected, &expected.rejected)
}
