//! From the view back to the replica. Keys that are missing have their defaults, so that people can
//! write down the part they care about.

use super::{JOB_KEYS, Misread, read_at, view};
use crate::config::Transport;
use crate::ids::{
    AllocationVersion, GroupId, JobId, LogPosition, NodeName, PeerId, SlotId, TaskName, WriterId,
};
use crate::nearest::{hint, listed};
use crate::replica::flat_job::FlatJob;
use crate::replica::{
    Agreed, Allocation, Events, JobRecord, Jobs, Member, Membership, Progress, Replica, SharedMap,
    Site, Slots, StateLogs, Writers,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Replica {
    /// The replica that a view shows.
    ///
    /// Everything may be left out: there are no peers, no jobs; peers without `pairs` watch each
    /// other in the order of `peers`; each is a group of its own, and segments reach all of them; jobs
    /// are as in `submit-job`.
    pub fn from_view(view: &Value) -> Result<Replica, Misread> {
        let keys = Keys::of(view)?;
        let agreed = Agreed {
            job_scheduler: keys.get("job-scheduler")?,
            messaging: keys
                .get::<Option<Messaging>>("messaging")?
                .map_or(Agreed::default().messaging, Messaging::transport),
        };
        let jobs = read_jobs(&keys)?;
        let allocations = read_allocations(&keys)?;
        let progress = read_progress(&keys, &allocations)?;
        let arcs = |(job, value)| (job, Arc::new(value));
        Ok(Replica {
            agreed,
            membership: Arc::new(read_membership(&keys)?),
            jobs: Arc::new(jobs),
            allocations: Arc::new(allocations.into_iter().map(arcs).collect()),
            progress: Arc::new(progress),
            state_logs: Arc::new(StateLogs {
                logs: keys.get("state-logs")?,
                marked: keys.get("state-logs-marked")?,
            }),
            writers: Arc::new(read_writers(&keys)?),
            events: Arc::new(Events {
                jobs: keys.get("job-events")?,
                departures: keys.get("departed-nodes")?,
            }),
        })
    }
}

/// What carries segments: a name, or, as the design has it, a map that has the name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Messaging {
    Named(Transport),
    Map {
        #[serde(rename = "impl", alias = "onyx.messaging/impl")]
        name: Transport,
    },
}

impl Messaging {
    fn transport(self) -> Transport {
        match self {
            Messaging::Named(name) | Messaging::Map { name } => name,
        }
    }
}

/// The keys of a view.
struct Keys<'a>(&'a Map<String, Value>);

/// What some views show and no replica here has: it is not read.
const PASSED_OVER: [&str; 1] = ["task-metadata"];

impl<'a> Keys<'a> {
    fn of(shown: &'a Value) -> Result<Self, Misread> {
        let Value::Object(keys) = shown else {
            return Err(Misread::new("replica", "expected an object, or null"));
        };
        let whole = view(&Replica::default());
        let known = || whole.as_object().into_iter().flat_map(Map::keys);
        let known = || known().map(String::as_str).chain(PASSED_OVER);
        let stray = keys
            .keys()
            .find(|key| !known().any(|it| it == key.as_str()));
        match stray {
            None => Ok(Keys(keys)),
            Some(key) => {
                let hint = hint(key, known(), &format!("there are {}", listed(known())));
                Err(Misread::new(
                    format!("replica.{key}"),
                    format!("unknown key{hint}"),
                ))
            }
        }
    }

    fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| !value.is_null())
    }

    /// The value of a key; its default when it is not there.
    fn get<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T, Misread> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => read_at(value, &format!("replica.{key}")),
        }
    }
}

fn read_membership(keys: &Keys<'_>) -> Result<Membership, Misread> {
    let peers: Vec<PeerId> = keys.get("peers")?;
    let prepared: BTreeMap<PeerId, PeerId> = keys.get("prepared")?;
    let accepted: BTreeMap<PeerId, PeerId> = keys.get("accepted")?;
    let pairs = match keys.has("pairs") {
        true => keys.get("pairs")?,
        false => ring(&peers),
    };
    let mut sites: BTreeMap<PeerId, Site> = keys.get("peer-sites")?;
    let mut groups: BTreeMap<PeerId, GroupId> = keys.get("peer-groups")?;
    let mut nodes: BTreeMap<PeerId, NodeName> = keys.get("peer-nodes")?;
    let mut tags: BTreeMap<PeerId, Arc<BTreeSet<String>>> = keys.get("peer-tags")?;
    let mut words: BTreeMap<PeerId, Arc<BTreeSet<String>>> = keys.get("peer-words")?;
    let mut ids: BTreeSet<PeerId> = peers.iter().copied().collect();
    ids.extend(prepared.values().chain(accepted.values()));
    ids.extend(sites.keys().chain(groups.keys()));
    ids.extend(tags.keys().chain(words.keys()));
    ids.extend(nodes.keys());
    let members = ids.into_iter().map(|peer| {
        let member = Member {
            group: groups.remove(&peer).unwrap_or(GroupId(peer.0)),
            node: nodes.remove(&peer).unwrap_or_default(),
            site: sites.remove(&peer).unwrap_or_default(),
            words: words.remove(&peer).unwrap_or_default(),
            tags: tags.remove(&peer).unwrap_or_default(),
        };
        (peer, member)
    });
    Ok(Membership {
        members: members.collect(),
        peers,
        prepared,
        accepted,
        pairs,
    })
}

