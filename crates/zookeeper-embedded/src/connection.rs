//! One client connection: handshake, then requests in and answers out until either side ends it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use crate::four_letter::Word;
use crate::host::{Handshake, Host};
use crate::jute::{Decoder, Garbled};
use crate::outbox::{Leaves, Outbox};
use crate::protocol::{ConnectRequest, ConnectionId, Request, RequestHeader};
use crate::state::Fate;

/// How long the last bytes of a connection may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Buffers of this size are kept between requests; larger ones are returned.
const KEPT_BUFFER: usize = 64 << 10;

/// A handshake has 45 bytes.
const HANDSHAKE_BYTES_MAX: usize = 1 << 10;

/// Why a connection ended without the client or the server wishing so.
#[derive(Debug, Error)]
enum Broken {
    #[error(transparent)]
    Garbled(#[from] Garbled),
    #[error("a request of {0} bytes is out of bounds")]
    RequestSize(i32),
    #[error("it asked for no session within {0:?}")]
    Silent(Duration),
    #[error("it did not log in within {0:?}")]
    NoLogin(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves a client until it leaves, breaks the rules or is cut off.
pub(crate) async fn run(
    mut stream: TcpStream,
    id: ConnectionId,
    address: IpAddr,
    host: Arc<Host>,
    outbox: Arc<Outbox>,
) {
    let ended = tokio::select! {
        () = outbox.aborted() => Ok(()),
        ended = converse(&mut stream, id, address, &host, &outbox) => ended,
    };
    host.dismiss(id);
    if let Err(broken) = ended {
        debug!(connection = id.0, reason = %broken, "connection broke");
    }
}

async fn converse(
    stream: &mut TcpStream,
    id: ConnectionId,
    address: IpAddr,
    host: &Host,
    outbox: &Outbox,
) -> Result<(), Broken> {
    // Without it small answers wait for the client's delayed acknowledgement.
    stream.set_nodelay(true)?;
    let (input, output) = stream.split();
    let mut requests = Requests {
        input: BufReader::new(input),
        max: host.config.max_request_bytes,
        body: Vec::new(),
    };
    let mut writing = std::pin::pin!(write_out(output, outbox));
    tokio::select! {
        ended = listen(&mut requests, id, address, host, outbox) => {
            // Before the client sees the end, which may make it look.
            match &ended {
                Err(Broken::Garbled(_) | Broken::RequestSize(_)) => {
                    host.counters.garbled.increment();
                }
                Err(late @ (Broken::Silent(_) | Broken::NoLogin(_))) => {
                    host.give_up(address, late);
                }
                Err(Broken::Io(_)) | Ok(()) => {}
            }
            outbox.finish();
            // A client that does not take its last answer has gone anyway.
            let _ = timeout(FLUSH_TIMEOUT, writing).await;
            ended
        }
        ended = &mut writing => ended.map_err(Broken::from),
    }
}

/// Reads and serves requests until the client leaves or its session ends.
async fn listen(
    requests: &mut Requests<'_>,
    id: ConnectionId,
    address: IpAddr,
    host: &Host,
    outbox: &Outbox,
) -> Result<(), Broken> {
    let silent_for = host.config.handshake_timeout;
    let opening = timeout(silent_for, requests.opening(outbox, host));
    let opening = opening.await.map_err(|_| Broken::Silent(silent_for))?;
    let Some(connect) = opening? else {
        return Ok(());
    };
    let login_within = host.config.login_timeout;
    let mut login_by = match host.connect(id, address, &connect) {
        Handshake::Rejected => return Ok(()),
        Handshake::Settled => None,
        Handshake::AwaitsLogin => Some(Instant::now() + login_within),
    };
    loop {
        let next = async {
            outbox.room().await;
            host.room().await;
            requests.next().await
        };
        let next = match login_by {
            Some(end) => timeout_at(end, next)
                .await
                .map_err(|_| Broken::NoLogin(login_within))?,
            None => next.await,
        };
        let Some(body) = next? else {
            return Ok(());
        };
        let mut decoder = Decoder::new(body);
        let header = RequestHeader::decode(&mut decoder)?;
        let request = Request::decode(header.op, &mut decoder)?;
        match host.serve((id, address), header, request) {
            Fate::Stays => {}
            Fate::Settles => login_by = None,
            Fate::Ends => return Ok(()),
        }
    }
}

async fn write_out(mut output: WriteHalf<'_>, outbox: &Outbox) -> io::Result<()> {
    while let Some(bytes) = outbox.take().await {
        output.write_all(&bytes).await?;
    }
    output.shutdown().await
}

/// The requests of one client, each behind its length.
struct Requests<'a> {
    input: BufReader<ReadHalf<'a>>,
    max: usize,
    body: Vec<u8>,
}

impl Requests<'_> {
    /// The handshake. A four-letter word in its place is answered here, and there is no handshake.
    async fn opening(
        &mut self,
        outbox: &Outbox,
        host: &Host,
    ) -> Result<Option<ConnectRequest>, Broken> {
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        if let Some(word) = Word::from_bytes(head) {
            let answer = match host.login() {
                Some(_) if !word.is_for_strangers() => word.refusal(),
                _ => word.answer(&host.statistics(), &host.config),
            };
            outbox.push_answer(Leaves::AtOnce, |out| {
                out.extend_from_slice(answer.as_bytes())
            });
            return Ok(None);
        }
        let max = self.max.min(HANDSHAKE_BYTES_MAX);
        match self.body(i32::from_be_bytes(head), max).await? {
            Some(body) => Ok(Some(ConnectRequest::decode(body)?)),
            None => Ok(None),
        }
    }

    /// The next request, or `None` when the client has left.
    async fn next(&mut self) -> Result<Option<&[u8]>, Broken> {
        match self.head().await? {
            Some(head) => self.body(i32::from_be_bytes(head), self.max).await,
            None => Ok(None),
        }
    }

    async fn head(&mut self) -> io::Result<Option<[u8; 4]>> {
        let mut head = [0; 4];
        match self.input.read_exact(&mut head).await {
            Ok(_) => Ok(Some(head)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The buffer grows with the bytes that really arrive, not with those that are announced.
    async fn body(&mut self, announced: i32, max: usize) -> Result<Option<&[u8]>, Broken> {
        let length = usize::try_from(announced)
            .ok()
            .filter(|length| *length <= max);
        let length = length.ok_or(Broken::RequestSize(announced))?;
        self.body.clear();
        self.body.shrink_to(KEPT_BUFFER);
        let mut input = (&mut self.input).take(length as u64);
        let received = input.read_to_end(&mut self.body).await?;
        Ok((received == length).then_some(self.body.as_slice()))
    }
}
