//! `onyx-node start`: a node that runs until it is told to stop.

use super::args::StartArgs;
use super::console::{Console, Progress};
use super::exit::Exit;
use super::logging;
use super::signals::Signals;
use crate::config::{ConfigError, NodeConfig};
use crate::node::{Node, NodeBuilder};

/// Runs a node.
pub(super) fn start(args: &StartArgs, console: &mut Console) -> Exit {
    let config = match config(args) {
        Ok(config) => config,
        Err(error) => {
            console.complain(error);
            return Exit::BadInput;
        }
    };
    logging::start(&config.log, Progress::Lines);
    crate::node::run(serve(config, console))
}

pub(super) fn config(args: &StartArgs) -> Result<NodeConfig, ConfigError> {
    let mut config = match &args.config {
        Some(path) => NodeConfig::load(path)?,
        None => NodeConfig::from_environment()?,
    };
    config.log.format = args.log.log_format.unwrap_or(config.log.format);
    config.log.level = args.log.log_level.unwrap_or(config.log.level);
    Ok(config)
}

async fn serve(config: NodeConfig, console: &mut Console) -> Exit {
    // Before anything starts, so that no signal finds a node that could not stop in order.
    let mut signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => {
            console.complain(format!("cannot listen to signals: {error}"));
            return Exit::Failed;
        }
    };
    let started = tokio::select! {
        started = NodeBuilder::new(config).start() => started,
        signal = signals.next() => Exit::from(signal).at_once(),
    };
    let mut node = match started {
        Ok(node) => node,
        Err(error) => {
            console.complain(&error);
            return Exit::from(&error);
        }
    };
    if let Some(address) = node.http_address() {
        console.say(format!("onyx-node listens on http://{address}"));
    }
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
