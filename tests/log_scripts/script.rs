//! The words of a script, and what they do to a cluster.
//!
//! Peers are named by letters. Members of one group share what stands before a dot: `x.a`, `x.b`.
//!
//! - `agree key=value…` before the first entry; keys are `job-scheduler` and `messaging`
//! - `join a b` start peers, one after the other, and stabilize after each
//! - `start a [word…] [#tag…]` a peer with its pulse; its join waits in its outbox
//! - `write a [twice]` the next entry of an outbox; twice, as after an unknown outcome
//! - `read a b`, `read` those, or all, read the log to its end
//! - `jump a` it adopts the newest replica instead
//! - `crash a` it is dead, its pulse lingers; `expire a` the pulse goes; `kill a` both
//! - `notice a` it looks at the pulses it watches; `speak-up a` it speaks of the dead though another
//!   was to
//! - `back-off a` its back-off ends
//! - `stabilize` everybody reads, notices, ends back-offs and writes until there is nothing to do
//! - `submit j [key=value…] tasks…`, `kill-job j [cause]` by a client; keys are `task-scheduler`,
//!   `percentage`, `sends`; of a task, `!fn:x` is a word, `!#gpu` a tag, `!~kill` a flux policy, `!%30`
//!   a percentage
//! - `work a`, `work` those, or all, come one phase further and say so; `complete j` until it is
//! - `leave a b`, `abort a`, `notify a`, `accept observer joiner`, `garbage` entries out of nowhere
//! - `say fn key=value…` an entry as people write it by hand: ids by name, lists with commas, `-` empty
//! - `again n` the entry at a position once more
//! - `collect n` the replica after a position is stored as the origin; `clear n` the entries before n
//!   are deleted
//! - `times n line` the line so often, with `@` for the count from 1; what the last one says is told
//! - `show ring`, `show jobs`, `show wants a`, `show explain j`, `show replica`, `show logs`

use crate::cluster::{Cluster, Event, tasks};
use crate::show;
use onyx::ids::{GroupId, JobId, PeerId, WriterId};
use onyx::job::percent::Percent;
use onyx::log::commands::{
    AbortJoinCluster, AcceptJoinCluster, Command, Gc, KillJob, LeaveCluster, NotifyJoinCluster,
    SubmitJob, SubmittedJob,
};
use onyx::log::wants::AfterJump;
use onyx::log::{Effect, Step, Unreadable};
use onyx::replica::invariants::violations;
use onyx::replica::{JobState, Member, Site};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use uuid::Uuid;

/// Rounds in which a cluster has to become stable.
const ROUNDS: usize = 100;

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) cluster: Cluster,
    said: String,
}