/// Each watches the next, and the last one the first.
fn ring(peers: &[PeerId]) -> SharedMap<PeerId, PeerId> {
    if peers.len() < 2 {
        return SharedMap::default();
    }
    let next = peers.iter().cycle().skip(1);
    peers.iter().copied().zip(next.copied()).collect()
}

fn read_jobs(keys: &Keys<'_>) -> Result<Jobs, Misread> {
    let mut jobs = Jobs {
        live: keys.get("jobs")?,
        completed: keys.get("completed-jobs")?,
        killed: keys.get("killed-jobs")?,
        losses: keys.get("killed-by-loss")?,
        tombstones: keys.get("tombstones")?,
        ..Jobs::default()
    };
    let submitted: BTreeMap<JobId, LogPosition> = keys.get("submitted")?;
    let mut flat = read_flat_jobs(keys)?;
    let lists = jobs.live.iter().chain(&jobs.completed).chain(&jobs.killed);
    for job in lists.copied().collect::<BTreeSet<JobId>>() {
        if jobs.live.contains(&job) && !flat.get(&job).is_some_and(|job| job.contains_key("tasks"))
        {
            let message = format!("expected the tasks of {job}, which is one of `jobs`");
            return Err(Misread::new("replica.tasks", message));
        }
        flat.entry(job).or_default();
    }
    for (job, properties) in flat {
        let submitted = submitted.get(&job).copied().unwrap_or_default();
        let record = read_job(job, properties, submitted)?;
        jobs.records.insert(job, Arc::new(record));
    }
    Ok(jobs)
}

/// The columns of the view, turned into one object for each job.
fn read_flat_jobs(keys: &Keys<'_>) -> Result<BTreeMap<JobId, Map<String, Value>>, Misread> {
    let mut jobs: BTreeMap<JobId, Map<String, Value>> = BTreeMap::new();
    for (property, key) in JOB_KEYS {
        let column: BTreeMap<JobId, Value> = keys.get(key)?;
        for (job, value) in column {
            jobs.entry(job).or_default().insert(property.into(), value);
        }
    }
    Ok(jobs)
}

fn read_job(
    job: JobId,
    mut properties: Map<String, Value>,
    submitted: LogPosition,
) -> Result<JobRecord, Misread> {
    // Of a job that has ended long ago not even the tasks need be known.
    let no_tasks = Value::Array(Vec::new());
    properties.entry("tasks").or_insert(no_tasks.clone());
    for (property, key) in JOB_KEYS {
        let Some(value) = properties.get(property) else {
            continue;
        };
        let mut alone = Map::from_iter([("tasks".to_owned(), no_tasks.clone())]);
        alone.insert(property.into(), value.clone());
        if let Err(error) = serde_json::from_value::<FlatJob>(Value::Object(alone)) {
            let path = format!("replica.{key}.{job}");
            return Err(Misread::new(path, error.to_string()));
        }
    }
    let flat: FlatJob = read_at(&Value::Object(properties), "replica.tasks")?;
    let record = flat.into_record(submitted);
    record.map_err(|message| Misread::new(format!("replica.tasks.{job}"), message))
}

type ByTask<T> = BTreeMap<JobId, BTreeMap<TaskName, T>>;

