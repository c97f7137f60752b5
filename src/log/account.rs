//! A step as people read it: what became of an entry, and what follows for the peers they ask about.

use super::commands::Command;
use super::wants::{Assignment, LocalFacts, Read, RunningTask, Seal, TaskPhase, wants};
use super::{Entry, PeerContext, Step};
use crate::ids::{GroupId, PeerId};
use crate::replica::{Member, Replica, Site};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What became of an entry, and what these peers write in answer, do besides and want afterwards.
pub fn account(step: &Step, peers: &BTreeSet<PeerId>) -> Value {
    let by_peer = |tell: &dyn Fn(&PeerContext) -> Value| {
        let peers = peers.iter().map(|peer| {
            let me = context(step, *peer);
            (peer.to_string(), tell(&me))
        });
        Value::Object(peers.collect::<Map<String, Value>>())
    };
    let mut account = json!({
        "position": step.position,
        "applied": step.ignored.is_none(),
        "reason": step.reason(),
        "diff": step.diff(),
        "reactions": by_peer(&|me| json!(step.reactions(me))),
        "effects": by_peer(&|me| json!(step.effects(me))),
        "wants": by_peer(&|me| wanted(&step.new, me)),
        "owes": by_peer(&|me| json!(owed(&step.new, me))),
    });
    if let Some(explanation) = step.explanation() {
        account["explanation"] = explanation.into();
    }
    account
}

/// What a peer writes for its task when the task has come as far as the replica lets it: it can
/// receive; then an input has read everything; and an output is sealed when it should be.
fn owed(replica: &Replica, me: &PeerContext) -> Vec<Command> {
    let Some(task) = wants(replica, me, &LocalFacts::default()).task else {
        return Vec::new();
    };
    let phase = match (task.read, task.seal) {
        (Read::Go, _) => TaskPhase::Exhausted,
        (_, Seal::Now) => TaskPhase::Sealed,
        (Read::No | Read::Wait, Seal::No) => TaskPhase::Ready,
    };
    let running = RunningTask {
        job: task.job,
        task: task.task,
        slot: task.slot,
        phase,
    };
    let facts = LocalFacts {
        running: Some(running),
    };
    wants(replica, me, &facts).owes
}

/// Those who answer a step, do something because of it, or want something else after it.
pub fn affected(step: &Step) -> BTreeSet<PeerId> {
    let members = [&step.old, &step.new].map(|replica| replica.membership.members.keys());
    let mut peers: BTreeSet<PeerId> = members.into_iter().flatten().copied().collect();
    // Whom nobody knows can still be spoken of.
    match step.entry.as_ref().map(|entry| &entry.command) {
        Ok(Command::PrepareJoinCluster(prepare)) => peers.extend([prepare.joiner]),
        Ok(Command::AbortJoinCluster(abort)) => peers.extend([abort.id]),
        Ok(Command::LeaveCluster(leave)) => peers.extend(leave.also.iter().chain([&leave.id])),
        _ => {}
    }
    let facts = LocalFacts::default();
    peers.retain(|peer| {
        let me = context(step, *peer);
        let says = !step.reactions(&me).is_empty() || !step.effects(&me).is_empty();
        says || wants(&step.old, &me, &facts) != wants(&step.new, &me, &facts)
    });
    peers
}

/// An entry in a line: who says what, as short as it can be told from others.
pub fn line(entry: &Entry) -> String {
    let args = json!(entry.command)["args"].take();
    let said = args.as_object().into_iter().flatten();
    let said = said.filter_map(|(key, value)| match value {
        Value::String(text) => Some(format!("{key}={text}")),
        Value::Number(number) => Some(format!("{key}={number}")),
        Value::Array(items) if !items.is_empty() => Some(format!("{key}[{}]", items.len())),
        _ => None,
    });
    let mut line = entry.command.name().to_owned();
    for part in said {
        line.push(' ');
        line.push_str(&part);
    }
    line
}

/// What the replica knows of a peer. One that it does not know has said nothing of itself.
fn context(step: &Step, peer: PeerId) -> PeerContext {
    let of = |replica: &Replica| replica.membership.members.get(&peer).cloned();
    let unknown = || Member {
        group: GroupId(peer.0),
        node: Default::default(),
        site: Site::default(),
        words: Default::default(),
        tags: Default::default(),
    };
    PeerContext {
        me: peer,
        member: of(&step.new)
            .or_else(|| of(&step.old))
            .unwrap_or_else(unknown),
    }
}

fn wanted(replica: &Replica, me: &PeerContext) -> Value {
    let wants = wants(replica, me, &LocalFacts::default());
    json!({ "watches": wants.watches, "task": wants.task.as_ref().map(assigned) })
}

