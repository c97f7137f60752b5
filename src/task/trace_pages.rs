//! What a node knows of traced roots, as pages that other nodes can read.
//!
//! For each source that a job has, the latest few pages are kept, each rewritten until it is full. So
//! what is written grows with what is traced, and what is kept has a bound.

use super::traces::{TraceEvent, Traced};
use crate::acking::RootId;
use crate::codec::{CodecError, from_payload, to_payload};
use crate::ids::{JobId, PeerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many things are on a page.
const EVENTS_MAX: usize = 256;
/// So many pages are kept for a source; the next one takes the place of the oldest.
const PAGES: u32 = 8;
/// So much of a reason is kept.
const REASON_CHARS_MAX: usize = 400;

/// Whose roots a page is about, and which page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageName {
    /// The job.
    pub job: JobId,
    /// Who read the roots.
    pub source: PeerId,
    /// Of the pages of this source.
    pub number: u32,
}

/// The pages that are to be written.
#[derive(Debug, Default)]
pub struct TracePages {
    current: BTreeMap<(JobId, PeerId), (u32, Page)>,
    unwritten: BTreeMap<PageName, Vec<u8>>,
}

/// Things that happened to roots of one source, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Page {
    happened: Vec<Happened>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Happened {
    epoch: u64,
    root: u64,
    event: TraceEvent,
}

impl TracePages {
    /// Takes in what has happened since the last time.
    pub fn take_in(&mut self, news: Vec<(RootId, TraceEvent)>) -> Result<(), CodecError> {
        let mut changed = BTreeMap::new();
        for (root, event) in news {
            let key = (event.job, root.source);
            let (number, page) = self.current.entry(key).or_default();
            if page.happened.len() >= EVENTS_MAX {
                *number = (*number + 1) % PAGES;
                page.happened.clear();
            }
            page.happened.push(Happened {
                epoch: root.epoch,
                root: root.root,
                event: clipped(event),
            });
            let name = PageName {
                job: key.0,
                source: key.1,
                number: *number,
            };
            // Whole, since the page may be full before it is written.
            if page.happened.len() >= EVENTS_MAX {
                changed.remove(&name);
                self.unwritten.insert(name, to_payload(page)?);
            } else {
                changed.insert(name, key);
            }
        }
        for (name, key) in changed {
            if let Some((_, page)) = self.current.get(&key) {
                self.unwritten.insert(name, to_payload(page)?);
            }
        }
        Ok(())
    }

    /// A page that is to be written, if there is one.
    pub fn next(&self) -> Option<(PageName, &[u8])> {
        let (name, page) = self.unwritten.first_key_value()?;
        Some((*name, page))
    }

    /// It is written, as it was then.
    pub fn written(&mut self, name: PageName) {
        self.unwritten.remove(&name);
    }

    /// Forgets jobs.
    pub fn retain(&mut self, is_known: impl Fn(JobId) -> bool) {
        self.current.retain(|(job, _), _| is_known(*job));
        self.unwritten.retain(|name, _| is_known(name.job));
    }
}

/// What a page says of a root; nothing if another version wrote it.
pub fn of_root(page: &[u8], root: RootId) -> Vec<TraceEvent> {
    let page: Page = from_payload(page).unwrap_or_default();
    let of_root = |it: &Happened| (it.epoch, it.root) == (root.epoch, root.root);
    let happened = page.happened.into_iter().filter(of_root);
    happened.map(|it| it.event).collect()
}

fn clipped(mut event: TraceEvent) -> TraceEvent {
    if let Traced::GivenBack { reason } | Traced::DeadLettered { reason } = &mut event.what
        && let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX)
    {
        reason.truncate(end);
        reason.push('…');
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    fn event(job: JobId, unix_ms: u64, what: Traced) -> TraceEvent {
        TraceEvent {
            unix_ms,
            job,
            task: "work".into(),
            peer: IdSource::from_seed(3).peer(),
            what,
        }
    }

    fn root(number: u64) -> RootId {
        RootId {
            source: IdSource::from_seed(1).peer(),
            epoch: 4,
            root: number,
        }
    }

    /// What is written for some news, page by page.
    fn written(pages: &mut TracePages, news: Vec<(RootId, TraceEvent)>) -> Vec<(u32, Vec<u8>)> {
        pages.take_in(news).unwrap();
        let mut written = Vec::new();
        while let Some((name, page)) = pages.next() {
            written.push((name.number, page.to_vec()));
            pages.written(name);
        }
        written
    }

    #[test]
    fn all_that_can_happen_is_read_as_it_was_written() {
        let job = IdSource::from_seed(2).job();
        let (acker, name) = (IdSource::from_seed(5).peer(), root(7).to_string());
        let all = [
            Traced::Read { acker },
            Traced::PlayedAgain {
                before: name.clone(),
                attempt: 2,
                acker,
            },
            Traced::Replaced { by: name },
            Traced::Received,
            Traced::Emitted { to: "next".into() },
            Traced::Written,
            Traced::Filtered,
            Traced::GivenBack {
                reason: "odd".into(),
            },
            Traced::Asked,
            Traced::Completed { written: true },
            Traced::DeadLettered {
                reason: "é".into()
            },
        ];
        let events = all.map(|what| event(job, 9, what));
        let news = events.clone().map(|event| (root(1), event)).to_vec();
        let pages = written(&mut TracePages::default(), news);
        assert_eq!(pages.len(), 1);
        assert_eq!(of_root(&pages[0].1, root(1)), events);
        assert_eq!(of_root(&pages[0].1, root(2)), []);
        assert_eq!(of_root(b"something else", root(1)), []);
    }

    #[test]
    fn a_page_is_written_again_until_it_is_full_and_the_latest_are_kept() {
        let job = IdSource::from_seed(2).job();
        let news = |range: std::ops::Range<usize>| -> Vec<(RootId, TraceEvent)> {
            let event = |n| (root(n as u64), event(job, n as u64, Traced::Asked));
            range.map(event).collect()
        };
        let mut pages = TracePages::default();
        let mut kept = BTreeMap::new();
        let end = EVENTS_MAX * (PAGES as usize + 1) + 10;
        let half = EVENTS_MAX / 2;
        for from in (0..end).step_by(half) {
            kept.extend(written(&mut pages, news(from..end.min(from + half))));
        }
        assert_eq!(kept.len(), PAGES as usize);
        let happened = kept.values().flat_map(|page| {
            let page: Page = from_payload(page).unwrap();
            page.happened
        });
        let mut roots: Vec<usize> = happened.map(|it| it.root as usize).collect();
        roots.sort_unstable();
        // The second of the eight has begun to be filled again.
        assert!(roots.into_iter().eq(2 * EVENTS_MAX..end));
        assert!(written(&mut pages, Vec::new()).is_empty());
        let several = written(&mut pages, news(0..3 * EVENTS_MAX));
        let rows = several.iter().map(|(_, page)| {
            let page: Page = from_payload(page).unwrap();
            page.happened.len()
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [EVENTS_MAX, EVENTS_MAX, EVENTS_MAX, 10]
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let job = IdSource::from_seed(2).job();
        let reason = "é".repeat(5_000);
        let news = vec![(root(1), event(job, 1, Traced::GivenBack { reason }))];
        let pages = written(&mut TracePages::default(), news);
        let Traced::GivenBack { reason } = &of_root(&pages[0].1, root(1))[0].what else {
            panic!("something else happened");
        };
        assert_eq!(reason.chars().count(), REASON_CHARS_MAX + 1);
    }
}
