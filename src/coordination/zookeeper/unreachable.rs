//! Why no session could be opened: the client says only that there is no server for it.

use super::Connect;
use tokio::net::TcpStream;
use zookeeper_client::Error;

/// Looks which of the servers can be reached at all.
pub(super) async fn explain(error: &Error, servers: &str, connect: &Connect) -> String {
    if !matches!(error, Error::NoHosts | Error::Timeout) {
        return error.to_string();
    }
    let mut found = Vec::new();
    for server in servers.split(',') {
        let attempt = TcpStream::connect(server);
        let state = match tokio::time::timeout(connect.connection_timeout, attempt).await {
            Err(_) => "does not answer".into(),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(_)) => format!(
                "takes connections, but opens no session; {}",
                advice(connect)
            ),
        };
        found.push(format!("{server}: {state}"));
    }
    found.join("; ")
}

fn advice(connect: &Connect) -> &'static str {
    match &connect.tls {
        None => "does it serve (`srvr` says so), and is it not its port for TLS?",
        Some(files) if files.identity.is_none() => {
            "is it its port for TLS, is its certificate for this name and signed by tls-ca-file, \
             does it want a certificate (tls-cert-file)?"
        }
        Some(_) => {
            "is it its port for TLS, is its certificate for this name and signed by tls-ca-file, \
             does it trust tls-cert-file?"
        }
    }
}
