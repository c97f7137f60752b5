//! A job in the flat shape in which entries and people see it: one map for each property, keyed by
//! task. Whoever writes it by hand may leave out whatever has a default.

use super::{JobRecord, TaskRecord};
use crate::ids::{ContentHash, LogPosition, TaskName};
use crate::job::percent::Percent;
use crate::job::{AckerRule, FluxPolicy, Sends, TaskKind, TaskScheduler};
use crate::nearest::hint;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A job in its flat shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FlatJob {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// The names of its tasks in topological order.
    pub tasks: Vec<TaskName>,
    /// How its peers are shared among its tasks.
    #[serde(default)]
    pub task_scheduler: TaskScheduler,
    /// The sum of `task-saturation`; what is written here is not read.
    #[serde(default, deserialize_with = "unread")]
    pub saturation: Option<u64>,
    /// The most peers of a task; none is no limit.
    #[serde(default)]
    pub task_saturation: BTreeMap<TaskName, Option<u32>>,
    /// The fewest peers of a task, 1 when not said.
    #[serde(default)]
    pub min_required_peers: BTreeMap<TaskName, u32>,
    /// What happens when the peers of a task change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flux_policies: BTreeMap<TaskName, FluxPolicy>,
    /// Tasks that read; when not said, those to which nothing flows.
    #[serde(default)]
    pub inputs: Option<Vec<TaskName>>,
    /// Tasks that write; when not said, those from which nothing flows.
    #[serde(default)]
    pub outputs: Option<Vec<TaskName>>,
    /// Where the segments of a task go. When nothing is said, each task sends to the next.
    #[serde(default, rename = "in->out")]
    pub in_out: Option<BTreeMap<TaskName, Vec<TaskName>>>,
    /// Tags that a peer must have for a task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub required_tags: BTreeMap<TaskName, BTreeSet<String>>,
    /// Words that a peer must know for a task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<TaskName, BTreeSet<String>>,
    /// The share of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
    /// The share of the job that a task gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub task_percentages: BTreeMap<TaskName, Percent>,
    /// How far a colocated job sends its segments.
    #[serde(default, skip_serializing_if = "Sends::is_default")]
    pub colocated_sends: Sends,
    /// How many of its peers keep ledgers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acker_percentage: Option<Percent>,
    /// Whether peers of inputs are spared.
    #[serde(default)]
    pub acker_exclude_inputs: bool,
    /// Whether peers of outputs are spared.
    #[serde(default)]
    pub acker_exclude_outputs: bool,
    /// Tasks whose peers are spared.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exempt_tasks: BTreeSet<TaskName>,
    /// What it consists of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentHash>,
}

fn unread<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|IgnoredAny| None)
}

impl FlatJob {
    /// The flat shape of a record.
    pub fn of(record: &JobRecord) -> Self {
        let tasks = || record.tasks.iter();
        let names = |kind| {
            let tasks = record.tasks_of(kind).map(|task| task.name.clone());
            Some(tasks.collect())
        };
        let sending = tasks().filter(|task| !task.downstream.is_empty());
        FlatJob {
            name: record.name.clone(),
            tasks: tasks().map(|task| task.name.clone()).collect(),
            task_scheduler: record.task_scheduler,
            saturation: record.saturation(),
            task_saturation: by_task(tasks().map(|task| (task, task.max_peers))),
            min_required_peers: by_task(tasks().map(|task| (task, task.min_peers))),
            flux_policies: by_task(tasks().filter_map(|task| Some((task, task.flux_policy?)))),
            inputs: names(TaskKind::Input),
            outputs: names(TaskKind::Output),
            in_out: Some(by_task(sending.map(|task| (task, task.downstream.clone())))),
            required_tags: sets(tasks().map(|task| (task, &task.required_tags))),
            words: sets(tasks().map(|task| (task, &task.words))),
            percentage: record.percentage,
            task_percentages: by_task(tasks().filter_map(|task| Some((task, task.percentage?)))),
            colocated_sends: record.sends,
            acker_percentage: record.ackers.percentage,
            acker_exclude_inputs: record.ackers.exempt_inputs,
            acker_exclude_outputs: record.ackers.exempt_outputs,
            exempt_tasks: record.ackers.exempt_tasks.clone(),
            content: record.content,
        }
    }

