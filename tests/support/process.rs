//! `onyx-node` as processes of a test: they start, are signalled, killed, and asked over HTTP.

#![allow(dead_code, reason = "every test program uses a part of it")]

use serde_json::Value;
use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process of the command. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
    log: Logged,
}

/// A node that is its own process.
pub(crate) struct Node {
    process: Process,
    /// Read when it is first asked for, since a node that starts may wait for others.
    url: OnceCell<String>,
    token: Option<String>,
}

/// Where that goes which a process writes to standard error.
pub(crate) enum Errors<'a> {
    /// To whoever holds the process.
    Kept,
    /// To the end of this file.
    In(&'a Path),
}

enum Logged {
    Here(BufReader<ChildStderr>),
    There(PathBuf),
}

/// Between two looks at processes, which cannot be waited for otherwise.
#[expect(
    clippy::disallowed_methods,
    reason = "no arbiter and no virtual time runs here"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// `onyx-node` with these words.
pub(crate) fn onyx(words: &[&str]) -> Command {
    onyx_within(&[], words)
}

/// `onyx-node` with these words; `around` are words before it, such as `ip netns exec`.
pub(crate) fn onyx_within(around: &[&str], words: &[&str]) -> Command {
    let line = [around, &[env!("CARGO_BIN_EXE_onyx-node")], words].concat();
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).stdin(Stdio::null());
    without_settings(&mut command);
    command
}

/// What the shell of a developer has set is none of the tests' business.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ONYX_") {
            command.env_remove(name);
        }
    }
}

impl Process {
    pub(crate) fn start(command: &mut Command, errors: Errors<'_>) -> Self {
        let stream = match errors {
            Errors::Kept => Stdio::piped(),
            Errors::In(path) => {
                let mut appending = File::options();
                let file = appending.create(true).append(true).open(path);
                file.unwrap().into()
            }
        };
        command.stdout(Stdio::piped()).stderr(stream);
        let mut child = command.spawn().expect("the command runs");
        let out = child.stdout.take().expect("its output is piped");
        let log = match errors {
            Errors::Kept => {
                let errors = child.stderr.take().expect("its errors are piped");
                Logged::Here(BufReader::new(errors))
            }
            Errors::In(path) => Logged::There(path.to_owned()),
        };
        Process {
            child,
            out: BufReader::new(out),
            log,
        }
    }

    /// The next line of its output; empty when there is none.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// The line that it says once it works. Panics with its log when it ends instead.
    pub(crate) fn says(&mut self) -> String {
        let line = self.line();
        assert!(!line.is_empty(), "it has ended:\n{}", self.end_of_log());
        line
    }

    /// The next line of its log, which is kept.
    pub(crate) fn warns(&mut self) -> String {
        let Logged::Here(errors) = &mut self.log else {
            panic!("its log is a file");
        };
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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

    /// How it ends by itself, and what it has logged.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let log = self.log();
        (self.child.wait().unwrap().code(), log)
    }

    /// How it ends when it is sent a signal, and what it has logged.
    pub(crate) fn end_by(&mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        self.end()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has logged; a log that is kept ends with the process.
    fn log(&mut self) -> String {
        match &mut self.log {
            Logged::Here(errors) => {
                let mut log = String::new();
                errors.read_to_string(&mut log).unwrap();
                log
            }
            Logged::There(path) => fs::read_to_string(path).unwrap_or_default(),
        }
    }

    /// The last lines of its log.
    pub(crate) fn end_of_log(&mut self) -> String {
        const LINES: usize = 40;
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
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
    pub(crate) fn start(command: &mut Command, errors: Errors<'_>) -> Self {
        let mut options = command.get_envs();
        let token = options.find(|(name, _)| *name == "ONYX_HTTP__BEARER_TOKEN");
        let token = token.and_then(|(_, token)| Some(token?.to_str()?.to_owned()));
        Node {
            process: Process::start(command, errors),
            url: OnceCell::new(),
            token,
        }
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until it listens, and has a session with coordination.
    pub(crate) fn listens(&mut self) {
        self.takes_port();
        let starts = |answer: &Value| answer["reasons"].to_string().contains("the node starts");
        while self
            .get("/health/ready")
            .is_none_or(|answer| starts(&answer))
        {
            let is_alive = self.process.is_alive();
            assert!(is_alive, "it has ended:\n{}", self.process.end_of_log());
            pause(Duration::from_millis(10));
        }
    }

    /// Waits until it listens; it may still wait for coordination.
    pub(crate) fn takes_port(&mut self) {
        if self.url.get().is_none() {
            let line = self.process.says();
            let url = line.trim().strip_prefix("onyx-node listens on ");
            let url = url.unwrap_or_else(|| panic!("listens where? {line:?}"));
            self.url.set(url.to_owned()).unwrap();
        }
    }

    pub(crate) fn url(&self) -> &str {
        self.url.get().expect("it listens")
    }

    /// The answer, or none when there is no connection.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let mut asked = ureq::get(format!("{}{path}", self.url()));
        if let Some(token) = &self.token {
            asked = asked.header("Authorization", format!("Bearer {token}"));
        }
        let asked = asked.config().http_status_as_error(false).build();
        asked.call().ok()?.body_mut().read_json().ok()
    }

    /// What is answered as text.
    pub(crate) fn page(&self, path: &str) -> String {
        let asked = ureq::get(format!("{}{path}", self.url())).call();
        asked.unwrap().body_mut().read_to_string().unwrap()
    }

    /// Submits a job, and answers with its id.
    pub(crate) fn submit(&self, job: &str) -> String {
        let mut asked = ureq::post(format!("{}/jobs", self.url()));
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
