//! Logins, with every server, and TLS, with Apache ZooKeeper: whoever is not let in is told so at the
//! start.

use crate::ground::{fresh_tenancy, peer};
use crate::zookeeper_server::{Need, ZooKeeperServer, is_wanted};
use onyx::config::{DigestLogin, TlsFiles, TlsIdentityFiles};
use onyx::coordination::zookeeper::{Connect, Found, ZooKeeper};
use onyx::coordination::{Coordination, CoordinationError, Node, Put};
use onyx::ids::LogPosition;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, Error, Permission};

/// Runs a test with an embedded server, and with Apache ZooKeeper where that is wanted.
fn with_servers(test: impl AsyncFn(String)) {
    onyx::run(async {
        let config = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(config).await.unwrap();
        test(server.connect_string()).await;
        server.stop().await;
        if is_wanted(Need::OneServer) {
            test(ZooKeeperServer::shared().await.connect_string()).await;
        }
    });
}

fn with_login(connect: &Connect, user: &str, password: &str) -> Connect {
    Connect {
        login: DigestLogin::new(user, password),
        ..connect.clone()
    }
}

async fn refusal(connect: &Connect) -> String {
    match ZooKeeper::connect(connect).await {
        Ok(_) => panic!("it was let in"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn with_a_login_everything_of_a_tenancy_is_made_for_it_alone() {
    with_servers(async |servers| {
        let root = fresh_tenancy();
        let open = Connect::to(format!("{servers}/{root}"), "default");
        let connect = with_login(&open, "onyx", "s3cret:with colons");
        let session = ZooKeeper::connect(&connect).await.unwrap();
        session.append(b"entry".to_vec()).await.unwrap();
        session.create_pulse(peer(1)).await.unwrap();
        session
            .put(Node::Origin, b"it".to_vec(), Put::Always)
            .await
            .unwrap();

        let client = Client::connector().with_auth("digest", b"onyx:s3cret:with colons");
        let client = client.connect(&servers).await.unwrap();
        let mut nodes = vec![format!("/{root}/onyx/default")];
        let mut seen = 0;
        while let Some(node) = nodes.pop() {
            let (acls, _) = client.get_acl(&node).await.unwrap();
            assert_eq!(acls.len(), 1, "{node}");
            assert_eq!(acls[0].scheme(), "digest", "{node}");
            assert!(acls[0].id().starts_with("onyx:"), "{node}");
            let children = client.list_children(&node).await.unwrap();
            nodes.extend(children.into_iter().map(|child| format!("{node}/{child}")));
            seen += 1;
        }
        assert!(seen > 18, "{seen} nodes");
    });
}

#[test]
fn what_tenancies_share_is_open_for_the_next_one() {
    with_servers(async |servers| {
        let root = fresh_tenancy();
        let at = |tenancy: &str, user: &str| {
            let connect = Connect::to(format!("{servers}/{root}/deep"), tenancy);
            with_login(&connect, user, "s3cret")
        };
        ZooKeeper::connect(&at("one", "first")).await.unwrap();
        let other = ZooKeeper::connect(&at("two", "second")).await.unwrap();
        assert_eq!(other.append(b"it".to_vec()).await, Ok(LogPosition(0)));
        let told = refusal(&at("one", "second")).await;
        assert!(told.contains("not for the login `second`"), "{told}");

        // Nobody deletes or changes what another one has made, nor who may.
        let stranger = Client::connect(&servers).await.unwrap();
        for shared in [format!("/{root}"), format!("/{root}/deep/onyx")] {
            stranger.sync(&shared).await.unwrap();
            stranger.list_children(&shared).await.unwrap();
            let changed = stranger.set_data(&shared, b"mine", None).await;
            assert_eq!(changed.unwrap_err(), Error::NoAuth, "{shared}");
            let taken = stranger.set_acl(&shared, &Acls::anyone_all(), None).await;
            assert_eq!(taken.unwrap_err(), Error::NoAuth, "{shared}");
        }
        let below = format!("/{root}/deep/onyx/one");
        let listed = stranger.list_children(&below).await;
        assert_eq!(listed.unwrap_err(), Error::NoAuth);
    });
}

#[test]
fn whoever_looks_makes_nothing_and_is_told_what_there_is() {
    with_servers(async |servers| {
        let root = fresh_tenancy();
        let connect = Connect::to(format!("{servers}/{root}"), "nothing");
        let others = async || match ZooKeeper::find(&connect).await.unwrap() {
            Found::Tenancy(_) => panic!("it is there"),
            Found::Others(others) => others,
        };
        let client = Client::connect(&servers).await.unwrap();
        assert_eq!(others().await, Vec::<String>::new());
        assert_eq!(client.check_stat(&format!("/{root}")).await, Ok(None));

        let there = Connect::to(format!("{servers}/{root}"), "there");
        ZooKeeper::connect(&there).await.unwrap();
        assert_eq!(others().await, ["there"]);
        let nothing = format!("/{root}/onyx/nothing");
        client.sync(&nothing).await.unwrap();
        assert_eq!(client.check_stat(&nothing).await, Ok(None));
        let found = ZooKeeper::find(&there).await.unwrap();
        assert!(matches!(found, Found::Tenancy(_)));
    });
}

#[test]
fn a_wrong_password_is_refused_at_the_start_without_being_shown() {
    with_servers(async |servers| {
        let connect = Connect::to(servers, fresh_tenancy());
        let right = with_login(&connect, "onyx", "s3cret");
        drop(ZooKeeper::connect(&right).await.unwrap());
        let tenancy = &connect.tenancy;
        let begins = format!(
            "coordination refused tenancy `{tenancy}` at {}: ",
            connect.address
        );
        let told = refusal(&with_login(&connect, "onyx", "gue55ed")).await;
        assert_eq!(
            told,
            begins.clone()
                + "its nodes are not for the login `onyx` with this password, or it asks for another; see \
                   coordination.digest-user and its password"
        );
        let told = refusal(&connect).await;
        let expected = begins
            + "it asks for a login, or its nodes are for one: log in with coordination.digest-user ";
        assert!(told.starts_with(&expected), "{told}");
        // As often as one likes, for whoever has the right one.
        ZooKeeper::connect(&right).await.unwrap();
    });
}

#[test]
fn a_chroot_that_was_made_for_the_login_is_enough() {
    with_servers(async |servers| {
        let root = fresh_tenancy();
        let client = async |login: &[u8]| {
            let connector = Client::connector().with_auth("digest", login);
            connector.connect(&servers).await.unwrap()
        };
        let (admin, ours) = (client(b"admin:a").await, client(b"onyx:b").await);
        let open = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let own = CreateMode::Persistent.with_acls(Acls::creator_all());
        let (root, place) = (format!("/{root}"), format!("/{root}/place"));
        admin.create(&root, b"", &open).await.unwrap();
        ours.create(&place, b"", &own).await.unwrap();
        admin
            .set_acl(&root, &[Acl::new(Permission::ALL, AuthId::authed())], None)
            .await
            .unwrap();

        let at = |chroot: &str| {
            let connect = Connect::to(format!("{servers}{chroot}"), "default");
            with_login(&connect, "onyx", "b")
        };
        let session = ZooKeeper::connect(&at(&place)).await.unwrap();
        assert_eq!(session.append(b"it".to_vec()).await, Ok(LogPosition(0)));
        let told = refusal(&at(&format!("{root}/other"))).await;
        assert!(told.contains("not for the login `onyx`"), "{told}");
    });
}

/// Who signs certificates, in files of a folder.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), &pem).unwrap();
        Authority {
            folder,
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn sign(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Files that trust this authority and show a certificate of another.
    fn files(&self, identity: &Identity) -> TlsFiles {
        fs::write(self.file("node.pem"), &identity.certificate).unwrap();
        fs::write(self.file("node.key"), &identity.key).unwrap();
        TlsFiles {
            ca: self.file("ca.pem"),
            identity: Some(TlsIdentityFiles {
                certificate: self.file("node.pem"),
                key: self.file("node.key"),
            }),
        }
    }
}

async fn secured(authority: &Authority, name: &str) -> ZooKeeperServer {
    let server = authority.sign(name);
    let pem = server.key + &server.certificate;
    ZooKeeperServer::start_with_tls(&pem, &authority.pem).await
}

/// Whoever is not let in at once is not let in later either.
fn tls(server: &ZooKeeperServer, files: TlsFiles) -> Connect {
    let mut connect = Connect::to(server.secure_address().to_string(), fresh_tenancy());
    connect.retry.connect_wait = Duration::from_millis(1);
    connect.tls = Some(files);
    connect
}

#[test]
fn tls_is_spoken_when_it_is_configured() {
    if !is_wanted(Need::OneServer) {
        return;
    }
    onyx::run(async {
        let authority = Authority::new();
        let server = secured(&authority, "127.0.0.1").await;
        let files = authority.files(&authority.sign("node"));
        let connect = tls(&server, files.clone());
        let mut with_login = with_login(&connect, "onyx", "s3cret");
        // The first handshake of a server takes its time on a machine that does much else.
        with_login.retry.connect_wait = Duration::from_secs(120);
        let session = ZooKeeper::connect(&with_login).await.unwrap();
        assert_eq!(session.append(b"it".to_vec()).await, Ok(LogPosition(0)));

        // Who has no certificate is not let in, nor who speaks no TLS, nor who comes to the port
        // that speaks none.
        let without = TlsFiles {
            identity: None,
            ..files.clone()
        };
        let told = refusal(&tls(&server, without)).await;
        assert!(
            told.contains("does it want a certificate (tls-cert-file)?"),
            "{told}"
        );
        let plain = Connect {
            tls: None,
            ..connect.clone()
        };
        let told = refusal(&plain).await;
        assert!(told.contains("is it not its port for TLS?"), "{told}");
        let other_port = Connect {
            address: server.connect_string(),
            ..connect
        };
        let told = refusal(&other_port).await;
        assert!(told.contains("is it its port for TLS"), "{told}");
    });
}

#[test]
fn servers_that_nobody_trusted_has_signed_for_their_name_are_not_used() {
    if !is_wanted(Need::OneServer) {
        return;
    }
    onyx::run(async {
        let (authority, other) = (Authority::new(), Authority::new());
        let server = secured(&authority, "somewhere.else").await;
        let node = authority.sign("node");
        for trusted in [&authority, &other] {
            let Err(error) = ZooKeeper::connect(&tls(&server, trusted.files(&node))).await else {
                panic!("it was trusted")
            };
            assert!(
                matches!(error, CoordinationError::Unreachable { .. }),
                "{error}"
            );
            assert!(
                error.to_string().contains("signed by tls-ca-file"),
                "{error}"
            );
        }
    });
}
