//! Data folders of which something was taken away: the outcome is the whole state, or a refusal that
//! says what to do, and never an older state.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::folder::Folder;
use super::frame::{Frames, Kind};
use super::queue::Queue;
use super::{Opened, SnapshotPolicy, StorageError, open};
use crate::state::{Ledger, Transaction, sample};

/// A segment and a snapshot for every ten transactions.
const EVERY_TEN: SnapshotPolicy = SnapshotPolicy {
    transactions: 10,
    bytes: 1,
};

const NEVER: SnapshotPolicy = SnapshotPolicy {
    transactions: u64::MAX,
    bytes: u64::MAX,
};

/// Writes a history by servers that stop after five transactions each. `between` sees the folder when
/// they are durable.
fn write_history(
    path: &Path,
    policy: SnapshotPolicy,
    history: &[Transaction],
    mut between: impl FnMut(&Path),
) {
    for group in history.chunks(5) {
        let Opened { ledger, writer } = open(path, policy).unwrap();
        assert_eq!(ledger.zxid() + 1, group[0].stamp.zxid);
        let queue = Queue::default();
        let mut bytes = Vec::new();
        group.iter().for_each(|it| it.encode(&mut bytes));
        queue.push(&mut bytes, group[group.len() - 1].stamp.zxid);
        queue.close();
        writer.run(&queue, |_| between(path)).unwrap();
    }
}

fn copy(from: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// The files of a folder by name, except its lock.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

/// Every length at which a file can be cut without leaving a torn frame, and some that do.
fn cuts(path: &Path) -> Vec<u64> {
    let kind = match path.file_name().unwrap().to_str().unwrap() {
        name if name.starts_with("log.") => Kind::Segment,
        name if name.starts_with("snapshot.") => Kind::Snapshot,
        _ => return vec![0, 20, 48, 4096],
    };
    let mut frames = Frames::open(File::open(path).unwrap(), kind)
        .unwrap()
        .unwrap();
    let mut cuts = vec![0, 8];
    let length = frames.length();
    while frames.position() < length {
        cuts.extend([frames.position(), frames.position() + 20]);
        frames.next().unwrap().unwrap().unwrap();
    }
    cuts
}

/// What is compared of a state: its last transaction, and a hash of the whole.
fn essence(ledger: &Ledger) -> (i64, u64) {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", sample::shown(ledger)).hash(&mut hasher);
    (ledger.zxid(), hasher.finish())
}

/// What a folder leads to: the state, or why it is refused.
fn outcome(folder: &Path) -> Result<(i64, u64), StorageError> {
    open(folder, EVERY_TEN).map(|opened| essence(&opened.ledger))
}

/// The outcome is the whole state, or a refusal that says what to do.
fn check(folder: &Path, whole: (i64, u64), what: &str) -> Option<String> {
    match outcome(folder) {
        Ok(state) => {
            assert_eq!(state, whole, "an older state without a word: {what}");
            None
        }
        Err(refusal) => {
            let refusal = refusal.to_string();
            let says_what_to_do = ["backup", "choose another", "move it away"];
            let says = says_what_to_do.iter().any(|words| refusal.contains(words));
            assert!(says, "{what}: {refusal}");
            Some(refusal)
        }
    }
}

/// A folder with segments, snapshots, and something in the newest segment.
fn whole_folder() -> (TempDir, (i64, u64)) {
    let folder = TempDir::new().unwrap();
    let history = sample::history(5, 47);
    write_history(folder.path(), EVERY_TEN, &history[..40], |_| {});
    write_history(folder.path(), NEVER, &history[40..], |_| {});
    let whole = essence(&sample::ledger(&history));
    assert_eq!(outcome(folder.path()).unwrap(), whole);
    (folder, whole)
}

fn newest_segment(folder: &Path) -> PathBuf {
    let names = files(folder);
    let newest = names.iter().rfind(|name| name.starts_with("log."));
    folder.join(newest.unwrap())
}

#[test]
fn a_file_that_is_removed_or_cut_never_leads_to_an_older_state() {
    let (folder, whole) = whole_folder();
    let names = files(folder.path());
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        let removed = copy(folder.path());
        fs::remove_file(removed.path().join(&name)).unwrap();
        check(removed.path(), whole, &format!("{name} removed"));
        for cut in cuts(&folder.path().join(&name)) {
            let shortened = copy(folder.path());
            let file = OpenOptions::new()
                .write(true)
                .open(shortened.path().join(&name));
            file.unwrap().set_len(cut).unwrap();
            check(shortened.path(), whole, &format!("{name} cut to {cut}"));
        }
    }
}

