//! Commands in JSON that people write: unknown keys are refused, and errors name the key.

use super::{Command, SubmitJob};
use crate::nearest::{hint, listed};
use crate::replica::view::{Misread, read_at};
use serde_json::{Map, Value};

/// The keys of each command under `args`.
const KEYS: [(&str, &[&str]); 15] = [
    (
        "prepare-join-cluster",
        &["joiner", "group", "node-name", "peer-site", "words", "tags"],
    ),
    ("notify-join-cluster", &["observer"]),
    (
        "accept-join-cluster",
        &[
            "observer",
            "subject",
            "accepted-observer",
            "accepted-joiner",
        ],
    ),
    ("abort-join-cluster", &["id", "tags"]),
    ("leave-cluster", &["id", "also"]),
    ("submit-job", &SUBMIT_JOB),
    ("kill-job", &["job", "cause"]),
    ("signal-ready", &SLOT),
    ("exhaust-input", &SLOT),
    ("seal-task", &SLOT),
    (
        "assign-bookkeeper-log-id",
        &["job-id", "task-id", "slot-id", "ledger-id"],
    ),
    (
        "compact-bookkeeper-log-ids",
        &[
            "job-id",
            "task-id",
            "slot-id",
            "peer-id",
            "prev-ledger-ids",
            "new-ledger-ids",
        ],
    ),
    ("deleted-bookkeeper-log-ids", &["logs"]),
    ("gc", &["id"]),
    ("set-replica!", &["replica"]),
];

const SLOT: [&str; 5] = ["job", "task", "slot", "version", "id"];

const SUBMIT_JOB: [&str; 21] = [
    "id",
    "name",
    "tasks",
    "task-scheduler",
    "saturation",
    "task-saturation",
    "min-required-peers",
    "flux-policies",
    "inputs",
    "outputs",
    "in->out",
    "required-tags",
    "words",
    "percentage",
    "task-percentages",
    "colocated-sends",
    "acker-percentage",
    "acker-exclude-inputs",
    "acker-exclude-outputs",
    "exempt-tasks",
    "content",
];

/// Refuses keys that an object at a place cannot have.
pub(crate) fn check_keys(
    object: &Map<String, Value>,
    known: &[&str],
    path: &str,
) -> Result<(), Misread> {
    let stray = object.keys().find(|key| !known.contains(&key.as_str()));
    let Some(stray) = stray else {
        return Ok(());
    };
    let known = || known.iter().copied();
    let there = format!("there are {}", listed(known()));
    let message = format!("unknown key{}", hint(stray, known(), &there));
    Err(Misread::new(format!("{path}.{stray}"), message))
}

impl Command {
    /// Reads the command of a name with the arguments that stand at a place. None if there is no such
    /// command.
    pub(crate) fn read(name: &str, args: &Value, path: &str) -> Option<Result<Self, Misread>> {
        let (_, known) = KEYS.iter().find(|(command, _)| *command == name)?;
        let checked = match args {
            Value::Object(keys) => check_keys(keys, known, path),
            _ => Err(Misread::new(path, "expected an object")),
        };
        Some(checked.and_then(|()| read_args(name, args, path)))
    }
}

fn read_args(name: &str, args: &Value, path: &str) -> Result<Command, Misread> {
    Ok(match name {
        "prepare-join-cluster" => Command::PrepareJoinCluster(read_at(args, path)?),
        "notify-join-cluster" => Command::NotifyJoinCluster(read_at(args, path)?),
        "accept-join-cluster" => Command::AcceptJoinCluster(read_at(args, path)?),
        "abort-join-cluster" => Command::AbortJoinCluster(read_at(args, path)?),
        "leave-cluster" => Command::LeaveCluster(read_at(args, path)?),
        "submit-job" => Command::SubmitJob(SubmitJob::read(args, path)?),
        "kill-job" => Command::KillJob(read_at(args, path)?),
        "signal-ready" => Command::SignalReady(read_at(args, path)?),
        "exhaust-input" => Command::ExhaustInput(read_at(args, path)?),
        "seal-task" => Command::SealTask(read_at(args, path)?),
        "assign-bookkeeper-log-id" => Command::AssignBookkeeperLogId(read_at(args, path)?),
        "compact-bookkeeper-log-ids" => Command::CompactBookkeeperLogIds(read_at(args, path)?),
        "deleted-bookkeeper-log-ids" => Command::DeletedBookkeeperLogIds(read_at(args, path)?),
        "gc" => Command::Gc(read_at(args, path)?),
        _ => Command::SetReplica(read_at(args, path)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::submit;
    use crate::replica::flat_job::FlatJob;
    use crate::replica::sample::peer;
    use serde_json::json;

    fn refusal(name: &str, args: &Value) -> String {
        let read = Command::read(name, args, "args").expect("there is such a command");
        read.unwrap_err().to_string()
    }

    #[test]
    fn every_command_has_its_keys() {
        assert_eq!(KEYS.map(|(name, _)| name), Command::NAMES);
        let Value::Object(args) = json!(submit(0, "in:i>out out:o"))["args"].take() else {
            panic!("an object");
        };
        let flat = json!(FlatJob::default());
        for key in args.keys().chain(flat.as_object().unwrap().keys()) {
            assert!(SUBMIT_JOB.contains(&key.as_str()), "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let job = json!({ "id": peer("a"), "tasks": ["a", "b"], "task-saturations": { "a": 2 } });
        let told = refusal("submit-job", &job);
        let expected = "args.task-saturations: unknown key; did you mean `task-saturation`? there are \
                        id, name, ";
        assert!(told.starts_with(expected), "{told}");
        let told = refusal("leave-cluster", &json!({ "id": peer("a"), "peers": [] }));
        assert_eq!(told, "args.peers: unknown key; there are id, also");
    }

    #[test]
    fn an_error_names_the_key() {
        let a = peer("a");
        for (name, args, expected) in [
            (
                "leave-cluster",
                json!({ "id": 7 }),
                "args.id: invalid type: integer `7`",
            ),
            (
                "leave-cluster",
                json!({ "id": a, "also": [a, "b"] }),
                "args.also[1]: UUID parsing failed",
            ),
            ("leave-cluster", json!({}), "args: missing field `id`"),
            ("gc", json!(null), "args: expected an object"),
            (
                "submit-job",
                json!({ "id": a, "tasks": ["in", "out"], "task-scheduler": "fair" }),
                "args.task-scheduler: unknown variant `fair`",
            ),
            (
                "submit-job",
                json!({ "id": a, "tasks": ["in", "out"], "min-required-peers": { "in": "2" } }),
                "args.min-required-peers.in: invalid type: string \"2\", expected u32",
            ),
            (
                "submit-job",
                json!({ "id": a, "tasks": ["in", "out"], "min-required-peers": { "inn": 2 } }),
                "args: min-required-peers names `inn`, which is no task",
            ),
        ] {
            let told = refusal(name, &args);
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
