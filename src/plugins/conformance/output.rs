//! The check of an output: what `write` returned from is there, whatever happens next.

use super::{Violation, below, same};
use crate::ids::{IdSource, SlotId};
use crate::plugins::{Output, PluginError, Start};
use crate::segment::Segment;

/// Checks an output. `open` opens the same medium each time, `read_back` reads what it holds
/// without the plugin; `seed` decides where the check stops writing as if the process had died.
pub fn check_output<F, R>(
    open: F,
    read_back: R,
    batches: &[Vec<Segment>],
    seed: u64,
) -> Result<(), Violation>
where
    F: Fn(Start) -> Result<Box<dyn Output>, PluginError>,
    R: Fn() -> Result<Vec<Segment>, Violation>,
{
    let mut draws = IdSource::from_seed(seed);
    let mut output = open(Start::Fresh)?;
    let mut written = Vec::new();
    for batch in batches {
        output.write(batch)?;
        written.extend_from_slice(batch);
        same("when `write` returned", "segment", &read_back()?, &written)?;
        if below(2, &mut draws) == 0 {
            drop(output);
            output = open(Start::Resumed(None))?;
            same("when resumed", "segment", &read_back()?, &written)?;
        }
    }
    for when in ["sealed", "sealed twice"] {
        output.seal()?;
        same(when, "segment", &read_back()?, &written)?;
    }
    // Whoever died between its seal and the entry that says so does it again.
    let mut successor = open(Start::Resumed(None))?;
    successor.seal()?;
    same("sealed by a successor", "segment", &read_back()?, &written)
}

/// Checks the outputs of several slots over one medium: none is in another's way, and each is sealed
/// apart, by itself or by whoever has its slot then. `open` is given a start and the slot, `read_back`
/// reads what all of them wrote, in any order.
pub fn check_output_slots<F, R>(
    open: F,
    read_back: R,
    slots: u32,
    batches: &[Vec<Segment>],
    seed: u64,
) -> Result<(), Violation>
where
    F: Fn(Start, SlotId) -> Result<Box<dyn Output>, PluginError>,
    R: Fn() -> Result<Vec<Segment>, Violation>,
{
    let mut draws = IdSource::from_seed(seed);
    // Slots keep their numbers when others go, so that there may be gaps.
    let slots: Vec<SlotId> = (0..slots).map(|slot| SlotId(slot * 2)).collect();
    let mut written = Vec::new();
    let looks_right = |when: &str, written: &[Segment]| {
        same(when, "segment", &sorted(&read_back()?), &sorted(written))
    };
    let mut outputs = Vec::new();
    // One begins when others have written already.
    for slot in &slots {
        let mut output = open(Start::Fresh, *slot)?;
        looks_right("when one of several slots began", &written)?;
        if let Some(batch) = batches.first() {
            output.write(batch)?;
            written.extend_from_slice(batch);
        }
        outputs.push(output);
    }
    for batch in batches {
        let to = below(slots.len(), &mut draws);
        outputs[to].write(batch)?;
        written.extend_from_slice(batch);
        looks_right("when one of several slots was written to", &written)?;
        if below(3, &mut draws) == 0 {
            let of = below(slots.len(), &mut draws);
            outputs[of] = open(Start::Resumed(None), slots[of])?;
            looks_right("when one of several slots was resumed", &written)?;
        }
    }
    for (slot, mut output) in slots.iter().zip(outputs) {
        match below(2, &mut draws) {
            0 => output.seal()?,
            _ => {
                drop(output);
                open(Start::Resumed(None), *slot)?.seal()?;
            }
        }
        looks_right("when one of several slots was sealed", &written)?;
    }
    for slot in slots {
        open(Start::Resumed(None), slot)?.seal()?;
        looks_right("when one of several slots was sealed again", &written)?;
    }
    Ok(())
}

fn sorted(segments: &[Segment]) -> Vec<Segment> {
    let mut segments = segments.to_vec();
    segments.sort_by_cached_key(|segment| format!("{segment:?}"));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use std::cell::RefCell;
    use std::sync::{Arc, Mutex};

    /// What an output of the tests does with what it is given.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Habit {
        WritesAtOnce,
        WritesWhenSealed,
        EmptiesWhenResumed,
    }

    struct Memory {
        medium: Arc<Mutex<Vec<Segment>>>,
        buffer: Vec<Segment>,
        habit: Habit,
    }

    impl Output for Memory {
        fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
            self.buffer.extend_from_slice(segments);
            if self.habit == Habit::WritesWhenSealed {
                return Ok(());
            }
            self.seal()
        }

        fn seal(&mut self) -> Result<(), PluginError> {
            self.medium.lock().unwrap().append(&mut self.buffer);
            Ok(())
        }
    }

    fn check(habit: Habit) -> Result<(), Violation> {
        let medium = Arc::new(Mutex::new(Vec::new()));
        let opened = RefCell::new(0);
        let open = |start: Start| -> Result<Box<dyn Output>, PluginError> {
            *opened.borrow_mut() += 1;
            if start == Start::Fresh || habit == Habit::EmptiesWhenResumed {
                medium.lock().unwrap().clear();
            }
            let medium = medium.clone();
            let buffer = Vec::new();
            Ok(Box::new(Memory {
                medium,
                buffer,
                habit,
            }))
        };
        let batch = |n: i64| vec![[("n", n)].into_iter().collect(), Segment::new()];
        let batches: Vec<Vec<Segment>> = (0..10).map(batch).collect();
        let result = check_output(open, || Ok(medium.lock().unwrap().clone()), &batches, 1);
        assert!(result.is_err() || *opened.borrow() > 2, "was never resumed");
        result
    }

    #[test]
    fn an_output_that_lets_go_of_what_it_wrote_conforms() {
        check(Habit::WritesAtOnce).unwrap();
    }

    #[test]
    fn an_output_that_keeps_or_forgets_does_not() {
        assert_snapshot!(check(Habit::WritesWhenSealed).unwrap_err(), @r#"when `write` returned: segment 0 is None, expected Some(Segment { fields: [("n", Int(0))] })"#);
        assert_snapshot!(check(Habit::EmptiesWhenResumed).unwrap_err(), @r#"when resumed: segment 0 is None, expected Some(Segment { fields: [("n", Int(0))] })"#);
    }
}
