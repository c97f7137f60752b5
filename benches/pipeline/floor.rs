//! The floor: what source → maps → sink costs when only the work itself is done. A thread per task, bounded channels of the standard library, segments encoded between tasks with the
//! project's codec, and an ack per segment and task into a dense ring. No runtime.

use crate::chain::Chain;
use crate::cpu::cpu_seconds;
use onyx::codec::{Decoder, Encoded, EncodedBuilder};
use onyx::segment::Key;
use onyx::{Segment, Value};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

const CHANNEL_BATCHES: usize = 32;
/// An encoded segment without its text, and some room, so that a builder does not grow.
const SEGMENT_BYTES: usize = 38;
/// How many a segment with the shortest text takes: the head of the map, three names of fields, the
/// text, a float and an integer of mostly three or five bytes.
pub(crate) const ENCODED_BYTES: usize = 41;
/// The text of a segment has no fewer bytes.
pub(crate) const TEXT_MIN: usize = 10;
/// … and about so many at most.
pub(crate) const TEXT_MAX: usize = 64 << 10;
static FILLING: LazyLock<String> = LazyLock::new(|| "x".repeat(TEXT_MAX));
/// More roots than the channels and the tasks between them can hold.
const RING: usize = 1 << 16;

/// What a run gave.
pub(crate) struct FloorResult {
    /// From the first segment read to the last root completed.
    pub(crate) elapsed: Duration,
    /// Of all threads.
    pub(crate) cpu_seconds: f64,
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

impl FloorResult {
    /// Segments in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.completed as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs the segments of a chain through one thread for each of its tasks, and checks what came out.
pub(crate) fn run(chain: Chain) -> FloorResult {
    let next = |taken| chain.segments.min(taken + chain.batch() as u64);
    run_with(chain, next, |_| {})
}

/// The same, but for who says how many segments are due when so many were taken, and hears of each that
/// reaches the sink.
pub(crate) fn run_with(
    chain: Chain,
    due: impl Fn(u64) -> u64 + Send,
    arrived: impl Fn(u64) + Send,
) -> FloorResult {
    let cpu_before = cpu_seconds("self");
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let start = Instant::now();
    let (out, mut next) = sync_channel(CHANNEL_BATCHES);
    let (acks, to_ledger) = sync_channel(4 * CHANNEL_BATCHES);
    let (checksum, completed) = thread::scope(|scope| {
        let of_source = acks.clone();
        scope.spawn(move || source(chain, due, &out, &of_source));
        for at in 1..=chain.maps {
            let (out, following) = sync_channel(CHANNEL_BATCHES);
            let (input, acks) = (std::mem::replace(&mut next, following), acks.clone());
            scope.spawn(move || map(&input, &out, &acks, (Draws(at as u64), chain)));
        }
        let sum = scope.spawn(move || total(&next, arrived, &acks));
        let ledger = scope.spawn(move || ledger(&to_ledger));
        let join = "a task of the floor panicked";
        (sum.join().expect(join), ledger.join().expect(join))
    });
    let elapsed = start.elapsed();
    assert_eq!(
        checksum,
        expected_checksum(chain),
        "the floor lost something"
    );
    assert_eq!(completed, chain.segments, "the floor lost an ack");
    FloorResult {
        elapsed,
        cpu_seconds: cpu_seconds("self") - cpu_before,
        completed,
    }
}

/// The sum of `id + 2 * value` over what the sink receives.
pub(crate) fn expected_checksum(chain: Chain) -> i64 {
    let added = chain.maps as f64;
    let of = |id: i64| id.wrapping_add((2.0 * (value(id) + added)) as i64);
    (0..chain.segments as i64).fold(0, |sum, id| sum.wrapping_add(of(id)))
}

/// The value that the source gives a segment.
fn value(id: i64) -> f64 {
    (id % 1000) as f64 * 0.5
}

fn source(
    chain: Chain,
    due: impl Fn(u64) -> u64,
    out: &SyncSender<Batch>,
    acks: &SyncSender<Acks>,
) {
    let keys = keys();
    let mut draws = Draws(0);
    let mut first_root = 0;
    while first_root < chain.segments {
        let count = due(first_root) - first_root;
        let mut payload = builder(count as usize, chain);
        let mut ack_values = Vec::with_capacity(count as usize);
        for root in first_root..first_root + count {
            let mut segment = Segment::with_capacity(keys.len());
            fill(&mut segment, &keys, root, chain.text);
            payload.push(&segment).expect("a flat segment");
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

/// Makes an empty segment that of a root, with a text of so many bytes.
pub(crate) fn fill(segment: &mut Segment, keys: &[Key; 3], root: u64, text: usize) {
    let id = root as i64;
    *segment.push_place(&keys[0]) = Value::Int(id);
    *segment.push_place(&keys[1]) = Value::String(name(root, text));
    *segment.push_place(&keys[2]) = Value::Float(value(id));
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

/// So many characters, ten at least.
fn name(root: u64, length: usize) -> compact_str::CompactString {
    let mut text = *b"name000000";
    let mut rest = root;
    for digit in text[4..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    let mut name = compact_str::CompactString::from_utf8(text).unwrap_or_default();
    if length > TEXT_MIN {
        name.push_str(&FILLING[..length - TEXT_MIN]);
    }
    name
}

/// Adds one to the value of every segment.
fn map(
    input: &Receiver<Batch>,
    out: &SyncSender<Batch>,
    acks: &SyncSender<Acks>,
    (mut draws, chain): (Draws, Chain),
) {
    let mut decoder = Decoder::default();
    for batch in input {
        let mut payload = builder(batch.payload.len(), chain);
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
fn total(input: &Receiver<Batch>, arrived: impl Fn(u64), acks: &SyncSender<Acks>) -> i64 {
    let mut decoder = Decoder::default();
    let mut sum = 0_i64;
    for batch in input {
        for index in 0..batch.payload.len() {
            let segment = decode(&batch.payload, index, &mut decoder);
            sum = sum.wrapping_add(checked(&segment));
            arrived(batch.first_root + index as u64);
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

fn builder(segments: usize, chain: Chain) -> EncodedBuilder {
    EncodedBuilder::with_capacity(segments, segments * (SEGMENT_BYTES + chain.text))
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
