//! Explanations as people read them.

use super::{
    Available, Beyond, ByPercentage, Explanation, JobShare, Serving, Shortage, TaskReason,
};
use crate::job::percent::Percent;
use crate::nearest::counted;
use std::collections::BTreeSet;
use std::fmt;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Explanation::Unknown => f.write_str("not known: never submitted, or forgotten"),
            Explanation::Completed => f.write_str("completed"),
            Explanation::Killed { loss: None } => f.write_str("killed"),
            Explanation::Killed { loss: Some(loss) } => write!(f, "killed: {loss}"),
            Explanation::Allocated(shares) => {
                write!(f, "runs with {}", count(shares.peers as u64))
            }
            Explanation::TooFewPeers { needs, joined } => {
                let joined = are(*joined as u64);
                write!(f, "waits: needs {}, {joined} joined", count(*needs))
            }
            Explanation::NobodyAble { task, words, tags } => {
                write!(f, "waits: {}", nobody_able(task.as_str(), words, tags))
            }
            Explanation::TooFewAble { tasks } if tasks.is_empty() => {
                f.write_str("waits: too few peers know the words of several tasks at once")
            }
            Explanation::TooFewAble { tasks } => {
                let tasks: Vec<String> = tasks.iter().map(shortage).collect();
                write!(f, "waits: {}", tasks.join("; "))
            }
            Explanation::NoSiteForCopy { needs, largest } => write!(
                f,
                "waits: is colocated and needs {} at one site, the largest has {largest}",
                count(*needs as u64)
            ),
            Explanation::OnlyAcrossProcesses {
                needs,
                joined,
                largest,
            } => write!(
                f,
                "waits: needs {} in one process, {} joined, but the largest process has {largest}; \
                 with messaging.transport = \"local\" a job does not leave its process",
                count(*needs),
                are(*joined as u64)
            ),
            Explanation::Busy {
                needs,
                available,
                most_in_one_process,
                serving,
            } => {
                write!(f, "waits: needs {}", count(*needs))?;
                let in_all = match most_in_one_process.filter(|most| *most < available.sum()) {
                    Some(most) => {
                        let most = are(most);
                        write!(f, " in one process, at most {most} available in one")?;
                        " in all"
                    }
                    None => "",
                };
                write!(f, ", {}{in_all}", left(*available))?;
                let serving: Vec<String> = serving.iter().map(serves).collect();
                write!(f, ": {}", serving.join(", "))
            }
        }
    }
}

fn left(available: Available) -> String {
    let free = are(available.free);
    match available.spare {
        0 => format!("{free} free"),
        spare => format!("{free} free and {} to spare", are(spare)),
    }
}

fn serves(job: &Serving) -> String {
    let Serving { name, has, .. } = job;
    let serve = counted(*has, "serves", "serve");
    match job.spare() {
        0 => format!("{serve} job {name}"),
        _ => format!("{serve} job {name}, which needs {}", job.keeps),
    }
}

fn nobody_able(task: &str, words: &BTreeSet<String>, tags: &BTreeSet<String>) -> String {
    let words_missing = format!("task {task} needs {}, which no peer knows", listed(words));
    let tags_missing = format!("task {task} needs {}, which no peer has", tagged(tags));
    match (words.is_empty(), tags.is_empty()) {
        (true, true) => format!("no peer knows all the words of task {task} and has all its tags"),
        (false, true) => words_missing,
        (true, false) => tags_missing,
        (false, false) => format!("{words_missing}; {tags_missing}"),
    }
}

fn shortage(short: &Shortage) -> String {
    let tags = match short.tags.is_empty() {
        true => String::new(),
        false => format!(" and have {}", tagged(&short.tags)),
    };
    format!(
        "task {} needs {} that know its words{tags}, {} joined",
        short.task,
        count(u64::from(short.needs)),
        are(short.able as u64)
    )
}

