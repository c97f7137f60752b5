//! The network between a client and a ZooKeeper server, as a proxy that can break in the ways that
//! networks do, and that can end the sessions it has seen.

#![allow(dead_code, reason = "every test program uses a part of it")]

use crate::zookeeper_server::free_port;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// A proxy at an address of its own. It ends with its value.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    settled: mpsc::Receiver<Network>,
    traffic: Arc<Traffic>,
    task: tokio::task::JoinHandle<()>,
}

/// What the network does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// They arrive.
    Works,
    /// They vanish, and arrive by and by once it works again; new connections hang.
    Silent,
    /// Connections end, and new ones are refused.
    Refuses,
}

/// Where a connection breaks while an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The request does not arrive.
    OfTheRequest,
    /// The request arrives, the answer does not.
    OfTheAnswer,
}

struct Traffic {
    server: SocketAddr,
    /// Sessions that were opened, by id, with their passwords.
    sessions: Mutex<BTreeMap<i64, [u8; PASSWORD_BYTES]>>,
    /// What becomes of the next entries that are written.
    losses: Mutex<Vec<Loss>>,
    happened: AtomicU32,
    /// Held by a connection while it is made.
    admission: tokio::sync::Mutex<()>,
}

const PASSWORD_BYTES: usize = 16;
const CLOSE_SESSION: i32 = -11;
/// What the path of an entry of the log has, whatever its tenancy.
const ENTRY: &[u8] = b"/log/entry-";

impl Proxy {
    /// A proxy before a server.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((ip, free_port(ip))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, receiver) = watch::channel(Network::Works);
        let (told, settled) = mpsc::channel(1);
        let traffic = Arc::new(Traffic {
            server,
            sessions: Mutex::default(),
            losses: Mutex::default(),
            happened: AtomicU32::new(0),
            admission: tokio::sync::Mutex::default(),
        });
        let task = tokio::spawn(serve(listener, receiver, traffic.clone(), told));
        Proxy {
            address,
            network,
            settled,
            traffic,
            task,
        }
    }

    pub(crate) fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// Changes what the network does, and answers when it does so.
    pub(crate) async fn set(&mut self, network: Network) {
        self.network.send_replace(network);
        while self.settled.recv().await.expect("the proxy works") != network {}
    }

    /// Breaks all connections; the next attempt succeeds.
    pub(crate) async fn cut(&mut self) {
        self.set(Network::Refuses).await;
        self.set(Network::Works).await;
    }

    /// The next entries that are written meet with these losses, the last one first.
    pub(crate) fn lose(&self, losses: &[Loss]) {
        *lock(&self.traffic.losses) = losses.to_vec();
    }

    /// How many losses there were.
    pub(crate) fn losses(&self) -> u32 {
        self.traffic.happened.load(Ordering::SeqCst)
    }

    /// Ends a session that was opened through here, at the server, long before its time is up: by
    /// the word with which its owner would close it, said by somebody else. For its owner, and for
    /// whoever watches its pulses, that is as when it expires. A session that the server itself lets
    /// expire takes a network that is silent for longer than its time-out. False when there was none.
    pub(crate) async fn end_session(&self, id: i64) -> bool {
        let password = lock(&self.traffic.sessions).remove(&id);
        let Some(password) = password else {
            return false;
        };
        // The server closes the connection of whoever has the session, who would have it back at
        // once.
        let _nobody_else = self.traffic.admission.lock().await;
        end_session(self.traffic.server, id, password)
            .await
            .unwrap();
        true
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections while there are any. A connection ends when its network refuses.
async fn serve(
    listener: TcpListener,
    mut network: watch::Receiver<Network>,
    traffic: Arc<Traffic>,
    told: mpsc::Sender<Network>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = network.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = *network.borrow_and_update();
                match now {
                    Network::Refuses => {
                        listener = None;
                        connections.shutdown().await;
                    }
                    Network::Works | Network::Silent if listener.is_none() => {
                        listener = Some(TcpListener::bind(address).await.unwrap());
                    }
                    Network::Works | Network::Silent => {}
                }
                // Nobody needs to wait for it.
                let _ = told.try_send(now);
            }
            accepted = accepted => {
                if let Ok((client, _)) = accepted {
                    let connection = connection(client, network.clone(), traffic.clone());
                    connections.spawn(connection);
                }
            }
        }
    }
}

