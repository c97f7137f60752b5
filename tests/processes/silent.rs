//! A process that is silent for longer than media drivers wait, and wakes up within its session.

use super::*;

/// Longer than `messaging.liveness-ms`, and much shorter than the session.
const SILENCE: Duration = Duration::from_secs(5);
const SESSION_MS: &str = "30000";

/// How often peers of a node began again, by reason.
fn restarts(node: &Node, reason: &str) -> u64 {
    let page = node.page("/metrics");
    let name = format!("onyx_peer_restarts_total{{reason=\"{reason}\"}}");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    let figure = line.unwrap_or_else(|| panic!("{name} is not in\n{page}"));
    figure.trim().parse().unwrap()
}

#[test]
fn a_process_whose_driver_has_given_it_up_builds_its_way_anew_and_keeps_its_session() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..ROWS).map(|n| format!("{n}\n")).collect();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.csv"), format!("n\n{rows}")).unwrap();
    let job = SPREAD
        .replace("in.csv", &at("in.csv").display().to_string())
        .replace("out.jsonl", &at("out.jsonl").display().to_string())
        .replace("batch-size: 50", "batch-size: 1\n    max-pending: 4");
    let coordination = coordination();
    let options = [("COORDINATION__SESSION_TIMEOUT_MS", SESSION_MS.to_owned())];
    let nodes = [0, 1].map(|_| start_with(&coordination, folder.path(), "aeron", &options));
    nodes.iter().for_each(Node::joined);
    let [other, mut silent] = nodes;
    let job = other.submit(&job);
    let path = format!("/jobs/{job}");
    other.until(&path, |job| job["account"]["out"].as_u64() > Some(100));
    let peers = silent.mine();
    silent.process().signal("STOP");
    pause(SILENCE);
    silent.process().signal("CONT");
    let ended = other.until(&path, |job| job["state"] == "completed");
    let told = |key: &str| ended["account"][key].as_u64().unwrap();
    assert_eq!(told("in"), ROWS as u64, "{ended}");
    assert_eq!(told("out") + told("filtered"), told("in"), "{ended}");
    let text = fs::read_to_string(at("out.jsonl")).unwrap();
    let row = |line: &str| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64();
    let written: BTreeSet<u64> = text.lines().filter_map(row).collect();
    let expected = (0..ROWS as u64).filter(|n| n % 3 != 0);
    assert!(written.into_iter().eq(expected), "rows are missing");
    // Its peers began again, since what was on their links is lost; its session is the same.
    silent.until("/health/ready", |health| health["peers-joined"] == PEERS);
    assert!(silent.mine().is_disjoint(&peers), "its peers are the same");
    assert_eq!(restarts(&silent, "transport"), PEERS);
    for node in [&other, &silent] {
        assert_eq!(restarts(node, "session"), 0);
    }
}
