//! The beginning and the end of sessions.

use crate::ground::{Ground, peer};
use crate::pulses::{is_absent, watch};
use onyx::coordination::{Coordination, CoordinationError, Node, Put, SessionState, reconnected};
use onyx::ids::LogPosition;

async fn expired(session: &dyn Coordination) {
    let mut state = session.state();
    state
        .wait_for(|state| *state == SessionState::Expired)
        .await
        .unwrap();
}

/// Nothing is done, and nothing waits, on a session that is over.
async fn answers_expired(session: &dyn Coordination) {
    let over = CoordinationError::Expired;
    assert_eq!(session.append(b"late".to_vec()).await, Err(over.clone()));
    assert_eq!(session.read(LogPosition(0), 1).await, Err(over.clone()));
    assert_eq!(session.wait_for(LogPosition(0)).await, Err(over.clone()));
    assert_eq!(session.create_pulse(peer(9)).await, Err(over.clone()));
    assert_eq!(session.delete_pulse(peer(9)).await, Err(over.clone()));
    assert!(matches!(
        session.watch_pulse(peer(9)).await,
        Err(CoordinationError::Expired)
    ));
    assert_eq!(session.get(Node::Origin).await, Err(over.clone()));
    assert_eq!(
        session.put(Node::Origin, vec![], Put::Always).await,
        Err(over.clone())
    );
    assert_eq!(reconnected(session).await, Err(over));
}

pub(crate) async fn a_session_that_was_closed_is_over(ground: Ground) {
    let session = ground.session().await;
    assert_eq!(*session.state().borrow(), SessionState::Connected);
    session.close().await;
    expired(&*session).await;
    answers_expired(&*session).await;
    // Once more does nothing.
    session.close().await;
}

pub(crate) async fn a_session_that_is_not_used_any_more_ends(ground: Ground) {
    let (owner, observer) = (ground.session().await, ground.session().await);
    owner.create_pulse(peer(1)).await.unwrap();
    observer.prove_alive().await.unwrap();
    let gone = watch(&*observer, peer(1)).await;
    drop(owner);
    assert_eq!(gone.await, Ok(()));
}

pub(crate) async fn an_expired_session_knows_it(ground: Ground) {
    let (owner, observer) = (ground.session().await, ground.session().await);
    owner.create_pulse(peer(1)).await.unwrap();
    observer.create_pulse(peer(2)).await.unwrap();
    owner.prove_alive().await.unwrap();
    let gone = watch(&*observer, peer(1)).await;
    let mine = watch(&*owner, peer(2)).await;
    if !ground.expire_session_of(peer(1)).await {
        return;
    }
    assert_eq!(gone.await, Ok(()));
    // The end of one's own session is nobody else's death.
    assert_eq!(mine.await, Err(CoordinationError::Expired));
    expired(&*owner).await;
    answers_expired(&*owner).await;
    assert_eq!(observer.append(b"entry".to_vec()).await, Ok(LogPosition(0)));
    assert!(!is_absent(&*observer, peer(2)).await);
}

pub(crate) async fn only_a_session_that_lives_can_be_proved_alive(ground: Ground) {
    let session = ground.session().await;
    assert!(session.timeout() > std::time::Duration::ZERO);
    assert_eq!(session.prove_alive().await, Ok(()));
    session.close().await;
    assert_eq!(session.prove_alive().await, Err(CoordinationError::Expired));
}
