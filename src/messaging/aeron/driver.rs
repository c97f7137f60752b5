//! A media driver: the thread that moves what clients write, in this process or in one of its own.
//!
//! It lives in a directory, which it makes and removes. Two drivers never share one: whoever starts
//! one holds the folder's lock meanwhile, and looks whether somebody is alive there.

use super::settings::AeronSettings;
use rusteron_client::AeronCnc;
use rusteron_media_driver::{
    Aeron, AeronCError, AeronDriver, AeronDriverContext, AeronIdleStrategyKind, bindings,
};
use std::ffi::CString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// What its directory begins with, when the driver chooses it.
const DIRECTORY_PREFIX: &str = "onyx-driver-";
/// Counters for some thousand streams, where Aeron's default would take 48 MB.
const COUNTERS_BYTES: usize = 1 << 20;
const LOSS_REPORT_BYTES: usize = 64 << 10;
/// UDP buffers and windows, where the system allows them.
const SOCKET_BYTES: usize = 2 << 20;
/// The largest fragment in memory: a message that is not longer is not taken apart.
const IPC_MTU_BYTES: usize = 65_504;
/// A driver without clients takes this much, and a stream three terms.
const BASE_BYTES: u64 = 12 << 20;
const STREAMS_AT_LEAST: u64 = 4;
/// How long somebody else may hold the lock of the folder.
const LOCK_TRIES: usize = 500;
const LOCK_TRY_EVERY: Duration = Duration::from_millis(10);
/// A driver is dead when it was silent for so many liveness times, whoever holds its lock.
const SILENCE_FACTOR: u32 = 4;
/// A file in its directory that a driver keeps locked as long as it lives.
const LIFE: &str = "life";

/// A driver that runs. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct MediaDriver {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    life: watch::Receiver<()>,
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The folder of its directory cannot be used.
    #[error("the folder {folder} of the media driver cannot be used: {error}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another driver lives there.
    #[error("a media driver is alive at {0}: use it, or choose another directory")]
    Alive(PathBuf),
    /// Too little space for its buffers.
    #[error(
        "{folder} has {free} MiB free, and a media driver needs {needed}: free some, make it larger \
         (in a container: --shm-size), or choose a directory elsewhere"
    )]
    Space {
        /// Where.
        folder: PathBuf,
        /// How much there is.
        free: u64,
        /// How much there must be.
        needed: u64,
    },
    /// Aeron's own words.
    #[error("the media driver at {directory} did not start: {reason}")]
    Aeron {
        /// Its directory.
        directory: PathBuf,
        /// Why.
        reason: String,
    },
}

impl MediaDriver {
    /// Starts a driver with a directory of its own in a folder, and removes those that dead drivers
    /// of this kind have left there.
    pub fn start_in(folder: &Path, settings: &AeronSettings) -> Result<Self, DriverError> {
        let directory = folder.join(format!("{DIRECTORY_PREFIX}{:016x}", settings.epoch));
        Self::start(directory, settings, |_lock| sweep(folder, settings))
    }

    /// Starts a driver at a directory. One that a dead driver has left is taken over.
    pub fn start_at(directory: &Path, settings: &AeronSettings) -> Result<Self, DriverError> {
        Self::start(directory.into(), settings, |_lock| {})
    }

