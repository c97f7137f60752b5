//! Output files, from outside: two processes that write one path, programs that touch a file that is being
//! written, and outputs that are no regular files.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

#[path = "support/process.rs"]
mod process;

use process::{Errors, Process, onyx, pause};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const JOB: &str = "\
name: copy
workflow: [[read, write]]
catalog:
  - { name: read, type: input, plugin: file/csv, path: in.csv, types: { n: int }, batch-timeout-ms: 20 }
  - { name: write, type: output, plugin: file/json-lines, path: out.jsonl }
";

struct Ground(TempDir);

/// A folder with a job, and an input of 1,000 rows.
fn ground() -> Ground {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("job.yaml"), JOB).unwrap();
    let rows: String = (0..1000).map(|n| format!("{n}\n")).collect();
    fs::write(folder.path().join("in.csv"), format!("n\n{rows}")).unwrap();
    Ground(folder)
}

impl Ground {
    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, set: &[&str]) -> Command {
        let mut words = vec!["run", "job.yaml"];
        words.extend(set.iter().flat_map(|it| ["--set", *it]));
        let mut command = onyx(&words);
        command.current_dir(self.0.path());
        command
    }

    fn run(&self, set: &[&str]) -> Output {
        self.command(set).output().unwrap()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn pipe(&self, name: &str) -> PathBuf {
        let made = Command::new("mkfifo").arg(self.at(name)).status();
        assert!(made.unwrap().success());
        self.at(name)
    }

    /// A run that reads a pipe and so lasts until the pipe is closed: with its first row written.
    fn lasting(&self, set: &[&str]) -> (Process, File) {
        let pipe = self.pipe("rows");
        let set = [&["read.path=rows"], set].concat();
        let process = Process::start(&mut self.command(&set), Errors::Kept);
        let mut rows = OpenOptions::new().write(true).open(pipe).unwrap();
        // More than is read at once.
        rows.write_all(&lines(20_000)).unwrap();
        self.wait(|| fs::metadata(self.at("out.jsonl.part")).is_ok_and(|it| it.len() > 0));
        (process, rows)
    }

    fn wait(&self, condition: impl Fn() -> bool) {
        while !condition() {
            pause(Duration::from_millis(10));
        }
    }

    /// Nothing hidden is left, such as the file of a lock.
    fn is_tidy(&self) {
        let names = fs::read_dir(self.0.path()).unwrap();
        let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
        let hidden: Vec<String> = names.filter(|it| it.starts_with('.')).collect();
        assert_eq!(hidden, Vec::<String>::new());
    }
}

fn lines(count: usize) -> Vec<u8> {
    let rows: String = (0..count).map(|n| format!("{n}\n")).collect();
    format!("n\n{rows}").into_bytes()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_run_that_writes_the_file_of_a_first_is_refused_with_who_writes_it() {
    let ground = ground();
    let (mut first, rows) = ground.lasting(&[]);
    let link = ground.at("link.jsonl");
    std::os::unix::fs::symlink("out.jsonl", &link).unwrap();
    for path in ["out.jsonl", "./out.jsonl", "link.jsonl"] {
        let second = ground.run(&[&format!("write.path={path}")]);
        assert_eq!(second.status.code(), Some(1), "{path}: {}", err(&second));
        let holder = format!("process {} (`onyx-node run`)", first.id());
        for part in ["out.jsonl", "it is being written by job ", &holder] {
            assert!(err(&second).contains(part), "{path}: {}", err(&second));
        }
    }
    drop(rows);
    let (code, log) = first.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(ground.text("out.jsonl").lines().count(), 20_000);
    ground.is_tidy();
    // What is sealed may be replaced, and the link stays one.
    assert_eq!(
        ground.run(&["write.path=link.jsonl"]).status.code(),
        Some(0)
    );
    assert_eq!(ground.text("out.jsonl").lines().count(), 1000);
    assert!(link.is_symlink());
}

#[test]
fn the_lock_of_a_run_dies_with_it() {
    let ground = ground();
    let (mut first, _rows) = ground.lasting(&[]);
    first.kill();
    assert!(ground.at(".out.jsonl.lock").exists());
    let second = ground.run(&[]);
    assert_eq!(second.status.code(), Some(0), "{}", err(&second));
    assert_eq!(ground.text("out.jsonl").lines().count(), 1000);
    ground.is_tidy();
}

#[test]
fn two_runs_that_reject_into_one_file_are_refused() {
    let ground = ground();
    fs::write(ground.at("in.csv"), "n\n1\nodd\n").unwrap();
    let (mut first, mut rows) = ground.lasting(&["read.dead-letter=dead.jsonl"]);
    let second = ground.run(&["read.dead-letter=dead.jsonl", "write.path=other.jsonl"]);
    assert_eq!(second.status.code(), Some(1), "{}", err(&second));
    let holder = format!("process {} (`onyx-node run`)", first.id());
    assert!(err(&second).contains(&holder), "{}", err(&second));
    rows.write_all(b"odd\n").unwrap();
    drop(rows);
    let (code, log) = first.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(ground.text("dead.jsonl").lines().count(), 1);
    ground.is_tidy();
}

#[test]
fn a_run_whose_file_was_removed_or_emptied_does_not_complete() {
    let meddlers: [fn(&Path); 2] = [
        |part| fs::remove_file(part).unwrap(),
        |part| fs::write(part, "").unwrap(),
    ];
    for meddle in meddlers {
        let ground = ground();
        fs::write(ground.at("out.jsonl"), "of an earlier job\n").unwrap();
        let (mut run, rows) = ground.lasting(&[]);
        meddle(&ground.at("out.jsonl.part"));
        drop(rows);
        let (code, log) = run.end();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("another program has"), "{log}");
        assert_eq!(ground.text("out.jsonl"), "of an earlier job\n");
    }
}

