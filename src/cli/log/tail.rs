//! `onyx-node log tail`: a line for each entry as it comes.

use super::Trouble;
use super::args::TailArgs;
use super::reading::{Next, Reading};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::log::Step;
use crate::log::account::line;
use std::collections::VecDeque;

/// Follows the log.
pub(super) fn tail(args: &TailArgs, console: &mut Console) -> Result<Exit, Trouble> {
    crate::node::run(follow(args, console))
}

async fn follow(args: &TailArgs, console: &mut Console) -> Result<Exit, Trouble> {
    let mut reading = Reading::open(&args.source).await?;
    // What is there already is told when its end is known.
    let mut past = Some(VecDeque::new());
    while console.is_read() {
        let told = match reading.next().await? {
            Next::Entry(recorded) => told(&reading.play(recorded)),
            Next::Collected(position) => format!("{position} and all before it were collected"),
            Next::End => {
                for line in past.take().into_iter().flatten() {
                    console.say(line);
                }
                if args.no_follow {
                    break;
                }
                reading.wait().await?;
                continue;
            }
        };
        match &mut past {
            None => console.say(told),
            Some(past) => {
                past.push_back(told);
                if past.len() > args.lines {
                    past.pop_front();
                }
            }
        }
    }
    reading.close().await;
    Ok(Exit::Done)
}

fn told(step: &Step) -> String {
    let said = step.entry.as_ref().map_or("?".into(), line);
    let ignored = |reason| format!("ignored, {reason}");
    let outcome = step.reason().map_or("applied".into(), ignored);
    format!("{} {said}: {outcome}", step.position)
}
