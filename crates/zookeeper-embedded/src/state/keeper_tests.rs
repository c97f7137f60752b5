//! The state machine as a whole, with time that the test decides.

use std::net::{IpAddr, Ipv4Addr};

use super::keeper::CLEANING_INTERVAL;
use super::{Attached, Connected, Fate, Gate, Keeper, Ledger, Millis, SessionLimits};
use crate::protocol::connect::Dialect;
use crate::protocol::{
    Acl, ConnectRequest, ConnectResponse, ConnectionId, Create, CreateReply, ErrorCode, EventKind,
    Identity, Payload, Read, Request, Response, WatchPaths, WatchRequest, Write,
};

const ME: ConnectionId = ConnectionId(1);
const OTHER: ConnectionId = ConnectionId(2);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn keeper() -> Keeper {
    Keeper::new(
        Gate::Open,
        Ledger::new(0),
        SessionLimits {
            min: 100,
            max: 1000,
            slept: 300,
        },
        0,
    )
}

fn hello(timeout_ms: i32) -> ConnectRequest {
    let dialect = Dialect::WithReadOnlyFlag;
    ConnectRequest {
        last_zxid_seen: 0,
        timeout_ms,
        session: 0,
        password: Vec::new(),
        dialect,
    }
}

fn attach(keeper: &mut Keeper, id: ConnectionId, request: &ConnectRequest) -> ConnectResponse {
    match keeper.connect(id, ADDRESS, request, 0) {
        Connected::Attached(Attached { response, .. }) => response,
        other => panic!("{other:?}"),
    }
}

fn create(path: &str, flags: i32) -> Request {
    Request::Write(Write::Create(Create {
        path: path.to_owned(),
        data: Payload::default(),
        acl: vec![Acl::anyone()],
        flags,
        ttl_ms: None,
        reply: CreateReply::Path,
    }))
}

fn delete(path: &str) -> Request {
    Request::Write(Write::Delete {
        path: path.to_owned(),
        version: -1,
    })
}

fn watch(path: &str) -> Request {
    Request::Read(Read::Exists {
        path: path.to_owned(),
        watch: true,
    })
}

fn serve(
    keeper: &mut Keeper,
    id: ConnectionId,
    request: Request,
    now: Millis,
) -> Result<Response, ErrorCode> {
    keeper
        .serve(id, request, now)
        .expect("the connection has a session")
        .result
}

#[test]
fn time_outs_are_negotiated() {
    let mut keeper = keeper();
    for (id, wanted, granted) in [(1, 5, 100), (2, 500, 500), (3, 5000, 1000), (4, -1, 100)] {
        let response = attach(&mut keeper, ConnectionId(id), &hello(wanted));
        assert_eq!(response.timeout_ms, granted);
    }
}

#[test]
fn an_expired_session_takes_its_nodes_and_its_connection() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    attach(&mut keeper, OTHER, &hello(1000));
    serve(&mut keeper, ME, create("/e", 1), 0).unwrap();
    serve(&mut keeper, OTHER, watch("/e"), 0).unwrap();
    serve(&mut keeper, ME, Request::Ping, 50).unwrap();
    assert!(keeper.tick(149).closed.is_empty());

    let effects = keeper.tick(150);
    assert_eq!(effects.closed, [ME]);
    let notification = &effects.notifications[0];
    assert_eq!(
        (notification.connection, notification.kind),
        (OTHER, EventKind::Deleted)
    );
    assert!(keeper.serve(ME, Request::Ping, 150).is_none());
    assert_eq!(keeper.figures().sessions, 1);
}

#[test]
fn what_a_server_sleeps_through_is_no_silence_of_its_clients() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    assert!(keeper.tick(90).closed.is_empty());
    assert!(keeper.tick(5_000).closed.is_empty());
    assert!(keeper.tick(5_009).closed.is_empty());
    assert_eq!(keeper.tick(5_010).closed, [ME]);
}

#[test]
fn a_session_survives_its_connection_and_moves_to_another() {
    let mut keeper = keeper();
    let granted = attach(&mut keeper, ME, &hello(100));
    serve(&mut keeper, ME, watch("/a"), 0).unwrap_err();
    let password = granted.password.to_vec();
    let again = ConnectRequest {
        session: granted.session,
        password,
        ..hello(200)
    };
    let connected = keeper.connect(OTHER, ADDRESS, &again, 10);
    let response = ConnectResponse {
        timeout_ms: 200,
        ..granted
    };
    let displaced = Some(ME);
    assert_eq!(
        connected,
        Connected::Attached(Attached {
            response,
            displaced
        })
    );
    assert!(keeper.serve(ME, Request::Ping, 10).is_none());
    assert_eq!(keeper.figures().watches, 0);

    keeper.disconnect(ME, 0);
    assert!(keeper.tick(209).closed.is_empty());
    assert_eq!(keeper.tick(210).closed, [OTHER]);
    assert_eq!(keeper.connect(ME, ADDRESS, &again, 210), Connected::Expired);
}

#[test]
fn a_client_from_the_future_belongs_elsewhere() {
    let request = ConnectRequest {
        last_zxid_seen: 1,
        ..hello(100)
    };
    assert_eq!(keeper().connect(ME, ADDRESS, &request, 0), Connected::Ahead);
}

#[test]
fn closing_removes_ephemerals_at_once() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    serve(&mut keeper, ME, create("/e", 1), 0).unwrap();
    let served = keeper.serve(ME, Request::CloseSession, 0).unwrap();
    assert_eq!(
        (served.result, served.fate),
        (Ok(Response::Empty), Fate::Ends)
    );
    assert_eq!(
        (keeper.figures().ephemerals, keeper.figures().sessions),
        (0, 0)
    );
}

