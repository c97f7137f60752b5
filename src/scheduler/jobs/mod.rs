//! Job schedulers: which jobs are covered and how many peers each gets.

pub(super) mod balanced;
