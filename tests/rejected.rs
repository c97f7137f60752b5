//! How much of its input a job may reject, on the command line.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

#[path = "support/process.rs"]
mod process;

use process::onyx;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const JOB: &str = "\
name: copy
workflow:
  - [read, write]
catalog:
  - name: read
    type: input
    plugin: file/csv
    path: in
    types: { n: int }
    columns: [n]
  - name: write
    type: output
    plugin: file/json-lines
    path: out/rows.jsonl
";

/// A folder with the job, and files with these numbers of valid and of rejected rows.
fn folder(job: &str, files: &[(usize, usize)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("job.yaml"), job).unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    for (file, (read, rejected)) in files.iter().enumerate() {
        let rows = "1\n".repeat(*read) + &"x\n".repeat(*rejected);
        fs::write(folder.path().join(format!("in/{file}.csv")), rows).unwrap();
    }
    folder
}

/// The exit code, and what was said to standard error.
fn run(folder: &Path, options: &[&str]) -> (Option<i32>, String) {
    let words = [&["run", "job.yaml"], options].concat();
    let output = onyx(&words).current_dir(folder).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_job_of_which_every_row_was_rejected_fails_and_its_last_line_says_so() {
    let folder = folder(JOB, &[(0, 3)]);
    let (code, errors) = run(folder.path(), &[]);
    assert_eq!(code, Some(1), "{errors}");
    // Besides what the node logs.
    let last = errors.lines().rfind(|line| line.starts_with("job "));
    let told = "job copy was killed: task read (slot 0), read-batch: all rows of the input were \
                rejected, 3 of 3";
    assert!(last.is_some_and(|last| last.starts_with(told)), "{errors}");
    assert!(!folder.path().join("out/rows.jsonl").exists());
    assert_eq!(run(folder.path(), &["--max-rejected", "100%"]).0, Some(0));
}

#[test]
fn an_input_that_rejects_some_rows_completes_and_one_without_rows_too() {
    for files in [[(1, 3)], [(0, 0)]] {
        let folder = folder(JOB, &files);
        let (code, errors) = run(folder.path(), &[]);
        assert_eq!(code, Some(0), "{errors}");
    }
}

#[test]
fn more_rejected_rows_than_allowed_fail_the_job() {
    let folder = folder(JOB, &[(90, 10)]);
    for (limit, code) in [("9", 1), ("10", 0), ("9.99%", 1), ("10%", 0), ("0", 1)] {
        let (found, errors) = run(folder.path(), &["--max-rejected", limit]);
        assert_eq!(found, Some(code), "{limit}: {errors}");
        let told = format!("more than its `max-rejected` of {limit};");
        assert_eq!(errors.contains(&told), code == 1, "{limit}: {errors}");
    }
    let (code, errors) = run(folder.path(), &["--max-rejected", "some"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("a number of rows such as `10`"), "{errors}");
}

#[test]
fn the_limit_is_a_key_of_the_input_and_the_option_comes_before_it() {
    let job = JOB.replace("    columns:", "    max-rejected: 5%\n    columns:");
    let folder = folder(&job, &[(90, 10)]);
    assert_eq!(run(folder.path(), &[]).0, Some(1));
    assert_eq!(run(folder.path(), &["--max-rejected", "10%"]).0, Some(0));
}

#[test]
fn the_slots_of_an_input_are_judged_together() {
    let job = JOB.replace("    columns:", "    n-peers: 2\n    columns:");
    // One file each: all of one slot's rows are rejected, and none of the other's.
    let half = folder(&job, &[(5, 0), (0, 5)]);
    let (code, errors) = run(half.path(), &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(run(half.path(), &["--max-rejected", "50%"]).0, Some(0));
    assert_eq!(run(half.path(), &["--max-rejected", "49%"]).0, Some(1));
    let all = folder(&job, &[(0, 5), (0, 5)]);
    let (code, errors) = run(all.path(), &[]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("10 of 10"), "{errors}");
    let (code, errors) = run(all.path(), &["--max-rejected", "9"]);
    assert_eq!(code, Some(1), "{errors}");
}

#[test]
fn a_flood_of_rejected_rows_is_logged_as_a_few_and_a_number() {
    let folder = folder(JOB, &[(1, 5_000)]);
    let (code, errors) = run(folder.path(), &[]);
    assert_eq!(code, Some(0), "{errors}");
    let one_by_one = errors.matches("a piece of the input is no segment").count();
    assert_eq!(one_by_one, 10, "{errors}");
    assert!(errors.contains("and 4990 more pieces"), "{errors}");
}
