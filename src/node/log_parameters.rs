//! What everybody who uses a log must agree on. The first node writes it, the others compare.

use super::NodeError;
use crate::codec::{FORMAT_VERSION, from_payload, to_payload};
use crate::coordination::{Coordination, CoordinationError, Node, Put, Written};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LogParameters {
    log_version: u8,
    job_scheduler: String,
    messaging: String,
}

impl LogParameters {
    fn of_this_build() -> Self {
        LogParameters {
            log_version: FORMAT_VERSION,
            job_scheduler: "balanced".into(),
            messaging: "local".into(),
        }
    }
}

/// Agrees with whoever was first, or says what differs.
pub(super) async fn agree(session: &dyn Coordination, tenancy: &str) -> Result<(), NodeError> {
    let other = |reason: String| NodeError::OtherLog {
        tenancy: tenancy.to_owned(),
        reason,
    };
    let mine = LogParameters::of_this_build();
    let data = to_payload(&mine).map_err(|error| other(error.to_string()))?;
    if session
        .put(Node::LogParameters, data, Put::IfAbsent)
        .await?
        == Written::Yes
    {
        return Ok(());
    }
    let stored = session.get(Node::LogParameters).await?.ok_or_else(|| {
        CoordinationError::Interrupted("the log parameters were there a moment ago".into())
    })?;
    let theirs: LogParameters =
        from_payload(&stored).map_err(|error| other(format!("its parameters: {error}")))?;
    if theirs != mine {
        return Err(other(format!(
            "it was begun with {theirs:?}, this node has {mine:?}"
        )));
    }
    Ok(())
}
