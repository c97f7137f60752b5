//! What an output must not do: take without a bound, go on after its end, keep a failure to itself.

use super::{IDLE_POLLS_MAX, Violation, same, wait_a_moment};
use crate::plugins::{Output, PluginError, Start};
use crate::segment::Segment;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A medium that has taken nothing for so many moments stands still.
const STILL_MOMENTS: usize = IDLE_POLLS_MAX / 10;

/// Checks that an output takes only so much while its medium stands still, and that what it was
/// given is there when the medium goes on. `go_on` lets it, and answers with what it then got, up to
/// its end; `piece` makes pieces.
pub fn check_output_bounds<F, G, P>(
    open: F,
    go_on: G,
    piece: P,
    taken_max: usize,
) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Output>, PluginError> + Sync,
    G: FnOnce() -> Result<Vec<Segment>, Violation>,
    P: Fn(usize) -> Segment + Sync,
{
    let pieces = 2 * taken_max;
    let (stands, taken) = (AtomicBool::new(true), AtomicUsize::new(0));
    let writes = || -> Result<(), Violation> {
        let mut output = open(Start::Fresh)?;
        for at in 0..pieces {
            if at > taken_max && stands.load(Ordering::SeqCst) {
                let message =
                    format!("took {at} pieces from its task while its medium stood still");
                return Err(Violation(message));
            }
            output.write(&[piece(at)])?;
            taken.store(at + 1, Ordering::SeqCst);
        }
        output.seal().map_err(Violation::from)
    };
    thread::scope(|scope| {
        let writer = scope.spawn(writes);
        let (mut seen, mut still) = (0, 0);
        while still < STILL_MOMENTS && !writer.is_finished() {
            wait_a_moment();
            let now = taken.load(Ordering::SeqCst);
            still = if now == seen { still + 1 } else { 0 };
            seen = now;
        }
        let found = match writer.is_finished() {
            true => None,
            false => {
                stands.store(false, Ordering::SeqCst);
                Some(go_on()?)
            }
        };
        writer.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        let Some(found) = found else {
            let message = "was done although its medium stood still: where is what it was given?";
            return Err(Violation(message.into()));
        };
        let written: Vec<Segment> = (0..pieces).map(&piece).collect();
        same(
            "after the medium had stood still",
            "segment",
            &found,
            &written,
        )
    })
}

/// Checks that an output lets go of its medium when it is dropped, sealed or not. `held` says how
/// many own the medium, as [`std::sync::Arc::strong_count`] does.
pub fn check_output_stop<F>(
    open: F,
    held: impl Fn() -> usize,
    batch: &[Segment],
) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Output>, PluginError>,
{
    let before = held();
    let is_held = |when: &str| match held() > before {
        true => Err(Violation(format!(
            "holds its medium after it was {when}: something of it goes on"
        ))),
        false => Ok(()),
    };
    let mut output = open(Start::Fresh)?;
    output.write(batch)?;
    drop(output);
    is_held("dropped")?;
    let mut output = open(Start::Resumed(None))?;
    output.write(batch)?;
    output.seal()?;
    drop(output);
    is_held("sealed and dropped")
}

/// Checks that an output whose medium fails says so before what it was given is acknowledged.
pub fn check_failing_output<F>(open: F, batch: &[Segment]) -> Result<PluginError, Violation>
where
    F: Fn(Start) -> Result<Box<dyn Output>, PluginError>,
{
    let written = open(Start::Fresh).and_then(|mut output| output.write(batch));
    match written {
        Err(error) => Ok(error),
        Ok(()) => {
            let message = "`write` returned, although its medium failed: its segments are lost";
            Err(Violation(message.into()))
        }
    }
}
