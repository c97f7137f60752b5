//! Pipes and files without an end: a poll neither waits nor runs for long.

use super::bench::{Bench, gzip_member};
use crate::plugins::{Input, Polled, ReadSegments, Start};
use flate2::Compression;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const PLUGINS: [&str; 2] = ["file/lines", "file/csv"];

fn pipe(plugin: &'static str) -> (Bench, Box<dyn Input>) {
    let bench = Bench::new(plugin, "pipe", "{}");
    make_pipe(&bench.path());
    let input = bench.input(Start::Fresh).unwrap();
    (bench, input)
}

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn writer(bench: &Bench) -> File {
    OpenOptions::new().write(true).open(bench.path()).unwrap()
}

fn poll(input: &mut dyn Input) -> (Polled, usize) {
    let mut read = ReadSegments::default();
    let polled = input.poll(256, &mut read).unwrap();
    assert_eq!(read.rejected, []);
    (polled, read.segments.len())
}

fn is_idle(polled: Polled) -> bool {
    matches!(polled, Polled::Idle(_))
}

#[test]
fn a_pipe_without_a_writer_is_idle() {
    for plugin in PLUGINS {
        let (_bench, mut input) = pipe(plugin);
        for _ in 0..3 {
            let (polled, segments) = poll(&mut *input);
            assert!(is_idle(polled) && segments == 0, "{plugin}");
        }
    }
}

#[test]
fn a_slow_pipe_gives_what_it_has_and_ends_with_its_writer() {
    for plugin in PLUGINS {
        let (bench, mut input) = pipe(plugin);
        let mut pipe = writer(&bench);
        pipe.write_all(b"a\n").unwrap();
        let (polled, header) = poll(&mut *input);
        assert!(is_idle(polled), "{plugin}");
        // The header of a CSV file is no row.
        assert_eq!(header, usize::from(plugin == "file/lines"));
        pipe.write_all(b"1\n2\nthr").unwrap();
        let (polled, rows) = poll(&mut *input);
        assert!(is_idle(polled) && rows == 2, "{plugin} {rows}");
        pipe.write_all(b"ee").unwrap();
        drop(pipe);
        let mut rows = 0;
        loop {
            let (polled, more) = poll(&mut *input);
            rows += more;
            if polled == Polled::Exhausted {
                break;
            }
        }
        assert_eq!(rows, 1, "{plugin}");
    }
}

#[test]
fn a_compressed_pipe_is_read_as_it_comes() {
    let bench = Bench::new("file/lines", "pipe.gz", "{}");
    make_pipe(&bench.path());
    let mut input = bench.input(Start::Fresh).unwrap();
    let mut pipe = writer(&bench);
    let member = gzip_member(b"to be\n", Compression::default());
    let mut lines = 0;
    // Byte by byte, so that every part of a header and of the data is waited for.
    for byte in [&member[..], &member].concat() {
        pipe.write_all(&[byte]).unwrap();
        let (polled, more) = poll(&mut *input);
        lines += more;
        assert!(is_idle(polled));
    }
    drop(pipe);
    let (polled, more) = poll(&mut *input);
    assert_eq!((polled, lines + more), (Polled::Exhausted, 2));
}

#[test]
fn a_pipe_whose_writer_wrote_nothing_is_empty() {
    for plugin in PLUGINS {
        let (bench, mut input) = pipe(plugin);
        drop(writer(&bench));
        assert_eq!(poll(&mut *input), (Polled::Exhausted, 0), "{plugin}");
    }
}

#[test]
fn a_poll_of_a_line_without_an_end_ends() {
    let (bench, mut input) = pipe("file/lines");
    drop(bench);
    assert!(is_idle(poll(&mut *input).0));
    for plugin in PLUGINS {
        let bench = Bench::new(plugin, "sparse", "{}");
        let file = File::create(bench.path()).unwrap();
        file.set_len(1 << 40).unwrap();
        let mut input = bench.input(Start::Fresh);
        // The one line is the header of the CSV file, and too long for that.
        if let Ok(input) = &mut input {
            let mut read = ReadSegments::default();
            for _ in 0..3 {
                assert_eq!(
                    input.poll(256, &mut read).unwrap(),
                    Polled::More,
                    "{plugin}"
                );
            }
            assert_eq!(read.rejected.len(), 1);
        }
        assert_eq!(input.is_ok(), plugin == "file/lines");
    }
}
