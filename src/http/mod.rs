//! The HTTP endpoints (being built).

use crate::api::NodeHandle;
use crate::config::HttpConfig;
use std::net::SocketAddr;

/// Placeholder until the server is merged.
pub struct HttpServer {
    address: SocketAddr,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
#[error("http")]
pub struct HttpError;

impl HttpServer {
    /// Starts.
    pub fn start(_: &HttpConfig, _: NodeHandle) -> Result<Self, HttpError> {
        Err(HttpError)
    }
    /// Address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Refuse.
    pub fn refuse(&self) {}
    /// Stop.
    pub async fn stop(self) {}
}
