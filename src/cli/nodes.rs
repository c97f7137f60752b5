//! `onyx-node nodes`: the nodes of the cluster, and those that have left it.

use super::args::NodesArgs;
use super::client::{Client, ClientError, finish, number, text};
use super::console::Console;
use super::exit::Exit;
use super::table::table;
use crate::clock::utc_text;
use crate::nearest::counted;
use serde_json::Value;

/// Lists the nodes of the cluster.
pub(super) fn nodes(args: &NodesArgs, console: &mut Console) -> Exit {
    let exit = Client::new(&args.node).and_then(|client| ask(&client, console));
    finish(exit, console)
}

fn ask(client: &Client, console: &mut Console) -> Result<Exit, ClientError> {
    let answer = client.get("/nodes")?;
    if !answer.is_success() {
        return Ok(answer.complain(console));
    }
    let list = &answer.body;
    console.answer(|| list.clone(), || described(list));
    Ok(Exit::Done)
}

fn described(list: &Value) -> String {
    let mut rows = vec![["NODE", "PEERS", "WORKING", "JOBS", "TAGS"].map(String::from)];
    for node in list["nodes"].as_array().into_iter().flatten() {
        let tags = node["tags"].as_array().into_iter().flatten();
        let tags: Vec<&str> = tags.filter_map(Value::as_str).collect();
        rows.push([
            name(node, node["is-this"] == true),
            number(node, "peers-joined").to_string(),
            number(node, "peers-working").to_string(),
            node["jobs"].as_array().map_or(0, Vec::len).to_string(),
            tags.join(" "),
        ]);
    }
    let mut shown = table(&rows);
    for departure in list["departed"].as_array().into_iter().flatten() {
        let at = departure["at-ms"].as_u64();
        let at = at.map_or_else(String::new, |at| format!("{}: ", utc_text(at)));
        shown += &format!(
            "\n{at}node {} left the cluster with {}, by entry {}",
            name(departure, false),
            counted(number(departure, "peers"), "peer", "peers"),
            number(departure, "entry"),
        );
    }
    shown
}

/// The name of a node; the one that answers is marked.
fn name(node: &Value, is_this: bool) -> String {
    let name = match (text(node, "name"), text(node, "node")) {
        ("", "") => text(node, "group"),
        ("", name) | (name, _) => name,
    };
    match is_this {
        true => format!("{name} (this)"),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_are_listed_with_those_that_left() {
        let list = json!({
            "nodes": [
                { "name": "a:8080", "is-this": true, "peers-joined": 4, "peers-working": 3,
                  "jobs": ["x"], "tags": ["gpu", "ssd"] },
                { "name": "b:8080", "is-this": false, "peers-joined": 4, "peers-working": 0,
                  "jobs": [], "tags": [] },
            ],
            "departed": [{ "node": "c:8080", "peers": 4, "entry": 71, "at-ms": 1_000 }],
        });
        let expected = "\
NODE           PEERS  WORKING  JOBS  TAGS
a:8080 (this)  4      3        1     gpu ssd
b:8080         4      0        0
1970-01-01 00:00:01 UTC: node c:8080 left the cluster with 4 peers, by entry 71";
        assert_eq!(described(&list), expected);
    }
}
