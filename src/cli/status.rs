//! `onyx-node status`: whether a node can take work, and how its peers are.

use super::args::StatusArgs;
use super::client::{Client, ClientError, finish, number, text};
use super::console::Console;
use super::exit::Exit;
use super::table::table;
use crate::nearest::counted;
use serde_json::{Value, json};

/// Tells how a node is doing. Succeeds when the node is ready.
pub(super) fn status(args: &StatusArgs, console: &mut Console) -> Exit {
    let exit = ask(args, console);
    finish(exit, console)
}

fn ask(args: &StatusArgs, console: &mut Console) -> Result<Exit, ClientError> {
    let client = Client::new(&args.node)?;
    let ready = client.get("/health/ready")?;
    let mut status = json!({ "health": ready.body });
    let parts = [("nodes", "/nodes"), ("jobs", "/jobs"), ("actors", "/peers")];
    let parts = parts
        .into_iter()
        .filter(|(key, _)| *key != "actors" || args.actors);
    for (key, path) in parts {
        let answer = client.get(path)?;
        if !answer.is_success() {
            return Ok(answer.complain(console));
        }
        status[key] = match key {
            "nodes" => nodes(&answer.body),
            "jobs" => jobs(&answer.body),
            _ => answer.body,
        };
    }
    console.answer(|| status.clone(), || shown(&status));
    Ok(if ready.is_success() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// How many nodes the cluster has, and which one answers.
fn nodes(list: &Value) -> Value {
    let nodes = list["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let this = nodes.iter().find(|node| node["is-this"] == true);
    json!({ "this": this.map(|node| text(node, "name")), "joined": nodes.len() })
}

/// How many jobs there are in each state.
fn jobs(list: &Value) -> Value {
    let jobs = list["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let count = |state: &str| {
        jobs.iter()
            .filter(|job| text(job, "state") == state)
            .count()
    };
    JOB_STATES
        .map(|state| (state.to_owned(), json!(count(state))))
        .into_iter()
        .collect()
}

const JOB_STATES: [&str; 4] = ["running", "waiting", "completed", "killed"];

fn shown(status: &Value) -> String {
    let nodes = &status["nodes"];
    let joined = counted(number(nodes, "joined"), "node", "nodes");
    let this = match text(nodes, "this") {
        "" => String::new(),
        name => format!(", this is {name}"),
    };
    let jobs = &status["jobs"];
    let jobs = JOB_STATES.map(|state| format!("{} {state}", number(jobs, state)));
    let mut shown = format!(
        "{}\ncluster: {joined}{this}\njobs: {}",
        described(&status["health"]),
        jobs.join(", ")
    );
    if status["actors"].is_object() {
        shown += &format!("\n{}", actors(&status["actors"]));
    }
    shown
}

fn actors(tree: &Value) -> String {
    let mut rows = vec![["ACTOR", "STATE", "RESTARTS", "LAST CAUSE"].map(String::from)];
    add_actor(&mut rows, tree, 0);
    table(&rows)
}

fn described(body: &Value) -> String {
    let mut shown = format!(
        "{}: {} of {}, log position {}",
        text(body, "status"),
        number(body, "peers-joined"),
        counted(number(body, "peers-wanted"), "peer", "peers"),
        body["position"]
            .as_u64()
            .map_or("none".into(), |position| position.to_string()),
    );
    for reason in body["reasons"].as_array().into_iter().flatten() {
        shown += &format!("\n  {}", reason.as_str().unwrap_or_default());
    }
    shown
}

fn add_actor(rows: &mut Vec<[String; 4]>, actor: &Value, depth: usize) {
    rows.push([
        format!("{}{}", "  ".repeat(depth), text(actor, "actor")),
        text(actor, "state").to_owned(),
        number(actor, "restarts").to_string(),
        text(actor, "last-cause").to_owned(),
    ]);
    for child in actor["children"].as_array().into_iter().flatten() {
        add_actor(rows, child, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let body = json!({
            "status": "not-ready",
            "peers-joined": 3,
            "peers-wanted": 4,
            "position": null,
            "reasons": ["3 of 4 peers have joined"],
        });
        let shown = "not-ready: 3 of 4 peers, log position none\n  3 of 4 peers have joined";
        assert_eq!(described(&body), shown);
    }

    #[test]
    fn the_status_is_a_few_lines_and_actors_follow_if_asked_for() {
        let list = json!({ "jobs": [{ "state": "running" }, { "state": "killed" }] });
        let mut status = json!({
            "health": { "status": "ready", "peers-joined": 4, "peers-wanted": 4, "position": 7 },
            "nodes": nodes(&json!({ "nodes": [{ "name": "a:8080", "is-this": true }] })),
            "jobs": jobs(&list),
        });
        let few = "ready: 4 of 4 peers, log position 7\ncluster: 1 node, this is a:8080\n\
                   jobs: 1 running, 0 waiting, 0 completed, 1 killed";
        assert_eq!(shown(&status), few);
        status["actors"] = json!({ "actor": "peer-group", "state": "running", "restarts": 0 });
        assert!(
            shown(&status).starts_with(&format!("{few}\nACTOR ")),
            "{}",
            shown(&status)
        );
    }

    #[test]
    fn actors_stand_below_their_supervisors() {
        let child = json!({ "actor": "virtual-peer", "state": "idle", "restarts": 2,
            "last-cause": "panicked: x", "children": [] });
        let tree = json!({ "actor": "peer-group", "state": "running", "restarts": 0,
            "last-cause": null, "children": [child] });
        let mut rows = Vec::new();
        add_actor(&mut rows, &tree, 0);
        insta::assert_snapshot!(table(&rows));
    }
}
