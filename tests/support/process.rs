//! `onyx-node` as processes of a test: they start, are signalled, killed, and asked over HTTP.

#![allow(dead_code, reason = "every test program uses a part of it")]

use serde_json::Value;
use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A process of the command. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    log: PathBuf,
}

/// A node that is its own process.
pub(crate) struct Node {
    process: Process,
    /// Read when it is first asked for, since a node that starts may wait for others.
    url: OnceCell<String>,
    token: Option<String>,
}

/// What the environment of a process says beside its words: options by the names of variables.
pub(crate) type Options = Vec<(String, String)>;

impl Process {
    /// Starts `onyx-node` with these words; `around` are words before it, such as `ip netns exec`.
    pub(crate) fn start(around: &[&str], words: &[&str], options: &Options, log: &Path) -> Self {
        let mut line = around.to_vec();
        line.push(env!("CARGO_BIN_EXE_onyx-node"));
        line.extend(words);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]);
        // What the shell of a developer has set is none of the tests' business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ONYX_") {
                command.env_remove(name);
            }
        }
        command.envs(options.iter().map(|(name, value)| (name, value)));
        let mut appending = File::options();
        let errors = appending.create(true).append(true).open(log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Process {
            child,
            out,
            log: log.to_owned(),
        }
    }

    /// The line that it says once it works. Panics with its log when it ends instead.
    pub(crate) fn says(&mut self) -> String {
        let mut line = String::new();
        let out = self.out.as_mut().expect("its output is piped");
        out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it has ended:\n{}", end_of(&self.log));
        line
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    pub(crate) fn start(around: &[&str], options: &Options, log: &Path) -> Self {
        let token = options
            .iter()
            .find(|(name, _)| name == "ONYX_HTTP__BEARER_TOKEN");
        Node {
            token: token.map(|(_, token)| token.clone()),
            process: Process::start(around, &["start"], options, log),
            url: OnceCell::new(),
        }
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until it listens.
    pub(crate) fn listens(&mut self) {
        if self.url.get().is_none() {
            let line = self.process.says();
            let url = line.trim().strip_prefix("onyx-node listens on ");
            let url = url.unwrap_or_else(|| panic!("listens where? {line:?}"));
            self.url.set(url.to_owned()).unwrap();
        }
    }

    /// The answer, or none when there is no connection.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let url = self.url.get().expect("it listens");
        let mut asked = ureq::get(format!("{url}{path}"));
        if let Some(token) = &self.token {
            asked = asked.header("Authorization", format!("Bearer {token}"));
        }
        let asked = asked.config().http_status_as_error(false).build();
        asked.call().ok()?.body_mut().read_json().ok()
    }

    /// Submits a job, and answers with its id.
    pub(crate) fn submit(&self, job: &str) -> String {
        let url = self.url.get().expect("it listens");
        let mut asked = ureq::post(format!("{url}/jobs"));
        if let Some(token) = &self.token {
            asked = asked.header("Authorization", format!("Bearer {token}"));
        }
        let asked = asked.config().http_status_as_error(false).build();
        let answer: Value = asked.send(job).unwrap().body_mut().read_json().unwrap();
        let id = answer["id"].as_str();
        id.unwrap_or_else(|| panic!("not taken: {answer}"))
            .to_owned()
    }
}

/// The last lines of a log.
pub(crate) fn end_of(log: &Path) -> String {
    const LINES: usize = 40;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
