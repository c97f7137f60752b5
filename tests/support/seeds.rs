//! Inputs as they really are: where the fuzzer begins.

use crate::cluster::Cluster;
use crate::fuzz::{forge, joined};
use crate::script::Script;
use onyx::acking::{
    Ack, AckGroup, AckMessage, Cause, Completions, Inquiry, Progress, Reach, Retries,
};
use onyx::codec::{Batch, BatchMeta, EncodedBuilder, Origin, Row, to_payload};
use onyx::ids::{IdSource, LogPosition, PeerId};
use onyx::messaging::{
    Control, Envelope, InboxKind, LinkId, Message, Open, RefuseReason, SegmentsMessage,
    encode_control, encode_frame,
};
use onyx::replica::view::view;
use onyx::segment::{Segment, Value};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Longer inputs are left out: the fuzzer makes none of that length.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// The inputs of one target.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        "frames" => frames(),
        "segments" => segments(),
        "acks" => acks(),
        "entries" => logs().iter().map(payloads).collect(),
        "jobs" => jobs(),
        "replicas" => logs().iter().flat_map(questions).collect(),
        other => panic!("what are the seeds of {other}?"),
    };
    seeds.retain(|seed| seed.len() <= INPUT_BYTES_MAX);
    assert!(!seeds.is_empty(), "no seeds of {target}");
    seeds
}

fn peer(seed: u64) -> PeerId {
    IdSource::from_seed(seed).peer()
}

fn envelope() -> Envelope {
    Envelope {
        cluster: forge::CLUSTER,
        epoch: 7,
        link: LinkId(9),
        sequence: 77,
    }
}

fn flights() -> Vec<Segment> {
    let text = fs::read_to_string("examples/data/flights-20k.csv").expect("the flights");
    let flight = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let delay: i64 = fields[1].parse().expect("minutes");
        let mut flight: Segment = [("date", fields[0]), ("origin", fields[3])]
            .into_iter()
            .collect();
        flight.set("delay", delay);
        flight.set("late", delay > 15);
        flight
    };
    text.lines().skip(1).take(12).map(flight).collect()
}

/// One of every kind of value.
fn mixture() -> Segment {
    let mut inner = Segment::new();
    inner.set("bytes", Value::Bytes(vec![0, 255].into()));
    inner.set("nothing", Value::Null);
    let numbers = [
        0,
        -1,
        127,
        -33,
        255,
        -129,
        70_000,
        -70_000,
        i64::MAX,
        i64::MIN,
    ];
    let mut segment = Segment::new();
    segment.set("numbers", Value::from(numbers.map(Value::Int).to_vec()));
    segment.set(
        "floats",
        Value::from(vec![Value::Float(-0.0), Value::Float(f64::NAN)]),
    );
    segment.set("inner", inner);
    segment.set("text", "naïve ".repeat(8));
    segment.set(
        "deep",
        (0..20).fold(Value::Null, |value, _| Value::from(vec![value])),
    );
    segment
}

fn encoded(segment: &Segment) -> Vec<u8> {
    let mut bytes = Vec::new();
    onyx::codec::encode(segment, &mut bytes).expect("a segment");
    bytes
}

fn batches() -> Vec<Batch> {
    let origin = |seed| Origin {
        source: peer(seed),
        acker: peer(seed + 10),
        epoch: seed,
        traced: seed as u32,
    };
    let mut payload = EncodedBuilder::default();
    let flights = flights();
    for flight in &flights {
        payload.push(flight).expect("a flight");
    }
    let payload = payload.finish();
    let consecutive = BatchMeta::of_roots(origin(1), 41, flights.len());
    let rows = (0..flights.len() as u64).map(|n| Row {
        origin: (n % 2) as u16,
        root: n * n,
        ack_value: u64::MAX - n,
    });
    let scattered = BatchMeta::from_rows(vec![origin(1), origin(2)], rows).expect("rows");
    [consecutive, scattered]
        .map(|meta| Batch::new(meta, payload.clone()).expect("a batch"))
        .into()
}

fn segments() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = flights().iter().take(2).map(encoded).collect();
    seeds.push(encoded(&mixture()));
    for batch in batches() {
        let mut bytes = Vec::new();
        batch.write_to(&mut bytes).expect("a batch");
        seeds.push(bytes);
    }
    seeds
}

fn framed(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&envelope(), message, &mut frame).expect("a frame");
    frame
}

