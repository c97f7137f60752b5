//! What users test their jobs with: a whole cluster in one thread, plugins in memory, and faults.
//!
//! A [`TestCluster`] runs the actors of a running node over coordination in memory, or on the
//! [`Servers`] it is given. In memory everything is timed by the runtime's clock, so that a test that
//! pauses the clock first (tokio's feature `test-util`) takes no time for waiting, and takes the same
//! course every time.
//!
//! ```
//! use onyx::api::JobOutcome;
//! use onyx::job::{Job, Task, TaskKind};
//! use onyx::task::registry::Registry;
//! use onyx::testing::plugins::{Sink, Source};
//! use onyx::testing::{Setup, TestCluster};
//!
//! onyx::run(async {
//!     tokio::time::pause();
//!     let (source, sink) = (Source::numbers(100), Sink::default());
//!     let mut registry = Registry::with_built_in();
//!     source.register(&mut registry, "numbers");
//!     sink.register(&mut registry, "collect");
//!     let cluster = TestCluster::start(Setup { registry, ..Setup::default() });
//!     let plugin = |name: &str| Some(name.to_owned());
//!     let job = cluster.submit(Job {
//!         name: "copy".into(),
//!         workflow: vec![("in".into(), "out".into())],
//!         catalog: vec![
//!             Task { plugin: plugin("numbers"), ..Task::new("in", TaskKind::Input) },
//!             Task { plugin: plugin("collect"), ..Task::new("out", TaskKind::Output) },
//!         ],
//!         ..Job::new("", [], [])
//!     });
//!     let job = job.await.unwrap();
//!     assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
//!     assert_eq!(sink.segments().len(), 100);
//! });
//! ```

mod cluster;
mod crash;
mod lossy;
pub mod plugins;
mod servers;

pub use cluster::{Setup, TestCluster, commands};
pub use crash::{Victim, crash};
pub use lossy::Loss;
pub use servers::Servers;
