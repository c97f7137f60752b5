//! The scheduler by example.

use super::Explanation;
use crate::config::{JobScheduler, Transport};
use crate::ids::{GroupId, LogPosition, SlotId};
use crate::job::percent::Percent;
use crate::job::{AckerRule, TaskScheduler};
use crate::replica::sample::{job_id, joined, knowing, peer, record};
use crate::replica::{Agreed, JobRecord, JobState, Progress, Replica, Site};
use crate::scheduler::{explain, reallocate};
use std::sync::Arc;
use uuid::Uuid;

fn cluster(names: &str, jobs: &[&str]) -> Replica {
    let records = jobs.iter().map(|tasks| record(tasks)).collect();
    scheduled(names, JobScheduler::Balanced, records)
}

/// Peers and jobs, everything shared at once.
fn scheduled(names: &str, job_scheduler: JobScheduler, jobs: Vec<JobRecord>) -> Replica {
    let mut replica = Replica {
        agreed: Agreed {
            job_scheduler,
            ..Agreed::default()
        },
        membership: Arc::new(joined(names)),
        ..Replica::default()
    };
    for (number, job) in jobs.into_iter().enumerate() {
        Arc::make_mut(&mut replica.jobs).submit(job_id(number as u32), job);
    }
    reallocate(&replica, LogPosition(0))
}

/// So many peers, named by letters.
fn names(count: usize) -> String {
    let letters = ('a'..).take(count).map(String::from);
    letters.collect::<Vec<_>>().join(" ")
}

fn peers_of_jobs(replica: &Replica) -> Vec<usize> {
    let jobs = 0..replica.jobs.live.len();
    jobs.map(|job| replica.peer_count(job_id(job as u32)))
        .collect()
}

fn peers_of_tasks(replica: &Replica, job: u32) -> Vec<usize> {
    let counts = replica.task_counts(job_id(job));
    let record = replica.record(job_id(job)).unwrap();
    let tasks = record.tasks.iter();
    tasks
        .map(|task| counts.get(&task.name).copied().unwrap_or(0))
        .collect()
}

fn by_percent(tasks: &str, percent: u32) -> JobRecord {
    JobRecord {
        percentage: Percent::whole(percent),
        ..record(tasks)
    }
}

fn with_tasks(tasks: &str, task_scheduler: TaskScheduler) -> JobRecord {
    JobRecord {
        task_scheduler,
        ..record(tasks)
    }
}

/// Puts peers into processes and at sites of these names, which are as many as peers.
fn settle(replica: &mut Replica, places: &str) {
    let membership = Arc::make_mut(&mut replica.membership);
    let peers = membership.peers.clone();
    for (peer, place) in peers.iter().zip(places.split_whitespace()) {
        let member = membership.members.get_mut(peer).unwrap();
        member.site = Site(place.into());
        member.group = GroupId(Uuid::from_u128(u128::from(place.as_bytes()[0])));
    }
}

#[test]
fn spare_peers_go_to_the_smallest_job_and_there_to_the_smallest_task() {
    let replica = cluster(
        "a b c d e f g",
        &["in:i>out:1-1 out:o:1-2", "in:i>out out:o"],
    );
    assert_eq!(replica.peer_count(job_id(0)), 3);
    let counts = [("in".into(), 2), ("out".into(), 2)];
    assert_eq!(replica.task_counts(job_id(1)), counts.into());
}

#[test]
fn a_peer_that_is_needed_elsewhere_for_its_words_is_exchanged() {
    let mut replica = cluster("a b", &["in:i>out:1-1 out:o:1-1!fn:x"]);
    assert_eq!(replica.peer_count(job_id(0)), 0);
    let membership = Arc::make_mut(&mut replica.membership);
    membership.members.insert(peer("a"), knowing("fn:x"));
    let replica = reallocate(&replica, LogPosition(1));
    let holder = replica.allocations[&job_id(0)].holder(&"out".into(), SlotId(0));
    assert_eq!(holder, Some(peer("a")));
}

#[test]
fn nothing_runs_in_an_empty_cluster() {
    let replica = cluster("", &["in:i>out out:o"]);
    assert!(replica.allocations.is_empty());
    let explanation = explain(&replica, job_id(0));
    assert_eq!(
        explanation.to_string(),
        "waits: needs 2 peers, 0 are joined"
    );
}

#[test]
fn impossible_minima_cost_nothing() {
    let replica = cluster("a b", &["in:i>out:4294967295- out:o:4294967295-"]);
    assert!(replica.allocations.is_empty());
}

