//! `onyx-node log` beside a node that runs.

use crate::process::{Errors, Process, onyx};
use crate::{ANY_PORT, folder, free_port, run, started};

#[test]
fn the_log_of_a_node_is_followed_explained_and_played_elsewhere() {
    let folder = folder();
    let port = free_port();
    let config = format!("{ANY_PORT}[coordination]\nembedded-port = {port}\n[node]\npeers = 3\n");
    let mut node = started(folder.path(), &config);
    let id = "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03";
    let submit = ["submit", "job.yaml", "--wait", "--id", id];
    let done = run(
        folder.path(),
        &[&submit[..], &["--node", node.url()]].concat(),
    );
    assert_eq!(done.code, Some(0), "{}", done.err);

    let log = |words: &[&str]| run(folder.path(), &[&["log"], words].concat());
    let config = ["--config", "node.toml"];
    let tail = log(&[&["tail", "--no-follow", "--lines", "1000"], &config[..]].concat());
    assert_eq!(tail.code, Some(0), "{}", tail.err);
    let submitted = " submit-job ";
    let lines: Vec<&str> = tail.out.lines().collect();
    let entry = lines.iter().position(|line| line.contains(submitted));
    let entry = entry.unwrap_or_else(|| panic!("no submission in {}", tail.out));
    assert!(lines[entry].ends_with(": applied") && lines[entry].contains(id));
    assert!(
        lines.iter().any(|line| line.contains(" seal-task ")),
        "{}",
        tail.out
    );

    let position = entry.to_string();
    let server = format!("127.0.0.1:{port}");
    let shown = log(&["show", &position, "--connect", &server]);
    let shown: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["entry"]["args"]["id"], id);
    assert_eq!(shown["diff"]["added"]["jobs"], serde_json::json!([id]));
    assert_eq!(log(&["show", "100000", "--connect", &server]).code, Some(2));

    let exported = log(&["export", "incident.jsonl", "--connect", &server]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    let again = log(&["export", "incident.jsonl", "--connect", &server]);
    assert_eq!(again.code, Some(2), "{}", again.out);
    assert_eq!(node.process().end_by("TERM").0, Some(0));

    // The cluster is gone, and its log can still be played.
    let replica = |words: &[&str]| {
        let replay = log(&[&["replay", "incident.jsonl"], words].concat());
        assert_eq!(replay.code, Some(0), "{}", replay.err);
        serde_json::from_str::<serde_json::Value>(&replay.out).unwrap()
    };
    let end = replica(&[]);
    assert_eq!(end["replica"]["completed-jobs"], serde_json::json!([id]));
    let before = replica(&["--at", &(entry - 1).to_string()]);
    assert_eq!(before["replica"]["jobs"], serde_json::json!([]));
    assert!(!before["replica"]["peers"].as_array().unwrap().is_empty());

    let nowhere = log(&["tail", "--config", "missing.toml"]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.err);
}

#[test]
fn whoever_follows_the_log_sees_it_grow_and_what_is_collected_is_told() {
    let folder = folder();
    let port = free_port();
    let config = format!("{ANY_PORT}[coordination]\nembedded-port = {port}\n[node]\npeers = 3\n");
    let node = started(folder.path(), &config);
    let words = ["log", "tail", "--config", "node.toml", "--lines", "1"];
    let mut tail = Process::start(onyx(&words).current_dir(folder.path()), Errors::Kept);
    // From its first line on it follows.
    tail.says();
    let mut sees = |what: &str| {
        loop {
            let line = tail.says();
            if line.contains(what) {
                return line;
            }
        }
    };
    let ask = |words: &[&str]| run(folder.path(), &[words, &["--node", node.url()]].concat());
    let id = "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03";
    let done = ask(&["submit", "job.yaml", "--wait", "--id", id]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let line = sees(" submit-job ");
    assert!(line.contains(id) && line.ends_with(": applied\n"), "{line}");
    assert_eq!(ask(&["gc"]).code, Some(0));
    sees(" gc");

    let log = |words: &[&str]| {
        let servers = format!("127.0.0.1:{port}");
        let source: &[&str] = match words[0] {
            "replay" => &[],
            _ => &["--connect", &servers],
        };
        run(folder.path(), &[&["log"], words, source].concat())
    };
    let shown = log(&["show", "0"]);
    assert_eq!(shown.code, Some(2), "{}", shown.out);
    let told = "entry 0 was collected: the log begins with ";
    assert!(shown.err.contains(told), "{}", shown.err);

    // A file of what is left begins with the origin, and leads to the same.
    let exported = log(&["export", "rest.jsonl"]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    let replayed = log(&["replay", "rest.jsonl"]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    let replayed: serde_json::Value = serde_json::from_str(&replayed.out).unwrap();
    let replica = node.get("/replica").unwrap();
    assert_eq!(replayed["replica"], replica["replica"]);
    let tombstones = &replayed["replica"]["tombstones"];
    assert_eq!(tombstones[id]["outcome"], "completed", "{tombstones}");
}
