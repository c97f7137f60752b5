//! What the fuzzer has kept holds: every input in tests/corpus goes through what `./dev fuzz` calls
//! with it, and so do messages, entries and job files as they really are. `REWRITE=1 cargo test --test
//! corpus` puts the latter into the corpus, which is due when a format has changed.

#![allow(clippy::print_stdout, reason = "a test that fails has named its input")]

#[path = "support/cluster.rs"]
#[allow(dead_code, reason = "the simulation uses other parts of it")]
mod cluster;
#[path = "../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the fuzzer, another crate, uses other parts of it"
)]
mod fuzz;
#[path = "log_scripts/script.rs"]
#[allow(dead_code, reason = "the scripts use other parts of it")]
mod script;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "log_scripts/show.rs"]
#[allow(dead_code, reason = "the scripts use other parts of it")]
mod show;

use std::path::PathBuf;
use std::{env, fs};

/// What may be kept altogether: it is replayed in every run of the tests, and stays in the history.
const FILES_MAX: usize = 700;
const BYTES_MAX: u64 = 1 << 20;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The files of one target, or of all.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// Replays what was kept of one target, and what it began with.
fn replay(name: &str) {
    let (_, check) = fuzz::TARGETS
        .into_iter()
        .find(|(target, _)| *target == name)
        .expect("a target");
    let seeds = seeds::of(name);
    if env::var_os("REWRITE").is_some() {
        sow(name, &seeds);
    }
    let kept = files(folder().join(name));
    assert!(
        kept.len() > 10,
        "only {} inputs of {name} are kept",
        kept.len()
    );
    seeds.iter().for_each(|seed| check(seed));
    for path in kept {
        // Should it fail, this is what to look at.
        println!("{}", path.display());
        check(&fs::read(&path).expect("an input"));
    }
}

/// Puts inputs into the corpus, named as the fuzzer would: by what is in them.
fn sow(name: &str, seeds: &[Vec<u8>]) {
    let folder = folder().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for seed in seeds {
        let hash = crc32fast::hash(seed);
        fs::write(folder.join(format!("seed-{hash:08x}")), seed).expect("written");
    }
}

#[test]
fn frames_hold() {
    replay("frames");
}

#[test]
fn segments_hold() {
    replay("segments");
}

#[test]
fn acks_hold() {
    replay("acks");
}

#[test]
fn entries_hold() {
    replay("entries");
}

#[test]
fn job_files_hold() {
    replay("jobs");
}

#[test]
fn questions_about_replicas_hold() {
    replay("replicas");
}

#[test]
fn the_corpus_is_small_and_every_folder_of_it_is_replayed() {
    let mut targets: Vec<&str> = fuzz::TARGETS.map(|(name, _)| name).into();
    targets.sort_unstable();
    let folders = files(folder());
    let names: Vec<_> = folders
        .iter()
        .filter_map(|it| it.file_name()?.to_str())
        .collect();
    assert_eq!(names, targets);
    let kept: Vec<PathBuf> = folders.into_iter().flat_map(files).collect();
    let size = |path: &PathBuf| fs::metadata(path).expect("a file").len();
    let bytes: u64 = kept.iter().map(size).sum();
    assert!(kept.len() <= FILES_MAX, "{} files are kept", kept.len());
    assert!(bytes <= BYTES_MAX, "{bytes} bytes are kept");
}
