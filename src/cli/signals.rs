//! The signals that ask this process to end.

use super::console::Console;
use super::exit::Exit;
use std::io;
use tokio::signal::unix::{self, SignalKind};

/// Takes the signals over: from now on they end nothing by themselves.
pub(super) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
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
            })
        };
        listened().map_err(|error| {
            console.complain(format!("cannot listen to signals: {error}"));
            Exit::Failed
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
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
