//! A client of a node that wants files which are not the job's: secrets of the process, files beside the
//! folders of the job, and links that change while they are followed.

use crate::process::{Errors, Node, onyx};
use crate::scale::scaled;
use onyx::files::{Access, FileAccess};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, read_to_string};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::TempDir;

const SECRET: &str = "s3cret-of-the-node";

/// `in` may be read and `out` written; `secret` is beside them.
fn ground() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("in/good"), "good\n").unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    folder
}

fn node(folder: &Path, options: &[(&str, &str)]) -> Node {
    let mut command = onyx(&["start"]);
    command.current_dir(folder).env("ONYX_HTTP__PORT", "0");
    command.env("ONYX_HTTP__BEARER_TOKEN", SECRET);
    command.envs(options.iter().copied());
    let mut node = Node::start(&mut command, Errors::In(&folder.join("log")));
    node.listens();
    node
}

fn copy(from: &Path, to: &Path) -> String {
    let task = |name, kind, plugin, path: &Path| serde_json::json!({"name": name, "type": kind, "plugin": plugin, "path": path});
    serde_json::json!({
        "name": "copy",
        "workflow": [["read", "write"]],
        "catalog": [
            task("read", "input", "file/lines", from),
            task("write", "output", "file/json-lines", to),
        ],
    })
    .to_string()
}

fn post(node: &Node, job: &str) -> (u16, Value) {
    let asked = ureq::post(format!("{}/jobs", node.url()))
        .header("Authorization", format!("Bearer {SECRET}"))
        .config()
        .http_status_as_error(false)
        .build();
    let mut answer = asked.send(job).unwrap();
    let status = answer.status().as_u16();
    (status, answer.body_mut().read_json().unwrap())
}

fn end_of(node: &Node, id: &str) -> Value {
    loop {
        let job = node.get(&format!("/jobs/{id}?wait-ms=10000")).unwrap();
        if job["state"] == "completed" || job["state"] == "killed" {
            return job;
        }
    }
}

#[test]
fn a_secret_of_the_environment_is_in_no_file_that_a_job_can_read() {
    let folder = ground();
    let mut node = node(folder.path(), &[]);
    // It is in use: the node answers to it alone.
    assert!(node.get("/jobs").unwrap()["jobs"].is_array());
    let process = node.process().id();
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("ONYX_HTTP__PORT=0"), "{environment}");
    assert!(!environment.contains(SECRET), "{environment}");
    let to = folder.path().join("out/environ.jsonl");
    let id = node.submit(&copy(Path::new("/proc/self/environ"), &to));
    // NUL bytes are between the variables, so that no line of them is text, and every line is rejected.
    let end = end_of(&node, &id);
    assert_eq!(end["state"], "killed", "{end}");
    assert!(!end.to_string().contains(SECRET), "{end}");
    let read = fs::read_to_string(to).unwrap_or_default();
    assert!(!read.contains(SECRET), "{read}");
    // Nor in what it was handed over by, which would be read to its end at once.
    let descriptor = environment
        .split('\0')
        .find_map(|it| it.strip_prefix("ONYX_SECRETS_DESCRIPTOR="));
    let pipe = format!("/proc/{process}/fd/{}", descriptor.unwrap());
    let mut left = Vec::new();
    File::open(pipe).unwrap().read_to_end(&mut left).unwrap();
    assert_eq!(left, b"");
}

