//! Apache ZooKeeper of Debian's package `zookeeper`, as processes of a test: one server or an
//! ensemble, in a temporary folder, on loopback. It ends with its value, also when the test panics.

#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "every test program uses a part of it, and says what it skips"
)]

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One server.
pub(crate) struct ZooKeeperServer {
    folder: Folder,
    address: SocketAddr,
    secure_port: Option<u16>,
    /// None while it is killed.
    process: Option<Child>,
}

/// Three servers, at 127.0.0.1 to 127.0.0.3 when nothing else is said.
pub(crate) struct Ensemble {
    pub(crate) servers: Vec<ZooKeeperServer>,
}

/// What the tests of a process share, for as long as one of them has it: an ensemble where that is
/// wanted, and one server otherwise.
#[derive(Clone)]
pub(crate) enum Shared {
    One(Arc<ZooKeeperServer>),
    Three(Arc<Ensemble>),
}

/// What a test needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    OneServer,
    Ensemble,
}

/// What a server says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Standalone,
    Leader,
    Follower,
}

/// Turns these tests on: `one` for those of one server, `ensemble` for all.
pub(crate) const SWITCH: &str = "ONYX_TEST_ZOOKEEPER";

const JARS: &str = "/usr/share/java";
/// TLS needs the last two, which the manifest of the first does not name.
const CLASS_PATH: [&str; 4] = [
    "zookeeper.jar",
    "slf4j-simple.jar",
    "netty-codec.jar",
    "netty-resolver.jar",
];

/// Whether the tests of this kind are to run; says so when not.
pub(crate) fn is_wanted(need: Need) -> bool {
    let wanted = match most() {
        Some(Need::Ensemble) => true,
        Some(Need::OneServer) => need == Need::OneServer,
        None => false,
    };
    if !wanted {
        let value = match need {
            Need::OneServer => "one",
            Need::Ensemble => "ensemble",
        };
        eprintln!("skipped: needs Apache ZooKeeper; `./dev test` sets {SWITCH}={value}");
    }
    wanted
}

/// The most that a test may need.
fn most() -> Option<Need> {
    match std::env::var(SWITCH).as_deref() {
        Ok("ensemble") => Some(Need::Ensemble),
        Ok("one") => Some(Need::OneServer),
        Ok(other) => panic!("{SWITCH} is `{other}`; it can be `one` or `ensemble`"),
        Err(_) => None,
    }
}

/// Whatever is shared, while somebody has it.
struct Kept<T> {
    running: Mutex<Weak<T>>,
    /// One test at a time starts it.
    starts: tokio::sync::Mutex<()>,
}

impl<T> Kept<T> {
    const fn nothing() -> Self {
        Kept {
            running: Mutex::new(Weak::new()),
            starts: tokio::sync::Mutex::const_new(()),
        }
    }

    async fn or_started(&self, start: impl Future<Output = T>) -> Arc<T> {
        let _one_at_a_time = self.starts.lock().await;
        let weak = || self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = weak().upgrade() {
            return running;
        }
        let started = Arc::new(start.await);
        *weak() = Arc::downgrade(&started);
        started
    }
}

impl Shared {
    pub(crate) async fn as_wanted() -> Self {
        static ENSEMBLE: Kept<Ensemble> = Kept::nothing();
        match most() {
            Some(Need::Ensemble) => Shared::Three(ENSEMBLE.or_started(Ensemble::start()).await),
            Some(Need::OneServer) | None => Shared::One(ZooKeeperServer::shared().await),
        }
    }

    /// Where they serve. None of them may be killed.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Shared::One(server) => vec![server.address()],
            Shared::Three(ensemble) => {
                let servers = ensemble.servers.iter();
                servers.map(ZooKeeperServer::address).collect()
            }
        }
    }
}

impl ZooKeeperServer {
    /// One server alone.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// One server alone, with more lines in its configuration.
    pub(crate) async fn start_with(settings: &str) -> Self {
        let mut server = Self::prepare(loopback(1));
        server.configure(settings);
        server.spawn();
        server.is_serving().await;
        server
    }

