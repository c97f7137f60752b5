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
