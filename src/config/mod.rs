//! The configuration of a node: a TOML file, with overrides from the environment, checked as a
//! whole. `config/onyx-node.toml` lists every option with its default.
//!
//! A variable `ONYX_<SECTION>__<KEY>` overrides the option `<key>` of `[<section>]`, with its
//! dashes as underscores: `ONYX_HTTP__MAX_BODY_BYTES=4096`.
//!
//! An option is a field of its section, its default there, and one line in the section's `read`.

mod aeron;
mod collection;
mod coordination;
mod digest_login;
mod environment;
mod files;
mod host_names;
mod http;
mod infrastructure;
mod log;
mod messaging;
mod node;
mod peer;
mod problem;
mod scheduler;
mod secret_file;
mod section;
mod settings;
mod shutdown;
mod task;
mod value;

pub use aeron::{AeronConfig, Compression, DriverMode, LocalPeersMode};
pub use collection::CollectionConfig;
pub use coordination::{
    ConnectString, CoordinationAccess, CoordinationConfig, CoordinationMode, RetryConfig, TlsFiles,
    TlsIdentityFiles,
};
pub use digest_login::DigestLogin;
pub use environment::{SECRETS, secret, take_secrets};
pub use files::FilesConfig;
pub use host_names::HostNames;
pub use http::{BearerToken, HttpConfig};
pub use infrastructure::InfrastructureConfig;
pub use log::{LogConfig, LogFormat, LogLevel};
pub use messaging::{MessagingConfig, Transport};
pub use node::{NodeIdentityConfig, TenancyId};
pub use peer::PeerConfig;
pub use problem::{ConfigError, Place, Problem};
pub use scheduler::{JobScheduler, SchedulerConfig};
pub use shutdown::ShutdownConfig;
pub use task::TaskConfig;
pub use value::is_tag;

use environment::environment;
use settings::Settings;
use std::path::Path;

/// Everything that can be set for a node, checked.
///
/// ```
/// use onyx::config::NodeConfig;
/// let error = NodeConfig::from_toml("node.toml", "[http]\nprot = 80", []).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "node.toml:2: http.prot: unknown key; did you mean `port`?"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// Who the node is, and how many peers it runs.
    pub node: NodeIdentityConfig,
    /// The HTTP server.
    pub http: HttpConfig,
    /// Where the log is.
    pub coordination: CoordinationConfig,
    /// Collecting the log.
    pub collection: CollectionConfig,
    /// Sharing among jobs.
    pub scheduler: SchedulerConfig,
    /// Virtual peers.
    pub peer: PeerConfig,
    /// What the peers of a process share.
    pub infrastructure: InfrastructureConfig,
    /// Segments and acks between peers.
    pub messaging: MessagingConfig,
    /// Running tasks.
    pub task: TaskConfig,
    /// The end of the process.
    pub shutdown: ShutdownConfig,
    /// Files that jobs may use.
    pub files: FilesConfig,
    /// What the node says about itself.
    pub log: LogConfig,
}

impl NodeConfig {
    /// Reads a file and the environment of this process.
    pub fn load(path: &Path) -> Result<NodeConfig, ConfigError> {
        let source = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::unreadable(&source, &error))?;
        NodeConfig::from_toml(&source, &text, environment())
    }

    /// The defaults, and the environment of this process.
    pub fn from_environment() -> Result<NodeConfig, ConfigError> {
        NodeConfig::from_toml("", "", environment())
    }

    /// Reads a text; `source_name` says in problems where it is from. Only the secrets
    /// that it names are read besides.
    pub fn from_toml(
        source_name: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<NodeConfig, ConfigError> {
        let mut settings = Settings::parse(source_name, text)?;
        settings.override_from(env);
        let config = NodeConfig::read(&mut settings);
        settings.finish()?;
        Ok(config)
    }

    fn read(settings: &mut Settings) -> NodeConfig {
        NodeConfig {
            node: NodeIdentityConfig::read(&mut settings.section("node")),
            http: HttpConfig::read(&mut settings.section("http")),
            coordination: CoordinationConfig::read(&mut settings.section("coordination")),
            collection: CollectionConfig::read(&mut settings.section("log-collection")),
            scheduler: SchedulerConfig::read(&mut settings.section("scheduler")),
            peer: PeerConfig::read(&mut settings.section("peer")),
            infrastructure: InfrastructureConfig::read(&mut settings.section("infrastructure")),
            messaging: MessagingConfig::read(&mut settings.section("messaging")),
            task: TaskConfig::read(&mut settings.section("task")),
            shutdown: ShutdownConfig::read(&mut settings.section("shutdown")),
            files: FilesConfig::read(&mut settings.section("files")),
            log: LogConfig::read(&mut settings.section("log")),
        }
    }
}

#[cfg(test)]
mod tests;
