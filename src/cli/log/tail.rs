//! `onyx-node log tail`: a line for each entry as it comes.

use super::Trouble;
use super::args::TailArgs;
use super::reading::{Next, Reading};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::ids::LogPosition;
use crate::log::account::line;
use crate::log::{Entry, Step};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Follows the log.
pub(super) fn tail(args: &TailArgs, console: &mut Console) -> Result<Exit, Trouble> {
    crate::node::run(follow(args, console))
}

async fn follow(args: &TailArgs, console: &mut Console) -> Result<Exit, Trouble> {
    let mut reading = Reading::open(&args.source).await?;
    // What is there already is told when its end is known.
    let mut past: Option<VecDeque<Line>> = Some(VecDeque::new());
    while console.is_read() {
        let line = match reading.next().await? {
            Next::Entry(recorded) => Line::of(&reading.play(recorded)),
            Next::Collected(position) => Line::Collected(position),
            Next::End => {
                for line in past.take().into_iter().flatten() {
                    line.write(console);
                }
                if args.no_follow {
                    break;
                }
                reading.wait().await?;
                continue;
            }
        };
        match &mut past {
            None => line.write(console),
            Some(past) => {
                past.push_back(line);
                if past.len() > args.lines {
                    past.pop_front();
                }
            }
        }
    }
    reading.close().await;
    Ok(Exit::Done)
}

/// What is written of a part of the log.
enum Line {
    Entry {
        position: LogPosition,
        /// None if it cannot be read.
        entry: Option<Entry>,
        /// Why it changed nothing, if it did not.
        reason: Option<String>,
        /// More about the reason, where there is more to say.
        explanation: Option<String>,
    },
    /// This entry and all before it.
    Collected(LogPosition),
}

impl Line {
    fn of(step: &Step) -> Self {
        Line::Entry {
            position: step.position,
            entry: step.entry.as_ref().ok().cloned(),
            reason: step.reason(),
            explanation: step.explanation(),
        }
    }

    fn write(&self, console: &mut Console) {
        console.answer(|| self.to_json(), || self.to_text());
    }

    fn to_json(&self) -> Value {
        match self {
            Line::Entry {
                position,
                entry,
                reason,
                explanation,
            } => json!({
                "position": position,
                "applied": reason.is_none(),
                "reason": reason,
                "explanation": explanation,
                "entry": entry,
            }),
            Line::Collected(position) => json!({ "collected-up-to": position }),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Line::Entry {
                position,
                entry,
                reason,
                explanation,
            } => {
                let more = explanation.as_ref().map(|text| format!(": {text}"));
                let said = entry.as_ref().map_or("?".into(), line);
                let outcome = match reason {
                    Some(reason) => format!("ignored, {reason}{}", more.unwrap_or_default()),
                    None => "applied".into(),
                };
                format!("{position} {said}: {outcome}")
            }
            Line::Collected(position) => format!("{position} and all before it were collected"),
        }
    }
}
