//! The log of a cluster for those who only look: no peers, and nothing is appended.

use super::{NodeError, connect, log_parameters};
use crate::config::NodeConfig;
use crate::coordination::Coordination;
use crate::coordination::zookeeper::ZooKeeper;
use crate::replica::Agreed;
use std::sync::Arc;

/// Opens the log of a configuration at these servers, with what its users agreed on. None when there
/// is no such log.
pub async fn open_log(
    config: &NodeConfig,
    servers: &str,
) -> Result<Option<(Arc<dyn Coordination>, Agreed)>, NodeError> {
    let mut connect = connect(config, None);
    connect.address = servers.to_owned();
    let session = ZooKeeper::connect(&connect).await?;
    let agreed = log_parameters::agreed(&session, &connect.tenancy).await?;
    Ok(agreed.map(|agreed| (Arc::new(session) as Arc<dyn Coordination>, agreed)))
}
