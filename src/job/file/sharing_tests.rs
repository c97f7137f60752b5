//! What people read when the sharing of peers is written wrong, and that what is right is read.

use super::tests::{FLIGHTS, parse, shown};
use crate::job::percent::Percent;
use crate::job::{FluxPolicy, Sends, TaskScheduler};
use insta::assert_snapshot;

fn with(changes: &[(&str, &str)]) -> String {
    let mut text = FLIGHTS.to_owned();
    for (replace, with) in changes {
        assert!(text.contains(replace), "{replace}");
        text = text.replace(replace, with);
    }
    text
}

fn wrong(changes: &[(&str, &str)]) -> String {
    shown(&parse(&with(changes)).expect_err("it is wrong now"))
}

/// Keys of the job.
fn job(keys: &str) -> String {
    wrong(&[("task-scheduler: balanced", keys)])
}

/// Keys of a function.
fn task(keys: &str) -> String {
    wrong(&[("    where: late", &format!("    where: late\n    {keys}"))])
}

#[test]
fn everything_about_sharing_is_read() {
    let keys = "task-scheduler: colocated\npercentage: 12.5\ncolocated-sends: anywhere\n\
                acker-percentage: 10\nacker-exempt-input-tasks: true\nacker-exempt-tasks: [derive]\n";
    let task =
        "where: late\n    n-peers: 1\n    flux-policy: recover\n    required-tags: [gpu, ssd]";
    let text = with(&[("task-scheduler: balanced", keys), ("where: late", task)]);
    let job = parse(&text).unwrap();
    assert_eq!(job.task_scheduler, TaskScheduler::Colocated);
    assert_eq!(job.percentage, Percent::new(12.5));
    assert_eq!(job.sends, Sends::Anywhere);
    assert_eq!(job.ackers.percentage, Percent::whole(10));
    assert!(job.ackers.exempt_inputs && !job.ackers.exempt_outputs);
    assert_eq!(job.ackers.exempt_tasks, ["derive".into()].into());
    let keep = job.task(&"keep-late".into()).unwrap();
    assert_eq!(keep.flux_policy, Some(FluxPolicy::Recover));
    assert_eq!(keep.required_tags, ["gpu", "ssd"].map(String::from).into());
}

#[test]
fn values_of_the_wrong_kind_are_told() {
    assert_snapshot!(job("percentage: 101"), @"job.yaml:34:1: percentage: expected a percentage from 0 to 100, found `101`");
    assert_snapshot!(job("percentage: half"), @r#"job.yaml:34:1: percentage: expected a percentage from 0 to 100, found the text "half""#);
    assert_snapshot!(job("acker-exempt-input-tasks: 1"), @"job.yaml:34:1: acker-exempt-input-tasks: expected true or false, found `1`");
    assert_snapshot!(job("colocated-sends: locally"), @r#"job.yaml:34:1: colocated-sends: expected one of: local, anywhere, found the text "locally"; did you mean `local`?"#);
    assert_snapshot!(task("required-tags: [1]"), @"job.yaml:24:5: catalog.keep-late.required-tags: expected a list of texts, in which a number needs quotes, found a list");
    assert_snapshot!(task("required-tags: ['a b']"), @r#"job.yaml:24:5: catalog.keep-late.required-tags: "a b" cannot be a tag; one has 1 to 64 characters without spaces and commas"#);
    assert_snapshot!(task("min-peers: 1\n    flux-policy: keep"), @r#"job.yaml:25:5: catalog.keep-late.flux-policy: expected one of: continue, kill, recover, found the text "keep""#);
}

#[test]
fn a_flux_policy_needs_a_number_of_peers() {
    assert_snapshot!(task("flux-policy: continue"), @"job.yaml:24:5: catalog.keep-late.flux-policy: a task whose peers matter says how many it needs: write `n-peers` or `min-peers`");
    assert_snapshot!(task("min-peers: 2\n    flux-policy: recover"), @"job.yaml:25:5: catalog.keep-late.flux-policy: `recover` replaces peers one for one, so their number is fixed; `min-peers` is 2 and `max-peers` is not limited: write `n-peers: 2`");
    assert_snapshot!(task("min-peers: 2\n    max-peers: 3\n    flux-policy: recover"), @"job.yaml:26:5: catalog.keep-late.flux-policy: `recover` replaces peers one for one, so their number is fixed; `min-peers` is 2 and `max-peers` is 3: write `n-peers: 2`");
    for right in [
        "max-peers: 1\n    flux-policy: recover",
        "n-peers: 3\n    flux-policy: recover",
        "min-peers: 2\n    flux-policy: continue",
        "min-peers: 2\n    flux-policy: kill",
    ] {
        let keys = format!("    where: late\n    {right}");
        assert!(
            parse(&with(&[("    where: late", &keys)])).is_ok(),
            "{right}"
        );
    }
}

#[test]
fn percentages_and_their_scheduler_belong_together() {
    assert_snapshot!(job("task-scheduler: percentage"), @"
    job.yaml:8:5: catalog.read-flights.percentage: the key is missing; with `task-scheduler: percentage` every task has one, from 0 to 100
    job.yaml:14:5: catalog.derive.percentage: the key is missing; with `task-scheduler: percentage` every task has one, from 0 to 100
    job.yaml:20:5: catalog.keep-late.percentage: the key is missing; with `task-scheduler: percentage` every task has one, from 0 to 100
    job.yaml:24:5: catalog.write-late.percentage: the key is missing; with `task-scheduler: percentage` every task has one, from 0 to 100
    job.yaml:28:5: catalog.write-all.percentage: the key is missing; with `task-scheduler: percentage` every task has one, from 0 to 100
    ");
    assert_snapshot!(task("percentage: 10"), @"job.yaml:24:5: catalog.keep-late.percentage: peers are shared by it only with `task-scheduler: percentage`; add that to the job, or remove this");
}

#[test]
fn copies_of_colocated_jobs_have_one_peer_for_each_task() {
    let many = "    where: late\n    min-peers: 2";
    let colocated = ("task-scheduler: balanced", "task-scheduler: colocated");
    assert_snapshot!(wrong(&[("    where: late", many), colocated]), @"
    job.yaml:8:5: catalog.read-flights.max-peers: a colocated job has as many peers for each task; `keep-late` needs 2, and this task takes at most 1
    job.yaml:25:5: catalog.write-late.max-peers: a colocated job has as many peers for each task; `keep-late` needs 2, and this task takes at most 1
    job.yaml:29:5: catalog.write-all.max-peers: a colocated job has as many peers for each task; `keep-late` needs 2, and this task takes at most 1
    ");
    assert_snapshot!(job("colocated-sends: anywhere"), @"job.yaml:34:1: colocated-sends: only colocated jobs keep segments to themselves; add `task-scheduler: colocated`, or remove this");
}

#[test]
fn somebody_must_be_left_to_keep_ledgers() {
    assert_snapshot!(job("acker-exempt-input-tasks: true"), @"job.yaml:1:1: acker-percentage: without it each input keeps its own ledger, and nobody can be exempt; say how many of the job's peers are ackers");
    assert_snapshot!(job("acker-percentage: 5\nacker-exempt-tasks: [drive]"), @"job.yaml:35:1: acker-exempt-tasks: no task of the catalog is named `drive`; did you mean `derive`?");
    assert_snapshot!(
        job("acker-percentage: 5\nacker-exempt-tasks: [derive, keep-late]\nacker-exempt-input-tasks: true\nacker-exempt-output-tasks: true"),
        @"job.yaml:34:1: acker-percentage: every task is exempt, so that nobody is left to keep ledgers"
    );
}
