//! Task schedulers: which task of a job gets the next peer.

pub(super) mod balanced;
