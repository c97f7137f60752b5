//! The examples do what they say.

use std::process::Command;

#[test]
fn word_count_counts_as_an_obvious_program_does() {
    // By cargo, so that it is built however this test was started.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--locked", "--example", "word_count"]);
    if cfg!(feature = "aeron") {
        // As this test itself, so that nothing is built a second time.
        cargo.args(["--features", "aeron"]);
    }
    let run = cargo.output();
    let run = run.expect("cargo runs");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );

    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    let text = std::fs::read_to_string("examples/data/shakespeare.txt").expect("the plays");
    for word in text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
    {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
    let lines = ranked
        .iter()
        .take(10)
        .map(|(word, count)| format!("{count:>6} {word}\n"));
    assert_eq!(
        String::from_utf8_lossy(&run.stdout),
        lines.collect::<String>()
    );
}
