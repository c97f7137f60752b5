//! Secrets leave the environment before anything else happens.
//!
//! The environment that a process was started with stays readable in `/proc/PID/environ` for its user, and so
//! for every job that may read files, whatever the process does to its variables later. So a process that
//! finds a secret among its variables runs itself once more, in its own place and without them, and hands
//! the values over in a pipe, which is empty when it has been read.

use super::console::Console;
use super::exit::Exit;
use crate::config::{SECRETS, take_secrets};
use rustix::io::{FdFlags, fcntl_setfd};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Holds the number of the descriptor from which secrets are read.
const DESCRIPTOR: &str = "ONYX_SECRETS_DESCRIPTOR";

/// A pipe takes this much without a reader.
const BYTES_MAX: usize = 64 * 1024;

/// Takes the secrets out of the environment, by running this program again if there are some.
pub(super) fn leave_environment(console: &mut Console) -> Result<(), Exit> {
    let found = match std::env::var(DESCRIPTOR) {
        Ok(descriptor) => handed_over(&descriptor).map(take_secrets),
        Err(_) => without_secrets(),
    };
    found.map_err(|error| {
        console.complain(format!(
            "cannot take {} out of the environment: {error}; use files: http.token-file and \
             coordination.digest-password-file",
            SECRETS.join(", ")
        ));
        Exit::Failed
    })
}

/// What the process that ran this one has put into the pipe.
fn handed_over(descriptor: &str) -> io::Result<Vec<(String, String)>> {
    let number: u32 = descriptor.parse().map_err(io::Error::other)?;
    let text = io::read_to_string(File::open(format!("/proc/self/fd/{number}"))?)?;
    Ok(serde_json::from_str(&text)?)
}

/// Runs the program again if there are secrets. Returns only if there are none, or if that fails.
fn without_secrets() -> io::Result<()> {
    let secrets = SECRETS.iter().filter_map(|name| {
        let value = std::env::var_os(name)?;
        // A value that is not Unicode is kept in some form, so that its check can complain.
        Some((*name, value.to_string_lossy().into_owned()))
    });
    let secrets: Vec<(&str, String)> = secrets.collect();
    if secrets.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_vec(&secrets)?;
    if text.len() > BYTES_MAX {
        return Err(io::Error::other("they are longer than 64 KiB"));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(&text)?;
    drop(writer);
    fcntl_setfd(&reader, FdFlags::empty())?;
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("onyx-node"));
    let mut again = Command::new(std::env::current_exe()?);
    again.arg0(name).args(words);
    for secret in SECRETS {
        again.env_remove(secret);
    }
    again.env(DESCRIPTOR, reader.as_raw_fd().to_string());
    Err(again.exec())
}
