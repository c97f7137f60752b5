//! Access control lists and identities.

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
async fn a_list_keeps_out_whom_it_does_not_name() {
    let ground = Ground::prepare().await;
    let (bob, stranger) = (ground.client().await, ground.client().await);
    bob.auth("digest", b"bob:secret").await.unwrap();
    let options = CreateMode::Persistent.with_acls(Acls::creator_all());
    bob.create("/bobs", b"1", &options).await.unwrap();
    bob.create("/bobs/a", b"", &PERSISTENT).await.unwrap();
    bob.sync("/").await.unwrap();
    stranger.sync("/").await.unwrap();

    let refused = Error::NoAuth;
    assert!(stranger.check_stat("/bobs").await.unwrap().is_some());
    assert_eq!(stranger.get_data("/bobs").await.unwrap_err(), refused);
    assert_eq!(stranger.get_acl("/bobs").await.unwrap_err(), refused);
    assert_eq!(stranger.get_children("/bobs").await.unwrap_err(), refused);
    assert_eq!(
        stranger.set_data("/bobs", b"2", None).await.unwrap_err(),
        refused
    );
    assert_eq!(stranger.delete("/bobs/a", None).await, Err(refused.clone()));
    let mine = [Acl::new(Permission::ALL, AuthId::anyone())];
    assert_eq!(
        stranger.set_acl("/bobs", &mine, None).await.unwrap_err(),
        refused
    );
    let created = stranger.create("/bobs/b", b"", &PERSISTENT).await;
    assert_eq!(created.unwrap_err(), refused);

    stranger.auth("digest", b"bob:wrong").await.unwrap();
    assert_eq!(stranger.get_data("/bobs").await.unwrap_err(), refused);
    stranger.auth("digest", b"bob:secret").await.unwrap();
    assert_eq!(stranger.get_data("/bobs").await.unwrap().0, b"1");
    stranger.delete("/bobs/a", None).await.unwrap();
}

#[tokio::test]
async fn a_reader_does_not_see_the_hashes_of_a_list() {
    let ground = Ground::prepare().await;
    let (bob, reader) = (ground.client().await, ground.client().await);
    bob.auth("digest", b"bob:secret").await.unwrap();
    let acl = [
        Acl::new(Permission::ALL, AuthId::authed()),
        Acl::new(Permission::READ, AuthId::anyone()),
    ];
    let options = CreateMode::Persistent.with_acls(Acls::from(acl.as_slice()));
    bob.create("/bobs", b"", &options).await.unwrap();
    reader.sync("/").await.unwrap();
    let (seen, _) = reader.get_acl("/bobs").await.unwrap();
    assert_eq!((seen[0].scheme(), seen[0].id()), ("digest", "bob:x"));
    let (own, _) = bob.get_acl("/bobs").await.unwrap();
    assert_ne!(own[0].id(), "bob:x");
}

#[tokio::test]
async fn a_multi_request_fails_where_it_is_not_allowed() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let readable = [Acl::new(Permission::READ, AuthId::anyone())];
    let options = CreateMode::Persistent.with_acls(Acls::from(readable.as_slice()));
    client.create("/fixed", b"", &options).await.unwrap();
    let mut writer = client.new_multi_writer();
    writer.add_create("/a", b"", &PERSISTENT).unwrap();
    writer.add_set_data("/fixed", b"x", None).unwrap();
    let failed = writer.commit().await.unwrap_err();
    let expected = zookeeper_client::MultiWriteError::OperationFailed {
        index: 1,
        source: Error::NoAuth,
    };
    assert_eq!(failed, expected);
    assert_eq!(client.check_stat("/a").await, Ok(None));
}

#[tokio::test]
async fn an_unknown_scheme_ends_the_session() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    assert_eq!(client.auth("nonsense", b"x").await, Err(Error::AuthFailed));
}
