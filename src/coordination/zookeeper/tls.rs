//! TLS to the servers, from PEM files.

use crate::config::TlsFiles;
use crate::coordination::CoordinationError;
use std::fs;
use std::path::Path;
use zookeeper_client::{Error, TlsOptions};

const CA: &str = "coordination.tls-ca-file";
const CERTIFICATE: &str = "coordination.tls-cert-file";
const KEY: &str = "coordination.tls-key-file";

/// The options of the client; an error names the option and the file.
pub(super) fn options(files: &TlsFiles) -> Result<TlsOptions, CoordinationError> {
    let ca = TlsOptions::new().with_pem_ca(&read(CA, &files.ca)?);
    let options = ca.map_err(|error| unusable(CA, &files.ca, &error))?;
    let Some(identity) = &files.identity else {
        return Ok(options);
    };
    let certificate = read(CERTIFICATE, &identity.certificate)?;
    let key = read(KEY, &identity.key)?;
    let options = options.with_pem_identity(&certificate, &key);
    options.map_err(|error| unusable(KEY, &identity.key, &error))
}

fn unusable(option: &'static str, path: &Path, error: &Error) -> CoordinationError {
    let path = path.display();
    let reason = format!("{path} cannot be used: {error}; it has to be PEM");
    CoordinationError::Misconfigured { option, reason }
}

fn read(option: &'static str, path: &Path) -> Result<String, CoordinationError> {
    fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        let reason = format!(
            "cannot read {path}: {error}; the path has to be right and the file readable for this \
             user, see TLS in docs/coordination.md"
        );
        CoordinationError::Misconfigured { option, reason }
    })
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
        let told = options(&missing).unwrap_err().to_string();
        let expected = "coordination.tls-ca-file: cannot read /nowhere/ca.pem: ";
        assert!(told.starts_with(expected), "{told}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let no_certificate = TlsFiles {
            ca: empty.path().into(),
            identity: None,
        };
        let told = options(&no_certificate).unwrap_err().to_string();
        let file = empty.path().display();
        let expected = format!("coordination.tls-ca-file: {file} cannot be used: ");
        assert!(told.starts_with(&expected), "{told}");
    }
}
