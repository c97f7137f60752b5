//! The state of a ZooKeeper session, in the words of [`SessionState`].

use super::super::SessionState;
use tokio::sync::watch;
use zookeeper_client::Client;

/// Follows the state of a client's session until it is over or nobody listens.
pub(super) fn follow(client: &Client) -> watch::Receiver<SessionState> {
    let mut watcher = client.state_watcher();
    let (sender, receiver) = watch::channel(translate(client.state()));
    tokio::spawn(async move {
        loop {
            let state = translate(watcher.changed().await);
            if sender.send(state).is_err() || state == SessionState::Expired {
                return;
            }
        }
    });
    receiver
}

fn translate(state: zookeeper_client::SessionState) -> SessionState {
    use zookeeper_client::SessionState as Theirs;
    match state {
        Theirs::SyncConnected => SessionState::Connected,
        Theirs::Disconnected | Theirs::ConnectedReadOnly => SessionState::Disconnected,
        Theirs::Expired | Theirs::AuthFailed | Theirs::Closed => SessionState::Expired,
    }
}
