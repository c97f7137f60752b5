//! A cluster as the pure functions see it: a log, peers that read it each at its own pace, pulses
//! that may linger, outboxes that may be paused. Whoever drives it decides who does what when.

#[path = "../../src/replica/task_words.rs"]
mod task_words;

use onyx::codec::{from_payload, to_payload};
use onyx::ids::{EntrySource, GroupId, JobId, LogPosition, PeerId, SlotId, TaskName, WriterId};
use onyx::job::percent::Percent;
use onyx::job::{FluxPolicy, TaskKind};
use onyx::log::admission::is_open;
use onyx::log::commands::{Command, PrepareJoinCluster};
use onyx::log::departures::{Departure, Speaker, departures};
use onyx::log::wants::{
    AfterJump, Assignment, LocalFacts, Read, RunningTask, Seal, Standing, TaskPhase, Wants,
    after_jump, wants,
};
use onyx::log::{Effect, Entry, PeerContext, Step, Unreadable, step};
use onyx::replica::{Member, Replica, TaskRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use task_words::TaskWords;

/// What a log, a payload and the replica before it lead to: [`step`], or rules that are broken on
/// purpose.
pub(crate) type Apply = fn(LogPosition, Result<Entry, Unreadable>, Arc<Replica>) -> Step;
/// What a peer derives from a replica: [`wants`], or rules that are broken on purpose.
pub(crate) type Derive = fn(&Replica, &PeerContext, &LocalFacts) -> Wants;

/// The rules by which a cluster lives.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) apply: Apply,
    pub(crate) derive: Derive,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            apply: step,
            derive: wants,
        }
    }
}

/// The log, what it gave, and everybody who lives.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) rules: Rules,
    /// What is agreed on before the first entry.
    pub(crate) first: Arc<Replica>,
    /// What collectors have stored: the replica after the entry at a position.
    pub(crate) origin: Option<(usize, Arc<Replica>)>,
    /// Entries before this one are deleted.
    cleared: usize,
    pub(crate) steps: Vec<Arc<Step>>,
    pub(crate) peers: BTreeMap<PeerId, Peer>,
    /// Pulses that can be seen; one of a dead peer lingers for a while.
    pub(crate) pulses: BTreeSet<PeerId>,
    /// What was read of each input: whoever exhausts part r of n has read every n-th item.
    pub(crate) items_read: BTreeMap<(JobId, TaskName), BTreeSet<u32>>,
    sequences: BTreeMap<WriterId, u64>,
}

/// How many items every input has.
pub(crate) const ITEMS: u32 = 60;

/// One incarnation of a virtual peer.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) me: Arc<PeerContext>,
    rules: Rules,
    /// The position it reads next.
    pub(crate) next: usize,
    pub(crate) outbox: VecDeque<Command>,
    pub(crate) watches: BTreeSet<PeerId>,
    /// Peers whose leave it has written and not read yet.
    pub(crate) reported: BTreeSet<PeerId>,
    /// Owed commands that it has written.
    said: Vec<Command>,
    pub(crate) task: Option<Assignment>,
    phase: TaskPhase,
    pub(crate) rejoin_is_due: bool,
    pub(crate) standing: Standing,
}

/// Of whom a peer speaks that finds others gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    WhenItIsMine,
    InAnyCase,
}

/// What a peer's reading of one entry led to, besides its outbox.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// In place of entries that are gone it was told the replica after this one.
    Jumped(LogPosition),
    Effect(Effect),
    Wrote(Command),
}

impl Cluster {
    /// Nobody yet, and the rules by which they will live.
    pub(crate) fn with(rules: Rules) -> Self {
        Cluster {
            rules,
            ..Cluster::default()
        }
    }

    pub(crate) fn replica(&self) -> Arc<Replica> {
        self.replica_before(self.steps.len())
    }

    pub(crate) fn replica_before(&self, position: usize) -> Arc<Replica> {
        let step = position
            .checked_sub(1)
            .and_then(|last| self.steps.get(last));
        Arc::clone(step.map_or(&self.first, |step| &step.new))
    }

