//! `onyx-node media-driver`: the media driver that the processes of one machine share.

use super::args::StartArgs;
use super::console::{Console, Progress};
use super::exit::Exit;
use super::logging;
use super::start;
use crate::config::NodeConfig;

/// Runs a media driver at the directory that the configuration of the nodes names.
pub(super) fn media_driver(args: &StartArgs, console: &mut Console) -> Exit {
    let config = match start::config(args) {
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
    run(&config, console)
}

#[cfg(not(feature = "aeron"))]
fn run(_config: &NodeConfig, console: &mut Console) -> Exit {
    console.complain("this binary was built without Aeron; build it with `--features aeron`");
    Exit::BadInput
}

#[cfg(feature = "aeron")]
fn run(config: &NodeConfig, console: &mut Console) -> Exit {
    use crate::ids::IdSource;
    use crate::messaging::aeron::{AeronSettings, MediaDriver};

    let aeron = &config.messaging.aeron;
    let epoch = IdSource::from_entropy().bits();
    let settings = AeronSettings::of(aeron, 0, epoch);
    let driver = match MediaDriver::start_at(&aeron.driver_directory, &settings) {
        Ok(driver) => driver,
        Err(error) => {
            console.complain(error);
            return Exit::BadInput;
        }
    };
    crate::node::run(serve(driver, console))
}

#[cfg(feature = "aeron")]
async fn serve(driver: crate::messaging::aeron::MediaDriver, console: &mut Console) -> Exit {
    use super::signals::Signals;
    use serde_json::json;

    let mut signals = match Signals::take(console) {
        Ok(signals) => signals,
        Err(exit) => return exit,
    };
    let directory = driver.directory().display().to_string();
    console.answer(
        || json!({ "media-driver": directory }),
        || format!("the media driver works at {directory}"),
    );
    tokio::select! {
        signal = signals.next() => {
            tracing::info!(?signal, "the media driver stops");
            Exit::Done
        }
        // It has logged why.
        () = driver.ended() => Exit::NodeFailed,
    }
}
