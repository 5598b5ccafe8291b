//! `host[:port]` as Host, Origin and absolute targets have it (RFC 3986 3.2).

use std::net::Ipv6Addr;

/// A host and perhaps a port, checked against the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets; never empty.
    pub(super) host: &'a str,
    /// The port, if there is one.
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host`, `host:` or `host:port`; `None` for anything else, user information included.
    #[expect(clippy::arithmetic_side_effects, reason = "a position inside the text")]
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let host_len = if text.starts_with('[') {
            text.find(']')? + 1
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, port) = text.split_at(host_len);
        if !is_host(host) {
            return None;
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both name the same host and, where one has no port and `default_port` stands for it, the same port.
    ///
    /// Names compare without case. Addresses compare as text: clients write them in their shortest form.
    pub(super) fn is_same(&self, other: &Authority<'_>, default_port: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.or(default_port) == other.port.or(default_port)
    }
}

/// Whether every `%` of `text` is followed by two hexadecimal digits (RFC 3986 2.1).
pub(super) fn has_valid_escapes(text: &str) -> bool {
    let is_escape = |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    text.split('%').skip(1).all(is_escape)
}

/// Whether `text` is a registered name or an address, and not empty (RFC 3986 3.2.2).
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    !text.is_empty() && text.bytes().all(is_name_byte) && has_valid_escapes(text)
}

/// Whether `byte` may be part of a registered name: unreserved, a sub-delimiter, or part of an escape.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hs_02_a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("example.com:", "example.com", None),
            ("127.0.0.1:0", "127.0.0.1", Some(0)),
            ("localhost:65535", "localhost", Some(65535)),
            ("[::1]", "[::1]", None),
            ("[fe80::1]:443", "[fe80::1]", Some(443)),
            ("a_b-c.d", "a_b-c.d", None),
            ("a%20b", "a%20b", None),
        ] {
            assert_eq!(
                Authority::parse(text),
                Some(Authority { host, port }),
                "{text}"
            );
        }
    }

    #[test]
    fn hs_02_anything_else_is_no_host() {
        for text in [
            "",
            ":80",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "user@host",
            "user:secret@host",
            "a:b",
            "a:+80",
            "a:65536",
            "a:80:80",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[v1.x]",
            "[fe80::1%25eth0]",
            "a%2",
            "a%zz",
            "a%é9",
            "ä",
            "a\\b",
            "a\"",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ac_02_authorities_compare_without_case_and_with_the_default_port() {
        let same = |a, b| {
            Authority::parse(a)
                .unwrap()
                .is_same(&Authority::parse(b).unwrap(), Some(80))
        };
        assert!(same("Example.com", "eXAMPLE.COM:80"));
        assert!(same("a:", "a:80"));
        assert!(!same("a:443", "a"));
        assert!(!same("a.", "a"));
        assert!(!same("a", "aa"));
    }
}
