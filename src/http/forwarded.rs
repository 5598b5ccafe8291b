//! Which client a proxy speaks for.

use std::net::{IpAddr, SocketAddr};

use super::Request;
use super::network::{ClientAddress, Network};

/// The proxies that are believed when they say whom they speak for.
///
/// Each proxy appends to `X-Forwarded-For` whom it heard the request from, so the field is read from the right, and only
/// as far as whoever wrote an entry is trusted. What stands left of that is hearsay: anybody can send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl From<Vec<Network>> for TrustedProxies {
    fn from(networks: Vec<Network>) -> Self {
        Self(networks)
    }
}

impl TrustedProxies {
    /// Whether `address` is one of them.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whose request it is that came from `remote`.
    ///
    /// If an entry is no address, whoever wrote it counts: a proxy that is trusted, but whose word is of no use.
    #[must_use]
    pub fn client_of(&self, remote: IpAddr, request: &Request<'_>) -> ClientAddress {
        let mut client = remote;
        if self.trust(remote) {
            let values: Vec<_> = request.header_values("x-forwarded-for").collect();
            let entries = values
                .iter()
                .rev()
                .flat_map(|value| value.rsplit(|&byte| byte == b','));
            for entry in entries {
                let Some(address) = address_of(entry) else {
                    break;
                };
                client = address;
                if !self.trust(client) {
                    break;
                }
            }
        }
        client.into()
    }
}

/// The address in one entry: alone, in brackets, or with a port, as some proxies write it.
fn address_of(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse()
        .ok()
        .or_else(|| in_brackets().map(IpAddr::V6))
        .or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    /// Whose request it is that came from `remote` with these fields, if 10.0.0.0/8 and `::1` are trusted.
    fn client(remote: &str, fields: &[&str]) -> String {
        let proxies = ["10.0.0.0/8", "::1"].map(|text| text.parse().unwrap());
        let proxies = TrustedProxies::from(proxies.to_vec());
        let lines: String = fields
            .iter()
            .map(|field| format!("X-Forwarded-For: {field}\r\n"))
            .collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let request = request(&text).unwrap();
        proxies
            .client_of(remote.parse().unwrap(), &request)
            .to_string()
    }

    #[test]
    fn lt_07_only_trusted_proxies_are_believed() {
        for (remote, fields, expected) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // The client wrote the entries on the left.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.9, 198.51.100.7"], "198.51.100.7"),
            // Two proxies in a row.
            (
                "10.0.0.1",
                &["6.6.6.6, 198.51.100.7 ,\t10.0.0.2"],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["198.51.100.7", "10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client(remote, fields), expected, "{remote} {fields:?}");
        }
    }

    #[test]
    fn lt_07_what_is_no_address_ends_the_belief() {
        for (field, expected) in [
            ("", "10.0.0.1"),
            ("unknown", "10.0.0.1"),
            ("198.51.100.7, unknown", "10.0.0.1"),
            ("198.51.100.7, x, 10.0.0.2", "10.0.0.2"),
            ("198.51.100.7,", "10.0.0.1"),
            ("198.51.100.07", "10.0.0.1"),
            ("198.51.100.7 x", "10.0.0.1"),
            ("for=198.51.100.7", "10.0.0.1"),
            ("198.51.100.7:65536", "10.0.0.1"),
            ("\u{e9}", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[field]), expected, "{field}");
        }
    }

    #[test]
    fn lt_07_an_address_may_have_a_port_and_brackets() {
        for (field, expected) in [
            ("198.51.100.7:1234", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::/64"),
            ("[2001:db8::7]", "2001:db8::/64"),
            ("[2001:db8::7]:1234", "2001:db8::/64"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ] {
            assert_eq!(client("10.0.0.1", &[field]), expected, "{field}");
        }
    }
}
