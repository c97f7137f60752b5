//! Changes and questions of membership: the ring of watches, and who is on the way in.

use super::{Member, Membership};
use crate::ids::PeerId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Membership {
    /// Whether the peer is a full member.
    pub fn is_joined(&self, peer: PeerId) -> bool {
        self.members.contains_key(&peer) && !self.is_joining(peer)
    }

    /// Whether the peer is prepared or accepted.
    pub fn is_joining(&self, peer: PeerId) -> bool {
        self.observer_of(peer).is_some()
    }

    /// The joined peer through which a joiner joins.
    pub fn observer_of(&self, joiner: PeerId) -> Option<PeerId> {
        let behind = |pairs: &BTreeMap<PeerId, PeerId>| {
            let pair = pairs.iter().find(|(_, behind)| **behind == joiner);
            pair.map(|(observer, _)| *observer)
        };
        behind(&self.prepared).or_else(|| behind(&self.accepted))
    }

    /// The peer that watches a joined peer; none when it is alone.
    pub fn watcher_of(&self, watched: PeerId) -> Option<PeerId> {
        let pair = self.pairs.iter().find(|(_, target)| **target == watched);
        pair.map(|(watcher, _)| *watcher)
    }

    /// Joined peers that cannot take a joiner now: busy observers, and the watchers of prepared
    /// ones, whose watch is about to be taken over.
    pub fn disallowed(&self) -> BTreeSet<PeerId> {
        let busy = self.prepared.keys().chain(self.accepted.keys()).copied();
        let mut disallowed: BTreeSet<PeerId> = busy.collect();
        // Mostly nobody is, and the ring need not be walked.
        if !self.prepared.is_empty() {
            let watches = self.pairs.iter();
            let watchers = watches.filter(|(_, watched)| self.prepared.contains_key(watched));
            disallowed.extend(watchers.map(|(watcher, _)| *watcher));
        }
        disallowed
    }

    /// Joined peers that can take a joiner now, in the order in which they joined.
    pub fn candidates(&self) -> Vec<PeerId> {
        let disallowed = self.disallowed();
        let mut candidates = self.peers.clone();
        if !disallowed.is_empty() {
            candidates.retain(|peer| !disallowed.contains(peer));
        }
        candidates
    }

    /// The first peer joins an empty cluster without anybody's help.
    pub(crate) fn found(&mut self, peer: PeerId, member: Member) {
        self.peers.push(peer);
        self.members.insert(peer, member);
    }

    /// The member with the words and tags of another that has the same ones: a thousand peers of one
    /// kind hold them once, and are told to be of one kind without comparing them.
    fn sharing(&self, observer: PeerId, mut member: Member) -> Member {
        let of_group = self.members.values().find(|it| it.group == member.group);
        let known = of_group.into_iter().chain(self.members.get(&observer));
        for other in known {
            if other.words == member.words {
                member.words = Arc::clone(&other.words);
            }
            if other.tags == member.tags {
                member.tags = Arc::clone(&other.tags);
            }
        }
        member
    }

    /// First phase: the observer is to watch the joiner.
    pub(crate) fn prepare(&mut self, observer: PeerId, joiner: PeerId, member: Member) {
        self.prepared.insert(observer, joiner);
        let member = self.sharing(observer, member);
        self.members.insert(joiner, member);
    }

    /// Second phase: the observer watches, the joiner is to watch on.
    pub(crate) fn promote(&mut self, observer: PeerId, joiner: PeerId) {
        self.prepared.remove(&observer);
        self.accepted.insert(observer, joiner);
    }

    /// Third phase: the joiner stands between the observer and the peer it watched.
    pub(crate) fn stitch(&mut self, observer: PeerId, joiner: PeerId) {
        self.accepted.remove(&observer);
        let watched = self.pairs.insert(observer, joiner).unwrap_or(observer);
        self.pairs.insert(joiner, watched);
        self.peers.push(joiner);
    }

    /// Forgets a join that is under way.
    pub(crate) fn forget_joiner(&mut self, joiner: PeerId) {
        self.prepared.retain(|_, behind| *behind != joiner);
        self.accepted.retain(|_, behind| *behind != joiner);
        self.members.remove(&joiner);
    }

    /// Removes a peer, joined or joining, with the join that went through it; its watcher takes
    /// over the peer it watched.
    pub(crate) fn remove(&mut self, peer: PeerId) {
        let behind = [self.prepared.get(&peer), self.accepted.get(&peer)];
        let stranded: Vec<PeerId> = behind.into_iter().flatten().copied().collect();
        for joiner in stranded {
            self.forget_joiner(joiner);
        }
        self.forget_joiner(peer);
        self.peers.retain(|joined| *joined != peer);
        let watcher = self.watcher_of(peer);
        let watched = self.pairs.remove(&peer);
        match (watcher, watched) {
            (Some(watcher), Some(watched)) if watcher != watched => {
                self.pairs.insert(watcher, watched);
            }
            (Some(watcher), _) => {
                self.pairs.remove(&watcher);
            }
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::replica::sample::{joined, knowing, member, peer};
    use std::sync::Arc;

    #[test]
    fn the_watcher_inherits_the_watched() {
        let mut membership = joined("a b c");
        membership.remove(peer("b"));
        assert_eq!(membership.pairs, joined("a c").pairs);
    }

    #[test]
    fn a_ring_of_two_opens_when_one_goes() {
        let mut membership = joined("a b");
        membership.remove(peer("b"));
        assert!(membership.pairs.is_empty());
        assert_eq!(membership.peers, [peer("a")]);
    }

    #[test]
    fn a_joiner_goes_with_its_observer() {
        let mut membership = joined("a b");
        membership.prepare(peer("b"), peer("c"), member());
        membership.remove(peer("b"));
        assert!(!membership.members.contains_key(&peer("c")));
        assert!(membership.prepared.is_empty());
    }

    #[test]
    fn members_hold_together_what_they_have_in_common_and_nothing_else() {
        let mut membership = joined("a b c");
        membership.found(peer("a"), knowing("fn:x fn:y #fast"));
        let mut join = |observer, joiner, words| {
            membership.prepare(peer(observer), peer(joiner), knowing(words));
            let [known, new] = ["a", joiner].map(|name| &membership.members[&peer(name)]);
            let words_are_one = Arc::ptr_eq(&known.words, &new.words);
            let tags_are_one = Arc::ptr_eq(&known.tags, &new.tags);
            assert_eq!(new, &knowing(words));
            (words_are_one, tags_are_one)
        };
        assert_eq!(join("a", "d", "fn:x fn:y #fast"), (true, true));
        assert_eq!(join("b", "e", "fn:x fn:y #slow"), (true, false));
        assert_eq!(join("c", "f", "fn:x #fast"), (false, true));
    }

    #[test]
    fn other_joins_go_on_when_one_is_given_up() {
        let mut membership = joined("a b c d");
        for (observer, joiner) in [("a", "e"), ("b", "f"), ("c", "g"), ("d", "h")] {
            membership.prepare(peer(observer), peer(joiner), member());
        }
        membership.promote(peer("c"), peer("g"));
        membership.promote(peer("d"), peer("h"));
        membership.forget_joiner(peer("e"));
        membership.forget_joiner(peer("g"));
        assert_eq!(membership.prepared, [(peer("b"), peer("f"))].into());
        assert_eq!(membership.accepted, [(peer("d"), peer("h"))].into());
        let known = |name| membership.members.contains_key(&peer(name));
        assert_eq!(["e", "f", "g", "h"].map(known), [false, true, false, true]);
    }

    #[test]
    fn busy_observers_and_watchers_of_prepared_ones_take_nobody() {
        let mut membership = joined("a b c");
        membership.prepare(peer("b"), peer("d"), member());
        assert_eq!(membership.candidates(), [peer("c")]);
        membership.promote(peer("b"), peer("d"));
        assert_eq!(membership.candidates(), [peer("a"), peer("c")]);
    }
}
