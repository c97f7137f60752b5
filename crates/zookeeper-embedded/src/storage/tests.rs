//! Data folders: what is believed of them after crashes, damage and snapshots.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use tempfile::TempDir;

use super::compaction::compact;
use super::folder::Folder;
use super::frame::FILE_HEAD;
use super::manifest::{Extent, Manifest};
use super::queue::Queue;
use super::recovery::{Found, Horizon, recover};
use super::segment::Segment;
use super::{SnapshotPolicy, StorageError, open};
use crate::state::{Transaction, sample};

const NO_SNAPSHOTS: SnapshotPolicy = SnapshotPolicy {
    transactions: u64::MAX,
    bytes: u64::MAX,
};

fn encoded(transactions: &[Transaction]) -> Vec<u8> {
    let mut bytes = Vec::new();
    transactions.iter().for_each(|it| it.encode(&mut bytes));
    bytes
}

/// Writes a segment; answers with the length of the file after each group.
fn write_segment(folder: &Folder, groups: &[&[Transaction]]) -> Vec<u64> {
    let first = groups[0][0].stamp.zxid;
    let mut segment = Segment::create(folder, first).unwrap();
    let append = |group: &&[Transaction]| {
        segment.append(&encoded(group)).unwrap();
        fs::metadata(folder.segment(first)).unwrap().len()
    };
    groups.iter().map(append).collect()
}

/// A manifest that knows of no transaction, as the loss of power may leave it.
fn write_manifest(folder: &Folder) {
    let nothing = Extent {
        segment: 0,
        last: 0,
    };
    Manifest::create(folder, nothing).unwrap();
}

fn recovered(folder: &Path) -> Result<Found, StorageError> {
    recover(&Folder::take(folder)?, Horizon::Everything)
}

/// The state that the folder leads to is that of the first so many transactions.
fn check(folder: &Path, history: &[Transaction], length: usize) -> Found {
    let found = recovered(folder).unwrap();
    let expected = sample::ledger(&history[..length]);
    assert_eq!(sample::shown(&found.ledger), sample::shown(&expected));
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_log_cut_anywhere_is_a_prefix_of_the_history(
        seed: u64,
        groups in prop::collection::vec(1_usize..20, 1..6),
        cut in 0.0..1.0_f64,
    ) {
        let (temporary, history) = (TempDir::new().unwrap(), sample::history(seed, 100));
        let path = temporary.path();
        let mut ends = vec![0];
        for group in groups {
            ends.push(ends[ends.len() - 1] + group);
        }
        let groups: Vec<&[Transaction]> =
            ends.windows(2).map(|it| &history[it[0]..it[1]]).collect();
        let folder = Folder::take(path).unwrap();
        let lengths = write_segment(&folder, &groups);
        write_manifest(&folder);
        let file = folder.segment(1);
        drop(folder);

        let whole = lengths[lengths.len() - 1];
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = (cut * whole as f64) as u64;
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(cut).unwrap();

        let survivors = lengths.iter().filter(|end| **end <= cut).count();
        let found = check(path, &history, ends[survivors]);
        let is_between_groups = lengths.contains(&cut) || cut <= FILE_HEAD as u64;
        prop_assert_eq!(found.torn.is_none(), is_between_groups);

        // What comes next goes behind what was believed.
        let mut opened = open(path, NO_SNAPSHOTS).unwrap();
        let queue = Queue::default();
        let rest = &history[ends[survivors]..];
        queue.push(&mut encoded(rest), 100);
        queue.close();
        let mut durable = 0;
        opened.writer.run(&queue, |zxid| durable = zxid).unwrap();
        prop_assert_eq!(durable, 100);
        for transaction in rest {
            opened.ledger.replay(transaction).unwrap();
        }
        prop_assert!(check(path, &history, 100).torn.is_none());
    }

    #[test]
    fn snapshots_and_log_lead_where_the_log_alone_does(
        seed: u64,
        lengths in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let (temporary, history) = (TempDir::new().unwrap(), sample::history(seed, 200));
        let folder = Folder::take(temporary.path()).unwrap();
        let mut end = 0;
        for length in &lengths {
            let segment = &history[end..end + length];
            write_segment(&folder, &[segment]);
            end += length;
            let last = i64::try_from(end).unwrap();
            compact(&folder, last, &AtomicBool::new(false)).unwrap();
        }
        write_segment(&folder, &[&history[end..]]);
        drop(folder);
        let found = check(temporary.path(), &history, 200);
        prop_assert_eq!(found.snapshot, i64::try_from(end).ok());
        prop_assert_eq!(found.replayed, 200 - end as u64);

        // Without the newest snapshot as well.
        let newest = temporary.path().join(format!("snapshot.{end:016x}"));
        flip(&newest, fs::metadata(&newest).unwrap().len() / 2);
        let before = (lengths.len() > 1).then(|| i64::try_from(end - lengths[lengths.len() - 1]).unwrap());
        prop_assert_eq!(check(temporary.path(), &history, 200).snapshot, before);
    }
}

