//! The transport with real drivers: what it promises, what it refuses, what it leaves behind.

use super::driver::is_alive;
use super::*;
use crate::config::Compression;
use crate::ids::IdSource;
use crate::messaging::contract::{self, Ends, closed, message, peer, segments, send};
use crate::messaging::{
    Control, Envelope, LinkClosed, Lost, Message, Open, TrySendError, encode_control, encode_frame,
};
use std::path::PathBuf;
use std::time::Duration;

const CLUSTER: u64 = 77;

fn settings(local_peers: LocalPeers) -> AeronSettings {
    let epoch = IdSource::from_entropy().bits();
    AeronSettings {
        local_peers,
        term_bytes: 1 << 20,
        ..AeronSettings::new(CLUSTER, epoch)
    }
}

fn started(local_peers: LocalPeers) -> AeronTransport {
    AeronTransport::start(settings(local_peers)).unwrap()
}

/// All peers of the tests live at one site.
fn living_at(site: AeronSite) -> SharedMap<PeerId, Member> {
    let member = Member {
        group: GroupId(IdSource::from_seed(1).uuid()),
        node: Default::default(),
        site: Site::from(site),
        words: Arc::default(),
        tags: Arc::default(),
    };
    (0..20).map(|seed| (peer(seed), member.clone())).collect()
}

fn directory(settings: &AeronSettings) -> PathBuf {
    PathBuf::from(format!("/dev/shm/onyx-driver-{:016x}", settings.epoch))
}

#[tokio::test]
async fn the_contract_holds_in_shared_memory() {
    let transport = started(LocalPeers::OverAeron);
    transport.learn_sites(&living_at(transport.aeron_site()));
    let ends = Ends {
        sending: &transport,
        receiving: &transport,
    };
    ends.keep_the_contract().await;
    assert_eq!(transport.alive(), Ok(()));
}

#[tokio::test]
async fn the_contract_holds_between_two_drivers_over_udp() {
    let (sending, receiving) = (
        started(LocalPeers::ShortCircuit),
        started(LocalPeers::ShortCircuit),
    );
    sending.learn_sites(&living_at(receiving.aeron_site()));
    let ends = Ends {
        sending: &sending,
        receiving: &receiving,
    };
    ends.keep_the_contract().await;
}

fn deflating(local_peers: LocalPeers) -> AeronTransport {
    let settings = AeronSettings {
        compression: Compression::Deflate,
        ..settings(local_peers)
    };
    AeronTransport::start(settings).unwrap()
}

#[tokio::test]
async fn the_contract_holds_where_frames_are_compressed_at_one_end_or_both() {
    let (one, plain) = (
        deflating(LocalPeers::ShortCircuit),
        started(LocalPeers::ShortCircuit),
    );
    one.learn_sites(&living_at(plain.aeron_site()));
    plain.learn_sites(&living_at(one.aeron_site()));
    for (sending, receiving) in [(&one, &plain), (&plain, &one)] {
        let ends = Ends { sending, receiving };
        ends.keep_the_contract().await;
    }
    drop((one, plain));
    let both = deflating(LocalPeers::OverAeron);
    both.learn_sites(&living_at(both.aeron_site()));
    let ends = Ends {
        sending: &both,
        receiving: &both,
    };
    ends.keep_the_contract().await;
    // A segment that no frame holds as it is, and one does when it is compressed.
    let mut inbox = both.open_inbox(peer(1), InboxKind::Task, 9).unwrap();
    let mut link = both.link(peer(1), InboxKind::Task).unwrap();
    let large = segments(1, 200_000);
    send(&mut *link, large.clone()).await.unwrap();
    assert_eq!(inbox.next().await, Some(large));
    let refused = both.refused();
    assert!(refused.contains(&("damaged", 0)), "{refused:?}");
}

#[tokio::test]
async fn the_contract_holds_where_peers_are_short_circuited() {
    let transport = started(LocalPeers::ShortCircuit);
    transport.learn_sites(&living_at(transport.aeron_site()));
    let ends = Ends {
        sending: &transport,
        receiving: &transport,
    };
    ends.keep_the_contract().await;
}

