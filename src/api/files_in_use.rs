//! The files that jobs of this node are writing: two jobs that wrote one would mix their lines.

use super::ApiError;
use crate::ids::JobId;
use crate::job::Job;
use crate::job::validation::disk::identity;
use crate::job::vocabulary::{KeyKind, Vocabulary};
use crate::replica::Replica;
use crate::segment::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files by the job that writes them. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct FilesInUse(Arc<Mutex<BTreeMap<JobId, Vec<String>>>>);

impl FilesInUse {
    /// Notes what a job will write, unless a job that is live writes some of it.
    pub(super) fn take(
        &self,
        id: JobId,
        job: &Job,
        vocabulary: &Vocabulary,
        replica: &Replica,
    ) -> Result<(), ApiError> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is not known yet is being submitted.
        files.retain(|job, _| replica.jobs.is_live(*job) || !replica.jobs.is_known(*job));
        let mut mine = Vec::new();
        for path in written(job, vocabulary) {
            let file = identity(Path::new(path)).unwrap_or_else(|| path.to_owned());
            let mut others = files.iter().filter(|(other, _)| **other != id);
            if let Some((other, _)) = others.find(|(_, theirs)| theirs.contains(&file)) {
                let (path, job) = (path.to_owned(), *other);
                return Err(ApiError::FileInUse { path, job });
            }
            mine.push(file);
        }
        files.insert(id, mine);
        Ok(())
    }

    /// Forgets a job that was not submitted after all.
    pub(super) fn give_back(&self, id: JobId) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.remove(&id);
    }
}

fn written<'a>(job: &'a Job, vocabulary: &'a Vocabulary) -> impl Iterator<Item = &'a str> {
    job.catalog.iter().flat_map(|task| {
        let plugin = task.plugin.as_ref();
        let plugin = plugin.and_then(|name| vocabulary.plugins.get(name));
        let keys = plugin.into_iter().flat_map(|plugin| &plugin.signature.keys);
        let outputs = keys.filter(|key| key.kind == KeyKind::OutputPath);
        let paths = outputs.filter_map(|key| task.params.get(&key.name).and_then(Value::as_str));
        paths.chain(task.dead_letter.as_deref())
    })
}
