//! Where a root is, or went, in the whole cluster: what this node knows, and what the others have
//! published.

use super::NodeHandle;
use super::in_time::in_time;
use crate::acking::RootId;
use crate::coordination::{Coordination, CoordinationError, Folder, Node, patiently};
use crate::ids::GroupId;
use crate::task::trace_pages::of_root;
use crate::task::traces::TraceEvent;
use futures_util::future::try_join_all;
use serde::Serialize;

/// What is known of a root.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RootTrace {
    /// What happened to it, in the order of the machines' clocks.
    pub events: Vec<TraceStep>,
    /// Whether the other nodes were heard.
    pub heard: Heard,
}

/// Something that happened to a root, and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TraceStep {
    /// The process.
    pub node: GroupId,
    /// What its peer did.
    #[serde(flatten)]
    pub event: TraceEvent,
}

/// Who was heard about a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heard {
    /// All nodes that there are and were, as of their last publication.
    AllNodes,
    /// Coordination did not answer in time.
    ThisNodeAlone,
}

impl NodeHandle {
    /// What happened to a root, as far as any node has seen it.
    pub async fn trace(&self, root: RootId) -> RootTrace {
        let here = self.traces.of(root);
        let own = self.window.group;
        // What is forgotten here may be published still.
        let others = self.published(root, here.is_some().then_some(own));
        let others = in_time(others).await;
        let here = here.into_iter().flatten();
        let mut events: Vec<_> = here.map(|event| TraceStep { node: own, event }).collect();
        let heard = match others {
            Some(Ok(others)) => {
                events.extend(others);
                Heard::AllNodes
            }
            Some(Err(_)) | None => Heard::ThisNodeAlone,
        };
        events.sort_by_key(|step| step.event.unix_ms);
        RootTrace { events, heard }
    }

    async fn published(
        &self,
        root: RootId,
        but: Option<GroupId>,
    ) -> Result<Vec<TraceStep>, CoordinationError> {
        let session = self.window.session.borrow().clone();
        let session: &dyn Coordination = &*session;
        let names = patiently(session, || session.list(Folder::Traces)).await?;
        let of_source = names.into_iter().filter_map(|name| {
            let group = Node::group_of_trace(&name, root.source)?;
            (Some(group) != but).then_some((group, name))
        });
        let pages = of_source.map(|(group, name)| async move {
            let get = || session.get(Node::Listed(Folder::Traces, name.clone()));
            let page = patiently(session, get).await?;
            Ok::<_, CoordinationError>((group, page.unwrap_or_default()))
        });
        let pages = try_join_all(pages).await?;
        let steps = pages.into_iter().flat_map(|(node, page)| {
            let events = of_root(&page, root).into_iter();
            events.map(move |event| TraceStep { node, event })
        });
        Ok(steps.collect())
    }
}
