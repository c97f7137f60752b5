//! The ways to other sites: one publication for each, shared by all links there, opened when there is
//! something to say and closed when there are no links left.

use super::Channels;
use super::settings::AeronSettings;
use super::site::{AeronSite, Channel, DriverId};
use super::words::{Word, Words};
use crate::clock::Millis;
use crate::messaging::{Envelope, encode_control};
use rusteron_client::{AeronAsyncAddPublication, AeronCError, AeronPublication};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::time::Duration;

/// How long a way without links stays open.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// All ways out of this process.
pub(super) struct Publications {
    ways: BTreeMap<AeronSite, Way>,
    frame: Vec<u8>,
}

struct Way {
    state: State,
    /// When it came into this state.
    since: Millis,
    /// When it last had a link.
    used: Millis,
}

enum State {
    Adding(AeronAsyncAddPublication),
    /// The driver did not open it.
    Failed,
    /// Nobody reads it yet.
    Added(AeronPublication),
    Connected(AeronPublication),
}

/// What frames say of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) cluster: u64,
    pub(super) epoch: u64,
}

impl Publications {
    pub(super) fn new() -> Self {
        Publications {
            ways: BTreeMap::new(),
            frame: Vec::new(),
        }
    }

    /// Says what there is to say; opens ways for it. Answers with how much was said.
    pub(super) fn say(
        &mut self,
        words: &mut Words,
        identity: Identity,
        now: Millis,
        open: impl Fn(AeronSite) -> Result<AeronAsyncAddPublication, AeronCError>,
    ) -> usize {
        let mut said = 0;
        for (site, words) in words.waiting() {
            let way = match self.ways.get(&site) {
                Some(way) => way,
                None => match open(site) {
                    Ok(adding) => self.ways.entry(site).or_insert(Way {
                        state: State::Adding(adding),
                        since: now,
                        used: now,
                    }),
                    Err(error) => {
                        tracing::warn!(%site, %error, "there is no way to a site");
                        // Links are asked for again; whatever else was to be said has no way.
                        words.clear();
                        continue;
                    }
                },
            };
            if let State::Added(publication) | State::Connected(publication) = &way.state {
                said += offer_all(publication, words, identity, &mut self.frame);
            }
        }
        said
    }

    /// Sees what has become of each way, and answers with the sites to which it is lost.
    pub(super) fn tick(
        &mut self,
        now: Millis,
        patience: Duration,
        is_used: impl Fn(AeronSite) -> bool,
    ) -> Vec<AeronSite> {
        let mut lost = Vec::new();
        self.ways.retain(|site, way| {
            if is_used(*site) {
                way.used = now;
            }
            let works = way.works(now, patience);
            if !works {
                tracing::info!(%site, "the way to a site is lost");
                lost.push(*site);
            }
            // Who sends holds the publication itself: it is not closed under them.
            works && now.since(way.used) <= IDLE_MAX
        });
        lost
    }

    /// Looks after ways that are being opened. Answers with how many were.
    pub(super) fn advance(&mut self, now: Millis) -> usize {
        let mut opened = 0;
        for way in self.ways.values_mut() {
            let State::Adding(adding) = &way.state else {
                continue;
            };
            way.state = match adding.poll() {
                Ok(None) => continue,
                Ok(Some(publication)) => State::Added(publication),
                // What has failed once must not be asked again.
                Err(_) => State::Failed,
            };
            way.since = now;
            opened += 1;
        }
        opened
    }
}

impl Channels for Publications {
    fn publication(&self, site: AeronSite) -> Option<AeronPublication> {
        match &self.ways.get(&site)?.state {
            State::Adding(_) | State::Failed => None,
            State::Added(publication) | State::Connected(publication) => Some(publication.clone()),
        }
    }
}

impl Way {
    fn works(&mut self, now: Millis, patience: Duration) -> bool {
        let patient = now.since(self.since) <= patience;
        match &self.state {
            State::Adding(_) => patient,
            State::Failed => false,
            State::Added(publication) => {
                if publication.is_closed() {
                    return false;
                }
                if publication.is_connected() {
                    self.state = State::Connected(publication.clone());
                    return true;
                }
                patient
            }
            State::Connected(publication) => !publication.is_closed() && publication.is_connected(),
        }
    }
}

