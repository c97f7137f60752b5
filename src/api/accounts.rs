//! The account of a job in the whole cluster: the sum of what every process has published, and of
//! what this one knows of itself.

use super::NodeHandle;
use super::in_time::in_time;
use crate::codec::from_payload;
use crate::coordination::{Coordination, CoordinationError, Folder, Node, patiently};
use crate::ids::{GroupId, JobId};
use crate::replica::Replica;
use crate::task::counters::Account;
use std::collections::BTreeSet;

impl NodeHandle {
    /// What became of all that was read for a job; none while coordination does not tell.
    pub(super) async fn account(
        &self,
        replica: &Replica,
        job: JobId,
        here: Account,
    ) -> Option<Account> {
        let session = self.window.session.borrow().clone();
        let members = replica.membership.members.values();
        let living: BTreeSet<GroupId> = members.map(|member| member.group).collect();
        let others = in_time(self.others(&*session, job, &living)).await?;
        others.ok().map(|others| others.plus(&here))
    }

    async fn others(
        &self,
        session: &dyn Coordination,
        job: JobId,
        living: &BTreeSet<GroupId>,
    ) -> Result<Account, CoordinationError> {
        let names = patiently(session, || session.list(Folder::Accounts)).await?;
        let groups = names
            .iter()
            .filter_map(|name| Node::group_of_account(name, job));
        let mut sum = Account::default();
        for group in groups.filter(|group| *group != self.window.group) {
            let stored = patiently(session, || session.get(Node::Account(job, group))).await?;
            // One that is not there any more, or that another version wrote, has nothing to add.
            let Some(Ok(part)) = stored.map(|data| from_payload::<Account>(&data)) else {
                continue;
            };
            sum = sum.plus(&match living.contains(&group) {
                true => part,
                false => part.left_behind(),
            });
        }
        Ok(sum)
    }
}
