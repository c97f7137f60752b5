//! Access control lists and identities, as far as they are stored and shown.

use zookeeper_client::{Acl, Acls, AuthId, CreateMode, Error, Permission};

use crate::ground::{Ground, PERSISTENT};

#[tokio::test]
async fn an_access_control_list_can_be_read_and_changed() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    let (acl, stat) = client.get_acl("/a").await.unwrap();
    assert_eq!((acl.as_slice(), stat.aversion), (&*Acls::anyone_all(), 0));

    let narrower = [Acl::new(
        Permission::READ | Permission::ADMIN,
        AuthId::anyone(),
    )];
    let stat = client.set_acl("/a", &narrower, Some(0)).await.unwrap();
    assert_eq!((stat.aversion, stat.version), (1, 0));
    assert_eq!(client.get_acl("/a").await.unwrap().0, narrower);
    assert_eq!(
        client.set_acl("/a", &narrower, Some(0)).await,
        Err(Error::BadVersion)
    );
}

#[tokio::test]
async fn creator_only_stands_for_the_identities_of_the_creator() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let options = CreateMode::Persistent.with_acls(Acls::creator_all());
    let refused = client.create("/a", b"", &options).await.unwrap_err();
    assert_eq!(refused, Error::InvalidAcl);

    client.auth("digest", b"bob:secret").await.unwrap();
    client.create("/a", b"", &options).await.unwrap();
    let (acl, _) = client.get_acl("/a").await.unwrap();
    assert_eq!(acl.len(), 1);
    assert_eq!(
        (acl[0].scheme(), acl[0].permission()),
        ("digest", Permission::ALL)
    );
    assert!(acl[0].id().starts_with("bob:"));
    let users = client.list_auth_users().await.unwrap();
    assert!(
        users
            .iter()
            .any(|user| (user.scheme(), user.user()) == ("digest", "bob"))
    );
}

#[tokio::test]
async fn an_unknown_scheme_ends_the_session() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    assert_eq!(client.auth("nonsense", b"x").await, Err(Error::AuthFailed));
}
