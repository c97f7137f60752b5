//! The bounds of expressions: how many steps and how many bytes they may cost for one segment.

use super::failure::Failure;
use crate::job::vocabulary::{KeyKind, KeySchema};
use crate::segment::{Segment, Value};
use crate::stop_flag::StopFlag;

pub(super) const MAX_STEPS: &str = "max-steps";
pub(super) const MAX_RESULT_BYTES: &str = "max-result-bytes";

const DEFAULT_STEPS: u64 = 1_000_000;
const DEFAULT_RESULT_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of text that are read or copied for one step.
const BYTES_PER_STEP: u64 = 128;

/// Steps between two looks at the stop flag, well below a millisecond of work.
const STEPS_PER_LOOK: u64 = 1024;

/// What the expressions of one task may cost for one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    steps: u64,
    result_bytes: u64,
}

impl Limits {
    /// The keys by which a task sets them.
    pub(super) fn keys() -> [KeySchema; 2] {
        let steps = format!(
            "the most steps that its expressions may take for one segment; {DEFAULT_STEPS} if not given"
        );
        let bytes = format!(
            "the most bytes that its expressions may make for one segment, intermediate values included; {DEFAULT_RESULT_BYTES} if not given"
        );
        [
            KeySchema::optional(MAX_STEPS, KeyKind::Int, &steps),
            KeySchema::optional(MAX_RESULT_BYTES, KeyKind::Int, &bytes),
        ]
    }

    /// The limits that the keys of a task give.
    pub(super) fn read(params: &Segment) -> Result<Self, String> {
        let read = |key, default| match params.get(key) {
            None => Ok(default),
            Some(Value::Int(n)) if *n >= 1 => Ok(n.unsigned_abs()),
            Some(_) => Err(format!("`{key}` must be an integer of at least 1")),
        };
        Ok(Limits {
            steps: read(MAX_STEPS, DEFAULT_STEPS)?,
            result_bytes: read(MAX_RESULT_BYTES, DEFAULT_RESULT_BYTES)?,
        })
    }
}

/// Counts what the expressions of one task cost for one segment, and fails beyond the limits or when
/// the task is stopped.
pub(super) struct Meter {
    limits: Limits,
    stop: StopFlag,
    /// Steps until the next look at the flag.
    steps_of_slice: u64,
    /// Steps left after these.
    steps_beyond: u64,
    bytes_left: u64,
}

impl Meter {
    pub(super) fn new(limits: Limits, stop: StopFlag) -> Self {
        Meter {
            limits,
            stop,
            steps_of_slice: 0,
            steps_beyond: 0,
            bytes_left: 0,
        }
    }

    /// Begins with the next segment.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.steps_of_slice = self.limits.steps.min(STEPS_PER_LOOK);
        self.steps_beyond = self.limits.steps - self.steps_of_slice;
        self.bytes_left = self.limits.result_bytes;
    }

    /// Counts the evaluation of one operation.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Failure> {
        self.work(1)
    }

    /// Counts work of this many steps, before it is done.
    #[inline]
    pub(super) fn work(&mut self, steps: u64) -> Result<(), Failure> {
        match self.steps_of_slice.checked_sub(steps) {
            Some(left) => {
                self.steps_of_slice = left;
                Ok(())
            }
            None => self.next_slice(steps),
        }
    }

    #[cold]
    fn next_slice(&mut self, steps: u64) -> Result<(), Failure> {
        if self.stop.is_set() {
            return Err(Failure::Stopped);
        }
        let left = self.steps_of_slice + self.steps_beyond;
        let Some(left) = left.checked_sub(steps) else {
            (self.steps_of_slice, self.steps_beyond) = (0, 0);
            return Err(Failure::TooManySteps(self.limits.steps));
        };
        self.steps_of_slice = left.min(STEPS_PER_LOOK);
        self.steps_beyond = left - self.steps_of_slice;
        Ok(())
    }

    /// Counts the reading of this many bytes of text, before it is done.
    #[inline]
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), Failure> {
        self.work(bytes as u64 / BYTES_PER_STEP)
    }

    /// Counts bytes of a new value, before it is made.
    pub(super) fn make(&mut self, bytes: u64) -> Result<(), Failure> {
        let Some(left) = self.bytes_left.checked_sub(bytes) else {
            return Err(Failure::TooManyBytes(self.limits.result_bytes));
        };
        self.bytes_left = left;
        self.work(bytes / BYTES_PER_STEP)
    }
}
