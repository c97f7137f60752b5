//! The whole state of a server, and the one place where requests meet it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::access::{self, Permissions};
use super::authentication::{Author, Gate, Standing};
use super::happening::Committed;
use super::ledger::Ledger;
use super::outcome::{Attached, Connected, Effects, Fate, Figures, Served};
use super::watches::Watches;
use super::{Millis, read, watch_requests};
use crate::protocol::response::Part;
use crate::protocol::{
    ConnectRequest, ConnectResponse, ConnectionId, ErrorCode, Identity, Notification, Read,
    Request, Response, Write,
};

/// How often abandoned containers and TTL nodes are looked for, as in ZooKeeper.
pub(super) const CLEANING_INTERVAL: Millis = 60_000;

/// Tree, sessions and watches, which only change together.
#[derive(Debug)]
pub(crate) struct Keeper {
    gate: Gate,
    ledger: Ledger,
    watches: Watches,
    /// The connections that hold a session.
    authors: BTreeMap<ConnectionId, Arc<Author>>,
    limits: SessionLimits,
    next_cleaning: Millis,
    ticked: Millis,
}

/// The session time-outs that a client can negotiate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimits {
    pub(crate) min: Millis,
    pub(crate) max: Millis,
    /// A server that looks at the clock so much later than before has slept: the machine was busy,
    /// or the process was stopped. What its clients said meanwhile waits to be read.
    pub(crate) slept: Millis,
}

impl Keeper {
    pub(crate) fn new(gate: Gate, ledger: Ledger, limits: SessionLimits, now: Millis) -> Self {
        Self {
            gate,
            ledger,
            watches: Watches::default(),
            authors: BTreeMap::new(),
            limits,
            next_cleaning: now + CLEANING_INTERVAL,
            ticked: now,
        }
    }

    /// The number of the last transaction.
    pub(crate) fn zxid(&self) -> i64 {
        self.ledger.zxid()
    }

