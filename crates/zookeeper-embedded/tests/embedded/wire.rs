//! The protocol by hand, for what a well-behaved client never does.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zookeeper_embedded::Server;

/// A bare connection.
pub(crate) struct Wire {
    stream: TcpStream,
}

/// Sends bytes and returns all that comes back until the server hangs up.
pub(crate) async fn ask(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let mut answer = Vec::new();
    // A server that hangs up early may reset the connection in the middle of either.
    let _ = stream.write_all(bytes).await;
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

impl Wire {
    pub(crate) async fn open(server: &Server) -> Self {
        Self {
            stream: TcpStream::connect(server.address()).await.unwrap(),
        }
    }

    pub(crate) async fn send(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.stream
            .write_all(&[&length[..], body].concat())
            .await
            .unwrap();
    }

    /// The next frame, or `None` when the server has hung up.
    pub(crate) async fn receive(&mut self) -> Option<Vec<u8>> {
        let length = self.stream.read_u32().await.ok()?;
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    /// The handshake; returns session and password, or `None` when the server has hung up.
    pub(crate) async fn connect(
        &mut self,
        last_zxid_seen: i64,
        session: i64,
        password: [u8; 16],
    ) -> Option<(i64, [u8; 16])> {
        let mut body = Vec::new();
        body.extend(0_i32.to_be_bytes());
        body.extend(last_zxid_seen.to_be_bytes());
        body.extend(10_000_i32.to_be_bytes());
        body.extend(session.to_be_bytes());
        body.extend(16_i32.to_be_bytes());
        body.extend(password);
        body.push(0);
        self.send(&body).await;
        let answer = self.receive().await?;
        let session = i64::from_be_bytes(answer[8..16].try_into().unwrap());
        Some((session, answer[20..36].try_into().unwrap()))
    }

    pub(crate) async fn new_session(&mut self) -> (i64, [u8; 16]) {
        self.connect(0, 0, [0; 16]).await.unwrap()
    }

    /// Creates an empty node that anyone may use.
    pub(crate) async fn create(&mut self, path: &str) {
        let mut body = request(1, path);
        body.extend(0_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        body.extend(31_i32.to_be_bytes());
        body.extend(string("world"));
        body.extend(string("anyone"));
        body.extend(0_i32.to_be_bytes());
        self.call(&body).await;
    }

    pub(crate) async fn set_data(&mut self, path: &str) {
        let mut body = request(5, path);
        body.extend(0_i32.to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        self.call(&body).await;
    }

    /// Sets a persistent watch.
    pub(crate) async fn watch_for_ever(&mut self, path: &str) {
        let mut body = request(106, path);
        body.extend(0_i32.to_be_bytes());
        self.call(&body).await;
    }

    /// Sends a request and insists on success.
    async fn call(&mut self, body: &[u8]) {
        self.send(body).await;
        let answer = self.receive().await.unwrap();
        assert_eq!(answer[12..16], [0; 4], "the request failed");
    }
}

fn request(op: i32, path: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    body.extend(op.to_be_bytes());
    body.extend(string(path));
    body
}

fn string(text: &str) -> Vec<u8> {
    let length = i32::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}
