//! Who a connection claims to be, and what that means for the access control lists it writes.

use std::net::Ipv4Addr;

use crate::digest;
use crate::protocol::{Acl, ErrorCode, Identity};

/// The origin of a request: its session and the identities proven on its connection.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) session: i64,
    pub(crate) identities: Vec<Identity>,
}

/// The identity that an `auth` request proves.
pub(crate) fn authenticate(scheme: &str, credentials: &[u8]) -> Result<Identity, ErrorCode> {
    let credentials = std::str::from_utf8(credentials).map_err(|_| ErrorCode::AuthFailed)?;
    match scheme {
        "digest" => Ok(Identity::new("digest", &digest::identity(credentials))),
        _ => Err(ErrorCode::AuthFailed),
    }
}

/// Checks an access control list and replaces `auth` entries by the author's own identities.
pub(crate) fn resolve_acl(acl: Vec<Acl>, author: &Author) -> Result<Vec<Acl>, ErrorCode> {
    let mut resolved = Vec::with_capacity(acl.len());
    for entry in acl {
        match (entry.identity.scheme.as_str(), entry.identity.id.as_str()) {
            ("world", "anyone") => push_new(&mut resolved, entry),
            ("auth", _) => {
                let own = author
                    .identities
                    .iter()
                    .filter(|identity| identity.scheme != "ip");
                for identity in own {
                    let permissions = entry.permissions;
                    push_new(
                        &mut resolved,
                        Acl {
                            permissions,
                            identity: identity.clone(),
                        },
                    );
                }
            }
            ("digest", id) if id.split(':').count() == 2 => push_new(&mut resolved, entry),
            ("ip", id) if is_address_pattern(id) => push_new(&mut resolved, entry),
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if resolved.is_empty() {
        Err(ErrorCode::InvalidAcl)
    } else {
        Ok(resolved)
    }
}

fn push_new(acl: &mut Vec<Acl>, entry: Acl) {
    if !acl.contains(&entry) {
        acl.push(entry);
    }
}

/// An address, or a network such as `10.0.0.0/8`. ZooKeeper knows only those of version 4.
fn is_address_pattern(pattern: &str) -> bool {
    let (address, bits) = pattern.split_once('/').unwrap_or((pattern, "32"));
    address.parse::<Ipv4Addr>().is_ok() && bits.parse().is_ok_and(|bits: u8| bits <= 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(scheme: &str, id: &str) -> Vec<Acl> {
        vec![Acl {
            permissions: 1,
            identity: Identity::new(scheme, id),
        }]
    }

    #[test]
    fn auth_stands_for_the_authors_identities() {
        let identity = authenticate("digest", b"bob:secret").unwrap();
        let author = Author {
            session: 1,
            identities: vec![identity.clone()],
        };
        let expected = vec![Acl {
            permissions: 1,
            identity,
        }];
        assert_eq!(resolve_acl(acl("auth", ""), &author), Ok(expected));
    }

    #[test]
    fn unusable_lists_are_refused() {
        let author = Author {
            session: 1,
            identities: Vec::new(),
        };
        for acl in [
            vec![],
            acl("auth", ""),
            acl("world", "me"),
            acl("x", "y"),
            acl("digest", "a"),
        ] {
            assert_eq!(resolve_acl(acl, &author), Err(ErrorCode::InvalidAcl));
        }
        assert!(resolve_acl(acl("ip", "10.0.0.0/8"), &author).is_ok());
        assert!(resolve_acl(acl("digest", "a:b"), &author).is_ok());
    }
}
