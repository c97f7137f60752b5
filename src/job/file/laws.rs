//! What holds for every job and every text.

use super::tests::{FLIGHTS, checks, parse, shown, vocabulary as flights_vocabulary};
use super::*;
use crate::job::percent::Percent;
use crate::job::vocabulary::{KeySchema, PluginSignature, Signature};
use crate::job::{FluxPolicy, Lifecycle, LifecycleTarget, TaskKind, TaskScheduler};
use crate::segment::Segment;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[ -~\\n\\t]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..4);
        let fields = proptest::collection::vec(("[a-z .:#'\"-]{1,8}", inner), 0..4);
        prop_oneof![
            items.prop_map(Value::from),
            fields.prop_map(|fields| fields.into_iter().collect::<Segment>().into()),
        ]
    })
}

fn positive() -> impl Strategy<Value = NonZeroU32> {
    (1..=u32::MAX).prop_map(|n| NonZeroU32::new(n).unwrap())
}

prop_compose! {
    fn any_task(name: String, kind: TaskKind)(
        numbers in [positive(), positive(), positive(), positive()],
        peers in 1..100_u32,
        (retry, times) in (1..1000_u32, 1..1000_u32),
        dead in proptest::option::of("/dead/[a-z]{1,5}"),
        any in proptest::option::of(any_value()),
        (policy, tags) in (0..6_usize, proptest::collection::btree_set("[a-z]{1,4}", 0..3)),
    ) -> Task {
        let input = kind == TaskKind::Input;
        let mut task = Task::new(name.as_str(), kind);
        task.function = (kind == TaskKind::Function).then(|| "any".into());
        task.plugin = match kind {
            TaskKind::Input => Some("in".into()),
            TaskKind::Function => None,
            TaskKind::Output => Some("out".into()),
        };
        let peers = NonZeroU32::new(peers).unwrap();
        (task.batch_size, task.batch_timeout_ms, task.min_peers) = (numbers[0], numbers[1], peers);
        task.max_peers = (input || numbers[3].get() % 2 == 0).then_some(peers);
        if input {
            task.max_pending = numbers[2];
            task.max_retries = numbers[3];
            task.max_pending_bytes = numbers[0];
            task.input_retry_timeout_ms = NonZeroU32::new(retry).unwrap();
            task.pending_timeout_ms = NonZeroU32::new(retry * times).unwrap();
        }
        task.flux_policy = FluxPolicy::ALL.get(policy).copied();
        if task.flux_policy == Some(FluxPolicy::Recover) {
            task.max_peers = Some(peers);
        }
        task.required_tags = tags;
        task.dead_letter = dead.map(|path| format!("{path}-{name}"));
        if let Some(value) = any {
            task.params.set("any", value);
        }
        task
    }
}

/// Every way to share peers that goes with any tasks.
fn any_sharing() -> impl Strategy<Value = Job> {
    let percent = || proptest::option::of((0..=10_000_u32).prop_map(|n| f64::from(n) / 100.0));
    (percent(), percent(), any::<bool>(), any::<bool>()).prop_map(|(share, ackers, inputs, by)| {
        let mut job = Job::new("", [], []);
        job.percentage = share.and_then(Percent::new);
        job.ackers.percentage = ackers.and_then(Percent::new);
        job.ackers.exempt_inputs = inputs && ackers.is_some();
        if by {
            job.task_scheduler = TaskScheduler::Percentage;
        }
        job
    })
}

fn any_job() -> impl Strategy<Value = Job> {
    let name = "[a-z0-9 .:#é'-]{0,9}";
    let parts = (name, name, 1..5_usize, any::<bool>(), any_sharing());
    parts.prop_flat_map(|(job_name, stem, between, calls, sharing)| {
        let last = between + 1;
        let kind = move |n| match n {
            0 => TaskKind::Input,
            n if n == last => TaskKind::Output,
            _ => TaskKind::Function,
        };
        let names: Vec<String> = (0..=last).map(|n| format!("{stem}{n}.x")).collect();
        let tasks: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| any_task(name.clone(), kind(n)))
            .collect();
        tasks.prop_map(move |catalog| Job {
            name: format!("x{job_name}"),
            workflow: catalog
                .windows(2)
                .map(|it| (it[0].name.clone(), it[1].name.clone()))
                .collect(),
            lifecycles: calls
                .then(|| Lifecycle {
                    task: LifecycleTarget::Task(catalog[1].name.clone()),
                    calls: "c".into(),
                })
                .into_iter()
                .collect(),
            catalog: shared(catalog, sharing.task_scheduler),
            ..sharing.clone()
        })
    })
}

/// With a percentage for each task where they are shared by it.
fn shared(mut catalog: Vec<Task>, scheduler: TaskScheduler) -> Vec<Task> {
    if scheduler == TaskScheduler::Percentage {
        for (number, task) in (1..).zip(&mut catalog) {
            task.percentage = Percent::new(f64::from(number) * 2.25);
        }
    }
    catalog
}

fn vocabulary() -> Vocabulary {
    let any = KeySchema::optional("any", KeyKind::Any, "anything");
    let signature = Signature {
        doc: String::new(),
        keys: vec![any],
    };
    let plugin = |kind| PluginSignature {
        kind,
        max_peers: None,
        signature: signature.clone(),
    };
    Vocabulary {
        plugins: [
            ("in".into(), plugin(TaskKind::Input)),
            ("out".into(), plugin(TaskKind::Output)),
        ]
        .into(),
        functions: [("any".into(), signature.clone())].into(),
        lifecycles: ["c".into()].into(),
    }
}

fn read(text: &str, format: Format) -> Result<Job, String> {
    let file = JobFile::parse("job", text, format);
    file.and_then(|file| file.into_job(&vocabulary(), Checks::NONE))
        .map_err(|it| shown(&it))
}

proptest! {
    #[test]
    fn any_job_survives_being_written_and_read(job in any_job()) {
        let json = serde_json::to_string(&describe(&job)).unwrap();
        prop_assert_eq!(read(&json, Format::Json), Ok(job.clone()), "{}", json);
        let yaml = serde_saphyr::to_string(&describe(&job)).unwrap();
        prop_assert_eq!(read(&yaml, Format::Yaml), Ok(job.clone()), "{}", yaml);
        let stored = rmp_serde::to_vec_named(&job).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Job>(&stored).ok(), Some(job));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", json in any::<bool>()) {
        let _ = read(&text, if json { Format::Json } else { Format::Yaml });
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
        let _ = read(&String::from_utf8_lossy(&bytes), Format::Yaml);
    }

    #[test]
    fn no_damage_to_a_file_makes_the_parser_panic(
        at in 0..FLIGHTS.len(),
        length in 0..40_usize,
        with in "[-a-z:\\[\\]{}&*!|>'\"%@`,#? \\n\\t]{0,8}",
    ) {
        let end = (at + length).min(FLIGHTS.len());
        let text = [&FLIGHTS[..at], &with, &FLIGHTS[end..]].concat();
        let _ = parse(&text);
    }

    #[test]
    fn no_option_makes_the_parser_panic(option in "(derive|keep-late)?[.=a-z\\[{'\" -]{0,20}") {
        let mut file = JobFile::parse("job.yaml", FLIGHTS, Format::Yaml).unwrap();
        let _ = file.set(&option, Path::new(""));
        let _ = file.into_job(&flights_vocabulary(), checks());
    }
}
