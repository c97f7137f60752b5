//! How often does each word occur? A job with functions and an output of its own, run in this process.
//!
//! `cargo run --example word_count [FILE]` prints the ten most frequent words.

use onyx::job::vocabulary::{PluginSignature, Signature};
use onyx::job::{Job, Task, TaskKind};
use onyx::{JobOutcome, NodeBuilder, NodeConfig, Output, PluginError, Registry, Segment};
use std::collections::BTreeMap;
use std::error::Error;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// Counts the words it is given. One peer runs it, so that it needs no merging.
struct CountWords(Counts);

impl Output for CountWords {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for word in segments
            .iter()
            .filter_map(|segment| segment.get("word")?.as_str())
        {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn words(line: Segment) -> Vec<Segment> {
    let text = line
        .get("text")
        .and_then(|text| text.as_str())
        .unwrap_or_default();
    let words = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    words
        .map(|word| [("word", word.to_lowercase())].into_iter().collect())
        .collect()
}

fn registry(counts: &Counts) -> Registry {
    let mut registry = Registry::with_built_in();
    registry.functions.function("words", words);
    let (signature, max_peers) = (Signature::default(), NonZeroU32::new(1));
    let signature = PluginSignature {
        kind: TaskKind::Output,
        max_peers,
        signature,
    };
    let counts = counts.clone();
    registry
        .plugins
        .output("count", signature, move |_| Ok(CountWords(counts.clone())));
    registry
}

fn job(file: &str) -> Job {
    let mut read = Task::new("read-lines", TaskKind::Input);
    read.plugin = Some("file/lines".into());
    read.params.set("path", file);
    let mut split = Task::new("split", TaskKind::Function);
    split.function = Some("words".into());
    let mut count = Task::new("count", TaskKind::Output);
    count.plugin = Some("count".into());
    Job::new(
        "word-count",
        [("read-lines", "split"), ("split", "count")],
        [read, split, count],
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1);
    let file = file
        .unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/shakespeare.txt").into());
    let counts = Counts::default();
    let mut config = NodeConfig::default();
    config.node.peers = NonZeroUsize::new(3).ok_or("three peers")?;
    onyx::run(async {
        let builder = NodeBuilder::new(config)
            .registry(registry(&counts))
            .without_http();
        let node = builder.start().await?;
        let id = node.handle().submit_job(job(&file)).await?;
        let outcome = node.handle().await_job_completion(id).await?;
        node.stop().await?;
        if let JobOutcome::Killed(cause) = outcome {
            return Err(cause.unwrap_or_default().into());
        }
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ranked: Vec<_> = counts.iter().collect();
        ranked.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
        let lines = ranked
            .iter()
            .take(10)
            .map(|(word, count)| format!("{count:>6} {word}\n"));
        std::io::Write::write_all(&mut std::io::stdout(), lines.collect::<String>().as_bytes())?;
        Ok(())
    })
}