    /// What is to be logged; see [`Ledger::journal`].
    pub(crate) fn journal(&mut self) -> Option<&mut Vec<u8>> {
        self.ledger.journal()
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            sessions: self.ledger.sessions().len(),
            nodes: self.ledger.tree().len(),
            ephemerals: self.ledger.tree().ephemeral_count(),
            watches: self.watches.len(),
            zxid: self.ledger.zxid(),
        }
    }

    /// Opens a session for the connection, or gives it one that it can prove to own.
    pub(crate) fn connect(
        &mut self,
        connection: ConnectionId,
        address: IpAddr,
        request: &ConnectRequest,
        now: Millis,
    ) -> Connected {
        if request.last_zxid_seen > self.ledger.zxid() {
            return Connected::Ahead;
        }
        let timeout = Millis::from(request.timeout_ms).clamp(self.limits.min, self.limits.max);
        let (session, password) = match request.session {
            0 => self.ledger.open_session(timeout, now),
            session => match self.ledger.sessions().verify(session, &request.password) {
                Some(password) => {
                    self.ledger.renew_session(session, password, timeout, now);
                    (session, password)
                }
                None => return Connected::Expired,
            },
        };
        let displaced = self.ledger.sessions_mut().attach(session, connection, now);
        if let Some(displaced) = displaced {
            self.disconnect(displaced, now);
        }
        let standing = match (&self.gate, request.session) {
            (Gate::Open, _) => Standing::Served,
            (Gate::Login(_), 0) => Standing::New,
            (Gate::Login(_), _) => Standing::Returned,
        };
        let identities = vec![Identity::new("ip", &address.to_string())];
        self.authors.insert(
            connection,
            Arc::new(Author {
                session,
                standing,
                identities,
            }),
        );
        let timeout_ms = i32::try_from(timeout).unwrap_or(i32::MAX);
        Connected::Attached(Attached {
            response: ConnectResponse {
                timeout_ms,
                session,
                password,
            },
            displaced,
        })
    }

    /// The connection is gone; its session lives on until it expires. One that it opened without
    /// logging in ends at once, so that strangers leave nothing behind.
    pub(crate) fn disconnect(&mut self, connection: ConnectionId, now: Millis) {
        self.watches.forget(connection);
        let Some(author) = self.authors.remove(&connection) else {
            return;
        };
        let sessions = self.ledger.sessions_mut();
        let is_holder = sessions.holder(author.session) == Some(connection);
        sessions.detach(author.session, connection);
        if is_holder && author.standing == Standing::New {
            self.ledger.close_session(author.session, now);
        }
    }

    /// Whether the connection has proved what the server asks for.
    pub(crate) fn is_served(&self, connection: ConnectionId) -> bool {
        let author = self.authors.get(&connection);
        author.is_some_and(|author| author.standing.is_served())
    }

    /// Serves a request; `None` if the connection has lost its session in the meantime.
    pub(crate) fn serve(
        &mut self,
        connection: ConnectionId,
        request: Request,
        now: Millis,
    ) -> Option<Served> {
        let author = self.authors.get(&connection)?.clone();
        self.ledger.sessions_mut().touch(author.session, now);
        if !author.standing.permits(&request) {
            return Some(self.served(Err(ErrorCode::NoAuth)));
        }
        Some(match request {
            Request::Ping => self.served(Ok(Response::Empty)),
            Request::Write(write) => self.write(&author, write, now),
            Request::Multi(writes) => self.write_all(&author, writes, now),
            Request::Read(read) => self.read(connection, &author, &read),
            Request::MultiRead(reads) => {
                self.served(read::answer_all(self.ledger.tree(), &author, &reads))
            }
            Request::Watch(request) => {
                let (tree, watches) = (self.ledger.tree(), &mut self.watches);
                let (result, notifications) =
                    watch_requests::answer(tree, watches, connection, &author, request);
                Served {
                    notifications,
                    ..self.served(result)
                }
            }
            Request::Auth {
                scheme,
                credentials,
            } => {
                let result = self.authenticate(connection, &scheme, &credentials);
                let fate = match result {
                    Ok(_) if self.is_served(connection) => Fate::Settles,
                    Ok(_) => Fate::Stays,
                    Err(_) => Fate::Ends,
                };
                Served {
                    fate,
                    ..self.served(result)
                }
            }
            Request::CloseSession => {
                let notifications = self.close_session(author.session, now).notifications;
                Served {
                    notifications,
                    fate: Fate::Ends,
                    ..self.served(Ok(Response::Empty))
                }
            }
            Request::Reconfigure => self.served(Err(ErrorCode::ReconfigDisabled)),
            // ZooKeeper hangs up as well: such a client speaks another version of the protocol.
            Request::Unknown => Served {
                fate: Fate::Ends,
                ..self.served(Err(ErrorCode::Unimplemented))
            },
        })
    }

    /// Lets time pass: expires sessions and removes abandoned nodes.
    pub(crate) fn tick(&mut self, now: Millis) -> Effects {
        let mut effects = Effects::default();
        let since = now - std::mem::replace(&mut self.ticked, now);
        if since >= self.limits.slept {
            self.ledger.sessions_mut().postpone(since);
        }
        for session in self.ledger.sessions().expired(now) {
            effects.extend(self.close_session(session, now));
        }
        if now >= self.next_cleaning {
            self.next_cleaning = now + CLEANING_INTERVAL;
            for path in self.ledger.tree().abandoned(now) {
                let committed = self.ledger.delete_abandoned(path, now);
                effects.notifications.extend(self.fire(&committed));
            }
        }
        effects
    }

    /// Ends a session as if its time were up; `None` if there is no such session.
    pub(crate) fn expire_session(&mut self, session: i64, now: Millis) -> Option<Effects> {
        self.ledger
            .sessions()
            .contains(session)
            .then(|| self.close_session(session, now))
    }

    /// Removes the session and its ephemeral nodes, and lets its connection go.
    fn close_session(&mut self, session: i64, now: Millis) -> Effects {
        let holder = self.ledger.sessions().holder(session);
        let committed = self.ledger.close_session(session, now);
        let notifications = self.fire(&committed);
        if let Some(connection) = holder {
            self.disconnect(connection, now);
        }
        Effects {
            notifications,
            closed: holder.into_iter().collect(),
        }
    }

    /// Who hears of a transaction, of those who may read what it is about.
    fn fire(&mut self, committed: &Committed) -> Vec<Notification> {
        let authors = &self.authors;
        self.watches.fire(committed, |connection, acl| {
            let author = authors.get(&connection);
            author.is_some_and(|author| access::permits(acl, author, Permissions::READ))
        })
    }

    fn authenticate(
        &mut self,
        connection: ConnectionId,
        scheme: &str,
        credentials: &[u8],
    ) -> Result<Response, ErrorCode> {
        if let Some(author) = self.authors.get_mut(&connection) {
            Arc::make_mut(author).authenticate(&self.gate, scheme, credentials)?;
        }
        Ok(Response::Empty)
    }

    fn read(&mut self, connection: ConnectionId, author: &Author, read: &Read) -> Served {
        let result = read::answer(self.ledger.tree(), author, read);
        if let Some((path, kind)) = read::watch(read, &result) {
            self.watches.add(connection, path, kind);
        }
        self.served(result)
    }

    fn write(&mut self, author: &Author, write: Write, now: Millis) -> Served {
        match self.ledger.write(author, vec![write], now) {
            Ok((parts, committed)) => {
                let response = parts.into_iter().find_map(Part::into_response);
                let notifications = self.fire(&committed);
                let result = Ok(response.unwrap_or(Response::Empty));
                Served {
                    notifications,
                    ..self.served(result)
                }
            }
            Err(failure) => self.served(Err(failure.code)),
        }
    }

    /// A multi request always succeeds as a request; the parts tell how it went.
    fn write_all(&mut self, author: &Author, writes: Vec<Write>, now: Millis) -> Served {
        let count = writes.len();
        match self.ledger.write(author, writes, now) {
            Ok((parts, committed)) => {
                let notifications = self.fire(&committed);
                Served {
                    notifications,
                    ..self.served(Ok(Response::Multi(parts)))
                }
            }
            Err(failure) => self.served(Ok(Response::Multi(failure.parts(count)))),
        }
    }

    /// An answer as of now that has no consequences for anybody else.
    fn served(&self, result: Result<Response, ErrorCode>) -> Served {
        let zxid = self.ledger.zxid();
        Served {
            result,
            zxid,
            notifications: Vec::new(),
            fate: Fate::Stays,
        }
    }
}
