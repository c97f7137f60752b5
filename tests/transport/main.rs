//! The transport between processes: a media driver of its own, this process, and others that this
//! test starts from its own binary.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot start a process has failed"
)]
#![expect(clippy::print_stdout, reason = "processes talk to each other over it")]

mod driver;
mod receiver;

use driver::Driver;
use onyx::acking::{Cause, Retries};
use onyx::ids::{GroupId, IdSource, PeerId};
use onyx::messaging::aeron::{AeronSettings, AeronTransport, DriverChoice};
use onyx::messaging::{InboxKind, Link, LinkClosed, Message, Transport, TrySendError};
use onyx::replica::{Member, SharedMap, Site};
use receiver::Receiver;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the receiving process is for.
const CAPACITY: usize = 8;

fn peer() -> PeerId {
    IdSource::from_seed(1).peer()
}

fn message(number: u64) -> Message {
    Message::Retries(Retries {
        source: peer(),
        epoch: 1,
        cause: Cause::Asked,
        reason: String::new(),
        roots: vec![number],
    })
}

fn transport(directory: &Path) -> AeronTransport {
    let epoch = IdSource::from_entropy().bits();
    let settings = AeronSettings {
        driver: DriverChoice::External(directory.into()),
        term_bytes: 1 << 20,
        ..AeronSettings::new(7, epoch)
    };
    AeronTransport::start(settings).unwrap()
}

fn living_at(site: &str) -> SharedMap<PeerId, Member> {
    let member = Member {
        group: GroupId(IdSource::from_seed(2).uuid()),
        node: Default::default(),
        site: Site(site.into()),
        words: Arc::default(),
        tags: Arc::default(),
    };
    [(peer(), member)].into_iter().collect()
}

async fn send(link: &mut dyn Link, mut message: Message) -> Result<(), TrySendError> {
    loop {
        match link.try_send(message) {
            Err(TrySendError::Full(back)) => message = back,
            known => return known,
        }
        let _ = link.ready().await;
    }
}

/// A link of this process to the inbox of another, which shares the driver.
async fn between_processes(folder: &Path) -> (Driver, Receiver, AeronTransport, Box<dyn Link>) {
    let driver = Driver::start(&folder.join("driver"));
    let receiver = Receiver::start(&driver.directory);
    let transport = transport(&driver.directory);
    transport.learn_sites(&living_at(&receiver.site));
    let link = transport.link(peer(), InboxKind::Task).unwrap();
    (driver, receiver, transport, link)
}

async fn messages_cross_in_order_and_none_is_lost(folder: &Path) {
    const MESSAGES: u64 = 20_000;
    let (driver, mut receiver, transport, mut link) = between_processes(folder).await;
    for number in 0..MESSAGES {
        send(&mut *link, message(number)).await.unwrap();
    }
    assert_eq!(receiver.line(), "20000 in order, at most 10 waited");
    drop((link, transport));
    receiver.end();
    driver.stop();
}

async fn links_close_when_the_other_process_is_killed(folder: &Path) {
    let (driver, mut receiver, transport, mut link) = between_processes(folder).await;
    send(&mut *link, message(0)).await.unwrap();
    receiver.kill();
    let mut number = 1;
    while !matches!(
        send(&mut *link, message(number)).await,
        Err(TrySendError::Closed(_))
    ) {
        number += 1;
    }
    assert_eq!(link.ready().await, Err(LinkClosed));
    drop((link, transport));
    driver.stop();
}

async fn a_living_driver_is_not_taken_over_and_a_killed_one_is(folder: &Path) {
    let place = folder.join("driver");
    let mut first = Driver::start(&place);
    let told = Driver::refused(&place);
    assert!(told.contains("a media driver is alive at"), "{told}");
    first.kill();
    assert!(
        place.exists(),
        "a driver that was killed leaves its directory"
    );
    Driver::start(&place).stop();
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    if let [_, role, directory] = &arguments[..]
        && role == receiver::ROLE
    {
        let directory = PathBuf::from(directory);
        return runtime.block_on(receiver::receive(&directory));
    }
    // As the harness of tests takes it; there is nothing to choose from.
    if arguments.iter().any(|it| it == "--list") {
        return;
    }
    for case in 0..3 {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path();
        let name = runtime.block_on(async {
            match case {
                0 => {
                    messages_cross_in_order_and_none_is_lost(path).await;
                    "messages_cross_in_order_and_none_is_lost"
                }
                1 => {
                    links_close_when_the_other_process_is_killed(path).await;
                    "links_close_when_the_other_process_is_killed"
                }
                _ => {
                    a_living_driver_is_not_taken_over_and_a_killed_one_is(path).await;
                    "a_living_driver_is_not_taken_over_and_a_killed_one_is"
                }
            }
        });
        println!("test {name} ... ok");
        assert!(!path.join("driver").exists(), "a directory is left behind");
    }
}