    /// Stores the replica after an entry as the origin, as a node would: none that is older than
    /// the one there is.
    pub(crate) fn store_origin(&mut self, position: usize) {
        if self.origin.as_ref().is_none_or(|(at, _)| *at < position) {
            let replica = &self.steps[position].new;
            let stored: Replica = read_back(replica);
            assert_eq!(stored, **replica, "the origin is not what was stored");
            self.origin = Some((position, Arc::new(stored)));
        }
    }

    /// Deletes entries before the origin, up to a position.
    pub(crate) fn clear(&mut self, up_to: usize) {
        let origin = self.origin.as_ref().map_or(0, |(at, _)| *at);
        self.cleared = self.cleared.max(up_to.min(origin));
    }

    /// What a peer reads next: the entry, or what a reader gets whose entry is deleted.
    fn next_step(&self, position: usize) -> Option<(Arc<Step>, usize)> {
        match &self.origin {
            Some((at, replica)) if position < self.cleared => {
                let old = self.replica_before(position);
                let jump = Step::jump(LogPosition(*at as u64), old, Arc::clone(replica));
                Some((Arc::new(jump), at + 1))
            }
            _ => Some((Arc::clone(self.steps.get(position)?), position + 1)),
        }
    }

    /// Starts an incarnation, with its pulse, that reads the log from its beginning.
    pub(crate) fn start(&mut self, me: PeerId, member: Member) {
        let prepare = PrepareJoinCluster {
            joiner: me,
            member: member.clone(),
        };
        let peer = Peer {
            me: Arc::new(PeerContext { me, member }),
            rules: self.rules,
            next: 0,
            outbox: VecDeque::from([Command::PrepareJoinCluster(prepare)]),
            watches: BTreeSet::new(),
            reported: BTreeSet::new(),
            said: Vec::new(),
            task: None,
            phase: TaskPhase::Starting,
            rejoin_is_due: false,
            standing: Standing::Outside,
        };
        self.pulses.insert(me);
        self.peers.insert(me, peer);
    }

