//! `onyx-node log apply`: what entries would do to a replica, and what each peer would answer. Reads
//! and writes JSON; there need be no cluster.

use super::Trouble;
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::ids::{LogPosition, PeerId};
use crate::log::account::account;
use crate::log::{Entry, Unreadable, step};
use crate::nearest::hint;
use crate::replica::Replica;
use crate::replica::invariants::violations;
use crate::replica::view::{Misread, read_at, view};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

/// Applies the entries that are read.
pub(super) fn apply(input: &mut dyn Read, console: &mut Console) -> Result<Exit, Trouble> {
    let mut text = String::new();
    input
        .read_to_string(&mut text)
        .map_err(|error| Trouble::bad_input(format!("standard input: {error}")))?;
    let question: Value = serde_json::from_str(&text)
        .map_err(|error| Trouble::bad_input(format!("standard input is no JSON: {error}")))?;
    let question = Question::read(&question).map_err(Trouble::bad_input)?;
    let mut remarks = doubts(&question);
    let (answer, broken) = answer(question);
    remarks.extend(broken);
    for remark in remarks {
        console.complain(remark);
    }
    console.answer(|| answer.clone(), || format!("{answer:#}"));
    Ok(Exit::Done)
}

/// What is asked.
struct Question {
    replica: Arc<Replica>,
    entries: Vec<Placed>,
    peers: BTreeSet<PeerId>,
}

/// An entry in its place, or what in it cannot be read.
type Placed = (LogPosition, Result<Entry, Misread>);

const KEYS: [&str; 3] = ["replica", "entries", "peers"];

impl Question {
    fn read(question: &Value) -> Result<Self, Misread> {
        let Value::Object(keys) = question else {
            let message = "expected an object with `replica`, `entries` and `peers`";
            return Err(Misread::new("standard input", message));
        };
        if let Some(stray) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = hint(stray, KEYS, "there are replica, entries and peers");
            return Err(Misread::new(stray, format!("unknown key{hint}")));
        }
        let replica = match &question["replica"] {
            Value::Null => Replica::default(),
            shown => Replica::from_view(shown)?,
        };
        let peers = match &question["peers"] {
            Value::Null => BTreeSet::new(),
            peers => read_at(peers, "peers")?,
        };
        Ok(Question {
            replica: Arc::new(replica),
            entries: read_entries(&question["entries"])?,
            peers,
        })
    }
}

/// Only what the answer could not speak of is an error: an entry without a place in the log.
fn read_entries(entries: &Value) -> Result<Vec<Placed>, Misread> {
    let entries: Vec<Map<String, Value>> = match entries {
        Value::Null => Vec::new(),
        entries => read_at(entries, "entries")?,
    };
    let mut read: Vec<Placed> = Vec::new();
    for (index, mut entry) in entries.into_iter().enumerate() {
        let path = format!("entries[{index}].position");
        let before = read.last().map(|(position, _)| *position);
        let position = match entry.remove("position") {
            Some(position) => read_at(&position, &path)?,
            None => LogPosition::after(before),
        };
        if let Some(before) = before.filter(|before| *before >= position) {
            let message = format!("expected a position behind the one before, {before}");
            return Err(Misread::new(path, message));
        }
        let entry = Entry::read(&Value::Object(entry), &format!("entries[{index}]"));
        read.push((position, entry));
    }
    Ok(read)
}

/// What no log leads to: the answer follows from the rules all the same, and may make no sense.
fn doubts(question: &Question) -> Vec<String> {
    let replica = &question.replica;
    // What the replica says of versions is compared with the entry before the first.
    let first = question.entries.first().map(|(first, _)| first.0);
    let before = first.map_or(u64::MAX, |first| first.saturating_sub(1));
    let broken = violations(replica, LogPosition(before)).into_iter();
    broken
        .map(|broken| format!("replica: no log leads to it: {broken}"))
        .collect()
}

