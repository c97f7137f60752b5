//! The HTTP endpoints. They own nothing and decide nothing: they ask the node.
//!
//! An endpoint is a file with a constant `Endpoint` and a line in `routes::ENDPOINTS`.

mod access;
mod entrance;
mod gc;
mod health;
mod host;
mod job;
mod jobs;
mod metrics;
mod nodes;
mod peers;
mod refusal;
mod replica;
mod routes;
mod seats;
mod served;
mod submission;
mod trace;

use crate::api::NodeHandle;
use crate::config::HttpConfig;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use entrance::Entrance;
use host::Hosts;
use seats::{CONNECTIONS_MAX, Seats, Token};
use served::{Gate, Served};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::watch;

/// A running HTTP server.
pub struct HttpServer {
    address: SocketAddr,
    server: ServerHandle,
    gate: Gate,
    seats: Seats,
    max_body_bytes: usize,
    there: watch::Sender<Option<web::Data<Served>>>,
}

/// A port that is taken, so that no other program can have it.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
    config: HttpConfig,
}

/// Why the HTTP server did not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Everybody could use the node.
    #[error(
        "{0} can be reached from other machines and there is no token; set `http.bearer-token` or \
         `http.token-file`, or listen on 127.0.0.1"
    )]
    OpenToEverybody(IpAddr),
    /// Somebody else listens there.
    #[error(
        "cannot listen on {0}: another program, perhaps another node, has the port; choose one \
         with `http.port` or ONYX_HTTP__PORT (0 is any that is free), or see who has it with \
         `ss -ltnp 'sport = :{port}'`",
        port = .0.port()
    )]
    PortTaken(SocketAddr),
    /// The operating system does not allow it.
    #[error(
        "cannot listen on {address}: {source}; choose another place with `http.address` and \
         `http.port`, or ONYX_HTTP__ADDRESS and ONYX_HTTP__PORT"
    )]
    NotAllowed {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Requests are few and short, so that one thread does; a second would only cost memory.
const WORKERS: usize = 1;
const BLOCKING_THREADS_MAX: usize = 2;
/// How long a client may take to send the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long requests under way may take when the server stops.
const STOP_LIMIT_SECONDS: u64 = 2;

impl HttpServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node is there: from now on it answers.
    pub fn open(&self, node: NodeHandle) {
        self.there.send_replace(Some(web::Data::new(Served {
            node,
            gate: self.gate.clone(),
            seats: self.seats.clone(),
            max_body_bytes: self.max_body_bytes,
        })));
    }

    /// Stops at once: there will be no node.
    pub async fn abandon(self) {
        self.server.stop(false).await;
    }

    /// From now on the node is not ready and takes no jobs.
    pub fn refuse(&self) {
        self.gate.close();
    }

    /// Answers what is under way and stops listening.
    pub async fn stop(self) {
        self.server.stop(true).await;
    }
}

impl HttpListener {
    /// Takes the port.
    pub fn bind(config: &HttpConfig) -> Result<Self, HttpError> {
        // The configuration was checked; a program may have made its own.
        if !config.address.is_loopback() && config.bearer_token.is_none() {
            return Err(HttpError::OpenToEverybody(config.address));
        }
        let wanted = SocketAddr::new(config.address, config.port);
        let failed = |error| HttpError::of(wanted, error);
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(HttpListener {
            listener,
            address,
            config: config.clone(),
        })
    }

    /// Where it will listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on, that the process lives; everything else when the node is
    /// [there](HttpServer::open). To be called inside an actix `System`.
    pub fn serve(self) -> Result<HttpServer, HttpError> {
        let HttpListener {
            listener,
            address,
            config,
        } = self;
        let seats = Seats::new(match config.bearer_token {
            Some(_) => Token::Needed,
            None => Token::NotNeeded,
        });
        let hosts = Hosts::of(config.address, &config.host_names);
        let (entrance, there) = Entrance::new(config.bearer_token, hosts);
        let entrance = web::Data::new(entrance);
        let taken = seats.clone();
        let app = move || {
            App::new()
                .app_data(entrance.clone())
                .configure(routes::configure)
                .wrap(from_fn(entrance::pass))
                .wrap(from_fn(access::check))
                .wrap(from_fn(access::record))
        };
        let server = actix_web::HttpServer::new(app)
            .workers(WORKERS)
            .worker_max_blocking_threads(BLOCKING_THREADS_MAX)
            .max_connections(CONNECTIONS_MAX)
            .on_connect(move |stream, data| {
                data.insert(taken.take(stream));
            })
            .client_request_timeout(HEAD_LIMIT)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(STOP_LIMIT_SECONDS)
            .disable_signals()
            .listen(listener)
            .map_err(|error| HttpError::of(address, error))?
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(HttpServer {
            address,
            server: handle,
            gate: Gate::default(),
            seats,
            max_body_bytes: config.max_body_bytes.get(),
            there,
        })
    }
}

impl HttpError {
    fn of(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => HttpError::PortTaken(address),
            _ => HttpError::NotAllowed { address, source },
        }
    }
}
