//! Who a connection claims to be, and what that means for the access control lists it writes.

use std::net::Ipv4Addr;

use crate::digest;
use crate::protocol::{Acl, ErrorCode, Identity, Request};
use crate::secret::{Login, Proof};

/// The origin of a request: its session and the identities proven on its connection.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) session: i64,
    pub(crate) standing: Standing,
    pub(crate) identities: Vec<Identity>,
}

/// Clients have an address and a login or two; more would only fill the memory.
const IDENTITIES_MAX: usize = 32;

/// Whether a connection has proved what the server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has, or nothing is asked for.
    Served,
    /// It has, as this identity.
    LoggedIn(Identity),
    /// Not yet; it has opened its session.
    New,
    /// Not yet; it came back to a session of before.
    Returned,
}

/// What the server asks for before it serves a connection.
#[derive(Debug)]
pub(crate) enum Gate {
    Open,
    Login(Login),
}

impl Standing {
    pub(crate) fn is_served(&self) -> bool {
        matches!(self, Self::Served | Self::LoggedIn(_))
    }

    /// Whether a request is answered: before the login only those that show and change nothing.
    pub(crate) fn permits(&self, request: &Request) -> bool {
        self.is_served()
            || matches!(
                request,
                Request::Ping | Request::Auth { .. } | Request::CloseSession
            )
    }
}

impl Author {
    /// Takes note of an identity that was proved.
    fn add(&mut self, identity: Identity) -> Result<(), ErrorCode> {
        if self.identities.contains(&identity) {
            return Ok(());
        }
        if self.identities.len() >= IDENTITIES_MAX {
            return Err(ErrorCode::AuthFailed);
        }
        self.identities.push(identity);
        Ok(())
    }

    /// What an `auth` request proves.
    pub(crate) fn authenticate(
        &mut self,
        gate: &Gate,
        scheme: &str,
        credentials: &[u8],
    ) -> Result<(), ErrorCode> {
        if scheme != "digest" {
            return Err(ErrorCode::AuthFailed);
        }
        let proof = match gate {
            // The name of the server's user may be that of another login as well.
            Gate::Login(login) if !self.standing.is_served() => login.judge(credentials),
            Gate::Login(_) | Gate::Open => Proof::OfAnother,
        };
        if proof == Proof::Wrong {
            return Err(ErrorCode::AuthFailed);
        }
        let credentials = std::str::from_utf8(credentials).map_err(|_| ErrorCode::AuthFailed)?;
        let identity = Identity::new("digest", &digest::identity(credentials));
        if proof == Proof::Right {
            self.standing = Standing::LoggedIn(identity.clone());
        }
        self.add(identity)
    }

    /// Whose the nodes are that are made for their creator: of the login to the server only where there
    /// is no other, since all clients share it.
    fn own(&self) -> impl Iterator<Item = &Identity> {
        let named = || self.identities.iter().filter(|it| it.scheme != "ip");
        let shared = |it: &&Identity| self.standing == Standing::LoggedIn((*it).clone());
        let has_other = named().any(|it| !shared(&it));
        named().filter(move |it| !has_other || !shared(it))
    }
}

/// Checks an access control list and replaces `auth` entries by the author's own identities.
pub(crate) fn resolve_acl(acl: Vec<Acl>, author: &Author) -> Result<Vec<Acl>, ErrorCode> {
    let mut resolved = Vec::with_capacity(acl.len());
    for entry in acl {
        match (entry.identity.scheme.as_str(), entry.identity.id.as_str()) {
            ("world", "anyone") => push_new(&mut resolved, entry),
            ("auth", _) => {
                for identity in author.own() {
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
        let mut author = stranger();
        let proved = author.authenticate(&Gate::Open, "digest", b"bob:secret");
        assert_eq!(proved, Ok(()));
        assert_eq!(users(&author), ["bob"]);
    }

    #[test]
    fn the_login_that_all_share_owns_nodes_only_of_those_who_have_no_other() {
        let gate = Gate::Login(Login::new("onyx", "s3cret"));
        let mut author = stranger();
        author
            .authenticate(&gate, "digest", b"onyx:s3cret")
            .unwrap();
        assert_eq!(users(&author), ["onyx"]);
        author.authenticate(&gate, "digest", b"bob:secret").unwrap();
        assert_eq!(users(&author), ["bob"]);
    }

    #[test]
    fn a_wrong_secret_is_refused_and_another_login_proves_nothing_to_the_server() {
        let gate = Gate::Login(Login::new("onyx", "s3cret"));
        let mut author = stranger();
        let wrong = author.authenticate(&gate, "digest", b"onyx:s3cre");
        assert_eq!(wrong, Err(ErrorCode::AuthFailed));
        author.authenticate(&gate, "digest", b"bob:secret").unwrap();
        assert!(!author.standing.is_served());
    }

    fn stranger() -> Author {
        Author {
            session: 1,
            standing: Standing::New,
            identities: Vec::new(),
        }
    }

    /// The users whose the nodes of an author are.
    fn users(author: &Author) -> Vec<String> {
        let resolved = resolve_acl(acl("auth", ""), author).unwrap();
        let users = resolved.iter().map(|acl| acl.identity.user().to_owned());
        users.collect()
    }

    #[test]
    fn unusable_lists_are_refused() {
        let author = stranger();
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
