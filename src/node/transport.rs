//! What carries the segments of a node, as it is configured.

use super::NodeError;
use crate::config::{NodeConfig, Transport as Carrier};
use crate::ids::IdSource;
use crate::messaging::{LocalTransport, Transport};
use std::sync::Arc;

/// Starts it, and with Aeron the media driver, if that is embedded. `cluster` is the number that all
/// nodes of the log agree on.
pub(super) fn start(
    config: &NodeConfig,
    cluster: u64,
    ids: &mut IdSource,
) -> Result<Arc<dyn Transport>, NodeError> {
    match config.messaging.transport {
        Carrier::Local => Ok(Arc::new(LocalTransport::new())),
        Carrier::Aeron => aeron(config, cluster, ids),
    }
}

#[cfg(feature = "aeron")]
fn aeron(
    config: &NodeConfig,
    cluster: u64,
    ids: &mut IdSource,
) -> Result<Arc<dyn Transport>, NodeError> {
    use crate::messaging::aeron::{AeronSettings, AeronTransport, stable_hash};

    let cluster = format!("{cluster:x}");
    let cluster = stable_hash(&[cluster.as_str(), config.node.tenancy_id.as_str()]);
    let settings = AeronSettings::of(&config.messaging.aeron, cluster, ids.bits());
    match AeronTransport::start(settings) {
        Ok(transport) => Ok(Arc::new(transport)),
        Err(error) => Err(NodeError::Transport(error.to_string())),
    }
}

#[cfg(not(feature = "aeron"))]
fn aeron(
    _config: &NodeConfig,
    _cluster: u64,
    _ids: &mut IdSource,
) -> Result<Arc<dyn Transport>, NodeError> {
    let reason = "this binary was built without Aeron; build it with `--features aeron`";
    Err(NodeError::Transport(reason.into()))
}
