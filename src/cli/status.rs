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
    let exit = ask(&Client::new(&args.node), console);
    finish(exit, console)
}

fn ask(client: &Client, console: &mut Console) -> Result<Exit, ClientError> {
    let ready = client.get("/health/ready")?;
    let tree = client.get("/peers")?;
    if !tree.is_success() {
        return Ok(tree.complain(console));
    }
    let (health, tree) = (&ready.body, &tree.body);
    console.answer(
        || json!({ "health": health, "actors": tree }),
        || format!("{}\n{}", described(health), actors(tree)),
    );
    Ok(if ready.is_success() {
        Exit::Done
    } else {
        Exit::Failed
    })
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
