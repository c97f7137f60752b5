//! What the process knows of traced roots, kept where every node can read it: see
//! [`TracePages`].

use super::PeerGroup;
use crate::coordination::{Coordination, CoordinationError, Node, Put, reconnected};
use crate::ids::{GroupId, JobId};
use crate::task::counters::Counters;
use crate::task::trace_pages::{PageName, TracePages};
use crate::task::traces::Traces;
use actix::fut::wrap_future;
use actix::{AsyncContext, Context};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// However often positions are saved.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

/// The traces of a process, as they are published.
pub(super) struct Publication {
    group: GroupId,
    counters: Counters,
    session: Arc<dyn Coordination>,
    traces: Traces,
    pages: Rc<RefCell<TracePages>>,
}

impl Publication {
    /// Writes the pages that have changed.
    pub(super) async fn publish(&self) -> Result<(), CoordinationError> {
        let jobs = self.counters.all().into_iter().map(|(job, ..)| job);
        let jobs: BTreeSet<JobId> = jobs.collect();
        let taken = {
            let mut pages = self.pages.borrow_mut();
            pages.retain(|job| jobs.contains(&job));
            pages.take_in(self.traces.take_news())
        };
        taken.map_err(|error| CoordinationError::Refused {
            what: "a page of traces".into(),
            reason: error.to_string(),
        })?;
        loop {
            let Some((name, page)) = self.next_page() else {
                return Ok(());
            };
            let node = Node::Trace {
                job: name.job,
                group: self.group,
                source: name.source,
                page: name.number,
            };
            self.session.put(node, page, Put::Always).await?;
            self.pages.borrow_mut().written(name);
        }
    }

    fn next_page(&self) -> Option<(PageName, Vec<u8>)> {
        let pages = self.pages.borrow();
        pages.next().map(|(name, page)| (name, page.to_vec()))
    }
}

impl PeerGroup {
    pub(super) fn publication(&self) -> Publication {
        let task = &self.services.task;
        Publication {
            group: self.settings.member.group,
            counters: task.counters.clone(),
            session: task.session.clone(),
            traces: task.traces.clone(),
            pages: self.trace_pages.clone(),
        }
    }

    /// Publishes traces until the session is over.
    pub(super) fn publish_traces(&self, ctx: &mut Context<Self>) {
        let interval = self.services.checkpoint_interval.max(SHORTEST_INTERVAL);
        let publication = self.publication();
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