#[test]
fn an_empty_container_is_removed_in_time() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(1000));
    serve(&mut keeper, ME, create("/c", 4), 0).unwrap();
    serve(&mut keeper, ME, create("/c/child", 0), 0).unwrap();
    serve(&mut keeper, ME, delete("/c/child"), 0).unwrap();
    serve(&mut keeper, ME, watch("/c"), 0).unwrap();
    serve(&mut keeper, ME, Request::Ping, CLEANING_INTERVAL - 1).unwrap();
    assert_eq!(keeper.tick(CLEANING_INTERVAL - 1).notifications, []);
    let kinds: Vec<_> = keeper
        .tick(CLEANING_INTERVAL)
        .notifications
        .iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, [EventKind::Deleted]);
}

#[test]
fn a_failed_write_neither_counts_nor_notifies() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    serve(&mut keeper, ME, watch("/a"), 0).unwrap_err();
    let before = keeper.figures().zxid;
    let served = keeper.serve(ME, create("/a/b", 0), 0).unwrap();
    assert_eq!(
        (served.result, served.zxid),
        (Err(ErrorCode::NoNode), before)
    );
    assert_eq!(served.notifications, []);
}

#[test]
fn what_is_not_supported_is_said_so() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    assert_eq!(
        serve(&mut keeper, ME, Request::Unknown, 0),
        Err(ErrorCode::Unimplemented)
    );
    assert_eq!(
        serve(&mut keeper, ME, Request::Reconfigure, 0),
        Err(ErrorCode::ReconfigDisabled)
    );
    let auth = Request::Auth {
        scheme: "x".to_owned(),
        credentials: Vec::new(),
    };
    let served = keeper.serve(ME, auth, 0).unwrap();
    assert_eq!(
        (served.result, served.fate),
        (Err(ErrorCode::AuthFailed), Fate::Ends)
    );
}

/// A node whose only reader is bob, made by a connection that says to be him.
fn make_bobs(keeper: &mut Keeper, bob: ConnectionId, path: &str) {
    let auth = Request::Auth {
        scheme: "digest".to_owned(),
        credentials: b"bob:secret".to_vec(),
    };
    serve(keeper, bob, auth, 0).unwrap();
    let Request::Write(Write::Create(mut wanted)) = create(path, 0) else {
        panic!("`create` makes a creation")
    };
    wanted.acl[0].identity = Identity::new("auth", "");
    serve(keeper, bob, Request::Write(Write::Create(wanted)), 0).unwrap();
}

fn told(keeper: &mut Keeper, request: Request) -> Vec<(ConnectionId, EventKind, String)> {
    let served = keeper.serve(OTHER, request, 0).unwrap();
    assert!(served.result.is_ok());
    let notifications = served.notifications.into_iter();
    notifications
        .map(|event| (event.connection, event.kind, event.path.to_string()))
        .collect()
}

#[test]
fn a_data_or_child_watch_needs_permission_to_read_and_exists_does_not() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    attach(&mut keeper, OTHER, &hello(100));
    make_bobs(&mut keeper, OTHER, "/bobs");
    let (path, watch) = ("/bobs".to_owned(), true);
    for read in [
        Read::GetData {
            path: path.clone(),
            watch,
        },
        Read::GetChildren {
            path: path.clone(),
            watch,
        },
        Read::GetChildrenAndStat {
            path: path.clone(),
            watch,
        },
    ] {
        let refused = serve(&mut keeper, ME, Request::Read(read), 0);
        assert_eq!(refused, Err(ErrorCode::NoAuth));
    }
    assert_eq!(keeper.figures().watches, 0);
    let exists = Request::Read(Read::Exists { path, watch });
    serve(&mut keeper, ME, exists, 0).unwrap();
    assert_eq!(keeper.figures().watches, 1);
}

#[test]
fn a_watch_from_above_does_not_tell_the_names_of_what_may_not_be_read() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    attach(&mut keeper, OTHER, &hello(100));
    let (path, mode) = ("/".to_owned(), 1);
    let recursive = Request::Watch(WatchRequest::Add { path, mode });
    serve(&mut keeper, ME, recursive, 0).unwrap();
    make_bobs(&mut keeper, OTHER, "/bobs");
    let open = (ME, EventKind::Created, "/bobs/open".to_owned());
    assert_eq!(told(&mut keeper, create("/bobs/open", 0)), [open]);
    let gone = (ME, EventKind::Deleted, "/bobs/open".to_owned());
    assert_eq!(told(&mut keeper, delete("/bobs/open")), [gone]);
    assert_eq!(told(&mut keeper, delete("/bobs")), []);
}

#[test]
fn what_was_missed_is_told_to_those_who_may_read_it() {
    let mut keeper = keeper();
    attach(&mut keeper, ME, &hello(100));
    attach(&mut keeper, OTHER, &hello(100));
    make_bobs(&mut keeper, OTHER, "/bobs");
    let restore = || {
        Request::Watch(WatchRequest::Set {
            relative_zxid: 0,
            paths: WatchPaths {
                data: vec!["/bobs".to_owned()],
                ..WatchPaths::default()
            },
        })
    };
    let mut missed = |id| keeper.serve(id, restore(), 0).unwrap().notifications.len();
    assert_eq!((missed(ME), missed(OTHER)), (0, 1));
}