/// Three segments of ten transactions; the last has two groups.
fn three_segments() -> (TempDir, Vec<Transaction>, [PathBuf; 3], u64) {
    let (temporary, history) = (TempDir::new().unwrap(), sample::history(3, 30));
    let folder = Folder::take(temporary.path()).unwrap();
    write_segment(&folder, &[&history[..10]]);
    write_segment(&folder, &[&history[10..20]]);
    let lengths = write_segment(&folder, &[&history[20..25], &history[25..]]);
    let paths = [1, 11, 21].map(|first| folder.segment(first));
    (temporary, history, paths, lengths[0])
}

fn refusal(folder: &Path) -> String {
    recovered(folder).unwrap_err().to_string()
}

#[test]
fn damage_that_no_crash_explains_is_refused_with_its_place() {
    let first_frame = FILE_HEAD as u64;
    for (segment, byte) in [(1, 4), (2, 0), (2, 4), (2, 24)] {
        let (folder, _, paths, _) = three_segments();
        flip(&paths[segment], first_frame + byte);
        let refusal = refusal(folder.path());
        let place = format!(
            "{} is damaged at byte {first_frame}:",
            paths[segment].display()
        );
        assert!(refusal.starts_with(&place), "{refusal}");
        let cut = format!("truncate -s {first_frame} ");
        assert!(refusal.contains(&cut), "{refusal}");
    }
}

#[test]
fn a_bad_record_at_the_very_end_is_what_a_crash_leaves() {
    let (folder, history, paths, second_group) = three_segments();
    flip(&paths[2], second_group + 30);
    let torn = check(folder.path(), &history, 25).torn.unwrap();
    assert_eq!((torn.file, torn.offset), (paths[2].clone(), second_group));
}

#[test]
fn a_payload_that_looks_like_a_record_changes_nothing() {
    let (folder, history, paths, first_group) = three_segments();
    // The torn second group holds a copy of another segment's record.
    let mut bytes = fs::read(&paths[2]).unwrap();
    bytes.truncate(usize::try_from(first_group).unwrap() + 20);
    bytes.extend(&fs::read(&paths[1]).unwrap()[FILE_HEAD..]);
    fs::write(&paths[2], bytes).unwrap();
    assert!(check(folder.path(), &history, 25).torn.is_some());
}

#[test]
fn a_missing_segment_is_told() {
    let (folder, _, paths, _) = three_segments();
    fs::remove_file(&paths[1]).unwrap();
    let refusal = refusal(folder.path());
    assert!(refusal.starts_with("transactions from 11 on are missing in"));
    assert!(
        refusal.contains(&paths[2].display().to_string()),
        "{refusal}"
    );
}

#[test]
fn a_segment_that_was_just_begun_is_begun_again() {
    let (folder, history, _, _) = three_segments();
    fs::write(folder.path().join("log.000000000000001f"), [0; 7]).unwrap();
    write_manifest(&Folder::take(folder.path()).unwrap());
    check(folder.path(), &history, 30);
    drop(open(folder.path(), NO_SNAPSHOTS).unwrap());
    assert_eq!(
        check(folder.path(), &history, 30).tail.unwrap().length,
        FILE_HEAD as u64
    );
}

#[test]
fn another_format_is_refused() {
    let (folder, _, paths, _) = three_segments();
    flip(&paths[0], 11);
    let told = refusal(folder.path());
    assert!(
        told.contains("version 18, this server knows 1 and 2"),
        "{told}"
    );
    flip(&paths[0], 3);
    let told = refusal(folder.path());
    assert!(told.contains("not one of ours"), "{told}");
}

#[test]
fn unreadable_snapshots_are_refused_when_the_log_does_not_reach_back() {
    let (folder, _, paths, _) = three_segments();
    let taken = Folder::take(folder.path()).unwrap();
    for last in [10, 20] {
        compact(&taken, last, &AtomicBool::new(false)).unwrap();
    }
    for last in [10, 20] {
        flip(&taken.snapshot(last), 30);
    }
    drop(taken);
    assert!(!paths[0].exists());
    let refusal = refusal(folder.path());
    assert!(refusal.starts_with("no snapshot can be read"), "{refusal}");
}

#[test]
fn two_snapshots_and_the_log_from_the_older_one_are_kept() {
    let (folder, history, _, _) = three_segments();
    let taken = Folder::take(folder.path()).unwrap();
    let first = compact(&taken, 10, &AtomicBool::new(false));
    assert!(first.is_ok());
    assert_eq!(names(folder.path()).len(), 4);
    compact(&taken, 20, &AtomicBool::new(false)).unwrap();
    drop(taken);
    check(folder.path(), &history, 30);
    let expected = [
        "log.000000000000000b",
        "log.0000000000000015",
        "snapshot.000000000000000a",
        "snapshot.0000000000000014",
    ];
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn a_snapshot_that_is_called_off_leaves_nothing() {
    let temporary = TempDir::new().unwrap();
    let folder = Folder::take(temporary.path()).unwrap();
    let history = sample::history(9, 9000);
    write_segment(&folder, &[&history]);
    compact(&folder, 9000, &AtomicBool::new(true)).unwrap();
    assert_eq!(names(temporary.path()), ["log.0000000000000001"]);
}

#[test]
fn a_folder_belongs_to_one_server() {
    let temporary = TempDir::new().unwrap();
    let taken = Folder::take(temporary.path()).unwrap();
    let refusal = refusal(temporary.path());
    assert!(refusal.contains("is in use by another server"), "{refusal}");
    drop(taken);
    assert!(recovered(temporary.path()).is_ok());
}
