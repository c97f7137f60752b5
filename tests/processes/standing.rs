//! The memory of a cluster while an output stands still, as its processes have it.

use super::*;
use std::io::BufReader;

/// What bounds the memory of the job whose output stands still.
mod bounds {
    pub(super) const ROWS: usize = 60_000;
    pub(super) const ROW_BYTES: usize = 1_000;
    pub(super) const MAX_PENDING: u64 = 8_000;
    pub(super) const MAX_PENDING_BYTES: u64 = 6 << 20;
    pub(super) const INBOX_BATCHES: u64 = 8;
    pub(super) const TERM_BYTES: u64 = 1 << 20;
    /// What a read that is under way needs besides its bytes, in its input and its ledger.
    const ROOT_BYTES: u64 = 512;
    const PLACE_BYTES: u64 = 64 * 1024;
    /// One slot reads, four work, and one writes what the four send.
    const LINKS: u64 = 4 + 4;
    const INBOXES: u64 = 4 + 1;
    /// Each process has a way to the other, and both its ends are in memory.
    const STREAMS: u64 = 2 * 2;

    /// As docs/messaging.md has it.
    pub(super) const BYTES: u64 = MAX_PENDING_BYTES
        + MAX_PENDING * ROOT_BYTES
        + (INBOXES * INBOX_BATCHES + LINKS * 2) * PLACE_BYTES
        + STREAMS * 3 * TERM_BYTES;
}

const STANDING: &str = "\
name: standing
acker-percentage: 100
workflow:
  - [read, keep]
  - [keep, write]
catalog:
  - name: read
    type: input
    plugin: file/lines
    path: in.txt
    n-peers: 1
    max-pending: 8000
    max-pending-bytes: 6291456
  - name: keep
    type: function
    fn: expr/filter
    where: line > 0
    n-peers: 4
  - name: write
    type: output
    plugin: file/json-lines
    path: out.jsonl
    n-peers: 1
";

/// Between two looks at the memory of a process.
const MOMENT: Duration = Duration::from_millis(50);

/// How many bytes of memory the processes of some nodes have.
fn resident(nodes: &mut [Node]) -> u64 {
    let of = |node: &mut Node| -> u64 {
        let status = format!("/proc/{}/status", node.process().id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    };
    nodes.iter_mut().map(of).sum()
}

/// An output that stops for so long.
fn standing_time() -> Duration {
    let seconds = std::env::var("STANDING_SECONDS").ok();
    Duration::from_secs(seconds.map_or(10, |text| text.parse().unwrap()))
}

/// Two nodes, and a folder with what they read and where they write.
struct Stage {
    folder: TempDir,
    nodes: [Node; 2],
    _coordination: Aside<()>,
}

/// What was seen while an output stood still, in each half of the time.
struct Standing {
    resident_max: [u64; 2],
    read: [u64; 2],
}

impl Stage {
    fn set() -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let row = |n: usize| format!("{n:0width$}\n", width = bounds::ROW_BYTES - 1);
        for (file, rows) in [("few.txt", 2_000), ("in.txt", bounds::ROWS)] {
            fs::write(at(file), (0..rows).map(row).collect::<String>()).unwrap();
        }
        let made = Command::new("mkfifo").arg(at("pipe")).status();
        assert!(made.unwrap().success());
        let options = [
            ("MESSAGING__INBOX_BATCHES", bounds::INBOX_BATCHES.into()),
            ("MESSAGING__TERM_BYTES", bounds::TERM_BYTES.into()),
        ];
        let options = options.map(|(name, value): (_, u128)| (name, value.to_string()));
        let coordination = coordination();
        let nodes = [0, 1].map(|_| start_with(&coordination, folder.path(), "aeron", &options));
        nodes.iter().for_each(Node::joined);
        Stage {
            folder,
            nodes,
            _coordination: coordination,
        }
    }

    /// Submits the job, and answers with its path.
    fn submit(&self, input: &str, output: &str) -> String {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let job = STANDING.replace("in.txt", &at(input));
        let job = self.nodes[0].submit(&job.replace("out.jsonl", &at(output)));
        format!("/jobs/{job}")
    }

    fn watch(&mut self, stands: Duration, job: &str) -> Standing {
        let read = |node: &Node| node.answer(job)["account-here"]["in"].as_u64();
        let moments = stands.as_millis() / MOMENT.as_millis() / 2;
        let mut seen = Standing {
            resident_max: [0; 2],
            read: [0; 2],
        };
        for half in 0..2 {
            for _ in 0..moments {
                let now = resident(&mut self.nodes);
                seen.resident_max[half] = now.max(seen.resident_max[half]);
                pause(MOMENT);
            }
            seen.read[half] = self.nodes.iter().filter_map(read).sum();
        }
        seen
    }
}

#[test]
fn memory_stays_within_its_bound_while_an_output_stands_still() {
    let stands = standing_time();
    let mut stage = Stage::set();
    // Code and arenas that are needed anyway are there when it is counted from here.
    let few = stage.submit("few.txt", "few.jsonl");
    stage.nodes[0].until(&few, |job| job["state"] == "completed");
    let before = resident(&mut stage.nodes);

    let job = stage.submit("in.txt", "pipe");
    let begun = |job: &Value| job["account"]["in"].as_u64() > Some(0);
    stage.nodes[0].until(&job, begun);
    let Standing { resident_max, read } = stage.watch(stands, &job);
    let grown = resident_max.map(|most| most.saturating_sub(before));
    let bound = bounds::BYTES;
    let seen =
        format!("{before} bytes; grown by {grown:?} of {bound} in {stands:?}; {read:?} read");
    println!("{seen}");
    assert!(grown.iter().all(|grown| *grown < bound), "{seen}");
    assert!(grown[1] <= grown[0] + (1 << 20), "goes on growing: {seen}");
    assert!(
        read[0] == read[1] && read[1] < bounds::ROWS as u64,
        "{seen}"
    );

    let pipe = fs::File::open(stage.folder.path().join("pipe")).unwrap();
    let rows = serde_json::Deserializer::from_reader(BufReader::new(pipe));
    let rows = rows.into_iter::<Value>();
    let lines = rows.map(|row| row.unwrap()["line"].as_u64().unwrap());
    let lines: BTreeSet<u64> = lines.collect();
    let expected = 1..=bounds::ROWS as u64;
    assert!(lines.into_iter().eq(expected), "rows are missing");
    let ended = stage.nodes[0].until(&job, |job| job["state"] == "completed");
    assert_eq!(ended["account"]["unaccounted"], 0);
}
