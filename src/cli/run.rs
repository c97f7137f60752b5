//! `onyx-node run`: one job from start to end, with a whole node in this process.

use super::args::{LogArgs, RunArgs};
use super::console::{Console, Progress};
use super::exit::Exit;
use super::progress::{ProgressLine, rate};
use super::signals::{Signal, Signals};
use super::start::node_of;
use super::summary::Summary;
use super::{job_source, logging};
use crate::api::{ApiError, JobOutcome, JobReport, NodeHandle};
use crate::clock::Clock;
use crate::config::{LogConfig, LogLevel, NodeConfig};
use crate::files::FileAccess;
use crate::ids::JobId;
use crate::job::Job;
use crate::messages::supervision;
use crate::nearest::some;
use crate::node::{Node, NodeBuilder};
use crate::replica::JobState;
use crate::task::registry::Registry;
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio::time::{Instant, interval_at};

const REWRITE_EVERY: Duration = Duration::from_millis(200);
const WRITE_LINE_EVERY: Duration = Duration::from_secs(3);

/// Runs a job.
pub(super) fn run(args: &RunArgs, console: &mut Console) -> Exit {
    let mut config = match NodeConfig::from_environment() {
        Ok(config) => config,
        Err(problems) => {
            console.complain(problems);
            return Exit::BadInput;
        }
    };
    let mut registry = Registry::with_built_in();
    registry.files = match FileAccess::within(&config.files.read, &config.files.write) {
        Ok(files) => files,
        Err(problem) => {
            console.complain(problem);
            return Exit::BadInput;
        }
    };
    // Whatever is wrong with the job is known before anything has started.
    let job = job_source::read(&args.job).and_then(|file| job_source::judge(file, &registry));
    let job = match job {
        Ok(job) => job,
        Err(problems) => {
            job_source::complain(&problems, console);
            return Exit::BadInput;
        }
    };
    let peers = match peers(&job, args.peers) {
        Ok(peers) => peers,
        Err(problem) => {
            console.complain(problem);
            return Exit::BadInput;
        }
    };
    config.node.peers = peers;
    let log = log_config(&args.log, &config.log);
    if let Err(exit) = logging::start(&log, console.progress(), console) {
        return exit;
    }
    crate::node::run(run_on_a_node(job, &registry, config, console))
}

/// How many peers to start. There are no others, so that fewer than the job needs are an error.
fn peers(job: &Job, wanted: Option<NonZeroUsize>) -> Result<NonZeroUsize, String> {
    let needed: usize = job
        .catalog
        .iter()
        .map(|task| task.min_peers.get() as usize)
        .sum();
    let needed = NonZeroUsize::new(needed).unwrap_or(NonZeroUsize::MIN);
    match wanted {
        Some(wanted) if wanted < needed => Err(format!(
            "--peers {wanted}: job {} needs at least {}, the sum of what its {} \
             need; leave --peers out to start as many",
            job.name,
            some(needed.get(), "peer"),
            some(job.catalog.len(), "task"),
        )),
        wanted => Ok(wanted.unwrap_or(needed)),
    }
}

/// Without being asked, only what went wrong: progress is what people look at.
fn log_config(args: &LogArgs, configured: &LogConfig) -> LogConfig {
    let level = match *configured == LogConfig::default() {
        true => LogLevel::Warn,
        false => configured.level,
    };
    args.over(&LogConfig {
        level,
        ..configured.clone()
    })
}