    fn start(
        directory: PathBuf,
        settings: &AeronSettings,
        prepare: impl FnOnce(&File),
    ) -> Result<Self, DriverError> {
        let folder = folder_of(&directory);
        let lock = lock(&folder).map_err(|error| DriverError::Folder {
            folder: folder.clone(),
            error,
        })?;
        prepare(&lock);
        if is_alive(&directory, settings.liveness) {
            return Err(DriverError::Alive(directory));
        }
        enough_space(&folder, settings)?;
        // Nobody is alive there, and nobody starts while the lock is held.
        let _ = fs::remove_dir_all(&directory);
        let stop = Arc::new(AtomicBool::new(false));
        let (started, has_started) = mpsc::sync_channel(1);
        let (living, life) = watch::channel(());
        let thread = std::thread::Builder::new()
            .name("onyx-driver".into())
            .spawn({
                let (directory, settings) = (directory.clone(), settings.clone());
                let stop = stop.clone();
                move || {
                    live(&directory, &settings, &stop, &started);
                    drop(living);
                }
            })
            .map_err(|error| DriverError::Folder { folder, error })?;
        let driver = MediaDriver {
            directory: directory.clone(),
            stop,
            thread: Some(thread),
            life,
        };
        match has_started.recv() {
            Ok(Ok(())) => Ok(driver),
            Ok(Err(reason)) => Err(DriverError::Aeron { directory, reason }),
            Err(_) => Err(DriverError::Aeron {
                directory,
                reason: "its thread ended".into(),
            }),
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&self) {
        let mut life = self.life.clone();
        // Nothing is ever said; the life ends with the thread that has its other end.
        let _ = life.changed().await;
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for MediaDriver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A driver that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The life of a driver, on a thread of its own.
fn live(
    directory: &Path,
    settings: &AeronSettings,
    stop: &AtomicBool,
    started: &mpsc::SyncSender<Result<(), String>>,
) {
    // The lock goes with this.
    let (driver, _life) = match begin(directory, settings) {
        Ok(begun) => begun,
        Err(reason) => {
            // Who waits for it hears this; who does not has gone.
            let _ = started.send(Err(reason));
            return;
        }
    };
    let _ = started.send(Ok(()));
    while !stop.load(Ordering::Acquire) {
        match driver.main_do_work() {
            Ok(work) => driver.main_idle_strategy(work),
            Err(error) => {
                let reason = words_of(&error.capture_errmsg());
                tracing::error!(?directory, %reason, "the media driver failed");
                return;
            }
        }
    }
}

/// A driver, and the file that it holds locked while it lives.
fn begin(directory: &Path, settings: &AeronSettings) -> Result<(AeronDriver, File), String> {
    let aeron = |error: AeronCError| words_of(&error.capture_errmsg());
    let context = context(directory, settings).map_err(aeron)?;
    let driver = AeronDriver::new(&context).map_err(aeron)?;
    driver.start(true).map_err(aeron)?;
    let life = hold(directory).map_err(|error| error.to_string())?;
    Ok((driver, life))
}

/// Locks the file that says that the driver lives. Nobody looks for it yet.
fn hold(directory: &Path) -> io::Result<File> {
    let life = File::create(directory.join(LIFE))?;
    life.lock()?;
    Ok(life)
}

fn context(directory: &Path, settings: &AeronSettings) -> Result<AeronDriverContext, AeronCError> {
    let liveness = settings.liveness.as_nanos() as u64;
    let shared = bindings::aeron_threading_mode_enum::AERON_THREADING_MODE_SHARED;
    let context = AeronDriverContext::new()?;
    context.set_dir(&c_path(directory))?;
    context.set_dir_warn_if_exists(false)?;
    context.set_dir_delete_on_start(false)?;
    context.set_dir_delete_on_shutdown(true)?;
    context.set_threading_mode(shared)?;
    context.set_shared_idle_strategy_kind(AeronIdleStrategyKind::Backoff)?;
    context.set_term_buffer_sparse_file(true)?;
    context.set_term_buffer_length(settings.term_bytes)?;
    context.set_ipc_term_buffer_length(settings.term_bytes)?;
    context.set_mtu_length(settings.mtu_to(settings.address))?;
    context.set_ipc_mtu_length(IPC_MTU_BYTES.min(settings.frame_max()))?;
    context.set_counters_buffer_length(COUNTERS_BYTES)?;
    context.set_loss_report_buffer_length(LOSS_REPORT_BYTES)?;
    // The log of errors has its 4 MiB: Aeron takes no less, and it is written only when it is needed.
    let socket = socket_bytes();
    if socket < SOCKET_BYTES {
        tracing::warn!(
            bytes = socket,
            wanted = SOCKET_BYTES,
            "the system allows small socket buffers only: UDP between machines is slower; raise net.core.rmem_max and net.core.wmem_max"
        );
    }
    context.set_socket_so_rcvbuf(socket)?;
    context.set_socket_so_sndbuf(socket)?;
    context.set_rcv_initial_window_length(socket)?;
    context.set_driver_timeout_ms(settings.liveness.as_millis() as u64)?;
    context.set_client_liveness_timeout_ns(liveness)?;
    context.set_image_liveness_timeout_ns(liveness)?;
    context.set_publication_connection_timeout_ns(liveness)?;
    // Aeron wants a stream to be unblocked later than its client is given up.
    context.set_publication_unblock_timeout_ns(2 * liveness)?;
    Ok(context)
}

/// As much as the system allows: a driver that is told more does not start.
fn socket_bytes() -> usize {
    let allowed = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?;
        text.trim().parse::<usize>().ok()
    };
    let least = allowed("rmem_max").into_iter().chain(allowed("wmem_max"));
    least.chain([SOCKET_BYTES]).min().unwrap_or(SOCKET_BYTES)
}

/// Whether a driver lives at a directory: it holds a lock until it is gone, even while it is stopped and
/// says nothing, since it may go on. Its process is no help: it may be in another container, where
/// numbers are others. A driver of another make has no such lock, and is dead when it is silent.
pub(super) fn is_alive(directory: &Path, liveness: Duration) -> bool {
    if !directory.join("cnc.dat").exists() {
        return false;
    }
    let Ok(counters) = AeronCnc::open(&c_path(directory)) else {
        return false;
    };
    match File::open(directory.join(LIFE)).map(|life| life.try_lock_shared()) {
        Ok(lock) => lock.is_err(),
        Err(_) => {
            let heartbeat = counters.get_to_driver_heartbeat_ms().unwrap_or(0);
            let silence = Aeron::epoch_clock().saturating_sub(heartbeat);
            silence <= (liveness * SILENCE_FACTOR).as_millis() as i64
        }
    }
}

/// Removes what dead drivers have left.
fn sweep(folder: &Path, settings: &AeronSettings) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with(DIRECTORY_PREFIX);
        if ours && !is_alive(&entry.path(), settings.liveness) {
            tracing::info!(directory = ?entry.path(), "removing what a dead media driver left");
            // What belongs to another user stays, and is no trouble.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn enough_space(folder: &Path, settings: &AeronSettings) -> Result<(), DriverError> {
    let free = Aeron::usable_fs_space(&c_path(folder));
    let needed = BASE_BYTES + STREAMS_AT_LEAST * 3 * settings.term_bytes as u64;
    if free >= needed {
        return Ok(());
    }
    let folder = folder.into();
    let (free, needed) = (free >> 20, needed.div_ceil(1 << 20));
    Err(DriverError::Space {
        folder,
        free,
        needed,
    })
}

fn folder_of(directory: &Path) -> PathBuf {
    match directory.parent() {
        Some(folder) if folder != Path::new("") => folder.into(),
        _ => ".".into(),
    }
}

/// Holds a folder for who starts a driver in it.
#[expect(
    clippy::disallowed_methods,
    reason = "drivers are started by the courier, or before anything else of a process"
)]
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::open(folder)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_TRY_EVERY),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    let message = "somebody has held its lock for 5 s";
    Err(io::Error::new(io::ErrorKind::WouldBlock, message))
}

/// What Aeron says of an error, in one line.
pub(super) fn words_of(error: &impl fmt::Display) -> String {
    let words = error.to_string();
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// A path that holds a zero byte leads nowhere, and so does the empty one.
pub(super) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}
