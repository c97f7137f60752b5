//! `onyx-node log replay`: plays an exported log on any machine. The replica goes to standard output;
//! what was ignored, and every invariant that does not hold, to standard error.

use super::Trouble;
use super::args::ReplayArgs;
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::ids::LogPosition;
use crate::log::account::line;
use crate::log::incident::{Header, Recorded};
use crate::log::step;
use crate::replica::invariants::violations;
use crate::replica::view::{Misread, view};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};

/// Plays a file.
pub(super) fn replay(args: &ReplayArgs, console: &mut Console) -> Result<Exit, Trouble> {
    let mut file = Opened::open(args)?;
    let header = file.next(Header::from_line)?;
    let header = header.ok_or_else(|| Trouble::bad_input(file.wrong("the file is empty")))?;
    let (mut position, mut replica) = (header.origin, header.replica.clone());
    let last = args.at.map(LogPosition);
    if let Some(last) = last.filter(|last| last.next() < header.first()) {
        let message = format!(
            "the file begins behind entry {last}, with {}",
            header.first()
        );
        return Err(Trouble::bad_input(message));
    }
    let mut broken = 0;
    while last.is_none() || position < last {
        let Some(recorded) = file.next(Recorded::from_line)? else {
            break;
        };
        let expected = LogPosition::after(position);
        if recorded.position != expected {
            let message = format!("expected entry {expected}, found {}", recorded.position);
            return Err(Trouble::bad_input(file.wrong(&message)));
        }
        let step = step(recorded.position, recorded.entry, replica);
        if let Some(reason) = step.reason() {
            let said = step.entry.as_ref().map_or("?".into(), line);
            let more = step.explanation().map(|text| format!(": {text}"));
            let more = more.unwrap_or_default();
            console.complain(format!("{expected} {said}: ignored, {reason}{more}"));
        }
        for violation in violations(&step.new, expected) {
            console.complain(format!("after entry {expected}: {violation}"));
            broken += 1;
        }
        (position, replica) = (Some(expected), step.new);
    }
    if let Some(last) = last.filter(|last| position < Some(*last)) {
        let end = position.map_or("nothing".into(), |position| position.to_string());
        let message = format!("the file ends with entry {end}, before {last}");
        return Err(Trouble::bad_input(message));
    }
    let end = json!({ "position": position, "replica": view(&replica) });
    console.answer(|| end.clone(), || format!("{end:#}"));
    Ok(if broken == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// A file, line by line.
struct Opened {
    name: String,
    number: usize,
    lines: Lines<BufReader<File>>,
}

impl Opened {
    fn open(args: &ReplayArgs) -> Result<Self, Trouble> {
        let name = args.file.display().to_string();
        let file = File::open(&args.file)
            .map_err(|error| Trouble::bad_input(format!("{name}: cannot read it: {error}")))?;
        Ok(Opened {
            name,
            number: 0,
            lines: BufReader::new(file).lines(),
        })
    }

    /// What the next line says; none at the end.
    fn next<T>(&mut self, read: fn(&str) -> Result<T, Misread>) -> Result<Option<T>, Trouble> {
        let Some(text) = self.lines.next() else {
            return Ok(None);
        };
        self.number += 1;
        let text = text.map_err(|error| Trouble::bad_input(self.wrong(&error.to_string())))?;
        let read = read(&text);
        read.map(Some)
            .map_err(|misread| Trouble::bad_input(self.wrong(&misread.to_string())))
    }

    fn wrong(&self, what: &str) -> String {
        format!("{}:{}: {what}", self.name, self.number.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::console::Progress;
    use crate::cli::console::tests::console;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::log::{Entry, Unreadable};
    use std::fs;
    use tempfile::TempDir;

    /// Two peers, a job, noise, and the job once more.
    fn text() -> String {
        let header = Header {
            tenancy: "t".into(),
            origin: Some(LogPosition(4)),
            replica: Cluster::of("a b").replica,
        };
        let submit = || {
            Ok(Entry {
                source: None,
                entry_parent: None,
                written_at_ms: None,
                command: submit(0, "in:i>out out:o"),
            })
        };
        let noise = Err(Unreadable("noise".into()));
        let entries = [(5, submit()), (6, noise), (7, submit())];
        let lines = entries.map(|(position, entry)| {
            let position = LogPosition(position);
            Recorded { position, entry }.to_line()
        });
        format!("{}\n{}\n", header.to_line(), lines.join("\n"))
    }

    fn played(text: &str, at: Option<u64>) -> (Exit, String) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("incident.jsonl");
        fs::write(&file, text).unwrap();
        let (mut console, written) = console(Progress::Lines);
        let exit = match replay(&ReplayArgs { file, at }, &mut console) {
            Ok(exit) => exit,
            Err(trouble) => {
                console.complain(trouble.message);
                trouble.exit
            }
        };
        let here = folder.path().display().to_string();
        (exit, written.text().replace(&here, "…"))
    }

    #[test]
    fn the_replica_and_what_was_ignored_are_told() {
        let (exit, told) = played(&text(), None);
        assert_eq!(exit, Exit::Done);
        let mut lines = told.lines();
        assert_eq!(lines.next(), Some("6 ?: ignored, unreadable: noise"));
        let again = lines.next().unwrap();
        assert!(again.starts_with("7 submit-job id=") && again.ends_with(": ignored, known-job"));
        assert!(told.contains("\"position\": 7"), "{told}");
    }

    #[test]
    fn a_replay_ends_where_it_is_told_to() {
        let (exit, told) = played(&text(), Some(5));
        assert_eq!(exit, Exit::Done);
        assert!(
            !told.contains("ignored") && told.contains("\"position\": 5"),
            "{told}"
        );
        for (at, complaint) in [
            (8, "the file ends with entry 7, before 8\n"),
            (3, "the file begins behind entry 3, with 5\n"),
        ] {
            let (exit, told) = played(&text(), Some(at));
            assert_eq!(exit, Exit::BadInput);
            assert!(told.ends_with(complaint), "{told}");
        }
    }

    #[test]
    fn a_damaged_file_is_told_with_the_line() {
        let lost = text().replace("\"position\":6", "\"position\":7");
        let expected = "…/incident.jsonl:3: expected entry 6, found 7\n";
        let told = played(&lost, None);
        assert_eq!(told, (Exit::BadInput, expected.into()));
        let expected = "…/incident.jsonl:1: the file is empty\n";
        assert_eq!(played("", None), (Exit::BadInput, expected.into()));
    }

    #[test]
    fn a_replica_that_makes_no_sense_fails() {
        let ghost = text().replacen("\"pairs\":{", "\"pairs\":{\"7a000000-0000-0000-0000-000000000000\":\"61000000-0000-0000-0000-000000000000\",", 1);
        let (exit, told) = played(&ghost, None);
        assert_eq!(exit, Exit::Failed);
        assert!(told.contains("after entry 5: RI-7 one-ring"), "{told}");
    }
}
