//! What people read when a configuration is wrong, and that the documented one is the default.

use super::*;
use insta::assert_snapshot;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

const DOCUMENTED: &str = include_str!("../../config/onyx-node.toml");

fn read(text: &str, env: &[(&str, &str)]) -> Result<NodeConfig, ConfigError> {
    let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    NodeConfig::from_toml("node.toml", text, env)
}

fn problems(text: &str, env: &[(&str, &str)]) -> String {
    read(text, env).unwrap_err().to_string()
}

#[test]
fn the_documented_file_is_the_default_and_has_every_option() {
    let mut settings = Settings::parse("onyx-node.toml", DOCUMENTED).unwrap();
    assert_eq!(NodeConfig::read(&mut settings), NodeConfig::default());
    assert_eq!(settings.given(), settings.asked());
    settings.finish().unwrap();
}

#[test]
fn the_documented_file_has_one_comment_for_each_option() {
    for line in DOCUMENTED.lines().filter(|line| line.contains(" = ")) {
        assert!(line.contains('#'), "{line}");
    }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("", &[]).unwrap(), NodeConfig::default());
}

#[test]
fn the_environment_overrides_the_file() {
    let env = [
        ("ONYX_HTTP__PORT", "81"),
        ("ONYX_NODE__TENANCY_ID", "42"),
        ("ONYX_COORDINATION__SESSION_TIMEOUT_MS", "9000"),
        ("ONYX_HOME", "not an override"),
        ("PATH", "nor this"),
    ];
    let config = read("[http]\nport = 'overridden before it is read'", &env).unwrap();
    assert_eq!(config.http.port, 81);
    assert_eq!(config.node.tenancy_id.as_str(), "42");
    assert_eq!(config.coordination.session_timeout.as_secs(), 9);
}

#[test]
fn a_variable_that_is_nearly_an_option_is_told() {
    assert_snapshot!(problems("", &[("ONYX_HTTP_PORT", "81")]), @"environment: ONYX_HTTP_PORT: unknown variable; did you mean `ONYX_HTTP__PORT`?");
}