    /// One server alone with TLS on a second port: `pem` is its key and its certificate, and
    /// clients have to show one that `ca` has signed.
    pub(crate) async fn start_with_tls(pem: &str, ca: &str) -> Self {
        let mut server = Self::prepare(loopback(1));
        let (keys, trusted) = (
            server.folder.0.join("server.pem"),
            server.folder.0.join("ca.pem"),
        );
        fs::write(&keys, pem).unwrap();
        fs::write(&trusted, ca).unwrap();
        let port = free_port(server.address.ip());
        server.secure_port = Some(port);
        server.configure(&format!(
            "secureClientPort={port}\nsecureClientPortAddress={}\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.location={}\nssl.trustStore.location={}\nssl.clientAuth=need\n",
            server.address.ip(),
            keys.display(),
            trusted.display()
        ));
        server.spawn();
        server.is_serving().await;
        server
    }

    /// One that the tests of a process share, for as long as one of them has it.
    pub(crate) async fn shared() -> Arc<Self> {
        static SERVER: Kept<ZooKeeperServer> = Kept::nothing();
        SERVER.or_started(Self::start()).await
    }

    fn prepare(ip: IpAddr) -> Self {
        let jar = Path::new(JARS).join("zookeeper.jar");
        assert!(
            jar.exists(),
            "{} is missing: run `./dev setup`, or `apt-get install -y --no-install-recommends \
             zookeeper`, or leave {SWITCH} unset",
            jar.display()
        );
        ZooKeeperServer {
            folder: Folder::create(),
            address: (ip, free_port(ip)).into(),
            secure_port: None,
            process: None,
        }
    }

    fn configure(&self, settings: &str) {
        let data = self.folder.0.join("data");
        fs::create_dir(&data).unwrap();
        let text = format!(
            "tickTime=200\nminSessionTimeout=400\nmaxSessionTimeout=60000\nmaxClientCnxns=0\n\
             dataDir={}\nclientPort={}\nclientPortAddress={}\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\nextendedTypesEnabled=true\n{settings}",
            data.display(),
            self.address.port(),
            self.address.ip()
        );
        fs::write(self.folder.0.join("zoo.cfg"), text).unwrap();
    }

