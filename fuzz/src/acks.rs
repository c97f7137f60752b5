//! Acks, completions and whatever else keeps the books of segments: the bodies of frames, and what a
//! ledger makes of them.

use super::{forge, frames, parts};
use onyx::acking::{AckMessage, Applied, Ledger};
use onyx::clock::Millis;
use onyx::messaging::{Cargo, Message};

/// An input is several frames, as in [`forge`], for one ledger.
pub fn check(data: &[u8]) {
    let mut ledger = Ledger::default();
    let mut acks = 0;
    for (time, part) in (0..).zip(parts(data)) {
        let frame = forge::frame(part);
        let Some((envelope, cargo)) = frames::read(&frame) else {
            continue;
        };
        let Cargo::Message(message) = &cargo else {
            continue;
        };
        if matches!(message, Message::Segments(_)) {
            continue;
        }
        // One compact layout: there is no second way to say the same.
        if forge::is_plain(&frame) {
            let written = frames::written(&envelope, &cargo);
            assert_eq!(written[forge::HEADER_LEN..], frame[forge::HEADER_LEN..]);
        }
        if let Message::Acks(message) = message {
            acks += is_applied_once(&mut ledger, message, Millis(time << 10));
        }
    }
    assert!(ledger.open() <= acks);
}

/// How many acks there were.
fn is_applied_once(ledger: &mut Ledger, message: &AckMessage, now: Millis) -> usize {
    let acks: usize = message.groups.iter().map(|group| group.acks.len()).sum();
    let before = ledger.counters();
    let mut completed = Vec::new();
    let applied = ledger.apply(message, now, &mut completed);
    let roots: usize = completed.iter().map(|it| it.roots.len()).sum();
    let after = ledger.counters();
    assert!(roots <= acks, "{roots} roots completed by {acks} acks");
    assert_eq!(after.completed - before.completed, roots as u64);
    match applied {
        Applied::Once => assert_eq!(after.acks - before.acks, acks as u64),
        Applied::Refused => assert_eq!((after.acks, roots), (before.acks, 0)),
    }
    completed.clear();
    let again = ledger.apply(message, now, &mut completed);
    assert_eq!((again, completed.len()), (Applied::Refused, 0), "twice");
    assert_eq!(ledger.counters().acks, after.acks);
    acks
}
