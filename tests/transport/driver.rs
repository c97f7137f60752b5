//! A media driver in a process of its own: `onyx-node media-driver`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The process. It ends with this.
pub(super) struct Driver {
    pub(super) directory: PathBuf,
    process: Child,
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onyx-node"));
    command
        .arg("media-driver")
        .env("ONYX_MESSAGING__DRIVER_DIRECTORY", directory)
        .env("ONYX_MESSAGING__TERM_BYTES", "1048576");
    command
}

impl Driver {
    /// A driver that works.
    pub(super) fn start(directory: &Path) -> Self {
        let mut process = command(directory).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert!(line.starts_with("the media driver works at"), "{line}");
        let directory = directory.into();
        Driver { directory, process }
    }

    /// What a driver says that does not start.
    pub(super) fn refused(directory: &Path) -> String {
        let output = command(directory).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Ends it as a service manager does.
    pub(super) fn stop(mut self) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        assert!(self.process.wait().unwrap().success());
    }

    /// Ends it without a word.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // One that has ended is no trouble.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(mut said) = self.process.stdout.take() {
            let _ = said.read_to_string(&mut String::new());
        }
    }
}