fn read_allocations(keys: &Keys<'_>) -> Result<BTreeMap<JobId, Allocation>, Misread> {
    let peers: ByTask<Vec<PeerId>> = keys.get("allocations")?;
    let slots: ByTask<BTreeMap<PeerId, SlotId>> = keys.get("task-slot-ids")?;
    let versions: BTreeMap<JobId, AllocationVersion> = keys.get("allocation-version")?;
    let losses: BTreeMap<JobId, Option<LogPosition>> = keys.get("last-loss")?;
    let mut ackers: BTreeMap<JobId, Vec<PeerId>> = keys.get("ackers")?;
    let mut ready: BTreeMap<JobId, BTreeSet<PeerId>> = keys.get("ready")?;
    let mut leaving: BTreeMap<JobId, BTreeSet<PeerId>> = keys.get("leaving")?;
    let states: BTreeMap<PeerId, PeerState> = keys.get("peer-state")?;
    let is_active = |peer: &PeerId| {
        let state = states.get(peer);
        state.is_some_and(|state| *state != PeerState::Idle)
    };
    let mut allocations = BTreeMap::new();
    let jobs: BTreeSet<JobId> = peers.keys().chain(slots.keys()).copied().collect();
    for job in jobs {
        let tasks = read_slots(job, peers.get(&job), slots.get(&job))?;
        if tasks.values().all(Slots::is_empty) {
            continue;
        }
        let mut allocation = Allocation {
            version: versions.get(&job).copied().unwrap_or_default(),
            last_loss: losses.get(&job).copied().flatten(),
            ackers: ackers.remove(&job).unwrap_or_default(),
            leaving: leaving.remove(&job).unwrap_or_default(),
            tasks,
            ..Allocation::default()
        };
        allocation.ready = match keys.has("ready") {
            true => ready.remove(&job).unwrap_or_default(),
            false => allocation.peers().filter(is_active).collect(),
        };
        allocations.insert(job, allocation);
    }
    Ok(allocations)
}

/// Slots of tasks, from the peers of each, from the slots of each, or from both.
fn read_slots(
    job: JobId,
    peers: Option<&BTreeMap<TaskName, Vec<PeerId>>>,
    slots: Option<&BTreeMap<TaskName, BTreeMap<PeerId, SlotId>>>,
) -> Result<BTreeMap<TaskName, Slots>, Misread> {
    let turned = |slots: &BTreeMap<PeerId, SlotId>| {
        let slots = slots.iter().map(|(peer, slot)| (*slot, *peer));
        slots.collect::<Slots>()
    };
    let numbered = |peers: &Vec<PeerId>| {
        let slots = (0..).map(SlotId).zip(peers.iter().copied());
        slots.collect::<Slots>()
    };
    let mut tasks = BTreeMap::new();
    for (task, slots) in slots.into_iter().flatten() {
        tasks.insert(task.clone(), turned(slots));
    }
    for (task, peers) in peers.into_iter().flatten() {
        let found = tasks.entry(task.clone()).or_insert_with(|| numbered(peers));
        let same: BTreeSet<&PeerId> = found.values().collect();
        if same != peers.iter().collect() || found.len() != peers.len() {
            let path = format!("replica.task-slot-ids.{job}.{task}");
            let message = "expected a slot of its own for each peer that `allocations` has there";
            return Err(Misread::new(path, message));
        }
    }
    Ok(tasks)
}

fn read_progress(
    keys: &Keys<'_>,
    allocations: &BTreeMap<JobId, Allocation>,
) -> Result<BTreeMap<JobId, Arc<Progress>>, Misread> {
    let inputs: BTreeMap<JobId, BTreeSet<TaskName>> = keys.get("exhausted-inputs")?;
    let slots: ByTask<BTreeSet<SlotId>> = keys.get("exhausted-slots")?;
    let sealed_slots: ByTask<BTreeSet<SlotId>> = keys.get("sealed-slots")?;
    let outputs: BTreeMap<JobId, BTreeSet<TaskName>> = keys.get("sealed-outputs")?;
    let marks = |by_task: Option<&BTreeMap<TaskName, BTreeSet<SlotId>>>| {
        let tasks = by_task.into_iter().flatten();
        let marks = tasks.flat_map(|(task, slots)| slots.iter().map(|slot| (task.clone(), *slot)));
        marks.collect::<BTreeSet<(TaskName, SlotId)>>()
    };
    let all_slots = |job: &JobId| {
        let tasks = outputs.get(job).into_iter().flatten();
        let held = allocations.get(job).map(|allocation| &allocation.tasks);
        let marks = tasks.flat_map(|task| {
            let slots = held.and_then(|tasks| tasks.get(task));
            let slots = slots.into_iter().flat_map(Slots::keys);
            slots.map(|slot| (task.clone(), *slot)).collect::<Vec<_>>()
        });
        marks.collect::<BTreeSet<(TaskName, SlotId)>>()
    };
    let mut jobs: BTreeSet<JobId> = inputs.keys().chain(outputs.keys()).copied().collect();
    jobs.extend(slots.keys().chain(sealed_slots.keys()));
    let progress = jobs.into_iter().map(|job| {
        let sealed = match keys.has("sealed-slots") {
            true => marks(sealed_slots.get(&job)),
            false => all_slots(&job),
        };
        let progress = Progress {
            exhausted: marks(slots.get(&job)),
            exhausted_tasks: inputs.get(&job).cloned().unwrap_or_default(),
            sealed,
        };
        (job, Arc::new(progress))
    });
    Ok(progress.collect())
}

