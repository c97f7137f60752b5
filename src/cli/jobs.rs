//! `onyx-node jobs`: what a node knows of its jobs, or of one.

use super::args::JobsArgs;
use super::client::{Client, ClientError, finish, number, text, title};
use super::console::Console;
use super::exit::Exit;
use super::progress::grouped;
use super::table::table;
use crate::clock::utc_text;
use serde_json::Value;

/// Lists jobs, or tells everything about one.
pub(super) fn jobs(args: &JobsArgs, console: &mut Console) -> Exit {
    let exit = Client::new(&args.node).and_then(|client| match &args.id {
        Some(id) => one(&client, id, console),
        None => all(&client, console),
    });
    finish(exit, console)
}

fn all(client: &Client, console: &mut Console) -> Result<Exit, ClientError> {
    let answer = client.get("/jobs")?;
    if !answer.is_success() {
        return Ok(answer.complain(console));
    }
    let list = &answer.body;
    console.answer(|| list.clone(), || listed(list));
    Ok(Exit::Done)
}

fn listed(list: &Value) -> String {
    let jobs = list["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    if jobs.is_empty() {
        return "no jobs; submit one with `onyx-node submit JOB`".into();
    }
    let mut rows = vec![["ID", "NAME", "STATE", "PEERS", "WHY"].map(String::from)];
    rows.extend(jobs.iter().map(|job| {
        let [id, name, state, why] =
            ["id", "name", "state", "why"].map(|key| text(job, key).into());
        let name = Some(name).filter(|name: &String| !name.is_empty());
        let name = name.unwrap_or_else(|| "-".into());
        [id, name, state, number(job, "peers").to_string(), why]
    }));
    table(&rows)
}

fn one(client: &Client, id: &str, console: &mut Console) -> Result<Exit, ClientError> {
    let answer = client.get(&client.path_of_job(id)?)?;
    if !answer.is_success() {
        return Ok(answer.complain(console));
    }
    let job = &answer.body;
    console.answer(|| job.clone(), || described(job));
    Ok(Exit::Done)
}

fn described(job: &Value) -> String {
    let mut shown = title(job) + "\n";
    shown += &format!("state: {}\nwhy: {}\n", text(job, "state"), text(job, "why"));
    if let Some(exception) = job["exception"].as_str() {
        shown += &format!("exception: {exception}\n");
    }
    if job["account"].is_object() {
        shown += &format!("account: {}\n", account(&job["account"]));
    }
    for event in job["events"].as_array().into_iter().flatten() {
        shown += &format!("event: {}\n", event_line(event));
    }
    const COUNTS: [&str; 6] = [
        "read",
        "received",
        "emitted",
        "written",
        "completed",
        "retried",
    ];
    let mut rows = vec![row("TASK", "PEERS".into(), COUNTS.map(str::to_uppercase))];
    for task in job["tasks"].as_array().into_iter().flatten() {
        let peers = task["peers"].as_object().map_or(0, serde_json::Map::len);
        let counts = COUNTS.map(|key| grouped(number(&task["counts"], key)));
        rows.push(row(text(task, "name"), peers.to_string(), counts));
    }
    // Of one that was collected nobody knows the tasks.
    match rows.len() {
        1 => shown.trim_end().to_owned(),
        _ => shown + "counted by the peers of this node:\n" + &table(&rows),
    }
}

fn event_line(event: &Value) -> String {
    match event["at-ms"].as_u64() {
        Some(at_ms) => format!("{} {}", utc_text(at_ms), text(event, "text")),
        None => text(event, "text").to_owned(),
    }
}

/// What became of what the inputs read, on all nodes.
fn account(account: &Value) -> String {
    let part = |key: &str| format!("{} {key}", grouped(number(account, key)));
    let mut parts = ["out", "filtered", "dead-lettered", "in-flight"]
        .map(part)
        .to_vec();
    if number(account, "relinquished") > 0 {
        parts.push(part("relinquished"));
    }
    // Negative where more came out than went in; then, too, something is wrong.
    match account["unaccounted"].as_i64() {
        None | Some(0) => {}
        Some(unaccounted) => parts.push(format!("{unaccounted} unaccounted")),
    }
    format!("{} = {}", part("in"), parts.join(" + "))
}

fn row(name: &str, peers: String, counts: [String; 6]) -> [String; 8] {
    let [a, b, c, d, e, f] = counts;
    [name.to_owned(), peers, a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_is_described_with_its_tasks() {
        let counts = json!({ "read": 20000, "emitted": 20000, "completed": 19000, "retried": 1 });
        let job = json!({
            "id": "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03",
            "name": "flights",
            "state": "killed",
            "why": "killed",
            "exception": "no such column",
            "account": {
                "in": 20000, "out": 18000, "filtered": 999, "dead-lettered": 1, "in-flight": 900,
                "relinquished": 100, "unaccounted": 0,
            },
            "events": [
                { "event": "peers-lost", "at-ms": 1000,
                  "text": "node a:8080 lost: 1 peer of read-flights" },
                { "event": "input-replays", "at-ms": 2000,
                  "text": "input read-flights replays from row 17, 5 rows may be there twice" },
            ],
            "tasks": [{ "name": "read-flights", "peers": { "0": "p" }, "counts": counts }],
        });
        insta::assert_snapshot!(described(&job));
    }

    #[test]
    fn of_a_collected_job_only_what_is_known_is_shown() {
        let id = "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03";
        let job =
            json!({ "id": id, "name": "", "state": "killed", "why": "collected", "tasks": [] });
        let expected = format!("job {id}\nstate: killed\nwhy: collected");
        assert_eq!(described(&job), expected);
    }
}
