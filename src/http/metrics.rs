//! `/metrics`: what the node measures, in the text format of Prometheus.

use super::refusal::Refusal;
use super::routes::{Endpoint, Verb};
use super::seats::SeatFigures;
use super::served::{Served, read};
use crate::acking::{BOUNDS_MS, Latencies};
use crate::api::{Measurements, TaskMeasurements};
use crate::task::counters::{JobsSum, TaskFigures};
use actix_web::{HttpResponse, web};
use std::fmt::{self, Write};

/// Everything that is measured.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/metrics",
    answers: &[(Verb::Get, || web::to(metrics))],
};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn metrics(served: web::Data<Served>) -> Result<HttpResponse, Refusal> {
    let measured = read(served.node.measurements()).await?;
    let body = Page::of(&measured, &served.seats.figures());
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(body))
}

/// The page while it is written.
#[derive(Default)]
struct Page(String);

/// A figure of a task.
type OfTask = fn(&TaskFigures) -> u64;

/// What is counted of every task, with its explanation.
const COUNTERS: [(&str, &str, OfTask); 12] = [
    (
        "onyx_segments_read_total",
        "Segments that inputs read; each is a root",
        |it| it.read,
    ),
    (
        "onyx_segments_received_total",
        "Segments that arrived from upstream",
        |it| it.received,
    ),
    (
        "onyx_segments_emitted_total",
        "Segments sent, once for each task downstream",
        |it| it.emitted,
    ),
    (
        "onyx_segments_written_total",
        "Segments handed to a medium",
        |it| it.written,
    ),
    (
        "onyx_segments_acked_total",
        "Roots whose whole tree was acknowledged",
        |it| it.completed,
    ),
    (
        "onyx_segments_filtered_total",
        "Roots of which nothing was left to write",
        |it| it.filtered,
    ),
    (
        "onyx_segments_retried_total",
        "Roots that were played again",
        |it| it.retried,
    ),
    (
        "onyx_segments_timed_out_total",
        "Roots that nobody knew any more after their time-out",
        |it| it.timed_out,
    ),
    (
        "onyx_segments_dead_lettered_total",
        "Roots that went to the dead letters",
        |it| it.dead_lettered,
    ),
    (
        "onyx_segments_relinquished_total",
        "Roots that were in flight when their input ended, and are read again",
        |it| it.relinquished,
    ),
    (
        "onyx_segments_rejected_total",
        "Pieces of an input that were no segments",
        |it| it.rejected,
    ),
    (
        "onyx_exceptions_total",
        "Errors and panics of user code and plugins",
        |it| it.exceptions,
    ),
];

const BACKPRESSURE: (&str, &str) = (
    "onyx_backpressure_seconds_total",
    "Time in which a batch was ready and no receiver had room for it",
);

const LATENCY: (&str, &str) = (
    "onyx_segment_latency_seconds",
    "From a read to the completion of all of it",
);

/// `onyx_x` of jobs that have ended is `onyx_ended_jobs_x`.
fn of_ended_jobs(name: &str) -> String {
    let name = name.strip_prefix("onyx_").unwrap_or(name);
    format!("onyx_ended_jobs_{name}")
}

impl Page {
    fn of(measured: &Measurements, seats: &SeatFigures) -> String {
        let mut page = Page::default();
        page.tasks(&measured.tasks);
        page.ended_jobs(&measured.ended);
        page.node(measured);
        page.node_by_label(measured);
        page.connections(seats);
        page.0
    }

