//! What `[messaging]` says of Aeron, which carries segments between processes.

use super::section::Section;
use super::value::{OptionValue, count};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// How this process takes part in Aeron. Without effect while the transport is local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AeronConfig {
    /// Where other machines reach the media driver of this one.
    pub address: IpAddr,
    /// Its UDP port for this process; 0 is any that is free.
    pub port: u16,
    /// Whose media driver it is.
    pub driver: DriverMode,
    /// The directory of an external driver. An embedded one makes its own beside it.
    pub driver_directory: PathBuf,
    /// The length of a term: each stream has three of them in memory, and no frame is longer than
    /// an eighth of one.
    pub term_bytes: NonZeroUsize,
    /// The largest datagram; 0 chooses by the address.
    pub mtu_bytes: u32,
    /// Drivers, clients and streams that are not heard of for so long are dead.
    pub liveness: Duration,
    /// How peers of this process are reached.
    pub local_peers: LocalPeersMode,
    /// Whether frames are compressed.
    pub compression: Compression,
}

/// Whose media driver it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverMode {
    /// The process's own.
    Embedded,
    /// One for all processes of the machine: `onyx-node media-driver`.
    External,
}

/// How peers of this process are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalPeersMode {
    /// In memory.
    Memory,
    /// Over Aeron, as all others.
    Aeron,
}

/// Whether frames are compressed. Whoever receives them sees it by the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// They are not.
    None,
    /// Those that get shorter by it.
    Deflate,
}

/// Drivers look at their clients once a second.
const LIVENESS_MIN: Duration = Duration::from_millis(1_001);
const LIVENESS_MAX: Duration = Duration::from_secs(60);
const TERM_BYTES_MIN: usize = 64 << 10;
const TERM_BYTES_MAX: usize = 1 << 30;
const MTU_BYTES_MIN: u32 = 256;
const MTU_BYTES_MAX: u32 = 65_504;
/// Aeron aligns what it writes to this.
const ALIGNMENT: u32 = 32;

impl Default for AeronConfig {
    fn default() -> Self {
        AeronConfig {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            driver: DriverMode::Embedded,
            driver_directory: PathBuf::from("/dev/shm/onyx-driver"),
            term_bytes: count(4 << 20),
            mtu_bytes: 0,
            liveness: Duration::from_millis(2500),
            local_peers: LocalPeersMode::Memory,
            compression: Compression::None,
        }
    }
}

impl AeronConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = AeronConfig::default();
        let config = AeronConfig {
            address: keys.get("address", default.address),
            port: keys.get("port", default.port),
            driver: keys.get("driver", default.driver),
            driver_directory: keys.get("driver-directory", default.driver_directory),
            term_bytes: keys.get("term-bytes", default.term_bytes),
            mtu_bytes: keys.get("mtu-bytes", default.mtu_bytes),
            liveness: keys.get("liveness-ms", default.liveness),
            local_peers: keys.get("local-peers", default.local_peers),
            compression: keys.get("compression", default.compression),
        };
        config.check(keys);
        config
    }

    fn check(&self, keys: &mut Section<'_>) {
        if self.address.is_unspecified() {
            let message = format!(
                "{} leads nowhere from other machines; give the address that they reach",
                self.address
            );
            keys.refuse("address", &message);
        }
        let term = self.term_bytes.get();
        if !term.is_power_of_two() || !(TERM_BYTES_MIN..=TERM_BYTES_MAX).contains(&term) {
            let message = format!(
                "expected a power of two from {TERM_BYTES_MIN} to {TERM_BYTES_MAX}, found {term}"
            );
            keys.refuse("term-bytes", &message);
        }
        let mtu = self.mtu_bytes;
        let fits = (MTU_BYTES_MIN..=MTU_BYTES_MAX).contains(&mtu) && mtu.is_multiple_of(ALIGNMENT);
        if mtu != 0 && !fits {
            let message = format!(
                "expected 0, or a multiple of {ALIGNMENT} from {MTU_BYTES_MIN} to {MTU_BYTES_MAX}, \
                 found {mtu}"
            );
            keys.refuse("mtu-bytes", &message);
        }
        if !(LIVENESS_MIN..=LIVENESS_MAX).contains(&self.liveness) {
            let message = format!(
                "expected {} to {}, found {}",
                LIVENESS_MIN.as_millis(),
                LIVENESS_MAX.as_millis(),
                self.liveness.as_millis()
            );
            keys.refuse("liveness-ms", &message);
        }
        if self.driver_directory.file_name().is_none() {
            keys.refuse("driver-directory", "expected the path of a directory");
        }
    }
}

impl OptionValue for DriverMode {
    const EXPECTED: &'static str = "\"embedded\" or \"external\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "embedded" => Some(DriverMode::Embedded),
            "external" => Some(DriverMode::External),
            _ => None,
        }
    }
}

impl OptionValue for Compression {
    const EXPECTED: &'static str = "\"none\" or \"deflate\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Compression::None),
            "deflate" => Some(Compression::Deflate),
            _ => None,
        }
    }
}

impl OptionValue for LocalPeersMode {
    const EXPECTED: &'static str = "\"memory\" or \"aeron\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "memory" => Some(LocalPeersMode::Memory),
            "aeron" => Some(LocalPeersMode::Aeron),
            _ => None,
        }
    }
}