#[test]
fn a_job_reads_and_writes_within_the_folders_of_the_node_only() {
    let folder = ground();
    let at = |name: &str| folder.path().join(name);
    let (read, write) = (
        at("in").display().to_string(),
        at("out").display().to_string(),
    );
    let bounds = [
        ("ONYX_FILES__READ", read.as_str()),
        ("ONYX_FILES__WRITE", write.as_str()),
    ];
    let node = node(folder.path(), &bounds);
    symlink(at("secret"), at("in/link")).unwrap();
    symlink(folder.path(), at("out/up")).unwrap();
    let environ = Path::new("/proc/self/environ");
    let refused: [(PathBuf, PathBuf); 7] = [
        (environ.into(), at("out/rows")),
        (at("secret"), at("out/rows")),
        (at("in/../secret"), at("out/rows")),
        (at("in/link"), at("out/rows")),
        (at("*"), at("out/rows")),
        (at("in/good"), at("rows")),
        (at("in/good"), at("out/up/rows")),
    ];
    for (from, to) in refused {
        let (status, answer) = post(&node, &copy(&from, &to));
        assert_eq!(status, 400, "{from:?} {to:?}: {answer}");
        let text = answer.to_string();
        assert!(
            text.contains("jobs of this node"),
            "{from:?} {to:?}: {text}"
        );
        assert!(!text.contains("did you mean"), "{from:?} {to:?}: {text}");
    }
    let (status, answer) = post(&node, &copy(&at("in/good"), &at("out/new/rows")));
    assert_eq!(status, 201, "{answer}");
    assert_eq!(
        end_of(&node, answer["id"].as_str().unwrap())["state"],
        "completed"
    );
    assert!(
        fs::read_to_string(at("out/new/rows"))
            .unwrap()
            .contains("good")
    );
    // A link that is put there once the job was accepted.
    for round in 0..scaled(3, 100) {
        let rows = at(&format!("out/rows-{round}"));
        fs::write(at("in/turns"), "good\n").unwrap();
        let (_, answer) = post(&node, &copy(&at("in/turns"), &rows));
        fs::remove_file(at("in/turns")).unwrap();
        symlink(at("secret"), at("in/turns")).unwrap();
        if let Some(id) = answer["id"].as_str() {
            end_of(&node, id);
        }
        let read = fs::read_to_string(rows).unwrap_or_default();
        assert!(!read.contains(SECRET), "{read}");
        fs::remove_file(at("in/turns")).unwrap();
    }
}

#[test]
fn a_link_that_is_swapped_between_check_and_open_leads_nowhere_else() {
    let folder = ground();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("out/a")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    let files = FileAccess::within(&[at("in")], &[at("out")]).unwrap();
    let ends = AtomicBool::new(false);
    let swap = |link: &str, targets: [&str; 2]| {
        let mut round = 0;
        while !ends.load(Ordering::Relaxed) {
            let next = at(&format!("{link}.next"));
            symlink(at(targets[round % 2]), &next).unwrap();
            fs::rename(&next, at(link)).unwrap();
            round += 1;
        }
    };
    symlink(at("in/good"), at("in/turns")).unwrap();
    symlink(at("out/a"), at("out/turns")).unwrap();
    let mut counts = [0, 0];
    thread::scope(|scope| {
        scope.spawn(|| swap("in/turns", ["in/good", "secret"]));
        scope.spawn(|| swap("out/turns", ["out/a", "elsewhere"]));
        for round in 0..scaled(2_000, 200_000) {
            let checked = files.check(&at("in/turns"), Access::Read);
            let opened = files.open(&at("in/turns"), OpenOptions::new().read(true));
            if let Ok(file) = opened {
                assert_eq!(read_to_string(file).unwrap(), "good\n");
                counts[usize::from(checked.is_ok())] += 1;
            }
            if let Ok(made) = files.folder_to_write(&at("out/turns/made")) {
                made.append(format!("{round}").as_ref()).unwrap();
            }
        }
        ends.store(true, Ordering::Relaxed);
    });
    assert!(counts[0] + counts[1] > 0);
    let outside = fs::read_dir(at("elsewhere")).unwrap().count();
    assert_eq!(outside, 0);
}

#[test]
fn a_node_that_other_machines_reach_starts_only_with_folders() {
    let folder = ground();
    let start = |options: &[(&str, &str)]| {
        let mut command = onyx(&["start"]);
        command
            .env("ONYX_HTTP__PORT", "0")
            .env("ONYX_HTTP__BEARER_TOKEN", SECRET);
        command
            .env("ONYX_HTTP__ADDRESS", "0.0.0.0")
            .envs(options.iter().copied());
        let output = command.current_dir(folder.path()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, log) = start(&[]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("set files.read and files.write"), "{log}");
    let (code, log) = start(&[("ONYX_FILES__READ", "in")]);
    assert_eq!(code, Some(2), "{log}");
    let (code, log) = start(&[("ONYX_FILES__READ", "in"), ("ONYX_FILES__WRITE", "nothing")]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("files.write: nothing"), "{log}");
}
