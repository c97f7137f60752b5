//! Why a request to a node failed.

use crate::coordination::CoordinationError;
use crate::ids::{JobId, PeerId};
use crate::job::validation::Violation;
use crate::messages::outbox::WriteFailed;
use crate::replica::Jobs;

/// Why a request to a node failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The job breaks rules; all of them are listed.
    #[error("the job is not valid:\n{}", list(.0))]
    InvalidJob(Vec<Violation>),
    /// No such job is known: it was never submitted here, or is forgotten.
    #[error("no job {0} is known; `GET /jobs` lists those that are")]
    UnknownJob(JobId),
    /// A live job writes a file that this one would write.
    #[error("{path} is being written by job {job}; kill that job, wait for it, or write elsewhere")]
    FileInUse {
        /// The file.
        path: String,
        /// Who writes it.
        job: JobId,
    },
    /// The cluster has as many live jobs as it may have.
    #[error(
        "the cluster did not take the job: {limit} jobs wait or run, which is the limit; wait until one has \
         ended, or kill one",
        limit = Jobs::LIVE_LIMIT
    )]
    NotTaken,
    /// Another job was submitted under this id.
    #[error("another job was submitted under the id {0}; submit this one under an id of its own")]
    OtherContent(JobId),
    /// The peer does not live on this node.
    #[error("peer {0} does not live on this node")]
    NotMyPeer(PeerId),
    /// Coordination refused or could not be reached.
    #[error(transparent)]
    Coordination(#[from] CoordinationError),
    /// The entry was not written.
    #[error(transparent)]
    Write(#[from] WriteFailed),
    /// The node is stopping or has stopped.
    #[error("the node has ended")]
    NodeEnded,
}

fn list(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(|violation| format!("  {violation}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_beyond_the_limit_is_refused_with_the_limit() {
        let message = ApiError::NotTaken.to_string();
        assert!(message.contains("1000 jobs wait or run"), "{message}");
    }
}
