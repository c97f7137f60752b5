//! What can be said behind `onyx-node log`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LogVerb {
    /// Follow the log: a line for each entry, and why it changed nothing if it did not
    Tail(TailArgs),
    /// Tell everything about one entry: what it says, changed and made peers do
    Show(ShowArgs),
    /// Write the log, with the replica that it begins with, to a file
    Export(ExportArgs),
    /// Play an exported log and print the replica
    Replay(ReplayArgs),
    /// Read a replica and entries as JSON from standard input, and print what becomes of them
    Apply,
}

/// Where the log is. Nothing is ever written to it.
#[derive(Args, Debug)]
pub(in crate::cli) struct LogSource {
    /// The configuration file of a node that uses it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The servers, instead of those of the configuration; needed for a node with an embedded server
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) connect: Option<String>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct TailArgs {
    #[command(flatten)]
    pub(super) source: LogSource,
    /// How many of the entries that are there already are shown first
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) lines: usize,
    /// End with the last entry that is there instead of waiting for more
    #[arg(long)]
    pub(super) no_follow: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ShowArgs {
    /// The position of the entry
    #[arg(value_name = "POSITION")]
    pub(super) position: u64,
    #[command(flatten)]
    pub(super) source: LogSource,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ExportArgs {
    /// The file; one that is there is not overwritten
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) source: LogSource,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ReplayArgs {
    /// A file that `log export` has written
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Stop behind the entry at this position
    #[arg(long, value_name = "N")]
    pub(super) at: Option<u64>,
}
