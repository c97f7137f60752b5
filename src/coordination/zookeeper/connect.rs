//! Opening a session: at which servers, below which node, as whom. What is missing of the tree is
//! made.

use super::tls;
use super::unreachable::explain;
use crate::config::{CoordinationConfig, DigestLogin, RetryConfig, TlsFiles};
use crate::coordination::{CoordinationError, Layout};
use std::time::Duration;
use zookeeper_client::{Acls, Client, CreateMode, Error, MultiReadResult};

/// How to reach ZooKeeper.
#[derive(Clone, Debug)]
pub struct Connect {
    /// `host:port,host:port/chroot`.
    pub address: String,
    /// Separates clusters that share the servers.
    pub tenancy: String,
    /// How long the server keeps the session, and the pulses, of a process it does not hear from.
    pub session_timeout: Duration,
    /// How long a server may be silent before the next one is tried.
    pub connection_timeout: Duration,
    /// How often and how soon something is tried again.
    pub retry: RetryConfig,
    /// Whose the nodes are; nobody's in particular without one.
    pub login: Option<DigestLogin>,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
}

impl Connect {
    /// To an address, with the defaults of the configuration for everything else.
    pub fn to(address: impl Into<String>, tenancy: impl Into<String>) -> Self {
        let default = CoordinationConfig::default();
        Connect {
            address: address.into(),
            tenancy: tenancy.into(),
            session_timeout: default.session_timeout,
            connection_timeout: default.connection_timeout,
            retry: default.retry,
            login: default.login,
            tls: default.tls,
        }
    }

    /// Whoever may use what is made for this connection.
    pub(super) fn acls(&self) -> Acls<'static> {
        match self.login {
            Some(_) => Acls::creator_all(),
            None => Acls::anyone_all(),
        }
    }

    /// The servers, and the chroot, which may be empty.
    fn parts(&self) -> (&str, &str) {
        match self.address.find('/') {
            Some(at) => self.address.split_at(at),
            None => (&self.address, ""),
        }
    }

    fn unreachable(&self, reason: String) -> CoordinationError {
        CoordinationError::Unreachable {
            address: self.address.clone(),
            reason,
        }
    }

    fn login_is_refused(&self) -> String {
        match &self.login {
            Some(login) => format!(
                "its nodes are not for the login `{}` with this password; see \
                 coordination.digest-user and its password",
                login.user()
            ),
            None => "its nodes are for a login; see coordination.digest-user".into(),
        }
    }

    fn refused(&self, error: &Error) -> CoordinationError {
        let what = format!("tenancy `{}` at {}", self.tenancy, self.address);
        let reason = match error {
            Error::NoAuth => self.login_is_refused(),
            Error::Unimplemented => "the server is older than ZooKeeper 3.6".into(),
            Error::QuotaExceeded | Error::InvalidAcl | Error::NoChildrenForEphemerals => {
                error.to_string()
            }
            // The connection broke on the way.
            other => return self.unreachable(other.to_string()),
        };
        CoordinationError::Refused { what, reason }
    }
}

/// Opens a session and makes sure that the directories exist and can be used. Servers that cannot be
/// reached are tried as often as configured.
pub(super) async fn open(connect: &Connect) -> Result<Client, CoordinationError> {
    let mut attempt = 1;
    loop {
        match open_once(connect).await {
            Err(error @ CoordinationError::Unreachable { .. })
                if attempt < connect.retry.connect_attempts.get() =>
            {
                tracing::warn!(attempt, %error, "no session could be opened; trying again");
                tokio::time::sleep(connect.retry.pause_after(attempt)).await;
                attempt += 1;
            }
            known => return known,
        }
    }
}

