//! Laws of all commands together: every entry reads back as it was written, and no entry, however
//! odd, stops whoever applies it to a replica, however odd.

use super::commands::sample::submit;
use super::commands::{
    AbortJoinCluster, AcceptJoinCluster, AssignBookkeeperLogId, Command, CompactBookkeeperLogIds,
    DeletedBookkeeperLogIds, ExhaustInput, Gc, KillJob, LeaveCluster, NotifyJoinCluster,
    PrepareJoinCluster, SealTask, SetReplica, SignalReady, SlotWord, SubmitJob, SubmittedJob,
};
use super::wants::{LocalFacts, wants};
use super::{Applied, Entry, LogCommand, PeerContext, step};
use crate::codec::{from_payload, to_payload};
use crate::ids::{
    ContentHash, EntrySource, JobId, LogPosition, PeerId, SlotId, StateLogId, TaskName, WriterId,
};
use crate::job::TaskKind;
use crate::replica::invariants::violations;
use crate::replica::sample::{job_id, knowing, peer};
use crate::replica::view::view;
use crate::replica::{
    Allocation, JobRecord, Jobs, Member, Membership, Progress, Replica, Slots, StateLogs,
    TaskRecord,
};
use crate::scheduler::explain;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

fn a_peer() -> impl Strategy<Value = PeerId> {
    "[a-f]".prop_map(|name| peer(&name))
}

fn a_job() -> impl Strategy<Value = JobId> {
    (0..4u32).prop_map(job_id)
}

fn a_task_name() -> impl Strategy<Value = TaskName> {
    "[t-w]".prop_map(TaskName::from)
}

fn a_slot() -> impl Strategy<Value = SlotId> {
    prop_oneof![(0..3u32).prop_map(SlotId), Just(SlotId(u32::MAX))]
}

fn a_position() -> impl Strategy<Value = LogPosition> {
    (0..4u64).prop_map(LogPosition)
}

fn a_member() -> impl Strategy<Value = Member> {
    prop::sample::select(vec!["", "fn:x", "fn:x fn:y"]).prop_map(knowing)
}

fn a_task() -> impl Strategy<Value = TaskRecord> {
    let kinds = vec![TaskKind::Input, TaskKind::Function, TaskKind::Output];
    let min = prop_oneof![0..4u32, Just(u32::MAX)];
    let max = option::of(prop_oneof![0..4u32, Just(u32::MAX)]);
    let words = btree_set("fn:[x-z]", 0..2);
    let kind = prop::sample::select(kinds);
    let parts = (
        a_task_name(),
        kind,
        vec(a_task_name(), 0..3),
        min,
        max,
        words,
    );
    parts.prop_map(
        |(name, kind, downstream, min_peers, max_peers, words)| TaskRecord {
            name,
            kind,
            downstream,
            min_peers,
            max_peers,
            words,
            ..TaskRecord::new("", kind, Vec::new())
        },
    )
}

/// In its flat shape a job has one task of a name.
fn a_submitted_job() -> impl Strategy<Value = SubmittedJob> {
    let content = option::of((0..2u64).prop_map(ContentHash));
    (vec(a_task(), 0..4), content).prop_map(|(mut tasks, content)| {
        let mut names = BTreeSet::new();
        tasks.retain(|task| names.insert(task.name.clone()));
        SubmittedJob {
            content,
            ..SubmittedJob::new("job", tasks)
        }
    })
}

/// A job that can run, now and then: random tasks hardly ever fit together.
fn a_sound_job() -> impl Strategy<Value = Command> {
    let shapes = vec![
        "in:i>out out:o",
        "in:i>out:1-2 out:o:1-1",
        "t:i>u:1-2 u:f>v,w:1-!fn:x v:o w:o:1-3",
    ];
    (0..4u32, prop::sample::select(shapes)).prop_map(|(id, tasks)| submit(id, tasks))
}

/// The command that is the word of a holder about its slot.
fn a_slot_word() -> impl Strategy<Value = SlotWord> {
    let id = option::weighted(0.8, a_peer());
    let said = (a_job(), a_task_name(), a_slot(), a_position(), id);
    said.prop_map(|(job, task, slot, version, id)| SlotWord {
        job,
        task,
        slot,
        version,
        id,
    })
}

fn a_log() -> impl Strategy<Value = StateLogId> {
    let named = (0..2u128).prop_map(|id| StateLogId::Named(Uuid::from_u128(id)));
    prop_oneof![(0..3u64).prop_map(StateLogId::Ledger), named]
}

