//! The log reader alone.

use super::*;
use crate::actors::probe::{Probe, heard};
use crate::log::{Unreadable, step};
use crate::messages::supervision::Exit;
use crate::replica::Replica;
use actix::Addr;

struct Rig {
    latest: watch::Sender<Snapshot>,
    steps: broadcast::Sender<Arc<Step>>,
    reader: Addr<LogReader>,
    probe: Addr<Probe>,
}

fn start(ring: usize) -> Rig {
    let (steps, _) = broadcast::channel(ring);
    let (latest, receiver) = watch::channel(Snapshot::default());
    let probe = Probe::default().start();
    let published = Published {
        steps: steps.clone(),
        latest: receiver,
    };
    let reader = LogReader::new(published, Probe::obituary(&probe, Child::LogReader));
    Rig {
        latest,
        steps,
        reader: reader.start(),
        probe,
    }
}

impl Rig {
    /// Publishes entries as the group does: the replica first, then the step.
    fn publish(&self, positions: std::ops::Range<u64>) {
        for position in positions.map(LogPosition) {
            let replica = Arc::new(Replica::default());
            let step = step(position, Err(Unreadable("noise".into())), replica);
            let snapshot = Snapshot {
                position: Some(position),
                replica: step.new.clone(),
            };
            self.latest.send_replace(snapshot);
            let _ = self.steps.send(Arc::new(step));
        }
    }

    async fn next(&self) -> Result<u64, Option<u64>> {
        match self.reader.send(NextStep).await.unwrap() {
            Next::Step(step) => Ok(step.position.0),
            Next::Jump(snapshot) => Err(snapshot.position.map(|position| position.0)),
            Next::End => panic!("the end"),
        }
    }
}

#[actix::test]
async fn it_begins_with_the_newest_replica_and_goes_on_step_by_step() {
    let rig = start(8);
    rig.publish(0..3);
    assert_eq!(rig.next().await, Err(Some(2)));
    rig.publish(3..5);
    assert_eq!((rig.next().await, rig.next().await), (Ok(3), Ok(4)));
}

#[actix::test]
async fn a_question_is_answered_when_there_is_something() {
    let rig = start(8);
    assert_eq!(rig.next().await, Err(None));
    let (next, ()) = tokio::join!(rig.next(), async {
        tokio::task::yield_now().await;
        rig.publish(0..1);
    });
    assert_eq!(next, Ok(0));
}

#[actix::test]
async fn a_reader_that_lags_jumps_and_misses_nothing_after_that() {
    let rig = start(4);
    assert_eq!(rig.next().await, Err(None));
    rig.publish(0..100);
    assert_eq!(rig.next().await, Err(Some(99)));
    rig.publish(100..103);
    for position in 100..103 {
        assert_eq!(rig.next().await, Ok(position));
    }
    let report = rig.reader.send(Observe).await.unwrap();
    assert_eq!(report.detail, json!({ "position": 102, "jumps": 2 }));
}

#[actix::test]
async fn the_end_of_the_group_is_the_end() {
    let rig = start(4);
    assert_eq!(rig.next().await, Err(None));
    let Rig {
        steps,
        latest,
        reader,
        probe,
    } = rig;
    let asked = reader.send(NextStep);
    drop((steps, latest));
    reader.send(Stop).await.unwrap();
    // Its own sender keeps the ring open: whoever waits hears of the stop.
    assert!(asked.await.is_err());
    assert_eq!(heard(&probe).await.deaths[0].exit, Exit::Stopped);
}
