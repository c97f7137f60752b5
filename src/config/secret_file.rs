//! A file that holds a secret: one that others may read or write is refused.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What group and others may do with a file.
const OF_OTHERS: u32 = 0o077;
const PERMISSIONS: u32 = 0o7777;

/// The text of a file that only its owner has access to, without space at its end.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("cannot read {shown}: {error}");
    let mut file = File::open(path).map_err(failed)?;
    // Of the file that is open, so that no other one is read than the one that is looked at.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & PERMISSIONS;
    if mode & OF_OTHERS != 0 {
        return Err(format!(
            "{shown} has mode {mode:04o}, so that other users of this machine have access to the secret \
             in it; run `chmod 600 {shown}`"
        ));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_secret_that_others_have_access_to_is_refused_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cret\n").unwrap();
        let read = |mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read_secret(&path)
        };
        for mode in [0o600, 0o400] {
            assert_eq!(read(mode), Ok("s3cret".to_owned()));
        }
        for mode in [0o644, 0o640, 0o602, 0o620, 0o666] {
            let message = read(mode).unwrap_err();
            assert!(message.contains(&format!("mode {mode:04o}")), "{message}");
            let command = format!("`chmod 600 {}`", path.display());
            assert!(message.contains(&command), "{message}");
        }
    }
}