#[tokio::test]
async fn a_segment_that_no_frame_can_hold_is_given_back_and_the_others_are_sent() {
    let transport = started(LocalPeers::OverAeron);
    transport.learn_sites(&living_at(transport.aeron_site()));
    let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 9).unwrap();
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    let large = 200_000;
    let sent = send(&mut *link, segments(2, large)).await;
    let Err(TrySendError::TooLarge {
        message,
        bytes,
        limit,
    }) = sent
    else {
        panic!("{sent:?}");
    };
    assert_eq!(limit, (1 << 20) / 8);
    assert!(bytes > large);
    assert!(matches!(message, Message::Segments(it) if it.batch.len() == 2));
    send(&mut *link, contract::message(0, 7)).await.unwrap();
    assert_eq!(inbox.next().await, Some(contract::message(0, 7)));
}

#[tokio::test]
async fn links_close_when_the_process_at_their_end_goes() {
    let sending = started(LocalPeers::ShortCircuit);
    let receiving = started(LocalPeers::ShortCircuit);
    sending.learn_sites(&living_at(receiving.aeron_site()));
    let mut inbox = receiving.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
    let mut link = sending.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 1)).await.unwrap();
    assert_eq!(inbox.next().await, Some(message(0, 1)));
    drop(receiving);
    closed(&mut *link).await;
}

#[tokio::test]
async fn a_link_that_breaks_knows_what_was_not_taken() {
    let sending = started(LocalPeers::ShortCircuit);
    let receiving = started(LocalPeers::ShortCircuit);
    sending.learn_sites(&living_at(receiving.aeron_site()));
    let mut broken = sending.broken();
    let mut inbox = receiving.open_inbox(peer(1), InboxKind::Task, 8).unwrap();
    let mut link = sending.link(peer(1), InboxKind::Task).unwrap();
    for number in 0..8 {
        send(&mut *link, message(0, number)).await.unwrap();
    }
    for number in 0..6 {
        assert_eq!(inbox.next().await, Some(message(0, number)));
    }
    // More room was granted, and with it that much was taken.
    send(&mut *link, message(0, 8)).await.unwrap();
    assert_eq!(link.take_lost(), []);
    drop(receiving);
    broken.changed().await.unwrap();
    assert_eq!(link.ready().await, Err(LinkClosed));
    let lost = link.take_lost();
    let of = |number| Lost::Word(message(0, number));
    assert!(lost.ends_with(&[of(6), of(7), of(8)]), "{lost:?}");
    assert!(!lost.contains(&of(0)), "{lost:?}");
    assert_eq!(link.take_lost(), []);
}

#[tokio::test]
async fn links_that_are_still_asked_for_end_when_their_peer_has_left_the_cluster() {
    let sending = started(LocalPeers::ShortCircuit);
    let receiving = started(LocalPeers::ShortCircuit);
    let site = receiving.aeron_site();
    drop(receiving);
    sending.learn_sites(&living_at(site));
    let mut link = sending.link(peer(1), InboxKind::Task).unwrap();
    sending.learn_sites(&SharedMap::default());
    closed(&mut *link).await;
    assert!(sending.link(peer(1), InboxKind::Task).is_err());
}

#[tokio::test]
async fn links_close_with_their_transport() {
    let transport = started(LocalPeers::OverAeron);
    transport.learn_sites(&living_at(transport.aeron_site()));
    let _inbox = transport.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 1)).await.unwrap();
    drop(transport);
    closed(&mut *link).await;
}

/// Writes frames of its own to the stream of a transport.
struct Stranger {
    publication: AeronPublication,
}

impl Stranger {
    fn at(site: AeronSite, directory: &std::path::Path) -> Self {
        let wait = Duration::from_secs(5);
        let aeron = rusteron_client::Aeron::connect(directory.to_str()).unwrap();
        let adding = aeron.async_add_publication(c"aeron:ipc", site.stream);
        let publication = adding.unwrap().poll_blocking(wait).unwrap();
        Stranger { publication }
    }

