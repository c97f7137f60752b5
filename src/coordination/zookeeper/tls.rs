//! TLS to the servers, from PEM files.

use crate::config::TlsFiles;
use std::fs;
use std::path::Path;
use zookeeper_client::{Error, TlsOptions};

/// The options of the client; an error names the file.
pub(super) fn options(files: &TlsFiles) -> Result<TlsOptions, String> {
    let wrong = |path: &Path, error: Error| format!("{}: {error}", path.display());
    let ca = TlsOptions::new().with_pem_ca(&read(&files.ca)?);
    let options = ca.map_err(|error| wrong(&files.ca, error))?;
    let Some(identity) = &files.identity else {
        return Ok(options);
    };
    let (certificate, key) = (read(&identity.certificate)?, read(&identity.key)?);
    let options = options.with_pem_identity(&certificate, &key);
    options.map_err(|error| wrong(&identity.key, error))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_file_that_will_not_do_is_named() {
        let missing = TlsFiles {
            ca: PathBuf::from("/nowhere/ca.pem"),
            identity: None,
        };
        let told = options(&missing).unwrap_err();
        assert!(told.starts_with("cannot read /nowhere/ca.pem: "), "{told}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let no_certificate = TlsFiles {
            ca: empty.path().into(),
            identity: None,
        };
        let told = options(&no_certificate).unwrap_err();
        assert!(
            told.starts_with(&format!("{}: ", empty.path().display())),
            "{told}"
        );
    }
}
