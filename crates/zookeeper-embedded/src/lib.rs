//! An in-process server of the ZooKeeper wire protocol, for development, tests and single
//! machines.
//!
//! It keeps everything in memory, and in a folder if it is given one, and speaks to any ZooKeeper client over TCP:
//!
//! ```
//! use zookeeper_client::{Acls, Client, CreateMode};
//! use zookeeper_embedded::{Config, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start(Config::default()).await?;
//! let client = Client::connect(&server.connect_string()).await?;
//! let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
//! client.create("/greeting", b"hello", &options).await?;
//! assert_eq!(client.get_data("/greeting").await?.0, b"hello");
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: form an ensemble, speak TLS or SASL. The whole list is in its README.

mod admission;
mod clock;
mod complaints;
mod config;
mod connection;
mod digest;
mod four_letter;
mod host;
mod jute;
mod outbox;
mod protocol;
mod secret;
mod server;
mod state;
mod statistics;
mod storage;

pub use config::{Access, Config, StartError};
pub use server::Server;
pub use statistics::Statistics;
pub use storage::StorageError;
