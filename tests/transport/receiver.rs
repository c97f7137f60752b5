//! The other process: it has an inbox, and says what came.

use super::{CAPACITY, peer, transport};
use onyx::messaging::{InboxKind, Message, Transport};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(super) const ROLE: &str = "receive";
const MESSAGES: u64 = 20_000;

/// The process, seen from the test.
pub(super) struct Receiver {
    pub(super) site: String,
    process: Child,
    said: BufReader<ChildStdout>,
    /// It ends when this does.
    stay: Option<ChildStdin>,
}

impl Receiver {
    pub(super) fn start(directory: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([ROLE.as_ref(), directory.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut receiver = Receiver {
            site: String::new(),
            said: BufReader::new(process.stdout.take().unwrap()),
            stay: process.stdin.take(),
            process,
        };
        receiver.site = receiver.line();
        receiver
    }

    /// The next thing it says.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    /// Lets it go.
    pub(super) fn end(mut self) {
        drop(self.stay.take());
        assert!(self.process.wait().unwrap().success());
    }

    /// Ends it without a word.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // One that has ended is no trouble.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What that process does.
pub(super) async fn receive(directory: &Path) {
    let transport = transport(directory);
    let mut inbox = transport
        .open_inbox(peer(), InboxKind::Task, CAPACITY)
        .unwrap();
    println!("{}", transport.aeron_site());
    let mut most = 0;
    for number in 0..MESSAGES {
        most = most.max(inbox.len());
        let Some(Message::Retries(message)) = inbox.next().await else {
            panic!("something else arrived");
        };
        assert_eq!(message.roots, [number]);
    }
    assert!(most <= CAPACITY + 2, "{most} waited");
    println!("{MESSAGES} in order, at most {} waited", CAPACITY + 2);
    // Until the test has seen enough.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}