#[test]
fn dead_letters_that_were_removed_fail_their_job() {
    let ground = ground();
    let (mut run, mut rows) = ground.lasting(&["read.dead-letter=dead.jsonl"]);
    rows.write_all(b"odd\n").unwrap();
    rows.write_all(&lines(20_000)[2..]).unwrap();
    ground.wait(|| ground.at("dead.jsonl").exists());
    fs::remove_file(ground.at("dead.jsonl")).unwrap();
    drop(rows);
    let (code, log) = run.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("dead letters are not whole"), "{log}");
}

#[test]
fn a_standard_output_that_is_appended_to_a_file_keeps_what_was_in_it() {
    for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let ground = ground();
        fs::write(ground.at("all"), "before\n").unwrap();
        let all = OpenOptions::new().append(true).open(ground.at("all"));
        let mut command = ground.command(&[&format!("write.path={path}")]);
        let status = command.stdout(all.unwrap()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(0));
        let text = ground.text("all");
        assert!(text.starts_with("before\n"), "{path}: {text}");
        let rows = text.lines().filter(|it| it.starts_with("{\"n\":")).count();
        assert_eq!(rows, 1000, "{path}");
        assert!(text.contains("job copy: completed"), "{path}: {text}");
        assert!(!ground.at("all.part").exists());
    }
}

#[test]
fn a_standard_output_that_begins_a_file_has_rows_and_summary_one_after_the_other() {
    let ground = ground();
    let all = File::create(ground.at("all")).unwrap();
    let mut command = ground.command(&["write.path=/dev/stdout"]);
    let status = command.stdout(all).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let text = ground.text("all");
    let rows = text.lines().filter(|it| it.starts_with("{\"n\":")).count();
    assert_eq!(rows, 1000, "{text}");
    assert!(text.contains("job copy: completed"), "{text}");
}

#[test]
fn a_pipe_is_read_while_it_is_written_and_a_reader_that_left_fails_the_job() {
    let ground = ground();
    let pipe = ground.pipe("pipe");
    let mut run = Process::start(&mut ground.command(&["write.path=pipe"]), Errors::Kept);
    let read = fs::read_to_string(&pipe).unwrap();
    assert_eq!(run.end().0, Some(0));
    assert_eq!(read.lines().count(), 1000);
    let rows = lines(100_000);
    fs::write(ground.at("in.csv"), rows).unwrap();
    let mut run = Process::start(&mut ground.command(&["write.path=pipe"]), Errors::Kept);
    drop(File::open(&pipe).unwrap());
    let (code, log) = run.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("its reader has left"), "{log}");
    assert!(!ground.at("pipe.part").exists());
}

#[test]
fn a_run_without_a_reader_of_its_pipe_ends_by_a_signal() {
    let ground = ground();
    ground.pipe("pipe");
    let mut run = Process::start(&mut ground.command(&["write.path=pipe"]), Errors::Kept);
    run.warns();
    let (code, log) = run.end_by("TERM");
    assert_eq!(code, Some(143), "{log}");
    assert!(!ground.at("pipe.part").exists());
}

#[test]
fn a_killed_job_names_only_files_that_are_there() {
    let ground = ground();
    let broken = ground.at("in.csv");
    fs::write(&broken, "n\n1\n").unwrap();
    fs::write(ground.at("out.jsonl"), "of an earlier job\n").unwrap();
    let (mut run, rows) = ground.lasting(&[]);
    fs::remove_file(ground.at("out.jsonl.part")).unwrap();
    drop(rows);
    let mut line = run.line();
    let mut summary = String::new();
    while !line.is_empty() {
        summary.push_str(&line);
        line = run.line();
    }
    assert_eq!(run.end().0, Some(1));
    assert!(summary.starts_with("job copy: killed"), "{summary}");
    assert!(summary.contains("write: "), "{summary}");
    assert!(!summary.contains("out.jsonl"), "{summary}");
}
