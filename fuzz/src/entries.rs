//! Entries as they stand in the log, and what they do to a replica.

use super::parts;
use onyx::codec::{from_payload, to_payload};
use onyx::ids::{LogPosition, PeerId};
use onyx::log::account::{account, affected};
use onyx::log::incident::Recorded;
use onyx::log::{Reason, Step, step};
use onyx::replica::Replica;
use onyx::replica::invariants::violations;
use onyx::replica::view::view;
use std::collections::BTreeSet;
use std::sync::Arc;

/// More are not applied: each is as good as any other.
const ENTRIES_MAX: usize = 64;
/// How much larger the names of fields and what is left out may make an entry.
const GROWTH_MAX: usize = 64;

/// An input is the payloads of a log from its beginning.
pub fn check(data: &[u8]) {
    let mut replica = Arc::new(Replica::default());
    for (position, payload) in (0..).zip(parts(data).into_iter().take(ENTRIES_MAX)) {
        let recorded = Recorded::of_payload(LogPosition(position), payload);
        reads_back(&recorded, payload);
        replica = apply(recorded, replica).new;
    }
    shows_itself(&replica);
}

/// What can be read can be written, and says the same; what cannot is told with a reason.
fn reads_back(recorded: &Recorded, payload: &[u8]) {
    match &recorded.entry {
        Ok(entry) => {
            let written = to_payload(entry).expect("what was read can be written");
            let limit = GROWTH_MAX * payload.len();
            assert!(
                written.len() <= limit,
                "{} of {}",
                written.len(),
                payload.len()
            );
            let again = Recorded::of_payload(recorded.position, &written);
            assert_eq!(&again, recorded);
        }
        Err(unreadable) => assert!(!unreadable.0.is_empty()),
    }
    let exported = Recorded::from_line(&recorded.to_line());
    assert_eq!(exported.as_ref(), Ok(recorded));
}

/// Applies an entry. From a replica that a log led to, it leads to one that can be.
pub fn apply(recorded: Recorded, old: Arc<Replica>) -> Step {
    let was_read = recorded.entry.is_ok();
    let was_sound = violations(&old, recorded.position).is_empty();
    let step = step(recorded.position, recorded.entry, old);
    assert_eq!(step.ignored == Some(Reason::Unreadable), !was_read);
    if step.ignored == Some(Reason::Unreadable) {
        assert_eq!(step.old, step.new);
    }
    let broken = violations(&step.new, step.position);
    assert!(broken.is_empty() || !was_sound, "{broken:?}");
    let asked: BTreeSet<PeerId> = affected(&step).into_iter().take(4).collect();
    account(&step, &asked);
    step
}

/// A replica reads back as it is stored and as people see it.
pub fn shows_itself(replica: &Replica) {
    let stored = to_payload(replica).expect("a replica can be stored");
    assert_eq!(from_payload::<Replica>(&stored).as_ref(), Ok(replica));
    assert_eq!(Replica::from_view(&view(replica)).as_ref(), Ok(replica));
}
