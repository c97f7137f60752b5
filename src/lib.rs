//! Masterless distributed data processing.
//!
//! A job is a graph of tasks: inputs read segments, functions turn segments into segments, outputs
//! write them. A [`Node`] runs virtual peers that agree on a log who runs which task, and plays
//! again what was not acknowledged. Jobs come from files or from code; a program that embeds a node
//! adds its own functions and plugins to a [`Registry`]:
//!
//! ```
//! use onyx::{Job, JobOutcome, NodeBuilder, NodeConfig, Registry, Segment, Task};
//!
//! let mut registry = Registry::with_built_in();
//! registry.functions.function("shout", |mut line: Segment| {
//!     let text = line.get("text").and_then(|text| text.as_str()).unwrap_or_default();
//!     line.set("text", text.to_uppercase());
//!     line
//! });
//! let read = Task::input("read", "file/lines").with("path", "examples/data/shakespeare.txt");
//! let shout = Task::function("shout", "shout");
//! let write = Task::output("write", "file/json-lines").with("path", "target/shout.jsonl");
//! let job = Job::new("shout", [("read", "shout"), ("shout", "write")], [read, shout, write]);
//!
//! onyx::run(async {
//!     let node = NodeBuilder::new(NodeConfig::default()).registry(registry).without_http();
//!     let node = node.start().await?;
//!     let id = node.handle().submit_job(job).await?;
//!     assert_eq!(node.handle().await_job_completion(id).await?, JobOutcome::Completed);
//!     node.stop().await?;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })
//! # .unwrap();
//! ```
//!
//! A [`NodeHandle`] submits, awaits and kills jobs, follows the log, and starts and stops peers.
//! The files ARCHITECTURE.md and docs/ of the repository say how it is built and what it promises.

// In layer order: a module imports only from lines above its own, see `tests/tidy.rs`.
pub mod clock;
pub mod ids;
pub mod nearest;
pub mod segment;
pub mod stop_flag;

pub mod codec;
pub mod config;
pub mod files;

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
