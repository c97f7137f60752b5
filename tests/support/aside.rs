//! A service that a test needs and that outlives its processes: on a thread of its own, with a runtime
//! of its own.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// A service that runs until it is stopped, or dropped.
pub(crate) struct Aside<T> {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Aside<T> {
    /// Begins to serve: whoever serves says at which address, and ends when it is told to.
    pub(crate) fn start<S>(
        serve: impl FnOnce(mpsc::Sender<String>, oneshot::Receiver<()>) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = T> + 'static,
    {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || onyx::run(serve(tell, stopped)));
        Aside {
            address: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Stops it, and answers with what it says at its end.
    pub(crate) fn stop(mut self) -> T {
        self.end().unwrap().unwrap()
    }
}

impl<T> Aside<T> {
    fn end(&mut self) -> Option<thread::Result<T>> {
        // Whoever has ended already hears nothing.
        let _ = self.stop.take()?.send(());
        self.thread.take().map(JoinHandle::join)
    }
}

impl<T> Drop for Aside<T> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
