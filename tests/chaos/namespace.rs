//! A network namespace, as a machine of its own that can be cut off. Needs root and `ip`.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// A namespace and the cable to it. Both go with the value.
pub(crate) struct Namespace {
    name: String,
    /// The end of the cable that stays outside.
    cable: String,
    net: u8,
}

impl Namespace {
    /// An error says what is not allowed here.
    pub(crate) fn create() -> Result<Self, String> {
        let id = std::process::id();
        let namespace = Namespace {
            name: format!("onyx-chaos-{id}"),
            cable: format!("oc{id}"),
            net: (id % 250) as u8 + 1,
        };
        let needs = "cutting a node off needs root and `ip`";
        match namespace.set_up() {
            Ok(()) => Ok(namespace),
            Err(error) => Err(format!("{needs}: {error}")),
        }
    }

    fn set_up(&self) -> Result<(), String> {
        let (name, cable) = (&self.name, &self.cable);
        let inner = format!("{cable}i");
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {cable} type veth peer name {inner} netns {name}"
        ))?;
        for host in [OUTSIDE, OUTSIDE + 1, OUTSIDE + 2] {
            ip(&format!(
                "address add {}/24 dev {cable}",
                self.address(host)
            ))?;
        }
        ip(&format!("link set {cable} up"))?;
        let address = self.address(INSIDE);
        ip(&format!("-n {name} address add {address}/24 dev {inner}"))?;
        ip(&format!("-n {name} link set {inner} up"))?;
        ip(&format!("-n {name} link set lo up"))
    }

    /// Words before a command that is to run inside.
    pub(crate) fn inside(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name]
            .map(str::to_owned)
            .to_vec()
    }

    /// Options of a node inside, which has a media driver of its own.
    pub(crate) fn options(&self) -> Vec<(String, String)> {
        let address = self.address(INSIDE).to_string();
        [
            ("ONYX_HTTP__ADDRESS", address.clone()),
            ("ONYX_HTTP__BEARER_TOKEN", "chaos".to_owned()),
            ("ONYX_MESSAGING__ADDRESS", address),
            ("ONYX_MESSAGING__DRIVER", "embedded".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    pub(crate) fn outside(&self) -> IpAddr {
        self.address(OUTSIDE)
    }

    /// Addresses of three servers outside.
    pub(crate) fn servers(&self) -> [IpAddr; 3] {
        [OUTSIDE, OUTSIDE + 1, OUTSIDE + 2].map(|host| self.address(host))
    }

    /// Pulls the cable out.
    pub(crate) fn cut(&self) {
        ip(&format!("link set {} down", self.cable)).unwrap();
    }

    pub(crate) fn mend(&self) {
        ip(&format!("link set {} up", self.cable)).unwrap();
    }

    fn address(&self, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 213, self.net, host))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with its other end.
        let _ = ip(&format!("link delete {}", self.cable));
        let _ = ip(&format!("netns delete {}", self.name));
    }
}

const OUTSIDE: u8 = 1;
const INSIDE: u8 = 10;

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("`ip`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(format!("`ip {words}`: {}", reason.trim()))
}
