//! `onyx-node start`: a node that runs until it is told to stop.

use super::args::StartArgs;
use super::console::{Console, Progress};
use super::exit::Exit;
use super::logging;
use super::signals::Signals;
use crate::config::{ConfigError, NodeConfig};
use crate::node::{Node, NodeBuilder, NodeError};
use serde_json::json;

/// Runs a node.
pub(super) fn start(args: &StartArgs, console: &mut Console) -> Exit {
    let config = match config(args) {
        Ok(config) => config,
        Err(error) => {
            console.complain(error);
            return Exit::BadInput;
        }
    };
    let started = logging::start(&config.log, Progress::Lines, console);
    if let Err(exit) = started.and_then(|()| console.queue_answers()) {
        return exit;
    }
    crate::node::run(serve(config, console))
}

pub(super) fn config(args: &StartArgs) -> Result<NodeConfig, ConfigError> {
    let mut config = match &args.config {
        Some(path) => NodeConfig::load(path)?,
        None => NodeConfig::from_environment()?,
    };
    config.log = args.log.over(&config.log);
    Ok(config)
}

/// Starts a node, unless a signal comes before it has started.
pub(super) async fn node_of(
    builder: NodeBuilder,
    console: &mut Console,
) -> Result<(Node, Signals), Exit> {
    // Before anything starts, so that no signal finds a node that could not stop in order.
    let mut signals = Signals::take(console)?;
    let starting = builder.listen().map_err(|error| refuse(&error, console))?;
    // Before the node is ready, since it may have to wait for coordination.
    if let Some(address) = starting.http_address() {
        let url = format!("http://{address}");
        console.answer(
            || json!({ "http": url }),
            || format!("onyx-node listens on {url}"),
        );
    }
    let started = tokio::select! {
        started = starting.start() => started,
        signal = signals.next() => Exit::from(signal).at_once(),
    };
    let node = started.map_err(|error| refuse(&error, console))?;
    Ok((node, signals))
}

fn refuse(error: &NodeError, console: &mut Console) -> Exit {
    console.complain(error);
    Exit::from(error)
}

async fn serve(config: NodeConfig, console: &mut Console) -> Exit {
    let (mut node, mut signals) = match node_of(NodeBuilder::new(config), console).await {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    tokio::select! {
        signal = signals.next() => {
            tracing::info!(?signal, "the node stops");
            stop(node, &mut signals).await
        }
        cause = node.failed() => {
            tracing::error!(%cause, "the node failed");
            Exit::NodeFailed.at_once()
        }
    }
}

async fn stop(node: Node, signals: &mut Signals) -> Exit {
    tokio::select! {
        stopped = node.stop() => match stopped {
            Ok(()) => Exit::Done,
            Err(what) => {
                tracing::error!(what, "the node did not stop in order");
                Exit::Failed.at_once()
            }
        },
        signal = signals.next() => Exit::from(signal).at_once(),
    }
}