impl Script {
    /// Runs a line and tells what happened.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        match (verb, words.as_slice()) {
            ("agree", what) => what.iter().for_each(|what| self.agree(what)),
            ("times", [count, line @ ..]) => return self.times(count, &line.join(" ")),
            ("join", names) => names.iter().for_each(|name| {
                self.start(name, &[]);
                self.stabilize();
            }),
            ("start", [name, knows @ ..]) => self.start(name, knows),
            ("write", [name, times @ ..]) => self.write(peer(name), times.len()),
            ("read", names) => self.each(names, Self::read_all),
            ("jump", names) => self.each(names, Self::jump),
            ("crash", names) => names.iter().for_each(|name| self.cluster.crash(peer(name))),
            ("expire", names) => names.iter().for_each(|name| self.expire(name)),
            ("kill", names) => names.iter().for_each(|name| {
                self.cluster.crash(peer(name));
                self.expire(name);
            }),
            ("notice", names) => self.each(names, Self::notice),
            ("speak-up", names) => self.each(names, Self::speak_up),
            ("back-off", names) => self.each(names, |script, peer| script.cluster.rejoin(peer)),
            ("stabilize", []) => self.stabilize(),
            ("submit", [name, words @ ..]) => self.submit(name, words),
            ("work", names) => self.each(names, Self::work),
            ("complete", [name]) => self.complete(job(name)),
            ("again", [position]) => self.again(position.parse().expect("a position")),
            ("collect", [position]) => {
                self.cluster
                    .store_origin(position.parse().expect("a position"));
            }
            ("clear", [position]) => self.cluster.clear(position.parse().expect("a position")),
            ("garbage", []) => {
                let step = self.cluster.append_payload(Err(Unreadable("noise".into())));
                self.tell(&step);
            }
            ("show", what) => self.show(what),
            _ => self.append_command(verb, &words),
        }
        std::mem::take(&mut self.said)
    }

    fn append_command(&mut self, verb: &str, words: &[&str]) {
        let command = match (verb, words) {
            ("leave", [id, also @ ..]) => Command::LeaveCluster(LeaveCluster {
                id: peer(id),
                also: also.iter().map(|name| peer(name)).collect(),
            }),
            ("abort", [id]) => Command::AbortJoinCluster(AbortJoinCluster { id: peer(id) }),
            ("notify", [id]) => {
                Command::NotifyJoinCluster(NotifyJoinCluster { observer: peer(id) })
            }
            ("accept", [observer, joiner]) => Command::AcceptJoinCluster(AcceptJoinCluster {
                observer: peer(joiner),
                subject: peer(observer),
                accepted_observer: peer(observer),
                accepted_joiner: peer(joiner),
            }),
            ("gc", []) => Command::Gc(Gc { id: Uuid::nil() }),
            ("kill-job", [name, cause @ ..]) => {
                let cause = (!cause.is_empty()).then(|| cause.join(" "));
                Command::KillJob(KillJob::new(job(name), cause))
            }
            ("say", [name, args @ ..]) => said(name, args),
            _ => panic!("no such line: {verb} {}", words.join(" ")),
        };
        let step = self.cluster.append(client(), command);
        self.tell(&step);
    }

    fn each(&mut self, names: &[&str], mut act: impl FnMut(&mut Self, PeerId)) {
        let all: Vec<PeerId> = match names {
            [] => self.cluster.peers.keys().copied().collect(),
            names => names.iter().map(|name| peer(name)).collect(),
        };
        all.into_iter().for_each(|peer| act(self, peer));
    }

    fn agree(&mut self, what: &str) {
        assert_eq!(self.cluster.steps.len(), 0, "too late to agree on anything");
        let agreed = &mut Arc::make_mut(&mut self.cluster.first).agreed;
        match what.split_once('=').expect("key=value") {
            ("job-scheduler", value) => agreed.job_scheduler = option_of(value),
            ("messaging", value) => agreed.messaging = option_of(value),
            (key, _) => panic!("nobody can agree on {key}"),
        }
    }

    fn times(&mut self, count: &str, line: &str) -> String {
        let count: usize = count.parse().expect("how often");
        let said = (1..=count).map(|number| self.run(&line.replace('@', &number.to_string())));
        said.last().unwrap_or_default()
    }

    fn start(&mut self, name: &str, knows: &[&str]) {
        let (tags, words): (Vec<&str>, Vec<&str>) =
            knows.iter().partition(|word| word.starts_with('#'));
        let group = name.split_once('.').map_or(name, |(group, _)| group);
        let member = Member {
            group: GroupId(peer(group).0),
            node: Default::default(),
            site: Site(group.into()),
            words: Arc::new(words.into_iter().map(String::from).collect()),
            tags: Arc::new(tags.iter().map(|tag| tag[1..].to_owned()).collect()),
        };
        self.cluster.start(peer(name), member);
    }

    fn submit(&mut self, name: &str, words: &[&str]) {
        let (options, texts): (Vec<&str>, Vec<&str>) =
            words.iter().partition(|word| word.contains('='));
        let mut job = SubmittedJob::new(name, tasks(&texts.join(" ")));
        for option in options {
            match option.split_once('=').expect("key=value") {
                ("task-scheduler", value) => job.task_scheduler = option_of(value),
                ("sends", value) => job.sends = option_of(value),
                ("percentage", value) => {
                    job.percentage = value.parse().ok().and_then(Percent::whole);
                    assert!(job.percentage.is_some(), "no percentage: {value}");
                }
                (key, _) => panic!("a job has no {key}"),
            }
        }
        let submit = Command::SubmitJob(SubmitJob {
            id: self::job(name),
            job,
        });
        let step = self.cluster.append(client(), submit);
        self.tell(&step);
    }

    fn expire(&mut self, name: &str) {
        self.cluster.pulses.remove(&peer(name));
    }

    fn write(&mut self, peer: PeerId, more: usize) {
        let Some(step) = self.cluster.write(peer) else {
            let held = self
                .cluster
                .peers
                .get(&peer)
                .map_or(0, |peer| peer.outbox.len());
            let _ = writeln!(
                self.said,
                "{} writes nothing, {held} held",
                show::name(peer)
            );
            return;
        };
        self.tell(&step);
        for _ in 0..more {
            self.again(step.position.0 as usize);
        }
    }

    fn again(&mut self, position: usize) {
        let payload = self.cluster.payload(position);
        let step = self.cluster.append_payload(payload);
        self.tell(&step);
    }

    fn tell(&mut self, step: &Step) {
        let _ = writeln!(self.said, "{}", show::step(step));
        for violation in violations(&step.new, step.position) {
            let _ = writeln!(self.said, "  {violation}");
        }
    }

    fn read_all(&mut self, peer: PeerId) {
        while self.read_one(peer) {}
    }

    fn read_one(&mut self, peer: PeerId) -> bool {
        let Some(events) = self.cluster.read(peer) else {
            return false;
        };
        for event in &events {
            let _ = writeln!(self.said, "  {}: {}", show::name(peer), show::event(event));
        }
        if events.contains(&Event::Effect(Effect::Restart)) {
            self.cluster.crash(peer);
            self.cluster.pulses.remove(&peer);
        }
        true
    }

    fn jump(&mut self, peer: PeerId) {
        let name = show::name(peer);
        match self.cluster.jump(peer) {
            Some(AfterJump::Restart) => {
                self.cluster.crash(peer);
                self.cluster.pulses.remove(&peer);
                let _ = writeln!(self.said, "  {name}: restarts");
            }
            Some(AfterJump::Write(commands)) => commands.iter().for_each(|command| {
                let _ = writeln!(
                    self.said,
                    "  {name}: missed to write {}",
                    show::command(command)
                );
            }),
            None => {}
        }
    }

    fn notice(&mut self, peer: PeerId) {
        let gone = self.cluster.notice(peer);
        self.tell_gone(peer, gone);
    }

    fn speak_up(&mut self, peer: PeerId) {
        let gone = self.cluster.speak_up(peer);
        self.tell_gone(peer, gone);
    }

    fn tell_gone(&mut self, peer: PeerId, gone: BTreeSet<PeerId>) {
        for gone in gone {
            let (name, gone) = (show::name(peer), show::name(gone));
            let _ = writeln!(self.said, "  {name}: {gone} is gone");
        }
    }

    fn work(&mut self, peer: PeerId) {
        if let Some(phase) = self.cluster.work(peer) {
            let _ = writeln!(self.said, "  {}: {phase:?}", show::name(peer));
        }
    }

    fn stabilize(&mut self) {
        for _ in 0..ROUNDS {
            let before = self.cluster.steps.len();
            self.each(&[], |script, peer| {
                script.read_all(peer);
                script.notice(peer);
                script.cluster.rejoin(peer);
            });
            self.each(&[], |script, peer| {
                if let Some(step) = script.cluster.write(peer) {
                    script.tell(&step);
                }
            });
            if self.cluster.steps.len() == before && !self.somebody_speaks_up() {
                return;
            }
        }
        panic!("not stable after {ROUNDS} rounds");
    }

    /// Whether somebody had to speak whose turn it was not.
    fn somebody_speaks_up(&mut self) -> bool {
        let said = self.said.len();
        self.each(&[], Self::speak_up);
        self.said.len() > said
    }

    fn complete(&mut self, job: JobId) {
        for _ in 0..ROUNDS {
            self.stabilize();
            if self.cluster.replica().job_state(job) == Some(JobState::Completed) {
                return;
            }
            self.each(&[], Self::work);
        }
        panic!("not completed after {ROUNDS} rounds");
    }

    fn show(&mut self, what: &[&str]) {
        let replica = self.cluster.replica();
        let text = match what {
            ["ring"] => show::ring(&replica),
            ["jobs"] => show::jobs(&replica),
            ["wants", name] => show::wants(&self.cluster.peers[&peer(name)], &replica),
            ["explain", name] => format!("{name} {}", show::explain(&replica, job(name))),
            ["replica"] => show::replica(&replica),
            ["logs"] => show::state_logs(&replica),
            _ => panic!("cannot show {}", what.join(" ")),
        };
        self.said.push_str(text.trim_end());
        self.said.push('\n');
    }
}

