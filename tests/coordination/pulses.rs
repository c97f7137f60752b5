//! Pulses and the watches on them.

use crate::ground::{Ground, peer};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use onyx::coordination::{Coordination, CoordinationError, Pulse};
use onyx::ids::PeerId;
use std::collections::BTreeSet;

/// What a watch on a living peer answers with in the end.
pub(crate) async fn watch(
    session: &dyn Coordination,
    peer: PeerId,
) -> BoxFuture<'static, Result<(), CoordinationError>> {
    match session.watch_pulse(peer).await.unwrap() {
        Pulse::Present(gone) => gone,
        Pulse::Absent => panic!("{peer} has no pulse"),
    }
}

pub(crate) async fn is_absent(session: &dyn Coordination, peer: PeerId) -> bool {
    matches!(session.watch_pulse(peer).await, Ok(Pulse::Absent))
}

pub(crate) async fn a_pulse_is_there_until_it_is_deleted(ground: Ground) {
    let (owner, observer) = (ground.session().await, ground.session().await);
    owner.create_pulse(peer(1)).await.unwrap();
    // Again, as after an unknown outcome.
    owner.create_pulse(peer(1)).await.unwrap();
    owner.create_pulse(peer(2)).await.unwrap();
    observer.prove_alive().await.unwrap();
    let mut gone = watch(&*observer, peer(1)).await;
    let mut own = watch(&*owner, peer(1)).await;
    let mut stays = watch(&*observer, peer(2)).await;
    // A request of the same session is behind whatever it was told of before.
    observer
        .get(onyx::coordination::Node::Origin)
        .await
        .unwrap();
    assert_eq!((&mut gone).now_or_never(), None);
    assert_eq!((&mut own).now_or_never(), None);
    owner.delete_pulse(peer(1)).await.unwrap();
    assert_eq!((gone.await, own.await), (Ok(()), Ok(())));
    assert!(is_absent(&*observer, peer(1)).await);
    assert_eq!((&mut stays).now_or_never(), None);
    // Deleting none is fine.
    owner.delete_pulse(peer(1)).await.unwrap();
}

pub(crate) async fn a_pulse_ends_with_its_session(ground: Ground) {
    let (owner, observer) = (ground.session().await, ground.session().await);
    owner.create_pulse(peer(1)).await.unwrap();
    owner.create_pulse(peer(2)).await.unwrap();
    observer.prove_alive().await.unwrap();
    let (one, two) = (
        watch(&*observer, peer(1)).await,
        watch(&*observer, peer(2)).await,
    );
    owner.close().await;
    assert_eq!((one.await, two.await), (Ok(()), Ok(())));
    assert!(is_absent(&*observer, peer(1)).await);
}

pub(crate) async fn a_pulse_that_was_never_there_is_absent(ground: Ground) {
    let session = ground.session().await;
    assert!(is_absent(&*session, peer(1)).await);
    session.delete_pulse(peer(1)).await.unwrap();
    session.create_pulse(peer(1)).await.unwrap();
    assert!(!is_absent(&*session, peer(1)).await);
}

pub(crate) async fn all_pulses_are_listed(ground: Ground) {
    let (one, other) = (ground.session().await, ground.session().await);
    assert_eq!(other.pulses().await, Ok(BTreeSet::new()));
    one.create_pulse(peer(1)).await.unwrap();
    one.create_pulse(peer(2)).await.unwrap();
    other.create_pulse(peer(3)).await.unwrap();
    other.prove_alive().await.unwrap();
    assert_eq!(other.pulses().await, Ok([1, 2, 3].map(peer).into()));
    one.close().await;
    other.prove_alive().await.unwrap();
    assert_eq!(other.pulses().await, Ok([peer(3)].into()));
}