#[test]
fn every_problem_is_one_line() {
    let text = r#"
http.prot = 80
[node]
tenancy-id = "a/b"
peers = 0
colour = "blue"
[coordinatoin]
mode = "embedded"
[coordination]
mode = "zk"
connect = "a:2181,b"
embedded-port = 70_000
session-timeout-ms = 1.5
[log]
level = 3
[[task]]
"#;
    let env = [("ONYX_HTTP__ADRESS", "::1"), ("ONYX_NODE__PEERS", "many")];
    assert_snapshot!(problems(text, &env), @r#"
    node.toml:2: http.prot: unknown key; did you mean `port`?
    node.toml:4: node.tenancy-id: expected 1 to 64 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`, found "a/b"
    node.toml:6: node.colour: unknown key; there are `name`, `peers`, `tenancy-id`
    node.toml:7: coordinatoin: unknown section; did you mean `coordination`?
    node.toml:10: coordination.mode: expected "embedded" or "zookeeper", found "zk"
    node.toml:11: coordination.connect: expected servers as "host:port,host:port", and a node below them as "/path" if wanted, found "a:2181,b"
    node.toml:12: coordination.embedded-port: expected a port from 0 to 65535, found 70000
    node.toml:13: coordination.session-timeout-ms: expected milliseconds, an integer from 1 to 2592000000 (30 days), found a float
    node.toml:15: log.level: expected "error", "warn", "info", "debug" or "trace", found 3
    node.toml:16: task: expected a section `[task]`, found a list
    environment: ONYX_HTTP__ADRESS: unknown variable; did you mean `ONYX_HTTP__ADDRESS`?
    environment: ONYX_NODE__PEERS: expected an integer from 1 to 1073741824, found "many"
    "#);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let text = r#"
[coordination]
connection-timeout-ms = 7000
[peer]
restart-back-off-max-ms = 1000
[messaging]
ack-sweep-interval-ms = 480001
"#;
    assert_snapshot!(problems(text, &[]), @r"
    node.toml: peer.restart-back-off-min-ms: 2000 ms is longer than restart-back-off-max-ms, 1000, up to which it doubles
    node.toml:3: coordination.connection-timeout-ms: 7000 ms is more than three fifths of session-timeout-ms, 6000: the session might end before a second attempt to keep it
    node.toml:7: messaging.ack-sweep-interval-ms: 480001 ms is longer than ack-daemon-timeout-ms, 480000, which it is to notice
    ");
}

#[test]
fn tags_are_a_list_in_a_file_and_stand_between_commas_in_a_variable() {
    let tags = |text: &str, env: &[(&str, &str)]| {
        let tags = read(text, env).unwrap().peer.tags;
        tags.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tags("peer.tags = ['ssd', 'gpu', 'gpu']", &[]), "gpu ssd");
    assert_eq!(tags("peer.tags = []", &[]), "");
    let env = |value| [("ONYX_PEER__TAGS", value)];
    assert_eq!(tags("peer.tags = ['x']", &env("gpu, ssd")), "gpu ssd");
    assert_eq!(tags("peer.tags = ['x']", &env("")), "");
    assert_snapshot!(problems("peer.tags = ['a b']", &[]), @r#"node.toml:1: peer.tags: expected a list of tags, such as ["gpu", "eu-west"], each of 1 to 64 characters without spaces and commas, found ["a b"]"#);
    assert_snapshot!(problems("peer.tags = [1]", &[]), @r#"node.toml:1: peer.tags: expected a list of tags, such as ["gpu", "eu-west"], each of 1 to 64 characters without spaces and commas, found a list"#);
    assert_snapshot!(problems("", &env("gpu,,ssd")), @r#"environment: ONYX_PEER__TAGS: expected a list of tags, such as ["gpu", "eu-west"], each of 1 to 64 characters without spaces and commas, found "gpu,,ssd""#);
}

#[test]
fn a_folder_is_for_an_embedded_server() {
    let text = "[coordination]\nmode = \"zookeeper\"\ndata-dir = \"data\"\n";
    assert_snapshot!(problems(text, &[]), @r#"node.toml:3: coordination.data-dir: it is the folder of an embedded server; the mode is "zookeeper""#);
}

#[test]
fn a_mistake_in_the_syntax_names_its_line() {
    assert_snapshot!(problems("[http]\nport = \n[log\n", &[]), @r"
    node.toml:2: string values must be quoted, expected literal string
    node.toml:3: unclosed table, expected `]`
    ");
    assert_snapshot!(problems("[http]\nport = 1\nport = 2\n", &[]), @"node.toml:3: duplicate key");
}

#[test]
fn a_server_that_others_reach_needs_a_token() {
    assert_snapshot!(problems("[http]\naddress = '0.0.0.0'", &[]), @"node.toml:2: http.address: 0.0.0.0 can be reached from other machines and there is no token; set `bearer-token` or `token-file`, or listen on 127.0.0.1");
    let config = read("[http]\naddress = '0.0.0.0'\nbearer-token = 's3cret'", &[]).unwrap();
    assert_eq!(config.http.bearer_token, BearerToken::new("s3cret"));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn folders_are_a_list_in_a_file_and_stand_between_commas_in_a_variable() {
    let shown = |config: NodeConfig| format!("{:?}", config.files.read);
    let config = read("files.read = ['/a', 'b c']", &[]).unwrap();
    assert_eq!(shown(config), r#"["/a", "b c"]"#);
    let env = |value| read("", &[("ONYX_FILES__READ", value)]).unwrap();
    assert_eq!(shown(env("/a, /b")), r#"["/a", "/b"]"#);
    assert_eq!(shown(env("")), "[]");
    assert_eq!(shown(read("", &[]).unwrap()), r#"["/"]"#);
    assert_snapshot!(problems("files.write = '/a'", &[]), @r#"node.toml:1: files.write: expected a list of folders, such as ["/srv/in", "/srv/more"], found "/a""#);
}

#[test]
fn what_other_machines_reach_brings_jobs_of_others() {
    let exposed = |text: &str| {
        let config = read(text, &[]).unwrap();
        config
            .http
            .exposed()
            .or_else(|| config.coordination.exposed())
    };
    let ensemble = "coordination.mode = 'zookeeper'\ncoordination.connect";
    assert_eq!(exposed(""), None);
    assert_eq!(exposed("http.address = '::1'"), None);
    let here = format!("{ensemble} = '127.0.0.1:2181,[::1]:2181,localhost:2181/onyx'");
    assert_eq!(exposed(&here), None);
    assert_snapshot!(exposed("[http]\naddress = '10.0.0.1'\nbearer-token = 'a'").unwrap(), @"other machines reach http.address, 10.0.0.1");
    assert_snapshot!(exposed(&format!("{ensemble} = 'localhost:2181,zk2:2181'")).unwrap(), @"other machines write the log at coordination.connect, localhost:2181,zk2:2181");
}

#[test]
fn a_token_can_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let env = [("ONYX_HTTP__TOKEN_FILE", file.to_str().unwrap())];
    let config = read("http.address = '0.0.0.0'", &env).unwrap();
    assert_eq!(config.http.bearer_token, BearerToken::new("s3cret"));
}

#[test]
fn a_token_that_cannot_be_used_is_refused_without_being_shown() {
    assert_snapshot!(problems("http.token-file = '/nowhere/token'", &[]), @"node.toml:1: http.token-file: cannot read /nowhere/token: No such file or directory (os error 2)");
    assert_snapshot!(problems("http.bearer-token = 'two words'", &[]), @"node.toml:1: http.bearer-token: expected a token of printable ASCII characters without spaces");
    assert_snapshot!(problems("[http]\nbearer-token = 'a'\ntoken-file = 'b'", &[]), @"node.toml:3: http.token-file: there is a `bearer-token` too; set one of the two");
}

#[cfg(not(feature = "aeron"))]
#[test]
fn a_transport_that_was_not_built_is_refused() {
    assert_snapshot!(problems("messaging.transport = 'aeron'", &[]), @r#"node.toml:1: messaging.transport: this binary was built without Aeron; use "local", or build with `--features aeron`"#);
}

#[cfg(feature = "aeron")]
#[test]
fn a_transport_that_was_built_can_be_chosen() {
    let config = read("messaging.transport = 'aeron'", &[]).unwrap();
    assert_eq!(config.messaging.transport, Transport::Aeron);
}

#[test]
fn what_aeron_cannot_use_is_refused() {
    let text = r#"
[messaging]
address = "0.0.0.0"
driver = "internal"
driver-directory = ""
term-bytes = 100_000
mtu-bytes = 1500
liveness-ms = 900
local-peers = "none"
"#;
    assert_snapshot!(problems(text, &[]), @r#"
    node.toml:3: messaging.address: 0.0.0.0 leads nowhere from other machines; give the address that they reach
    node.toml:4: messaging.driver: expected "embedded" or "external", found "internal"
    node.toml:5: messaging.driver-directory: expected the path of a directory
    node.toml:6: messaging.term-bytes: expected a power of two from 65536 to 1073741824, found 100000
    node.toml:7: messaging.mtu-bytes: expected 0, or a multiple of 32 from 256 to 65504, found 1500
    node.toml:8: messaging.liveness-ms: expected 1001 to 60000, found 900
    node.toml:9: messaging.local-peers: expected "memory" or "aeron", found "none"
    "#);
}

#[test]
fn a_login_has_its_password_in_a_file_and_tls_is_for_an_ensemble() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let text = r#"
[coordination]
mode = "zookeeper"
digest-user = "onyx"
tls-ca-file = "ca.pem"
tls-cert-file = "node.pem"
tls-key-file = "node.key"
"#;
    let env = [(
        "ONYX_COORDINATION__DIGEST_PASSWORD_FILE",
        file.to_str().unwrap(),
    )];
    let config = read(text, &env).unwrap().coordination;
    assert_eq!(config.login, DigestLogin::new("onyx", "s3cret"));
    assert!(!format!("{config:?}").contains("s3cret"));
    let identity = Some(TlsIdentityFiles {
        certificate: "node.pem".into(),
        key: "node.key".into(),
    });
    let ca = "ca.pem".into();
    assert_eq!(config.tls, Some(TlsFiles { ca, identity }));

    let embedded = "coordination.tls-ca-file = 'ca.pem'";
    assert_snapshot!(problems(embedded, &[]), @r#"node.toml:1: coordination.tls-ca-file: an embedded server speaks no TLS; it is for `mode = "zookeeper"`"#);
}

#[test]
fn half_a_login_and_half_of_tls_are_refused() {
    let told = |options: &str| {
        let options = options.replace(", ", "\n");
        problems(
            &format!("[coordination]\nmode = 'zookeeper'\n{options}"),
            &[],
        )
    };
    assert_snapshot!(told("digest-user = 'a'"), @"node.toml:3: coordination.digest-user: there is no `digest-password` or `digest-password-file` to it");
    assert_snapshot!(told("digest-password = 's3cret'"), @"node.toml:3: coordination.digest-password: there is no `digest-user` to it");
    assert_snapshot!(told("digest-user = 'a:b', digest-password = 's3cret'"), @"node.toml:3: coordination.digest-user: expected a name without a colon");
    assert_snapshot!(told("digest-password = 's3cret', digest-password-file = 'f'"), @"node.toml:4: coordination.digest-password-file: there is a `digest-password` too; set one of the two");
    assert_snapshot!(told("digest-user = 'a', digest-password-file = '/nowhere/it'"), @"node.toml:4: coordination.digest-password-file: cannot read /nowhere/it: No such file or directory (os error 2)");
    assert_snapshot!(told("tls-cert-file = 'a'"), @"node.toml:3: coordination.tls-cert-file: there is no `tls-key-file` to it");
    assert_snapshot!(told("tls-key-file = 'a'"), @"node.toml:3: coordination.tls-key-file: there is no `tls-cert-file` to it");
    assert_snapshot!(told("tls-cert-file = 'a', tls-key-file = 'b'"), @"node.toml:3: coordination.tls-cert-file: there is no `tls-ca-file`, and so no TLS");
    assert_snapshot!(told("retry-pause-min-ms = 2000"), @"node.toml:3: coordination.retry-pause-min-ms: 2000 ms is longer than retry-pause-max-ms, 1000, up to which it doubles");
}

#[test]
fn pauses_double_up_to_the_longest() {
    let retry = RetryConfig::default();
    let pauses = [1, 2, 3, 5, 6, 7, usize::MAX].map(|n| retry.pause_after(n).as_millis());
    assert_eq!(pauses, [50, 100, 200, 800, 1000, 1000, 1000]);
}

#[test]
fn connect_strings_name_servers_and_a_node() {
    for good in [
        "a:1",
        "a:1,b:2",
        "[::1]:2181",
        "a:2181/onyx/prod",
        "10.0.0.1:2181",
    ] {
        assert!(ConnectString::new(good).is_some(), "{good}");
    }
    for bad in [
        "", "a", "a:", ":1", "a:0", "a:1,", "::1:2181", "a:1/", "a:1/x//y", "a :1",
    ] {
        assert!(ConnectString::new(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = NodeConfig::load(Path::new("/nowhere/onyx-node.toml")).unwrap_err();
    assert_snapshot!(error, @"/nowhere/onyx-node.toml: cannot read the configuration: No such file or directory (os error 2)");
}
