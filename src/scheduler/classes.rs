//! Peers that can do the same are one class: those that know the words and have the tags of the
//! same tasks. Where jobs are kept together at a site, peers of a class are at the same site too.

use super::reach::Crew;
use super::roster::RosterTask;
use crate::replica::{Member, Site, TaskRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The classes of a crew.
#[derive(Debug)]
pub(super) struct Classes {
    /// How many peers each class has.
    pub(super) sizes: Vec<usize>,
    /// The class of each peer, in the order of the crew.
    pub(super) of_peers: Vec<usize>,
    /// Which tasks each class can do.
    abilities: Vec<usize>,
    /// The tasks that each kind of peer can do.
    kinds: Vec<Vec<bool>>,
    /// All classes, those that can do little first.
    by_breadth: Vec<usize>,
    /// The site of each class, when sites matter.
    sites: Vec<usize>,
    /// How many peers each site has.
    site_sizes: Vec<usize>,
}

/// What makes peers different besides what they can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    Anywhere,
    OfSites,
}

/// Whether a peer knows the words of a task and has its tags.
pub(super) fn can_do(member: &Member, task: &TaskRecord) -> bool {
    let knows = |words: &BTreeSet<String>, all| words.is_empty() || words.is_subset(all);
    knows(&task.words, &member.words) && knows(&task.required_tags, &member.tags)
}

impl Classes {
    pub(super) fn of(crew: &Crew<'_>, tasks: &[RosterTask<'_>], kinds: Kinds) -> Self {
        let mut classes = Classes {
            sizes: Vec::new(),
            of_peers: Vec::with_capacity(crew.peers.len()),
            abilities: Vec::new(),
            kinds: Vec::new(),
            by_breadth: Vec::new(),
            sites: Vec::new(),
            site_sizes: Vec::new(),
        };
        let mut known = Known::default();
        let mut sites: BTreeMap<&Site, usize> = BTreeMap::new();
        let mut of_kind_and_site: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        // Most peers are of the class of the one before.
        let mut last: Option<((usize, usize), usize)> = None;
        for (_, member) in &crew.peers {
            let kind = known.kind(member, tasks, &mut classes.kinds);
            let site = match kinds {
                Kinds::Anywhere => 0,
                Kinds::OfSites => {
                    let next = sites.len();
                    *sites.entry(&member.site).or_insert(next)
                }
            };
            let class = match last {
                Some((known, class)) if known == (kind, site) => class,
                _ => *of_kind_and_site.entry((kind, site)).or_insert_with(|| {
                    classes.sizes.push(0);
                    classes.abilities.push(kind);
                    classes.sites.push(site);
                    classes.sizes.len() - 1
                }),
            };
            last = Some(((kind, site), class));
            classes.sizes[class] += 1;
            classes.of_peers.push(class);
        }
        classes.site_sizes = vec![0; sites.len()];
        if kinds == Kinds::OfSites {
            for (site, size) in classes.sites.iter().zip(&classes.sizes) {
                classes.site_sizes[*site] += size;
            }
        }
        let breadth = |kind: &Vec<bool>| kind.iter().filter(|able| **able).count();
        let breadths: Vec<usize> = classes.kinds.iter().map(breadth).collect();
        classes.by_breadth = (0..classes.sizes.len()).collect();
        classes
            .by_breadth
            .sort_by_key(|class| breadths[classes.abilities[*class]]);
        classes
    }

    /// The classes that can do a task, at a site or anywhere, those that can do little else first.
    pub(super) fn able(
        &self,
        task: usize,
        site: Option<usize>,
    ) -> impl Iterator<Item = usize> + use<'_> {
        let classes = self.by_breadth.iter().copied();
        let here = classes.filter(move |class| site.is_none_or(|site| self.sites[*class] == site));
        here.filter(move |class| self.kinds[self.abilities[*class]][task])
    }

    /// The sites with at least so many peers.
    pub(super) fn sites_of(&self, size: usize) -> impl Iterator<Item = usize> {
        let sites = self.site_sizes.iter().enumerate();
        sites
            .filter(move |(_, peers)| **peers >= size)
            .map(|(site, _)| site)
    }
}

/// Kinds of peers that were met before. Sets are compared once for each that is not shared.
#[derive(Default)]
struct Known<'a> {
    /// By where words and tags are in memory: only looked up, never walked through.
    by_address: BTreeMap<(usize, usize), usize>,
    by_content: BTreeMap<(&'a BTreeSet<String>, &'a BTreeSet<String>), usize>,
    by_ability: BTreeMap<Vec<bool>, usize>,
    /// What the peer before was: peers of a process stand close to each other in no order, but
    /// most clusters have one kind of them only.
    last: Option<((usize, usize), usize)>,
}

impl<'a> Known<'a> {
    fn kind(
        &mut self,
        member: &'a Member,
        tasks: &[RosterTask<'_>],
        kinds: &mut Vec<Vec<bool>>,
    ) -> usize {
        let address = (
            Arc::as_ptr(&member.words).addr(),
            Arc::as_ptr(&member.tags).addr(),
        );
        if let Some((last, kind)) = self.last
            && last == address
        {
            return kind;
        }
        let kind = match self.by_address.get(&address) {
            Some(kind) => *kind,
            None => self.compare(member, tasks, kinds),
        };
        self.by_address.insert(address, kind);
        self.last = Some((address, kind));
        kind
    }

    fn compare(
        &mut self,
        member: &'a Member,
        tasks: &[RosterTask<'_>],
        kinds: &mut Vec<Vec<bool>>,
    ) -> usize {
        let content = (member.words.as_ref(), member.tags.as_ref());
        if let Some(kind) = self.by_content.get(&content) {
            return *kind;
        }
        let ability = tasks.iter().map(|task| can_do(member, task.record));
        let ability: Vec<bool> = ability.collect();
        let kind = *self.by_ability.entry(ability.clone()).or_insert_with(|| {
            kinds.push(ability);
            kinds.len() - 1
        });
        self.by_content.insert(content, kind);
        kind
    }
}
