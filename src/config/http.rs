//! `[http]`: where the node answers, and to whom.

use super::host_names::HostNames;
use super::secret_file::read_secret;
use super::section::Section;
use super::value::count;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address to listen on.
    pub address: IpAddr,
    /// The port to listen on; 0 is any that is free.
    pub port: u16,
    /// What a request must bear; none only on a loopback address.
    pub bearer_token: Option<BearerToken>,
    /// Names that a node on a loopback address is asked by, besides those of loopback.
    pub host_names: HostNames,
    /// The longest body that is accepted.
    pub max_body_bytes: NonZeroUsize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            bearer_token: None,
            host_names: HostNames::default(),
            max_body_bytes: count(1024 * 1024),
        }
    }
}

impl HttpConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = HttpConfig::default();
        let address = keys.get("address", default.address);
        let bearer_token = match read_token(keys) {
            Ok(None) if !address.is_loopback() => {
                keys.refuse("address", &open_to_everybody(address));
                None
            }
            Ok(token) => token,
            Err((key, message)) => {
                keys.refuse(key, &message);
                None
            }
        };
        HttpConfig {
            address,
            port: keys.get("port", default.port),
            bearer_token,
            host_names: keys.get("host-names", default.host_names),
            max_body_bytes: keys.get("max-body-bytes", default.max_body_bytes),
        }
    }
}

impl HttpConfig {
    /// Why clients of other machines can submit jobs, if they can.
    pub fn exposed(&self) -> Option<String> {
        let address = self.address;
        let text = || format!("other machines reach http.address, {address}");
        (!address.is_loopback()).then(text)
    }
}

fn open_to_everybody(address: IpAddr) -> String {
    format!(
        "{address} can be reached from other machines and there is no token; set `bearer-token` \
         or `token-file`, or listen on 127.0.0.1"
    )
}

/// The token of the options, or which option is wrong and why.
fn read_token(keys: &mut Section<'_>) -> Result<Option<BearerToken>, (&'static str, String)> {
    let inline = keys.get("bearer-token", String::new());
    let file = keys.get("token-file", PathBuf::new());
    let has_file = !file.as_os_str().is_empty();
    match (inline.as_str(), has_file) {
        ("", false) => Ok(None),
        ("", true) => token_in(&file).map_err(|message| ("token-file", message)),
        (_, true) => {
            let message = "there is a `bearer-token` too; set one of the two".into();
            Err(("token-file", message))
        }
        (text, false) => {
            let message = || ("bearer-token", BearerToken::EXPECTED.into());
            BearerToken::new(text).map(Some).ok_or_else(message)
        }
    }
}

fn token_in(file: &Path) -> Result<Option<BearerToken>, String> {
    let token = BearerToken::new(&read_secret(file)?);
    let message = || format!("{}: {}", file.display(), BearerToken::EXPECTED);
    token.map(Some).ok_or_else(message)
}

/// A secret that requests bear. Its text is not printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    const EXPECTED: &'static str = "expected a token of printable ASCII characters without spaces";

    /// Takes a text that can stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| BearerToken(text.into()))
    }

    /// The secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}