    /// The record that it describes, or what in it contradicts the rest. Whether such a job could
    /// run is for whoever applies it to judge.
    pub fn into_record(self, submitted: LogPosition) -> Result<JobRecord, String> {
        self.check_names()?;
        let flow = Flow::of(&self)?;
        let tasks = self.tasks.iter().map(|name| TaskRecord {
            min_peers: self.min_required_peers.get(name).copied().unwrap_or(1),
            max_peers: self.task_saturation.get(name).copied().flatten(),
            words: self.words.get(name).cloned().unwrap_or_default(),
            required_tags: self.required_tags.get(name).cloned().unwrap_or_default(),
            flux_policy: self.flux_policies.get(name).copied(),
            percentage: self.task_percentages.get(name).copied(),
            ..TaskRecord::new(name.clone(), flow.kind(name), flow.downstream(name))
        });
        Ok(JobRecord {
            tasks: tasks.collect(),
            task_scheduler: self.task_scheduler,
            percentage: self.percentage,
            sends: self.colocated_sends,
            ackers: AckerRule {
                percentage: self.acker_percentage,
                exempt_inputs: self.acker_exclude_inputs,
                exempt_outputs: self.acker_exclude_outputs,
                exempt_tasks: self.exempt_tasks,
            },
            content: self.content,
            submitted,
            ..JobRecord::new(self.name, Vec::new())
        })
    }

    /// Whatever is said of a task has to be said of one of `tasks`.
    fn check_names(&self) -> Result<(), String> {
        let maps = [
            ("task-saturation", keys(&self.task_saturation)),
            ("min-required-peers", keys(&self.min_required_peers)),
            ("flux-policies", keys(&self.flux_policies)),
            ("required-tags", keys(&self.required_tags)),
            ("words", keys(&self.words)),
            ("task-percentages", keys(&self.task_percentages)),
            ("in->out", self.in_out.as_ref().map_or(Vec::new(), keys)),
            ("inputs", self.inputs.iter().flatten().collect()),
            ("outputs", self.outputs.iter().flatten().collect()),
        ];
        let known = || self.tasks.iter().map(TaskName::as_str);
        for (key, names) in maps {
            if let Some(stray) = names.into_iter().find(|name| !self.tasks.contains(name)) {
                let hint = hint(stray.as_str(), known(), "name one of `tasks`");
                return Err(format!("{key} names `{stray}`, which is no task{hint}"));
            }
        }
        Ok(())
    }
}

/// What flows where, said or guessed.
struct Flow {
    inputs: BTreeSet<TaskName>,
    outputs: BTreeSet<TaskName>,
    edges: BTreeMap<TaskName, Vec<TaskName>>,
}

impl Flow {
    fn of(job: &FlatJob) -> Result<Self, String> {
        let said = |names: &Option<Vec<TaskName>>| {
            let names = names.as_ref()?;
            Some(names.iter().cloned().collect::<BTreeSet<_>>())
        };
        let (ends, edges) = match &job.in_out {
            Some(edges) => (ends_of(&job.tasks, edges), Some(edges.clone())),
            None => (first_and_last(&job.tasks), None),
        };
        let inputs = said(&job.inputs).unwrap_or(ends.0);
        let outputs = said(&job.outputs).unwrap_or_else(|| &ends.1 - &inputs);
        if let Some(both) = inputs.intersection(&outputs).next() {
            return Err(format!(
                "`{both}` is among the inputs and among the outputs"
            ));
        }
        let edges = edges.unwrap_or_else(|| chained(&job.tasks, &inputs, &outputs));
        Ok(Flow {
            inputs,
            outputs,
            edges,
        })
    }

    fn kind(&self, task: &TaskName) -> TaskKind {
        match (self.inputs.contains(task), self.outputs.contains(task)) {
            (true, _) => TaskKind::Input,
            (false, true) => TaskKind::Output,
            (false, false) => TaskKind::Function,
        }
    }

    fn downstream(&self, task: &TaskName) -> Vec<TaskName> {
        self.edges.get(task).cloned().unwrap_or_default()
    }
}

type Ends = (BTreeSet<TaskName>, BTreeSet<TaskName>);

fn ends_of(tasks: &[TaskName], edges: &BTreeMap<TaskName, Vec<TaskName>>) -> Ends {
    let reached: BTreeSet<&TaskName> = edges.values().flatten().collect();
    let sends = |task: &TaskName| edges.get(task).is_some_and(|to| !to.is_empty());
    let inputs = tasks.iter().filter(|task| !reached.contains(task));
    let outputs = tasks.iter().filter(|task| !sends(task));
    (inputs.cloned().collect(), outputs.cloned().collect())
}

fn first_and_last(tasks: &[TaskName]) -> Ends {
    let inputs = tasks.first().cloned().into_iter().collect();
    (inputs, tasks.last().cloned().into_iter().collect())
}