    async fn say(&self, frame: &[u8]) {
        while self.publication.offer(frame).is_err() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_is_damaged_foreign_stale_or_for_nobody_is_counted_and_refused() {
    let settings = settings(LocalPeers::OverAeron);
    let directory = directory(&settings);
    let transport = AeronTransport::start(settings).unwrap();
    transport.learn_sites(&living_at(transport.aeron_site()));
    let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
    let stranger = Stranger::at(transport.aeron_site(), &directory);
    let envelope = Envelope {
        cluster: CLUSTER,
        epoch: 1,
        link: LinkId(99),
        sequence: 0,
    };
    let frame = |envelope: &Envelope| {
        let mut frame = Vec::new();
        encode_frame(envelope, &message(0, 1), &mut frame).unwrap();
        frame
    };
    stranger.say(&frame(&envelope)).await;
    let foreign = Envelope {
        cluster: CLUSTER + 1,
        ..envelope
    };
    stranger.say(&frame(&foreign)).await;
    let mut damaged = frame(&envelope);
    damaged[90] ^= 1;
    stranger.say(&damaged).await;
    stranger.say(b"hello").await;
    let mut other_version = frame(&envelope);
    other_version[2] = 9;
    stranger.say(&other_version).await;
    let mut nowhere = Vec::new();
    let open = Control::Open(Open {
        link: LinkId(1),
        sent: 0,
        limit: 0,
        heard: 0,
        inbox: InboxKind::Task,
        peer: peer(1),
        site: "local:1".into(),
    });
    encode_control(&envelope, &open, &mut nowhere).unwrap();
    stranger.say(&nowhere).await;
    let expected = [
        ("damaged", 2),
        ("other-version", 1),
        ("foreign", 1),
        ("no-link", 1),
        ("no-site", 1),
    ];
    let refused = || -> Vec<(&str, u64)> {
        let all = transport.refused().into_iter();
        all.filter(|(_, count)| *count > 0).collect()
    };
    while refused().iter().map(|(_, count)| count).sum::<u64>() < 6 {
        tokio::task::yield_now().await;
    }
    assert_eq!(refused(), expected);
    // Who sends in order is not disturbed.
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 2)).await.unwrap();
    assert_eq!(inbox.next().await, Some(message(0, 2)));
}

#[test]
fn a_driver_leaves_nothing_behind_and_takes_over_nobody() {
    let settings = settings(LocalPeers::ShortCircuit);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("driver");
    let driver = MediaDriver::start_at(&place, &settings).unwrap();
    assert!(driver.directory().join("cnc.dat").exists());
    let second = MediaDriver::start_at(&place, &settings).unwrap_err();
    assert_eq!(
        second.to_string(),
        format!(
            "a media driver is alive at {}: use it, or choose another directory",
            place.display()
        )
    );
    drop(driver);
    assert!(!place.exists());
    // What a dead one has left is no obstacle.
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("cnc.dat"), [0; 4096]).unwrap();
    let driver = MediaDriver::start_at(&place, &settings).unwrap();
    drop(driver);
    assert!(!place.exists());
}

#[test]
fn a_driver_does_not_start_where_there_is_no_room_for_it() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let settings = AeronSettings {
        // No memory holds twelve of these.
        term_bytes: 1 << 40,
        driver: DriverChoice::Embedded(folder.path().into()),
        ..settings(LocalPeers::ShortCircuit)
    };
    let place = folder.path().join("driver");
    let started = [
        MediaDriver::start_in(folder.path(), &settings),
        MediaDriver::start_at(&place, &settings),
    ];
    for error in started.map(Result::unwrap_err) {
        let DriverError::Space { needed, free, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((*needed, needed > free), (12 + 12 * (1 << 20), true));
        let told = error.to_string();
        let folder = folder.path().display();
        assert!(
            told.starts_with(&format!("{folder} has {free} MiB free")),
            "{told}"
        );
        assert!(told.contains("--shm-size"), "{told}");
    }
    assert!(AeronTransport::start(settings).is_err());
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|it| it.as_ref().unwrap().path().is_dir())
            .count(),
        0
    );
}

#[test]
fn a_driver_lives_as_long_as_it_says_so_and_has_not_let_go() {
    let settings = settings(LocalPeers::ShortCircuit);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("driver");
    let driver = MediaDriver::start_at(&place, &settings).unwrap();
    // The same counters elsewhere: one that spoke just now, of a process that is there.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(place.join("cnc.dat"), other.join("cnc.dat")).unwrap();
    let refused = MediaDriver::start_at(&other, &settings).unwrap_err();
    assert!(matches!(refused, DriverError::Alive(_)), "{refused}");
    // Whoever made this one has let go of it.
    std::fs::write(other.join("life"), []).unwrap();
    drop(MediaDriver::start_at(&other, &settings).unwrap());
    assert!(place.exists() && !other.exists());
    drop(driver);
}