fn a_word_about_logs() -> impl Strategy<Value = Command> {
    let assign = (a_job(), a_task_name(), a_slot(), a_log()).prop_map(|(job, task, slot, log)| {
        Command::AssignBookkeeperLogId(AssignBookkeeperLogId {
            job_id: job,
            task_id: task,
            slot_id: slot,
            ledger_id: log,
        })
    });
    let lists = (vec(a_log(), 0..3), vec(a_log(), 0..3));
    let compact = (a_job(), a_task_name(), a_slot(), lists).prop_map(|(job, task, slot, logs)| {
        Command::CompactBookkeeperLogIds(CompactBookkeeperLogIds {
            job_id: job,
            task_id: task,
            slot_id: slot,
            peer_id: None,
            prev_ledger_ids: logs.0,
            new_ledger_ids: logs.1,
        })
    });
    let deleted = btree_set(a_log(), 0..3)
        .prop_map(|logs| Command::DeletedBookkeeperLogIds(DeletedBookkeeperLogIds { logs }));
    prop_oneof![assign, compact, deleted]
}

fn a_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (a_peer(), a_member()).prop_map(|(joiner, member)| {
            Command::PrepareJoinCluster(PrepareJoinCluster { joiner, member })
        }),
        a_peer()
            .prop_map(|observer| { Command::NotifyJoinCluster(NotifyJoinCluster { observer }) }),
        (a_peer(), a_peer(), a_peer(), a_peer()).prop_map(|(one, two, three, four)| {
            Command::AcceptJoinCluster(AcceptJoinCluster {
                observer: one,
                subject: two,
                accepted_observer: three,
                accepted_joiner: four,
            })
        }),
        a_peer().prop_map(|id| Command::AbortJoinCluster(AbortJoinCluster { id })),
        (a_peer(), vec(a_peer(), 0..3))
            .prop_map(|(id, also)| Command::LeaveCluster(LeaveCluster { id, also })),
        (a_job(), a_submitted_job())
            .prop_map(|(id, job)| { Command::SubmitJob(SubmitJob { id, job }) }),
        a_sound_job(),
        (a_job(), option::of("[a-z]{0,9}"))
            .prop_map(|(job, cause)| Command::KillJob(KillJob::new(job, cause))),
        a_slot_word().prop_map(|word| Command::SignalReady(SignalReady(word))),
        a_slot_word().prop_map(|word| Command::ExhaustInput(ExhaustInput(word))),
        a_slot_word().prop_map(|word| Command::SealTask(SealTask(word))),
        a_word_about_logs(),
        any::<u128>().prop_map(|id| Command::Gc(Gc {
            id: Uuid::from_u128(id)
        })),
        Just(()).prop_map(|()| Command::SetReplica(SetReplica {
            replica: Arc::default()
        })),
    ]
}

fn an_entry() -> impl Strategy<Value = Entry> {
    let parts = (
        a_peer(),
        1..4u64,
        option::of(a_position()),
        option::of(any::<u64>()),
        a_command(),
    );
    parts.prop_map(|(writer, sequence, entry_parent, written_at_ms, command)| {
        let source = EntrySource {
            writer: WriterId::from(writer),
            sequence,
        };
        Entry {
            source: Some(source),
            entry_parent,
            written_at_ms,
            command,
        }
    })
}

fn an_allocation() -> impl Strategy<Value = Arc<Allocation>> {
    let slots = btree_map(a_slot(), a_peer(), 0..3);
    let slots = slots.prop_map(|slots| slots.into_iter().collect::<Slots>());
    let tasks = btree_map(a_task_name(), slots, 0..3);
    let parts = (
        a_position(),
        option::of(a_position()),
        tasks,
        btree_set(a_peer(), 0..3),
        btree_set(a_peer(), 0..2),
    );
    parts.prop_map(|(version, last_loss, tasks, ready, leaving)| {
        Arc::new(Allocation {
            version,
            last_loss,
            tasks,
            ready,
            ackers: Vec::new(),
            leaving,
        })
    })
}

fn a_progress() -> impl Strategy<Value = Arc<Progress>> {
    let marks = || btree_set((a_task_name(), a_slot()), 0..3);
    let parts = (marks(), btree_set(a_task_name(), 0..2), marks());
    parts.prop_map(|(exhausted, exhausted_tasks, sealed)| {
        Arc::new(Progress {
            exhausted,
            exhausted_tasks,
            sealed,
        })
    })
}

fn a_membership() -> impl Strategy<Value = Arc<Membership>> {
    let pairs = || btree_map(a_peer(), a_peer(), 0..4);
    let members = btree_map(a_peer(), a_member(), 0..6);
    let parts = (vec(a_peer(), 0..6), pairs(), pairs(), pairs(), members);
    parts.prop_map(|(peers, prepared, accepted, pairs, members)| {
        Arc::new(Membership {
            peers,
            prepared,
            accepted,
            pairs: pairs.into_iter().collect(),
            members: members.into_iter().collect(),
        })
    })
}

