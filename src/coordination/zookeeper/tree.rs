//! The tree of a tenancy at the servers: made by whoever uses it, only found by whoever looks.
//!
//! What tenancies share, the chroot and `/onyx`, is open for others to begin a tenancy of their own;
//! the tenancy itself is for its login alone.

use super::Connect;
use crate::coordination::{CoordinationError, Layout};
use zookeeper_client::{Acls, Client, CreateMode, Error, MultiReadResult};

/// What somebody who looks finds.
pub(super) enum Found {
    /// The tenancy, and a client below the chroot.
    Tenancy(Client),
    /// None of that name, but these.
    Others(Vec<String>),
}

/// Makes what is missing, and makes sure that it can be used. Answers with the client below the
/// chroot.
pub(super) async fn make(client: Client, connect: &Connect) -> Result<Client, CoordinationError> {
    let refused = |error: Error| connect.refused(&error);
    let shared = connect.shared_acls();
    let (_, chroot) = connect.parts();
    for parent in parents(chroot) {
        let made = ensure(&client, parent, Acls::from(shared.as_slice())).await;
        made.map_err(refused)?;
    }
    let client = below(client, connect)?;
    let made = ensure(&client, Layout::SHARED, Acls::from(shared.as_slice())).await;
    made.map_err(refused)?;
    let layout = Layout::of(&connect.tenancy);
    for directory in layout.directories() {
        let made = ensure(&client, &directory, connect.acls()).await;
        made.map_err(refused)?;
    }
    check_use(&client, &layout).await.map_err(refused)?;
    tell_openness(&client, &layout, connect)
        .await
        .map_err(refused)?;
    Ok(client)
}

/// Looks for the tenancy and makes nothing.
pub(super) async fn find(client: Client, connect: &Connect) -> Result<Found, CoordinationError> {
    let refused = |error: Error| connect.refused(&error);
    let client = below(client, connect)?;
    match check_use(&client, &Layout::of(&connect.tenancy)).await {
        Ok(()) => Ok(Found::Tenancy(client)),
        Err(Error::NoNode) => match client.list_children(Layout::SHARED).await {
            Ok(others) => Ok(Found::Others(others)),
            Err(Error::NoNode) => Ok(Found::Others(Vec::new())),
            Err(error) => Err(refused(error)),
        },
        Err(error) => Err(refused(error)),
    }
}

/// A path and what is above it, from the top on.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let ends = ends.filter(|at| *at > 0).chain([path.len()]);
    ends.filter(|at| *at > 0).map(|at| &path[..at])
}

/// The client below its chroot.
fn below(client: Client, connect: &Connect) -> Result<Client, CoordinationError> {
    let (_, chroot) = connect.parts();
    if chroot.is_empty() {
        return Ok(client);
    }
    client
        .chroot(chroot)
        .map_err(|_| CoordinationError::Misconfigured {
            option: "coordination.connect",
            reason: format!("{chroot} is no path of a node"),
        })
}

/// A node that is there is fine, also where this login may make none.
async fn ensure(client: &Client, path: &str, acls: Acls<'_>) -> Result<(), Error> {
    let options = CreateMode::Persistent.with_acls(acls);
    match client.create(path, &[], &options).await {
        Ok(_) | Err(Error::NodeExists) => Ok(()),
        Err(Error::NoAuth) if client.check_stat(path).await?.is_some() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads what it is going to read, in the way it is going to be read: a login that is not the one of
/// the nodes, and a server that does not know the request, are told at the start.
async fn check_use(client: &Client, layout: &Layout) -> Result<(), Error> {
    let mut reader = client.new_multi_reader();
    let directories = layout.directories();
    for directory in &directories {
        reader.add_get_data(directory)?;
    }
    for answer in reader.commit().await? {
        if let MultiReadResult::Error { err } = answer {
            return Err(err);
        }
    }
    Ok(())
}

/// Says so when a login does not keep anybody out.
async fn tell_openness(client: &Client, layout: &Layout, connect: &Connect) -> Result<(), Error> {
    if connect.login.is_none() {
        return Ok(());
    }
    let (acls, _) = client.get_acl(layout.root()).await?;
    if acls.iter().any(|acl| acl.scheme() == "world") {
        tracing::warn!(
            tenancy = connect.tenancy,
            "the nodes of this tenancy were made without a login and are open to everybody"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chroot_is_made_from_the_top_on() {
        let made = |chroot| parents(chroot).collect::<Vec<_>>();
        assert_eq!(made(""), Vec::<&str>::new());
        assert_eq!(made("/a"), ["/a"]);
        assert_eq!(made("/a/b/c"), ["/a", "/a/b", "/a/b/c"]);
    }
}