/// The state of a peer in a view.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PeerState {
    Idle,
    Active,
    /// Of the design: an active peer whose senders wait.
    Backpressure,
}

#[derive(Deserialize)]
struct LastWord {
    sequence: u64,
    #[serde(default)]
    position: LogPosition,
}

fn read_writers(keys: &Keys<'_>) -> Result<Writers, Misread> {
    let last: BTreeMap<WriterId, LastWord> = keys.get("writers")?;
    let last = last.into_iter();
    Ok(Writers {
        last: last
            .map(|(writer, word)| (writer, (word.sequence, word.position)))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::JobState;
    use crate::replica::invariants::violations;
    use crate::replica::sample::{job_id, joined, peer};
    use crate::replica::view::view;
    use serde_json::json;

    fn complaint(view: Value) -> String {
        Replica::from_view(&view).unwrap_err().to_string()
    }

    #[test]
    fn a_few_keys_are_a_whole_replica() {
        let [a, b] = ["a", "b"].map(peer);
        let job = job_id(0);
        let replica = Replica::from_view(&json!({
            "peers": [a, b],
            "jobs": [job],
            "tasks": { job.to_string(): ["in", "out"] },
            "allocations": { job.to_string(): { "in": [a], "out": [b] } },
            "peer-state": { a.to_string(): "active", b.to_string(): "idle" },
        }));
        let replica = replica.unwrap();
        assert_eq!(replica.membership.pairs, joined("a b").pairs);
        assert_eq!(replica.job_state(job), Some(JobState::Running));
        assert_eq!(replica.allocations[&job].ready, [a].into());
        assert_eq!(violations(&replica, LogPosition(0)), []);
    }

    #[test]
    fn sealed_outputs_are_sealed_in_every_slot() {
        let [a, b] = ["a", "b"].map(peer);
        let job = job_id(0).to_string();
        let replica = Replica::from_view(&json!({
            "peers": [a, b],
            "jobs": [job],
            "tasks": { &job: ["in", "out"] },
            "allocations": { &job: { "in": [a], "out": [b] } },
            "exhausted-inputs": { &job: ["in"] },
            "sealed-outputs": { &job: ["out"] },
        }));
        let replica = replica.unwrap();
        let progress = &replica.progress[&job_id(0)];
        assert!(progress.is_sealed(&"out".into(), SlotId(0)));
        let shown = view(&replica);
        assert_eq!(shown["sealed-slots"][&job], json!({ "out": [0] }));
        assert_eq!(shown["sealed-outputs"][&job], json!(["out"]));
        assert_eq!(Replica::from_view(&shown).unwrap(), replica);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        assert_eq!(complaint(json!([])), "replica: expected an object, or null");
        let typo = complaint(json!({ "peer": [] }));
        assert!(
            typo.starts_with("replica.peer: unknown key; did you mean `peers`?"),
            "{typo}"
        );
        let state = complaint(json!({ "peer-state": { peer("a").to_string(): "busy" } }));
        let expected = format!(
            "replica.peer-state.{}: unknown variant `busy`, expected one of `idle`, `active`, \
             `backpressure`",
            peer("a")
        );
        assert_eq!(state, expected);
        let place = complaint(json!({ "prepared": { peer("a").to_string(): 7 } }));
        let expected = format!("replica.prepared.{}: invalid type", peer("a"));
        assert!(place.starts_with(&expected), "{place}");
        let job = job_id(0);
        let view = json!({ "tasks": { job.to_string(): ["a"] },
            "task-schedulers": { job.to_string(): "fair" } });
        let expected = format!("replica.task-schedulers.{job}: unknown variant `fair`");
        assert!(
            complaint(view.clone()).starts_with(&expected),
            "{}",
            complaint(view)
        );
        assert_eq!(
            complaint(json!({ "jobs": [job] })),
            format!("replica.tasks: expected the tasks of {job}, which is one of `jobs`")
        );
    }
}
