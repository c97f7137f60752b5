//! How do I run the server for other programs? `cargo run --example serve -- 127.0.0.1:2181`

use zookeeper_embedded::{Config, Server};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it talks to the person who started it")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    if let Some(address) = std::env::args().nth(1) {
        config.address = address.parse()?;
    }
    let server = Server::start(config).await?;
    println!("serving ZooKeeper clients at {}", server.connect_string());
    std::future::pending().await
}
