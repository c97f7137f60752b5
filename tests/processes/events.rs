//! What a person can see after a crash: which node was lost, from where its inputs replay, and how many
//! rows may be there twice.

use super::process::onyx;
use super::{Node, scene};
use serde_json::Value;

fn names(nodes: &Value) -> Vec<&str> {
    let nodes = nodes["nodes"].as_array().unwrap().iter();
    nodes.map(|node| node["name"].as_str().unwrap()).collect()
}

fn own_name(node: &Node) -> String {
    let nodes = node.until("/nodes", |nodes| names(nodes).len() == 2);
    let nodes = nodes["nodes"].as_array().unwrap();
    let this = nodes.iter().find(|node| node["is-this"] == true).unwrap();
    assert!(this["peers-joined"].as_u64().unwrap() > 0, "{this}");
    this["name"].as_str().unwrap().to_owned()
}

fn printed(verb: &[&str], node: &Node) -> String {
    let words = [verb, &["--node", node.url()]].concat();
    let output = onyx(&words).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_killed_node_is_an_event_of_its_job() {
    let mut scene = scene();
    let lost = own_name(&scene.works);
    let port = scene.works.url().rsplit(':').next().unwrap().to_owned();
    assert!(lost.ends_with(&format!(":{port}")), "{lost}");
    scene.works.process().kill();
    scene.completes();

    let report = scene.other.answer(&format!("/jobs/{}", scene.job));
    let events = report["events"].as_array().unwrap();
    let event = |kind: &str| {
        let found = events.iter().find(|event| event["event"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {events:?}"))
    };
    let peers_lost = event("peers-lost");
    assert_eq!(peers_lost["node"], lost);
    assert_eq!(peers_lost["is-whole-node"], true);
    assert_eq!(peers_lost["tasks"]["read"], 1);
    let replays = event("input-replays");
    assert_eq!(replays["cause"], "taken-over");
    assert_eq!(replays["task"], "read");
    assert!(replays["from"].is_object(), "{replays}");
    assert!(replays["may-be-twice"].as_u64().unwrap() > 0, "{replays}");
    let (lost_at, replayed_at) = (&peers_lost["at-ms"], &replays["at-ms"]);
    assert!(lost_at.as_u64() <= replayed_at.as_u64(), "{events:?}");
    assert!(
        replays["saved-at-ms"].as_u64() <= lost_at.as_u64(),
        "{events:?}"
    );

    let nodes = scene.other.answer("/nodes");
    assert_eq!(names(&nodes).len(), 1, "{nodes}");
    assert_eq!(nodes["departed"][0]["node"], lost);
    let shown = printed(&["jobs", &scene.job], &scene.other);
    assert!(shown.contains(&format!("node {lost} lost: ")), "{shown}");
    assert!(shown.contains("may be there twice"), "{shown}");
    let shown = printed(&["nodes"], &scene.other);
    assert!(
        shown.contains(&format!("node {lost} left the cluster")),
        "{shown}"
    );
    let log = std::fs::read_to_string(scene.folder.path().join("log")).unwrap();
    assert!(log.contains("node left the cluster"), "{log}");
    assert!(log.contains("input replays"), "{log}");
}
