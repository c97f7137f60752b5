//! What a task does when the lease of its session runs out.

use super::stations::Ends;
use super::*;
use crate::log::wants::TaskPhase;
use std::sync::OnceLock;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_task_whose_lease_ran_out_does_nothing_until_it_holds_again() {
    let ends = Ends::default();
    let rig = Rig::new(ends.registry(numbers(0..10)), |_| ()).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    advance(LONGER_THAN_A_TEST).await;
    let Turn::Wait(wait) = write.turn().unwrap() else {
        panic!("it has worked")
    };
    assert!(ends.written().is_empty());
    write.reassign(Assignment {
        seal: Seal::Now,
        ..rig.assignment("out")
    });
    assert!(!write.should_seal());
    let (clock, lease) = (rig.services.clock, &rig.services.lease);
    let renew = async { lease.extend(clock.now(), LONGER_THAN_A_TEST) };
    futures_util::join!(write.wait(wait), renew);
    work_off(&mut write);
    assert_eq!(ends.written(), (0..10).collect::<Vec<_>>());
    assert!(write.should_seal());
    assert_eq!(write.phase(), TaskPhase::Ready);
}

#[tokio::test]
async fn a_batch_that_comes_to_its_write_without_a_lease_goes_back_to_its_source() {
    let ends = Ends::default();
    let mut registry = ends.registry(numbers(0..10));
    // As if the process was paused in the middle of it.
    let paused: Arc<OnceLock<SessionLease>> = Arc::default();
    let lease = Arc::clone(&paused);
    with_function(&mut registry, "pause", move |segment, out| {
        lease.get().expect("a lease").end();
        out.push(segment);
        Ok(())
    });
    let out = |job: &mut Job| job.catalog[2].function = Some("pause".into());
    let mut rig = Rig::new(registry, out).await;
    paused.set(rig.services.lease.clone()).expect("once");
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    // Whoever took the slot over gets them again.
    drop(read);
    let mut source = rig.plays("in");
    assert_eq!(write.turn().unwrap(), Turn::Worked);
    assert!(matches!(write.turn().unwrap(), Turn::Wait(_)));
    assert!(ends.written().is_empty());
    let Some(Message::Retries(retries)) = source.try_next() else {
        panic!("nothing was given back")
    };
    assert_eq!(retries.roots, (1..=10).collect::<Vec<_>>());
    assert!(rig.complete().is_empty());
    assert_eq!(rig.figures("out").written, 0);
}
