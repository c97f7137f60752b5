//! The check of an input: stopped anywhere and resumed, it reads exactly the rest.

use super::{Violation, below, same};
use crate::ids::IdSource;
use crate::plugins::{Input, PluginError, Polled, Position, ReadSegments, Start};

/// The most segments that a check asks for at once.
const POLL_MAX: usize = 9;

/// From so many positions, at most, a check reads the rest one by one.
const RESUMES_MAX: usize = 64;

/// An input that says "idle" so often in a row has none of the end that a check needs.
const IDLE_POLLS_MAX: usize = 1_000;

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
    Ok(whole)
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

/// A position as it is when it was stored and loaded.
fn stored(position: &Position) -> Result<Position, Violation> {
    serde_json::to_string(position)
        .and_then(|text| serde_json::from_str(&text))
        .map_err(|error| Violation(format!("{position:?} cannot be stored: {error}")))
}

/// Polls until there is something, or the end.
fn poll(input: &mut dyn Input, max: usize, read: &mut ReadSegments) -> Result<Reading, Violation> {
    let before = read.segments.len();
    for _ in 0..IDLE_POLLS_MAX {
        let polled = input.poll(max, read)?;
        let grown = read.segments.len() - before;
        if grown > max {
            return Err(Violation(format!("polled for {max}, got {grown} segments")));
        }
        match polled {
            Polled::Exhausted => return Ok(Reading::Ended),
            Polled::More => return Ok(Reading::GoesOn),
            Polled::Idle(_) if grown > 0 => return Ok(Reading::GoesOn),
            Polled::Idle(_) => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    /// Counts from where it is to its end; its mistake is what it adds to the position it gives.
    struct Counter {
        next: i64,
        end: i64,
        mistake: i64,
    }

    impl Input for Counter {
        fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
            for _ in 0..max {
                if self.next == self.end {
                    return Ok(Polled::Exhausted);
                }
                read.segments.push([("n", self.next)].into_iter().collect());
                self.next += 1;
            }
            Ok(Polled::More)
        }

        fn position(&self) -> Position {
            let next = (self.next + self.mistake * i64::from(self.next == 3)).min(self.end);
            [("next", next)].into_iter().collect()
        }
    }

    fn check(end: i64, mistake: i64) -> Result<ReadSegments, Violation> {
        let open = |start: Start| -> Result<Box<dyn Input>, PluginError> {
            let next = match &start {
                Start::Fresh | Start::Resumed(None) => Some(0),
                Start::Resumed(Some(position)) => position.get("next").and_then(|n| n.as_int()),
            };
            let next = next.ok_or_else(|| PluginError("no position".into()))?;
            Ok(Box::new(Counter { next, end, mistake }))
        };
        check_input(open, 1)
    }

    #[test]
    fn an_input_that_keeps_its_place_conforms() {
        for end in [0, 1, 10, 200] {
            assert_eq!(check(end, 0).unwrap().segments.len() as i64, end);
        }
    }

    #[test]
    fn an_input_that_repeats_or_skips_does_not() {
        assert_snapshot!(check(5, -1).unwrap_err(), @r#"resumed at Segment { fields: [("next", Int(2))] }: segment 0 is Some(Segment { fields: [("n", Int(2))] }), expected Some(Segment { fields: [("n", Int(3))] })"#);
        assert_snapshot!(check(5, 1).unwrap_err(), @r#"resumed at Segment { fields: [("next", Int(4))] }: segment 0 is Some(Segment { fields: [("n", Int(4))] }), expected Some(Segment { fields: [("n", Int(3))] })"#);
    }
}
