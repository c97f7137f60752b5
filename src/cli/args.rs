//! What can be said on the command line.

use super::console::Form;
use super::log::args::LogVerb;
use crate::config::{CoordinationAccess, LogConfig, LogFormat, LogLevel};
use crate::ids::JobId;
use crate::job::max_rejected::MaxRejected;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

/// Masterless distributed data processing.
#[derive(Debug, Parser)]
#[command(name = "onyx-node", version, arg_required_else_help = true)]
#[command(after_help = "\
Exit codes: 0 done; 1 the job was killed, or it did not work; 2 the input is wrong; 3 the node \
failed by itself; 130 and 143 ended by Ctrl-C and by SIGTERM.")]
pub(super) struct Cli {
    /// Answer in JSON, one line for each answer; errors stay text, on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

impl Cli {
    /// The form of answers.
    pub(super) fn form(&self) -> Form {
        match self.json {
            true => Form::Json,
            false => Form::Text,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run a job from start to end, with a whole node in this process
    Run(RunArgs),
    /// Start a node, which runs until it is told to stop
    Start(StartArgs),
    /// Submit a job to a node that runs
    Submit(SubmitArgs),
    /// List the jobs a node knows, or tell everything about one
    Jobs(JobsArgs),
    /// List the nodes of the cluster, and those that have left it
    Nodes(NodesArgs),
    /// Tell why a job has the peers it has, or none
    Explain(ExplainArgs),
    /// End a job early
    Kill(KillArgs),
    /// Collect the log: finished jobs and entries that nobody needs any more are deleted
    Gc(GcArgs),
    /// Tell how a node is doing
    Status(StatusArgs),
    /// Look into the log: follow it, explain an entry, take it elsewhere, try entries out
    #[command(subcommand)]
    Log(LogVerb),
    /// Serve the log of several nodes of one machine, without a ZooKeeper ensemble
    Coordination(CoordinationArgs),
    /// Move the segments of the processes of this machine, which share this media driver
    MediaDriver(StartArgs),
    /// Print a script that completes the command line, as `onyx-node completions bash`
    Completions(CompletionsArgs),
    /// Print the manual page, as `onyx-node man > onyx-node.1`
    Man,
}

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    /// How many virtual peers work on it; as many as the job needs when not given
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) peers: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Args, Debug)]
pub(super) struct StartArgs {
    /// The configuration file; without one, defaults and the ONYX_ variables of the environment
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Args, Debug)]
pub(super) struct SubmitArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    /// Wait until the job has ended
    #[arg(long)]
    pub(super) wait: bool,
    /// The id of the job, a UUID that you have drawn: the same job under the same id runs once
    #[arg(long, value_name = "UUID")]
    pub(super) id: Option<JobId>,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct JobsArgs {
    /// The id of a job, or as much of its beginning as no other job has
    #[arg(value_name = "ID")]
    pub(super) id: Option<String>,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct NodesArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The id of the job, or as much of its beginning as no other job has
    #[arg(value_name = "JOB")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct KillArgs {
    /// The id of the job, or as much of its beginning as no other job has
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct GcArgs {
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// List the actors of the node, too
    #[arg(long)]
    pub(super) actors: bool,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(super) struct CoordinationArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2181")]
    #[arg(value_parser = listen_address)]
    pub(super) listen: SocketAddr,
    /// The folder that everything survives a restart in; without one it is in memory only
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Listen on an address that other machines reach, in a network that is trusted: nothing is
    /// encrypted
    #[arg(long)]
    pub(super) allow_non_loopback: bool,
    /// Whom to serve: `secret`, those who log in with the secret of this server; `open`, everybody who
    /// can connect
    #[arg(long, value_name = "ACCESS", default_value = "secret", value_parser = access())]
    pub(super) access: CoordinationAccess,
    /// Close a connection that asks for no session within this time
    #[arg(long, value_name = "MS", default_value = "5000")]
    pub(super) handshake_ms: NonZeroU32,
    /// How many clients may be connected at once
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count)]
    pub(super) connections_max: NonZeroUsize,
    /// How many of them may be of one address
    #[arg(long, value_name = "N", default_value = "500", value_parser = count)]
    pub(super) connections_per_address_max: NonZeroUsize,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// A job file, and what to change in it.