async fn open_once(connect: &Connect) -> Result<Client, CoordinationError> {
    let (servers, chroot) = connect.parts();
    let mut connector = Client::connector()
        .with_session_timeout(connect.session_timeout)
        .with_connection_timeout(connect.connection_timeout)
        .with_fail_eagerly();
    if let Some(login) = &connect.login {
        connector = connector.with_auth("digest", login.expose().as_bytes());
    }
    let opened = match &connect.tls {
        None => connector.connect(&listed(servers)).await,
        Some(files) => {
            let options = tls::options(files).map_err(|reason| connect.unreachable(reason))?;
            connector
                .with_tls(options)
                .secure_connect(&listed(servers))
                .await
        }
    };
    let client = match opened {
        Ok(client) => client,
        Err(error) => {
            let reason = explain(&error, servers, connect).await;
            return Err(connect.unreachable(reason));
        }
    };
    tell_other_timeout(connect, &client);
    let refused = |error: Error| connect.refused(&error);
    let client = below(client, chroot, connect).await?;
    let layout = Layout::of(&connect.tenancy);
    for directory in layout.directories() {
        ensure(&client, &directory, connect.acls())
            .await
            .map_err(refused)?;
    }
    check_use(&client, &layout, connect)
        .await
        .map_err(refused)?;
    Ok(client)
}

/// The client below its chroot, which is made when it is not there.
async fn below(
    client: Client,
    chroot: &str,
    connect: &Connect,
) -> Result<Client, CoordinationError> {
    if chroot.is_empty() {
        return Ok(client);
    }
    for (at, _) in chroot
        .match_indices('/')
        .skip(1)
        .chain([(chroot.len(), "")])
    {
        let made = ensure(&client, &chroot[..at], connect.acls()).await;
        made.map_err(|error| connect.refused(&error))?;
    }
    client
        .chroot(chroot)
        .map_err(|_| connect.unreachable(format!("{chroot} is no path")))
}

/// A node that is there is fine, also where this login may make none.
async fn ensure(client: &Client, path: &str, acls: Acls<'_>) -> Result<(), Error> {
    let options = CreateMode::Persistent.with_acls(acls);
    match client.create(path, &[], &options).await {
        Ok(_) | Err(Error::NodeExists) => Ok(()),
        Err(Error::NoAuth) if client.check_stat(path).await?.is_some() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads what it is going to read, in the way it is going to be read: a login that is not the one of
/// the nodes, and a server that does not know the request, are told at the start.
async fn check_use(client: &Client, layout: &Layout, connect: &Connect) -> Result<(), Error> {
    let mut reader = client.new_multi_reader();
    let directories = layout.directories();
    for directory in &directories {
        reader.add_get_data(directory)?;
    }
    for answer in reader.commit().await? {
        if let MultiReadResult::Error { err } = answer {
            return Err(err);
        }
    }
    if connect.login.is_some() {
        let (acls, _) = client.get_acl(layout.root()).await?;
        if acls.iter().any(|acl| acl.scheme() == "world") {
            tracing::warn!(
                tenancy = connect.tenancy,
                "the nodes of this tenancy were made without a login and are open to everybody"
            );
        }
    }
    Ok(())
}

/// A server has limits of its own for the time-outs of sessions.
fn tell_other_timeout(connect: &Connect, client: &Client) {
    let (asked, granted) = (connect.session_timeout, client.session_timeout());
    if granted != asked {
        tracing::warn!(
            asked_ms = asked.as_millis() as u64,
            granted_ms = granted.as_millis() as u64,
            "the server grants another session time-out than `coordination.session-timeout-ms`"
        );
    }
}

/// A lone server is listed so often: the client pauses between rounds over its servers, twice as
/// long every time, and for a moment only between two of a round. With one server in a round, the
/// pause may soon be longer than the session lives.
const LONE_SERVER_LISTED: usize = 20;

fn listed(servers: &str) -> String {
    if servers.contains(',') {
        return servers.to_owned();
    }
    [servers; LONE_SERVER_LISTED].join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_server_is_listed_many_times() {
        assert_eq!(listed("a:1"), ["a:1"; LONE_SERVER_LISTED].join(","));
        assert_eq!(listed("a:1,b:2"), "a:1,b:2");
    }

    #[test]
    fn an_address_has_servers_and_a_chroot() {
        for (address, parts) in [
            ("a:1", ("a:1", "")),
            ("a:1,b:2/x/y", ("a:1,b:2", "/x/y")),
            ("[::1]:1/x", ("[::1]:1", "/x")),
        ] {
            assert_eq!(Connect::to(address, "it").parts(), parts);
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut connect = Connect::to("a:1", "it");
        connect.login = DigestLogin::new("onyx", "s3cret");
        assert!(!format!("{connect:?}").contains("s3cret"));
    }
}
