//! Functions written as CEL expressions in the job itself: `expr/map` sets fields, `expr/filter`
//! keeps segments.
//!
//! In an expression each field of the segment is a variable, and `segment` is all of them:
//! `segment["a name with spaces"]`, `has(segment.delay)`. A variable that is not a field is an
//! error, never null.

mod convert;
pub(super) mod filter;
pub(super) mod map;
mod program;

pub use program::check_expression;

#[cfg(test)]
mod tests;
