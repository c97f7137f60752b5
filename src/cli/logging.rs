//! Where the log of a node in this process goes: to standard error, as text or JSON.

use super::console::{CLEAR_LINE, Progress};
use crate::config::{LogConfig, LogFormat, LogLevel};
use std::io::{self, IsTerminal, Stderr, Write};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Crates of this project, whose log lines follow the level; of others only what went wrong is of
/// interest.
const OURS: [&str; 2] = ["onyx", "zookeeper_embedded"];

/// Logs from now on, beside progress that is shown like this. Where something logs already, it
/// goes on.
pub(super) fn start(config: &LogConfig, beside: Progress) {
    let level = filter(config.level);
    let default = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(default)
        .with_targets(OURS.map(|it| (it, level)));
    let writer = move || LogWriter {
        stderr: io::stderr(),
        beside,
    };
    let layer = match config.format {
        LogFormat::Text => {
            let text = fmt::layer()
                .with_writer(writer)
                .with_ansi(io::stderr().is_terminal());
            text.with_filter(targets).boxed()
        }
        LogFormat::Json => {
            let json = fmt::layer().with_writer(writer).json().flatten_event(true);
            json.with_filter(targets).boxed()
        }
    };
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Writes over a progress line, so that no log line begins in the middle of one.
struct LogWriter {
    stderr: Stderr,
    beside: Progress,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stderr = self.stderr.lock();
        if self.beside == Progress::Rewritten {
            stderr.write_all(CLEAR_LINE.as_bytes())?;
        }
        stderr.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stderr.flush()
    }
}
