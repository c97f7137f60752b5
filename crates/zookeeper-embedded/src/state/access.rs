//! Who may do what: the access control list of a node against the identities of a connection.

use std::net::IpAddr;

use super::authentication::Author;
use super::node::Node;
use crate::protocol::{Acl, ErrorCode, Identity};

/// What an entry of an access control list can permit: the bits of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions(i32);

impl Permissions {
    pub(crate) const READ: Self = Self(1);
    pub(crate) const WRITE: Self = Self(2);
    /// Of children.
    pub(crate) const CREATE: Self = Self(4);
    /// Of children.
    pub(crate) const DELETE: Self = Self(8);
    pub(crate) const ADMIN: Self = Self(16);
    pub(crate) const READ_OR_ADMIN: Self = Self(1 | 16);
}

/// Refuses unless the node's list gives the author one of the permissions.
pub(crate) fn require(node: &Node, author: &Author, any_of: Permissions) -> Result<(), ErrorCode> {
    if permits(&node.acl, author, any_of) {
        Ok(())
    } else {
        Err(ErrorCode::NoAuth)
    }
}

/// Whether a list gives the author one of the permissions.
pub(crate) fn permits(acl: &[Acl], author: &Author, any_of: Permissions) -> bool {
    let permits = |entry: &Acl| {
        entry.permissions & any_of.0 != 0 && is_meant(&entry.identity, &author.identities)
    };
    // As in ZooKeeper, no list at all keeps nobody out.
    acl.is_empty() || acl.iter().any(permits)
}

fn is_meant(entry: &Identity, identities: &[Identity]) -> bool {
    let of_scheme = || identities.iter().filter(|it| it.scheme == entry.scheme);
    match entry.scheme.as_str() {
        "world" => entry.id == "anyone",
        "ip" => of_scheme().any(|own| is_in_network(&own.id, &entry.id)),
        _ => of_scheme().any(|own| own.id == entry.id),
    }
}

/// Whether an address is the one of a pattern, or in its network, as in `10.0.0.0/8`.
fn is_in_network(address: &str, pattern: &str) -> bool {
    let (network, bits) = match pattern.split_once('/') {
        Some((network, bits)) => (network, bits.parse().ok()),
        None => (pattern, Some(u32::BITS)),
    };
    let (Ok(IpAddr::V4(address)), Ok(IpAddr::V4(network)), Some(bits)) =
        (address.parse(), network.parse(), bits)
    else {
        return false;
    };
    let host_bits = u32::BITS.saturating_sub(bits);
    let network_part = |address: std::net::Ipv4Addr| u64::from(u32::from(address)) >> host_bits;
    network_part(address) == network_part(network)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::Payload;
    use crate::state::authentication::Standing;
    use crate::state::node::Owner;
    use crate::state::transaction::Stamp;

    fn check(scheme: &str, id: &str, expected: bool) {
        let author = Author {
            session: 1,
            standing: Standing::Served,
            identities: vec![
                Identity::new("ip", "10.1.2.3"),
                Identity::new("digest", "bob:hash"),
            ],
        };
        let entry = Acl {
            permissions: 1,
            identity: Identity::new(scheme, id),
        };
        let node = Node::new(
            Payload::default(),
            Arc::from([entry]),
            Owner::Nobody,
            Stamp::default(),
        );
        let allowed = require(&node, &author, Permissions::READ).is_ok();
        assert_eq!(allowed, expected, "{scheme}:{id}");
        assert_eq!(
            require(&node, &author, Permissions::WRITE),
            Err(ErrorCode::NoAuth)
        );
        let either = require(&node, &author, Permissions::READ_OR_ADMIN);
        assert_eq!(either.is_ok(), expected);
    }

    #[test]
    fn an_entry_is_for_whom_it_names() {
        check("world", "anyone", true);
        check("digest", "bob:hash", true);
        check("digest", "bob:other", false);
        check("sasl", "bob:hash", false);
    }

    #[test]
    fn an_address_is_in_its_networks() {
        for (pattern, expected) in [
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("10.0.0.0/8", true),
            ("10.1.2.0/31", false),
            ("10.1.2.0/30", true),
            ("11.0.0.0/8", false),
            ("0.0.0.0/0", true),
        ] {
            check("ip", pattern, expected);
        }
    }
}
