//! Small replicas for tests, written as words.

use super::{JobRecord, Member, Membership, Site, TaskRecord};
use crate::ids::{GroupId, JobId, PeerId};
use crate::job::TaskKind;
use std::collections::BTreeSet;
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

/// A member that knows these words.
pub(crate) fn knowing(words: &str) -> Member {
    Member {
        group: GroupId(Uuid::from_u128(1)),
        site: Site("here".into()),
        words: Arc::new(words.split_whitespace().map(String::from).collect()),
        tags: Arc::default(),
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

/// A job from tasks written `name:kind>to,to:min-max!word`; kind is i, f or o. `max` may be left
/// out after its dash, and the whole range: 1-.
pub(crate) fn record(tasks: &str) -> JobRecord {
    JobRecord::new("sample", tasks.split_whitespace().map(task).collect())
}

fn task(text: &str) -> TaskRecord {
    let (text, words) = text.split_once('!').unwrap_or((text, ""));
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let (kind, to) = parts
        .next()
        .map_or(("f", ""), |p| p.split_once('>').unwrap_or((p, "")));
    let (min, max) = parts
        .next()
        .and_then(|range| range.split_once('-'))
        .unwrap_or(("1", ""));
    let kind = match kind {
        "i" => TaskKind::Input,
        "o" => TaskKind::Output,
        _ => TaskKind::Function,
    };
    let to = to.split(',').filter(|to| !to.is_empty());
    TaskRecord {
        min_peers: min.parse().unwrap(),
        max_peers: max.parse().ok(),
        words: words
            .split('!')
            .filter(|w| !w.is_empty())
            .map(String::from)
            .collect::<BTreeSet<_>>(),
        ..TaskRecord::new(name, kind, to.map(|to| to.into()).collect())
    }
}