    fn tasks(&mut self, tasks: &[TaskMeasurements]) {
        for (name, help, figure) in COUNTERS {
            self.head(name, "counter", help);
            for task in tasks {
                self.line(name, &labels(task), figure(&task.figures));
            }
        }
        let (name, help) = BACKPRESSURE;
        self.head(name, "counter", help);
        for task in tasks {
            self.line(name, &labels(task), seconds(task.figures.blocked_ms));
        }
        let name = "onyx_pending_segments";
        self.head(name, "gauge", "Roots in flight");
        for task in tasks {
            self.line(name, &labels(task), task.figures.in_flight);
        }
        let name = "onyx_oldest_pending_seconds";
        self.head(
            name,
            "gauge",
            "The age of the oldest read that is not complete",
        );
        for task in tasks {
            self.line(name, &labels(task), task.oldest_pending.as_secs_f64());
        }
        let name = "onyx_unaccounted_segments";
        self.head(
            name,
            "gauge",
            "Roots of which nobody knows what became; to be 0",
        );
        for task in tasks {
            self.line(name, &labels(task), task.figures.account().unaccounted);
        }
        self.latencies(tasks);
    }

    /// Jobs that have no lines of their own any more, so that nothing that was counted is missing.
    fn ended_jobs(&mut self, ended: &JobsSum) {
        let name = "onyx_ended_jobs_total";
        self.head(name, "counter", "Ended jobs without series of their own");
        self.line(name, "", ended.jobs);
        for (name, help, figure) in COUNTERS {
            let name = of_ended_jobs(name);
            self.head(&name, "counter", &format!("{help}; of ended jobs"));
            self.line(&name, "", figure(&ended.figures));
        }
        let name = of_ended_jobs(BACKPRESSURE.0);
        let help = format!("{}; of ended jobs", BACKPRESSURE.1);
        self.head(&name, "counter", &help);
        self.line(&name, "", seconds(ended.figures.blocked_ms));
        let name = of_ended_jobs(LATENCY.0);
        let help = format!("{}; of ended jobs", LATENCY.1);
        self.head(&name, "histogram", &help);
        self.histogram(&name, "", &ended.latencies);
    }

