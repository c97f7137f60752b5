//! Whether files can be read and written: the only part of validation that looks at the disk.

mod patterns;

pub use patterns::{UNFINISHED, files};

use crate::files::{Access, FileAccess, is_in_place};
use crate::nearest::suggestion;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

/// Whether there is a file that can be opened for reading.
pub fn readable(path: &Path, access: &FileAccess) -> Result<(), String> {
    let shown = path.display();
    let cannot = |error| format!("cannot read {shown}: {error}");
    access.check(path, Access::Read).map_err(cannot)?;
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Err(absent(path, &error)),
    };
    if metadata.is_dir() {
        return Err(format!("{shown} is a folder; name a file in it"));
    }
    // Opening a pipe would wait for whoever writes to it.
    if !metadata.is_file() {
        return Ok(());
    }
    let opened = access.open(path, OpenOptions::new().read(true));
    opened.map(drop).map_err(cannot)
}

/// The same text for two paths that lead to the same file, by links of either kind.
pub fn identity(path: &Path) -> Option<String> {
    if let Ok(metadata) = fs::metadata(path) {
        return Some(number(&metadata).unwrap_or_else(|| canonical(path)));
    }
    // A file that is still to be made is known by its folder.
    let folder = path.parent()?.canonicalize().ok()?;
    Some(folder.join(path.file_name()?).display().to_string())
}

fn canonical(path: &Path) -> String {
    let found = path.canonicalize();
    found.as_deref().unwrap_or(path).display().to_string()
}

#[cfg(unix)]
fn number(metadata: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    Some(format!("{}:{}", metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> Option<String> {
    None
}

/// Whether a file could be written without writing anything: neither it nor what stands in for
/// its folder is something else.
pub fn writable(path: &Path, access: &FileAccess) -> Result<(), String> {
    let shown = path.display();
    let checked = access.check(path, Access::Write);
    checked.map_err(|error| format!("cannot write {shown}: {error}"))?;
    if is_in_place(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(format!("{shown} is a folder; name a file in it"));
    }
    let existing = path.ancestors().skip(1).find(|folder| folder.exists());
    match existing {
        Some(folder) if !folder.is_dir() => {
            let folder = folder.display();
            Err(format!(
                "{shown} cannot be made, because {folder} is a file"
            ))
        }
        Some(folder) if fs::metadata(folder).is_ok_and(|it| it.permissions().readonly()) => {
            Err(format!(
                "{shown} cannot be made, because {} is read-only",
                folder.display()
            ))
        }
        _ => Ok(()),
    }
}

/// Why a file that was listed cannot be looked at.
pub fn absent(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => not_found(path),
        _ => broken_link(path)
            .unwrap_or_else(|| format!("cannot look at {}: {error}", path.display())),
    }
}

fn not_found(path: &Path) -> String {
    if let Some(link) = broken_link(path) {
        return link;
    }
    let shown = path.display();
    let existing = path.ancestors().skip(1).find(|folder| folder.exists());
    match existing {
        Some(folder) if Some(folder) != path.parent() && !folder.as_os_str().is_empty() => {
            let missing = path.strip_prefix(folder).ok();
            let missing = missing.and_then(|rest| rest.components().next());
            let near = missing.map(|part| near(folder, &part.as_os_str().to_string_lossy()));
            format!(
                "there is no file {shown}; only {} is there{}",
                folder.display(),
                near.unwrap_or_default()
            )
        }
        _ => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let folder = path.parent().filter(|it| *it != Path::new(""));
            let near = near(folder.unwrap_or(Path::new(".")), &name);
            format!("there is no file {shown}{near}")
        }
    }
}

/// What is wrong if a path leads through a link that does not lead anywhere.
fn broken_link(path: &Path) -> Option<String> {
    let link = path.ancestors().find(|it| it.symlink_metadata().is_ok())?;
    let error = fs::metadata(link).err()?;
    let target = fs::read_link(link).ok()?;
    let (shown, target) = (link.display(), target.display());
    Some(match error.kind() {
        ErrorKind::NotFound => format!("{shown} is a link to {target}, which does not exist"),
        _ => format!("{shown} is a link to {target}, which cannot be followed: {error}"),
    })
}

/// Which name in a folder was probably meant.
fn near(folder: &Path, name: &str) -> String {
    let Ok(entries) = fs::read_dir(folder) else {
        return String::new();
    };
    let names = entries.take(NAMES_MAX).filter_map(Result::ok);
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    suggestion(name, names.iter().map(String::as_str))
}

/// Among more names than these nobody looks for the one that was meant.
const NAMES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(path: &Path) -> Result<(), String> {
        super::readable(path, &FileAccess::default())
    }

    fn writable(path: &Path) -> Result<(), String> {
        super::writable(path, &FileAccess::default())
    }

    fn here(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    fn refusal(answer: Result<(), String>) -> String {
        let folder = here("").display().to_string();
        answer.expect_err("it is refused").replace(&folder, "…/")
    }

    #[test]
    fn what_can_be_read_is_a_file_that_is_there() {
        assert_eq!(readable(&here("Cargo.toml")), Ok(()));
        insta::assert_snapshot!(refusal(readable(&here("src"))), @"…/src is a folder; name a file in it");
        insta::assert_snapshot!(refusal(readable(&here("src/nothing.csv"))), @"there is no file …/src/nothing.csv");
        insta::assert_snapshot!(refusal(readable(&here("src/no/such/nothing.csv"))), @"there is no file …/src/no/such/nothing.csv; only …/src is there");
    }

    #[test]
    fn what_can_be_written_is_a_file_or_nothing_yet() {
        assert_eq!(writable(&here("Cargo.toml")), Ok(()));
        assert_eq!(writable(&here("target/no/such/out.jsonl")), Ok(()));
        assert_eq!(writable(Path::new("out.jsonl")), Ok(()));
        insta::assert_snapshot!(refusal(writable(&here("src"))), @"…/src is a folder; name a file in it");
        insta::assert_snapshot!(refusal(writable(&here("Cargo.toml/out.jsonl"))), @"…/Cargo.toml/out.jsonl cannot be made, because …/Cargo.toml is a file");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_the_same_by_each_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        fs::write(path("other"), "").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("file"), path("soft")).unwrap();
        let known = |name: &str| identity(&path(name)).unwrap();
        assert_eq!(
            [known("hard"), known("soft")],
            [known("file"), known("file")]
        );
        assert_ne!(known("other"), known("file"));
        // What is still to be made is known by its folder.
        std::os::unix::fs::symlink(folder.path(), path("again")).unwrap();
        assert_eq!(known("again/new"), known("new"));
        assert_eq!(identity(&path("no/new")), None);
    }
}