    /// Ends an incarnation and what it had not written yet; its pulse lingers.
    pub(crate) fn crash(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    /// Pulses of the dead.
    pub(crate) fn lingering(&self) -> Vec<PeerId> {
        self.pulses
            .iter()
            .filter(|pulse| !self.peers.contains_key(pulse))
            .copied()
            .collect()
    }

    /// Appends a new entry of a writer.
    pub(crate) fn append(&mut self, writer: WriterId, command: Command) -> Arc<Step> {
        let sequence = self.sequences.entry(writer).or_default();
        *sequence += 1;
        let source = EntrySource {
            writer,
            sequence: *sequence,
        };
        self.append_payload(Ok(Entry {
            source: Some(source),
            entry_parent: None,
            written_at_ms: None,
            command,
        }))
    }

    /// Appends anything, such as an entry that was written before.
    pub(crate) fn append_payload(&mut self, payload: Result<Entry, Unreadable>) -> Arc<Step> {
        let position = LogPosition(self.steps.len() as u64);
        let step = Arc::new((self.rules.apply)(position, payload, self.replica()));
        self.steps.push(Arc::clone(&step));
        step
    }

    /// What was appended at a position.
    pub(crate) fn payload(&self, position: usize) -> Result<Entry, Unreadable> {
        self.steps[position].entry.clone()
    }

    /// Writes the next entry of a peer's outbox that may pass.
    pub(crate) fn write(&mut self, peer: PeerId) -> Option<Arc<Step>> {
        let state = self.peers.get_mut(&peer)?;
        let index = state.next_to_write()?;
        let command = state.outbox.remove(index)?;
        Some(self.append(peer.into(), command))
    }

    /// Lets a peer read one entry.
    pub(crate) fn read(&mut self, peer: PeerId) -> Option<Vec<Event>> {
        let read = self.peers.get(&peer)?.next;
        let is_gone = read < self.cleared;
        let (step, next) = self.next_step(read)?;
        let state = self.peers.get_mut(&peer)?;
        state.next = next;
        // Watches are in place before anything that announces them is written.
        state.reconcile(&step.new);
        let me = Arc::clone(&state.me);
        let mut events = Vec::new();
        if is_gone {
            events.push(Event::Jumped(step.position));
        }
        for effect in step.effects(&me) {
            match effect {
                Effect::RejoinAfterBackOff => self.peers.get_mut(&peer)?.rejoin_is_due = true,
                Effect::EvictIfGhost(_) => {
                    self.look_for_ghosts(peer, &step.new, Word::WhenItIsMine);
                }
                Effect::Restart => {}
            }
            events.push(Event::Effect(effect));
        }
        let state = self.peers.get_mut(&peer)?;
        for reaction in step.reactions(&me) {
            state.outbox.push_back(reaction.clone());
            events.push(Event::Wrote(reaction));
        }
        Some(events)
    }

    /// Lets a peer adopt the newest replica instead of reading on.
    pub(crate) fn jump(&mut self, peer: PeerId) -> Option<AfterJump> {
        let old = self.replica_before(self.peers.get(&peer)?.next);
        let new = self.replica();
        let state = self.peers.get_mut(&peer)?;
        state.next = self.steps.len();
        state.reconcile(&new);
        let after = after_jump(&old, &new, &state.me);
        if let AfterJump::Write(commands) = &after {
            state.outbox.extend(commands.iter().cloned());
        }
        Some(after)
    }

    /// Whether a peer would be as it is after it has read its next entry.
    pub(crate) fn next_is_silent(&self, peer: PeerId) -> bool {
        let Some(peer) = self.peers.get(&peer) else {
            return false;
        };
        let Some(step) = self.steps.get(peer.next) else {
            return false;
        };
        let wanted = peer.wants(&step.new);
        let known = &step.new.membership.members;
        let spoken_of = peer.reported.iter().all(|peer| known.contains_key(peer));
        let same = (wanted.standing, &wanted.watches) == (peer.standing, &peer.watches);
        same && spoken_of
            && wanted.task.is_none()
            && peer.task.is_none()
            && step.effects(&peer.me).is_empty()
            && step.reactions(&peer.me).is_empty()
    }

    /// Watched peers without a pulse of whom nobody of its group has spoken yet.
    pub(crate) fn unreported(&self, peer: PeerId) -> impl Iterator<Item = PeerId> {
        let watched = self.peers.get(&peer).map(|state| {
            let told = self.told_by(state.me.group());
            let gone = state.watches.difference(&self.pulses);
            gone.filter(move |gone| !told.contains(gone)).copied()
        });
        watched.into_iter().flatten()
    }

    /// Whose leave a process has written: its peers know of each other.
    fn told_by(&self, group: GroupId) -> BTreeSet<PeerId> {
        let of_group = self.peers.values().filter(|peer| peer.me.group() == group);
        of_group.flat_map(|peer| &peer.reported).copied().collect()
    }

    /// Lets a peer notice that pulses it watches are gone. Then it looks who else is, and speaks of
    /// those of whom it is to speak.
    pub(crate) fn notice(&mut self, peer: PeerId) -> BTreeSet<PeerId> {
        self.look(peer, Word::WhenItIsMine)
    }

    /// Lets a peer speak of those whom others have not spoken of for a while, too.
    pub(crate) fn speak_up(&mut self, peer: PeerId) -> BTreeSet<PeerId> {
        self.look(peer, Word::InAnyCase)
    }

    /// Lets a peer look who is gone although nothing new has happened.
    pub(crate) fn look_again(&mut self, peer: PeerId) {
        self.look_around(peer, Word::WhenItIsMine);
    }

    /// Lets a peer say what it found a while ago, as far as nobody of its group has said it yet.
    pub(crate) fn speak_of(&mut self, peer: PeerId, found: Vec<Departure>) {
        let Some(state) = self.peers.get(&peer) else {
            return;
        };
        let told = self.told_by(state.me.group());
        let replica = self.replica_before(state.next);
        let known = &replica.membership.members;
        for mut departure in found {
            let is_news = |peer: &PeerId| known.contains_key(peer) && !told.contains(peer);
            departure.gone.retain(is_news);
            let leave = departure.leave(&replica.membership);
            if let Some(state) = self.peers.get_mut(&peer) {
                state.outbox.extend(leave.map(Command::LeaveCluster));
                state.reported.extend(departure.gone);
            }
        }
    }

    fn look(&mut self, peer: PeerId, word: Word) -> BTreeSet<PeerId> {
        if self.unreported(peer).next().is_none() {
            return BTreeSet::new();
        }
        self.look_around(peer, word)
    }

    fn look_around(&mut self, peer: PeerId, word: Word) -> BTreeSet<PeerId> {
        let Some(state) = self.peers.get(&peer) else {
            return BTreeSet::new();
        };
        let replica = self.replica_before(state.next);
        self.look_for_ghosts(peer, &replica, word)
    }

    /// Members without a pulse of whom nobody of its group has spoken yet.
    fn ghosts(&self, peer: &Peer, replica: &Replica) -> BTreeSet<PeerId> {
        let told = self.told_by(peer.me.group());
        let members = replica.membership.members.keys();
        let ghosts = members.filter(|peer| !self.pulses.contains(peer) && !told.contains(peer));
        ghosts.copied().collect()
    }

    /// Lets a peer say of every group who of it is gone.
    fn look_for_ghosts(&mut self, id: PeerId, replica: &Replica, word: Word) -> BTreeSet<PeerId> {
        let Some(peer) = self.peers.get(&id) else {
            return BTreeSet::new();
        };
        let (news, mine) = (self.ghosts(peer, replica), peer.me.group());
        let mut said = BTreeSet::new();
        let mut leaves = Vec::new();
        for mut departure in departures(&replica.membership, &self.pulses) {
            let is_mine = match departure.speaker {
                Speaker::Group(group) => group == mine,
                Speaker::Anybody => true,
            };
            if !is_mine && word == Word::WhenItIsMine {
                continue;
            }
            departure.gone.retain(|peer| news.contains(peer));
            leaves.extend(departure.leave(&replica.membership));
            said.extend(departure.gone);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            let leaves = leaves.into_iter().map(Command::LeaveCluster);
            peer.outbox.extend(leaves);
            peer.reported.extend(&said);
        }
        said
    }

    /// Whether the end of a peer's back-off would lead to anything.
    pub(crate) fn can_rejoin(&self, peer: PeerId) -> bool {
        let Some(state) = self.peers.get(&peer).filter(|state| state.rejoin_is_due) else {
            return false;
        };
        let replica = self.replica_before(state.next);
        state.standing != Standing::Outside
            || is_open(&replica.membership)
            || !self.ghosts(state, &replica).is_empty()
    }

    /// Lets the back-off of a peer end. Where it would be refused it looks for ghosts instead, and
    /// backs off again.
    pub(crate) fn rejoin(&mut self, peer: PeerId) {
        let Some(state) = self.peers.get(&peer).filter(|state| state.rejoin_is_due) else {
            return;
        };
        let outside = state.standing == Standing::Outside;
        if outside && !is_open(&self.replica_before(state.next).membership) {
            self.look_around(peer, Word::InAnyCase);
            return;
        }
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.rejoin_is_due = false;
        if outside {
            let member = state.me.member.clone();
            let prepare = PrepareJoinCluster {
                joiner: peer,
                member,
            };
            state.outbox.push_back(Command::PrepareJoinCluster(prepare));
        }
    }

    /// Whether the task of a peer cannot receive yet.
    pub(crate) fn is_starting(&self, peer: PeerId) -> bool {
        let state = self.peers.get(&peer);
        state.is_some_and(|state| state.task.is_some() && state.phase == TaskPhase::Starting)
    }

    /// Lets the task of a peer come as far as it can by one phase.
    pub(crate) fn work(&mut self, peer: PeerId) -> Option<TaskPhase> {
        let state = self.peers.get(&peer)?;
        let replica = self.replica_before(state.next);
        let state = self.peers.get_mut(&peer)?;
        let task = state.task.as_ref()?;
        let next = match (state.phase, task.read, task.seal) {
            (TaskPhase::Starting, _, _) => TaskPhase::Ready,
            (TaskPhase::Ready, Read::Go, _) => TaskPhase::Exhausted,
            (TaskPhase::Ready, _, Seal::Now) => TaskPhase::Sealed,
            _ => return None,
        };
        if next == TaskPhase::Exhausted {
            let part = (0..ITEMS).filter(|item| item % task.slots == task.rank);
            let read = self
                .items_read
                .entry((task.job, task.task.clone()))
                .or_default();
            read.extend(part);
        }
        state.phase = next;
        state.reconcile(&replica);
        Some(next)
    }
}

impl Peer {
    pub(crate) fn wants(&self, replica: &Replica) -> Wants {
        let running = self.task.as_ref().map(|task| RunningTask {
            job: task.job,
            task: task.task.clone(),
            slot: task.slot,
            phase: self.phase,
        });
        (self.rules.derive)(replica, &self.me, &LocalFacts { running })
    }

