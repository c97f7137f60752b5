//! How scripts show things: short, with names instead of ids.

use crate::cluster::{Event, Peer};
use onyx::ids::{JobId, PeerId, StateLogId};
use onyx::log::commands::{Command, ExhaustInput, SealTask, SignalReady};
use onyx::log::{Effect, Step};
use onyx::replica::view::view;
use onyx::replica::{Allocation, JobState, Progress, Replica};
use std::collections::BTreeMap;
use std::fmt::Write;
use uuid::Uuid;

pub(crate) fn name(peer: PeerId) -> String {
    spelled(peer.0)
}

fn spelled(id: Uuid) -> String {
    let letters = id.as_bytes().iter().filter(|byte| **byte != 0);
    letters.map(|byte| char::from(*byte)).collect()
}

fn names<'a>(peers: impl IntoIterator<Item = &'a PeerId>) -> String {
    let names: Vec<String> = peers.into_iter().map(|peer| name(*peer)).collect();
    names.join(" ")
}

fn logs<'a>(logs: impl IntoIterator<Item = &'a StateLogId>) -> String {
    let logs: Vec<String> = logs.into_iter().map(ToString::to_string).collect();
    logs.join(",")
}

fn pairs(pairs: &BTreeMap<PeerId, PeerId>) -> String {
    let pairs = pairs
        .iter()
        .map(|(from, to)| format!("{}->{}", name(*from), name(*to)));
    pairs.collect::<Vec<_>>().join(" ")
}

pub(crate) fn step(step: &Step) -> String {
    let outcome = step
        .ignored
        .map_or(String::new(), |reason| format!(" ignored: {reason:?}"));
    let Ok(entry) = &step.entry else {
        return format!("{} unreadable{outcome}", step.position);
    };
    let writer = entry
        .source
        .map_or("nobody".into(), |source| spelled(source.writer.0));
    format!(
        "{} {writer}: {}{outcome}",
        step.position,
        command(&entry.command)
    )
}

pub(crate) fn command(command: &Command) -> String {
    let args = match command {
        Command::PrepareJoinCluster(prepare) => name(prepare.joiner),
        Command::NotifyJoinCluster(notify) => name(notify.observer),
        Command::AcceptJoinCluster(accept) => {
            let (observer, joiner) = (name(accept.accepted_observer), name(accept.accepted_joiner));
            format!("{observer}->{joiner}->{}", name(accept.subject))
        }
        Command::AbortJoinCluster(abort) => name(abort.id),
        Command::LeaveCluster(leave) => names([&leave.id].into_iter().chain(&leave.also)),
        Command::SubmitJob(submit) => submit.job.name.clone(),
        Command::KillJob(kill) => spelled(kill.job.0),
        Command::SignalReady(SignalReady(said))
        | Command::ExhaustInput(ExhaustInput(said))
        | Command::SealTask(SealTask(said)) => {
            format!("{}/{}@{}", said.task, said.slot, said.version)
        }
        Command::AssignBookkeeperLogId(said) => {
            format!("{}/{} {}", said.task_id, said.slot_id, said.ledger_id)
        }
        Command::CompactBookkeeperLogIds(said) => {
            let (old, new) = (logs(&said.prev_ledger_ids), logs(&said.new_ledger_ids));
            format!("{}/{} {old}->{new}", said.task_id, said.slot_id)
        }
        Command::DeletedBookkeeperLogIds(said) => logs(&said.logs),
        Command::Gc(_) | Command::SetReplica(_) => String::new(),
    };
    format!("{} {args}", command.name()).trim_end().to_owned()
}

pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Jumped(position) => format!("is told set-replica! @{position}"),
        Event::Effect(Effect::RejoinAfterBackOff) => "backs off".into(),
        Event::Effect(Effect::EvictIfGhost(peer)) => {
            format!("looks for a pulse of {}", name(*peer))
        }
        Event::Effect(Effect::Restart) => "restarts".into(),
        Event::Wrote(said) => format!("answers {}", command(said)),
    }
}

pub(crate) fn ring(replica: &Replica) -> String {
    let membership = &replica.membership;
    let mut text = match (membership.peers.first(), membership.peers.len()) {
        (None, _) => "ring empty".to_string(),
        (Some(only), 1) => format!("ring {}", name(*only)),
        (Some(first), _) => {
            let mut text = format!("ring {}", name(*first));
            let mut at = membership.pairs.get(first);
            while let Some(next) = at {
                let _ = write!(text, "->{}", name(*next));
                at = membership.pairs.get(next).filter(|_| next != first);
            }
            text
        }
    };
    if !membership.prepared.is_empty() {
        let _ = write!(text, "\nprepared {}", pairs(&membership.prepared));
    }
    if !membership.accepted.is_empty() {
        let _ = write!(text, "\naccepted {}", pairs(&membership.accepted));
    }
    text
}

