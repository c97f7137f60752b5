//! The command as people use it: the binary, its streams and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

mod log;
mod manual;
mod output;
#[path = "../support/process.rs"]
mod process;

use process::{Errors, Node, Process, onyx};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What a command did.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(folder: &Path, words: &[&str]) -> Done {
    let output = onyx(words).current_dir(folder).output();
    let output = output.expect("the command runs");
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace(&folder.canonicalize().unwrap().display().to_string(), "…")
    };
    Done {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

const JOB: &str = "\
name: late
workflow:
  - [read, keep]
  - [keep, write]
catalog:
  - name: read
    type: input
    plugin: file/csv
    path: in.csv
    types: { delay: int }
    dead-letter: out/dead.jsonl
  - name: keep
    type: function
    fn: expr/filter
    where: delay > 15
  - name: write
    type: output
    plugin: file/json-lines
    path: out/late.jsonl
";

/// A folder with a job, and flights of which two are late and one is broken.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("job.yaml"), JOB).unwrap();
    let rows = "from,delay\nLAX,18\nORD,-3\nSFO,90\nJFK,soon\n";
    fs::write(folder.path().join("in.csv"), rows).unwrap();
    folder
}

fn with_job(job: &str) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("job.yaml"), job).unwrap();
    folder
}

/// A pipe of rows that stays open while this is held: a job that reads it waits for more.
fn pipe(folder: &Path) -> fs::File {
    let pipe = folder.join("rows");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let mut both_ends = fs::OpenOptions::new();
    both_ends.read(true).write(true).open(&pipe).unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_job_runs_and_its_results_are_summed_up() {
    let folder = folder();
    let done = run(folder.path(), &["run", "job.yaml"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let late = fs::read_to_string(folder.path().join("out/late.jsonl")).unwrap();
    let mut rows: Vec<&str> = late.lines().collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            r#"{"from":"LAX","delay":18}"#,
            r#"{"from":"SFO","delay":90}"#
        ]
    );
    let letters = fs::read_to_string(folder.path().join("out/dead.jsonl")).unwrap();
    assert_eq!(letters.lines().count(), 1);

    let told = done.out.lines().filter(|line| !line.contains("time"));
    let told: Vec<&str> = told.collect();
    assert_eq!(
        told,
        [
            "job late: completed",
            "  read       3 segments",
            "  completed  3",
            "  retried    0",
            "  rejected   1",
            "  read: 1 rejected, see …/out/dead.jsonl",
            "  write: 2 rows in …/out/late.jsonl",
        ]
    );
}

#[test]
fn options_change_a_job_for_one_run() {
    let folder = folder();
    let set = [
        "run",
        "job.yaml",
        "--set",
        "keep.where=delay < 0",
        "--set",
        "write.path=x.jsonl",
    ];
    let done = run(folder.path(), &set);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let rows = fs::read_to_string(folder.path().join("x.jsonl")).unwrap();
    assert_eq!(rows, "{\"from\":\"ORD\",\"delay\":-3}\n");
}

#[test]
fn a_killed_job_says_why_and_fails() {
    let folder = folder();
    let done = run(
        folder.path(),
        &["run", "job.yaml", "--set", "keep.where=int(from) > 0"],
    );
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.out.starts_with("job late: killed\n"), "{}", done.out);
    let cause = done
        .err
        .lines()
        .find(|line| line.starts_with("job late was killed: "));
    let cause = cause.unwrap_or_else(|| panic!("no cause in: {}", done.err));
    assert!(cause.contains("keep") && cause.contains("int"), "{cause}");
}

