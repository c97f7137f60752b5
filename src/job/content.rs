//! What a job consists of, as one number, by which a second submission under the same id can be told
//! from another job.

use super::Job;
use crate::ids::ContentHash;

/// The same for equal jobs, on every machine and in every version: FNV-1a over the job as JSON with
/// sorted keys.
pub fn content_hash(job: &Job) -> ContentHash {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    // Where that failed, so would storing the job, with the reason.
    let canonical = serde_json::to_value(job).unwrap_or_default().to_string();
    let hash = canonical.bytes().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    ContentHash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Task, TaskKind};

    fn job(task: Task) -> Job {
        Job::new(
            "j",
            [("in", "out")],
            [task, Task::output("out", "file/csv")],
        )
    }

    #[test]
    fn the_order_of_keys_is_no_content_and_everything_else_is() {
        let task = Task::new("in", TaskKind::Input);
        let one = content_hash(&job(task.clone().with("path", "x").with("header", true)));
        let same = content_hash(&job(task.clone().with("header", true).with("path", "x")));
        assert_eq!(one, same);
        let other = content_hash(&job(task.clone().with("header", true).with("path", "y")));
        assert_ne!(one, other);
        assert_ne!(one, content_hash(&job(task)));
    }

    #[test]
    fn the_hash_of_a_job_never_changes() {
        let task = Task::new("in", TaskKind::Input).with("path", "x");
        insta::assert_snapshot!(content_hash(&job(task)), @"aad34fbccd8e9014");
    }
}