pub(crate) fn jobs(replica: &Replica) -> String {
    let mut text = String::new();
    for (id, record) in replica.jobs.records.iter() {
        let state = match replica.job_state(*id) {
            Some(JobState::Waiting) => "waits",
            Some(JobState::Running) => "runs",
            Some(JobState::Completed) => "completed",
            Some(JobState::Killed) => "killed",
            None => "forgotten",
        };
        let _ = write!(text, "{} {state}", record.name);
        if let Some(allocation) = replica.allocations.get(id) {
            let default = Progress::default();
            let progress = replica
                .progress
                .get(id)
                .map_or(&default, |progress| progress);
            let tasks = record.tasks.iter().map(|task| &task.name);
            for task in tasks {
                let _ = write!(text, " {task}[{}]", slots(allocation, progress, task));
            }
            let _ = write!(text, " @{}", allocation.version);
            if let Some(loss) = allocation.last_loss {
                let _ = write!(text, " loss@{loss}");
            }
            if !allocation.leaving.is_empty() {
                let _ = write!(text, " leaving {}", names(&allocation.leaving));
            }
        }
        text.push('\n');
    }
    for (id, tombstone) in replica.jobs.tombstones.iter() {
        let (name, outcome) = (spelled(id.0), tombstone.outcome);
        let _ = writeln!(
            text,
            "{name} {outcome:?}, collected @{}",
            tombstone.collected
        );
    }
    let idle = replica.unassigned();
    if !idle.is_empty() {
        let _ = writeln!(text, "idle {}", names(&idle));
    }
    text
}

/// Slots with a `+` when ready, an `x` when exhausted, an `=` when sealed.
fn slots(allocation: &Allocation, progress: &Progress, task: &onyx::ids::TaskName) -> String {
    let slots = allocation
        .tasks
        .get(task)
        .into_iter()
        .flatten()
        .map(|(slot, peer)| {
            let mut text = format!("{slot}:{}", name(*peer));
            let marks = [
                (allocation.ready.contains(peer), '+'),
                (progress.is_exhausted(task, *slot), 'x'),
                (progress.is_sealed(task, *slot), '='),
            ];
            text.extend(
                marks
                    .iter()
                    .filter(|(is_set, _)| *is_set)
                    .map(|(_, mark)| *mark),
            );
            text
        });
    slots.collect::<Vec<_>>().join(" ")
}

pub(crate) fn wants(peer: &Peer, replica: &Replica) -> String {
    let wants = peer.wants(replica);
    let mut text = format!("{:?}, watches [{}]", wants.standing, names(&wants.watches));
    if let Some(task) = &wants.task {
        let _ = write!(
            text,
            "\nruns {}/{} ({} of {})",
            task.task, task.slot, task.rank, task.slots
        );
        let _ = write!(text, " read {:?} seal {:?}", task.read, task.seal);
        for (to, slots) in &task.downstream {
            let slots = slots
                .iter()
                .map(|(slot, peer)| format!("{slot}:{}", name(*peer)));
            let _ = write!(
                text,
                "\nsends to {to}[{}]",
                slots.collect::<Vec<_>>().join(" ")
            );
        }
    }
    for owed in &wants.owes {
        let _ = write!(text, "\nowes {}", command(owed));
    }
    text
}

pub(crate) fn state_logs(replica: &Replica) -> String {
    let mut text = String::new();
    for tasks in replica.state_logs.logs.values() {
        for (task, slots) in tasks {
            for (slot, ids) in slots {
                let _ = writeln!(text, "{task}/{slot} {}", logs(ids));
            }
        }
    }
    let _ = write!(text, "marked {}", logs(&replica.state_logs.marked));
    text
}

/// Why a job has the peers it has, with the UUIDs spelled.
pub(crate) fn explain(replica: &Replica, job: JobId) -> String {
    let text = onyx::scheduler::explain(replica, job).to_string();
    let words = text.split(' ');
    let words = words.map(|word| word.parse::<Uuid>().map_or(word.to_string(), spelled));
    words.collect::<Vec<String>>().join(" ")
}

/// As people see it, with the UUIDs spelled.
pub(crate) fn replica(replica: &Replica) -> String {
    let text = serde_json::to_string_pretty(&view(replica)).expect("the view is JSON");
    let mut shown = String::new();
    for (index, part) in text.split('"').enumerate() {
        let separator = if index == 0 { "" } else { "\"" };
        let part = part.parse::<Uuid>().map_or(part.to_string(), spelled);
        let _ = write!(shown, "{separator}{part}");
    }
    shown
}