#[test]
fn whoever_lacks_able_peers_is_told_where() {
    let mut replica = cluster("a b c", &["in:i>out out:o:2-!fn:x"]);
    Arc::make_mut(&mut replica.membership)
        .members
        .insert(peer("a"), knowing("fn:x"));
    assert_eq!(
        explain(&replica, job_id(0)).to_string(),
        "waits: task out needs 2 peers that know its words, 1 is joined"
    );
}

#[test]
fn a_lack_of_able_peers_is_told_before_a_lack_of_sites() {
    let lacking = "in:i>out out:o:2-!fn:x";
    let expected = "waits: task out needs 2 peers that know its words, 1 is joined";
    let colocated = JobRecord {
        task_scheduler: TaskScheduler::Colocated,
        ..record(lacking)
    };
    for job in [colocated, record(lacking)] {
        let mut replica = scheduled("a b c d", JobScheduler::Greedy, vec![job]);
        let membership = Arc::make_mut(&mut replica.membership);
        membership.members.insert(peer("a"), knowing("fn:x"));
        assert_eq!(explain(&replica, job_id(0)).to_string(), expected);
        let membership = Arc::make_mut(&mut replica.membership);
        for name in ["a", "b", "c", "d"] {
            membership.members.get_mut(&peer(name)).unwrap().site = Site(name.into());
        }
        assert_eq!(explain(&replica, job_id(0)).to_string(), expected);
    }
}

#[test]
fn greedy_gives_the_earliest_all_it_can_use_and_the_rest_flows_down() {
    let jobs = || {
        let small = "in:i>out:1-1 out:o:1-2";
        vec![
            record(small),
            record("in:i>out:3-3 out:o:3-3"),
            record("in:i>out out:o"),
        ]
    };
    let greedy = |count| scheduled(&names(count), JobScheduler::Greedy, jobs());
    assert_eq!(peers_of_jobs(&greedy(4)), [3, 0, 0]);
    assert_eq!(peers_of_jobs(&greedy(6)), [3, 0, 3]);
    assert_eq!(peers_of_jobs(&greedy(12)), [3, 6, 3]);
    let waiting = explain(&greedy(4), job_id(2)).to_string();
    assert_eq!(
        waiting,
        "waits: needs 2 peers, 1 is free: 3 serve job sample"
    );
}

#[test]
fn percentages_are_shared_by_largest_remainder_after_everybody_is_covered() {
    let open = "in:i>out out:o";
    let share = |count: usize, percents: &[u32]| {
        let jobs = percents.iter().map(|percent| by_percent(open, *percent));
        peers_of_jobs(&scheduled(
            &names(count),
            JobScheduler::Percentage,
            jobs.collect(),
        ))
    };
    assert_eq!(share(20, &[70, 20, 10]), [14, 4, 2]);
    assert_eq!(share(23, &[70, 20, 10]), [16, 5, 2]);
    assert_eq!(share(10, &[97, 2, 1]), [6, 2, 2]);
    assert_eq!(share(20, &[50, 30]), [10, 6]);
    let saturated = vec![
        by_percent("in:i>out:1-1 out:o:1-1", 50),
        by_percent(open, 50),
    ];
    let replica = scheduled(&names(10), JobScheduler::Percentage, saturated);
    assert_eq!(peers_of_jobs(&replica), [2, 8]);
}

#[test]
fn tasks_are_shared_by_percentage_within_their_bounds() {
    let share = |tasks: &str, count: usize| {
        let jobs = vec![with_tasks(tasks, TaskScheduler::Percentage)];
        peers_of_tasks(&scheduled(&names(count), JobScheduler::Balanced, jobs), 0)
    };
    assert_eq!(share("in:i>f!%20 f:f>out!%30 out:o!%50", 10), [2, 3, 5]);
    assert_eq!(share("in:i>f!%20 f:f>out!%30 out:o!%50", 20), [4, 6, 10]);
    assert_eq!(share("in:i>f:1-1!%20 f:f>out!%30 out:o!%50", 11), [1, 4, 6]);
    assert_eq!(share("in:i>f:3-!%1 f:f>out!%1 out:o!%98", 10), [3, 1, 6]);
}