async fn run_on_a_node(
    job: Job,
    registry: &Registry,
    config: NodeConfig,
    console: &mut Console,
) -> Exit {
    let builder = NodeBuilder::new(config).registry(registry.clone());
    let (mut node, mut signals) = match node_of(builder.without_http(), console).await {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    let handle = node.handle().clone();
    let clock = Clock::start();
    let ending = match handle.submit_job(job.clone()).await {
        Ok(id) => watch(&mut node, id, &mut signals, &clock, console).await,
        Err(error) => Err(Ending::NotPossible(error)),
    };
    console.end_progress();
    let exit = match ending {
        Ok((outcome, report)) => {
            let vocabulary = &registry.vocabulary();
            let (outcome, report) = (&outcome, &report);
            let time = clock.now();
            let summary = Summary {
                job: &job,
                vocabulary,
                outcome,
                report,
                time,
            };
            console.answer(|| summary.to_json(), || summary.to_string());
            tell_why_killed(&job, outcome, console)
        }
        Err(ending) => ending.tell(&job, console),
    };
    if exit == Exit::NodeFailed {
        // There is nothing left that could be stopped in order.
        exit.at_once();
    }
    tokio::select! {
        stopped = node.stop() => match stopped {
            Ok(()) => exit,
            Err(what) => {
                console.complain(what);
                console.exit(exit).at_once()
            }
        },
        signal = signals.next() => Exit::from(signal).at_once(),
    }
}

/// How the watching of a job ends when the job does not.
enum Ending {
    Signal(Signal),
    NodeFailed(supervision::Exit),
    NotPossible(ApiError),
}

impl Ending {
    fn tell(self, job: &Job, console: &mut Console) -> Exit {
        match self {
            Ending::Signal(signal) => {
                console.complain(format!("job {} was killed by a signal", job.name));
                signal.into()
            }
            Ending::NodeFailed(cause) => {
                console.complain(format!("the node failed: {cause}"));
                Exit::NodeFailed
            }
            Ending::NotPossible(error) => {
                console.complain(error);
                Exit::Failed
            }
        }
    }
}

fn tell_why_killed(job: &Job, outcome: &JobOutcome, console: &mut Console) -> Exit {
    let JobOutcome::Killed(exception) = outcome else {
        return Exit::Done;
    };
    let exception = exception.as_deref().unwrap_or("nobody said why");
    console.complain(format!("job {} was killed: {exception}", job.name));
    Exit::Failed
}

/// Shows how far the job is until it, the node or the user ends it.
async fn watch(
    node: &mut Node,
    id: JobId,
    signals: &mut Signals,
    clock: &Clock,
    console: &mut Console,
) -> Result<(JobOutcome, JobReport), Ending> {
    let handle = node.handle().clone();
    let mut ended = Box::pin(handle.await_job_completion(id));
    let period = match console.progress() {
        Progress::Rewritten => REWRITE_EVERY,
        Progress::Lines => WRITE_LINE_EVERY,
    };
    let mut ticks = interval_at(Instant::now() + period, period);
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                console.end_progress();
                console.complain("ending the job and the node; once more ends the process at once");
                kill(&handle, id, signals).await;
                return Err(Ending::Signal(signal));
            }
            outcome = &mut ended => {
                let outcome = outcome.map_err(Ending::NotPossible)?;
                let report = handle.job(id).await.map_err(Ending::NotPossible)?;
                return Ok((outcome, report));
            }
            cause = node.failed() => return Err(Ending::NodeFailed(cause)),
            _ = ticks.tick() => {
                let report = handle.job(id).await.map_err(Ending::NotPossible)?;
                show(&report, clock, console);
            }
        }
    }
}

fn show(report: &JobReport, clock: &Clock, console: &mut Console) {
    let name = report.summary.name.as_str();
    if report.summary.state == JobState::Waiting {
        return console.show_progress(format!("{name}: {}", report.summary.why));
    }
    let figures = report.totals();
    let rate = rate(figures.completed, clock.now());
    console.show_progress(ProgressLine {
        name,
        figures,
        rate,
    });
}

/// Ends the job; another signal ends the process without it.
async fn kill(handle: &NodeHandle, id: JobId, signals: &mut Signals) {
    tokio::select! {
        // The node is stopped next, whatever became of this.
        _ = handle.kill_job(id) => {}
        signal = signals.next() => Exit::from(signal).at_once(),
    }
}
