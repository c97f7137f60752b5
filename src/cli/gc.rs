//! `onyx-node gc`: collects the log.

use super::args::GcArgs;
use super::client::{Client, ClientError, finish, number};
use super::console::Console;
use super::exit::Exit;
use crate::nearest::counted;
use serde_json::{Value, json};

/// Has a node collect the log.
pub(super) fn gc(args: &GcArgs, console: &mut Console) -> Exit {
    let exit = ask(args, console);
    finish(exit, console)
}

fn ask(args: &GcArgs, console: &mut Console) -> Result<Exit, ClientError> {
    let answer = Client::new(&args.node)?.post("/gc", &json!({}))?;
    if !answer.is_success() {
        return Ok(answer.complain(console));
    }
    let body = &answer.body;
    console.answer(|| body.clone(), || collected(&body["collected"]));
    Ok(Exit::Done)
}

fn collected(collected: &Value) -> String {
    if collected.is_null() {
        return "another node has collected the log further meanwhile".into();
    }
    let figure = |key| number(collected, key);
    format!(
        "the log is collected up to entry {}: {} left, and an origin of {}; data of {} and of {} that \
         nobody took is deleted",
        figure("position"),
        counted(figure("entries-left"), "entry is", "entries are"),
        counted(figure("origin-bytes"), "byte", "bytes"),
        counted(figure("jobs"), "job", "jobs"),
        counted(figure("not-taken"), "submission", "submissions"),
    )
}
