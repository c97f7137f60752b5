//! Claims, saves and accounts of slots, on coordination in memory.

use super::*;
use crate::acking::Ends;
use crate::coordination::memory::MemoryServer;
use crate::ids::{IdSource, LogPosition};
use crate::log::wants::Seal;

fn assignment(version: u64, slots: u32) -> Assignment {
    Assignment {
        ackers: Vec::new(),
        workers: [].into(),
        job: IdSource::from_seed(1).job(),
        task: "read".into(),
        slot: SlotId(1),
        version: LogPosition(version),
        last_loss: None,
        leaving: [].into(),
        slots,
        rank: 1,
        held: (0..slots).map(SlotId).collect(),
        read: Read::Go,
        downstream: Vec::new(),
        upstream: Default::default(),
        seal: Seal::No,
    }
}

struct Peers {
    session: Arc<dyn Coordination>,
    _server: MemoryServer,
}

impl Peers {
    fn new() -> Self {
        let server = MemoryServer::default();
        let session = Arc::new(server.connect());
        Peers {
            session,
            _server: server,
        }
    }

    /// A peer, named by its version, claims slot 1 of `slots`.
    async fn claim_of(
        &self,
        version: u64,
        slots: u32,
    ) -> Result<(Checkpoint, Claimed), CheckpointError> {
        let holder = Holder {
            version: LogPosition(version),
            peer: IdSource::from_seed(version).peer(),
            epoch: 1,
        };
        let assignment = assignment(version, slots);
        claim(&self.session, &assignment, SlotId(1), holder).await
    }

    async fn claim(&self, version: u64) -> (Checkpoint, Claimed) {
        self.claim_of(version, 2).await.unwrap()
    }
}

/// Progress with these numbers of written rows and of rows in flight behind them.
fn reached(written: u64, in_flight: u64) -> Reached {
    let ends = Ends {
        written,
        ..Ends::default()
    };
    Reached {
        position: Some([("next", written as i64)].into_iter().collect()),
        before: Account::of(written, ends, 0),
        so_far: Account::of(written + in_flight, ends, in_flight),
        ..Reached::default()
    }
}

/// A claim without the replay that it records.
fn without_replays(claimed: Claimed) -> Claimed {
    match claimed {
        Claimed::Opened(reached) => Claimed::Opened(Reached {
            replays: SlotReplays::default(),
            ..reached
        }),
        other => other,
    }
}

fn replays(claimed: &Claimed) -> Vec<(ReplayCause, u64)> {
    let Claimed::Opened(reached) = claimed else {
        return Vec::new();
    };
    let replays = reached.replays.recent.iter();
    let replays = replays.map(|replay| (replay.cause.clone(), replay.may_be_twice));
    replays.collect()
}

fn peer(version: u64) -> PeerId {
    IdSource::from_seed(version).peer()
}

#[tokio::test]
async fn a_claim_of_a_dead_holders_slot_is_a_replay() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    first.save(&reached(20, 5)).await.unwrap();
    first.save(&reached(50, 7)).await.unwrap();
    let (second, claimed) = peers.claim(4).await;
    // In flight at the last save, and read between the last two.
    let taken_over = (ReplayCause::TakenOver { former: peer(3) }, 7 + 32);
    assert_eq!(replays(&claimed), std::slice::from_ref(&taken_over));
    let Claimed::Opened(after) = claimed else {
        panic!("the slot is open");
    };
    let replay = &after.replays.recent[0];
    assert_eq!(replay.from, reached(50, 0).position);
    assert!(
        replay
            .saved_at_ms
            .is_some_and(|saved| saved <= replay.at_ms)
    );
    // The replays outlive the next holder.
    let saved = Reached {
        replays: after.replays,
        ..reached(60, 3)
    };
    second.save(&saved.left_behind()).await.unwrap();
    let handed_over = (ReplayCause::HandedOver { former: peer(4) }, 3);
    let claimed = peers.claim(5).await.1;
    assert_eq!(replays(&claimed), [taken_over, handed_over]);
}