fn some_jobs() -> impl Strategy<Value = Arc<Jobs>> {
    let list = || vec(a_job(), 0..4);
    let records = btree_map(a_job(), vec(a_task(), 0..4), 0..4);
    (list(), list(), list(), records).prop_map(|(live, completed, killed, records)| {
        let record = |(id, tasks)| (id, Arc::new(JobRecord::new("job", tasks)));
        let records: BTreeMap<JobId, Arc<JobRecord>> = records.into_iter().map(record).collect();
        Arc::new(Jobs {
            live,
            completed,
            killed,
            records: records.into_iter().collect(),
            ..Jobs::default()
        })
    })
}

/// Anything that can be written down as a replica, whether it makes sense or not.
fn any_replica() -> impl Strategy<Value = Replica> {
    let allocations = btree_map(a_job(), an_allocation(), 0..3);
    let progress = btree_map(a_job(), a_progress(), 0..3);
    let slots = btree_map(a_slot(), vec(a_log(), 0..3), 0..3);
    let logs = btree_map(a_job(), btree_map(a_task_name(), slots, 0..2), 0..2);
    let state_logs = (logs, btree_set(a_log(), 0..2));
    let state_logs = state_logs.prop_map(|(logs, marked)| Arc::new(StateLogs { logs, marked }));
    (
        a_membership(),
        some_jobs(),
        allocations,
        progress,
        state_logs,
    )
        .prop_map(
            |(membership, jobs, allocations, progress, state_logs)| Replica {
                state_logs,
                membership,
                jobs,
                allocations: Arc::new(allocations),
                progress: Arc::new(progress),
                ..Replica::default()
            },
        )
}

proptest! {
    #[test]
    fn an_entry_reads_back_from_messagepack_and_json(entry in an_entry()) {
        let packed = to_payload(&entry).unwrap();
        prop_assert_eq!(&from_payload::<Entry>(&packed).unwrap(), &entry);
        let text = serde_json::to_string(&entry).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Entry>(&text).unwrap(), &entry);
    }

    #[test]
    fn a_replica_reads_back_from_messagepack_and_json(replica in any_replica()) {
        let packed = to_payload(&replica).unwrap();
        prop_assert_eq!(&from_payload::<Replica>(&packed).unwrap(), &replica);
        let text = serde_json::to_string(&replica).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Replica>(&text).unwrap(), &replica);
    }

    #[test]
    fn no_command_stops_whoever_applies_it(
        replica in any_replica(),
        command in a_command(),
        position in a_position(),
        me in a_peer(),
    ) {
        let applied = command.apply(position, &replica);
        let old = replica.clone();
        let new = match applied {
            Applied::Changed(new) => new,
            Applied::Ignored(_) => replica,
        };
        let me = PeerContext { me, member: knowing("") };
        wants(&new, &me, &LocalFacts::default());
        explain(&new, job_id(0)).to_string();
        violations(&new, position);
        command.diff(&old, &new);
        view(&new);
    }

    #[test]
    fn any_log_keeps_the_invariants_and_counts_an_entry_once(
        entries in vec(an_entry(), 0..40),
    ) {
        let mut replica = Arc::new(Replica::default());
        for (position, entry) in entries.into_iter().enumerate() {
            let position = LogPosition(position as u64);
            let first = step(position, Ok(entry.clone()), replica);
            let found = violations(&first.new, position);
            prop_assert!(found.is_empty(), "{entry:?} broke {found:?}");
            let read = Replica::from_view(&view(&first.new));
            prop_assert_eq!(read.as_ref(), Ok(&*first.new));
            let again = step(position, Ok(entry), Arc::clone(&first.new));
            prop_assert!(Arc::ptr_eq(&again.new, &first.new));
            replica = first.new;
        }
    }
}

#[test]
fn an_entry_in_json_is_what_the_design_shows() {
    let entry = Entry {
        source: Some(EntrySource {
            writer: peer("a").into(),
            sequence: 3,
        }),
        entry_parent: Some(LogPosition(7)),
        written_at_ms: None,
        command: Command::PrepareJoinCluster(PrepareJoinCluster {
            joiner: peer("a"),
            member: knowing("fn:x"),
        }),
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&entry).unwrap(), @r#"
    {
      "source": {
        "writer": "61000000-0000-0000-0000-000000000000",
        "sequence": 3
      },
      "entry-parent": 7,
      "fn": "prepare-join-cluster",
      "args": {
        "joiner": "61000000-0000-0000-0000-000000000000",
        "group": "00000000-0000-0000-0000-000000000001",
        "peer-site": "here",
        "words": [
          "fn:x"
        ],
        "tags": []
      }
    }
    "#);
}
