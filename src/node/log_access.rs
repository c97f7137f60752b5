//! The log of a cluster for those who only look: no peers, and nothing is written.

use super::{NodeError, connect, log_parameters};
use crate::config::{CoordinationMode, DigestLogin, NodeConfig};
use crate::coordination::zookeeper::{Found, ZooKeeper};
use crate::coordination::{Coordination, local_secret};
use crate::replica::Agreed;
use std::sync::Arc;
use std::time::Duration;

/// What there is to look at.
pub enum LogFound {
    /// A log, and what its users agreed on.
    Log(Arc<dyn Coordination>, Agreed),
    /// No log of this tenancy, but of these.
    Others(Vec<String>),
}

/// Somebody at a terminal waits for coordination at most this long.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The secret in the data folder of the configuration, if its embedded server is meant. Of a server
/// that runs, its user finds it without that.
fn kept_login(config: &NodeConfig, servers: &str) -> Option<DigestLogin> {
    let coordination = &config.coordination;
    let own = format!("127.0.0.1:{}", coordination.embedded_port);
    let is_meant = coordination.mode == CoordinationMode::Embedded && servers == own;
    let folder = coordination.data_dir.as_deref().filter(|_| is_meant)?;
    local_secret::in_data_folder(folder)
}

/// Opens the log of a configuration at these servers.
pub async fn open_log(config: &NodeConfig, servers: &str) -> Result<LogFound, NodeError> {
    let mut connect = connect(config, None);
    connect.address = servers.to_owned();
    connect.server_login = kept_login(config, servers);
    connect.retry.connect_wait = connect.retry.connect_wait.min(WAIT_MAX);
    let session = match ZooKeeper::find(&connect).await? {
        Found::Tenancy(session) => session,
        Found::Others(others) => return Ok(LogFound::Others(others)),
    };
    let agreed = log_parameters::agreed(&session, &connect.tenancy).await?;
    // Without parameters nobody has begun a log in what is there.
    let none = LogFound::Others(Vec::new());
    Ok(agreed.map_or(none, |agreed| LogFound::Log(Arc::new(session), agreed)))
}