#[test]
fn two_files_that_are_removed_never_lead_to_an_older_state() {
    let (folder, whole) = whole_folder();
    let names = files(folder.path());
    for one in &names {
        for other in names.iter().filter(|other| *other > one) {
            let removed = copy(folder.path());
            for name in [one, other] {
                fs::remove_file(removed.path().join(name)).unwrap();
            }
            check(removed.path(), whole, &format!("{one}, {other} removed"));
        }
    }
}

#[test]
fn a_folder_as_it_is_after_any_group_opens_by_itself() {
    let folder = TempDir::new().unwrap();
    let history = sample::history(7, 40);
    let mut copies = Vec::new();
    write_history(folder.path(), EVERY_TEN, &history, |path| {
        copies.push(copy(path))
    });
    // The note of a group precedes the word that it is durable.
    for (group, copied) in (1..).zip(&copies) {
        let expected = essence(&sample::ledger(&history[..group * 5]));
        assert_eq!(outcome(copied.path()).unwrap(), expected);
    }
}

#[test]
fn a_log_without_its_newest_segment_is_refused_until_the_loss_is_accepted() {
    let (folder, _) = whole_folder();
    let newest = newest_segment(folder.path());
    fs::remove_file(&newest).unwrap();
    let refusal = outcome(folder.path()).unwrap_err().to_string();
    let expected = format!(
        "but all up to 47 were on disk: {} is missing",
        newest.display()
    );
    assert!(refusal.contains(&expected), "{refusal}");
    let accept = folder.path().join("accept-loss");
    assert!(refusal.contains(&accept.display().to_string()), "{refusal}");

    File::create(&accept).unwrap();
    let accepted = open(folder.path(), EVERY_TEN).unwrap();
    assert!(accepted.ledger.zxid() < 47);
    drop(accepted);
    assert!(!accept.exists(), "a loss is accepted once");
    assert!(outcome(folder.path()).is_ok());
}

#[test]
fn a_file_of_another_folder_is_refused() {
    let (folder, whole) = whole_folder();
    let (other, _) = whole_folder();
    for name in files(folder.path()) {
        let mixed = copy(folder.path());
        fs::copy(other.path().join(&name), mixed.path().join(&name)).unwrap();
        let refusal = check(mixed.path(), whole, &format!("{name} of another folder"));
        if mixed.path().join(&name) == newest_segment(mixed.path()) {
            assert!(refusal.unwrap().contains("written in another data folder"));
        }
    }
}

#[test]
fn a_folder_of_other_files_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("version-2")).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let refusal = outcome(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains("holds other files, such as"), "{refusal}");
    assert_eq!(files(folder.path()), ["version-2"]);
    let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

/// The folder as the version before the manifest has left it: header without a folder, and no manifest.
fn as_of_format_1(folder: &Path) {
    for name in files(folder) {
        let path = folder.join(&name);
        if name == "manifest" {
            fs::remove_file(&path).unwrap();
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        bytes.splice(8..12, 1_u32.to_be_bytes());
        bytes.drain(16..24);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_folder_of_the_version_before_the_manifest_opens_and_is_guarded_from_then_on() {
    let (folder, whole) = whole_folder();
    as_of_format_1(folder.path());
    assert_eq!(outcome(folder.path()).unwrap(), whole);
    for name in files(folder.path()) {
        let removed = copy(folder.path());
        fs::remove_file(removed.path().join(&name)).unwrap();
        check(removed.path(), whole, &format!("{name} removed"));
    }
}

#[test]
fn only_the_user_of_the_server_reads_the_folder() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = TempDir::new().unwrap();
    let created = parent.path().join("made/by/the-server");
    drop(Folder::take(&created).unwrap());
    assert_eq!(mode(&created), 0o700);

    let (folder, _) = whole_folder();
    as_of_format_1(folder.path());
    outcome(folder.path()).unwrap();
    assert_eq!(mode(folder.path()), 0o700);
    for name in files(folder.path()) {
        assert_eq!(mode(&folder.path().join(&name)), 0o600, "{name}");
    }
}
