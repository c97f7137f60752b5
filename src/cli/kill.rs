//! `onyx-node kill`: ends a job early.

use super::args::KillArgs;
use super::client::{Client, ClientError, finish, text};
use super::console::Console;
use super::exit::Exit;
use super::jobs::path_segment;

/// Kills a job.
pub(super) fn kill(args: &KillArgs, console: &mut Console) -> Exit {
    let exit = ask(args, console);
    finish(exit, console)
}

fn ask(args: &KillArgs, console: &mut Console) -> Result<Exit, ClientError> {
    let path = format!("/jobs/{}", path_segment(&args.id));
    let answer = Client::new(&args.node).delete(&path)?;
    if !answer.is_success() {
        return Ok(answer.complain(console));
    }
    let killed = &answer.body;
    console.answer(
        || killed.clone(),
        || format!("job {} is killed", text(killed, "id")),
    );
    Ok(Exit::Done)
}
