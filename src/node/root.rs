//! What supervises the group: it restarts nothing, it tells the node.

use crate::messages::supervision::{ChildDown, Exit};
use actix::{Actor, ActorContext, Context, Handler};
use tokio::sync::oneshot;

/// Hears of the end of the peer group.
pub(super) struct Root {
    ended: Option<oneshot::Sender<Exit>>,
}

impl Root {
    /// The root, and where it tells how the group ended.
    pub(super) fn new() -> (Self, oneshot::Receiver<Exit>) {
        let (sender, receiver) = oneshot::channel();
        (
            Root {
                ended: Some(sender),
            },
            receiver,
        )
    }
}

impl Actor for Root {
    type Context = Context<Self>;
}

impl Handler<ChildDown> for Root {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Context<Self>) {
        if let Some(ended) = self.ended.take() {
            // A node that is being stopped does not listen any more.
            let _ = ended.send(down.exit);
        }
        ctx.stop();
    }
}