#[test]
fn a_colocated_job_gets_whole_copies_of_what_fits_on_each_site() {
    let copies = |tasks: &str, places: &str| {
        let count = places.split_whitespace().count();
        let job = vec![with_tasks(tasks, TaskScheduler::Colocated)];
        let mut replica = scheduled(&names(count), JobScheduler::Balanced, job);
        replica.allocations = Arc::default();
        settle(&mut replica, places);
        peers_of_tasks(&reallocate(&replica, LogPosition(1)), 0)
    };
    let chain = "in:i>f f:f>out out:o";
    assert_eq!(copies(chain, "x x x x x y y y y z z"), [2, 2, 2]);
    assert_eq!(copies(chain, "x x x x x x x y y y"), [3, 3, 3]);
    assert_eq!(copies(chain, "x x y y z z"), [0, 0, 0]);
    assert_eq!(copies("in:i>f:1-1 f:f>out out:o", "x x x y y y"), [1, 1, 1]);
    assert_eq!(copies("in:i>f:2- f:f>out out:o", "x x x y y"), [0, 0, 0]);
}

#[test]
fn a_colocated_job_that_has_read_its_inputs_and_lost_its_peers_gets_whole_copies_again() {
    let job = with_tasks("in:i>f f:f>out:2- out:o", TaskScheduler::Colocated);
    let mut replica = scheduled(&names(7), JobScheduler::Balanced, vec![job]);
    assert_eq!(peers_of_tasks(&replica, 0), [2, 2, 2]);
    let mut progress = Progress::default();
    progress.exhausted_tasks.insert("in".into());
    Arc::make_mut(&mut replica.progress).insert(job_id(0), Arc::new(progress));
    replica.allocations = Arc::default();
    let replica = reallocate(&replica, LogPosition(1));
    assert_eq!(peers_of_tasks(&replica, 0), [2, 2, 2]);
}

#[test]
fn a_colocated_job_keeps_within_its_share_and_its_sites() {
    let chain = "in:i>f f:f>out out:o";
    let jobs = vec![with_tasks(chain, TaskScheduler::Colocated), record(chain)];
    let mut replica = scheduled(&names(12), JobScheduler::Balanced, jobs);
    assert_eq!(peers_of_jobs(&replica), [6, 6]);
    settle(&mut replica, "x x x x x x y y y y y y");
    replica.allocations = Arc::default();
    let replica = reallocate(&replica, LogPosition(1));
    assert_eq!(peers_of_jobs(&replica), [6, 6]);
    let mut grown = replica.clone();
    Arc::make_mut(&mut grown.membership).found(peer("z"), knowing(""));
    let grown = reallocate(&grown, LogPosition(2));
    assert_eq!(
        grown.allocations[&job_id(0)],
        replica.allocations[&job_id(0)]
    );
}

#[test]
fn tasks_go_where_their_tags_are() {
    let mut replica = cluster("a b c", &["in:i>out out:o!#gpu"]);
    let waiting = explain(&replica, job_id(0)).to_string();
    assert_eq!(
        waiting,
        "waits: task out needs the tag gpu, which no peer has"
    );
    let membership = Arc::make_mut(&mut replica.membership);
    membership.members.insert(peer("b"), knowing("#gpu #ssd"));
    let replica = reallocate(&replica, LogPosition(1));
    let holder = replica.allocations[&job_id(0)].holder(&"out".into(), SlotId(0));
    assert_eq!(holder, Some(peer("b")));
    let replica = cluster("a b", &["in:i>out out:o:2-!#gpu!fn:x"]);
    let waiting = explain(&replica, job_id(0)).to_string();
    assert_eq!(
        waiting,
        "waits: task out needs fn:x, which no peer knows; task out needs the tag gpu, which no \
         peer has"
    );
}

/// Peers in processes, where segments do not leave them.
fn in_processes(places: &str, jobs: &[&str]) -> Replica {
    let count = places.split_whitespace().count();
    let mut replica = cluster(&names(count), &[]);
    replica.agreed.messaging = Transport::Local;
    settle(&mut replica, places);
    for (number, tasks) in jobs.iter().enumerate() {
        Arc::make_mut(&mut replica.jobs).submit(job_id(number as u32), record(tasks));
    }
    reallocate(&replica, LogPosition(0))
}

fn processes(replica: &Replica, job: u32) -> String {
    let allocation = &replica.allocations.get(&job_id(job));
    let peers = allocation.iter().flat_map(|allocation| allocation.peers());
    let site = |peer| replica.membership.members[&peer].site.0.clone();
    let mut sites: Vec<String> = peers.map(site).collect();
    sites.sort();
    sites.join("")
}

