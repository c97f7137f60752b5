//! A thread of a plugin's own, for a medium that cannot be asked without waiting.
//!
//! What the thread reads waits in a bounded queue; its errors, and its panics, come out where the
//! pieces come out, so that the task hears of them; and it ends with the plugin.

use super::PluginError;
use std::any::Any;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

/// The plugin's end of a thread that reads pieces.
///
/// ```
/// use onyx::plugins::{Pieces, Worker};
///
/// let mut worker = Worker::start("numbers", 10, |out| {
///     for n in 0..100 {
///         // Waits while ten pieces are waiting, and ends the thread when the plugin is gone.
///         out.give(n)?;
///     }
///     Ok(())
/// })?;
/// let mut numbers = Vec::new();
/// loop {
///     match worker.next()? {
///         Pieces::Piece(n) => numbers.push(n),
///         Pieces::NoneYet => std::thread::yield_now(),
///         Pieces::End => break,
///     }
/// }
/// assert_eq!(numbers, (0..100).collect::<Vec<_>>());
/// # Ok::<(), onyx::plugins::PluginError>(())
/// ```
#[derive(Debug)]
pub struct Worker<T> {
    pieces: Option<Receiver<T>>,
    thread: Option<JoinHandle<Result<(), WorkerError>>>,
    /// How the thread ended, once it has.
    ended: Result<(), PluginError>,
}

/// What a worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces<T> {
    /// The next piece.
    Piece(T),
    /// Nothing at the moment.
    NoneYet,
    /// There will never be more: its thread has returned.
    End,
}

/// The thread's end.
#[derive(Debug)]
pub struct WorkerOut<T>(SyncSender<T>);

/// Why the thread of a worker ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerError {
    /// The plugin is gone, and nobody wants the pieces.
    Stopped,
    /// This went wrong.
    Failed(PluginError),
}

impl From<PluginError> for WorkerError {
    fn from(error: PluginError) -> Self {
        WorkerError::Failed(error)
    }
}

impl<T> WorkerOut<T> {
    /// Hands over a piece; waits while there are as many as may wait.
    pub fn give(&self, piece: T) -> Result<(), WorkerError> {
        self.0.send(piece).map_err(|_| WorkerError::Stopped)
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Starts a thread, of whose pieces at most `waiting_max` wait.
    pub fn start(
        name: &str,
        waiting_max: usize,
        work: impl FnOnce(WorkerOut<T>) -> Result<(), WorkerError> + Send + 'static,
    ) -> Result<Self, PluginError> {
        let (give, pieces) = sync_channel(waiting_max);
        let thread = thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || work(WorkerOut(give)));
        let thread = thread
            .map_err(|error| PluginError(format!("cannot start the thread `{name}`: {error}")))?;
        Ok(Worker {
            pieces: Some(pieces),
            thread: Some(thread),
            ended: Ok(()),
        })
    }

    /// The next piece, without waiting; and how the thread failed, behind the pieces that it gave.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would have to wait for what is not there yet"
    )]
    pub fn next(&mut self) -> Result<Pieces<T>, PluginError> {
        let Some(pieces) = &self.pieces else {
            // Again and again, so that nobody takes a failure for an end.
            return self.ended.clone().map(|()| Pieces::End);
        };
        match pieces.try_recv() {
            Ok(piece) => Ok(Pieces::Piece(piece)),
            Err(TryRecvError::Empty) => Ok(Pieces::NoneYet),
            Err(TryRecvError::Disconnected) => {
                self.pieces = None;
                self.ended = self.joined();
                self.ended.clone().map(|()| Pieces::End)
            }
        }
    }
}

impl<T> Worker<T> {
    fn joined(&mut self) -> Result<(), PluginError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        match thread.join() {
            Ok(Ok(()) | Err(WorkerError::Stopped)) => Ok(()),
            Ok(Err(WorkerError::Failed(error))) => Err(error),
            Err(panic) => {
                let said = said(&*panic);
                Err(PluginError(format!(
                    "a thread of the plugin panicked: {said}"
                )))
            }
        }
    }
}

/// The thread ends at its next piece, and is waited for: whoever opens the medium next has it alone.
impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.pieces = None;
        // Nobody is left who could be told.
        let _ = self.joined();
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message")
}
