//! The job of the flights, what goes in, and what has to come out: computed here, without Onyx.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The job over one file of flights.
pub(crate) struct Flights {
    input: PathBuf,
    out: PathBuf,
    pub(crate) rows: u64,
    expected: BTreeMap<&'static str, Lines>,
}

/// Lines as a multiset, by hash: so many lines would not fit as text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines(BTreeMap<u64, u32>);

/// The outputs beside what they had to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Difference {
    pub(crate) missing: u64,
    /// Lines more often than they should be.
    pub(crate) duplicates: u64,
    /// Lines that should not be there at all.
    pub(crate) foreign: u64,
}

/// The tasks that write, and whether their output has the flights that were late only.
const OUTPUTS: [(&str, bool); 2] = [("all", false), ("late", true)];

impl Flights {
    /// Prepares the input in `folder`: the file that is given, else the sample so many times over,
    /// each time with dates of its own, so that no two rows are equal.
    pub(crate) fn prepare(folder: &Path, given: Option<&Path>, times: u32) -> Self {
        let text = match given {
            Some(file) => read(file),
            None => many(&read(Path::new("examples/data/flights-20k.csv")), times),
        };
        let input = folder.join("flights.csv");
        fs::write(&input, &text).unwrap();
        let mut flights = Flights {
            input,
            out: folder.join("out"),
            rows: 0,
            expected: OUTPUTS.map(|(name, _)| (name, Lines::default())).into(),
        };
        for row in text.lines().skip(1) {
            flights.expect(row);
        }
        flights
    }

    fn expect(&mut self, row: &str) {
        self.rows += 1;
        let fields: Vec<_> = row.split(',').collect();
        let [date, delay, distance, origin, destination] = fields[..] else {
            panic!("a row has five fields: {row}");
        };
        let late = delay.parse::<i64>().unwrap() > 15;
        let line = format!(
            "{{\"date\":\"{date}\",\"delay\":{delay},\"distance\":{distance},\
             \"origin\":\"{origin}\",\"destination\":\"{destination}\",\"late\":{late},\
             \"route\":\"{origin}-{destination}\"}}"
        );
        for (name, late_only) in OUTPUTS {
            if late || !late_only {
                self.expected.get_mut(name).unwrap().add(&line);
            }
        }
    }

    /// The job file. Outputs of earlier jobs are gone then.
    pub(crate) fn job(&self, round: u32) -> String {
        if self.out.exists() {
            fs::remove_dir_all(&self.out).unwrap();
        }
        let (input, out) = (self.input.display(), self.out.display());
        let mut job = format!(
            "name: flights-{round}\nworkflow:\n  - [read, derive]\n  - [derive, keep-late]\n  \
             - [keep-late, write-late]\n  - [derive, write-all]\ncatalog:\n"
        );
        let tasks = [
            format!(
                "read, type: input, plugin: file/csv, path: {input}, \
                 types: {{ delay: int, distance: int }}"
            ),
            "derive, type: function, fn: expr/map, \
             set: { late: delay > 15, route: origin + '-' + destination }"
                .to_owned(),
            "keep-late, type: function, fn: expr/filter, where: late".to_owned(),
            format!("write-late, type: output, plugin: file/json-lines, path: {out}/late.jsonl"),
            format!("write-all, type: output, plugin: file/json-lines, path: {out}/all.jsonl"),
        ];
        for task in tasks {
            writeln!(job, "  - {{ name: {task} }}").unwrap();
        }
        job
    }

    /// How many bytes the outputs have.
    pub(crate) fn written(&self) -> u64 {
        let sizes = self
            .files()
            .map(|file| fs::metadata(file).map_or(0, |file| file.len()));
        sizes.sum()
    }

    /// How many bytes the outputs have when nothing is written twice.
    pub(crate) fn bytes_of(expected_rows: u64) -> u64 {
        // A line of the sample has about 140 bytes, and a fifth of the rows are written twice.
        expected_rows * 165
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.out).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path())
    }

    /// Compares all outputs.
    pub(crate) fn compare(&self) -> Difference {
        let mut difference = Difference::default();
        for (name, expected) in &self.expected {
            let mut found = Lines::default();
            let of_output = |file: &PathBuf| {
                let file = file.file_name().unwrap().to_string_lossy().into_owned();
                file.starts_with(name)
            };
            for file in self.files().filter(of_output) {
                let mut lines = BufReader::new(File::open(file).unwrap());
                let mut line = String::new();
                while lines.read_line(&mut line).unwrap() > 0 {
                    found.add(line.trim_end_matches('\n'));
                    line.clear();
                }
            }
            difference.add(expected, &found);
        }
        difference
    }
}

impl Lines {
    fn add(&mut self, line: &str) {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        *self.0.entry(hasher.finish()).or_default() += 1;
    }
}

impl Difference {
    fn add(&mut self, expected: &Lines, found: &Lines) {
        for (line, count) in &expected.0 {
            let found = found.0.get(line).copied().unwrap_or(0);
            self.missing += u64::from(count.saturating_sub(found));
            self.duplicates += u64::from(found.saturating_sub(*count));
        }
        let foreign = found
            .0
            .iter()
            .filter(|(line, _)| !expected.0.contains_key(line));
        self.foreign += foreign.map(|(_, count)| u64::from(*count)).sum::<u64>();
    }
}

fn read(file: &Path) -> String {
    let mut text = String::new();
    let opened = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    if file.extension().is_some_and(|extension| extension == "gz") {
        let mut unpacked = flate2::read::MultiGzDecoder::new(opened);
        unpacked.read_to_string(&mut text).unwrap();
    } else {
        BufReader::new(opened).read_to_string(&mut text).unwrap();
    }
    text
}

fn many(sample: &str, times: u32) -> String {
    let (head, rows) = sample.split_once('\n').unwrap();
    let mut text = Vec::new();
    writeln!(text, "{head}").unwrap();
    for time in 0..times {
        for (number, row) in rows.lines().enumerate() {
            let (_, others) = row.split_once(',').unwrap();
            writeln!(text, "{time}-{number},{others}").unwrap();
        }
    }
    String::from_utf8(text).unwrap()
}
