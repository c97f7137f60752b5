//! The log of a cluster, entry by entry, for those who only look.

use super::Trouble;
use super::args::LogSource;
use crate::cli::exit::Exit;
use crate::config::{ConnectString, CoordinationMode, NodeConfig};
use crate::coordination::origin::{Origin, read_origin};
use crate::coordination::tail::{News, Tail, look, wait_a_while};
use crate::coordination::{Coordination, CoordinationError, local_secret, patiently, reconnected};
use crate::ids::LogPosition;
use crate::log::incident::{Header, Recorded};
use crate::log::{Step, step};
use crate::nearest::{hint, listed};
use crate::node::{LogFound, NodeError, open_log};
use crate::replica::Replica;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// A log that is being read, and the replica as of the last entry that was.
pub(super) struct Reading {
    session: Arc<dyn Coordination>,
    tenancy: String,
    position: Option<LogPosition>,
    replica: Arc<Replica>,
    ahead: VecDeque<Vec<u8>>,
}

/// What comes next.
pub(super) enum Next {
    /// An entry.
    Entry(Recorded),
    /// The entries up to here were collected meanwhile: the replica after them was adopted.
    Collected(LogPosition),
    /// There is no more yet.
    End,
}

impl Reading {
    /// Opens the log at its origin.
    pub(super) async fn open(source: &LogSource) -> Result<Self, Trouble> {
        let config = match &source.config {
            Some(path) => NodeConfig::load(path),
            None => NodeConfig::from_environment(),
        };
        let config = config.map_err(Trouble::bad_input)?;
        let servers = servers(&config, source.connect.as_deref(), &local_secret::running())?;
        let (session, agreed) = match open_log(&config, &servers).await {
            Ok(LogFound::Log(session, agreed)) => (session, agreed),
            Ok(LogFound::Others(others)) => {
                let tenancy = config.node.tenancy_id.as_str();
                return Err(Trouble::bad_input(no_tenancy(tenancy, &servers, &others)));
            }
            Err(error) => return Err(closed(&error)),
        };
        let mut reading = Reading {
            session,
            tenancy: config.node.tenancy_id.as_str().to_owned(),
            position: None,
            replica: Arc::new(Replica {
                agreed,
                ..Replica::default()
            }),
            ahead: VecDeque::new(),
        };
        let session = &*reading.session;
        let origin = patiently(session, || read_origin(session)).await;
        if let Some(origin) = origin.map_err(Trouble::failed)? {
            reading.adopt(origin);
        }
        Ok(reading)
    }

    /// What a file with the entries from here on begins with.
    pub(super) fn header(&self) -> Header {
        Header {
            tenancy: self.tenancy.clone(),
            origin: self.position,
            replica: Arc::clone(&self.replica),
        }
    }

    /// The position of the next entry.
    pub(super) fn next_position(&self) -> LogPosition {
        LogPosition::after(self.position)
    }

    /// The next entry. It counts as read when it was [`play`](Self::play)ed or
    /// [passed over](Self::pass_over).
    pub(super) async fn next(&mut self) -> Result<Next, Trouble> {
        let position = self.next_position();
        if self.ahead.is_empty() {
            let session = &*self.session;
            let looked = patiently(session, || look(session, position, Tail::Ahead));
            match looked.await.map_err(Trouble::failed)? {
                Some(News::Entries(entries)) => self.ahead = entries.into(),
                Some(News::Origin(origin)) => {
                    let position = origin.position;
                    self.adopt(origin);
                    return Ok(Next::Collected(position));
                }
                None => return Ok(Next::End),
            }
        }
        let next = self.ahead.front();
        Ok(next.map_or(Next::End, |payload| {
            Next::Entry(Recorded::of_payload(position, payload))
        }))
    }

    /// Applies an entry that came next.
    pub(super) fn play(&mut self, recorded: Recorded) -> Step {
        let step = step(recorded.position, recorded.entry, Arc::clone(&self.replica));
        self.replica = Arc::clone(&step.new);
        self.pass_over(recorded.position);
        step
    }

    /// Goes on behind an entry that came next without applying it.
    pub(super) fn pass_over(&mut self, position: LogPosition) {
        self.ahead.pop_front();
        self.position = Some(position);
    }

    /// Waits until there is a next entry, or may be.
    pub(super) async fn wait(&self) -> Result<(), Trouble> {
        match wait_a_while(&*self.session, self.next_position()).await {
            Err(CoordinationError::Interrupted(_)) => reconnected(&*self.session).await,
            known => known,
        }
        .map_err(Trouble::failed)
    }

    /// Ends the session.
    pub(super) async fn close(&self) {
        self.session.close().await;
    }

    fn adopt(&mut self, origin: Origin) {
        self.position = Some(origin.position);
        self.replica = Arc::new(origin.replica);
    }
}

