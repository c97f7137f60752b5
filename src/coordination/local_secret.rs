//! The secrets of the embedded servers of this user on this machine, so that tools and nodes find them
//! by the address alone.
//!
//! A server that runs keeps a file in a folder of its user: `/run/user/UID/onyx` where the system has
//! made `/run/user/UID`, else `/tmp/onyx-UID`. The file is called `coordination-ADDRESS`, holds what to
//! log in with, and is locked for as long as the server runs: a file that is not locked is left over,
//! and its secret is not sent, since another program may have the port by now.

use crate::config::DigestLogin;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const PREFIX: &str = "coordination-";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// A secret that is long enough for any login; nothing larger is read.
const BYTES_MAX: u64 = 4096;

/// The name of the secret in the data folder of an embedded server.
const IN_DATA_FOLDER: &str = "secret";

/// Who logs in with the secret of an embedded server.
pub const USER: &str = "onyx";

/// The file of a server that runs. It goes with the value.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    _lock: File,
}

/// Why other programs of this user do not find a secret by themselves.
#[derive(Debug, thiserror::Error)]
#[error("cannot leave the secret for other programs of this user in {}: {source}", .folder.display())]
pub struct NotPublished {
    folder: PathBuf,
    source: io::Error,
}

impl Published {
    /// Leaves what to log in with at a server for other programs of this user.
    pub fn leave(address: SocketAddr, credentials: &str) -> Result<Self, NotPublished> {
        let folder = folders().swap_remove(0);
        publish(&folder, address, credentials).map_err(|source| NotPublished { folder, source })
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // What is left over is not believed, and is removed by the next server.
        let _ = fs::remove_file(&self.path);
    }
}

/// What to log in with at the first of these servers that is an embedded one of this user.
pub fn find(servers: &str) -> Option<DigestLogin> {
    let folders = folders();
    let mut names = servers.split(',').flat_map(names);
    names.find_map(|name| folders.iter().find_map(|folder| read(folder, &name)))
}

/// Where the embedded servers of this user on this machine listen, lowest address first.
pub fn running() -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = folders().iter().flat_map(|it| running_in(it)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn running_in(folder: &Path) -> Vec<SocketAddr> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let running = names.filter(|name| read(folder, name).is_some());
    running
        .filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok())
        .collect()
}

/// What to log in with at a server that has this data folder.
pub fn in_data_folder(folder: &Path) -> Option<DigestLogin> {
    let secret = fs::read_to_string(folder.join(IN_DATA_FOLDER)).ok()?;
    DigestLogin::new(USER, secret.trim())
}

/// Where secrets are looked for; the first is where they are left.
fn folders() -> Vec<PathBuf> {
    let Ok(uid) = own_uid() else {
        return vec![std::env::temp_dir().join("onyx")];
    };
    let of_session = PathBuf::from(format!("/run/user/{uid}"));
    let of_all = PathBuf::from(format!("/tmp/onyx-{uid}"));
    match is_own(&of_session, uid) {
        true => vec![of_session.join("onyx"), of_all],
        false => vec![of_all],
    }
}

fn own_uid() -> io::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

fn is_own(folder: &Path, uid: u32) -> bool {
    let metadata = fs::symlink_metadata(folder);
    metadata.is_ok_and(|it| it.is_dir() && it.uid() == uid && it.mode() & OTHERS == 0)
}

/// The names that the file of a server may have: it may listen on every address.
fn names(server: &str) -> Vec<String> {
    let Some((host, port)) = server.rsplit_once(':') else {
        return Vec::new();
    };
    let v4 = |address| IpAddr::V4(address);
    let loopback = [v4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses = match host.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => vec![address],
        Err(_) if host == "localhost" => loopback.to_vec(),
        _ => return Vec::new(),
    };
    addresses.extend([v4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]);
    let Ok(port) = port.parse() else {
        return Vec::new();
    };
    let named = |address| name(SocketAddr::new(address, port));
    addresses.into_iter().map(named).collect()
}

