//! Which names this server answers to.

use super::authority::Authority;
use super::origin::{HostPattern, OriginEntryError};
use super::{HttpError, Request};

/// The hosts that requests may be addressed to; without an entry, any.
///
/// A page of a stranger can have its own name lead to the address of this server (rebinding), and is of the same origin
/// then. What it cannot do is to put another name into the Host field.
///
/// | Entry | Allows |
/// |---|---|
/// | `chat.example.com` | this name with any port or none |
/// | `localhost:8080` | this name and port; 80 and 443 may be left out by the client |
/// | `*.example.com` | every name below `example.com`, at any depth, and not `example.com` itself |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// What the operator has listed.
    entries: Vec<Entry>,
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: HostPattern,
    /// `None` for any.
    port: Option<u16>,
}

impl HostPolicy {
    /// Adds an entry to the list, see the table above.
    ///
    /// # Errors
    ///
    /// Says what is wrong with an entry that could never match or would match more than it seems to.
    pub fn allow(&mut self, entry: &str) -> Result<(), OriginEntryError> {
        let Authority { host, port } =
            Authority::parse(entry).ok_or(OriginEntryError::Malformed)?;
        let host = HostPattern::parse(host)?;
        self.entries.push(Entry { host, port });
        Ok(())
    }

    /// Judges what a request is addressed to.
    ///
    /// # Errors
    ///
    /// [`HttpError::HostNotAllowed`] if that is not listed, or not said.
    pub fn judge(&self, request: &Request<'_>) -> Result<(), HttpError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let host = request.host().and_then(Authority::parse);
        let is_listed = |host: Authority<'_>| self.entries.iter().any(|entry| entry.matches(host));
        host.is_some_and(is_listed)
            .then_some(())
            .ok_or(HttpError::HostNotAllowed)
    }
}

impl Entry {
    fn matches(&self, authority: Authority<'_>) -> bool {
        let is_port = |port| match authority.port {
            Some(own) => own == port,
            None => matches!(port, 80 | 443),
        };
        self.port.is_none_or(is_port) && self.host.matches(authority.host)
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    fn judge(entries: &[&str], head: &str) -> Result<(), HttpError> {
        let mut policy = HostPolicy::default();
        for entry in entries {
            policy.allow(entry).unwrap();
        }
        policy.judge(&request(head).unwrap())
    }

    #[test]
    fn ac_02_only_listed_hosts_are_answered_to() {
        let entries = [
            "Chat.example",
            "localhost:8080",
            "*.app.example",
            "[::1]",
            "tls.example:443",
        ];
        for (host, is_good) in [
            ("chat.example", true),
            ("CHAT.EXAMPLE:99", true),
            ("localhost:8080", true),
            ("a.app.example", true),
            ("a.b.app.example:1", true),
            ("[::1]:8080", true),
            ("tls.example", true),
            ("tls.example:443", true),
            ("tls.example:80", false),
            ("localhost", false),
            ("localhost:8081", false),
            ("app.example", false),
            ("chat.example.", false),
            ("chat.example.evil.test", false),
            ("evilchat.example", false),
            ("a.app.example.evil.test", false),
            ("127.0.0.1:8080", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let expected = if is_good {
                Ok(())
            } else {
                Err(HttpError::HostNotAllowed)
            };
            assert_eq!(judge(&entries, &head), expected, "{host}");
            assert_eq!(judge(&[], &head), Ok(()));
        }
        let nameless = "GET / HTTP/1.0\r\n\r\n";
        assert_eq!(judge(&entries, nameless), Err(HttpError::HostNotAllowed));
        assert_eq!(judge(&[], nameless), Ok(()));
    }

    #[test]
    fn ac_02_hosts_that_mean_nothing_are_refused() {
        let allow = |entry| HostPolicy::default().allow(entry);
        for entry in ["", "http://a", "a/b", "u@a", "a:b", "a b"] {
            assert_eq!(allow(entry), Err(OriginEntryError::Malformed), "{entry}");
        }
        for entry in ["*", "a*", "*a.example", "a.*.example", "*.1.2.3"] {
            assert_eq!(
                allow(entry),
                Err(OriginEntryError::MisplacedWildcard),
                "{entry}"
            );
        }
    }
}
