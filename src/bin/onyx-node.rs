//! The `onyx-node` command.
fn main() {}
