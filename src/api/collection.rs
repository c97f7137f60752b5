//! Collecting the log at a client's wish.

use super::{ApiError, NodeHandle};
use crate::coordination::collection::Collected;
use crate::messages::peer_group::{CollectFailed, CollectLog};

impl NodeHandle {
    /// Collects the log: stores an origin, from which readers start, and deletes what is before it.
    /// None when another node has collected further meanwhile.
    pub async fn gc(&self) -> Result<Option<Collected>, ApiError> {
        match self.group.send(CollectLog).await {
            Ok(Ok(collected)) => Ok(collected),
            Ok(Err(CollectFailed::Write(error))) => Err(error.into()),
            Ok(Err(CollectFailed::Coordination(error))) => Err(error.into()),
            Err(_) => Err(ApiError::NodeEnded),
        }
    }
}
