//! Where a process can be reached: the text that its peers put into the log.
//!
//! `aeron:<driver>@<address>:<port>/<stream>`, as in `aeron:00c0ffee00c0ffee@10.0.0.7:40123/1734`.
//! The driver is a number that stands for one driver directory of one machine. Who has the same
//! driver sends over memory; everybody else sends over UDP to the address. The stream is the
//! process's own, since all processes of a driver share its memory, and may share its port.

use crate::replica::Site;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

/// Where one process listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AeronSite {
    /// The driver that it is a client of.
    pub driver: DriverId,
    /// Where that driver receives for it.
    pub address: SocketAddr,
    /// The stream that it reads.
    pub stream: i32,
}

/// One driver directory of one machine. A driver that is started again there has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriverId(pub u64);

/// How a site is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Over the memory of the driver that both are clients of.
    Ipc,
    /// Over the network.
    Udp,
}

/// The text is no site of this transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no site of Aeron; expected aeron:<driver>@<address>:<port>/<stream>")]
pub struct NotASite(pub String);

impl AeronSite {
    /// How whoever has this driver reaches the site.
    pub(super) fn channel_from(&self, own: DriverId) -> Channel {
        if self.driver == own {
            Channel::Ipc
        } else {
            Channel::Udp
        }
    }
}

impl DriverId {
    /// The id of a directory that may not exist yet; the folder that it is in must. A kernel, a
    /// folder and a name together belong to one directory, whatever path leads to it, and also where
    /// containers of one machine have folders of their own.
    pub(super) fn of(directory: &Path) -> io::Result<DriverId> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let parent = directory.parent().filter(|path| *path != Path::new(""));
        let folder = fs::metadata(parent.unwrap_or(Path::new(".")))?;
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let (device, inode) = (folder.dev().to_string(), folder.ino().to_string());
        Ok(DriverId(stable_hash(&[&boot, &device, &inode, &name])))
    }
}

/// A number that stands for some words, the same in every process: FNV-1a.
pub fn stable_hash(words: &[&str]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = BASIS;
    for word in words {
        // An end of each word that no text has, so that words cannot be shifted.
        for byte in word.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    hash
}

impl fmt::Display for AeronSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AeronSite {
            driver: DriverId(driver),
            address,
            stream,
        } = self;
        write!(f, "aeron:{driver:016x}@{address}/{stream}")
    }
}

impl FromStr for AeronSite {
    type Err = NotASite;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (driver, rest) = text.strip_prefix("aeron:")?.split_once('@')?;
            let (address, stream) = rest.rsplit_once('/')?;
            let driver = u64::from_str_radix(driver, 16).ok()?;
            Some(AeronSite {
                driver: DriverId(driver),
                address: address.parse().ok()?,
                stream: stream.parse().ok()?,
            })
        };
        parts().ok_or_else(|| NotASite(text.into()))
    }
}

impl From<AeronSite> for Site {
    fn from(site: AeronSite) -> Self {
        Site(site.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_site_reads_back(driver: u64, ip: [u8; 4], port: u16, stream: i32) {
            let driver = DriverId(driver);
            let site = AeronSite { driver, address: (ip, port).into(), stream };
            prop_assert_eq!(site.to_string().parse(), Ok(site));
        }
    }

    #[test]
    fn what_is_no_site_is_refused() {
        for text in [
            "local:7",
            "aeron:",
            "aeron:xyz@1.2.3.4:5/6",
            "aeron:1@1.2.3.4/6",
            "aeron:1@1.2.3.4:5",
        ] {
            assert_eq!(text.parse::<AeronSite>(), Err(NotASite(text.into())));
        }
        let site = "aeron:00c0ffee00c0ffee@[::1]:40123/1734";
        assert_eq!(site.parse::<AeronSite>().unwrap().to_string(), site);
    }

    #[test]
    fn a_directory_has_one_id_whatever_path_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let id = |path: &Path| DriverId::of(path).unwrap();
        let direct = id(&folder.path().join("driver"));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
        assert_eq!(id(&folder.path().join("link/driver")), direct);
        assert_ne!(id(&folder.path().join("other")), direct);
    }

    #[test]
    fn who_has_the_same_driver_is_reached_over_memory_and_nobody_else() {
        let site: AeronSite = "aeron:7@127.0.0.1:40123/1734".parse().unwrap();
        assert_eq!(site.channel_from(DriverId(7)), Channel::Ipc);
        // The same machine, and even the same address, do not make the same memory.
        assert_eq!(site.channel_from(DriverId(8)), Channel::Udp);
    }

    #[test]
    fn words_that_are_shifted_are_other_words() {
        assert_ne!(stable_hash(&["ab", "c"]), stable_hash(&["a", "bc"]));
    }
}
