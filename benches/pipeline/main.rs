//! `cargo bench --bench pipeline -- --segments 5000000`: how fast segments go from a source through
//! two maps to a sink, and how close that is to the floor, which is the same work without a runtime.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod floor;
mod runtime;

const SEGMENTS: u64 = 5_000_000;

fn main() {
    let segments = match segments(std::env::args().skip(1)) {
        Ok(segments) => segments,
        Err(message) => {
            println!("{message}");
            std::process::exit(2);
        }
    };
    let floor = floor::run(segments);
    let rate = segments as f64 / floor.elapsed.as_secs_f64();
    print!("floor: {segments} segments in {:.2?}, ", floor.elapsed);
    print!("{:.2} M/s, ", rate / 1e6);
    println!("{:.2} CPU s, {:.2} M per CPU s", floor.cpu_seconds, {
        segments as f64 / floor.cpu_seconds / 1e6
    });
    assert_eq!(floor.checksum, floor::expected_checksum(segments));
    assert_eq!(floor.completed, segments);
    let runtime = runtime::run(segments);
    let runtime_rate = segments as f64 / runtime.elapsed.as_secs_f64();
    print!("runtime: {segments} segments in {:.2?}, ", runtime.elapsed);
    println!("{:.2} M/s, {} retried", runtime_rate / 1e6, runtime.retried);
    assert_eq!(runtime.checksum, floor::expected_checksum(segments));
    assert_eq!(runtime.completed, segments);
    println!("ratio to floor: {:.2}", runtime_rate / rate);
}

/// The number after `--segments`. Cargo adds arguments of its own, which mean nothing here.
fn segments(mut arguments: impl Iterator<Item = String>) -> Result<u64, String> {
    while let Some(argument) = arguments.next() {
        if argument != "--segments" {
            continue;
        }
        let number = arguments.next().unwrap_or_default();
        return match number.replace('_', "").parse() {
            Ok(segments) if segments > 0 => Ok(segments),
            _ => Err(format!(
                "--segments: expected a number above 0, found {number:?}"
            )),
        };
    }
    Ok(SEGMENTS)
}
