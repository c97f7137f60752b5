//! Nodes beside the log.

use crate::ground::Ground;
use onyx::coordination::{
    CoordinationError, NODE_BYTES_MAX, Node, Put, Written, read_job, write_job,
};
use onyx::ids::{IdSource, JobId, SlotId};
use onyx::job::{Job, Lifecycle, LifecycleTarget, Task, TaskKind};

fn job_id(seed: u64) -> JobId {
    IdSource::from_seed(seed).job()
}

pub(crate) async fn a_node_is_kept_or_written_over(ground: Ground) {
    let (first, second) = (ground.session().await, ground.session().await);
    let node = || Node::Checkpoint(job_id(1), "read".into(), SlotId(3));
    let put = async |data: &[u8], put| second.put(node(), data.to_vec(), put).await.unwrap();
    assert_eq!(
        first.put(node(), b"a".to_vec(), Put::IfAbsent).await,
        Ok(Written::Yes)
    );
    assert_eq!(put(b"b", Put::IfAbsent).await, Written::KeptExisting);
    assert_eq!(first.get(node()).await.unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(put(b"c", Put::Always).await, Written::Yes);
    first.prove_alive().await.unwrap();
    assert_eq!(first.get(node()).await.unwrap().as_deref(), Some(&b"c"[..]));
    let other = Node::Checkpoint(job_id(1), "read".into(), SlotId(4));
    assert_eq!(
        first.put(other, b"d".to_vec(), Put::Always).await,
        Ok(Written::Yes)
    );
    assert_eq!(first.get(node()).await.unwrap().as_deref(), Some(&b"c"[..]));
}

pub(crate) async fn a_missing_node_is_none_and_an_empty_one_is_not(ground: Ground) {
    let session = ground.session().await;
    let node = || Node::Exception(job_id(1));
    assert_eq!(session.get(node()).await, Ok(None));
    assert_eq!(
        session.put(node(), Vec::new(), Put::Always).await,
        Ok(Written::Yes)
    );
    assert_eq!(session.get(node()).await, Ok(Some(Vec::new())));
}

pub(crate) async fn data_that_is_too_large_is_not_sent(ground: Ground) {
    let session = ground.session().await;
    let node = || Node::Catalog(job_id(1));
    for put in [Put::IfAbsent, Put::Always] {
        let refused = session.put(node(), vec![7; NODE_BYTES_MAX + 1], put).await;
        assert!(
            matches!(refused, Err(CoordinationError::TooLarge { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(session.get(node()).await, Ok(None));
    let fits = session
        .put(node(), vec![7; NODE_BYTES_MAX], Put::IfAbsent)
        .await;
    assert_eq!(fits, Ok(Written::Yes));
}

pub(crate) async fn a_job_is_read_back_as_it_was_written(ground: Ground) {
    let session = ground.session().await;
    let job = Job {
        name: "copy".into(),
        workflow: vec![("in".into(), "out".into())],
        catalog: vec![
            Task::new("in", TaskKind::Input),
            Task::new("out", TaskKind::Output),
        ],
        lifecycles: vec![Lifecycle {
            task: LifecycleTarget::All,
            calls: "log".into(),
        }],
        ..Job::new("", [], [])
    };
    assert_eq!(read_job(&*session, job_id(1)).await, Ok(None));
    write_job(&*session, job_id(1), &job).await.unwrap();
    // Again, as after an unknown outcome.
    write_job(&*session, job_id(1), &job).await.unwrap();
    // Another job under the same id leaves nothing.
    let another = Job {
        name: "another".into(),
        lifecycles: Vec::new(),
        ..job.clone()
    };
    let written = write_job(&*session, job_id(1), &another).await;
    assert_eq!(written, Ok(Written::KeptExisting));
    let other = ground.session().await;
    other.prove_alive().await.unwrap();
    assert_eq!(read_job(&*other, job_id(1)).await, Ok(Some(job)));
}