impl fmt::Display for JobShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobShare::Saturated => f.write_str("all that it can use"),
            JobShare::Minimum => {
                f.write_str("its minimum: the other peers have work, or cannot run its tasks")
            }
            JobShare::NoPercentage => {
                f.write_str("its minimum: it has no `percentage`, by which peers are shared here")
            }
            JobShare::Even { of, jobs: 1, .. } => {
                write!(
                    f,
                    "what it can use of {}; no other job runs",
                    count(*of as u64)
                )
            }
            JobShare::Even { of, jobs, beyond } => {
                write!(f, "an even share of {} for {jobs} jobs", count(*of as u64))?;
                match beyond {
                    0 => Ok(()),
                    beyond => write!(f, ", and {beyond} that the others cannot use"),
                }
            }
            JobShare::First { of } => {
                write!(f, "what it can use of {}: it is first", count(*of as u64))
            }
            JobShare::Rest { of } => {
                write!(
                    f,
                    "what is left of {} after the jobs before it",
                    count(*of as u64)
                )
            }
            JobShare::Percentage(share) => share.fmt(f),
        }
    }
}

impl fmt::Display for ByPercentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.beyond == Beyond::ToItsMinimum {
            f.write_str("its minimum, which is more than ")?;
        }
        write!(f, "{} % of {}", self.percentage, count(self.of as u64))?;
        let whole = u64::from(Percent::WHOLE.parts());
        if self.all > whole {
            let all = self.all as f64 / (whole / 100) as f64;
            write!(f, " in proportion to the {all} % that all jobs ask for")?;
        }
        match self.beyond {
            Beyond::Nothing | Beyond::ToItsMinimum => Ok(()),
            Beyond::Short => write!(f, ", as far as they can run its tasks"),
            Beyond::By(more) => write!(f, ", and {more} that the others cannot use"),
        }
    }
}

impl fmt::Display for TaskReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskReason::Frozen => {
                f.write_str("flux-policy kill: nobody joins or leaves it while the job runs")
            }
            TaskReason::Slots => f.write_str("flux-policy recover: as many as it has slots"),
            TaskReason::Finished => f.write_str("nothing more comes to it, so nobody joins it"),
            TaskReason::Copies { copies: 1, .. } => {
                f.write_str("one, for the only copy of the job")
            }
            TaskReason::Copies { copies, sites } => {
                let (copies, sites) = (
                    counted(*copies as u64, "copy", "copies"),
                    counted(*sites as u64, "site", "sites"),
                );
                write!(f, "one for each of {copies} of the job, on {sites}")
            }
            TaskReason::Fixed => f.write_str("its minimum is its maximum"),
            TaskReason::Saturated => f.write_str("its maximum"),
            TaskReason::FewAble { able, joined, tags } if tags.is_empty() => {
                write!(f, "only {} its words", know(*able, *joined))
            }
            TaskReason::FewAble { able, joined, tags } => {
                let has = if *able == 1 { "has" } else { "have" };
                let tags = format!("{has} {}", tagged(tags));
                write!(f, "only {} its words and {tags}", know(*able, *joined))
            }
            TaskReason::Minimum => f.write_str("its minimum"),
            TaskReason::Percentage { percentage, of } => {
                write!(f, "{percentage} % of the job's {}", count(*of as u64))
            }
            TaskReason::Even { of } => {
                write!(f, "an even share of the job's {}", count(*of as u64))
            }
        }
    }
}

fn listed(words: &BTreeSet<String>) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.join(", ")
}

fn tagged(tags: &BTreeSet<String>) -> String {
    match tags.len() {
        1 => format!("the tag {}", listed(tags)),
        _ => format!("the tags {}", listed(tags)),
    }
}

fn are(peers: u64) -> String {
    counted(peers, "is", "are")
}

fn know(able: usize, joined: usize) -> String {
    let verb = if able == 1 { "knows" } else { "know" };
    format!("{able} of {} {verb}", count(joined as u64))
}

fn count(peers: u64) -> String {
    counted(peers, "peer", "peers")
}
