//! `onyx-node log show`: one entry, what it changed, and what it made peers do.

use super::Trouble;
use super::args::ShowArgs;
use super::reading::{Next, Reading};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::ids::LogPosition;
use crate::log::Step;
use crate::log::account::{account, affected};
use crate::replica::invariants::violations;
use serde_json::json;

/// Tells of an entry.
pub(super) fn show(args: &ShowArgs, console: &mut Console) -> Result<Exit, Trouble> {
    let step = crate::node::run(find(args))?;
    let mut told = account(&step, &affected(&step));
    told["entry"] = json!(step.entry.as_ref().ok());
    console.answer(|| told.clone(), || format!("{told:#}"));
    for violation in violations(&step.new, step.position) {
        console.complain(format!("after entry {}: {violation}", step.position));
    }
    Ok(Exit::Done)
}

async fn find(args: &ShowArgs) -> Result<Step, Trouble> {
    let wanted = LogPosition(args.position);
    let mut reading = Reading::open(&args.source).await?;
    let found = play_to(&mut reading, wanted).await;
    reading.close().await;
    found
}

async fn play_to(reading: &mut Reading, wanted: LogPosition) -> Result<Step, Trouble> {
    loop {
        let first = reading.next_position();
        if wanted < first {
            let message = format!(
                "entry {wanted} was collected: the log begins with {first}. GET /replica, or `log \
                 replay` of a file that was exported before, tells what it led to"
            );
            return Err(Trouble::bad_input(message));
        }
        match reading.next().await? {
            Next::Entry(recorded) => {
                let step = reading.play(recorded);
                if step.position == wanted {
                    return Ok(step);
                }
            }
            Next::Collected(_) => {}
            Next::End => {
                let message = format!("there is no entry {wanted}; the next one will be {first}");
                return Err(Trouble::bad_input(message));
            }
        }
    }
}
