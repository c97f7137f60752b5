//! How the process ends, as whoever started it sees it.

use super::line_queue::drain_all;
use crate::coordination::CoordinationError;
use crate::node::NodeError;
use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// What was wanted is done.
    Done,
    /// A job was killed, or something did not work.
    Failed,
    /// The arguments, a job file or a configuration are wrong; nothing was done.
    BadInput,
    /// The node ended by itself.
    NodeFailed,
    /// By Ctrl-C.
    Interrupted,
    /// By SIGTERM.
    Terminated,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::NodeFailed => 3,
            // 128 and the number of the signal, as shells have it.
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// Ends the process now, whatever its other threads do.
    pub(super) fn at_once(self) -> ! {
        drain_all();
        std::process::exit(self.code().into())
    }
}

/// Of a node, or of somebody who only looks at a log: what another configuration would help against
/// is bad input.
impl From<&NodeError> for Exit {
    fn from(error: &NodeError) -> Self {
        match error {
            NodeError::Coordination(
                CoordinationError::Refused { .. } | CoordinationError::Misconfigured { .. },
            )
            | NodeError::Http(_)
            | NodeError::Embedded(_)
            | NodeError::Transport(_)
            | NodeError::Files(_)
            | NodeError::FilesNotBounded(_)
            | NodeError::OtherLog { .. } => Exit::BadInput,
            NodeError::Coordination(_) | NodeError::Threads(_) | NodeError::NoActors => {
                Exit::Failed
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
