//! One step of the log: an entry, the replica before and after, and what follows for a peer.

use super::commands::{Command, SetReplica};
use super::history;
use super::{Applied, Effect, Entry, LogCommand, PeerContext, Reason, ReplicaDiff, Unreadable};
use crate::ids::LogPosition;
use crate::replica::{Replica, invariants};
use std::sync::Arc;

/// One entry applied: what was, what is.
#[derive(Clone, Debug)]
pub struct Step {
    /// The entry's position.
    pub position: LogPosition,
    /// The entry, or why the payload cannot be read.
    pub entry: Result<Entry, Unreadable>,
    /// The replica before.
    pub old: Arc<Replica>,
    /// The replica after; the same one when the entry was ignored.
    pub new: Arc<Replica>,
    /// Why it changed nothing, when it changed nothing.
    pub ignored: Option<Reason>,
}

/// Applies the entry at a position. Whatever the payload says, there is a replica afterwards, and
/// the same one on every peer.
pub fn step(position: LogPosition, payload: Result<Entry, Unreadable>, old: Arc<Replica>) -> Step {
    let entry = match payload {
        Ok(entry) => entry,
        unreadable => return Step::ignored(position, unreadable, old, Reason::Unreadable),
    };
    let source = entry.source;
    if source.is_some_and(|source| old.writers.has_seen(&source)) {
        return Step::ignored(position, Ok(entry), old, Reason::AlreadySeen);
    }
    let (mut new, ignored) = match entry.command.apply(position, &old) {
        Applied::Changed(new) => (new, None),
        Applied::Ignored(reason) => (Replica::clone(&old), Some(reason)),
    };
    if ignored.is_none() {
        history::record(&old, &mut new, position, entry.written_at_ms);
    }
    // Ignored entries are remembered too: their duplicates may come when they would fit.
    if let Some(source) = source {
        let membership = Arc::clone(&new.membership);
        Arc::make_mut(&mut new.writers).remember(&source, position, &membership);
    }
    debug_assert!(
        invariants::violations(&new, position).is_empty()
            || !invariants::violations(&old, position).is_empty(),
        "{entry:?} at {position} broke {:?}",
        invariants::violations(&new, position)
    );
    Step {
        position,
        entry: Ok(entry),
        old,
        new: Arc::new(new),
        ignored,
    }
}

impl Step {
    /// In place of the entries up to a position, which are gone: the replica that they made.
    pub fn jump(position: LogPosition, old: Arc<Replica>, new: Arc<Replica>) -> Self {
        let command = Command::SetReplica(SetReplica {
            replica: Arc::clone(&new),
        });
        let entry = Entry {
            source: None,
            entry_parent: None,
            written_at_ms: None,
            command,
        };
        Step {
            position,
            entry: Ok(entry),
            old,
            new,
            ignored: None,
        }
    }

    fn ignored(
        position: LogPosition,
        entry: Result<Entry, Unreadable>,
        replica: Arc<Replica>,
        reason: Reason,
    ) -> Self {
        let (old, new) = (Arc::clone(&replica), replica);
        Step {
            position,
            entry,
            old,
            new,
            ignored: Some(reason),
        }
    }

    /// What it changed; none when it was ignored.
    pub fn diff(&self) -> Option<ReplicaDiff> {
        let entry = self.entry.as_ref().ok();
        let entry = entry.filter(|_| self.ignored.is_none())?;
        Some(entry.command.diff(&self.old, &self.new))
    }

    /// Why it changed nothing, for people: the name of the reason, and of a payload that cannot be
    /// read what is wrong with it.
    pub fn reason(&self) -> Option<String> {
        let reason = self.ignored?;
        Some(match &self.entry {
            Ok(_) => reason.name().to_owned(),
            Err(Unreadable(why)) => format!("{}: {why}", reason.name()),
        })
    }

    /// What is wrong with a job that was ignored as invalid. None for every other step.
    pub fn explanation(&self) -> Option<String> {
        match self.command()? {
            Command::SubmitJob(submit) if self.ignored == Some(Reason::InvalidJob) => submit.flaw(),
            _ => None,
        }
    }

    /// What the peer `me` writes in answer. Its watches have to be in place before.
    pub fn reactions(&self, me: &PeerContext) -> Vec<Command> {
        self.command()
            .map_or(Vec::new(), |command| command.reactions(self, me))
    }

    /// What the peer `me` does besides.
    pub fn effects(&self, me: &PeerContext) -> Vec<Effect> {
        self.command()
            .map_or(Vec::new(), |command| command.effects(self, me))
    }

    /// The command, unless it was already answered when its entry was first seen.
    fn command(&self) -> Option<&Command> {
        let entry = self.entry.as_ref().ok()?;
        (self.ignored != Some(Reason::AlreadySeen)).then_some(&entry.command)
    }
}
