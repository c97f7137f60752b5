//! Which peers of a job keep the ledgers of its segments.

use crate::ids::{PeerId, TaskName};
use crate::replica::{JobRecord, Membership, Site, Slots};
use std::collections::{BTreeMap, BTreeSet};

/// The ackers of a job with these slots, sorted; none when each source is its own.
///
/// They are the percentage of all peers of the job, rounded up, taken by id from those whose tasks
/// are not exempt; peers that share a site with an exempt task come last. When every task is
/// exempt there are none, and each source is its own acker again.
pub(super) fn choose_ackers(
    membership: &Membership,
    record: &JobRecord,
    tasks: &BTreeMap<TaskName, Slots>,
) -> Vec<PeerId> {
    let Some(percentage) = record.ackers.percentage else {
        return Vec::new();
    };
    let site = |peer: &PeerId| membership.members.get(peer).map(|member| &member.site);
    let mut spared: BTreeSet<&Site> = BTreeSet::new();
    let mut eligible = Vec::new();
    for task in &record.tasks {
        let peers = tasks.get(&task.name).into_iter().flat_map(Slots::values);
        match record.ackers.spares(task) {
            true => spared.extend(peers.filter_map(site)),
            false => eligible.extend(peers.copied()),
        }
    }
    let count = tasks.values().map(Slots::len).sum();
    let beside_exempt = |peer: &PeerId| site(peer).is_some_and(|site| spared.contains(site));
    eligible.sort_unstable_by_key(|peer| (beside_exempt(peer), *peer));
    eligible.truncate(percentage.of_rounded_up(count));
    eligible.sort_unstable();
    eligible
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SlotId;
    use crate::job::percent::Percent;
    use crate::replica::sample::{joined, peer, record};

    fn ackers(percent: u32, change: impl FnOnce(&mut JobRecord), sites: &[&str]) -> String {
        let names = "a b c d e";
        let mut membership = joined(names);
        for (name, site) in names.split(' ').zip(sites) {
            let member = membership.members.get_mut(&peer(name)).unwrap();
            member.site = Site((*site).into());
        }
        let mut record = record("in:i>f f:f>out out:o");
        record.ackers.percentage = Percent::whole(percent);
        change(&mut record);
        let slots = |names: &str| {
            let peers = names.split(' ').map(peer);
            (0..).map(SlotId).zip(peers).collect()
        };
        let tasks = [("in", "a"), ("f", "b c"), ("out", "d e")];
        let tasks = tasks.map(|(task, names)| (task.into(), slots(names)));
        let chosen = choose_ackers(&membership, &record, &tasks.into());
        let names = names.split(' ').filter(|name| chosen.contains(&peer(name)));
        names.collect::<Vec<_>>().join(" ")
    }

    const ONE_SITE: [&str; 5] = ["s"; 5];

    #[test]
    fn a_percentage_of_all_peers_is_rounded_up() {
        assert_eq!(ackers(1, |_| {}, &ONE_SITE), "a");
        assert_eq!(ackers(20, |_| {}, &ONE_SITE), "a");
        assert_eq!(ackers(21, |_| {}, &ONE_SITE), "a b");
        assert_eq!(ackers(100, |_| {}, &ONE_SITE), "a b c d e");
        assert_eq!(ackers(0, |_| {}, &ONE_SITE), "");
        let none = |record: &mut JobRecord| record.ackers.percentage = None;
        assert_eq!(ackers(50, none, &ONE_SITE), "");
    }

    #[test]
    fn exempt_tasks_are_spared() {
        let inputs = |record: &mut JobRecord| record.ackers.exempt_inputs = true;
        assert_eq!(ackers(40, inputs, &ONE_SITE), "b c");
        let outputs = |record: &mut JobRecord| record.ackers.exempt_outputs = true;
        assert_eq!(ackers(100, outputs, &ONE_SITE), "a b c");
        let task = |record: &mut JobRecord| {
            record.ackers.exempt_tasks.insert("f".into());
        };
        assert_eq!(ackers(40, task, &ONE_SITE), "a d");
        let all = |record: &mut JobRecord| {
            record.ackers.exempt_tasks = ["in", "f", "out"].map(Into::into).into();
        };
        assert_eq!(ackers(40, all, &ONE_SITE), "");
    }

    #[test]
    fn who_shares_a_site_with_an_exempt_task_comes_last() {
        let inputs = |record: &mut JobRecord| record.ackers.exempt_inputs = true;
        let sites = ["s", "s", "t", "t", "s"];
        assert_eq!(ackers(20, inputs, &sites), "c");
        assert_eq!(ackers(60, inputs, &sites), "b c d");
    }
}
