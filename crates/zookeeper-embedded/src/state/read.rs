//! Answers to requests that change nothing.
//!
//! Paths are not validated: as in ZooKeeper, an invalid one is simply not found.

use std::sync::Arc;

use super::access::{self, Permissions};
use super::authentication::Author;
use super::node::Node;
use super::tree::Tree;
use super::watches::WatchKind;
use crate::protocol::op_code as op;
use crate::protocol::response::{Part, PartResult};
use crate::protocol::{Acl, ErrorCode, Read, Response};

/// The most payload that one multi read may collect. A small request can name a large node
/// thousands of times.
const MULTI_READ_LIMIT: usize = 64 << 20;

/// The answer to one read.
pub(crate) fn answer(tree: &Tree, author: &Author, read: &Read) -> Result<Response, ErrorCode> {
    match read {
        Read::Exists { path, .. } => {
            if path.contains('\0') {
                return Err(ErrorCode::BadArguments);
            }
            Ok(Response::Stat(tree.node(path)?.stat()))
        }
        Read::GetData { path, .. } => {
            let node = readable(tree, author, path)?;
            Ok(Response::Data {
                data: node.data.clone(),
                stat: node.stat(),
            })
        }
        Read::GetChildren { path, .. } => {
            Ok(Response::Children(children(readable(tree, author, path)?)))
        }
        Read::GetChildrenAndStat { path, .. } => {
            let node = readable(tree, author, path)?;
            Ok(Response::ChildrenAndStat {
                children: children(node),
                stat: node.stat(),
            })
        }
        Read::GetAcl { path } => {
            let node = tree.node(path)?;
            access::require(node, author, Permissions::READ_OR_ADMIN)?;
            Ok(Response::Acl {
                acl: visible_acl(node, author),
                stat: node.stat(),
            })
        }
        Read::GetEphemerals { prefix } => {
            let own = tree.ephemerals(author.session);
            let wanted = own.filter(|path| path.starts_with(prefix.as_str()));
            Ok(Response::Ephemerals(wanted.cloned().collect()))
        }
        Read::CountDescendants { path } => {
            readable(tree, author, path)?;
            let count = tree.count_descendants(path);
            Ok(Response::Count(i32::try_from(count).unwrap_or(i32::MAX)))
        }
        Read::WhoAmI => Ok(Response::Identities(author.identities.clone())),
        // A single server is always in step with itself.
        Read::Sync { path } => Ok(Response::Path(path.clone())),
    }
}

/// The answers to many reads; a failed one does not spoil the others.
pub(crate) fn answer_all(
    tree: &Tree,
    author: &Author,
    reads: &[Read],
) -> Result<Response, ErrorCode> {
    let mut parts = Vec::new();
    let mut weight = 0;
    for read in reads {
        let result = match answer(tree, author, read) {
            Ok(response) => {
                weight += response.weight();
                PartResult::Done(response)
            }
            Err(code) => PartResult::Failed(code),
        };
        if weight > MULTI_READ_LIMIT {
            return Err(ErrorCode::MarshallingError);
        }
        let op = match read {
            Read::GetChildren { .. } => op::GET_CHILDREN,
            _ => op::GET_DATA,
        };
        parts.push(Part { op, result });
    }
    Ok(Response::Multi(parts))
}

/// The watch that a read leaves behind, given how it went.
pub(crate) fn watch<'a>(
    read: &'a Read,
    result: &Result<Response, ErrorCode>,
) -> Option<(&'a str, WatchKind)> {
    let (path, kind) = match read {
        // Waiting for a node that does not exist yet is what this one is for.
        Read::Exists { path, watch: true } if matches!(result, Err(ErrorCode::NoNode)) => {
            return Some((path, WatchKind::Data));
        }
        Read::Exists { path, watch: true } | Read::GetData { path, watch: true } => {
            (path, WatchKind::Data)
        }
        Read::GetChildren { path, watch: true }
        | Read::GetChildrenAndStat { path, watch: true } => (path, WatchKind::Children),
        _ => return None,
    };
    result.is_ok().then_some((path, kind))
}

fn readable<'a>(tree: &'a Tree, author: &Author, path: &str) -> Result<&'a Node, ErrorCode> {
    let node = tree.node(path)?;
    access::require(node, author, Permissions::READ)?;
    Ok(node)
}

fn children(node: &Node) -> Vec<String> {
    node.children.iter().cloned().collect()
}

/// Only who administers a node sees the hashes in its list.
fn visible_acl(node: &Node, author: &Author) -> Arc<[Acl]> {
    if access::require(node, author, Permissions::ADMIN).is_ok() {
        return node.acl.clone();
    }
    let masked = node.acl.iter().map(|entry| Acl {
        permissions: entry.permissions,
        identity: entry.identity.masked(),
    });
    masked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::authentication::Standing;

    fn exists(path: &str) -> Read {
        Read::Exists {
            path: path.to_owned(),
            watch: true,
        }
    }

    fn get(path: &str) -> Read {
        Read::GetData {
            path: path.to_owned(),
            watch: true,
        }
    }

    fn check(read: &Read, watched: Option<WatchKind>) {
        let author = Author {
            session: 1,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        let result = answer(&Tree::new(), &author, read);
        assert_eq!(
            watch(read, &result).map(|(_, kind)| kind),
            watched,
            "{read:?}"
        );
    }

    #[test]
    fn only_exists_watches_missing_nodes() {
        check(&exists("/zookeeper"), Some(WatchKind::Data));
        check(&exists("/missing"), Some(WatchKind::Data));
        check(&exists("/bad\0"), None);
        check(&get("/zookeeper"), Some(WatchKind::Data));
        check(&get("/missing"), None);
    }

    #[test]
    fn a_missing_node_does_not_spoil_a_multi_read() {
        let author = Author {
            session: 1,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        let reads = [get("/zookeeper"), get("/missing"), get("/")];
        let Ok(Response::Multi(parts)) = answer_all(&Tree::new(), &author, &reads) else {
            panic!("a multi read succeeds as a whole")
        };
        let done = parts
            .iter()
            .map(|part| matches!(part.result, PartResult::Done(_)));
        assert_eq!(done.collect::<Vec<_>>(), [true, false, true]);
    }
}
