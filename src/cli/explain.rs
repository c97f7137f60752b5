//! `onyx-node explain`: why a job has the peers it has, or none.

use super::args::ExplainArgs;
use super::client::{Client, ClientError, finish, text, title};
use super::console::Console;
use super::exit::Exit;
use super::table::table;
use serde_json::Value;

/// Tells why a job has its peers.
pub(super) fn explain(args: &ExplainArgs, console: &mut Console) -> Exit {
    let exit = ask(args, console);
    finish(exit, console)
}

fn ask(args: &ExplainArgs, console: &mut Console) -> Result<Exit, ClientError> {
    let client = Client::new(&args.node)?;
    let answer = client.get(&client.path_of_job(&args.id)?)?;
    if !answer.is_success() {
        return Ok(answer.complain(console));
    }
    let job = &answer.body;
    console.answer(|| job.clone(), || explained(job));
    Ok(Exit::Done)
}

fn explained(job: &Value) -> String {
    let mut shown = title(job) + "\n";
    shown += text(job, "why");
    let Some(share) = job["share"].as_str() else {
        return shown;
    };
    shown += &format!(": {share}\n");
    let mut rows = vec![["TASK", "PEERS", "WHY"].map(String::from)];
    for task in job["tasks"].as_array().into_iter().flatten() {
        let peers = task["peers"].as_object().map_or(0, serde_json::Map::len);
        let [name, why] = ["name", "why"].map(|key| text(task, key).to_owned());
        rows.push([name, peers.to_string(), why]);
    }
    shown + &table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(state: &str) -> Value {
        json!({
            "id": "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03",
            "name": "flights",
            "state": state,
            "tasks": [
                { "name": "read", "peers": { "0": "p" }, "why": "its minimum is its maximum" },
                { "name": "derive", "peers": { "0": "p", "1": "q" }, "why": "its maximum" },
            ],
        })
    }

    #[test]
    fn a_running_job_is_explained_task_by_task() {
        let mut job = job("running");
        job["why"] = "runs with 3 peers".into();
        job["share"] = "all that it can use".into();
        insta::assert_snapshot!(explained(&job), @"
        job flights (4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03)
        runs with 3 peers: all that it can use
        TASK    PEERS  WHY
        read    1      its minimum is its maximum
        derive  2      its maximum
        ");
    }

    #[test]
    fn a_waiting_job_is_explained_in_a_line() {
        let mut job = job("waiting");
        job["why"] = "waits: needs 3 peers, 2 are joined".into();
        insta::assert_snapshot!(explained(&job), @"
        job flights (4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03)
        waits: needs 3 peers, 2 are joined
        ");
    }
}
