//! Opening a session: at which servers, below which node, as whom.

use super::tls;
use super::unreachable::explain;
use crate::config::{CoordinationConfig, DigestLogin, RetryConfig, TlsFiles};
use crate::coordination::{CoordinationError, local_secret};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use zookeeper_client::{Acl, Acls, AuthId, Client, Error, Permission};

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
    /// How long and how soon something is tried again.
    pub retry: RetryConfig,
    /// What an embedded server asks for. Without one it is looked for whenever a session is opened: a
    /// server of this user on this machine leaves it.
    pub server_login: Option<DigestLogin>,
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
            server_login: None,
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

    /// Whoever may use what this connection makes and tenancies share: others may look, and make
    /// something of their own below it.
    pub(super) fn shared_acls(&self) -> Vec<Acl> {
        let others = match self.login {
            Some(_) => Permission::READ | Permission::CREATE,
            None => return vec![Acl::new(Permission::ALL, AuthId::anyone())],
        };
        vec![
            Acl::new(Permission::ALL, AuthId::authed()),
            Acl::new(others, AuthId::anyone()),
        ]
    }

    /// The servers, and the chroot, which may be empty.
    pub(super) fn parts(&self) -> (&str, &str) {
        match self.address.find('/') {
            Some(at) => self.address.split_at(at),
            None => (&self.address, ""),
        }
    }

    pub(super) fn unreachable(&self, reason: String) -> CoordinationError {
        CoordinationError::Unreachable {
            address: self.address.clone(),
            reason,
        }
    }

    fn login_is_refused(&self) -> String {
        match &self.login {
            Some(login) => format!(
                "its nodes are not for the login `{}` with this password, or it asks for another; see \
                 coordination.digest-user and its password",
                login.user()
            ),
            None => "it asks for a login, or its nodes are for one: log in with coordination.digest-user \
                     and digest-password-file. An embedded server, or `onyx-node coordination`, asks \
                     for the user `onyx` and its secret, which is in the file `secret` of its data-dir; \
                     its own user on its own machine needs no more than the address"
                .into(),
        }
    }

    pub(super) fn refused(&self, error: &Error) -> CoordinationError {
        let what = format!("tenancy `{}` at {}", self.tenancy, self.address);
        let reason = match error {
            Error::NoAuth | Error::AuthFailed => self.login_is_refused(),
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

/// Between two words about servers that are still waited for.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Opens a session, or does something with one. Servers that cannot be reached are tried again for as
/// long as configured, and at least once for as long as a server may be silent.
pub(super) async fn patiently<T, F>(
    connect: &Connect,
    attempt_once: impl Fn() -> F,
) -> Result<T, CoordinationError>
where
    F: Future<Output = Result<T, CoordinationError>>,
{
    let begun = Instant::now();
    let wait = connect.retry.connect_wait.max(connect.connection_timeout);
    let mut told = None;
    let mut attempt = 1;
    loop {
        let reason = match timeout_at(begun + wait, attempt_once()).await {
            Ok(Err(CoordinationError::Unreachable { reason, .. })) => reason,
            Ok(known) => return known,
            Err(_) => explain(&Error::Timeout, connect.parts().0, connect).await,
        };
        let (waited, pause) = (begun.elapsed(), connect.retry.pause_after(attempt));
        if waited + pause >= connect.retry.connect_wait {
            return Err(connect.unreachable(reason));
        }
        if told.is_none_or(|told: Instant| told.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            let (address, waited_s, wait_s) = (&connect.address, waited.as_secs(), wait.as_secs());
            tracing::warn!(
                address,
                reason,
                waited_s,
                wait_s,
                "waiting for coordination, which opens no session yet"
            );
        }
        sleep(pause).await;
        attempt += 1;
    }
}

/// Opens a session.
pub(super) async fn open(connect: &Connect) -> Result<Client, CoordinationError> {
    let (servers, _) = connect.parts();
    let mut connector = Client::connector()
        .with_session_timeout(connect.session_timeout)
        .with_connection_timeout(connect.connection_timeout)
        .with_fail_eagerly();
    let found = match connect.server_login {
        Some(_) => None,
        None => local_secret::find(servers),
    };
    let server_login = connect.server_login.as_ref().or(found.as_ref());
    // The login to the server first: its user may have the name of another one's.
    for login in server_login.into_iter().chain(&connect.login) {
        connector = connector.with_auth("digest", login.expose().as_bytes());
    }
    let opened = match &connect.tls {
        None => connector.connect(&listed(servers)).await,
        Some(files) => {
            let connector = connector.with_tls(tls::options(files)?);
            connector.secure_connect(&listed(servers)).await
        }
    };
    match opened {
        Ok(client) => {
            tell_other_timeout(connect, &client);
            Ok(client)
        }
        Err(error @ Error::AuthFailed) => Err(connect.refused(&error)),
        Err(error) => {
            let reason = explain(&error, servers, connect).await;
            Err(connect.unreachable(reason))
        }
    }
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
