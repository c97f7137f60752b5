//! What everybody who uses a log must agree on. The first node writes it, the others compare.

use super::NodeError;
use crate::codec::{FORMAT_VERSION, from_payload, to_payload};
use crate::coordination::origin::read_manifest;
use crate::coordination::{Coordination, CoordinationError, Node, Put, Written};
use crate::replica::Agreed;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LogParameters {
    log_version: u8,
    /// Drawn by the first node: messages of another cluster, whose tenancy may have the same name, are
    /// not taken. A log that is older than this has none.
    #[serde(default)]
    cluster: u64,
    #[serde(flatten)]
    agreed: Agreed,
}

impl LogParameters {
    /// Why a node that is configured for `mine` cannot use a log that was begun with these.
    fn differences(&self, mine: Agreed) -> Vec<String> {
        let mut differences = Vec::new();
        if self.log_version != FORMAT_VERSION {
            differences.push(format!(
                "its entries are of format {}, this program reads format {FORMAT_VERSION}",
                self.log_version
            ));
        }
        let theirs = self.agreed;
        let (jobs, other) = (theirs.job_scheduler.as_str(), mine.job_scheduler.as_str());
        if jobs != other {
            differences.push(format!(
                "its jobs share peers by scheduler.jobs = \"{jobs}\", this node is configured for \
                 \"{other}\""
            ));
        }
        let (carrier, other) = (theirs.messaging.as_str(), mine.messaging.as_str());
        if carrier != other {
            differences.push(format!(
                "its segments travel by messaging.transport = \"{carrier}\", this node is \
                 configured for \"{other}\""
            ));
        }
        differences
    }
}

/// Agrees with whoever was first, or says what differs. Answers with the cluster's number, which is
/// `drawn` if this is the first.
pub(super) async fn agree(
    session: &dyn Coordination,
    tenancy: &str,
    agreed: Agreed,
    drawn: u64,
) -> Result<u64, NodeError> {
    let other = |reason| other_log(tenancy, reason);
    match read_manifest(session).await {
        Err(CoordinationError::OriginUnusable(reason)) => {
            return Err(other(format!("its origin: {reason}")));
        }
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    let mine = LogParameters {
        log_version: FORMAT_VERSION,
        cluster: drawn,
        agreed,
    };
    let data = to_payload(&mine).map_err(|error| other(error.to_string()))?;
    if session
        .put(Node::LogParameters, data, Put::IfAbsent)
        .await?
        == Written::Yes
    {
        return Ok(drawn);
    }
    let theirs = stored(session, tenancy).await?.ok_or_else(|| {
        CoordinationError::Interrupted("the log parameters were there a moment ago".into())
    })?;
    let differences = theirs.differences(agreed);
    if differences.is_empty() {
        return Ok(theirs.cluster);
    }
    Err(other(format!(
        "{}; change the configuration, or use another node.tenancy-id",
        differences.join("; ")
    )))
}

/// What the users of a log agreed on, for somebody who only reads it; none when there is no log.
pub(super) async fn agreed(
    session: &dyn Coordination,
    tenancy: &str,
) -> Result<Option<Agreed>, NodeError> {
    let Some(theirs) = stored(session, tenancy).await? else {
        return Ok(None);
    };
    let differences = theirs.differences(theirs.agreed);
    match differences.is_empty() {
        true => Ok(Some(theirs.agreed)),
        false => Err(other_log(tenancy, differences.join("; "))),
    }
}

async fn stored(
    session: &dyn Coordination,
    tenancy: &str,
) -> Result<Option<LogParameters>, NodeError> {
    let Some(stored) = session.get(Node::LogParameters).await? else {
        return Ok(None);
    };
    let parameters = from_payload(&stored);
    parameters.map_err(|error| other_log(tenancy, format!("its parameters: {error}")))
}

fn other_log(tenancy: &str, reason: String) -> NodeError {
    NodeError::OtherLog {
        tenancy: tenancy.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{JobScheduler, Transport};
    use crate::coordination::memory::MemoryServer;

    fn agreed(job_scheduler: JobScheduler, messaging: Transport) -> Agreed {
        Agreed {
            job_scheduler,
            messaging,
        }
    }

    #[actix::test]
    async fn the_first_node_decides_and_others_are_told_what_differs() {
        let session = MemoryServer::default().connect();
        let first = agreed(JobScheduler::Balanced, Transport::Local);
        assert_eq!(agree(&session, "t", first, 7).await.ok(), Some(7));
        assert_eq!(agree(&session, "t", first, 8).await.ok(), Some(7));
        let second = agreed(JobScheduler::Greedy, Transport::Aeron);
        let refusal = agree(&session, "t", second, 9).await.unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "this node cannot use the log of tenancy `t`: its jobs share peers by scheduler.jobs = \
             \"balanced\", this node is configured for \"greedy\"; its segments travel by \
             messaging.transport = \"local\", this node is configured for \"aeron\"; change the \
             configuration, or use another node.tenancy-id"
        );
    }

    #[actix::test]
    async fn an_origin_of_another_format_is_told() {
        let session = MemoryServer::default().connect();
        let payload = vec![FORMAT_VERSION + 1, 0x80];
        let put = session.put(Node::Origin, payload, Put::Always);
        assert_eq!(put.await, Ok(Written::Yes));
        let refusal = agree(&session, "t", Agreed::default(), 1)
            .await
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "this node cannot use the log of tenancy `t`: its origin: the payload has format version \
             3, and this software reads version 2: run the same version on every node"
        );
    }

    const OTHER_LOG: &str = "this node cannot use the log of tenancy `t`: ";

    /// What somebody is told whose log was begun with these parameters: a node, and one that only
    /// reads the log.
    async fn refusals(parameters: Vec<u8>) -> [String; 2] {
        let session = MemoryServer::default().connect();
        let put = session.put(Node::LogParameters, parameters.clone(), Put::IfAbsent);
        assert_eq!(put.await, Ok(Written::Yes));
        let node = agree(&session, "t", Agreed::default(), 1)
            .await
            .unwrap_err();
        let reader = super::agreed(&session, "t").await.unwrap_err();
        let stored = session.get(Node::LogParameters).await.unwrap();
        assert_eq!(stored, Some(parameters), "they stay as they were");
        [node, reader].map(|refusal| {
            let told = refusal.to_string();
            let reason = told.strip_prefix(OTHER_LOG);
            reason.unwrap_or_else(|| panic!("{told}")).to_owned()
        })
    }

    #[actix::test]
    async fn a_log_of_another_format_is_refused_by_nodes_and_readers() {
        let expected = "its parameters: the payload has format version 3, and this software reads \
                        version 2: run the same version on every node";
        assert_eq!(
            refusals(vec![FORMAT_VERSION + 1, 0x80]).await,
            [expected; 2]
        );
    }

    #[actix::test]
    async fn a_log_whose_entries_are_of_another_format_is_refused_by_nodes_and_readers() {
        let theirs = LogParameters {
            log_version: FORMAT_VERSION + 1,
            cluster: 7,
            agreed: Agreed::default(),
        };
        let [node, reader] = refusals(to_payload(&theirs).unwrap()).await;
        let reason = "its entries are of format 3, this program reads format 2";
        let advice = "; change the configuration, or use another node.tenancy-id";
        assert_eq!(node, format!("{reason}{advice}"));
        assert_eq!(reader, reason);
    }
}
