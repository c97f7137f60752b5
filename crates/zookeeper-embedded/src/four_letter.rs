//! Four-letter words: questions of operators, answered in text on the same port.

use std::fmt::Write;

use crate::clock::millis;
use crate::config::Config;
use crate::statistics::Statistics;

/// A question that this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Are you OK?
    Ruok,
    /// The server at a glance.
    Srvr,
    /// The same; ZooKeeper lists the clients as well.
    Stat,
    /// Figures for monitoring, one per line.
    Mntr,
    /// The configuration.
    Conf,
    /// The environment, which clients ask for the version.
    Envi,
}

/// Clients and tools look at the number to know what the server can do.
const VERSION: &str = concat!("3.9.0-embedded-", env!("CARGO_PKG_VERSION"));

impl Word {
    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        match &bytes {
            b"ruok" => Some(Self::Ruok),
            b"srvr" => Some(Self::Srvr),
            b"stat" => Some(Self::Stat),
            b"mntr" => Some(Self::Mntr),
            b"conf" => Some(Self::Conf),
            b"envi" => Some(Self::Envi),
            _ => None,
        }
    }

    /// Whether it is answered where clients have to log in, which these questions cannot.
    pub(crate) fn is_for_strangers(self) -> bool {
        self == Self::Ruok
    }

    /// What ZooKeeper says of a question that it does not answer.
    pub(crate) fn refusal(self) -> String {
        let name = match self {
            Self::Ruok => "ruok",
            Self::Srvr => "srvr",
            Self::Stat => "stat",
            Self::Mntr => "mntr",
            Self::Conf => "conf",
            Self::Envi => "envi",
        };
        format!("{name} is not executed because it is not in the whitelist.\n")
    }

    pub(crate) fn answer(self, statistics: &Statistics, config: &Config) -> String {
        match self {
            Self::Ruok => "imok".to_owned(),
            Self::Srvr => overview(statistics, ""),
            Self::Stat => overview(statistics, "Clients:\n\n"),
            Self::Mntr => monitoring(statistics),
            Self::Conf => configuration(config),
            Self::Envi => format!("Environment:\nzookeeper.version={VERSION}, built on unknown\n"),
        }
    }
}

fn overview(statistics: &Statistics, clients: &str) -> String {
    format!(
        "Zookeeper version: {VERSION}, built on unknown\n\
         {clients}Latency min/avg/max: 0/0.0/0\n\
         Received: {}\n\
         Sent: {}\n\
         Connections: {}\n\
         Outstanding: 0\n\
         Zxid: {:#x}\n\
         Mode: standalone\n\
         Node count: {}\n",
        statistics.requests,
        statistics.sent,
        statistics.connections,
        statistics.zxid,
        statistics.nodes,
    )
}

fn monitoring(statistics: &Statistics) -> String {
    let figures = [
        ("zk_packets_received", statistics.requests),
        ("zk_packets_sent", statistics.sent),
        ("zk_num_alive_connections", statistics.connections as u64),
        ("zk_global_sessions", statistics.sessions as u64),
        ("zk_znode_count", statistics.nodes as u64),
        ("zk_watch_count", statistics.watches as u64),
        ("zk_ephemerals_count", statistics.ephemerals as u64),
        ("zk_log_syncs", statistics.log_syncs),
        ("zk_snapshots", statistics.snapshots),
        ("zk_failed_snapshots", statistics.failed_snapshots),
    ];
    let mut text =
        format!("zk_version\t{VERSION}, built on unknown\nzk_server_state\tstandalone\n");
    for (name, value) in figures {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}\t{value}");
    }
    text
}

fn configuration(config: &Config) -> String {
    format!(
        "clientPort={}\n\
         tickTime={}\n\
         maxClientCnxns={}\n\
         minSessionTimeout={}\n\
         maxSessionTimeout={}\n\
         serverId=0\n",
        config.address.port(),
        millis(config.tick),
        config.max_connections,
        millis(config.min_session_timeout),
        millis(config.max_session_timeout),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srvr_reads_as_that_of_a_real_server() {
        let statistics = Statistics {
            zxid: 255,
            nodes: 5,
            connections: 1,
            ..Default::default()
        };
        let answer = Word::Srvr.answer(&statistics, &Config::default());
        let lines: Vec<&str> = answer.lines().skip(1).collect();
        let expected = [
            "Latency min/avg/max: 0/0.0/0",
            "Received: 0",
            "Sent: 0",
            "Connections: 1",
            "Outstanding: 0",
            "Zxid: 0xff",
            "Mode: standalone",
            "Node count: 5",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn other_words_are_not_words() {
        assert_eq!(Word::from_bytes(*b"\0\0\0\x2c"), None);
        assert_eq!(Word::from_bytes(*b"kill"), None);
        assert_eq!(Word::from_bytes(*b"ruok"), Some(Word::Ruok));
    }
}
