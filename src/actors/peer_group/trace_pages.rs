//! What the process knows of traced roots, kept where every node can read it: see
//! [`TracePages`](crate::task::trace_pages::TracePages).

use super::accounts::Publication;
use crate::coordination::{CoordinationError, Node, Put};
use crate::ids::JobId;
use crate::task::trace_pages::PageName;
use std::collections::BTreeSet;

impl Publication {
    /// Writes the pages that have changed.
    pub(super) async fn publish_traces(&self) -> Result<(), CoordinationError> {
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
