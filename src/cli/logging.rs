//! Where the log of a node in this process goes: to standard error, as text or JSON. A reader that stalls
//! stops no work.

use super::console::{CLEAR_LINE, Console, Progress, has_colours};
use super::exit::Exit;
use super::line_queue::LineQueue;
use crate::config::{LogConfig, LogFormat, LogLevel};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::PanicHookInfo;
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
/// goes on. From now on complaints of the console are queued like the log; panics are logged.
pub(super) fn start(
    config: &LogConfig,
    beside: Progress,
    console: &mut Console,
) -> Result<(), Exit> {
    let queue = console.queue_errors()?;
    let level = filter(config.level);
    let default = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(default)
        .with_targets(OURS.map(|it| (it, level)));
    let writer = move || LogWriter {
        queue: queue.clone(),
        beside,
    };
    let layer = match config.format {
        LogFormat::Text => {
            let text = fmt::layer()
                .with_writer(writer)
                .with_ansi(has_colours(&io::stderr()));
            text.with_filter(targets).boxed()
        }
        LogFormat::Json => {
            let json = fmt::layer().with_writer(writer).json().flatten_event(true);
            json.with_filter(targets).boxed()
        }
    };
    let _ = tracing_subscriber::registry().with(layer).try_init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// The hook of the standard library waits for the reader of standard error.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, place, message, %backtrace, "a thread panicked");
    } else {
        tracing::error!(thread, place, message, "a thread panicked");
    }
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
    queue: LineQueue,
    beside: Progress,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.beside {
            Progress::Rewritten => self.queue.push(&[CLEAR_LINE.as_bytes(), bytes].concat()),
            Progress::Lines => self.queue.push(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.queue.flush()
    }
}
