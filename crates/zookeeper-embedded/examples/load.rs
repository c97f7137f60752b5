//! How many creations a second? `cargo run --release --example load [FOLDER]`, in memory and there.

use std::collections::VecDeque;
use std::path::PathBuf;

use tokio::time::Instant;
use zookeeper_client::{Acls, Client, CreateMode};
use zookeeper_embedded::{Config, Server};

const PAYLOAD: [u8; 200] = [b'x'; 200];

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it talks to the person who started it")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().nth(1).map(PathBuf::from);
    let folder = given.unwrap_or_else(|| std::env::temp_dir().join("zookeeper-embedded-load"));
    for data_dir in [None, Some(folder.clone())] {
        let kept = data_dir.as_ref().map_or("in memory", |_| "with a folder");
        let config = Config {
            data_dir,
            ..Config::default()
        };
        let server = Server::start(config).await?;
        let address = server.connect_string();
        for in_flight in [1, 10, 100, 1000] {
            let count = 2000 + 30 * in_flight;
            let before = server.statistics().log_syncs;
            // A client has its own thread, as it has its own process in real life.
            let address = address.clone();
            let client = tokio::task::spawn_blocking(move || create(&address, in_flight, count));
            let per_second = client.await?.map_err(|error| error.to_string())?;
            let syncs = server.statistics().log_syncs - before;
            println!(
                "{kept}: {in_flight:>4} in flight {per_second:>7.0} creates/s, {count} in {syncs} syncs"
            );
        }
        server.stop().await;
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Creates so many nodes with so many requests under way; answers with creations per second.
fn create(address: &str, in_flight: usize, count: usize) -> Result<f64, zookeeper_client::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a thread has a runtime");
    runtime.block_on(async {
        let client = Client::connect(address).await?;
        let options = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
        let started = Instant::now();
        let mut waiting = VecDeque::new();
        for _ in 0..count {
            if waiting.len() == in_flight
                && let Some(first) = waiting.pop_front()
            {
                await_created(first).await?;
            }
            waiting.push_back(client.create("/load-", &PAYLOAD, &options));
        }
        for create in waiting {
            await_created(create).await?;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    })
}

async fn await_created<T>(
    create: impl Future<Output = Result<T, zookeeper_client::Error>>,
) -> Result<(), zookeeper_client::Error> {
    create.await.map(drop)
}
