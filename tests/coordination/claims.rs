//! What one session takes, no other has.

use crate::ground::Ground;
use onyx::coordination::{Claim, Node};

pub(crate) async fn a_claim_lasts_as_long_as_its_session(ground: Ground) {
    let (first, second) = (ground.session().await, ground.session().await);
    let claim = Node::SoleProcess;
    assert_eq!(first.claim(claim.clone()).await, Ok(Claim::Mine));
    // Again, as after an unknown outcome.
    assert_eq!(first.claim(claim.clone()).await, Ok(Claim::Mine));
    assert_eq!(second.claim(claim.clone()).await, Ok(Claim::Taken));
    first.close().await;
    assert_eq!(second.claim(claim).await, Ok(Claim::Mine));
}
