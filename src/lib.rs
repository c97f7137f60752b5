//! Masterless distributed data processing.

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