    fn latencies(&mut self, tasks: &[TaskMeasurements]) {
        let (name, help) = LATENCY;
        self.head(name, "histogram", help);
        for task in tasks.iter().filter(|task| task.figures.read > 0) {
            self.histogram(name, &labels(task), &task.latencies);
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, latencies: &Latencies) {
        let mut count = 0;
        let bounds = BOUNDS_MS.iter().map(|ms| seconds(*ms).to_string());
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let separator = if labels.is_empty() { "" } else { "," };
        for (bound, of_bucket) in bounds.zip(latencies.counts) {
            count += of_bucket;
            let labels = format!("{labels}{separator}le=\"{bound}\"");
            self.line(&format!("{name}_bucket"), &labels, count);
        }
        let sum = seconds(latencies.sum_ms);
        self.line(&format!("{name}_sum"), labels, sum);
        self.line(&format!("{name}_count"), labels, count);
    }

    fn node(&mut self, measured: &Measurements) {
        let status = &measured.status;
        let position = status.position.map_or(0, |position| position.0);
        for (name, kind, help, value) in [
            (
                "onyx_acker_entries",
                "gauge",
                "Roots of which ackers have some acks",
                measured.acker_entries,
            ),
            (
                "onyx_duplicate_acks_total",
                "counter",
                "Ack messages that came twice",
                measured.duplicate_acks,
            ),
            (
                "onyx_late_acks_total",
                "counter",
                "Acks of roots that had ended",
                measured.late_acks,
            ),
            (
                "onyx_acker_given_up_total",
                "counter",
                "Roots that ackers gave up",
                measured.given_up,
            ),
            (
                "onyx_undeliverable_completions_total",
                "counter",
                "Completions whose source was gone",
                measured.undeliverable_completions,
            ),
            (
                "onyx_replica_entry",
                "gauge",
                "The last entry of the log that was applied",
                position,
            ),
            (
                "onyx_replica_lag_entries",
                "gauge",
                "Entries that the slowest peer is behind",
                status.lag_entries,
            ),
            (
                "onyx_zk_session_expired_total",
                "counter",
                "Sessions that were opened again",
                measured.session_restarts,
            ),
            (
                "onyx_zk_session_reconnects_total",
                "counter",
                "Connections of a session that were lost and made again in time",
                measured.session_reconnects,
            ),
        ] {
            self.head(name, kind, help);
            self.line(name, "", value);
        }
        if let Some(entries) = measured.log_entries {
            let name = "onyx_log_entries";
            self.head(name, "gauge", "Entries that the log has");
            self.line(name, "", entries);
        }
    }

    fn node_by_label(&mut self, measured: &Measurements) {
        let name = "onyx_peer_restarts_total";
        self.head(name, "counter", "Virtual peers that were started again");
        for (reason, count) in &measured.peer_restarts {
            self.line(name, &format!("reason=\"{reason}\""), *count);
        }
        let name = "onyx_abandoned_tasks";
        let help = "Abandoned tasks that have not returned from user code";
        self.head(name, "gauge", help);
        self.line(name, "", measured.abandoned_tasks);
        let (name, status) = ("onyx_peers", &measured.status);
        self.head(name, "gauge", "Virtual peers of this node");
        self.line(name, "state=\"joined\"", status.peers_joined);
        self.line(name, "state=\"wanted\"", status.peers_wanted);
        let name = "onyx_frames_rejected_total";
        self.head(name, "counter", "Frames that arrived and were not taken");
        for (reason, count) in &measured.frames_refused {
            self.line(name, &format!("reason=\"{reason}\""), *count);
        }
    }

    fn connections(&mut self, seats: &SeatFigures) {
        for (name, kind, help, value) in [
            (
                "onyx_http_connections",
                "gauge",
                "Connections of the HTTP server",
                seats.connections,
            ),
            (
                "onyx_http_displaced_connections_total",
                "counter",
                "Connections without a request under way that were closed for new ones",
                seats.displaced,
            ),
            (
                "onyx_http_refused_requests_total",
                "counter",
                "Requests that were refused because too many were under way",
                seats.refused,
            ),
        ] {
            self.head(name, kind, help);
            self.line(name, "", value);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &str, value: impl fmt::Display) {
        match labels {
            "" => self.write(format_args!("{name} {value}\n")),
            labels => self.write(format_args!("{name}{{{labels}}} {value}\n")),
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = self.0.write_fmt(text);
    }
}

fn labels(task: &TaskMeasurements) -> String {
    let name = task.task.as_str();
    let name = name.replace('\\', "\\\\");
    let name = name.replace('"', "\\\"").replace('\n', "\\n");
    format!("job=\"{}\",task=\"{name}\"", task.job)
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NodeStatus;
    use crate::ids::{GroupId, IdSource};
    use std::time::Duration;

    const SEATS: SeatFigures = SeatFigures {
        connections: 5,
        displaced: 6,
        refused: 7,
    };

    fn measured() -> Measurements {
        let mut ids = IdSource::from_seed(1);
        let status = NodeStatus {
            group: GroupId(ids.uuid()),
            peers_wanted: 4,
            peers_joined: 3,
            peers: Vec::new(),
            position: None,
            lag_entries: 2,
            not_ready: Vec::new(),
        };
        let mut latencies = Latencies::default();
        (latencies.counts[0], latencies.counts[14], latencies.sum_ms) = (5, 1, 70_005);
        let task = TaskMeasurements {
            job: ids.job(),
            task: "re\"ad".into(),
            figures: TaskFigures {
                read: 10,
                completed: 6,
                filtered: 1,
                in_flight: 1,
                dead_lettered: 1,
                relinquished: 2,
                blocked_ms: 1_500,
                ..TaskFigures::default()
            },
            latencies,
            oldest_pending: Duration::from_millis(250),
        };
        Measurements {
            status,
            tasks: vec![task],
            ended: JobsSum {
                jobs: 3,
                figures: TaskFigures {
                    read: 70,
                    blocked_ms: 250,
                    ..TaskFigures::default()
                },
                latencies,
            },
            acker_entries: 4,
            duplicate_acks: 1,
            late_acks: 0,
            given_up: 0,
            undeliverable_completions: 0,
            frames_refused: vec![("stale", 7)],
            session_restarts: 0,
            session_reconnects: 3,
            abandoned_tasks: 0,
            peer_restarts: vec![("panicked", 2), ("session", 0)],
            log_entries: Some(12),
        }
    }

    #[test]
    fn every_line_is_a_comment_or_a_name_with_a_value() {
        let page = Page::of(&measured(), &SEATS);
        let mut typed = std::collections::BTreeSet::new();
        for line in page.lines() {
            if let Some(of) = line.strip_prefix("# TYPE ") {
                assert!(typed.insert(of.split(' ').next().unwrap()), "{line}");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                let name = name.split('{').next().unwrap();
                let suffixes = ["_bucket", "_sum", "_count"];
                let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
                let known = typed.contains(name) || base.is_some_and(|base| typed.contains(base));
                assert!(known, "{line}");
            }
        }
    }

    #[test]
    fn a_task_is_named_and_its_account_is_even() {
        let measured = measured();
        let page = Page::of(&measured, &SEATS);
        let labels = format!("job=\"{}\",task=\"re\\\"ad\"", measured.tasks[0].job);
        for line in [
            format!("onyx_segments_acked_total{{{labels}}} 6"),
            format!("onyx_backpressure_seconds_total{{{labels}}} 1.5"),
            format!("onyx_oldest_pending_seconds{{{labels}}} 0.25"),
            format!("onyx_unaccounted_segments{{{labels}}} 0"),
            format!("onyx_segment_latency_seconds_bucket{{{labels},le=\"0.001\"}} 5"),
            format!("onyx_segment_latency_seconds_bucket{{{labels},le=\"60\"}} 5"),
            format!("onyx_segment_latency_seconds_bucket{{{labels},le=\"+Inf\"}} 6"),
            format!("onyx_segment_latency_seconds_sum{{{labels}}} 70.005"),
            "onyx_peer_restarts_total{reason=\"panicked\"} 2".to_owned(),
            "onyx_zk_session_reconnects_total 3".to_owned(),
            "onyx_log_entries 12".to_owned(),
            "onyx_http_connections 5".to_owned(),
            "onyx_http_displaced_connections_total 6".to_owned(),
            "onyx_http_refused_requests_total 7".to_owned(),
            "onyx_ended_jobs_total 3".to_owned(),
            "onyx_ended_jobs_segments_read_total 70".to_owned(),
            "onyx_ended_jobs_backpressure_seconds_total 0.25".to_owned(),
            "onyx_ended_jobs_segment_latency_seconds_bucket{le=\"+Inf\"} 6".to_owned(),
            "onyx_ended_jobs_segment_latency_seconds_count 6".to_owned(),
            "onyx_frames_rejected_total{reason=\"stale\"} 7".to_owned(),
            "onyx_peers{state=\"joined\"} 3".to_owned(),
        ] {
            assert!(
                page.lines().any(|it| it == line),
                "{line} is not in\n{page}"
            );
        }
    }

    /// A figure of the page, of the only task.
    fn figure(page: &str, name: &str) -> i64 {
        let mut lines = page.lines();
        let line = lines.find(|line| line.starts_with(&format!("{name}{{job")));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.unwrap().parse().unwrap()
    }

    #[test]
    fn the_account_can_be_made_of_the_page() {
        let mut measured = measured();
        for lost in [0, 5] {
            let figures = &mut measured.tasks[0].figures;
            figures.read = 10 + lost;
            let account = figures.account();
            let page = Page::of(&measured, &SEATS);
            let figure = |name: &str| figure(&page, &format!("onyx_{name}"));
            let ended = ["acked", "dead_lettered", "relinquished"];
            let ended = ended.map(|what| figure(&format!("segments_{what}_total")));
            let known = ended.iter().sum::<i64>() + figure("pending_segments");
            assert_eq!(figure("segments_read_total") - known, lost as i64);
            assert_eq!(figure("unaccounted_segments"), account.unaccounted);
            assert_eq!(account.unaccounted, lost as i64);
        }
    }
}
