//! What became of all that the process read, kept where every node can add it up.
//!
//! One small node for each process and job that it reads for, written when it has changed and not
//! more often than positions are saved. It stays when the process dies, and goes with the job.

use super::PeerGroup;
use crate::codec::to_payload;
use crate::coordination::{Coordination, CoordinationError, Node, Put, reconnected};
use crate::ids::{GroupId, JobId};
use crate::task::counters::{Account, Counters};
use crate::task::trace_pages::TracePages;
use crate::task::traces::Traces;
use actix::fut::wrap_future;
use actix::{AsyncContext, Context};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// However often positions are saved.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

/// The accounts of a process, as they were published, and beside them its traces.
pub(super) struct Publication {
    pub(super) group: GroupId,
    pub(super) counters: Counters,
    pub(super) session: Arc<dyn Coordination>,
    published: BTreeMap<JobId, Account>,
    pub(super) traces: Traces,
    pub(super) pages: Rc<RefCell<TracePages>>,
}

impl Publication {
    /// Writes what has changed.
    pub(super) async fn publish(&mut self) -> Result<(), CoordinationError> {
        let accounts = self.counters.accounts();
        self.published.retain(|job, _| accounts.contains_key(job));
        for (job, account) in accounts {
            if self.published.get(&job) == Some(&account) {
                continue;
            }
            let node = Node::Account(job, self.group);
            let data = to_payload(&account).map_err(|error| CoordinationError::Refused {
                what: format!("{node:?}"),
                reason: error.to_string(),
            })?;
            self.session.put(node, data, Put::Always).await?;
            self.published.insert(job, account);
        }
        self.publish_traces().await
    }
}

impl PeerGroup {
    pub(super) fn publication(&self) -> Publication {
        let task = &self.services.task;
        Publication {
            group: self.settings.member.group,
            counters: task.counters.clone(),
            session: task.session.clone(),
            published: BTreeMap::new(),
            traces: task.traces.clone(),
            pages: self.trace_pages.clone(),
        }
    }

    /// Publishes accounts, and traces, until the session is over.
    pub(super) fn publish_accounts(&self, ctx: &mut Context<Self>) {
        let interval = self.services.checkpoint_interval.max(SHORTEST_INTERVAL);
        let mut publication = self.publication();
        let keep = async move {
            loop {
                tokio::time::sleep(interval).await;
                match publication.publish().await {
                    Ok(()) => {}
                    Err(CoordinationError::Expired) => return,
                    // What could not be written is written with the next.
                    Err(_) => {
                        if reconnected(&*publication.session).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        ctx.spawn(wrap_future(keep));
    }
}
