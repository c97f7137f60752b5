//! What a task does with each segment, told apart by how much of it has to be looked at.

use super::FunctionError;
use crate::codec::{CodecError, Decoder};
use crate::segment::{Key, Segment};

/// What one task on one peer does with each segment.
pub struct TaskFunction(Application);

/// The ways in which a function is applied.
pub(crate) enum Application {
    /// Segments are passed on as they came: they are not even decoded.
    PassOn,
    /// They are looked at, and passed on as they came or not at all.
    Keep(Keep),
    /// None, one or many are made of each.
    Make(Make),
}

type Make = Box<dyn FnMut(Segment, &mut Vec<Segment>) -> Result<(), FunctionError> + Send>;

/// A test of segments, and what it looks at.
pub(crate) struct Keep {
    looks_at: LooksAt,
    test: Test,
}

type Test = Box<dyn FnMut(&Segment) -> Result<bool, FunctionError> + Send>;

/// The fields that a test looks at.
enum LooksAt {
    All,
    These(Vec<Key>),
}

/// Why it is not known whether a segment passes.
pub(crate) enum NotTested {
    Damaged(CodecError),
    Failed(FunctionError),
}

impl TaskFunction {
    /// Calls a closure for each segment, which pushes zero, one or many.
    pub fn make(
        make: impl FnMut(Segment, &mut Vec<Segment>) -> Result<(), FunctionError> + Send + 'static,
    ) -> Self {
        TaskFunction(Application::Make(Box::new(make)))
    }

    /// Passes on the segments of which a closure says so. They are not encoded again.
    pub fn keep(
        test: impl FnMut(&Segment) -> Result<bool, FunctionError> + Send + 'static,
    ) -> Self {
        Self::tested(LooksAt::All, Box::new(test))
    }

    /// The same, for a closure that looks at these fields only: the others are not even decoded. When
    /// it fails it is asked again with the whole segment, about which it can say more.
    pub(super) fn keep_by(
        fields: Vec<Key>,
        test: impl FnMut(&Segment) -> Result<bool, FunctionError> + Send + 'static,
    ) -> Self {
        Self::tested(LooksAt::These(fields), Box::new(test))
    }

    fn tested(looks_at: LooksAt, test: Test) -> Self {
        TaskFunction(Application::Keep(Keep { looks_at, test }))
    }

    /// Passes on everything.
    pub(super) fn pass_on() -> Self {
        TaskFunction(Application::PassOn)
    }

    /// How it is applied.
    pub(crate) fn into_application(self) -> Application {
        self.0
    }

    /// The same function, in front of somebody who needs all segments decoded.
    pub(crate) fn on_decoded(self) -> Self {
        match self.0 {
            Application::Keep(mut keep) => TaskFunction::make(move |segment, out| {
                if keep.passes(&segment)? {
                    out.push(segment);
                }
                Ok(())
            }),
            other => TaskFunction(other),
        }
    }
}

impl Keep {
    /// Whether a segment passes.
    pub(crate) fn passes(&mut self, segment: &Segment) -> Result<bool, FunctionError> {
        (self.test)(segment)
    }

    /// Whether an encoded segment passes. What is decoded of it takes the memory of `seen`.
    pub(crate) fn passes_encoded(
        &mut self,
        raw: &[u8],
        decoder: &mut Decoder,
        seen: &mut Segment,
    ) -> Result<bool, NotTested> {
        if let LooksAt::These(keys) = &self.looks_at {
            let read = decoder.decode_fields(raw, keys, seen);
            read.map_err(NotTested::Damaged)?;
            if let Ok(passes) = (self.test)(seen) {
                return Ok(passes);
            }
        }
        let read = decoder.decode_over(raw, seen);
        read.map_err(NotTested::Damaged)?;
        (self.test)(seen).map_err(NotTested::Failed)
    }
}