fn assigned(task: &Assignment) -> Value {
    let downstream = task.downstream.iter().map(|(to, slots)| {
        let slots = slots
            .iter()
            .map(|(slot, peer)| (slot.to_string(), json!(peer)));
        (to.to_string(), Value::Object(slots.collect()))
    });
    json!({
        "job": task.job,
        "task": task.task,
        "slot": task.slot,
        "version": task.version,
        "last-loss": task.last_loss,
        "slots": task.slots,
        "rank": task.rank,
        "read": task.read,
        "seal": task.seal,
        "downstream": Value::Object(downstream.collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::log::commands::{AbortJoinCluster, Command, LeaveCluster, PrepareJoinCluster};
    use crate::replica::sample::{job_id, knowing, peer};

    #[test]
    fn an_account_says_what_follows_for_each_peer() {
        let prepare = PrepareJoinCluster {
            joiner: peer("c"),
            member: knowing("fn:x"),
        };
        let step = Cluster::of("a b").run(Command::PrepareJoinCluster(prepare));
        let [a, b, c] = ["a", "b", "c"].map(|name| peer(name).to_string());
        let told = account(&step, &[peer("a"), peer("b"), peer("c")].into());
        assert_eq!(affected(&step), [peer("a"), peer("c")].into());
        assert_eq!(told["applied"], true);
        assert_eq!(told["reason"], Value::Null);
        assert_eq!(told["diff"]["observer"], json!(a));
        let notify = json!({ "fn": "notify-join-cluster", "args": { "observer": c } });
        let reactions = json!({ a.as_str(): [notify], b.as_str(): [], c.as_str(): [] });
        assert_eq!(told["reactions"], reactions);
        assert_eq!(told["effects"][&c], json!([]));
        let watched = told["wants"][&a].clone();
        assert_eq!(watched, json!({ "watches": [b, c], "task": null }));
    }

    #[test]
    fn whom_nobody_knows_may_be_affected() {
        let id = peer("z");
        let also = vec![peer("y")];
        let abort = Command::AbortJoinCluster(AbortJoinCluster { id });
        let leave = Command::LeaveCluster(LeaveCluster { id, also });
        for (command, affected_ones) in [(abort, "z"), (leave, "y z")] {
            let step = Cluster::of("a").run(command);
            let expected = affected_ones.split(' ').map(peer).collect();
            assert_eq!(affected(&step), expected);
        }
    }

    #[test]
    fn who_asks_to_join_in_vain_is_affected() {
        let prepare = |joiner| {
            Command::PrepareJoinCluster(PrepareJoinCluster {
                joiner: peer(joiner),
                member: knowing(""),
            })
        };
        let mut cluster = Cluster::of("a");
        cluster.run(prepare("b"));
        let step = cluster.run(prepare("c"));
        assert!(step.ignored.is_some());
        assert_eq!(affected(&step), [peer("c")].into());
    }

    #[test]
    fn a_task_is_told_with_its_place() {
        let step = Cluster::of("a b").run(submit(0, "in:i>out out:o"));
        let told = account(&step, &[peer("a")].into());
        let task = &told["wants"][peer("a").to_string()]["task"];
        assert_eq!(task["job"], json!(job_id(0)));
        assert_eq!((&task["task"], &task["slot"]), (&json!("in"), &json!(0)));
        assert_eq!(task["read"], "wait");
        assert_eq!(task["downstream"], json!({ "out": {} }));
    }

    #[test]
    fn a_peer_owes_what_its_task_will_have_to_say() {
        let mut cluster = Cluster::of("a b");
        let owes = |step: &Step, name: &str| {
            let told = account(step, &[peer(name)].into());
            let owes = told["owes"][peer(name).to_string()].as_array().cloned();
            let owes = owes.unwrap().into_iter().map(|it| it["fn"].clone());
            owes.collect::<Vec<Value>>()
        };
        let step = cluster.run(submit(0, "in:i>out out:o"));
        assert_eq!(owes(&step, "a"), ["signal-ready"]);
        assert_eq!(owes(&step, "b"), ["signal-ready"]);
        assert_eq!(owes(&step, "c"), Vec::<Value>::new());
        let ready = |owner: &str, step: &Step| {
            let told = account(step, &[peer(owner)].into());
            let word = told["owes"][peer(owner).to_string()][0].clone();
            Command::read("signal-ready", &word["args"], "args")
                .unwrap()
                .unwrap()
        };
        let (a, b) = (ready("a", &step), ready("b", &step));
        cluster.run(a);
        let step = cluster.run(b);
        assert_eq!(owes(&step, "a"), ["exhaust-input"]);
        assert_eq!(owes(&step, "b"), Vec::<Value>::new());
    }

    #[test]
    fn what_is_ignored_is_told_with_the_reason() {
        let step = Cluster::of("a").run(submit(0, "in:i"));
        let told = account(&step, &BTreeSet::new());
        assert_eq!(
            (&told["applied"], &told["reason"]),
            (&json!(false), &json!("invalid-job"))
        );
        assert_eq!(told["explanation"], "the input `in` sends to no task");
        assert_eq!(told["diff"], Value::Null);
    }

    #[test]
    fn an_entry_fits_into_a_line() {
        let mut cluster = Cluster::of("a");
        let step = cluster.run(submit(0, "in:i>out out:o"));
        let id = job_id(0);
        let expected = format!(
            "submit-job id={id} inputs[1] name=sample outputs[1] task-scheduler=balanced tasks[2]"
        );
        assert_eq!(line(step.entry.as_ref().unwrap()), expected);
    }
}
