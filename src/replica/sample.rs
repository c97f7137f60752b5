//! Small replicas for tests, written as words.

use super::task_words::TaskWords;
use super::{JobRecord, Member, Membership, Site, TaskRecord};
use crate::ids::{GroupId, JobId, NodeName, PeerId};
use crate::job::percent::Percent;
use crate::job::{FluxPolicy, TaskKind};
use std::sync::Arc;
use uuid::Uuid;

/// The peer of a name; names sort as their peers do.
pub(crate) fn peer(name: &str) -> PeerId {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    PeerId(Uuid::from_bytes(bytes))
}

pub(crate) fn job_id(number: u32) -> JobId {
    JobId(Uuid::from_u128(u128::from(number) + 1))
}

/// A member that knows no words.
pub(crate) fn member() -> Member {
    knowing("")
}

/// A member that knows these words; those after a `#` are its tags.
pub(crate) fn knowing(words: &str) -> Member {
    let (tags, words): (Vec<&str>, Vec<&str>) = words
        .split_whitespace()
        .partition(|word| word.starts_with('#'));
    let tags = tags.into_iter().map(|tag| tag.trim_start_matches('#'));
    Member {
        group: GroupId(Uuid::from_u128(1)),
        node: NodeName::default(),
        site: Site("here".into()),
        words: Arc::new(words.into_iter().map(String::from).collect()),
        tags: Arc::new(tags.map(String::from).collect()),
    }
}

/// A ring in this order.
pub(crate) fn joined(names: &str) -> Membership {
    let mut membership = Membership::default();
    let peers: Vec<PeerId> = names.split_whitespace().map(peer).collect();
    for (index, peer) in peers.iter().enumerate() {
        membership.members.insert(*peer, member());
        if peers.len() > 1 {
            membership
                .pairs
                .insert(*peer, peers[(index + 1) % peers.len()]);
        }
    }
    membership.peers = peers;
    membership
}

/// A job from tasks written `name:kind>to,to:min-max!word!word`; kind is i, f or o. `max` may be left
/// out after its dash, and the whole range: 1-. Among the words, `#gpu` is a required tag, `~kill` a
/// flux policy and `%30` a percentage.
pub(crate) fn record(tasks: &str) -> JobRecord {
    JobRecord::new("sample", tasks.split_whitespace().map(task).collect())
}

fn task(text: &str) -> TaskRecord {
    let words = TaskWords::of(text);
    let kind = match words.kind {
        "i" => TaskKind::Input,
        "o" => TaskKind::Output,
        _ => TaskKind::Function,
    };
    let to = words.to.iter().map(|to| (*to).into()).collect();
    let policy = |name: &str| FluxPolicy::ALL.into_iter().find(|it| it.as_str() == name);
    let percent = |text: &str| Percent::whole(text.parse().ok()?);
    TaskRecord {
        min_peers: words.min.parse().unwrap(),
        max_peers: words.max.parse().ok(),
        required_tags: words.tags.into_iter().map(String::from).collect(),
        flux_policy: words.flux_policy.and_then(policy),
        percentage: words.percentage.and_then(percent),
        words: words.words.into_iter().map(String::from).collect(),
        ..TaskRecord::new(words.name, kind, to)
    }
}