#[test]
fn a_bad_job_is_refused_before_anything_happens() {
    let missing = JOB.replace("in.csv", "on.csv");
    let cases = [
        JOB.replace("where:", "wher:"),
        JOB.replace("delay > 15", "delay >"),
        JOB.replace("- [keep, write]", "- [keep, wirte]"),
        JOB.replace("file/csv", "file/cvs") + "    batch-size: 0\n",
        missing,
        "a: [".into(),
        String::new(),
    ];
    let mut told = String::new();
    for job in cases {
        let folder = with_job(&job);
        let done = run(folder.path(), &["run", "job.yaml"]);
        assert_eq!(
            (done.code, done.out.as_str()),
            (Some(2), ""),
            "{}",
            done.err
        );
        assert_eq!(names_in(folder.path()), ["in.csv", "job.yaml"]);
        told += &format!("{}\n", done.err);
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_bad_command_line_is_refused_before_anything_happens() {
    let folder = folder();
    let mut told = String::new();
    for words in [
        &["run", "missing.yaml"][..],
        &["run", "."],
        &["run", "job.yaml", "--peers", "2"],
        &["run", "job.yaml", "--set", "kep.where=true"],
        &["run", "job.yaml", "--set", "keep.wher=true"],
        &["run", "job.yaml", "--set", "keep"],
        &["submit", "missing.yaml"],
        &["start", "--config", "missing.toml"],
        &["status", "--node", "nowhere at all"],
        &["status", "--node", "https://127.0.0.1:1"],
    ] {
        let done = run(folder.path(), words);
        assert_eq!(
            (done.code, done.out.as_str()),
            (Some(2), ""),
            "{words:?}: {}",
            done.err
        );
        told += &format!("$ onyx-node {}\n{}\n", words.join(" "), done.err);
    }
    assert_eq!(names_in(folder.path()), ["in.csv", "job.yaml"]);
    insta::assert_snapshot!(told);
}

#[test]
fn where_no_node_answers_the_advice_is_to_start_one() {
    let folder = folder();
    let url = format!("http://127.0.0.1:{}", free_port());
    for words in [
        &["status"][..],
        &["jobs"],
        &["kill", "x"],
        &["submit", "job.yaml"],
    ] {
        let done = run(folder.path(), &[words, &["--node", &url]].concat());
        assert_eq!(done.code, Some(1), "{words:?}");
        let advice = "start one with `onyx-node start`";
        assert!(
            done.err
                .starts_with(&format!("no node answers at {url}; {advice}")),
            "{}",
            done.err
        );
    }
}

/// A node that is its own process, with this configuration.
fn started(folder: &Path, config: &str) -> Node {
    fs::write(folder.join("node.toml"), config).unwrap();
    let mut command = onyx(&["start", "--config", "node.toml", "--log-format", "json"]);
    let mut node = Node::start(command.current_dir(folder), Errors::Kept);
    node.listens();
    node
}

/// A port that was free a moment ago; a node can only be told one.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

const ANY_PORT: &str = "[http]\nport = 0\n";

#[test]
fn a_node_takes_lists_and_kills_jobs_and_stops_in_order() {
    let folder = folder();
    let mut node = started(folder.path(), ANY_PORT);
    let ask = |words: &[&str]| run(folder.path(), &[words, &["--node", node.url()]].concat());
    assert_eq!(
        ask(&["jobs"]).out,
        "no jobs; submit one with `onyx-node submit JOB`\n"
    );

    // From elsewhere: paths are those of the job file.
    let elsewhere = TempDir::new().unwrap();
    let file = folder.path().join("job.yaml").display().to_string();
    let words = ["submit", &file, "--wait", "--node", node.url()];
    let done = run(elsewhere.path(), &words);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.ends_with("job late: completed\n"), "{}", done.out);
    let rows = fs::read_to_string(folder.path().join("out/late.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 2);

    let failing = [
        "submit",
        "job.yaml",
        "--wait",
        "--set",
        "keep.where=int(from) > 0",
    ];
    let failed = ask(&failing);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.err.contains("job late was killed: "),
        "{}",
        failed.err
    );

    let waits = ask(&["submit", "job.yaml", "--set", "keep.min-peers=50"]);
    assert_eq!(waits.code, Some(0), "{}", waits.err);
    let id = waits.out.trim();
    let shown = ask(&["jobs", id]).out;
    assert!(
        shown.contains("state: waiting") && shown.contains("needs 52 peers"),
        "{shown}"
    );
    // A beginning that no other id has is enough; one that is no id is refused.
    let killed = ask(&["kill", &id[..13]]);
    assert_eq!(
        (killed.code, killed.out),
        (Some(0), format!("job {id} is killed\n"))
    );
    let unknown = ask(&["jobs", "0-0"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .err
            .starts_with("no job has an id that begins with `0-0`"),
        "{}",
        unknown.err
    );
    let listed = ask(&["jobs"]).out;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(
        listed.contains("completed") && listed.contains("killed"),
        "{listed}"
    );

    let status = ask(&["status"]);
    assert_eq!(status.code, Some(0), "{}", status.out);
    assert!(
        status.out.starts_with("ready: 8 of 8 peers"),
        "{}",
        status.out
    );
    assert_eq!(ask(&["kill", "late"]).code, Some(2));

    let (code, log) = node.process().end_by("TERM");
    assert_eq!(code, Some(0), "{log}");
    let lines = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines: Vec<serde_json::Value> = lines.map(|line| line.expect("a line of JSON")).collect();
    assert!(lines.iter().any(|line| line["job"] == id), "{log}");
}

#[test]
fn it_is_explained_why_a_job_has_its_peers_and_for_what_another_waits() {
    let folder = folder();
    let rows = pipe(folder.path());
    let node = started(folder.path(), &format!("{ANY_PORT}[node]\npeers = 4\n"));
    while node.get("/health/ready").unwrap()["peers-joined"] != 4 {
        std::thread::yield_now();
    }
    let ask = |words: &[&str]| run(folder.path(), &[words, &["--node", node.url()]].concat());
    let submit = |set: [&str; 2]| {
        let submitted = ask(&["submit", "job.yaml", "--set", set[0], "--set", set[1]]);
        assert_eq!(submitted.code, Some(0), "{}", submitted.err);
        submitted.out.trim().to_owned()
    };
    let explain = |id: &str| {
        let explained = ask(&["explain", id]);
        assert_eq!(explained.code, Some(0), "{}", explained.err);
        let told = explained.out.strip_prefix(&format!("job late ({id})\n"));
        told.unwrap_or_else(|| panic!("{}", explained.out))
            .to_owned()
    };
    let runs = submit(["read.path=rows", "read.dead-letter=letters.jsonl"]);
    insta::assert_snapshot!(explain(&runs), @"
    runs with 4 peers: what it can use of 4 peers; no other job runs
    TASK   PEERS  WHY
    read   1      its minimum is its maximum
    keep   2      an even share of the job's 4 peers
    write  1      its minimum is its maximum
    ");
    let waits = submit([
        "write.path=other.jsonl",
        "read.dead-letter=other-letters.jsonl",
    ]);
    insta::assert_snapshot!(explain(&waits), @"waits: needs 3 peers, 0 are free and 1 is to spare: 4 serve job late, which needs 3");

    assert_eq!(ask(&["kill", &runs]).code, Some(0));
    drop(rows);
    assert_eq!(explain(&runs), "killed by a client\n");
    let unknown = ask(&["explain", "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
}

#[test]
fn a_collected_job_is_known_by_how_it_ended() {
    let folder = folder();
    let node = started(folder.path(), ANY_PORT);
    let ask = |words: &[&str]| run(folder.path(), &[words, &["--node", node.url()]].concat());
    let submitted = ask(&["submit", "job.yaml", "--set", "keep.min-peers=50"]);
    let id = submitted.out.trim();
    assert_eq!(ask(&["kill", id]).code, Some(0));
    let collected = ask(&["gc"]);
    assert_eq!(collected.code, Some(0), "{}", collected.err);
    let told = [
        "the log is collected up to entry",
        " left, and an origin of ",
        "data of 1 job and of 0 submissions",
    ];
    let all = told.iter().all(|told| collected.out.contains(told));
    assert!(all, "{}", collected.out);
    assert_eq!(ask(&["jobs"]).out.lines().count(), 1);
    let shown = ask(&["jobs", id]).out;
    assert!(shown.contains("state: killed"), "{shown}");
}

#[test]
fn a_bad_job_is_told_with_the_lines_of_its_file_when_it_is_submitted() {
    let folder = with_job(&JOB.replace("where:", "wher:"));
    let node = started(folder.path(), ANY_PORT);
    let done = run(folder.path(), &["submit", "job.yaml", "--node", node.url()]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("job.yaml:15:5: catalog.keep.wher: "),
        "{}",
        done.err
    );
}

#[test]
fn a_token_opens_a_node() {
    let folder = folder();
    let node = started(
        folder.path(),
        "[http]\nport = 0\nbearer-token = \"s3cret\"\n",
    );
    let without = run(folder.path(), &["jobs", "--node", node.url()]);
    assert_eq!(without.code, Some(1));
    assert!(without.err.contains("ONYX_TOKEN"), "{}", without.err);
    let with = run(
        folder.path(),
        &["jobs", "--node", node.url(), "--token", "s3cret"],
    );
    assert_eq!(with.code, Some(0), "{}", with.err);
}

#[test]
fn a_verb_finds_the_node_by_its_configuration_or_the_environment() {
    let folder = folder();
    let port = free_port();
    let token = "bearer-token = \"s3cret\"";
    let _node = started(folder.path(), &format!("[http]\nport = {port}\n{token}\n"));
    let by_file = run(folder.path(), &["jobs", "--config", "node.toml"]);
    assert_eq!(by_file.code, Some(0), "{}", by_file.err);
    let mut command = onyx(&["jobs"]);
    command
        .env("ONYX_HTTP__PORT", port.to_string())
        .env("ONYX_TOKEN", "s3cret");
    let by_environment = command.output().unwrap();
    assert_eq!(by_environment.status.code(), Some(0));
}

#[test]
fn a_busy_port_is_told_and_nothing_is_left_running() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("[http]\nport = {}\n", address.port());
    fs::write(folder.path().join("node.toml"), config).unwrap();
    let done = run(folder.path(), &["start", "--config", "node.toml"]);
    assert_eq!((done.code, done.out.as_str()), (Some(2), ""));
    assert!(
        done.err
            .starts_with(&format!("cannot listen on {address}: ")),
        "{}",
        done.err
    );
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}

#[test]
fn a_node_that_loses_its_cluster_too_often_ends_and_says_so() {
    let folder = folder();
    let port = free_port();
    let coordinator = format!("{ANY_PORT}[coordination]\nembedded-port = {port}\n");
    let coordinator = started(folder.path(), &coordinator);
    let config = format!(
        "{ANY_PORT}[node]\ntenancy-id = \"other\"\n[infrastructure]\nrestarts-max = 0\n[coordination]\nmode = \"zookeeper\"\n\
         connect = \"127.0.0.1:{port}\"\nsession-timeout-ms = 1000\nconnection-timeout-ms = 500\n"
    );
    let mut node = started(folder.path(), &config);
    drop(coordinator);
    let (code, log) = node.process().end();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("the session was lost too often"), "{log}");
}

#[test]
fn every_mistake_in_a_configuration_is_told() {
    let folder = folder();
    let config = "[http]\nprot = 1\naddress = \"0.0.0.0\"\n[nod]\npeers = 0\n";
    fs::write(folder.path().join("node.toml"), config).unwrap();
    let done = run(folder.path(), &["start", "--config", "node.toml"]);
    assert_eq!(done.code, Some(2));
    insta::assert_snapshot!(done.err);
}

#[test]
fn a_signal_ends_a_running_job() {
    let folder = folder();
    // Rows come from a pipe that unknown closes, so that the job runs until it is told to end.
    let pipe = folder.path().join("rows");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let words = ["run", "job.yaml", "--set", "read.path=rows"];
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = onyx(&words);
        let mut run = Process::start(command.current_dir(folder.path()), Errors::Kept);
        // Opening answers when the job reads.
        let rows = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        run.signal(signal);
        drop(rows);
        let (ended, err) = run.end();
        assert_eq!(ended, Some(code), "{err}");
        assert!(err.contains("job late was killed by a signal"), "{err}");
    }
}

#[test]
fn a_file_of_tls_that_is_not_there_is_bad_input() {
    let folder = folder();
    let config = "[coordination]\nmode = \"zookeeper\"\ntls-ca-file = \"no.pem\"\n";
    fs::write(
        folder.path().join("node.toml"),
        ANY_PORT.to_owned() + config,
    )
    .unwrap();
    for words in [&["start"][..], &["log", "tail"]] {
        let done = run(folder.path(), &[words, &["--config", "node.toml"]].concat());
        assert_eq!(done.code, Some(2), "{}", done.err);
        let expected = "coordination.tls-ca-file: cannot read no.pem: No such file";
        assert!(done.err.starts_with(expected), "{}", done.err);
    }
}

#[test]
fn a_node_with_another_job_scheduler_is_refused_by_the_log_and_not_by_another_tenancy() {
    let folder = folder();
    let port = free_port();
    let first = format!("{ANY_PORT}[coordination]\nembedded-port = {port}\n");
    let _first = started(folder.path(), &first);
    let second = |tenancy: &str| {
        format!(
            "{ANY_PORT}[node]\ntenancy-id = \"{tenancy}\"\n[scheduler]\njobs = \"greedy\"\n\
             [coordination]\nmode = \"zookeeper\"\nconnect = \"127.0.0.1:{port}\"\n"
        )
    };
    fs::write(folder.path().join("same.toml"), second("default")).unwrap();
    let refused = run(folder.path(), &["start", "--config", "same.toml"]);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused
            .err
            .contains("this node is configured for \"greedy\""),
        "{}",
        refused.err
    );
    started(folder.path(), &second("other"));
}

#[test]
fn an_output_that_is_the_input_by_another_name_is_refused() {
    let folder = folder();
    let input = folder.path().join("in.csv");
    let before = fs::read(&input).unwrap();
    fs::hard_link(&input, folder.path().join("hard")).unwrap();
    std::os::unix::fs::symlink(&input, folder.path().join("soft")).unwrap();
    for alias in ["hard", "soft"] {
        let set = format!("write.path={alias}");
        let done = run(folder.path(), &["run", "job.yaml", "--set", &set]);
        assert_eq!(done.code, Some(2), "{}", done.err);
        assert!(done.err.contains("is read by"), "{}", done.err);
        assert_eq!(fs::read(&input).unwrap(), before);
    }
}

#[test]
fn two_jobs_do_not_write_one_file() {
    let folder = folder();
    let rows = pipe(folder.path());
    let node = started(folder.path(), ANY_PORT);
    let ask = |words: &[&str]| run(folder.path(), &[words, &["--node", node.url()]].concat());
    let first = ask(&["submit", "job.yaml", "--set", "read.path=rows"]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let second = ask(&["submit", "job.yaml"]);
    assert_ne!(second.code, Some(0));
    let says = format!("is being written by job {}", first.out.trim());
    assert!(second.err.contains(&says), "{}", second.err);
    assert_eq!(ask(&["kill", first.out.trim()]).code, Some(0));
    drop(rows);
    let again = ask(&["submit", "job.yaml", "--wait"]);
    assert_eq!(again.code, Some(0), "{}", again.err);
}
