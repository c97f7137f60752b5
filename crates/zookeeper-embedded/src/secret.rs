//! The secret of a server: what a client has to prove that it knows before it is served.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use subtle::ConstantTimeEq;

use crate::storage::{StorageError, private_file};

/// The file of the secret in a data folder.
const FILE: &str = "secret";
const UNFINISHED: &str = "unfinished-secret";

/// Names in a data folder that are not of the log.
pub(crate) const NAMES: [&str; 2] = [FILE, UNFINISHED];

/// The length of a secret, in bytes: 256 bits cannot be guessed.
const BYTES: usize = 32;

/// A user and the secret, for the scheme `digest`. It is not printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    user: String,
    credentials: String,
}

/// How credentials compare to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Right,
    /// The user of the login, with another password.
    Wrong,
    /// Another user, who may have nodes of their own.
    OfAnother,
}

impl Login {
    pub(crate) fn new(user: &str, secret: &str) -> Self {
        Self {
            user: user.to_owned(),
            credentials: format!("{user}:{secret}"),
        }
    }

    /// `user:secret`.
    pub(crate) fn credentials(&self) -> &str {
        &self.credentials
    }

    /// Takes as long for a guess that is nearly right as for any other of its length.
    pub(crate) fn judge(&self, credentials: &[u8]) -> Proof {
        if credentials.ct_eq(self.credentials.as_bytes()).into() {
            return Proof::Right;
        }
        let user = credentials.split(|byte| *byte == b':').next();
        match user == Some(self.user.as_bytes()) {
            true => Proof::Wrong,
            false => Proof::OfAnother,
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, …)", self.user)
    }
}

/// A new secret, in hexadecimal.
pub(crate) fn draw() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}

/// The secret that a data folder keeps; it is made when there is none.
pub(crate) fn kept(folder: &Path) -> Result<String, StorageError> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(StorageError::NoSecret { file: path.clone() }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = draw().map_err(StorageError::io("draw random bytes for", &path))?;
            keep(folder, &secret).map_err(StorageError::io("create", &path))?;
            Ok(secret)
        }
        Err(error) => Err(StorageError::io("read", &path)(error)),
    }
}

/// Under another name first, so that no reader finds half a secret.
fn keep(folder: &Path, secret: &str) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let mut file = private_file(&unfinished)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FILE))?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::FILE_MODE;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_keeps_its_secret_for_its_user_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let secret = kept(folder.path()).unwrap();
        assert_eq!(secret.len(), 2 * BYTES);
        assert_eq!(kept(folder.path()).unwrap(), secret);
        let metadata = fs::metadata(folder.path().join(FILE)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, FILE_MODE);
        assert_ne!(draw().unwrap(), secret);
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join(FILE), "\n").unwrap();
        let refusal = kept(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("is empty"), "{refusal}");
    }

    #[test]
    fn only_the_whole_secret_proves_anything() {
        let login = Login::new("onyx", "s3cret");
        for (credentials, proof) in [
            ("onyx:s3cret", Proof::Right),
            ("onyx:s3cre", Proof::Wrong),
            ("onyx:s3crets", Proof::Wrong),
            ("onyx:", Proof::Wrong),
            ("onyx", Proof::Wrong),
            ("onyxx:s3cret", Proof::OfAnother),
            ("", Proof::OfAnother),
        ] {
            assert_eq!(login.judge(credentials.as_bytes()), proof, "{credentials}");
        }
        assert!(!format!("{login:?}").contains("s3cret"));
    }
}
