//! `[scheduler]`: how the peers of the cluster are shared among its jobs.

use super::section::Section;
use super::value::OptionValue;
use serde::{Deserialize, Serialize};

/// Sharing among jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// The rule; every node of a cluster has the same.
    pub jobs: JobScheduler,
}

impl SchedulerConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = SchedulerConfig::default();
        SchedulerConfig {
            jobs: keys.get("jobs", default.jobs),
        }
    }
}

/// How the peers of the cluster are shared among its jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobScheduler {
    /// As many jobs as possible run, then as evenly as they can use it.
    #[default]
    #[serde(
        alias = "onyx.job-scheduler/balanced",
        alias = ":onyx.job-scheduler/balanced"
    )]
    Balanced,
    /// The earliest job gets all it can use, what is left goes to the next.
    #[serde(
        alias = "onyx.job-scheduler/greedy",
        alias = ":onyx.job-scheduler/greedy"
    )]
    Greedy,
    /// By the percentage of each job.
    #[serde(
        alias = "onyx.job-scheduler/percentage",
        alias = ":onyx.job-scheduler/percentage"
    )]
    Percentage,
}

impl JobScheduler {
    /// Every scheduler.
    pub const ALL: [JobScheduler; 3] = [
        JobScheduler::Balanced,
        JobScheduler::Greedy,
        JobScheduler::Percentage,
    ];

    /// As it is written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            JobScheduler::Balanced => "balanced",
            JobScheduler::Greedy => "greedy",
            JobScheduler::Percentage => "percentage",
        }
    }
}

impl OptionValue for JobScheduler {
    const EXPECTED: &'static str = "\"balanced\", \"greedy\" or \"percentage\"";

    fn from_text(text: &str) -> Option<Self> {
        JobScheduler::ALL
            .into_iter()
            .find(|rule| rule.as_str() == text)
    }
}