/// A command from its name and arguments.
fn said(name: &str, args: &[&str]) -> Command {
    let args = args.iter().map(|arg| {
        let (key, value) = arg.split_once('=').expect("key=value");
        (key.to_owned(), argument(key, value))
    });
    let args: serde_json::Map<String, Value> = args.collect();
    serde_json::from_value(json!({ "fn": name, "args": args })).expect("a command")
}

fn option_of<T: DeserializeOwned>(value: &str) -> T {
    serde_json::from_value(json!(value)).expect("one of the values")
}

fn argument(key: &str, text: &str) -> Value {
    let items = || text.split(',').filter(|item| *item != "-");
    let plain = |text: &str| match text.parse::<u64>() {
        Ok(number) => json!(number),
        Err(_) => json!(text),
    };
    match key {
        "also" => items().map(|name| json!(named(name))).collect(),
        "logs" | "prev-ledger-ids" | "new-ledger-ids" => items().map(plain).collect(),
        "tasks" | "inputs" | "outputs" | "tags" => items().map(|item| json!(item)).collect(),
        "id" | "job" | "job-id" | "joiner" | "observer" | "peer-id" => json!(named(text)),
        "content" => json!(text),
        // The only one that can be spelled here is the first.
        "replica" => serde_json::to_value(onyx::replica::Replica::default()).expect("JSON"),
        _ => plain(text),
    }
}

fn client() -> WriterId {
    WriterId(named("client"))
}

pub(crate) fn peer(name: &str) -> PeerId {
    PeerId(named(name))
}

fn job(name: &str) -> JobId {
    JobId(named(name))
}

/// A UUID that spells a name, so that it sorts and shows like it.
fn named(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    Uuid::from_bytes(bytes)
}