/// Why there is nothing to read, and what else there is.
fn no_tenancy(tenancy: &str, servers: &str, others: &[String]) -> String {
    let mut others: Vec<&str> = others.iter().map(String::as_str).collect();
    others.retain(|other| *other != tenancy);
    others.sort_unstable();
    let names = || others.iter().copied();
    let there = match others.as_slice() {
        [] => "there is no other".to_owned(),
        [other] => format!("there is only `{other}`"),
        _ => format!("there are {}", listed(names())),
    };
    let besides = format!("{there}; the name is node.tenancy-id of a configuration (--config)");
    let hint = hint(tenancy, names(), &besides);
    format!("no node has used a log of tenancy `{tenancy}` at {servers}{hint}")
}

/// Why the log cannot be opened, and what somebody at a terminal can do.
fn closed(error: &NodeError) -> Trouble {
    let advice = match error {
        NodeError::Coordination(CoordinationError::Unreachable { .. }) => {
            "; start it, or name other servers with --connect or with coordination.connect of the \
             file behind --config"
        }
        _ => "",
    };
    Trouble {
        exit: Exit::from(error),
        message: format!("{error}{advice}"),
    }
}

/// The servers that keep the log. An embedded server whose port is not configured is the only one of this
/// user that runs on this machine.
fn servers(
    config: &NodeConfig,
    said: Option<&str>,
    running: &[SocketAddr],
) -> Result<String, Trouble> {
    if let Some(said) = said {
        let connect = ConnectString::new(said);
        let expected = || {
            let message = format!("--connect: expected servers as host:port,…, found {said}");
            Trouble::bad_input(message)
        };
        return Ok(connect.ok_or_else(expected)?.as_str().to_owned());
    }
    let coordination = &config.coordination;
    match (coordination.mode, coordination.embedded_port) {
        (CoordinationMode::ZooKeeper, _) => Ok(coordination.connect.as_str().to_owned()),
        (CoordinationMode::Embedded, 0) => match running {
            [address] => Ok(address.to_string()),
            several => Err(Trouble::bad_input(unknown_port(several))),
        },
        (CoordinationMode::Embedded, port) => Ok(format!("127.0.0.1:{port}")),
    }
}

fn unknown_port(running: &[SocketAddr]) -> String {
    let running: Vec<String> = running.iter().map(SocketAddr::to_string).collect();
    let running = match running.as_slice() {
        [] => "no such server of this user runs on this machine".to_owned(),
        several => format!("there are {}", listed(several.iter().map(String::as_str))),
    };
    format!(
        "the log is in a node with an embedded server, whose port is any that was free: name \
         it with --connect HOST:PORT, or set coordination.embedded-port; {running}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, said: Option<&str>) -> String {
        found_beside(config, said, &[])
    }

    fn found_beside(config: &str, said: Option<&str>, running: &[u16]) -> String {
        let config = NodeConfig::from_toml("node.toml", config, []).unwrap();
        let running = running
            .iter()
            .map(|port| SocketAddr::from(([127, 0, 0, 1], *port)));
        let running: Vec<SocketAddr> = running.collect();
        servers(&config, said, &running).unwrap_or_else(|trouble| trouble.message)
    }

    #[test]
    fn the_only_embedded_server_of_the_user_is_found_without_its_port() {
        assert_eq!(found_beside("", None, &[4711]), "127.0.0.1:4711");
        assert_eq!(found_beside("", Some("c:3"), &[4711]), "c:3");
        let several = found_beside("", None, &[4711, 4712]);
        let listed = "; there are 127.0.0.1:4711, 127.0.0.1:4712";
        assert!(several.ends_with(listed), "{several}");
    }

    #[test]
    fn a_tenancy_that_is_not_there_is_told_with_those_that_are() {
        let others = ["staging".to_owned(), "prod".to_owned()];
        insta::assert_snapshot!(
            [no_tenancy("prd", "a:1", &others), no_tenancy("x", "a:1", &[])].join("\n"),
            @"
        no node has used a log of tenancy `prd` at a:1; did you mean `prod`? there are prod, staging; the name is node.tenancy-id of a configuration (--config)
        no node has used a log of tenancy `x` at a:1; there is no other; the name is node.tenancy-id of a configuration (--config)
        "
        );
    }

    #[test]
    fn the_log_is_where_the_node_keeps_it() {
        let ensemble = "[coordination]\nmode = \"zookeeper\"\nconnect = \"a:1,b:2/x\"";
        assert_eq!(found(ensemble, None), "a:1,b:2/x");
        assert_eq!(found(ensemble, Some("c:3")), "c:3");
        let fixed = "[coordination]\nembedded-port = 7000";
        assert_eq!(found(fixed, None), "127.0.0.1:7000");
        assert!(found("", None).contains("--connect HOST:PORT"));
        assert!(found("", Some("nowhere")).starts_with("--connect: expected servers"));
    }
}