/// Each task sends to the next that can receive; one that nothing reaches yet is sent to by the
/// nearest before it that can send.
fn chained(
    tasks: &[TaskName],
    inputs: &BTreeSet<TaskName>,
    outputs: &BTreeSet<TaskName>,
) -> BTreeMap<TaskName, Vec<TaskName>> {
    let mut edges: BTreeMap<TaskName, Vec<TaskName>> = BTreeMap::new();
    let mut reached = BTreeSet::new();
    for (index, task) in tasks.iter().enumerate() {
        let (before, after) = (&tasks[..index], &tasks[index + 1..]);
        if !inputs.contains(task) && !reached.contains(task) {
            let source = before.iter().rev().find(|name| !outputs.contains(name));
            if let Some(source) = source {
                edges.entry(source.clone()).or_default().push(task.clone());
            }
        }
        let next = after.iter().find(|name| !inputs.contains(name));
        if let Some(next) = next.filter(|_| !outputs.contains(task)) {
            edges.entry(task.clone()).or_default().push(next.clone());
            reached.insert(next);
        }
    }
    edges
}

fn by_task<'a, T>(tasks: impl Iterator<Item = (&'a TaskRecord, T)>) -> BTreeMap<TaskName, T> {
    tasks
        .map(|(task, value)| (task.name.clone(), value))
        .collect()
}

fn sets<'a>(
    tasks: impl Iterator<Item = (&'a TaskRecord, &'a BTreeSet<String>)>,
) -> BTreeMap<TaskName, BTreeSet<String>> {
    let some = tasks.filter(|(_, words)| !words.is_empty());
    by_task(some.map(|(task, words)| (task, words.clone())))
}

fn keys<T>(map: &BTreeMap<TaskName, T>) -> Vec<&TaskName> {
    map.keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::sample::record;
    use serde_json::{Value, json};

    fn read(job: Value) -> Result<JobRecord, String> {
        // From text, where what is not looked at has to be read all the same.
        let flat: FlatJob = serde_json::from_str(&job.to_string()).unwrap();
        flat.into_record(LogPosition(0))
    }

    fn edges(job: Value) -> String {
        let record = read(job).unwrap();
        let shown = record.tasks.iter().map(|task| {
            let to: Vec<&str> = task.downstream.iter().map(TaskName::as_str).collect();
            format!("{}:{}>{}", task.name, task.kind.as_str(), to.join(","))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_record_reads_back_from_its_flat_shape() {
        let tasks = "in:i>f:2-3 f:f>out,other:1-!fn:x out:o other:o:1-1";
        let mut record = record(tasks);
        record.percentage = Percent::new(12.5);
        record.sends = Sends::Anywhere;
        record.tasks[1].required_tags = ["gpu".to_owned()].into();
        record.tasks[1].flux_policy = Some(FluxPolicy::Recover);
        record.content = Some(ContentHash(u64::MAX));
        let written = serde_json::to_value(FlatJob::of(&record)).unwrap();
        assert_eq!(written["saturation"], Value::Null);
        assert_eq!(written["content"], "ffffffffffffffff");
        assert_eq!(read(written), Ok(record));
    }

    #[test]
    fn tasks_alone_are_a_chain() {
        let chain = edges(json!({ "tasks": ["in", "f", "out"] }));
        assert_eq!(chain, "in:input>f f:function>out out:output>");
        let ends = json!({ "tasks": ["a", "b", "f", "x", "y"],
            "inputs": ["a", "b"], "outputs": ["x", "y"] });
        assert_eq!(
            edges(ends),
            "a:input>f b:input>f f:function>x,y x:output> y:output>"
        );
    }

    #[test]
    fn what_flows_says_what_reads_and_writes() {
        let job = json!({ "tasks": ["a", "b", "c"], "in->out": { "a": ["c"], "b": ["c"] } });
        assert_eq!(edges(job), "a:input>c b:input>c c:output>");
    }

    #[test]
    fn what_contradicts_is_told() {
        let stray = json!({ "tasks": ["read", "write"], "min-required-peers": { "raed": 2 } });
        assert_eq!(
            read(stray).unwrap_err(),
            "min-required-peers names `raed`, which is no task; did you mean `read`? name one of `tasks`"
        );
        let both = json!({ "tasks": ["a", "b"], "inputs": ["a"], "outputs": ["a"] });
        assert_eq!(
            read(both).unwrap_err(),
            "`a` is among the inputs and among the outputs"
        );
    }
}