#[test]
fn a_job_stays_in_one_process_and_waiting_ones_are_offered_to_the_first_that_joined() {
    let three = "in:i>f:1-1 f:f>out:1-1 out:o:1-1";
    let replica = in_processes("y x x x y y", &[three, three, three]);
    assert_eq!(processes(&replica, 0), "yyy");
    assert_eq!(processes(&replica, 1), "xxx");
    assert_eq!(processes(&replica, 2), "");
    assert_eq!(
        explain(&replica, job_id(2)).to_string(),
        "waits: needs 3 peers, 0 are free: 3 serve job sample, 3 serve job sample"
    );
}

#[test]
fn where_a_job_stays_in_one_process_what_is_free_elsewhere_is_told_and_does_not_help() {
    let two = "in:i>out:1-1 out:o:1-1";
    let replica = in_processes("y y y x x x", &[two, two, two]);
    assert_eq!(
        explain(&replica, job_id(2)).to_string(),
        "waits: needs 2 peers in one process, at most 1 is available in one, 2 are free in all: 2 \
         serve job sample, 2 serve job sample"
    );
}

#[test]
fn a_waiting_job_is_explained_with_the_peers_that_others_have_and_can_spare() {
    let three = "in:i>f:1-1 f:f>out out:o:1-1";
    let jobs = || vec![record(three), record(three), record(three)];
    let replica = scheduled(&names(8), JobScheduler::Balanced, jobs());
    assert_eq!(peers_of_jobs(&replica), [4, 4, 0]);
    assert_eq!(
        explain(&replica, job_id(2)).to_string(),
        "waits: needs 3 peers, 0 are free and 2 are to spare: 4 serve job sample, which needs 3, 4 \
         serve job sample, which needs 3"
    );
    let one = "in:i>out:1-1 out:o:1-2";
    let replica = in_processes("y y y x x x", &[one, one, one]);
    assert_eq!(
        explain(&replica, job_id(2)).to_string(),
        "waits: needs 2 peers in one process, at most 1 is available in one, 0 are free and 2 are to \
         spare in all: 3 serve job sample, which needs 2, 3 serve job sample, which needs 2"
    );
}

#[test]
fn a_job_moves_as_a_whole_when_its_process_dies() {
    let two = "in:i>out:1-1 out:o:1-2";
    let mut replica = in_processes("x x x y y", &[two]);
    assert_eq!(processes(&replica, 0), "xxx");
    Arc::make_mut(&mut replica.membership).remove(peer("a"));
    let smaller = reallocate(&replica, LogPosition(1));
    assert_eq!(processes(&smaller, 0), "xx");
    Arc::make_mut(&mut replica.membership).remove(peer("b"));
    let moved = reallocate(&replica, LogPosition(1));
    assert_eq!(processes(&moved, 0), "yy");
    let version = moved.allocations[&job_id(0)].last_loss;
    assert_eq!(version, Some(LogPosition(1)));
}

#[test]
fn a_job_that_fits_only_across_processes_is_told_so() {
    let replica = in_processes("x x y y", &["in:i>out:1-1 out:o:2-2"]);
    assert_eq!(replica.job_state(job_id(0)), Some(JobState::Waiting));
    assert_eq!(
        explain(&replica, job_id(0)).to_string(),
        "waits: needs 3 peers in one process, 4 are joined, but the largest process has 2; with \
         messaging.transport = \"local\" a job does not leave its process"
    );
}

#[test]
fn ackers_follow_the_peers_of_the_job() {
    let mut job = record("in:i>out:1-1 out:o:1-3");
    job.ackers = AckerRule {
        percentage: Percent::whole(50),
        exempt_inputs: true,
        ..AckerRule::default()
    };
    let mut replica = scheduled("a b c d", JobScheduler::Balanced, vec![job]);
    let ackers = |replica: &Replica| replica.allocations[&job_id(0)].ackers.clone();
    assert_eq!(ackers(&replica), ["b", "c"].map(peer));
    Arc::make_mut(&mut replica.membership).remove(peer("b"));
    let replica = reallocate(&replica, LogPosition(1));
    assert_eq!(ackers(&replica), ["c", "d"].map(peer));
}

