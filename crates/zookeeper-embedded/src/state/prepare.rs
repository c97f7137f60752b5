//! Turns a write request into a change: checks arguments and versions, names sequential nodes.

use std::sync::Arc;

use super::access::{self, Permissions};
use super::authentication::{self, Author};
use super::node::Owner;
use super::path;
use super::transaction::Change;
use super::tree::Tree;
use crate::protocol::{Create, ErrorCode, Write};

/// The change that the write amounts to, if the tree and its access control lists allow it.
pub(crate) fn prepare(tree: &Tree, author: &Author, write: Write) -> Result<Change, ErrorCode> {
    match write {
        Write::Create(create) => prepare_create(tree, author, create),
        Write::Delete { path, version } => {
            path::require_absolute(&path)?;
            if path::SYSTEM_PATHS.contains(&path.as_str()) {
                return Err(ErrorCode::BadArguments);
            }
            let parent = tree.node(path::parent(&path))?;
            access::require(parent, author, Permissions::DELETE)?;
            expect_version(version, tree.node(&path)?.history.data_version)?;
            Ok(Change::Delete { path })
        }
        Write::SetData {
            path,
            data,
            version,
        } => {
            path::validate(&path)?;
            let node = tree.node(&path)?;
            access::require(node, author, Permissions::WRITE)?;
            expect_version(version, node.history.data_version)?;
            Ok(Change::SetData { path, data })
        }
        Write::SetAcl { path, acl, version } => {
            path::validate(&path)?;
            let acl = authentication::resolve_acl(acl, author)?;
            let node = tree.node(&path)?;
            access::require(node, author, Permissions::ADMIN)?;
            expect_version(version, node.history.acl_version)?;
            Ok(Change::SetAcl {
                path,
                acl: Arc::from(acl),
            })
        }
        Write::Check { path, version } => {
            path::validate(&path)?;
            let node = tree.node(&path)?;
            access::require(node, author, Permissions::READ)?;
            expect_version(version, node.history.data_version)?;
            Ok(Change::Check { path })
        }
    }
}

fn prepare_create(tree: &Tree, author: &Author, create: Create) -> Result<Change, ErrorCode> {
    let kind = Kind::from_request(create.flags, create.ttl_ms)?;
    let mut path = create.path;
    path::require_absolute(&path)?;
    let acl = authentication::resolve_acl(create.acl, author)?;
    let parent = tree.node(path::parent(&path))?;
    access::require(parent, author, Permissions::CREATE)?;
    if kind.naming == Naming::Sequential {
        path.push_str(&format!("{:010}", parent.history.children_created));
    }
    // Only now, because "/parent/" is a fine prefix of a sequential name.
    path::validate(&path)?;
    let owner = match kind.lifetime {
        Lifetime::Persistent => Owner::Nobody,
        Lifetime::Ephemeral => Owner::Session(author.session),
        Lifetime::Container => Owner::Container,
        Lifetime::TimeToLive(ttl) => Owner::TimeToLive(ttl),
    };
    Ok(Change::Create {
        path,
        data: create.data,
        acl: Arc::from(acl),
        owner,
    })
}

/// Minus one expects any version.
fn expect_version(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == actual {
        Ok(())
    } else {
        Err(ErrorCode::BadVersion)
    }
}

/// What the flags of a create request ask for.
struct Kind {
    lifetime: Lifetime,
    naming: Naming,
}

enum Lifetime {
    Persistent,
    Ephemeral,
    Container,
    TimeToLive(i64),
}

#[derive(PartialEq, Eq)]
enum Naming {
    AsGiven,
    Sequential,
}

impl Kind {
    fn from_request(flags: i32, ttl_ms: Option<i64>) -> Result<Self, ErrorCode> {
        let ttl = || match ttl_ms {
            Some(ttl @ 1..=Owner::MAX_TTL) => Ok(Lifetime::TimeToLive(ttl)),
            _ => Err(ErrorCode::BadArguments),
        };
        let (lifetime, naming) = match flags {
            0 => (Lifetime::Persistent, Naming::AsGiven),
            1 => (Lifetime::Ephemeral, Naming::AsGiven),
            2 => (Lifetime::Persistent, Naming::Sequential),
            3 => (Lifetime::Ephemeral, Naming::Sequential),
            4 => (Lifetime::Container, Naming::AsGiven),
            5 => (ttl()?, Naming::AsGiven),
            6 => (ttl()?, Naming::Sequential),
            _ => return Err(ErrorCode::BadArguments),
        };
        Ok(Self { lifetime, naming })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Acl, CreateReply, Payload};
    use crate::state::authentication::Standing;
    use crate::state::transaction::Stamp;

    fn create(path: &str, flags: i32, ttl_ms: Option<i64>) -> Write {
        Write::Create(Create {
            path: path.to_owned(),
            data: Payload::default(),
            acl: vec![Acl::anyone()],
            flags,
            ttl_ms,
            reply: CreateReply::PathAndStat,
        })
    }

    fn check(write: Write, expected: Result<(&str, Owner), ErrorCode>) {
        let author = Author {
            session: 9,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        let prepared = prepare(&Tree::new(), &author, write);
        let expected = expected.map(|(path, owner)| Change::Create {
            path: path.to_owned(),
            data: Payload::default(),
            acl: Arc::from([Acl::anyone()]),
            owner,
        });
        assert_eq!(prepared, expected);
    }

    #[test]
    fn flags_decide_name_and_owner() {
        check(create("/a", 0, None), Ok(("/a", Owner::Nobody)));
        check(create("/a", 1, None), Ok(("/a", Owner::Session(9))));
        check(create("/a-", 2, None), Ok(("/a-0000000000", Owner::Nobody)));
        check(create("/", 3, None), Ok(("/0000000000", Owner::Session(9))));
        check(create("/a", 4, None), Ok(("/a", Owner::Container)));
        check(create("/a", 5, Some(10)), Ok(("/a", Owner::TimeToLive(10))));
    }

    #[test]
    fn bad_arguments_of_create() {
        for write in [
            create("/a", 7, None),
            create("/a", 5, None),
            create("/a", 5, Some(0)),
            create("/a", 5, Some(Owner::MAX_TTL + 1)),
            create("/.", 0, None),
            create("/zookeeper/", 0, None),
            create("a", 2, None),
        ] {
            check(write, Err(ErrorCode::BadArguments));
        }
        // As in ZooKeeper, the parent is looked up before the rest of the path is judged.
        check(create("/a/", 0, None), Err(ErrorCode::NoNode));
    }

    #[test]
    fn versions_must_match_unless_any_will_do() {
        let mut tree = Tree::new();
        let author = Author {
            session: 9,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        let stamp = Stamp { zxid: 1, time: 1 };
        let change = prepare(&tree, &author, create("/a", 0, None)).unwrap();
        tree.apply(stamp, &change).unwrap();
        for (version, expected) in [(-1, true), (0, true), (1, false)] {
            let write = Write::Delete {
                path: "/a".to_owned(),
                version,
            };
            assert_eq!(
                prepare(&tree, &author, write).is_ok(),
                expected,
                "{version}"
            );
        }
    }

    #[test]
    fn system_nodes_stay() {
        let author = Author {
            session: 9,
            standing: Standing::Served,
            identities: Vec::new(),
        };
        for path in path::SYSTEM_PATHS {
            let write = Write::Delete {
                path: path.to_owned(),
                version: -1,
            };
            assert_eq!(
                prepare(&Tree::new(), &author, write),
                Err(ErrorCode::BadArguments)
            );
        }
    }
}