#[tokio::test]
async fn a_holder_that_stops_with_everything_complete_leaves_no_replay() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    first.save(&reached(20, 0).left_behind()).await.unwrap();
    assert_eq!(replays(&peers.claim(4).await.1), []);
}

#[tokio::test]
async fn another_number_of_slots_is_a_replay_of_all_that_was_read() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    first.save(&reached(20, 5)).await.unwrap();
    let claimed = peers.claim_of(4, 3).await.unwrap().1;
    assert_eq!(replays(&claimed), [(ReplayCause::Divided { slots: 2 }, 25)]);
}

fn is_superseded<T>(result: Result<T, CheckpointError>, by: u64) -> bool {
    matches!(result, Err(CheckpointError::Superseded(version)) if version.0 == by)
}

#[tokio::test]
async fn a_slot_begins_until_somebody_has_opened_it_and_then_goes_on() {
    let peers = Peers::new();
    assert_eq!(peers.claim(3).await.1, Claimed::Unopened);
    let (second, claimed) = peers.claim(5).await;
    assert_eq!(claimed, Claimed::Unopened);
    second.opened().await.unwrap();
    let (third, claimed) = peers.claim(7).await;
    assert_eq!(
        without_replays(claimed),
        Claimed::Opened(Reached::default())
    );
    third.save(&reached(20, 5)).await.unwrap();
    let claimed = without_replays(peers.claim(9).await.1);
    assert_eq!(claimed, Claimed::Opened(reached(20, 0)));
}

#[tokio::test]
async fn who_was_followed_by_another_writes_nothing_and_cannot_come_back() {
    let peers = Peers::new();
    let (old, _) = peers.claim(3).await;
    old.opened().await.unwrap();
    let (new, _) = peers.claim(8).await;
    new.save(&reached(20, 0)).await.unwrap();
    assert!(is_superseded(old.save(&reached(5, 0)).await, 8));
    assert!(is_superseded(old.sealed().await, 8));
    assert!(is_superseded(peers.claim_of(4, 2).await, 8));
    let claimed = without_replays(peers.claim(9).await.1);
    assert_eq!(claimed, Claimed::Opened(reached(20, 0)));
}

#[tokio::test]
async fn a_slot_of_a_peer_that_is_moved_is_claimed_after_its_release() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    let second = Holder {
        version: LogPosition(5),
        peer: IdSource::from_seed(5).peer(),
        epoch: 1,
    };
    let moved = Assignment {
        leaving: [first.holder.peer].into(),
        ..assignment(5, 2)
    };
    let claim = async || claim(&peers.session, &moved, SlotId(1), second).await;
    let held = claim().await;
    assert!(matches!(held, Err(CheckpointError::Held(by)) if by == first.holder.peer));
    let is_held = async |by| {
        let held = is_held_by_leaving(&*peers.session, &moved, (SlotId(1), by));
        held.await.unwrap()
    };
    assert!(is_held(second.peer).await && !is_held(first.holder.peer).await);
    // It goes on saving meanwhile.
    first.save(&reached(20, 0)).await.unwrap();
    first.release().await.unwrap();
    assert!(!is_held(second.peer).await);
    let claimed = without_replays(claim().await.unwrap().1);
    assert_eq!(claimed, Claimed::Opened(reached(20, 0)));
    assert!(is_superseded(first.release().await, 5));
}

#[tokio::test]
async fn a_slot_of_a_peer_that_is_gone_is_claimed_at_once() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    // By this allocation no peer leaves: the holder has died.
    let claimed = without_replays(peers.claim(5).await.1);
    assert_eq!(claimed, Claimed::Opened(Reached::default()));
}

#[tokio::test]
async fn what_is_sealed_stays_sealed() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    first.sealed().await.unwrap();
    assert_eq!(peers.claim(4).await.1, Claimed::Sealed);
}

