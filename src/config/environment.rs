//! The variables of the process, and the secrets that were among them when it was started.

use std::sync::OnceLock;

/// Variables whose values are secrets. A process whose environment has one starts itself again without it,
/// since every program of the same user can read the environment that a process was started with.
pub const SECRETS: [&str; 3] = [
    "ONYX_HTTP__BEARER_TOKEN",
    "ONYX_COORDINATION__DIGEST_PASSWORD",
    "ONYX_TOKEN",
];

/// Variables that were taken out of the environment, with their values.
static TAKEN: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// Keeps variables that were taken out of the environment: they count as if they were there. Only the first
/// call does something.
pub fn take_secrets(secrets: Vec<(String, String)>) {
    // A second call has nothing that the first had not.
    let _ = TAKEN.set(secrets);
}

/// The variables of the process. A value that is not Unicode is kept in some form, so that its check can
/// complain.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    let variables = std::env::vars_os().map(|(name, value)| {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        (text(name), text(value))
    });
    variables.chain(TAKEN.get().into_iter().flatten().cloned())
}

/// A secret of the environment, whether it was taken out of it or not.
pub fn secret(name: &str) -> Option<String> {
    environment().find_map(|(found, value)| (found == name).then_some(value))
}