/// The answer, and the invariants that its entries broke.
fn answer(question: Question) -> (Value, Vec<String>) {
    let mut replica = question.replica;
    let mut steps = Vec::new();
    let mut remarks = Vec::new();
    for (position, entry) in question.entries {
        let payload = entry.map_err(|misread| Unreadable(misread.to_string()));
        let step = step(position, payload, replica);
        if violations(&step.old, position).is_empty() {
            let broken = violations(&step.new, position).into_iter();
            remarks.extend(broken.map(|broken| format!("entry {position} broke {broken}")));
        }
        steps.push(account(&step, &question.peers));
        replica = step.new;
    }
    (
        json!({ "replica": view(&replica), "steps": steps }),
        remarks,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::console::Progress;
    use crate::cli::console::tests::console;

    fn ask(question: &Value) -> Value {
        let question = Question::read(question).unwrap();
        answer(question).0
    }

    fn refusal(text: &str) -> String {
        let (mut console, _) = console(Progress::Lines);
        match apply(&mut text.as_bytes(), &mut console) {
            Ok(exit) => panic!("not refused: {exit:?}"),
            Err(trouble) => {
                assert_eq!(trouble.exit, Exit::BadInput);
                trouble.message
            }
        }
    }

    const A: &str = "61000000-0000-0000-0000-000000000000";
    const B: &str = "62000000-0000-0000-0000-000000000000";

    #[test]
    fn an_empty_cluster_is_joined() {
        let answer = ask(&json!({
            "replica": null,
            "entries": [
                { "position": 3, "fn": "prepare-join-cluster", "args": { "joiner": A } },
                { "position": 12, "fn": "prepare-join-cluster",
                  "args": { "joiner": B, "peer-site": { "address": "host" }, "tags": ["gpu"] } },
            ],
            "peers": [A, B],
        }));
        let steps = answer["steps"].as_array().unwrap();
        assert_eq!(steps[0]["diff"]["instant-join"], A);
        assert_eq!(steps[1]["position"], 12);
        let notify = json!([{ "fn": "notify-join-cluster", "args": { "observer": B } }]);
        assert_eq!(steps[1]["reactions"], json!({ A: notify, B: [] }));
        assert_eq!(answer["replica"]["peer-sites"][B]["address"], "host");
        assert_eq!(answer["replica"]["peer-groups"][B], B);
        // The answer can be asked about again.
        let again = ask(&json!({ "replica": answer["replica"] }));
        assert_eq!(again["replica"], answer["replica"]);
        assert_eq!(again["steps"], json!([]));
    }

    #[test]
    fn an_entry_that_nobody_can_read_is_a_step() {
        let answer = ask(&json!({ "entries": [
            { "position": 1, "fn": "prepare-join", "args": {} },
            { "position": 2, "fn": "leave-cluster", "args": { "id": 7 } },
            { "position": 3 },
        ] }));
        for step in answer["steps"].as_array().unwrap() {
            assert_eq!(step["applied"], false);
            assert_eq!(step["diff"], Value::Null);
        }
        let reason = |index: usize| answer["steps"][index]["reason"].as_str().unwrap();
        let meant = "unreadable: entries[0].fn: there is no command `prepare-join`; did you mean \
                     `prepare-join-cluster`?";
        assert!(reason(0).starts_with(meant), "{}", reason(0));
        assert!(
            reason(1).starts_with("unreadable: entries[1].args.id: "),
            "{}",
            reason(1)
        );
        assert!(reason(2).contains("missing field `fn`"), "{}", reason(2));
    }

    #[test]
    fn a_replica_that_no_log_leads_to_is_told() {
        let told = |replica: Value| {
            let question = Question::read(&json!({ "replica": replica })).unwrap();
            doubts(&question)
        };
        assert_eq!(told(json!({ "peers": [A, B] })), Vec::<String>::new());
        let pairs = json!({ A: B });
        let told = told(json!({ "peers": [A, B], "pairs": pairs }));
        assert!(
            told[0].starts_with("replica: no log leads to it: RI-7 one-ring: "),
            "{told:?}"
        );
    }

    #[test]
    fn without_a_source_an_entry_counts_as_often_as_it_is_there() {
        let kill = json!({ "fn": "kill-job", "args": { "job": A } });
        let mut sourced = kill.clone();
        sourced["source"] = json!({ "writer": B, "sequence": 1 });
        let reasons = |entry: &Value| {
            let answer = ask(&json!({ "entries": [entry, entry] }));
            [0, 1].map(|index| answer["steps"][index]["reason"].clone())
        };
        assert_eq!(reasons(&kill), ["not-live", "not-live"]);
        assert_eq!(reasons(&sourced), ["not-live", "already-seen"]);
    }

    #[test]
    fn what_is_wrong_with_a_question_is_told_with_its_place() {
        let refusals = [
            "{",
            "[]",
            r#"{"entires": []}"#,
            r#"{"entries": {}}"#,
            r#"{"entries": [{"position": -1}]}"#,
            r#"{"entries": [{"position": 1}, {"position": 1}]}"#,
            r#"{"peers": ["me"]}"#,
            r#"{"replica": {"pairs": {"a": "b"}}}"#,
        ]
        .map(|text| format!("{text}\n  {}", refusal(text)));
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        {
          standard input is no JSON: EOF while parsing an object at line 1 column 1
        []
          standard input: expected an object with `replica`, `entries` and `peers`
        {"entires": []}
          entires: unknown key; did you mean `entries`? there are replica, entries and peers
        {"entries": {}}
          entries: invalid type: map, expected a sequence
        {"entries": [{"position": -1}]}
          entries[0].position: invalid value: integer `-1`, expected u64
        {"entries": [{"position": 1}, {"position": 1}]}
          entries[1].position: expected a position behind the one before, 1
        {"peers": ["me"]}
          peers[0]: UUID parsing failed: invalid character: found `m` at 0
        {"replica": {"pairs": {"a": "b"}}}
          replica.pairs.a: UUID parsing failed: invalid length: found 1
        "#);
    }
}