    fn reconcile(&mut self, replica: &Replica) {
        let wanted = self.wants(replica);
        self.standing = wanted.standing;
        let known = &replica.membership.members;
        self.reported.retain(|peer| known.contains_key(peer));
        self.watches = wanted.watches;
        self.phase = match (&self.task, &wanted.task) {
            (Some(old), Some(new)) if place(old) == place(new) => {
                let other_part = (old.rank, old.slots) != (new.rank, new.slots);
                match (self.phase, new.read) {
                    // It has another part to read now.
                    (TaskPhase::Exhausted, Read::Go | Read::Wait) if other_part => TaskPhase::Ready,
                    (phase, _) => phase,
                }
            }
            _ => TaskPhase::Starting,
        };
        self.task = wanted.task;
        if self.task.is_none() {
            return;
        }
        for owed in self.wants(replica).owes {
            if !self.said.contains(&owed) {
                self.said.push(owed.clone());
                self.outbox.push_back(owed);
            }
        }
    }

    /// While it is not joined only its own join and leaves pass.
    pub(crate) fn next_to_write(&self) -> Option<usize> {
        if self.standing == Standing::Joined {
            return (!self.outbox.is_empty()).then_some(0);
        }
        self.outbox.iter().position(Command::passes_paused_outbox)
    }
}

/// A value after its way through a node of the log.
fn read_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let payload = to_payload(value).expect("it can be written");
    from_payload(&payload).expect("it reads back")
}

