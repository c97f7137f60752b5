//! What people see of several processes from outside: traces, metrics, and what is not there.

use super::*;

/// So many roots reach every peer.
#[cfg(feature = "aeron")]
const TRACED: usize = 40;

#[cfg(feature = "aeron")]
#[test]
fn whichever_node_is_asked_tells_where_a_segment_went_on_both() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..TRACED).map(|n| format!("{n}\n")).collect();
    fs::write(folder.path().join("in.csv"), format!("n\n{rows}")).unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let job = SPREAD
        .replace("in.csv", &at("in.csv"))
        .replace("out.jsonl", &at("out.jsonl"))
        .replace("batch-size: 50", "batch-size: 1");
    let coordination = coordination();
    let options = [("TASK__TRACE_ONE_IN", "1".to_owned())];
    let start = || start_with(&coordination, folder.path(), "aeron", &options);
    let mut nodes = [start(), start()];
    nodes.iter().for_each(Node::joined);
    let job = nodes[0].submit(&job);
    for node in &nodes {
        node.until(&format!("/jobs/{job}"), |job| job["state"] == "completed");
    }
    let roots = |node: &Node| node.answer("/trace")["roots"].as_array().cloned();
    let roots = nodes.iter().filter_map(roots).flatten();
    let roots: BTreeSet<String> = roots.map(|it| it.as_str().unwrap().to_owned()).collect();
    assert_eq!(roots.len(), TRACED);
    let paths: Vec<String> = roots.iter().map(|root| format!("/trace/{root}")).collect();
    let mut seen_on = BTreeSet::new();
    for path in &paths {
        // The other's part is there when it has been published.
        let whole = |trace: &Value| {
            let of = |what: &str| events(trace).iter().any(|it| it["event"] == what);
            let ended = of("written") || of("filtered");
            trace["heard"] == "all-nodes" && of("read") && of("completed") && ended
        };
        let traces = nodes.each_ref().map(|node| node.until(path, whole));
        let mut parts = traces.each_ref().map(|trace| events(trace).clone());
        parts
            .iter_mut()
            .for_each(|part| part.sort_by_key(Value::to_string));
        assert_eq!(parts[0], parts[1]);
        let named = |key: &str| parts[0].iter().all(|event| event[key].is_string());
        assert!(named("node") && named("peer") && named("task"), "{parts:?}");
        seen_on.extend(parts[0].iter().map(|event| event["node"].to_string()));
    }
    assert_eq!(seen_on.len(), 2, "nothing has crossed");
    // What one has seen is told when it is gone, too.
    let before = nodes[1].answer(&paths[0]);
    nodes[0].process().kill();
    assert_eq!(nodes[1].answer(&paths[0]), before);
}

#[cfg(feature = "aeron")]
fn events(trace: &Value) -> &Vec<Value> {
    static NONE: Vec<Value> = Vec::new();
    trace["events"].as_array().unwrap_or(&NONE)
}

#[cfg(feature = "aeron")]
#[test]
fn a_node_alone_starts_no_media_driver() {
    let has_driver = |carrier: &str| {
        let folder = TempDir::new().unwrap();
        let coordination = coordination();
        let mut node = start(&coordination, folder.path(), carrier);
        node.joined();
        let maps = format!("/proc/{}/maps", node.process().id());
        fs::read_to_string(maps).unwrap().contains("onyx-driver")
    };
    assert!(!has_driver("local"));
    // So one would be seen.
    assert!(has_driver("aeron"));
}

#[test]
fn what_happens_to_the_session_of_a_node_is_counted() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let coordination = |data: &Path| {
        let data = data.display().to_string();
        let words = ["coordination", "--listen", &address, "--data-dir", &data];
        let mut server = Process::start(&mut onyx(&words), Errors::In(&folder.path().join("log")));
        server.says();
        server
    };
    let kept = folder.path().join("kept");
    let mut server = coordination(&kept);
    let options = [
        ("COORDINATION__CONNECT", address.clone()),
        ("COORDINATION__SESSION_TIMEOUT_MS", "20000".to_owned()),
    ];
    let mut command = node_command(&address, folder.path(), "local", &options);
    let mut node = Node::start(&mut command, Errors::In(&folder.path().join("log")));
    node.listens();
    node.joined();
    let figure = |name: &str| -> u64 {
        let page = node.page("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
            .trim()
            .parse()
            .unwrap()
    };
    let reconnects = || figure("onyx_zk_session_reconnects_total");
    assert_eq!(
        (reconnects(), figure("onyx_zk_session_expired_total")),
        (0, 0)
    );
    let entries = figure("onyx_log_entries");
    assert_eq!(entries, figure("onyx_replica_entry") + 1);
    server.kill();
    let _server = coordination(&kept);
    while reconnects() == 0 {
        look_again();
    }
    assert_eq!(figure("onyx_zk_session_expired_total"), 0);
    assert_eq!(figure("onyx_peer_restarts_total{reason=\"session\"}"), 0);
    assert_eq!(figure("onyx_log_entries"), entries);
}
