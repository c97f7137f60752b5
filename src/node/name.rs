//! The name of a node, for people who look at a cluster.

use crate::config::NodeIdentityConfig;
use crate::ids::NodeName;
use std::fs;
use std::net::SocketAddr;

/// The configured name; by default the host and the port of the HTTP server, as `worker-3:8080`. A node
/// without an HTTP server has the id of its process in place of the port.
pub(super) fn node_name(config: &NodeIdentityConfig, http: Option<SocketAddr>) -> NodeName {
    if !config.name.is_empty() {
        return config.name.clone();
    }
    let host = host_name();
    match http {
        Some(address) => NodeName::from(format!("{host}:{}", address.port())),
        None => NodeName::from(format!("{host}:pid-{}", std::process::id())),
    }
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_name_comes_before_host_and_port() {
        let mut config = NodeIdentityConfig::default();
        let http = SocketAddr::from(([127, 0, 0, 1], 8080));
        let by_default = node_name(&config, Some(http));
        assert!(by_default.as_str().ends_with(":8080"), "{by_default}");
        assert!(by_default.as_str().len() > ":8080".len());
        let without_http = node_name(&config, None);
        assert!(without_http.as_str().contains(":pid-"), "{without_http}");
        config.name = "worker-3".into();
        assert_eq!(node_name(&config, Some(http)), "worker-3".into());
    }
}