async fn connection(client: TcpStream, network: watch::Receiver<Network>, traffic: Arc<Traffic>) {
    let mut healed = network.clone();
    if *healed.borrow_and_update() == Network::Silent {
        // This one was never there; the client has to try again.
        let _ = healed.changed().await;
        return;
    }
    let admitted = traffic.admission.lock().await;
    let Ok(server) = TcpStream::connect(traffic.server).await else {
        return;
    };
    drop(admitted);
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let lost_answer = Mutex::new(None);
    // The end of one direction is the end of both.
    tokio::select! {
        _ = requests(from_client, to_server, network.clone(), &traffic, &lost_answer) => {}
        _ = answers(from_server, to_client, network, &traffic, &lost_answer) => {}
    }
    // Also when another loss ended the connection before the answer came.
    if lock(&lost_answer).is_some() {
        traffic.happened.fetch_add(1, Ordering::SeqCst);
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    traffic: &Traffic,
    lost_answer: &Mutex<Option<i32>>,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut from).await?;
        let is_entry = frame.windows(ENTRY.len()).any(|part| part == ENTRY) && is_create(&frame);
        let loss = if is_entry {
            lock(&traffic.losses).pop()
        } else {
            None
        };
        match loss {
            Some(Loss::OfTheRequest) => {
                traffic.happened.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            Some(Loss::OfTheAnswer) => *lock(lost_answer) = int(&frame, 0),
            None => {}
        }
        pass_on(&frame, &mut to, &mut network).await?;
    }
}

/// Writes a frame once the network is not silent.
async fn pass_on(
    frame: &[u8],
    to: &mut OwnedWriteHalf,
    network: &mut watch::Receiver<Network>,
) -> io::Result<()> {
    // Somebody else decides when the network ends.
    let _ = network
        .wait_for(|network| *network != Network::Silent)
        .await;
    write_frame(to, frame).await
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    traffic: &Traffic,
    lost_answer: &Mutex<Option<i32>>,
) -> io::Result<()> {
    let opened = read_frame(&mut from).await?;
    if let Some((id, password)) = session_in(&opened) {
        lock(&traffic.sessions).insert(id, password);
    }
    write_frame(&mut to, &opened).await?;
    loop {
        let frame = read_frame(&mut from).await?;
        let lost = *lock(lost_answer);
        if lost.is_some() && int(&frame, 0) == lost {
            return Ok(());
        }
        pass_on(&frame, &mut to, &mut network).await?;
    }
}

async fn read_frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let bytes = from.read_u32().await?;
    let mut frame = vec![0; bytes as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write_frame(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    let mut whole = (frame.len() as u32).to_be_bytes().to_vec();
    whole.extend_from_slice(frame);
    to.write_all(&whole).await
}

fn int(frame: &[u8], at: usize) -> Option<i32> {
    let bytes = frame.get(at..at + 4)?;
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

/// Requests begin with their number and their operation.
fn is_create(frame: &[u8]) -> bool {
    const CREATE_AND_STAT: i32 = 15;
    int(frame, 4) == Some(CREATE_AND_STAT)
}

/// The answer to the opening of a session: version, time-out, id, password.
fn session_in(opened: &[u8]) -> Option<(i64, [u8; PASSWORD_BYTES])> {
    let id = i64::from_be_bytes(opened.get(8..16)?.try_into().ok()?);
    let password = opened.get(20..20 + PASSWORD_BYTES)?.try_into().ok()?;
    Some((id, password))
}

/// Comes back to a session, as another client, and closes it.
async fn end_session(
    server: SocketAddr,
    id: i64,
    password: [u8; PASSWORD_BYTES],
) -> io::Result<()> {
    const TIMEOUT_MS: i32 = 6_000;
    let (mut from, mut to) = TcpStream::connect(server).await?.into_split();
    let mut open = vec![0; 12];
    open.extend(TIMEOUT_MS.to_be_bytes());
    open.extend(id.to_be_bytes());
    open.extend((PASSWORD_BYTES as i32).to_be_bytes());
    open.extend(password);
    open.push(0);
    write_frame(&mut to, &open).await?;
    read_frame(&mut from).await?;
    let close = [1_i32.to_be_bytes(), CLOSE_SESSION.to_be_bytes()].concat();
    write_frame(&mut to, &close).await?;
    // The server answers, or closes the connection before it does.
    let _ = read_frame(&mut from).await;
    Ok(())
}
