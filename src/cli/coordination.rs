//! `onyx-node coordination`: the embedded coordination server as a process of its own, for several
//! nodes.

use super::args::CoordinationArgs;
use super::console::{Console, Progress};
use super::exit::Exit;
use super::logging;
use super::signals::Signals;
use crate::config::LogConfig;
use crate::node::{access, publish};
use serde_json::json;
use std::time::Duration;
use zookeeper_embedded::{Config, Server, StartError};

/// Runs a coordination server.
pub(super) fn coordination(args: &CoordinationArgs, console: &mut Console) -> Exit {
    let log = args.log.over(&LogConfig::default());
    let started = logging::start(&log, Progress::Lines, console);
    if let Err(exit) = started.and_then(|()| console.queue_answers()) {
        return exit;
    }
    let config = Config {
        address: args.listen,
        allow_non_loopback: args.allow_non_loopback,
        data_dir: args.data_dir.clone(),
        access: access(args.access),
        handshake_timeout: Duration::from_millis(args.handshake_ms.get().into()),
        max_connections: args.connections_max.get(),
        max_connections_per_address: args.connections_per_address_max.get(),
        ..Config::default()
    };
    crate::node::run(serve(config, console))
}

async fn serve(config: Config, console: &mut Console) -> Exit {
    let mut signals = match Signals::take(console) {
        Ok(signals) => signals,
        Err(exit) => return exit,
    };
    let folder = config
        .data_dir
        .as_ref()
        .map(|folder| folder.display().to_string());
    let kept = match &folder {
        Some(folder) => format!("data in {folder}"),
        None => "in memory only".to_owned(),
    };
    let started = tokio::select! {
        started = Server::start(config) => started,
        signal = signals.next() => Exit::from(signal).at_once(),
    };
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            console.complain(told(&error));
            return Exit::BadInput;
        }
    };
    // Before it says that it listens: who reads that may connect at once.
    let _published = publish(&server);
    let address = server.address().to_string();
    console.answer(
        || json!({ "coordination": address, "data-dir": folder }),
        || format!("coordination listens on {address}, {kept}"),
    );
    tokio::select! {
        signal = signals.next() => {
            tracing::info!(?signal, "coordination stops");
            stop(server, &mut signals).await
        }
        // The server has logged why.
        _ = server.failed() => Exit::NodeFailed.at_once(),
    }
}

/// What is on its way to the disk still gets there, unless a second signal says otherwise.
async fn stop(server: Server, signals: &mut Signals) -> Exit {
    tokio::select! {
        () = server.stop() => Exit::Done,
        signal = signals.next() => Exit::from(signal).at_once(),
    }
}

/// With the names that things have on the command line.
fn told(error: &StartError) -> String {
    match error {
        StartError::NotLoopback { address } => format!(
            "{address} can be reached from other machines, and nothing is encrypted; use 127.0.0.1, or \
             give `--allow-non-loopback` if the network is trusted"
        ),
        other => other.to_string(),
    }
}
