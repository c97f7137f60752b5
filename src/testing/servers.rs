//! Where the nodes of a test get their sessions.

use crate::actors::peer_group::Connector;
use crate::coordination::Coordination;
use crate::coordination::memory::MemoryServer;
use futures_util::FutureExt;
use std::sync::Arc;

/// What the nodes of a test have their log on: a server in memory, or real ones and the way to them.
pub trait Servers {
    /// How a node, counted from 0, opens its first session, and another one when that is over.
    fn connector(&self, node: usize) -> Connector;
}

impl Servers for MemoryServer {
    fn connector(&self, _: usize) -> Connector {
        let server = self.clone();
        Arc::new(move || {
            let session: Arc<dyn Coordination> = Arc::new(server.connect());
            async { Ok(session) }.boxed()
        })
    }
}
