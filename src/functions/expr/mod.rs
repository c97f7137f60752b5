//! Functions written as CEL expressions in the job itself: `expr/map` sets fields, `expr/filter`
//! keeps segments.
//!
//! In an expression each field of the segment is a variable, and `segment` is all of them:
//! `segment["a name with spaces"]`, `has(segment.delay)`. A variable that is not a field is an
//! error, never null.
//!
//! The library parses expressions and has the functions of the language; they are evaluated here, so
//! that their work and their memory have bounds, maps have an order, and a job that ends stops them.

mod call;
mod compile;
mod convert;
mod eval;
mod failure;
pub(super) mod filter;
mod lists;
mod lower;
pub(super) mod map;
mod matching;
mod meter;
mod node;
mod operators;
mod program;
mod texts;
mod val;

pub use program::check_expression;

/// Bytes of what an error quotes, beyond which it is cut: it may be somebody's data.
const QUOTED_BYTES_MAX: usize = 300;

fn cut(text: &str) -> String {
    if text.len() <= QUOTED_BYTES_MAX {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(QUOTED_BYTES_MAX)])
}

#[cfg(test)]
mod tests;