#[tokio::test]
async fn a_position_in_another_division_is_forgotten() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    first.save(&reached(20, 0)).await.unwrap();
    let claimed = without_replays(peers.claim_of(4, 3).await.unwrap().1);
    assert_eq!(claimed, Claimed::Opened(Reached::default()));
}

#[tokio::test]
async fn the_account_of_a_job_counts_on_where_a_slot_goes_on() {
    let peers = Peers::new();
    let job = IdSource::from_seed(1).job();
    let inputs = ["read".into()];
    let account = async || {
        progress_of(&*peers.session, job, &inputs)
            .await
            .unwrap()
            .account
    };
    let (first, _) = peers.claim(3).await;
    assert_eq!(account().await, Account::default());
    first.opened().await.unwrap();
    first.save(&reached(20, 5)).await.unwrap();
    assert_eq!((account().await.r#in, account().await.in_flight), (25, 5));
    // The work since the last save is not recorded, so that the successor repeats it.
    let (second, _) = peers.claim(4).await;
    assert_eq!((account().await.r#in, account().await.in_flight), (20, 0));
    second.save(&reached(40, 0)).await.unwrap();
    assert_eq!((account().await.r#in, account().await.out), (40, 40));
    // In another division everything is read again.
    peers.claim_of(5, 3).await.unwrap();
    assert_eq!(account().await, Account::default());
    let other = IdSource::from_seed(2).job();
    let other = progress_of(&*peers.session, other, &inputs).await;
    assert_eq!(other.unwrap().account, Account::default());
}

#[tokio::test]
async fn an_input_that_is_exhausted_keeps_its_account_whatever_becomes_of_its_slots() {
    let peers = Peers::new();
    let (first, _) = peers.claim(3).await;
    first.opened().await.unwrap();
    first.save(&reached(20, 0)).await.unwrap();
    let holder = Holder {
        version: LogPosition(4),
        ..first.holder
    };
    let exhausted = Assignment {
        read: Read::No,
        rank: 0,
        slots: 1,
        ..assignment(4, 1)
    };
    let claimed = claim(&peers.session, &exhausted, SlotId(1), holder).await;
    // The position is one in another part.
    let kept = Reached {
        position: None,
        ..reached(20, 0)
    };
    assert_eq!(claimed.unwrap().1, Claimed::Opened(kept));
    let job = exhausted.job;
    let progress = progress_of(&*peers.session, job, &["read".into()]).await;
    assert_eq!(progress.unwrap().account.r#in, 20);
}

#[test]
fn each_part_counts_once_as_whoever_had_it_last_has_read_it() {
    let part = |version, rank, slots, rows| Stored {
        holder: Holder {
            version: LogPosition(version),
            peer: IdSource::from_seed(version).peer(),
            epoch: 1,
        },
        is_held: true,
        stage: Stage::Open,
        rank,
        slots,
        reached: match rows {
            0 => Reached::default(),
            rows => reached(rows, 0),
        },
        saved_at_ms: None,
        read_since_save: 0,
    };
    let read = |parts: &[Stored]| account_of_parts(parts.to_vec()).r#in;
    assert_eq!(read(&[]), 0);
    assert_eq!(read(&[part(3, 0, 2, 10), part(4, 1, 2, 20)]), 30);
    // Another slot had the second part before.
    let parts = [part(3, 0, 2, 10), part(4, 1, 2, 20), part(5, 1, 2, 7)];
    assert_eq!(read(&parts), 17);
    // It was divided by three before that; and who has read nothing says nothing.
    let parts = [
        parts[0].clone(),
        parts[2].clone(),
        part(2, 2, 3, 99),
        part(9, 0, 4, 0),
    ];
    assert_eq!(read(&parts), 17);
}

#[tokio::test]
async fn slots_are_remembered_by_those_who_held_them() {
    let peers = Peers::new();
    peers.claim(3).await;
    let ever = |task: &'static str| async move {
        let job = IdSource::from_seed(1).job();
        let slots = slots_ever_held(&*peers.session, job, &task.into()).await;
        slots.unwrap()
    };
    assert_eq!(ever("read").await, [SlotId(1)]);
}