#[test]
fn a_driver_that_is_stopped_and_silent_is_not_taken_over() {
    let settings = settings(LocalPeers::ShortCircuit);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("driver");
    let driver = MediaDriver::start_at(&place, &settings).unwrap();
    let silent = folder.path().join("silent");
    std::fs::create_dir(&silent).unwrap();
    std::fs::copy(place.join("cnc.dat"), silent.join("cnc.dat")).unwrap();
    drop(driver);
    // Of another make, it is dead once it is silent.
    while is_alive(&silent, Duration::ZERO) {
        std::thread::yield_now();
    }
    let life = std::fs::File::create(silent.join("life")).unwrap();
    life.lock().unwrap();
    assert!(is_alive(&silent, Duration::ZERO));
    drop(life);
    assert!(!is_alive(&silent, Duration::ZERO));
}

#[tokio::test]
async fn a_transport_survives_a_mistake_of_its_own_thread() {
    let transport = started(LocalPeers::OverAeron);
    transport.learn_sites(&living_at(transport.aeron_site()));
    let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 1)).await.unwrap();
    assert_eq!(inbox.next().await, Some(message(0, 1)));
    transport.bell.say(Wish::Panic);
    closed(&mut *link).await;
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 2)).await.unwrap();
    while inbox.next().await != Some(message(0, 2)) {}
    while transport.alive().is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(transport.losses(), 1);
}

#[tokio::test]
async fn a_driver_that_comes_back_is_used_again_and_links_can_be_made_again() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("driver");
    let settings = AeronSettings {
        driver: DriverChoice::External(place.clone()),
        ..settings(LocalPeers::OverAeron)
    };
    let driver = MediaDriver::start_at(&place, &settings).unwrap();
    let transport = AeronTransport::start(settings.clone()).unwrap();
    let site = transport.aeron_site();
    transport.learn_sites(&living_at(site));
    let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 1)).await.unwrap();
    assert_eq!(inbox.next().await, Some(message(0, 1)));
    drop(driver);
    // The loss is noticed by who waits, within the liveness time.
    while link.try_send(message(0, 2)).is_ok() {
        tokio::task::yield_now().await;
        inbox.try_next();
    }
    closed(&mut *link).await;
    let driver = MediaDriver::start_at(&place, &settings).unwrap();
    let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
    send(&mut *link, message(0, 3)).await.unwrap();
    while inbox.next().await != Some(message(0, 3)) {}
    assert_eq!(transport.alive(), Ok(()));
    assert_eq!(transport.aeron_site(), site);
    drop(transport);
    drop(driver);
    assert!(!place.exists());
}

#[tokio::test]
async fn drivers_and_transports_follow_each_other_in_one_process() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("driver");
    for round in 0..6 {
        let choice = match round % 2 {
            0 => DriverChoice::External(place.clone()),
            _ => DriverChoice::Embedded(folder.path().into()),
        };
        let settings = || AeronSettings {
            driver: choice.clone(),
            ..settings(LocalPeers::ShortCircuit)
        };
        let driver = (round % 2 == 0).then(|| MediaDriver::start_at(&place, &settings()).unwrap());
        let sending = AeronTransport::start(settings()).unwrap();
        let receiving = AeronTransport::start(settings()).unwrap();
        sending.learn_sites(&living_at(receiving.aeron_site()));
        let mut inbox = receiving.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
        let mut link = sending.link(peer(1), InboxKind::Task).unwrap();
        for number in 0..100 {
            send(&mut *link, message(0, number)).await.unwrap();
            assert_eq!(inbox.next().await, Some(message(0, number)));
        }
        drop((sending, receiving, driver));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_driver_that_is_not_there_is_named() {
    let settings = AeronSettings {
        driver: DriverChoice::External("/dev/shm/onyx-no-driver-here".into()),
        liveness: Duration::from_millis(200),
        ..settings(LocalPeers::ShortCircuit)
    };
    let error = AeronTransport::start(settings).unwrap_err().to_string();
    let expected = "no media driver runs at /dev/shm/onyx-no-driver-here: start one with `onyx-node \
                    media-driver`, or set messaging.driver = \"embedded\"";
    assert_eq!(error, expected);
}
