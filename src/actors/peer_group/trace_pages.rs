//! What the process knows of traced roots, kept where every node can read it: see
//! [`TracePages`](crate::task::trace_pages::TracePages).

use super::PeerGroup;
use crate::coordination::{Coordination, CoordinationError, Node, Put};
use crate::ids::{GroupId, JobId};
use crate::task::counters::Counters;
use crate::task::trace_pages::{PageName, TracePages};
use crate::task::traces::Traces;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// The pages of a process, as they are published.
pub(super) struct TracePublication {
    group: GroupId,
    traces: Traces,
    counters: Counters,
    session: Arc<dyn Coordination>,
    pages: Rc<RefCell<TracePages>>,
}

impl TracePublication {
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
            let Some((name, page)) = self.next() else {
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

    fn next(&self) -> Option<(PageName, Vec<u8>)> {
        let pages = self.pages.borrow();
        pages.next().map(|(name, page)| (name, page.to_vec()))
    }
}

impl PeerGroup {
    pub(super) fn trace_publication(&self) -> TracePublication {
        let task = &self.services.task;
        TracePublication {
            group: self.settings.member.group,
            traces: task.traces.clone(),
            counters: task.counters.clone(),
            session: task.session.clone(),
            pages: self.trace_pages.clone(),
        }
    }
}
