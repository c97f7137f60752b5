//! A folder of many small files: every row of every file is read, by one slot and by several.

use crate::process::onyx;
use crate::scale::scaled;
use std::fs;
use std::path::Path;

fn job(slots: usize) -> String {
    format!(
        "\
name: many
workflow: [[read, write]]
catalog:
  - {{ name: read, type: input, plugin: file/csv, path: in, n-peers: {slots}, types: {{ n: int }} }}
  - {{ name: write, type: output, plugin: file/json-lines, path: out.jsonl }}
"
    )
}

fn run(folder: &Path, slots: usize) -> Vec<u64> {
    fs::write(folder.join("job.yaml"), job(slots)).unwrap();
    let output = onyx(&["run", "job.yaml"]).current_dir(folder).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = fs::read_to_string(folder.join("out.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["n"].as_u64().unwrap()
    });
    let mut rows: Vec<u64> = rows.collect();
    rows.sort_unstable();
    rows
}

#[test]
fn every_row_of_many_files_is_read_once() {
    let files = scaled(2_000, 100_000) as u64;
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().join("in");
    fs::create_dir(&within).unwrap();
    for n in 0..files {
        fs::write(within.join(format!("{n}.csv")), format!("n\n{n}\n")).unwrap();
    }
    let expected: Vec<u64> = (0..files).collect();
    for slots in [1, 8] {
        assert!(run(folder.path(), slots) == expected, "{slots} slots");
    }
}
