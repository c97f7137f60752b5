//! What a life is made of: the groups, what their peers know, and the jobs, drawn from a seed.

use crate::cluster::tasks;
use onyx::config::{JobScheduler, Transport};
use onyx::ids::{ContentHash, GroupId, IdSource};
use onyx::job::percent::Percent;
use onyx::job::{AckerRule, FluxPolicy, Sends, TaskScheduler};
use onyx::log::commands::SubmittedJob;
use onyx::replica::{Agreed, Member, Replica, Site};
use rand::RngExt;
use rand::rngs::StdRng;
use std::sync::Arc;

const JOBS: [&str; 9] = [
    "in:i>out out:o",
    "in:i>f:1-1 f:f>out:2- out:o:1-1",
    "in:i>out:1-3 out:o:1-2",
    "one:i>f two:i>f f:f>out,log out:o log:o",
    "in:i>out!fn:x out:o!fn:y",
    "in:i>f!fn:x f:f>out:2-!fn:y out:o",
    "in:i>out:1-4 out:o:1-1",
    "in:i>out:9- out:o:9-",
    "in:i>f:2-2 f:f>g:1-3 g:f>out:1-3 out:o:2-2",
];
const WORDS: [&str; 4] = ["fn:x fn:y", "fn:x fn:y", "fn:x", ""];
const TAGS: [&str; 4] = ["", "fast", "fast near", "near"];
/// The most groups, and the most peers of each: many small clusters, a few large ones.
const SIZES: [(u32, u32); 16] = [
    (1, 4),
    (2, 2),
    (2, 3),
    (2, 4),
    (3, 2),
    (3, 3),
    (3, 4),
    (4, 3),
    (4, 4),
    (4, 5),
    (4, 5),
    (5, 3),
    (1, 20),
    (10, 2),
    (6, 6),
    (10, 20),
];
/// The most entries, after which nothing new is begun.
const ENTRIES: [usize; 8] = [60, 60, 120, 120, 160, 160, 250, 500];

/// The peers of one group.
pub(crate) struct Group {
    pub(crate) member: Member,
    pub(crate) peers: u32,
}

pub(crate) fn groups(random: &mut StdRng, ids: &mut IdSource) -> Vec<Group> {
    let (groups, peers) = one_of(random, &SIZES);
    let sites = random.random_range(1..=groups);
    let groups = 0..random.random_range(1..=groups);
    let group = groups.map(|_| Group {
        peers: random.random_range(1..=peers),
        member: Member {
            group: GroupId(ids.uuid()),
            node: Default::default(),
            site: Site(format!("site-{}", random.random_range(0..sites))),
            words: words(one_of(random, &WORDS)),
            tags: words(one_of(random, &TAGS)),
        },
    });
    group.collect()
}

fn words(text: &str) -> Arc<std::collections::BTreeSet<String>> {
    Arc::new(text.split_whitespace().map(String::from).collect())
}

pub(crate) fn entries(random: &mut StdRng) -> usize {
    one_of(random, &ENTRIES)
}

/// What everybody agreed on.
pub(crate) fn first_replica(random: &mut StdRng) -> Replica {
    let job_scheduler = one_of(random, &JobScheduler::ALL);
    // Jobs that may use everybody are the more interesting ones.
    let messaging = match random.random_range(0..4) {
        0 => Transport::Local,
        _ => Transport::Aeron,
    };
    Replica {
        agreed: Agreed {
            job_scheduler,
            messaging,
        },
        ..Replica::default()
    }
}

pub(crate) fn job(random: &mut StdRng, name: String) -> SubmittedJob {
    let mut tasks = tasks(one_of(random, &JOBS));
    for task in &mut tasks {
        if random.random_bool(0.1) {
            task.required_tags.insert("fast".into());
        }
        if random.random_bool(0.15) {
            task.flux_policy = Some(one_of(random, &FluxPolicy::ALL));
        }
        if random.random_bool(0.3) {
            task.percentage = Percent::whole(random.random_range(0..=60));
        }
    }
    let task_scheduler = match random.random_range(0..3) {
        0 => one_of(random, &TaskScheduler::ALL),
        _ => TaskScheduler::Balanced,
    };
    let ackers = AckerRule {
        percentage: Percent::whole(random.random_range(1..=100)).filter(|_| random.random()),
        exempt_inputs: random.random_bool(0.2),
        exempt_outputs: random.random_bool(0.2),
        exempt_tasks: [tasks[0].name.clone()].into(),
    };
    SubmittedJob {
        task_scheduler,
        percentage: Percent::whole(random.random_range(0..=60)).filter(|_| random.random_bool(0.7)),
        sends: one_of(random, &Sends::ALL),
        ackers,
        content: Some(ContentHash(random.random())),
        ..SubmittedJob::new(name, tasks)
    }
}

pub(crate) fn one_of<T: Clone>(random: &mut StdRng, from: &[T]) -> T {
    from[random.random_range(0..from.len())].clone()
}
