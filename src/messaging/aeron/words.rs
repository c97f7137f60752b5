//! What is to be said to other processes about links, in order, until there is a way to them.

use super::site::AeronSite;
use crate::messaging::{Control, LinkId};
use std::collections::{BTreeMap, VecDeque};

/// Words for each site. A site that cannot be reached is lost after a while, with its words; until
/// then there are a few for each link.
#[derive(Debug, Default)]
pub(super) struct Words {
    sites: BTreeMap<AeronSite, VecDeque<Word>>,
}

/// A word, and what its receiver calls the link.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) link: LinkId,
    pub(super) control: Control,
}

impl Words {
    pub(super) fn say(&mut self, site: AeronSite, link: LinkId, control: Control) {
        let words = self.sites.entry(site).or_default();
        words.push_back(Word { link, control });
    }

    /// Whether words to a site wait, since there is no way to it now.
    pub(super) fn wait_for(&self, site: AeronSite) -> bool {
        self.sites.get(&site).is_some_and(|words| !words.is_empty())
    }

    /// The sites to which there is something to say.
    pub(super) fn waiting(&mut self) -> impl Iterator<Item = (AeronSite, &mut VecDeque<Word>)> {
        let sites = self.sites.iter_mut();
        sites
            .filter(|(_, words)| !words.is_empty())
            .map(|(site, words)| (*site, words))
    }

    /// Takes all that is to be said, whoever it is for.
    #[cfg(test)]
    pub(super) fn take(&mut self) -> Vec<Word> {
        let sites = std::mem::take(&mut self.sites);
        sites.into_values().flatten().collect()
    }

    /// Nobody is there any more.
    pub(super) fn forget(&mut self, site: AeronSite) {
        self.sites.remove(&site);
    }
}
