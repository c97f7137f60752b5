//! The form of answers, and standard output that cannot be written.

use crate::process::{Errors, Process, onyx};
use crate::{ANY_PORT, Done, folder, run, started};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Runs a command with its standard output on the full device, as on a full disk.
fn on_a_full_device(folder: &Path, words: &[&str]) -> Done {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = onyx(words);
    let output = command
        .current_dir(folder)
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    Done {
        code: output.status.code(),
        out: String::new(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const COMPLAINT: &str =
    "cannot write to standard output, so the answer is not complete: No space left on device";

#[test]
fn an_answer_that_cannot_be_written_is_an_error_of_every_verb() {
    let folder = folder();
    let node = started(folder.path(), ANY_PORT);
    let id = run(
        folder.path(),
        &["submit", "job.yaml", "--wait", "--node", node.url()],
    );
    let id = id.out.lines().next().unwrap().to_owned();
    let log = node.get("/replica").unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    assert!(log["position"].is_u64());
    let asked: [&[&str]; 7] = [
        &["jobs"],
        &["jobs", &id],
        &["explain", &id],
        &["status"],
        &["nodes"],
        &["gc"],
        &["submit", "job.yaml", "--wait"],
    ];
    for words in asked {
        let words = [words, &["--node", node.url()]].concat();
        for words in [words.clone(), [&words[..], &["--json"]].concat()] {
            let done = on_a_full_device(folder.path(), &words);
            assert_eq!(done.code, Some(1), "{words:?}: {}", done.err);
            assert!(done.err.starts_with(COMPLAINT), "{words:?}: {}", done.err);
            assert_eq!(done.err.lines().count(), 1, "{words:?}: {}", done.err);
        }
    }
    for words in [
        &["--help"][..],
        &["--version"],
        &["log", "tail", "--help"],
        &["run", "job.yaml"],
    ] {
        let done = on_a_full_device(folder.path(), words);
        assert_eq!(done.code, Some(1), "{words:?}: {}", done.err);
        assert!(done.err.contains(COMPLAINT), "{words:?}: {}", done.err);
    }
}

#[test]
fn a_node_that_cannot_say_where_it_listens_works_and_ends_with_a_failure() {
    let folder = folder();
    fs::write(folder.path().join("node.toml"), ANY_PORT).unwrap();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = onyx(&["start", "--config", "node.toml"]);
    let mut node = command
        .current_dir(folder.path())
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = std::io::BufReader::new(node.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(COMPLAINT) {
        line.clear();
        let read = std::io::BufRead::read_line(&mut errors, &mut line).unwrap();
        assert!(read > 0, "the node has ended without a complaint");
    }
    // A signal during the start would end the node at once, with the code of the signal.
    while !line.contains("virtual peer starts") {
        line.clear();
        let read = std::io::BufRead::read_line(&mut errors, &mut line).unwrap();
        assert!(read > 0, "the node has ended before its peers started");
    }
    let ended = std::process::Command::new("kill")
        .arg(node.id().to_string())
        .status();
    assert!(ended.unwrap().success());
    // What it still logs is read, so that the node does not wait for it.
    std::io::Read::read_to_string(&mut errors, &mut line).unwrap();
    assert_eq!(node.wait().unwrap().code(), Some(1), "{line}");
}

#[test]
fn a_reader_that_has_closed_its_pipe_ends_a_command_quietly() {
    let folder = folder();
    let node = started(folder.path(), ANY_PORT);
    let mut command = onyx(&["jobs", "--node", node.url()]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), err.as_str()), (Some(0), ""));
}

/// The answers of a command: every line is JSON.
fn answers(done: &Done) -> Vec<Value> {
    let lines = done.out.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {}", done.out))
}

#[test]
fn every_verb_answers_in_json() {
    let folder = folder();
    let port = crate::free_port();
    let config = format!("{ANY_PORT}[coordination]\nembedded-port = {port}\n");
    fs::write(folder.path().join("node.toml"), config).unwrap();
    let words = ["start", "--config", "node.toml", "--json"];
    let mut node = Process::start(onyx(&words).current_dir(folder.path()), Errors::Kept);
    let said: Value = serde_json::from_str(&node.says()).unwrap();
    let url = said["http"].as_str().unwrap().to_owned();
    let ask = |words: &[&str]| {
        let done = run(
            folder.path(),
            &[words, &["--json", "--node", &url]].concat(),
        );
        assert_eq!(done.code, Some(0), "{words:?}: {}", done.err);
        answers(&done)
    };
    let submitted = ask(&["submit", "job.yaml", "--wait"]);
    let id = submitted[0]["id"].as_str().unwrap();
    assert_eq!(
        (&submitted[1]["state"], submitted.len()),
        (&"completed".into(), 2)
    );
    assert_eq!(ask(&["jobs"])[0]["jobs"][0]["id"], id);
    assert_eq!(ask(&["jobs", id])[0]["state"], "completed");
    assert_eq!(ask(&["explain", id])[0]["why"], "completed");
    assert_eq!(ask(&["status"])[0]["health"]["status"], "ready");
    assert_eq!(ask(&["nodes"])[0]["nodes"][0]["is-this"], true);
    let waits = ask(&["submit", "job.yaml", "--set", "keep.min-peers=50"]);
    let waits = waits[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&["kill", &waits])[0]["state"], "killed");

    let log = |words: &[&str]| {
        let done = run(folder.path(), &[&["log"], words, &["--json"]].concat());
        assert_eq!(done.code, Some(0), "{words:?}: {}", done.err);
        answers(&done)
    };
    let config = ["--config", "node.toml"];
    let tail = log(&[&["tail", "--no-follow", "--lines", "1000"], &config[..]].concat());
    let entry = tail
        .iter()
        .find(|line| line["entry"]["fn"] == "submit-job")
        .unwrap();
    assert_eq!(
        (&entry["applied"], &entry["entry"]["args"]["id"]),
        (&true.into(), &id.into())
    );
    let position = entry["position"].to_string();
    assert_eq!(
        log(&[&["show", &position], &config[..]].concat())[0]["entry"],
        entry["entry"]
    );
    let exported = log(&[&["export", "log.jsonl"], &config[..]].concat());
    assert_eq!(exported[0]["file"], "log.jsonl");
    let replayed = log(&["replay", "log.jsonl"]);
    assert_eq!(replayed[0]["replica"]["completed-jobs"][0], id);
    assert!(ask(&["gc"])[0]["collected"]["position"].is_u64());
}

#[test]
fn a_run_answers_in_json_with_its_outputs() {
    let folder = folder();
    let ran = run(
        folder.path(),
        &[
            "run",
            "job.yaml",
            "--json",
            "--set",
            "write.path=other.jsonl",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = &answers(&ran)[0];
    assert_eq!(
        (&ran["state"], &ran["outputs"][0]["rows"]),
        (&"completed".into(), &2.into())
    );
    assert_eq!(ran["outputs"][0]["files"][0]["path"], "…/other.jsonl");
}

#[test]
fn errors_are_text_on_standard_error_where_answers_are_json() {
    let folder = folder();
    let done = run(folder.path(), &["--json", "run", "missing.yaml"]);
    assert_eq!((done.code, done.out.as_str()), (Some(2), ""));
    assert!(
        done.err.starts_with("missing.yaml: there is no such file"),
        "{}",
        done.err
    );
}