#[derive(Args, Debug)]
pub(super) struct JobArgs {
    /// The job file, YAML or (*.json) JSON
    #[arg(value_name = "JOB")]
    pub(super) file: PathBuf,
    /// Set a key of a task, as in read-flights.path=other.csv
    #[arg(long = "set", value_name = "TASK.KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// The most rows that each input may reject: a number, or a share such as 5%. Without it, and without
    /// the key `max-rejected` in the job file, a job fails if all rows of an input are rejected
    #[arg(long, value_name = "N|N%")]
    pub(super) max_rejected: Option<MaxRejected>,
}

/// Where to listen. Of names only that of this machine for itself is known.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:");
    let address = named.map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    address.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:2181 or [::1]:2181; other names than \
         localhost are not looked up"
            .to_owned()
    })
}

/// Which node to ask.
#[derive(Args, Debug)]
pub(super) struct NodeArgs {
    /// Where the node listens; without it, where its configuration says, or at http://127.0.0.1:8080
    #[arg(long = "node", value_name = "URL", env = "ONYX_NODE_URL")]
    pub(super) url: Option<String>,
    /// The configuration file of the node, for its address and token; without one, the ONYX_ variables
    /// of the environment
    #[arg(long = "config", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The node's bearer token, if not the configured one; better in the variable ONYX_TOKEN, where other
    /// users do not see it
    #[arg(long, value_name = "TOKEN")]
    pub(super) token: Option<String>,
}

/// How a node in this process logs.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// How log lines are written, to standard error
    #[arg(long, value_name = "FORMAT", value_parser = log_format())]
    pub(super) log_format: Option<LogFormat>,
    /// The least important thing that is logged
    #[arg(long, value_name = "LEVEL", value_parser = log_level())]
    pub(super) log_level: Option<LogLevel>,
}

impl LogArgs {
    /// What was configured, where nothing else is said.
    pub(super) fn over(&self, configured: &LogConfig) -> LogConfig {
        LogConfig {
            format: self.log_format.unwrap_or(configured.format),
            level: self.log_level.unwrap_or(configured.level),
        }
    }
}

fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "expected an integer from 1")
}

fn access() -> impl TypedValueParser<Value = CoordinationAccess> {
    const ALL: [CoordinationAccess; 2] = [CoordinationAccess::Secret, CoordinationAccess::Open];
    PossibleValuesParser::new(ALL.map(CoordinationAccess::as_str)).map(|text| {
        let named = ALL.into_iter().find(|access| access.as_str() == text);
        named.unwrap_or(CoordinationAccess::Secret)
    })
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"]).map(|text| match text.as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    })
}

fn log_level() -> impl TypedValueParser<Value = LogLevel> {
    use LogLevel::{Debug, Error, Info, Trace, Warn};
    const LEVELS: [LogLevel; 5] = [Error, Warn, Info, Debug, Trace];
    PossibleValuesParser::new(LEVELS.map(LogLevel::as_str)).map(|text| {
        LEVELS
            .into_iter()
            .find(|level| level.as_str() == text)
            .unwrap_or(Info)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn complaint(words: &str) -> String {
        let words = std::iter::once("onyx-node").chain(words.split_whitespace());
        Cli::try_parse_from(words)
            .expect_err("it is refused")
            .to_string()
    }

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_wrong_with_arguments_is_told() {
        let complaints: Vec<String> = [
            "stat",
            "run",
            "run job.yaml --peers 0",
            "run job.yaml --peer 3",
            "run job.yaml --log-level loud",
            "run job.yaml --set",
            "start node.toml",
            "submit job.yaml --log-level info",
            "kill",
        ]
        .map(|words| format!("$ onyx-node {words}\n{}", complaint(words)))
        .into();
        insta::assert_snapshot!(complaints.join("\n"));
    }

    #[test]
    fn the_help_names_every_command() {
        insta::assert_snapshot!(Cli::command().render_help());
    }

    #[test]
    fn an_address_to_listen_on_is_one_of_this_machine() {
        let local = SocketAddr::from(([127, 0, 0, 1], 2181));
        assert_eq!(listen_address("localhost:2181"), Ok(local));
        assert_eq!(listen_address("127.0.0.1:2181"), Ok(local));
        for wrong in ["zk1:2181", "localhost", "127.0.0.1", "localhost:70000"] {
            let told = listen_address(wrong).unwrap_err();
            assert!(
                told.starts_with("expected an IP address and a port"),
                "{told}"
            );
        }
    }
}