    fn spawn(&mut self) {
        assert!(self.process.is_none(), "it is running");
        let mut appending = File::options();
        let log = appending.create(true).append(true).open(self.log_file());
        let log = log.unwrap();
        let jars = CLASS_PATH.map(|jar| format!("{JARS}/{jar}"));
        let mut java = Command::new("java");
        java.args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dzookeeper.forceSync=no",
            "-Dzookeeper.preAllocSize=1024",
            "-Dzookeeper.cnxTimeout=1000",
            "-Dzookeeper.jmx.log4j.disable=true",
            "-cp",
            &jars.join(":"),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        ]);
        java.arg(self.folder.0.join("zoo.cfg"));
        java.stdin(Stdio::null()).stdout(log.try_clone().unwrap());
        let child = java.stderr(log).spawn();
        self.process = Some(child.unwrap_or_else(|error| {
            panic!("`java` does not start: {error}; run `./dev setup`, or leave {SWITCH} unset")
        }));
    }

    /// Waits until it serves: before that it refuses connections or answers that it does not.
    async fn is_serving(&mut self) {
        for _ in 0..LOOKS_MAX {
            if self.mode().await.is_some() {
                return;
            }
            let process = self.process.as_mut().expect("it is started");
            if let Some(status) = process.try_wait().unwrap() {
                panic!("ZooKeeper has ended, {status}:\n{}", self.log());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        panic!("ZooKeeper does not get ready:\n{}", self.log());
    }

    /// What it is, once it serves.
    pub(crate) async fn mode(&self) -> Option<Mode> {
        let answer = self.four_letters("srvr").await?;
        let mode = answer
            .lines()
            .find_map(|line| line.strip_prefix("Mode: "))?;
        match mode {
            "standalone" => Some(Mode::Standalone),
            "leader" => Some(Mode::Leader),
            "follower" => Some(Mode::Follower),
            _ => None,
        }
    }

    /// The answer to one of the four-letter words, if there is one. A server that is about to serve
    /// forgets some connections, and never closes them.
    pub(crate) async fn four_letters(&self, word: &str) -> Option<String> {
        const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);
        let answer = tokio::time::timeout(FORGOTTEN_AFTER, async {
            let mut stream = TcpStream::connect(self.address).await.ok()?;
            stream.write_all(word.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            Some(answer)
        });
        answer.await.ok()?
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// Where it speaks TLS.
    pub(crate) fn secure_address(&self) -> SocketAddr {
        let port = self.secure_port.expect("it was started with TLS");
        (self.address.ip(), port).into()
    }

    /// Ends it as a loss of power would, but for what the disk has.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it is running");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again where it was, on the data it had.
    pub(crate) async fn restart(&mut self) {
        self.spawn();
        self.is_serving().await;
    }

    /// Stops its threads, and keeps its connections open.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it is running").id();
        let kill = Command::new("kill")
            .args(["-s", name, &id.to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    fn log_file(&self) -> PathBuf {
        self.folder.0.join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for ZooKeeperServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that has ended by itself cannot be ended.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("what ZooKeeper logged:\n{}", self.log());
        }
    }
}

impl Ensemble {
    pub(crate) async fn start() -> Self {
        Self::start_at([1, 2, 3].map(loopback)).await
    }

    /// At three addresses whose last numbers differ.
    pub(crate) async fn start_at(addresses: [IpAddr; 3]) -> Self {
        let mut servers = Vec::from(addresses.map(ZooKeeperServer::prepare));
        let members: String = servers
            .iter()
            .map(|server| {
                let ip = server.address.ip();
                let (quorum, election) = (free_port(ip), free_port(ip));
                let number = number_of(server);
                format!("server.{number}={ip}:{quorum}:{election}\n")
            })
            .collect();
        for server in &mut servers {
            server.configure(&format!("initLimit=50\nsyncLimit=20\n{members}"));
            let id = server.folder.0.join("data/myid");
            fs::write(id, number_of(server).to_string()).unwrap();
            server.spawn();
        }
        let mut ensemble = Ensemble { servers };
        ensemble.is_serving().await;
        ensemble
    }

    async fn is_serving(&mut self) {
        for server in &mut self.servers {
            server.is_serving().await;
        }
    }

    pub(crate) fn connect_string(&self) -> String {
        let all: Vec<_> = self
            .servers
            .iter()
            .map(ZooKeeperServer::connect_string)
            .collect();
        all.join(",")
    }

    /// The server that leads.
    pub(crate) async fn leader(&mut self) -> &mut ZooKeeperServer {
        for _ in 0..LOOKS_MAX {
            for at in 0..self.servers.len() {
                if self.servers[at].mode().await == Some(Mode::Leader) {
                    return &mut self.servers[at];
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        panic!("nobody leads");
    }

    /// Kills all, then starts all on the data they had.
    pub(crate) async fn restart(&mut self) {
        self.servers.iter_mut().for_each(ZooKeeperServer::kill);
        self.servers.iter_mut().for_each(ZooKeeperServer::spawn);
        self.is_serving().await;
    }
}

fn loopback(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

fn number_of(server: &ZooKeeperServer) -> u8 {
    match server.address.ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => unreachable!("the addresses are ours"),
    }
}

/// A minute, after which there is a fault.
const LOOKS_MAX: u32 = 3_000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Below the range from which the system takes ports for outgoing connections: a server that is
/// down must find its port free when it comes back, and a client that tries it meanwhile must not
/// be given this very port, which would connect it to itself.
pub(crate) fn free_port(ip: IpAddr) -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + own.wrapping_add(step.wrapping_mul(7)) % COUNT;
        if TcpListener::bind((ip, port)).is_ok() {
            return port;
        }
    }
}

/// A temporary folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("onyx-zookeeper-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in a folder for what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}