#[test]
fn a_job_says_what_it_has_beyond_its_share() {
    let percent = |percent: u32, tasks: &str| JobRecord {
        percentage: Percent::whole(percent),
        ..record(tasks)
    };
    let shared = |jobs: Vec<JobRecord>| scheduled(&names(10), JobScheduler::Percentage, jobs);
    let shares = |replica: &Replica| {
        let jobs = 0..replica.jobs.live.len();
        let told = jobs.map(|job| match explain(replica, job_id(job as u32)) {
            Explanation::Allocated(shares) => format!("{}: {}", shares.peers, shares.share),
            other => other.to_string(),
        });
        told.collect::<Vec<_>>().join("\n")
    };
    let chain = "in:i>f f:f>out out:o";
    insta::assert_snapshot!(shares(&shared(vec![percent(30, chain)])), @"3: 30 % of 10 peers");
    insta::assert_snapshot!(shares(&shared(vec![percent(10, chain)])), @"3: its minimum, which is more than 10 % of 10 peers");
    let both = vec![percent(80, chain), percent(80, chain)];
    insta::assert_snapshot!(shares(&shared(both)), @"
    5: 80 % of 10 peers in proportion to the 160 % that all jobs ask for
    5: 80 % of 10 peers in proportion to the 160 % that all jobs ask for
    ");
    let few = vec![percent(70, "in:i>out:1-1 out:o:1-2"), percent(30, chain)];
    insta::assert_snapshot!(shares(&shared(few)), @"
    3: all that it can use
    7: 30 % of 10 peers, and 4 that the others cannot use
    ");
    let few = ["in:i>out:1-1 out:o:1-2", chain];
    insta::assert_snapshot!(shares(&cluster(&names(12), &few)), @"
    3: all that it can use
    9: an even share of 12 peers for 2 jobs, and 3 that the others cannot use
    ");
}

#[test]
fn every_task_says_why_it_has_its_peers() {
    let explained = |replica: &Replica, job: u32| {
        let Explanation::Allocated(shares) = explain(replica, job_id(job)) else {
            panic!("it runs")
        };
        let tasks = shares
            .tasks
            .iter()
            .map(|task| format!("{} {}: {}", task.task, task.peers, task.reason));
        let tasks: Vec<String> = tasks.collect();
        format!("{}: {}\n{}", shares.peers, shares.share, tasks.join("\n"))
    };
    let mut replica = cluster(
        &names(12),
        &[
            "in:i>f:1-1 f:f>g!~kill g:f>h:2-2!~recover h:f>out:1-2 out:o!#gpu",
            "in:i>out out:o",
        ],
    );
    let membership = Arc::make_mut(&mut replica.membership);
    membership.members.insert(peer("b"), knowing("#gpu"));
    let replica = reallocate(&replica, LogPosition(1));
    insta::assert_snapshot!(explained(&replica, 0), @"
    6: its minimum: the other peers have work, or cannot run its tasks
    in 1: its minimum is its maximum
    f 1: flux-policy kill: nobody joins or leaves it while the job runs
    g 2: flux-policy recover: as many as it has slots
    h 1: its minimum
    out 1: only 1 of 12 peers knows its words and has the tag gpu
    ");
    insta::assert_snapshot!(explained(&replica, 1), @"
    6: an even share of 12 peers for 2 jobs
    in 3: an even share of the job's 6 peers
    out 3: an even share of the job's 6 peers
    ");
    let chain = with_tasks("in:i>out!%40 out:o!%60", TaskScheduler::Percentage);
    let percent = JobRecord {
        percentage: Percent::whole(50),
        ..chain
    };
    let other = with_tasks("in:i>out out:o", TaskScheduler::Colocated);
    let jobs = vec![percent, other];
    let replica = scheduled(&names(20), JobScheduler::Percentage, jobs);
    insta::assert_snapshot!(explained(&replica, 0), @"
    10: 50 % of 20 peers
    in 4: 40 % of the job's 10 peers
    out 6: 60 % of the job's 10 peers
    ");
    insta::assert_snapshot!(explained(&replica, 1), @"
    2: its minimum: it has no `percentage`, by which peers are shared here
    in 1: one, for the only copy of the job
    out 1: one, for the only copy of the job
    ");
    let jobs = vec![record("in:i>out:1-1 out:o:1-2"), record("in:i>out out:o")];
    let replica = scheduled(&names(7), JobScheduler::Greedy, jobs);
    let alone = vec![record("in:i>out out:o")];
    let first = scheduled(&names(3), JobScheduler::Greedy, alone);
    insta::assert_snapshot!(explained(&first, 0), @"
    3: what it can use of 3 peers: it is first
    in 2: an even share of the job's 3 peers
    out 1: an even share of the job's 3 peers
    ");
    insta::assert_snapshot!(explained(&replica, 1), @"
    4: what is left of 7 peers after the jobs before it
    in 2: an even share of the job's 4 peers
    out 2: an even share of the job's 4 peers
    ");
}