fn offer_all(
    publication: &AeronPublication,
    words: &mut VecDeque<Word>,
    identity: Identity,
    frame: &mut Vec<u8>,
) -> usize {
    let mut said = 0;
    while let Some(word) = words.front() {
        let envelope = Envelope {
            cluster: identity.cluster,
            epoch: identity.epoch,
            link: word.link,
            sequence: 0,
        };
        frame.clear();
        let fits = encode_control(&envelope, &word.control, frame).is_ok();
        let offered = fits.then(|| publication.offer(frame));
        match offered {
            Some(Err(error)) if error.is_retryable() => break,
            // A way that is closed is found lost. A word that no frame can hold cannot be said.
            Some(Ok(_) | Err(_)) | None => {}
        }
        said += 1;
        words.pop_front();
    }
    said
}

/// Where a site is published to, as Aeron writes it.
pub(super) fn publication_uri(site: AeronSite, own: DriverId, settings: &AeronSettings) -> CString {
    let term = settings.term_bytes;
    let uri = match site.channel_from(own) {
        Channel::Ipc => format!("aeron:ipc?term-length={term}"),
        Channel::Udp => {
            let mtu = settings.mtu_to(site.address.ip());
            let address = site.address;
            format!("aeron:udp?endpoint={address}|term-length={term}|mtu={mtu}")
        }
    };
    CString::new(uri).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::super::settings::DriverChoice;
    use super::*;
    use crate::ids::IdSource;
    use crate::messaging::{Cargo, Control, LinkId, decode_frame};
    use bytes::Bytes;
    use rusteron_client::AeronHeader;
    use std::thread;

    const IDENTITY: Identity = Identity {
        cluster: 3,
        epoch: 9,
    };
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn the_channel_to_a_site_follows_from_its_driver_and_address() {
        let mut settings = AeronSettings::new(1, 1);
        settings.term_bytes = 1 << 20;
        let site = |address: &str| AeronSite {
            driver: DriverId(7),
            address: address.parse().unwrap(),
            stream: 12,
        };
        let uri = |address: &str, own, settings: &AeronSettings| {
            let uri = publication_uri(site(address), DriverId(own), settings);
            uri.into_string().unwrap()
        };
        let (near, far) = ("127.0.0.1:40123", "10.0.0.7:40123");
        let ipc = "aeron:ipc?term-length=1048576";
        assert_eq!([near, far].map(|at| uri(at, 7, &settings)), [ipc; 2]);
        assert_eq!(
            uri(near, 8, &settings),
            "aeron:udp?endpoint=127.0.0.1:40123|term-length=1048576|mtu=8192"
        );
        assert_eq!(
            uri(far, 8, &settings),
            "aeron:udp?endpoint=10.0.0.7:40123|term-length=1048576|mtu=1408"
        );
        assert_eq!(
            uri("[::1]:5", 8, &settings),
            "aeron:udp?endpoint=[::1]:5|term-length=1048576|mtu=8192"
        );
        settings.mtu_bytes = Some(8192);
        assert!(uri(far, 8, &settings).ends_with("|mtu=8192"));
    }

    /// A client that says things to itself.
    struct Echo {
        _folder: tempfile::TempDir,
        client: Client,
        settings: AeronSettings,
        publications: Publications,
        words: Words,
        now: Millis,
        heard: Vec<LinkId>,
    }

    fn leave(number: u64) -> Control {
        Control::Leave {
            link: LinkId(number),
        }
    }

    impl Echo {
        fn new() -> Self {
            let folder = tempfile::tempdir_in("/dev/shm").unwrap();
            let epoch = IdSource::from_entropy().bits();
            let settings = AeronSettings {
                term_bytes: 1 << 16,
                driver: DriverChoice::Embedded(folder.path().into()),
                ..AeronSettings::new(IDENTITY.cluster, epoch)
            };
            Echo {
                client: Client::connect(&settings, None).unwrap(),
                _folder: folder,
                settings,
                publications: Publications::new(),
                words: Words::default(),
                now: Millis(0),
                heard: Vec::new(),
            }
        }

        fn hear(&mut self) {
            fn read(heard: &mut Vec<LinkId>, frame: &[u8], _: AeronHeader) {
                let frame = Bytes::copy_from_slice(frame);
                let (envelope, cargo) = decode_frame(frame, IDENTITY.cluster).unwrap();
                assert!(matches!(cargo, Cargo::Control(_)));
                heard.push(envelope.link);
            }
            self.client.poll(&mut self.heard, read).unwrap();
        }

        /// Says a word over the way that there is, or a new one.
        fn say(&mut self, number: u64) {
            let site = self.client.site();
            self.words.say(site, LinkId(number), leave(number));
            while self.words.wait_for(site) {
                let open = |site| self.client.open(site, &self.settings);
                self.publications.advance(self.now);
                self.publications
                    .say(&mut self.words, IDENTITY, self.now, open);
                self.hear();
            }
        }

        fn tick(&mut self, after: Duration, is_used: bool) -> Vec<AeronSite> {
            self.now = self.now.plus(after);
            self.publications.tick(self.now, PATIENCE, |_| is_used)
        }

        fn way(&self) -> Option<AeronPublication> {
            self.publications.publication(self.client.site())
        }
    }

    #[test]
    fn a_way_closes_when_it_has_long_had_no_links_and_not_before() {
        let mut echo = Echo::new();
        echo.say(1);
        assert_eq!(echo.tick(IDLE_MAX * 3, true), []);
        assert_eq!(echo.tick(IDLE_MAX, false), []);
        assert!(echo.way().is_some());
        assert_eq!(echo.tick(Duration::from_millis(1), false), []);
        assert!(echo.way().is_none());
        echo.say(2);
        assert!(echo.way().is_some());
        while echo.heard.len() < 2 {
            echo.hear();
        }
        assert_eq!(echo.heard, [1, 2].map(LinkId));
    }

    #[test]
    fn what_is_sent_while_ways_close_and_open_again_arrives_whole_and_in_order() {
        const ROUNDS: u64 = 20;
        const FRAMES: u64 = 500;
        let mut echo = Echo::new();
        let site = echo.client.site();
        for round in 0..ROUNDS {
            let first = round * (FRAMES + 1);
            echo.say(first);
            let way = echo.way().unwrap();
            let (halfway, closes) = std::sync::mpsc::channel();
            let sends = thread::spawn(move || {
                for number in first + 1..=first + FRAMES {
                    if number == first + FRAMES / 2 {
                        halfway.send(()).unwrap();
                    }
                    let envelope = Envelope {
                        cluster: IDENTITY.cluster,
                        epoch: IDENTITY.epoch,
                        link: LinkId(number),
                        sequence: number,
                    };
                    let mut frame = Vec::new();
                    encode_control(&envelope, &leave(number), &mut frame).unwrap();
                    while let Err(error) = way.offer(&frame) {
                        assert!(error.is_retryable(), "{error:?}");
                        thread::yield_now();
                    }
                }
            });
            while closes.try_recv().is_err() {
                echo.hear();
            }
            // In the midst of it.
            assert_eq!(echo.tick(IDLE_MAX * 2, false), []);
            assert!(echo.way().is_none());
            if round % 2 == 1 {
                // Somebody else opens it again meanwhile.
                echo.words.say(site, LinkId(u64::MAX), leave(0));
                let open = |site| echo.client.open(site, &echo.settings);
                let now = echo.now;
                echo.publications.say(&mut echo.words, IDENTITY, now, open);
            }
            while !sends.is_finished() {
                echo.hear();
                echo.publications.advance(echo.now);
            }
            sends.join().unwrap();
            let of_round = (round + 1) * (FRAMES + 1);
            let is_mine = |link: &&LinkId| link.0 != u64::MAX;
            while (echo.heard.iter().filter(is_mine).count() as u64) < of_round {
                echo.hear();
            }
        }
        let mine = echo.heard.iter().filter(|link| link.0 != u64::MAX);
        assert!(mine.map(|link| link.0).eq(0..ROUNDS * (FRAMES + 1)));
    }
}
