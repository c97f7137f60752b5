//! How many segments cross from thread to thread and from process to process: `./dev bench transport`.
//! The receiver adds up what it gets, and the sums must be right.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot start has failed"
)]
#![expect(clippy::print_stdout, reason = "processes talk to each other over it")]
#![expect(clippy::print_stderr, reason = "the figures are for people")]

use onyx::clock::Clock;
use onyx::codec::{Batch, BatchMeta, Encoded, EncodedBuilder, Origin};
use onyx::ids::{GroupId, IdSource, LogPosition, PeerId};
use onyx::messaging::aeron::{AeronSettings, AeronTransport, DriverChoice, MediaDriver};
use onyx::messaging::{
    Inbox, InboxKind, Link, LocalTransport, Message, SegmentsMessage, Transport, TrySendError,
};
use onyx::replica::{Member, Site};
use onyx::segment::{Segment, Value};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const BATCH: usize = 256;
const BATCHES: u64 = 40_000;
const INBOX: usize = 64;
const RUNS: usize = 3;

fn peer() -> PeerId {
    IdSource::from_seed(1).peer()
}

fn payload() -> Encoded {
    let mut builder = EncodedBuilder::default();
    for id in 0..BATCH as i64 {
        let fields = [
            ("id", Value::from(id)),
            ("name", Value::from("abcdefghij")),
            ("value", Value::from(id * 3)),
        ];
        let segment: Segment = fields.into_iter().collect();
        builder.push(&segment).unwrap();
    }
    builder.finish()
}

/// Sends all batches; every segment has a root of its own.
async fn send_all(link: &mut dyn Link) {
    let payload = payload();
    let mut ids = IdSource::from_seed(2);
    let origin = Origin {
        source: ids.peer(),
        acker: ids.peer(),
        epoch: 1,
        traced: 0,
    };
    for number in 0..BATCHES {
        let meta = BatchMeta::of_roots(origin, number * BATCH as u64, BATCH);
        let mut message = Message::Segments(SegmentsMessage {
            job: IdSource::from_seed(3).job(),
            task: "write".into(),
            sender: peer(),
            version: LogPosition(1),
            batch: Batch::new(meta, payload.clone()).unwrap(),
        });
        while let Err(error) = link.try_send(message) {
            let TrySendError::Full(back) = error else {
                panic!("{error}");
            };
            message = back;
            link.ready().await.unwrap();
        }
    }
}

/// The sum of all roots, and how long it took from the first batch on.
async fn receive_all(inbox: &mut Inbox) -> (u64, u64) {
    let mut sum = 0_u64;
    let mut clock = None;
    for _ in 0..BATCHES {
        let Some(Message::Segments(message)) = inbox.next().await else {
            panic!("something else arrived");
        };
        clock.get_or_insert_with(Clock::start);
        sum = message
            .batch
            .meta()
            .rows()
            .fold(sum, |sum, row| sum.wrapping_add(row.root));
    }
    let millis = clock.map_or(0, |clock: Clock| clock.now().0);
    (sum, millis)
}

fn report(name: &str, sum: u64, millis: u64) -> f64 {
    let segments = BATCHES * BATCH as u64;
    let expected = (0..segments).fold(0_u64, u64::wrapping_add);
    assert_eq!(sum, expected, "{name}: the sum is wrong");
    let rate = segments as f64 / millis.max(1) as f64 / 1000.0;
    eprintln!("{name}: {rate:.2} million segments/s in batches of {BATCH}, sum right");
    rate
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn between_threads() -> f64 {
    let transport = LocalTransport::new();
    let mut inbox = transport
        .open_inbox(peer(), InboxKind::Task, INBOX)
        .unwrap();
    let mut link = transport.link(peer(), InboxKind::Task).unwrap();
    let sender = std::thread::spawn(move || runtime().block_on(send_all(&mut *link)));
    let (sum, millis) = runtime().block_on(receive_all(&mut inbox));
    sender.join().unwrap();
    report("between threads", sum, millis)
}

fn settings(directory: &Path) -> AeronSettings {
    AeronSettings {
        driver: DriverChoice::External(directory.into()),
        ..AeronSettings::new(7, IdSource::from_entropy().bits())
    }
}

fn between_processes() -> f64 {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("driver");
    let driver = MediaDriver::start_at(&place, &settings(&place)).unwrap();
    let mut receiver = Command::new(std::env::current_exe().unwrap())
        .args(["receive".as_ref(), place.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let mut line = || said.next().unwrap().unwrap();
    let transport = AeronTransport::start(settings(&place)).unwrap();
    let member = Member {
        group: GroupId(IdSource::from_seed(2).uuid()),
        node: Default::default(),
        site: Site(line()),
        words: Arc::default(),
        tags: Arc::default(),
    };
    transport.learn_sites(&[(peer(), member)].into_iter().collect());
    let mut link = transport.link(peer(), InboxKind::Task).unwrap();
    runtime().block_on(send_all(&mut *link));
    let (sum, millis) = (line().parse().unwrap(), line().parse().unwrap());
    assert!(receiver.wait().unwrap().success());
    drop((link, transport));
    drop(driver);
    report("between processes, Aeron IPC", sum, millis)
}

/// What the other process does.
fn receive(directory: &Path) {
    let transport = AeronTransport::start(settings(directory)).unwrap();
    let mut inbox = transport
        .open_inbox(peer(), InboxKind::Task, INBOX)
        .unwrap();
    println!("{}", transport.aeron_site());
    let (sum, millis) = runtime().block_on(receive_all(&mut inbox));
    println!("{sum}\n{millis}");
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, directory] = &arguments[..]
        && role == "receive"
    {
        return receive(Path::new(directory));
    }
    let (mut threads, mut processes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        threads.push(between_threads());
        processes.push(between_processes());
    }
    let (threads, processes) = (median(threads), median(processes));
    println!(
        "million segments/s, medians of {RUNS}: {threads:.2} between threads, \
         {processes:.2} between processes over Aeron IPC; ratio {:.2}",
        processes / threads
    );
}
