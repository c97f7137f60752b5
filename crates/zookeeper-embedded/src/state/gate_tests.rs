//! What a server that asks for a login answers before it: nothing of what it keeps.

use std::net::{IpAddr, Ipv4Addr};

use super::{Attached, Connected, Fate, Gate, Keeper, Ledger, SessionLimits};
use crate::protocol::connect::Dialect;
use crate::protocol::{
    Acl, ConnectRequest, ConnectResponse, ConnectionId, Create, CreateReply, ErrorCode, Payload,
    Read, Request, WatchPaths, WatchRequest, Write,
};
use crate::secret::Login;

const MEMBER: ConnectionId = ConnectionId(1);
const STRANGER: ConnectionId = ConnectionId(2);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn hello(session: i64, password: Vec<u8>) -> ConnectRequest {
    ConnectRequest {
        last_zxid_seen: 0,
        timeout_ms: 1000,
        session,
        password,
        dialect: Dialect::WithReadOnlyFlag,
    }
}

fn attach(keeper: &mut Keeper, id: ConnectionId, request: &ConnectRequest) -> ConnectResponse {
    match keeper.connect(id, ADDRESS, request, 0) {
        Connected::Attached(Attached { response, .. }) => response,
        other => panic!("{other:?}"),
    }
}

fn auth(credentials: &str) -> Request {
    Request::Auth {
        scheme: "digest".to_owned(),
        credentials: credentials.as_bytes().to_owned(),
    }
}

/// A server with a node `/kept`, and a stranger who has a session and no login.
fn guarded() -> Keeper {
    let limits = SessionLimits {
        min: 100,
        max: 1000,
        slept: 300,
    };
    let gate = Gate::Login(Login::new("onyx", "s3cret"));
    let mut keeper = Keeper::new(gate, Ledger::new(0), limits, 0);
    attach(&mut keeper, MEMBER, &hello(0, Vec::new()));
    let proved = keeper.serve(MEMBER, auth("onyx:s3cret"), 0).unwrap();
    assert_eq!(proved.fate, Fate::Settles);
    let created = keeper.serve(MEMBER, Request::Write(create("/kept")), 0);
    assert!(created.unwrap().result.is_ok());
    attach(&mut keeper, STRANGER, &hello(0, Vec::new()));
    keeper
}

fn create(path: &str) -> Write {
    Write::Create(Create {
        path: path.to_owned(),
        data: Payload::default(),
        acl: vec![Acl::anyone()],
        flags: 0,
        ttl_ms: None,
        reply: CreateReply::Path,
    })
}

fn delete() -> Write {
    Write::Delete {
        path: "/kept".to_owned(),
        version: -1,
    }
}

/// One request of every kind that shows or changes something.
fn requests() -> Vec<Request> {
    let whole = [
        Request::Multi(vec![delete()]),
        Request::Multi(Vec::new()),
        Request::MultiRead(reads()),
        Request::Reconfigure,
        Request::Unknown,
    ];
    let reads = reads().into_iter().map(Request::Read);
    let writes = writes().into_iter().map(Request::Write);
    let watches = watches().into_iter().map(Request::Watch);
    reads.chain(writes).chain(watches).chain(whole).collect()
}

fn kept() -> String {
    "/kept".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn reads() -> Vec<Read> {
    let (path, watch) = (kept(), true);
    vec![
        Read::Exists {
            path: path.clone(),
            watch,
        },
        Read::GetData {
            path: path.clone(),
            watch,
        },
        Read::GetChildren {
            path: root(),
            watch,
        },
        Read::GetChildrenAndStat {
            path: root(),
            watch,
        },
        Read::GetAcl { path: path.clone() },
        Read::GetEphemerals { prefix: root() },
        Read::CountDescendants { path: root() },
        Read::WhoAmI,
        Read::Sync { path },
    ]
}

fn writes() -> Vec<Write> {
    let (path, version) = (kept(), -1);
    vec![
        create("/other"),
        delete(),
        Write::SetData {
            path: path.clone(),
            data: Payload::default(),
            version,
        },
        Write::SetAcl {
            path: path.clone(),
            acl: vec![Acl::anyone()],
            version,
        },
        Write::Check { path, version },
    ]
}

fn watches() -> Vec<WatchRequest> {
    let (path, kind) = (kept(), 3);
    let paths = WatchPaths {
        exists: vec![path.clone()],
        data: vec![path.clone()],
        ..WatchPaths::default()
    };
    vec![
        WatchRequest::Set {
            relative_zxid: 0,
            paths,
        },
        WatchRequest::Add {
            path: root(),
            mode: 1,
        },
        WatchRequest::Check {
            path: path.clone(),
            kind,
        },
        WatchRequest::Remove { path, kind },
    ]
}

#[test]
fn nothing_is_shown_or_changed_before_the_login() {
    let mut keeper = guarded();
    let before = keeper.zxid();
    for request in requests() {
        let served = keeper.serve(STRANGER, request.clone(), 0).unwrap();
        assert_eq!(served.result, Err(ErrorCode::NoAuth), "{request:?}");
        assert!(served.notifications.is_empty());
    }
    assert_eq!((keeper.zxid(), keeper.figures().watches), (before, 0));
    let served = keeper.serve(STRANGER, Request::Ping, 0).unwrap();
    assert!(
        served.result.is_ok(),
        "a client may stay while a user types"
    );
}

#[test]
fn another_login_and_a_wrong_secret_open_nothing() {
    let mut keeper = guarded();
    let other = keeper.serve(STRANGER, auth("bob:secret"), 0).unwrap();
    assert_eq!(other.fate, Fate::Stays);
    let denied = keeper.serve(STRANGER, Request::Write(delete()), 0).unwrap();
    assert_eq!(denied.result, Err(ErrorCode::NoAuth));
    let wrong = keeper.serve(STRANGER, auth("onyx:guess"), 0).unwrap();
    assert_eq!(wrong.result, Err(ErrorCode::AuthFailed));
    assert_eq!(wrong.fate, Fate::Ends);
}

#[test]
fn the_session_of_who_never_logged_in_ends_with_its_connection() {
    let mut keeper = guarded();
    assert_eq!(keeper.figures().sessions, 2);
    keeper.disconnect(STRANGER, 0);
    assert_eq!(keeper.figures().sessions, 1);
    keeper.disconnect(MEMBER, 0);
    assert_eq!(keeper.figures().sessions, 1, "a member may come back");
}

#[test]
fn who_comes_back_to_a_session_logs_in_again_and_does_not_end_it_before() {
    let mut keeper = guarded();
    let third = ConnectionId(3);
    let mine = attach(&mut keeper, third, &hello(0, Vec::new()));
    keeper.serve(third, auth("onyx:s3cret"), 0).unwrap();
    keeper.disconnect(third, 0);

    let back = hello(mine.session, mine.password.to_vec());
    for connection in [4, 5].map(ConnectionId) {
        assert_eq!(attach(&mut keeper, connection, &back).session, mine.session);
        let denied = keeper.serve(connection, Request::Write(delete()), 0);
        assert_eq!(denied.unwrap().result, Err(ErrorCode::NoAuth));
        keeper.disconnect(connection, 0);
    }
}
