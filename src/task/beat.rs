//! The beat of a task: whether it gets on, and which call of user code it is in.

use super::exception::Phase;
use crate::job::{Task, TaskKind};
use crate::segment::Value;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Shared by a task, which writes it, and by whatever watches the task, which reads it.
#[derive(Clone, Debug, Default)]
pub struct Beat(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    /// The last phase that was entered, as one more than its place in [`Phase::ALL`].
    phase: AtomicU8,
    /// Set once the job has been read.
    task: OnceLock<Arc<Task>>,
}

impl Beat {
    /// Another segment, or another turn.
    #[inline]
    pub(super) fn beat(&self) {
        // Only the thread that runs the task writes: no need to lock the bus for it.
        let before = self.0.count.load(Ordering::Relaxed);
        self.0
            .count
            .store(before.wrapping_add(1), Ordering::Relaxed);
    }

    /// From now on until the next beat nothing is expected.
    pub(super) fn rest(&self) {
        self.0.count.store(0, Ordering::Relaxed);
    }

    /// A number that changes while the task gets on; 0 while that is not expected.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// The task is about to run user code in a phase.
    #[inline]
    pub(super) fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8 + 1, Ordering::Relaxed);
    }

    /// The task that runs.
    pub(super) fn is_of(&self, task: &Arc<Task>) {
        // A second start of the same drive has the same task.
        let _ = self.0.task.set(task.clone());
    }

    /// What the task is doing, or did last, in user code: "reading file/lines /data/in.txt".
    pub fn call(&self) -> String {
        let entered = self.0.phase.load(Ordering::Relaxed);
        let phase = entered.checked_sub(1).map(usize::from);
        let phase = phase.and_then(|index| Phase::ALL.get(index)).copied();
        match (phase, self.0.task.get()) {
            (None, _) => "starting".to_owned(),
            (Some(phase), None) => format!("in {phase}"),
            (Some(phase), Some(task)) => call_of(phase, task),
        }
    }
}

fn call_of(phase: Phase, task: &Task) -> String {
    let medium = || {
        let plugin = task.plugin.as_deref().unwrap_or_default();
        match task.params.get("path").map(Value::as_str) {
            None => plugin.to_owned(),
            Some(Some(path)) => format!("{plugin} {path}"),
            Some(None) => format!("{plugin} (several paths)"),
        }
    };
    match (phase, task.kind) {
        (Phase::StartTask, TaskKind::Input | TaskKind::Output) => format!("opening {}", medium()),
        (Phase::ReadBatch, TaskKind::Input) => format!("reading {}", medium()),
        (Phase::WriteBatch, TaskKind::Output) => format!("writing to {}", medium()),
        (Phase::SealTask, TaskKind::Output) => format!("sealing {}", medium()),
        (Phase::ApplyFunction, _) => match &task.function {
            Some(function) => format!("in function {function}"),
            None => format!("in {phase}"),
        },
        _ => format!("in {phase}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_described_with_its_plugin_and_path() {
        let beat = Beat::default();
        assert_eq!(beat.call(), "starting");
        let mut task = Task::new("read", TaskKind::Input);
        task.plugin = Some("file/lines".into());
        task.params.set("path", "/data/in.fifo");
        beat.is_of(&Arc::new(task));
        beat.enter(Phase::StartTask);
        assert_eq!(beat.call(), "opening file/lines /data/in.fifo");
        beat.enter(Phase::ReadBatch);
        assert_eq!(beat.call(), "reading file/lines /data/in.fifo");
        beat.enter(Phase::Checkpoint);
        assert_eq!(beat.call(), "in checkpoint");
    }

    #[test]
    fn every_phase_is_at_its_place() {
        for (index, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, index);
        }
    }
}