fn place(assignment: &Assignment) -> (JobId, &TaskName, SlotId) {
    (assignment.job, &assignment.task, assignment.slot)
}

/// Tasks written `name:kind>to,to:min-max!word`; kind is i, f or o. The range may be left out (1-),
/// and its maximum. Among the words, `#gpu` is a required tag, `~kill` a flux policy and `%30` a
/// percentage.
pub(crate) fn tasks(text: &str) -> Vec<TaskRecord> {
    text.split_whitespace().map(task).collect()
}

fn task(text: &str) -> TaskRecord {
    let words = TaskWords::of(text);
    let kind = match words.kind {
        "i" => TaskKind::Input,
        "o" => TaskKind::Output,
        _ => TaskKind::Function,
    };
    let to = words.to.into_iter().map(TaskName::from).collect();
    let policy = |name: &str| {
        let named = FluxPolicy::ALL.into_iter().find(|it| it.as_str() == name);
        named.expect("a flux policy")
    };
    let percent = |text: &str| {
        let percent = text.parse().ok().and_then(Percent::whole);
        percent.expect("a percentage")
    };
    TaskRecord {
        min_peers: words.min.parse().expect("a minimum"),
        max_peers: words.max.parse().ok(),
        required_tags: words.tags.into_iter().map(String::from).collect(),
        flux_policy: words.flux_policy.map(policy),
        percentage: words.percentage.map(percent),
        words: words.words.into_iter().map(String::from).collect(),
        ..TaskRecord::new(words.name, kind, to)
    }
}
