//! The floor: what source → map → map → sink costs when only the work itself is done. A thread per
//! task, bounded channels of the standard library, segments encoded between tasks with the
//! project's codec, and an ack per segment and task into a dense ring. No runtime.

use onyx::codec::{Decoder, Encoded, EncodedBuilder};
use onyx::segment::Key;
use onyx::{Segment, Value};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

const BATCH: u64 = 256;
const CHANNEL_BATCHES: usize = 32;
/// An encoded segment and some room, so that a builder does not grow.
const SEGMENT_BYTES: usize = 48;
/// More roots than the channels and the tasks between them can hold.
const RING: usize = 1 << 16;

/// What a run gave.
pub(crate) struct FloorResult {
    /// From the first segment read to the last root completed.
    pub(crate) elapsed: Duration,
    /// Of all threads.
    pub(crate) cpu_seconds: f64,
    /// Over all segments that reached the sink: see [`expected_checksum`].
    pub(crate) checksum: i64,
    /// How many roots the acker saw complete.
    pub(crate) completed: u64,
}

/// A batch between two tasks. Its roots are consecutive.
struct Batch {
    first_root: u64,
    payload: Encoded,
    ack_values: Vec<u64>,
}

/// The acks of one batch at one task: one value per root.
struct Acks {
    first_root: u64,
    values: Vec<u64>,
}

/// Runs so many segments through.
pub(crate) fn run(segments: u64) -> FloorResult {
    let cpu_before = cpu_seconds();
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let start = Instant::now();
    let (to_first, first) = sync_channel(CHANNEL_BATCHES);
    let (to_second, second) = sync_channel(CHANNEL_BATCHES);
    let (to_sink, sink) = sync_channel(CHANNEL_BATCHES);
    let (acks, to_ledger) = sync_channel(4 * CHANNEL_BATCHES);
    let (checksum, completed) = thread::scope(|scope| {
        let acks_of = || acks.clone();
        let (of_source, of_first, of_second) = (acks_of(), acks_of(), acks_of());
        scope.spawn(move || source(segments, &to_first, &of_source));
        scope.spawn(move || map(&first, &to_second, &of_first, Draws(1)));
        scope.spawn(move || map(&second, &to_sink, &of_second, Draws(2)));
        let sum = scope.spawn(move || total(&sink, &acks));
        let ledger = scope.spawn(move || ledger(&to_ledger));
        let join = "a task of the floor panicked";
        (sum.join().expect(join), ledger.join().expect(join))
    });
    FloorResult {
        elapsed: start.elapsed(),
        cpu_seconds: cpu_seconds() - cpu_before,
        checksum,
        completed,
    }
}

/// The sum of `id + 2 * value` over what the sink receives.
pub(crate) fn expected_checksum(segments: u64) -> i64 {
    let of = |id: i64| id.wrapping_add((2.0 * (value(id) + 2.0)) as i64);
    (0..segments as i64).fold(0, |sum, id| sum.wrapping_add(of(id)))
}

/// The value that the source gives a segment.
fn value(id: i64) -> f64 {
    (id % 1000) as f64 * 0.5
}

fn source(segments: u64, out: &SyncSender<Batch>, acks: &SyncSender<Acks>) {
    let keys = keys();
    let mut draws = Draws(0);
    let mut first_root = 0;
    while first_root < segments {
        let count = BATCH.min(segments - first_root);
        let mut payload = builder(count as usize);
        let mut ack_values = Vec::with_capacity(count as usize);
        for root in first_root..first_root + count {
            payload.push(&segment(&keys, root)).expect("a flat segment");
            ack_values.push(draws.next());
        }
        let values = ack_values.clone();
        send(out, first_root, payload, ack_values);
        let _ = acks.send(Acks { first_root, values });
        first_root += count;
    }
}

/// The keys of a segment.
pub(crate) fn keys() -> [Key; 3] {
    ["id", "name", "value"].map(Key::from)
}

/// The segment of a root.
pub(crate) fn segment(keys: &[Key; 3], root: u64) -> Segment {
    let id = root as i64;
    let mut segment = Segment::with_capacity(keys.len());
    *segment.push_place(&keys[0]) = Value::Int(id);
    *segment.push_place(&keys[1]) = Value::from(name(root).as_str());
    *segment.push_place(&keys[2]) = Value::Float(value(id));
    segment
}

/// What a segment adds to the check sum.
pub(crate) fn checked(segment: &Segment) -> i64 {
    let id = segment
        .get("id")
        .and_then(Value::as_int)
        .unwrap_or_default();
    let value = segment
        .get("value")
        .and_then(Value::as_float)
        .unwrap_or_default();
    id.wrapping_add((2.0 * value) as i64)
}

/// Ten characters.
fn name(root: u64) -> compact_str::CompactString {
    let mut text = *b"name000000";
    let mut rest = root;
    for digit in text[4..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    compact_str::CompactString::from_utf8(text).unwrap_or_default()
}

/// Adds one to the value of every segment.
fn map(
    input: &Receiver<Batch>,
    out: &SyncSender<Batch>,
    acks: &SyncSender<Acks>,
    mut draws: Draws,
) {
    let mut decoder = Decoder::default();
    for batch in input {
        let mut payload = builder(batch.payload.len());
        let mut values = batch.ack_values;
        let mut ack_values = Vec::with_capacity(values.len());
        for (index, fused) in values.iter_mut().enumerate() {
            let mut segment = decode(&batch.payload, index, &mut decoder);
            if let Some(Value::Float(value)) = segment.get_mut("value") {
                *value += 1.0;
            }
            payload.push(&segment).expect("a flat segment");
            let draw = draws.next();
            *fused ^= draw;
            ack_values.push(draw);
        }
        let first_root = batch.first_root;
        send(out, first_root, payload, ack_values);
        let _ = acks.send(Acks { first_root, values });
    }
}

/// Sums up what arrives.
fn total(input: &Receiver<Batch>, acks: &SyncSender<Acks>) -> i64 {
    let mut decoder = Decoder::default();
    let mut sum = 0_i64;
    for batch in input {
        for index in 0..batch.payload.len() {
            let segment = decode(&batch.payload, index, &mut decoder);
            sum = sum.wrapping_add(checked(&segment));
        }
        let _ = acks.send(Acks {
            first_root: batch.first_root,
            values: batch.ack_values,
        });
    }
    sum
}

/// Counts the roots whose acks cancel out.
fn ledger(input: &Receiver<Acks>) -> u64 {
    let mut ring = vec![0_u64; RING];
    let mut completed = 0;
    for acks in input {
        for (root, value) in (acks.first_root..).zip(acks.values) {
            let slot = &mut ring[root as usize % RING];
            *slot ^= value;
            completed += u64::from(*slot == 0);
        }
    }
    completed
}

fn builder(segments: usize) -> EncodedBuilder {
    EncodedBuilder::with_capacity(segments, segments * SEGMENT_BYTES)
}

fn decode(payload: &Encoded, index: usize, decoder: &mut Decoder) -> Segment {
    payload.decode(index, decoder).expect("what was encoded")
}

fn send(out: &SyncSender<Batch>, first_root: u64, payload: EncodedBuilder, ack_values: Vec<u64>) {
    // A receiver that is gone has panicked, which joining it reports.
    let _ = out.send(Batch {
        first_root,
        payload: payload.finish(),
        ack_values,
    });
}

/// Random draws at the price of a few instructions (splitmix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// User and system time of this process so far, where the system tells.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process may hold spaces; it ends with the last parenthesis.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS_PER_SECOND
}
