//! `onyx-node kill`: ends a job early.

use super::args::KillArgs;
use super::client::{Client, ClientError, finish, text};
use super::console::Console;
use super::exit::Exit;

/// Kills a job.
pub(super) fn kill(args: &KillArgs, console: &mut Console) -> Exit {
    let exit = ask(args, console);
    finish(exit, console)
}

fn ask(args: &KillArgs, console: &mut Console) -> Result<Exit, ClientError> {
    let client = Client::new(&args.node)?;
    let answer = client.delete(&client.path_of_job(&args.id)?)?;
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
