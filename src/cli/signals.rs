//! The signals that ask this process to end, and SIGHUP, which does not.

use super::console::Console;
use super::exit::Exit;
use std::io;
use tokio::signal::unix::{self, SignalKind};

/// Takes the signals over: from now on they end nothing by themselves.
pub(super) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What service managers and `kill` send.
    Terminate,
}

impl Signals {
    /// Complains if they cannot be taken.
    pub(super) fn take(console: &mut Console) -> Result<Self, Exit> {
        let listened = || -> io::Result<Self> {
            Ok(Signals {
                interrupt: unix::signal(SignalKind::interrupt())?,
                terminate: unix::signal(SignalKind::terminate())?,
                hangup: unix::signal(SignalKind::hangup())?,
            })
        };
        listened().map_err(|error| {
            console.complain(format!("cannot listen to signals: {error}"));
            Exit::Failed
        })
    }

    /// The next one that asks to end. SIGHUP is logged and ignored: there is no file to open again, and a
    /// terminal that closes is no reason to drop work.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Signal::Interrupt,
                _ = self.terminate.recv() => return Signal::Terminate,
                _ = self.hangup.recv() => tracing::warn!(
                    "SIGHUP is ignored: the configuration is read at the start only; SIGTERM ends the \
                     process"
                ),
            }
        }
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}
