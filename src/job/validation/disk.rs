//! Whether files can be read and written: the only part of validation that looks at the disk.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

/// Whether there is a file that can be opened for reading.
pub fn readable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_found(path)),
        Err(error) => return Err(format!("cannot look at {shown}: {error}")),
    };
    if metadata.is_dir() {
        return Err(format!("{shown} is a folder; name a file in it"));
    }
    // Opening a pipe would wait for whoever writes to it.
    if !metadata.is_file() {
        return Ok(());
    }
    File::open(path)
        .map(drop)
        .map_err(|error| format!("cannot read {shown}: {error}"))
}

/// Whether a file could be written without writing anything: neither it nor what stands in for
/// its folder is something else.
pub fn writable(path: &Path) -> Result<(), String> {
    let shown = path.display();
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

fn not_found(path: &Path) -> String {
    let shown = path.display();
    let existing = path.ancestors().skip(1).find(|folder| folder.exists());
    match existing {
        Some(folder) if Some(folder) != path.parent() && !folder.as_os_str().is_empty() => {
            format!(
                "there is no file {shown}; the path ends to exist after {}",
                folder.display()
            )
        }
        _ => format!("there is no file {shown}"),
    }
}
