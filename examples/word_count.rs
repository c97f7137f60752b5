//! Which ten words occur most often? A job with a function and an output of its own:
//! `cargo run --example word_count [FILE]`.

use onyx::job::vocabulary::PluginSignature;
use onyx::{Job, JobOutcome, NodeBuilder, NodeConfig, Output, PluginError, Registry, Segment};
use onyx::{Task, TaskKind};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

const SHAKESPEARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/shakespeare.txt");

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// Counts the words it is given. One peer runs it, so that nothing needs merging.
struct Count(Counts);

impl Output for Count {
    fn write(&mut self, words: &[Segment]) -> Result<(), PluginError> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for word in words.iter().filter_map(|word| word.get("word")?.as_str()) {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn split(line: Segment) -> Vec<Segment> {
    let text = line.get("text").and_then(|text| text.as_str());
    let words = text.unwrap_or_default().split(|c: char| !c.is_alphabetic());
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| Segment::from_iter([("word", word.to_lowercase())]))
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or(SHAKESPEARE.into());
    let counts = Counts::default();
    let output = counts.clone();
    let mut registry = Registry::with_built_in();
    registry.functions.function("split", split);
    let of_one_peer = PluginSignature::of_one_peer(TaskKind::Output);
    let plugins = &mut registry.plugins;
    plugins.output("count", of_one_peer, move |_| Ok(Count(output.clone())));

    let read = Task::input("read", "file/lines").with("path", file);
    let (split, count) = (
        Task::function("split", "split"),
        Task::output("count", "count"),
    );
    let workflow = [("read", "split"), ("split", "count")];
    let job = Job::new("word-count", workflow, [read, split, count]);

    let builder = NodeBuilder::new(NodeConfig::default()).registry(registry);
    let outcome = onyx::run(async {
        let node = builder.without_http().start().await?;
        let id = node.handle().submit_job(job).await?;
        let outcome = node.handle().await_job_completion(id).await?;
        node.stop().await?;
        Ok::<_, Box<dyn Error>>(outcome)
    })?;

    if let JobOutcome::Killed(cause) = outcome {
        return Err(cause.unwrap_or_default().into());
    }
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ranked: Vec<_> = counts.iter().collect();
    ranked.sort_by_key(|(word, count)| (Reverse(**count), *word));
    for (word, count) in ranked.iter().take(10) {
        writeln!(std::io::stdout(), "{count:>6} {word}")?;
    }
    Ok(())
}
