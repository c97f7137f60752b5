//! How many peers may try to join now. A pure function of the replica, so that no peer writes a
//! `prepare-join-cluster` that is bound to be refused.
//!
//! A joiner takes up at most two of the ring: its observer and, until the observer watches it, that
//! one's watcher. So half as many as are joined can be on their way in at once and none is refused,
//! whichever observers the log picks. One group alone therefore never meets a refusal. Groups that
//! do not know of each other share by the number of groups that are in the cluster; where they meet
//! all the same, one is refused, aborts, and backs off.

use crate::ids::{GroupId, PeerId};
use crate::replica::Membership;
use std::collections::BTreeSet;

/// How many of a group's peers may begin to join now, besides those that have begun, when these of its
/// peers live.
pub fn admitted(membership: &Membership, group: GroupId, living: &[PeerId]) -> usize {
    let at_once = (membership.peers.len() / 2).max(1);
    let joining = membership.prepared.len() + membership.accepted.len();
    let free = at_once.saturating_sub(joining);
    if free == 0 {
        // A process of which nobody lives may try with one all the same: those who keep everybody out
        // may be dead, and then nobody else is there to find that out. They may be its own, too.
        return usize::from(living.is_empty());
    }
    let mut groups: BTreeSet<GroupId> = membership.members.values().map(|m| m.group).collect();
    groups.insert(group);
    let share = (free / groups.len()).max(1);
    let knocking = living
        .iter()
        .filter(|peer| !membership.members.contains_key(peer));
    share.saturating_sub(knocking.count())
}

/// Whether a prepare that is written now could find an observer. Where it could not, those who keep
/// all observers busy may be dead.
pub fn is_open(membership: &Membership) -> bool {
    membership.peers.is_empty() || !membership.candidates().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, me};
    use crate::log::commands::{Command, PrepareJoinCluster};
    use crate::replica::sample::{joined, member, peer};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn mine() -> GroupId {
        member().group
    }

    #[test]
    fn one_founds_the_cluster_and_half_of_it_may_join_at_once() {
        let of = |names: &str| admitted(&joined(names), mine(), &[]);
        let names = ["", "a", "a b", "a b c", "a b c d", "a b c d e f"];
        assert_eq!(names.map(of), [1, 1, 1, 1, 2, 3]);
    }

    #[test]
    fn whoever_has_begun_takes_up_room_once() {
        let mut membership = joined("a b c d e f");
        assert_eq!(admitted(&membership, mine(), &[peer("x")]), 2);
        membership.prepare(peer("a"), peer("x"), member());
        assert_eq!(admitted(&membership, mine(), &[peer("x")]), 2);
        assert_eq!(admitted(&membership, mine(), &[peer("x"), peer("y")]), 1);
    }

    #[test]
    fn groups_share_and_each_may_try_with_one() {
        let other = GroupId(Uuid::from_u128(99));
        assert_eq!(admitted(&joined("a b c d e f g h"), other, &[]), 2);
        assert_eq!(admitted(&joined("a b"), other, &[]), 1);
        assert_eq!(admitted(&joined("a b"), other, &[peer("x")]), 0);
    }

    #[test]
    fn a_process_of_which_nobody_lives_may_always_try_with_one() {
        let mut membership = joined("a");
        membership.prepare(peer("a"), peer("x"), member());
        let newcomer = GroupId(Uuid::from_u128(99));
        assert_eq!(admitted(&membership, newcomer, &[]), 1);
        assert_eq!(admitted(&membership, newcomer, &[peer("y")]), 0);
        assert_eq!(admitted(&membership, mine(), &[peer("a")]), 0);
        // Its own dead may be in its way.
        assert_eq!(admitted(&membership, mine(), &[]), 1);
    }

    #[test]
    fn a_ring_whose_observers_are_all_busy_is_not_open() {
        let mut membership = joined("a b");
        assert!(is_open(&membership) && is_open(&joined("")));
        membership.prepare(peer("a"), peer("x"), member());
        assert!(!is_open(&membership));
    }

    proptest! {
        /// Whichever observers the log picks, and however far each join is: whoever is admitted is
        /// not refused.
        #[test]
        fn a_group_alone_is_never_refused(
            size in 1_usize..12,
            start in 0_u64..1_000,
            accepted in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let names: Vec<String> = (0..size).map(|n| format!("p{n:02}")).collect();
            let mut cluster = Cluster::of(&names.join(" ")).at(start);
            let living: Vec<PeerId> = names.iter().map(|name| peer(name)).collect();
            let mut begun = 0;
            while admitted(&cluster.replica.membership, mine(), &living) > 0 {
                let joiner = me(&format!("x{begun:02}"));
                let prepare = PrepareJoinCluster { joiner: joiner.me, member: joiner.member };
                let step = cluster.run(Command::PrepareJoinCluster(prepare));
                prop_assert_eq!(step.ignored, None);
                let observer = cluster.replica.membership.observer_of(joiner.me);
                if accepted[begun] {
                    cluster.membership().promote(observer.expect("it joins"), joiner.me);
                }
                begun += 1;
            }
            prop_assert_eq!(begun, (size / 2).max(1));
        }
    }
}
