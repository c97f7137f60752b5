//! Which names a node answers by. A page of another site can make its own name point at 127.0.0.1 and have a
//! browser of this machine ask the node (DNS rebinding); the name in the request gives it away.

use crate::config::HostNames;
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which names a node answers by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// It can be reached from other machines, by any name; a token is needed there.
    Any,
    /// It listens on loopback: by the names of loopback, and by these.
    LoopbackAnd(HostNames),
}

impl Hosts {
    pub(super) fn of(address: IpAddr, names: &HostNames) -> Self {
        match address.is_loopback() {
            true => Hosts::LoopbackAnd(names.clone()),
            false => Hosts::Any,
        }
    }

    /// Whether a request is for this node; if not, by which name it came.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        let Hosts::LoopbackAnd(names) = self else {
            return Ok(());
        };
        let of_headers = headers.get_all(HOST).map(|it| it.to_str().map_err(|_| ()));
        let of_uri = uri.authority().map(|it| Ok(it.as_str()));
        for named in of_headers.chain(of_uri) {
            let named = named.map_err(|()| "with bytes that no name has".to_owned())?;
            let host = without_port(named);
            if !is_loopback(host) && !names.contains(host) {
                return Err(named.to_owned());
            }
        }
        Ok(())
    }
}

/// `localhost:8080` is `localhost`, and `[::1]:8080` is `[::1]`.
fn without_port(named: &str) -> &str {
    match named.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => named,
    }
}

fn is_loopback(host: &str) -> bool {
    let in_brackets = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match in_brackets {
        Some(v6) => v6.parse().is_ok_and(|it: Ipv6Addr| it.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse().is_ok_and(|it: Ipv4Addr| it.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeConfig;
    use actix_web::http::header::HeaderValue;

    fn hosts() -> Hosts {
        let text = "http.host-names = ['onyx.example.org']";
        let config = NodeConfig::from_toml("node.toml", text, []).unwrap();
        Hosts::of(config.http.address, &config.http.host_names)
    }

    fn check(hosts: &Hosts, host: &str) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        hosts.check(&Uri::from_static("/jobs"), &headers)
    }

    #[test]
    fn a_node_on_loopback_answers_by_names_of_loopback_and_configured_ones() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:9",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:8080",
            "onyx.example.org",
            "Onyx.Example.org:8080",
        ] {
            assert_eq!(check(&hosts(), host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:8080@localhost",
            "192.168.0.1",
            "[::2]:8080",
            "",
        ] {
            assert_eq!(check(&hosts(), host), Err(host.to_owned()), "{host}");
        }
    }

    #[test]
    fn the_name_in_the_address_of_a_request_counts_too() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        let uri = Uri::from_static("http://evil.example/jobs");
        assert_eq!(
            hosts().check(&uri, &headers),
            Err("evil.example".to_owned())
        );
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(hosts().check(&Uri::from_static("/"), &headers).is_err());
        assert_eq!(
            hosts().check(&Uri::from_static("/"), &HeaderMap::new()),
            Ok(())
        );
    }

    #[test]
    fn a_node_that_others_reach_answers_by_any_name() {
        let hosts = Hosts::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED), &HostNames::default());
        assert_eq!(check(&hosts, "evil.example"), Ok(()));
    }
}
