//! A stream whose writers never wait for its reader. Lines are queued, and a thread writes them. A line that
//! finds the queue full is dropped and counted, and the count is logged once the reader goes on.
//!
//! The non-blocking writer of tracing-appender reports no drops, and prints to standard error when it ends,
//! where it waits for the reader that has stalled.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A queue before a stream. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct LineQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// Lines that found the queue full and have not been reported.
    dropped: u64,
    /// Whether the thread has bytes that it has not written.
    is_writing: bool,
    /// The first error of writing that has not been reported.
    failure: Option<io::Error>,
}

/// The most bytes that wait. The thread holds at most as many.
const BYTES_MAX: usize = 1 << 20;
/// How long the end of the process waits for all readers together.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(1);

/// Every queue of this process: what waits is written before the process ends.
static QUEUES: Mutex<Vec<LineQueue>> = Mutex::new(Vec::new());

impl LineQueue {
    /// A queue before a stream of this process.
    pub(super) fn before(stream: &impl AsFd) -> io::Result<Self> {
        // A descriptor of its own: the lock of a standard stream would block others with the thread.
        let own = stream.as_fd().try_clone_to_owned()?;
        let queue = LineQueue::writing_to(own)?;
        let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(queue.clone());
        Ok(queue)
    }

    fn writing_to(stream: OwnedFd) -> io::Result<Self> {
        let queue = LineQueue(Arc::default());
        let shared = queue.0.clone();
        let thread = thread::Builder::new().name("output".into());
        thread.spawn(move || shared.write_to(File::from(stream)))?;
        Ok(queue)
    }

    /// Queues bytes that belong together, or drops them if they do not fit.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.state();
        if state.waiting.len() + line.len() > BYTES_MAX {
            state.dropped += 1;
        } else {
            state.waiting.extend_from_slice(line);
            self.0.changed.notify_all();
        }
    }

    /// The same queue, as one that reports errors of writing.
    pub(super) fn reporting(self) -> Reporting {
        Reporting(self)
    }

    /// Waits until all is written, but no longer than this.
    pub(super) fn drain(&self, limit: Duration) {
        let state = self.0.state();
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        // When the time is up, the rest is lost with the process.
        drop(self.0.changed.wait_timeout_while(state, limit, is_busy));
    }
}

/// Gives the readers of all queues a last chance, before the process ends.
pub(super) fn drain_all() {
    let queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    let share = LAST_LINES_LIMIT / u32::try_from(queues.len().max(1)).unwrap_or(u32::MAX);
    queues.iter().for_each(|queue| queue.drain(share));
}

/// Drains all queues when it is dropped, which a panic does too.
pub(super) struct DrainedAtTheEnd;

impl Drop for DrainedAtTheEnd {
    fn drop(&mut self) {
        drain_all();
    }
}

/// A queue whose `flush` waits a moment for the thread and reports its errors.
pub(super) struct Reporting(LineQueue);

/// How long `flush` waits for a write to end, which takes longer only if the reader has stalled.
const REPORT_LIMIT: Duration = Duration::from_millis(200);

impl Write for Reporting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.drain(REPORT_LIMIT);
        self.0.0.state().failure.take().map_or(Ok(()), Err)
    }
}

impl Write for LineQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut stream: File) {
        let mut batch = Vec::new();
        loop {
            let dropped = self.take(&mut batch);
            let written = stream.write_all(&batch);
            batch.clear();
            if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "log lines were dropped: they are not read as fast as they are written"
                );
            }
            let mut state = self.state();
            state.is_writing = false;
            if let Err(error) = written {
                state.failure.get_or_insert(error);
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits for lines, takes all of them, and answers with how many were dropped behind them.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let is_idle = |state: &mut State| state.waiting.is_empty() && state.dropped == 0;
        let state = self.changed.wait_while(self.state(), is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(batch, &mut state.waiting);
        state.is_writing = true;
        std::mem::take(&mut state.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn queue() -> (LineQueue, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        (LineQueue::writing_to(writer.into()).unwrap(), reader)
    }

    #[test]
    fn lines_arrive_in_order() {
        let (queue, mut reader) = queue();
        queue.push(b"one\n");
        queue.push(b"two\n");
        queue.drain(Duration::MAX);
        let mut read = [0; 8];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"one\ntwo\n");
    }

    #[test]
    fn an_error_of_writing_is_reported_once() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let queue = LineQueue::writing_to(full.into()).unwrap();
        let mut reporting = queue.clone().reporting();
        reporting.write_all(b"one\n").unwrap();
        queue.drain(Duration::MAX);
        let error = reporting.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        reporting.flush().unwrap();
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_and_counted_and_no_writer_waits() {
        let (queue, mut reader) = queue();
        let line = [b'x'; 1024];
        // What the pipe and the thread hold is unknown, so that more than all of it is written.
        let lines = 4 * BYTES_MAX / line.len();
        for _ in 0..lines {
            queue.push(&line);
        }
        let dropped = queue.0.state().dropped;
        assert!(dropped > 0);
        queue.drain(Duration::ZERO);
        let mut read = vec![0; (lines - dropped as usize) * line.len()];
        reader.read_exact(&mut read).unwrap();
        queue.drain(Duration::MAX);
        assert_eq!(queue.0.state().dropped, 0);
    }
}