fn frames() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = books().iter().map(framed).collect();
    for batch in batches() {
        frames.push(framed(&Message::Segments(SegmentsMessage {
            job: IdSource::from_seed(3).job(),
            task: "enrich".into(),
            sender: peer(4),
            version: LogPosition(5),
            batch,
        })));
    }
    let link = LinkId(5);
    let open = Control::Open(Open {
        link,
        sent: 3,
        limit: 9,
        heard: 2,
        inbox: InboxKind::Acker,
        peer: peer(6),
        site: "aeron:1@127.0.0.1:40123/7".into(),
    });
    let reason = RefuseReason::Gap;
    let words = [
        open,
        Control::Grant {
            link,
            limit: 12,
            taken: 5,
            number: 3,
        },
        Control::Refuse { link, reason },
        Control::Leave { link },
    ];
    for word in words {
        let mut frame = Vec::new();
        encode_control(&envelope(), &word, &mut frame).expect("a frame");
        frames.push(frame);
    }
    let forged: Vec<Vec<u8>> = frames.iter().map(|frame| forge::input(frame)).collect();
    [frames, forged].concat()
}

/// Acks that complete roots, one message of them twice, and what else is said about roots.
fn books() -> Vec<Message> {
    let acks = |sequence, value| {
        let acks = (0..20).map(|root| Ack { root, value });
        let group = AckGroup {
            source: peer(1),
            epoch: 1,
            reach: Reach::Written,
            acks: acks.collect(),
        };
        Message::Acks(AckMessage {
            sender: peer(2),
            epoch: 4,
            sequence,
            groups: vec![group],
        })
    };
    let (source, epoch, roots) = (peer(1), 1, vec![3, 1, u64::MAX]);
    vec![
        acks(1, 99),
        acks(2, 99),
        acks(1, 99),
        Message::Completions(Completions {
            source,
            epoch,
            reach: Reach::Inside,
            roots: roots.clone(),
        }),
        Message::Retries(Retries {
            source,
            epoch,
            cause: Cause::Asked,
            reason: "asked for".into(),
            roots: roots.clone(),
        }),
        Message::Inquiry(Inquiry {
            source,
            epoch,
            number: 4,
            quiet_ms: 60_000,
            roots: roots.clone(),
        }),
        Message::Progress(Progress {
            source,
            epoch,
            number: 4,
            by: peer(2),
            alive: roots,
        }),
    ]
}

fn acks() -> Vec<Vec<u8>> {
    let inputs: Vec<Vec<u8>> = books().iter().map(|it| forge::input(&framed(it))).collect();
    let alone = inputs.iter().map(|input| joined([input.as_slice()]));
    let together = joined(inputs.iter().map(Vec::as_slice));
    alone.chain([together]).collect()
}

/// The logs of all scripts.
fn logs() -> Vec<Cluster> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log_scripts");
    let files = fs::read_dir(folder).expect("the folder of scripts");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let log = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).expect("a script");
        let mut script = Script::default();
        for part in text.split("\n\n") {
            let typed = part.split("----").next().unwrap_or_default().lines();
            for line in typed.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                script.run(line);
            }
        }
        script.cluster
    };
    paths.iter().map(log).collect()
}

fn payloads(log: &Cluster) -> Vec<u8> {
    let payload = |step: &onyx::log::Step| match &step.entry {
        Ok(entry) => to_payload(entry).expect("an entry"),
        Err(_) => b"noise".to_vec(),
    };
    let payloads: Vec<Vec<u8>> = log.steps.iter().map(|step| payload(step)).collect();
    joined(payloads.iter().map(Vec::as_slice))
}

/// What one of the last entries of a log does, asked as people ask it.
fn questions(log: &Cluster) -> Vec<Vec<u8>> {
    let asked = log.steps.iter().rev().skip(2).take(1).filter_map(|step| {
        let entry = step.entry.as_ref().ok()?;
        let question = json!({ "replica": view(&step.old), "entries": [entry] });
        Some(question.to_string().into_bytes())
    });
    asked.collect()
}

fn jobs() -> Vec<Vec<u8>> {
    let flights = fs::read_to_string("examples/flights/job.yaml").expect("the example");
    let words = r#"{"name": "words", "workflow": [["read", "split"], ["split", "write"]],
 "catalog": [{"name": "read", "type": "input", "plugin": "file/lines", "path": "a.txt"},
  {"name": "split", "type": "function", "function": "expr/map", "set": {"n": "text.size() + 1"}},
  {"name": "write", "type": "output", "plugin": "file/json-lines", "path": "b.jsonl"}]}"#;
    let keep = "name: x\nworkflow: [[a, b], [b, c]]\ncatalog:\n- &t {name: a, type: input, plugin: \
                file/csv, path: x.csv}\n- {name: b, type: function, function: expr/filter, where: \
                \"a.b[0] > 1 && ['x'].exists(i, i == c)\", min-peers: 2}\n- {name: c, type: output, \
                plugin: file/csv, path: y.csv, fields: [a]}\n";
    [flights.as_str(), words, keep]
        .map(|text| text.as_bytes().to_vec())
        .into()
}