fn name(address: SocketAddr) -> String {
    format!("{PREFIX}{address}")
}

fn publish(folder: &Path, address: SocketAddr, credentials: &str) -> io::Result<Published> {
    prepare(folder)?;
    remove_left_over(folder);
    let name = name(address);
    let unfinished = folder.join(format!("unfinished-{}-{name}", std::process::id()));
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE);
    let mut file = options.open(&unfinished)?;
    file.try_lock()?;
    writeln!(file, "{credentials}")?;
    let path = folder.join(name);
    fs::rename(&unfinished, &path)?;
    Ok(Published { path, _lock: file })
}

/// Makes the folder, or checks that this user has made it and no other user can look into it.
fn prepare(folder: &Path) -> io::Result<()> {
    let made = DirBuilder::new().mode(FOLDER_MODE).create(folder);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let uid = own_uid()?;
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() || metadata.uid() != uid {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & OTHERS != 0 {
        fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

/// Removes the files of killed servers. One that cannot be removed does no harm.
fn remove_left_over(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_of_server = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_of_server && is_left_over(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_left_over(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let is_free = file.try_lock().is_ok();
    // A server may have put its own in the place of this one just now.
    Ok(is_free && file.metadata()?.ino() == fs::metadata(path)?.ino())
}

/// The login in a file of a server that runs.
fn read(folder: &Path, name: &str) -> Option<DigestLogin> {
    if !is_own(folder, own_uid().ok()?) {
        return None;
    }
    let file = File::open(folder.join(name)).ok()?;
    let runs = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let mut text = String::new();
    (&file).take(BYTES_MAX).read_to_string(&mut text).ok()?;
    let (user, secret) = text.trim().split_once(':').filter(|_| runs)?;
    DigestLogin::new(user, secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2181);

    fn found(folder: &Path) -> Option<String> {
        read(folder, &name(ADDRESS)).map(|login| login.expose())
    }

    #[test]
    fn a_secret_is_found_while_its_server_runs() {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("onyx");
        let published = publish(&folder, ADDRESS, "onyx:s3cret").unwrap();
        assert_eq!(found(&folder).as_deref(), Some("onyx:s3cret"));
        assert_eq!(running_in(&folder), [ADDRESS]);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(
            (mode(&folder), mode(&published.path)),
            (FOLDER_MODE, FILE_MODE)
        );
        drop(published);
        assert_eq!(found(&folder), None);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_server_has_left_is_not_believed_and_is_removed() {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("onyx");
        prepare(&folder).unwrap();
        fs::write(folder.join(name(ADDRESS)), "onyx:s3cret").unwrap();
        assert_eq!(found(&folder), None);
        assert_eq!(running_in(&folder), []);
        let other = SocketAddr::new(ADDRESS.ip(), 2182);
        let _published = publish(&folder, other, "onyx:other").unwrap();
        assert!(!folder.join(name(ADDRESS)).exists());
    }

    #[test]
    fn a_folder_that_others_can_look_into_is_not_believed() {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("onyx");
        let _published = publish(&folder, ADDRESS, "onyx:s3cret").unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(found(&folder), None);
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(publish(&link, ADDRESS, "onyx:s3cret").is_err());
    }

    #[test]
    fn only_servers_of_this_machine_have_a_file_here() {
        assert_eq!(names("10.0.0.7:2181"), Vec::<String>::new());
        assert_eq!(names("zk1:2181"), Vec::<String>::new());
        assert_eq!(
            names("localhost:2181"),
            [
                "coordination-127.0.0.1:2181",
                "coordination-[::1]:2181",
                "coordination-0.0.0.0:2181",
                "coordination-[::]:2181",
            ]
        );
        assert_eq!(names("[::1]:2181")[0], "coordination-[::1]:2181");
    }
}
