//! What the transport has to know before it starts.

use crate::config::{AeronConfig, Compression, DriverMode, LocalPeersMode};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that can be set. [`AeronSettings::new`] has what was measured to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AeronSettings {
    /// The hash of cluster and tenancy: frames of others are refused.
    pub cluster: u64,
    /// A draw that no other process has made: the life of this transport.
    pub epoch: u64,
    /// Where other machines reach this one.
    pub address: IpAddr,
    /// The UDP port; 0 is any that is free.
    pub port: u16,
    /// Where the media driver is.
    pub driver: DriverChoice,
    /// The length of each of the three terms of a stream's log: a power of two from 64 KiB. No
    /// message is longer than an eighth of it.
    pub term_bytes: usize,
    /// The largest datagram; none is chosen by the address: see [`AeronSettings::mtu_to`].
    pub mtu_bytes: Option<usize>,
    /// What has not been heard of for this long is dead: drivers, clients, streams.
    pub liveness: Duration,
    /// How peers of this process are reached.
    pub local_peers: LocalPeers,
    /// Whether frames are compressed.
    pub compression: Compression,
}

/// Where the media driver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverChoice {
    /// In this process, with a directory of its own in this folder. Processes that have each their
    /// own driver reach each other over UDP.
    Embedded(PathBuf),
    /// In another process, which `onyx-node media-driver` starts, at this directory.
    External(PathBuf),
}

/// How peers of this process are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalPeers {
    /// Their messages are handed over in memory.
    ShortCircuit,
    /// As if they were elsewhere: for tests and measurements.
    OverAeron,
}

/// Terms of this length hold batches of half a MiB and still fit into a cache.
pub const TERM_BYTES: usize = 4 << 20;
const MTU_ETHERNET: usize = 1408;
const MTU_LOOPBACK: usize = 8192;
/// A message has at most this part of a term.
const TERM_PART_MAX: usize = 8;

impl AeronSettings {
    /// On the loopback address, with a driver in this process.
    pub fn new(cluster: u64, epoch: u64) -> Self {
        AeronSettings {
            cluster,
            epoch,
            address: IpAddr::from([127, 0, 0, 1]),
            port: 0,
            driver: DriverChoice::Embedded(PathBuf::from("/dev/shm")),
            term_bytes: TERM_BYTES,
            mtu_bytes: None,
            liveness: Duration::from_millis(2500),
            local_peers: LocalPeers::ShortCircuit,
            compression: Compression::None,
        }
    }

    /// As configured.
    pub fn of(config: &AeronConfig, cluster: u64, epoch: u64) -> Self {
        let directory = config.driver_directory.clone();
        AeronSettings {
            address: config.address,
            port: config.port,
            driver: match config.driver {
                DriverMode::External => DriverChoice::External(directory),
                DriverMode::Embedded => {
                    let folder = directory.parent().unwrap_or(Path::new("/dev/shm"));
                    DriverChoice::Embedded(folder.into())
                }
            },
            term_bytes: config.term_bytes.get(),
            mtu_bytes: (config.mtu_bytes > 0).then_some(config.mtu_bytes as usize),
            liveness: config.liveness,
            local_peers: match config.local_peers {
                LocalPeersMode::Memory => LocalPeers::ShortCircuit,
                LocalPeersMode::Aeron => LocalPeers::OverAeron,
            },
            compression: config.compression,
            ..AeronSettings::new(cluster, epoch)
        }
    }

    /// The largest datagram to an address: large on loopback, and otherwise one that passes any
    /// Ethernet. Networks with jumbo frames say so in the configuration.
    pub fn mtu_to(&self, address: IpAddr) -> usize {
        match self.mtu_bytes {
            Some(bytes) => bytes,
            None if address.is_loopback() => MTU_LOOPBACK,
            None => MTU_ETHERNET,
        }
    }

    /// The longest frame.
    pub(super) fn frame_max(&self) -> usize {
        (self.term_bytes / TERM_PART_MAX).min(crate::messaging::FRAME_BYTES_MAX)
    }

    /// The stream that this process reads. Whoever has the same by chance gets frames for others,
    /// and refuses them.
    pub(super) fn stream(&self) -> i32 {
        let positive = self.epoch % (i32::MAX as u64);
        positive as i32 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_configuration() {
        let configured = AeronSettings::of(&AeronConfig::default(), 1, 2);
        assert_eq!(configured, AeronSettings::new(1, 2));
    }

    #[test]
    fn streams_are_positive_and_datagrams_fit_the_network() {
        for epoch in [0, 1, i32::MAX as u64, u64::MAX] {
            assert!(AeronSettings::new(1, epoch).stream() > 0);
        }
        let mut settings = AeronSettings::new(1, 1);
        assert_eq!(settings.mtu_to([127, 0, 0, 1].into()), MTU_LOOPBACK);
        assert_eq!(settings.mtu_to([10, 0, 0, 1].into()), MTU_ETHERNET);
        settings.mtu_bytes = Some(8192);
        assert_eq!(settings.mtu_to([10, 0, 0, 1].into()), 8192);
    }
}
