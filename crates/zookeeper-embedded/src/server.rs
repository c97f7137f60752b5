//! The server: a listener, a ticking clock and a task per connection, ended together. They have a
//! thread of their own: whoever is busy elsewhere in the process keeps no client waiting, and no
//! session is lost for it.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use crate::config::{Access, Config, StartError};
use crate::connection;
use crate::host::{Host, Log};
use crate::protocol::ConnectionId;
use crate::secret::{self, Login};
use crate::statistics::Statistics;
use crate::storage::{self, Opened, Queue, StorageError, Writer};

/// How long to wait when the system has no file descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    host: Arc<Host>,
    serving: Option<Serving>,
    writing: Option<Writing>,
}

/// The thread that serves clients. It ends when dropped.
#[derive(Debug)]
struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The thread that makes transactions durable. It ends, and gives the folder back, when dropped.
#[derive(Debug)]
struct Writing {
    queue: Arc<Queue>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Starts listening, reads what the data folder holds if there is one, and serves clients on a
    /// thread of its own.
    ///
    /// # Errors
    ///
    /// If the configuration makes no sense, the address cannot be had or the data folder cannot be
    /// used; see [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.validate()?;
        let requested = config.address;
        let listener = TcpListener::bind(requested)
            .await
            .map_err(|e| refusal(requested, e))?;
        let address = listener.local_addr().map_err(|e| refusal(requested, e))?;
        let config = Config { address, ..config };
        let (host, writing) = match config.data_dir.clone() {
            Some(folder) => {
                let (host, writing) = durable(config, folder).await?;
                (host, Some(writing))
            }
            None => {
                let login = login(&config.access, secret::draw).map_err(StartError::Random)?;
                (Arc::new(Host::volatile(config, login)), None)
            }
        };
        let serving = Serving::start(listener, host.clone()).map_err(|e| refusal(address, e))?;
        info!(%address, "zookeeper server listens");
        Ok(Self {
            address,
            host,
            serving: Some(serving),
            writing,
        })
    }

    /// Waits until the server has stopped by itself, because its log cannot be written any more. One
    /// without a data folder never does.
    pub async fn failed(&self) -> Arc<StorageError> {
        self.host.failed().await
    }

    /// What clients log in with by the scheme `digest`, as `user:secret`; `None` where everybody is served.
    pub fn credentials(&self) -> Option<&str> {
        self.host.login().map(Login::credentials)
    }

    /// Where the server listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address in the form that ZooKeeper clients take.
    pub fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// What the server has and has done so far.
    pub fn statistics(&self) -> Statistics {
        self.host.statistics()
    }

    /// For tests of faults: ends a session as if its time were up. Its ephemeral nodes go, its
    /// connection is cut and its client learns on the next one that it has expired.
    ///
    /// Tells whether there was such a session.
    pub fn expire_session(&self, session_id: i64) -> bool {
        self.host.expire_session(session_id)
    }

    /// For tests of faults: cuts every client connection. Sessions live on until they expire, so
    /// clients can come back to them.
    pub fn cut_connections(&self) {
        self.host.cut_connections();
    }

    /// Closes the listener and all connections, and returns when every task has ended and everything
    /// is on disk.
    pub async fn stop(mut self) {
        let threads = (self.serving.take(), self.writing.take());
        // Waiting for them must not hold up the others on this thread.
        let _ = tokio::task::spawn_blocking(move || drop(threads)).await;
    }
}

impl Serving {
    fn start(listener: TcpListener, host: Arc<Host>) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Until now it listened on the runtime of whoever starts it.
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("zookeeper-server".to_owned())
            .spawn(move || runtime.block_on(run(listener, host, stopped)))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        if let Some(Err(_)) = ended {
            warn!("zookeeper server ended with a panic");
        }
    }
}

/// Reads the data folder and starts to write to it.
async fn durable(config: Config, folder: PathBuf) -> Result<(Arc<Host>, Writing), StorageError> {
    let (policy, access) = (config.snapshots(), config.access.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let opened = storage::open(&folder, policy)?;
        Ok::<_, StorageError>((opened, login(&access, || secret::kept(&folder))?))
    });
    let (opened, login) = opening.await.map_err(|_| StorageError::Panicked)??;
    let Opened { ledger, writer } = opened;
    let queue = Arc::new(Queue::default());
    let log = Log {
        queue: queue.clone(),
        tally: writer.tally(),
    };
    let host = Arc::new(Host::durable(config, login, ledger, log));
    let writing = Writing::start(writer, queue, host.clone())?;
    Ok((host, writing))
}

/// What clients log in with, if they have to.
fn login<E>(
    access: &Access,
    secret: impl FnOnce() -> Result<String, E>,
) -> Result<Option<Login>, E> {
    match access {
        Access::Open => Ok(None),
        Access::Secret { user } => Ok(Some(Login::new(user, &secret()?))),
    }
}

impl Writing {
    fn start(writer: Writer, queue: Arc<Queue>, host: Arc<Host>) -> Result<Self, StorageError> {
        let waiting = queue.clone();
        let path = host.config.data_dir.clone().unwrap_or_default();
        let run = move || {
            let run = AssertUnwindSafe(|| writer.run(&waiting, |zxid| host.release(zxid)));
            let ended = catch_unwind(run).unwrap_or(Err(StorageError::Panicked));
            if let Err(cause) = ended {
                host.fail(cause);
            }
        };
        let thread = thread::Builder::new()
            .name("zookeeper-log".to_owned())
            .spawn(run)
            .map_err(StorageError::io("start a thread for", &path))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it was caught and told.
            let _ = thread.join();
        }
    }
}

/// Accepts clients until the other end of `stopped` is gone.
async fn run(listener: TcpListener, host: Arc<Host>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    let mut next_id = 0;
    let mut ticks = interval(host.config.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = host.failed() => break,
            _ = ticks.tick() => host.tick(),
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "connection task failed");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok(client) => {
                    next_id += 1;
                    welcome(client, ConnectionId(next_id), &host, &mut connections);
                }
                Err(error) => {
                    host.cannot_accept(&error);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

fn welcome(
    (stream, address): (TcpStream, SocketAddr),
    id: ConnectionId,
    host: &Arc<Host>,
    connections: &mut JoinSet<()>,
) {
    let address = address.ip();
    let outbox = host.admit(id, address);
    connections.spawn(connection::run(stream, id, address, host.clone(), outbox));
}

fn refusal(address: SocketAddr, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
        _ => StartError::Listen { address, source },
    }
}
