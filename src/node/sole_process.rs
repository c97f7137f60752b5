//! One process for each log, as long as segments do not leave their process: peers of two would be
//! given tasks of one job and wait for each other for ever.

use crate::clock::Clock;
use crate::coordination::zookeeper::{Connect, ZooKeeper};
use crate::coordination::{Claim, Coordination, CoordinationError, Node};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks whether the log has become free.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Opens a session that holds the log. A process that was killed a moment ago still holds it until
/// its session has run out, which is waited for.
pub(super) async fn open_session(
    connect: &Connect,
) -> Result<Arc<dyn Coordination>, CoordinationError> {
    let session = ZooKeeper::connect(connect).await?;
    let clock = Clock::start();
    let patience = connect.session_timeout * 2;
    while session.claim(Node::SoleProcess).await? == Claim::Taken {
        if clock.now().0 > patience.as_millis() as u64 {
            return Err(CoordinationError::Refused {
                what: format!(
                    "a second process on the log of tenancy `{}`",
                    connect.tenancy
                ),
                reason: "segments cannot be sent between processes yet; stop the other node, or \
                         give this one another node.tenancy-id"
                    .into(),
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(Arc::new(session))
}
