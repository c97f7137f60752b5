//! Sessions: who holds which, how long they live without a sign of life, and their passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use super::Millis;
use crate::protocol::ConnectionId;
use crate::protocol::connect::Password;

/// All live sessions, also ordered by the moment at which they expire.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: BTreeMap<i64, Session>,
    deadlines: BTreeSet<(Millis, i64)>,
    last_id: i64,
    secret: RandomState,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    password: Password,
    timeout: Millis,
    deadline: Millis,
    connection: Option<ConnectionId>,
}

impl Sessions {
    /// Ids start with the time, so that those of an earlier server are not mistaken for new ones.
    pub(crate) fn new(now: Millis) -> Self {
        let last_id = first_id(now);
        let (by_id, deadlines) = (BTreeMap::new(), BTreeSet::new());
        Self {
            by_id,
            deadlines,
            last_id,
            secret: RandomState::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What has to be kept of the sessions, by id.
    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, Millis, Password)> {
        self.by_id
            .iter()
            .map(|(id, session)| (*id, session.timeout, session.password))
    }

    pub(crate) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// Ids up to this one have been given away.
    pub(crate) fn skip_to(&mut self, id: i64) {
        self.last_id = self.last_id.max(id);
    }

    /// After a restart nobody has been heard of: every session gets its whole time again.
    pub(crate) fn wake(&mut self, now: Millis) {
        self.skip_to(first_id(now));
        self.deadlines.clear();
        for (id, session) in &mut self.by_id {
            session.deadline = now + session.timeout;
            self.deadlines.insert((session.deadline, *id));
        }
    }

    /// The server has slept for so long and could hear nobody: that is no silence of theirs.
    pub(crate) fn postpone(&mut self, by: Millis) {
        self.deadlines.clear();
        for (id, session) in &mut self.by_id {
            session.deadline += by;
            self.deadlines.insert((session.deadline, *id));
        }
    }

    pub(crate) fn contains(&self, id: i64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// An id and a password for a session that is about to be opened.
    pub(crate) fn draw(&self) -> (i64, Password) {
        let id = self.last_id + 1;
        let mut password = [0; 16];
        for (half, bytes) in password.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *bytes = self.secret.hash_one((id, half)).to_be_bytes();
        }
        (id, password)
    }

    /// Opens a session. One that is open already goes on with the new time-out.
    pub(crate) fn open(&mut self, id: i64, timeout: Millis, password: Password, now: Millis) {
        let session = self.by_id.entry(id).or_insert(Session {
            password,
            timeout,
            deadline: now,
            connection: None,
        });
        session.timeout = timeout;
        self.deadlines.insert((session.deadline, id));
        self.touch(id, now);
        self.skip_to(id);
    }

    pub(crate) fn close(&mut self, id: i64) {
        if let Some(session) = self.by_id.remove(&id) {
            self.deadlines.remove(&(session.deadline, id));
        }
    }

    /// The connection that holds the session now.
    pub(crate) fn holder(&self, id: i64) -> Option<ConnectionId> {
        self.by_id.get(&id)?.connection
    }

    /// The password of the session, if the one presented is right.
    pub(crate) fn verify(&self, id: i64, presented: &[u8]) -> Option<Password> {
        let session = self.by_id.get(&id)?;
        (session.password == presented).then_some(session.password)
    }

    pub(crate) fn timeout(&self, id: i64) -> Option<Millis> {
        Some(self.by_id.get(&id)?.timeout)
    }

    /// Gives the session to a connection; returns the one that held it.
    pub(crate) fn attach(
        &mut self,
        id: i64,
        connection: ConnectionId,
        now: Millis,
    ) -> Option<ConnectionId> {
        let session = self.by_id.get_mut(&id)?;
        let displaced = session.connection.replace(connection);
        self.touch(id, now);
        displaced
    }

    /// The connection is gone. The session waits for another one until its time is up.
    pub(crate) fn detach(&mut self, id: i64, connection: ConnectionId) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.connection.take_if(|holder| *holder == connection);
        }
    }

    /// A sign of life.
    pub(crate) fn touch(&mut self, id: i64, now: Millis) {
        if let Some(session) = self.by_id.get_mut(&id) {
            let deadline = now + session.timeout;
            if deadline != session.deadline {
                self.deadlines.remove(&(session.deadline, id));
                self.deadlines.insert((deadline, id));
                session.deadline = deadline;
            }
        }
    }

    /// The sessions whose time is up.
    pub(crate) fn expired(&self, now: Millis) -> Vec<i64> {
        self.deadlines
            .range(..=(now, i64::MAX))
            .map(|(_, id)| *id)
            .collect()
    }
}

/// Where ids of a server that starts now begin.
fn first_id(now: Millis) -> i64 {
    (now & 0xff_ffff_ffff) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ConnectionId = ConnectionId(1);
    const AGAIN: ConnectionId = ConnectionId(2);

    fn opened() -> (Sessions, i64, Password) {
        let mut sessions = Sessions::new(1000);
        let (id, password) = sessions.draw();
        sessions.open(id, 100, password, 1000);
        (sessions, id, password)
    }

    #[test]
    fn signs_of_life_postpone_the_end() {
        let (mut sessions, id, _) = opened();
        assert_eq!(sessions.expired(1099), []);
        assert_eq!(sessions.expired(1100), [id]);
        sessions.touch(id, 1050);
        assert_eq!(sessions.expired(1100), []);
        assert_eq!(sessions.expired(1150), [id]);
        sessions.close(id);
        assert_eq!(sessions.expired(i64::MAX), []);
    }

    #[test]
    fn a_session_belongs_to_whoever_knows_its_password() {
        let (sessions, id, password) = opened();
        assert_eq!(sessions.verify(id, &password), Some(password));
        assert_eq!(sessions.verify(id, &[0; 16]), None);
        assert_eq!(sessions.verify(id, &[]), None);
        assert_eq!(sessions.verify(id + 1, &password), None);
    }

    #[test]
    fn the_last_connection_wins() {
        let (mut sessions, id, password) = opened();
        assert_eq!(sessions.attach(id, ME, 1000), None);
        sessions.open(id, 300, password, 1000);
        assert_eq!(sessions.attach(id, AGAIN, 1000), Some(ME));
        sessions.detach(id, ME);
        assert_eq!(sessions.expired(1299), []);
        assert_eq!(sessions.holder(id), Some(AGAIN));
    }

    #[test]
    fn a_restart_gives_every_session_its_whole_time_again() {
        let (mut sessions, id, password) = opened();
        sessions.wake(5000);
        assert_eq!(sessions.expired(5099), []);
        assert_eq!(sessions.expired(5100), [id]);
        assert_eq!(sessions.verify(id, &password), Some(password));
        assert!(sessions.draw().0 > id);
    }

    #[test]
    fn ids_and_passwords_differ() {
        let (sessions, id, password) = opened();
        let (next_id, next_password) = sessions.draw();
        assert!(next_id > id && id > 0);
        assert_ne!(next_password, password);
    }
}
