//! Masterless distributed data processing.
//!
//! A job is a graph of tasks: inputs read segments, functions turn segments into segments, outputs
//! write them. A [`Node`] runs virtual peers that agree on a log who runs which task, and plays
//! again what was not acknowledged. Jobs come from files or from code; a program that embeds a node
//! adds its own functions and plugins to a [`Registry`]:
//!
//! ```
//! use onyx::job::file::{Format, JobFile};
//! use onyx::job::validation::Checks;
//! use onyx::{JobOutcome, NodeBuilder, NodeConfig, Registry, Segment};
//!
//! let job = "
//! workflow: [[read, shout], [shout, write]]
//! catalog:
//!   - { name: read, type: input, plugin: file/lines, path: examples/data/shakespeare.txt }
//!   - { name: shout, type: function, fn: my/shout }
//!   - { name: write, type: output, plugin: file/json-lines, path: target/shout.jsonl }
//! ";
//! let mut registry = Registry::with_built_in();
//! registry.functions.function("my/shout", |mut line: Segment| {
//!     let text = line.get("text").and_then(|text| text.as_str()).unwrap_or_default();
//!     line.set("text", text.to_uppercase());
//!     line
//! });
//! let job = JobFile::parse("shout", job, Format::Yaml).unwrap();
//! let job = job.into_job(&registry.vocabulary(), Checks::NONE).unwrap();
//! onyx::run(async {
//!     let node = NodeBuilder::new(NodeConfig::default()).registry(registry).without_http();
//!     let node = node.start().await.unwrap();
//!     let id = node.handle().submit_job(job).await.unwrap();
//!     let outcome = node.handle().await_job_completion(id).await.unwrap();
//!     assert_eq!(outcome, JobOutcome::Completed);
//!     node.stop().await.unwrap();
//! });
//! ```
//!
//! A [`NodeHandle`] submits, awaits and kills jobs, follows the log, and starts and stops peers.
//! The files ARCHITECTURE.md and docs/ of the repository say how it is built and what it promises.

// In layer order: a module imports only from lines above its own, see `tests/tidy.rs`.
pub mod clock;
pub mod ids;
pub mod nearest;
pub mod segment;

pub mod codec;
pub mod config;

pub mod job;

pub mod replica;

pub mod scheduler;

pub mod log;

pub mod acking;
pub mod functions;

pub mod coordination;
pub mod messaging;
pub mod plugins;

pub mod task;

pub mod messages;

pub mod actors;

pub mod api;

pub mod http;

pub mod node;

pub mod testing;

pub mod cli;

pub use api::{ApiError, JobOutcome, JobReport, LogEvent, LogSubscription, NodeHandle, NodeStatus};
pub use config::NodeConfig;
pub use functions::{Emits, FunctionError};
pub use ids::{JobId, PeerId};
pub use job::{Job, Lifecycle, Task, TaskKind};
pub use node::{Node, NodeBuilder, NodeError, run};
pub use plugins::{Input, Output, PluginContext, PluginError, Polled, Position, ReadSegments};
pub use segment::{Segment, Value};
pub use task::exception::Exception;
pub use task::lifecycles::{Handling, LifecycleCalls};
pub use task::registry::Registry;
