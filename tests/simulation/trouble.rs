//! What goes wrong in a life: crashes, lost sessions, accusations, entries that come late, twice or
//! from nowhere, readers that fall behind, collections at any moment.

use crate::draw::one_of;
use crate::life::Life;
use onyx::ids::{GroupId, LogPosition, PeerId, SlotId, StateLogId};
use onyx::log::commands::{
    AbortJoinCluster, AcceptJoinCluster, AssignBookkeeperLogId, Command, CompactBookkeeperLogIds,
    DeletedBookkeeperLogIds, Gc, KillJob, LeaveCluster, NotifyJoinCluster, SubmitJob,
};
use onyx::log::wants::AfterJump;
use onyx::log::{Reason, Unreadable};
use rand::RngExt;

impl Life<'_> {
    pub(crate) fn make_trouble(&mut self) {
        match self.random.random_range(0..24) {
            0..=4 => self.crash_one(),
            5 => self.crash_group(),
            6 => self.lose_session(),
            7 => self.leave_group(),
            8 => self.kill_job(),
            9 => self.accuse(),
            10..=12 => self.say_something_stray(),
            13 => self.repeat_an_old_entry(),
            14 => self.submit_again(),
            15..=16 => self.keep_state(),
            17 => self.write_gc(),
            18..=19 => self.collect(),
            20 => self.clear(),
            _ => self.jump_one(),
        }
    }

    fn crash_one(&mut self) {
        if let Some(peer) = self.any() {
            self.say(|| format!("{peer} crashes"));
            self.end(peer);
        }
    }

    fn peers_of(&mut self) -> (usize, Vec<PeerId>) {
        let group = self.random.random_range(0..self.groups.len());
        let living = self.living();
        let peers = living
            .into_iter()
            .filter(|peer| self.group_of[peer] == group)
            .collect();
        (group, peers)
    }

    /// Pulses linger until the server misses the session; the process that comes instead is another.
    fn crash_group(&mut self) {
        let (group, peers) = self.peers_of();
        self.say(|| format!("group {group} crashes"));
        peers.into_iter().for_each(|peer| self.end(peer));
        self.forget_burials(group);
        self.groups[group].member.group = GroupId(self.ids.uuid());
    }

    /// The server ends the session, and with it every pulse at once; what the peers had still to
    /// write is never written. On its next session the group says so, and starts other peers.
    fn lose_session(&mut self) {
        let (group, peers) = self.peers_of();
        self.say(|| format!("group {group} loses its session"));
        for peer in &peers {
            self.end(*peer);
            self.cluster.pulses.remove(peer);
        }
        let gone = self.forget_burials(group);
        self.write_leave(group, gone);
    }

    /// A group ends in good order: one entry for all its peers.
    fn leave_group(&mut self) {
        let (group, peers) = self.peers_of();
        self.say(|| format!("group {group} leaves"));
        peers.iter().for_each(|peer| self.end(*peer));
        self.forget_burials(group);
        self.write_leave(group, peers);
        self.groups[group].member.group = GroupId(self.ids.uuid());
    }

    /// Whose leaves a group has not written yet.
    fn forget_burials(&mut self, group: usize) -> Vec<PeerId> {
        let burials = std::mem::take(&mut self.burials).into_iter();
        let (of_it, others) = burials.partition(|peer| self.group_of[peer] == group);
        self.burials = others;
        of_it
    }

    fn kill_job(&mut self) {
        let index = self.random.random_range(0..self.submitted.len().max(1));
        if let Some((job, _)) = self.submitted.get(index) {
            self.write_as_client(Command::KillJob(KillJob::new(*job, Some("enough".into()))));
        }
    }

    /// A living peer is said to be gone.
    fn accuse(&mut self) {
        if let Some(peer) = self.any() {
            self.write_as_client(Command::LeaveCluster(LeaveCluster::of(peer)));
        }
    }

    /// Entries that nobody should have written.
    fn say_something_stray(&mut self) {
        let (Some(one), Some(other)) = (self.any(), self.any()) else {
            return;
        };
        let accept = AcceptJoinCluster {
            observer: one,
            subject: other,
            accepted_observer: one,
            accepted_joiner: other,
        };
        match self.random.random_range(0..4) {
            0 => self.write_as_client(Command::AbortJoinCluster(AbortJoinCluster { id: one })),
            1 => {
                let notify = NotifyJoinCluster { observer: one };
                self.write_as_client(Command::NotifyJoinCluster(notify));
            }
            2 => self.write_as_client(Command::AcceptJoinCluster(accept)),
            _ => {
                let step = self.cluster.append_payload(Err(Unreadable("noise".into())));
                self.check(&step);
            }
        }
    }

    /// What somebody said long ago, said again by somebody else: it is not recognised as the same
    /// entry, so it has to be harmless.
    fn repeat_an_old_entry(&mut self) {
        let index = self.random.random_range(0..self.cluster.steps.len().max(1));
        let old = self.cluster.steps.get(index);
        if let Some(entry) = old.and_then(|step| step.entry.clone().ok()) {
            self.write_as_client(entry.command);
        }
    }

    /// A client that has lost the answer submits again; another one uses the same id.
    fn submit_again(&mut self) {
        let index = self.random.random_range(0..self.submitted.len().max(1));
        let Some((id, job)) = self.submitted.get(index) else {
            return;
        };
        let mut job = job.clone();
        if self.random.random() {
            job.content = None;
        }
        let submit = SubmitJob { id: *id, job };
        let known = self.cluster.replica().jobs.is_known(*id);
        self.write_as_client(Command::SubmitJob(submit));
        let ignored = self.cluster.steps.last().and_then(|step| step.ignored);
        let refused = [Reason::KnownJob, Reason::OtherContent, Reason::InvalidJob];
        assert!(!known || ignored.is_some_and(|reason| refused.contains(&reason)));
    }

    /// Tasks that keep state begin logs, compact them, and delete what is not needed.
    fn keep_state(&mut self) {
        let replica = self.cluster.replica();
        let Some(job_id) = replica.jobs.live.first().copied() else {
            return;
        };
        let Some(task) = replica.record(job_id).map(|record| &record.tasks[0]) else {
            return;
        };
        let (task_id, slot_id) = (task.name.clone(), SlotId(0));
        let fresh = || StateLogId::Ledger(self.cluster.steps.len() as u64);
        let present = replica.state_logs.of_slot(job_id, &task_id, slot_id);
        let command = match self.random.random_range(0..4) {
            0 => Command::CompactBookkeeperLogIds(CompactBookkeeperLogIds {
                job_id,
                task_id,
                slot_id,
                peer_id: None,
                prev_ledger_ids: present.iter().take(2).copied().collect(),
                new_ledger_ids: vec![fresh()],
            }),
            1 => Command::DeletedBookkeeperLogIds(DeletedBookkeeperLogIds {
                logs: replica.state_logs.marked.iter().take(2).copied().collect(),
            }),
            _ => Command::AssignBookkeeperLogId(AssignBookkeeperLogId {
                job_id,
                task_id,
                slot_id,
                ledger_id: fresh(),
            }),
        };
        self.write_as_client(command);
    }

    /// The entry of a collector, who will store an origin, or die before it does.
    fn write_gc(&mut self) {
        let id = self.ids.uuid();
        self.write_as_client(Command::Gc(Gc { id }));
        self.collections.push(self.cluster.steps.len() - 1);
    }

    /// One of those who are collecting stores its origin; another may have come further.
    fn collect(&mut self) {
        if self.collections.is_empty() {
            return;
        }
        let at = one_of(&mut self.random, &self.collections);
        self.collections.retain(|other| *other != at);
        self.store_origin(at);
    }

    /// A part of what is before the origin is deleted.
    fn clear(&mut self) {
        let up_to = self.random.random_range(0..=self.cluster.steps.len());
        self.cluster.clear(up_to);
        self.say(|| format!("entries before {up_to} may be deleted"));
    }

    fn jump_one(&mut self) {
        let Some(peer) = self.any() else { return };
        let position = LogPosition(self.cluster.steps.len() as u64);
        self.say(|| format!("{peer} jumps to {position}"));
        if self.cluster.jump(peer) == Some(AfterJump::Restart) {
            self.end(peer);
        }
    }
}
