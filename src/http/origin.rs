//! Which web pages may connect (RFC 6455 10.2).

use std::fmt;

use super::authority::Authority;
use super::{HttpError, Request};

/// Which web origins may open a WebSocket, besides the server's own and clients that are no browsers.
///
/// This protects the visitors of other sites, not the server: anything but a browser writes whatever Origin it likes.
/// An origin is not a credential.
///
/// | Entry | Allows |
/// |---|---|
/// | `https://example.com` | this scheme, host and port; the scheme's default port may be left out |
/// | `https://*.example.com` | every name below `example.com`, at any depth, and not `example.com` itself |
/// | `null` | pages without an origin: sandboxed frames, local files |
/// | `*` | every page |
///
/// # Examples
///
/// ```
/// use switchboard::http::OriginPolicy;
/// let mut policy = OriginPolicy::default();
/// policy.allow("https://*.example.com")?;
/// assert!(policy.allow("example.com").is_err());
/// # Ok::<(), switchboard::http::OriginEntryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    /// What the operator has listed.
    entries: Vec<Entry>,
}

impl OriginPolicy {
    /// Adds an entry to the list, see the table above.
    ///
    /// # Errors
    ///
    /// Says what is wrong with an entry that could never match or would match more than it seems to.
    pub fn allow(&mut self, entry: &str) -> Result<(), OriginEntryError> {
        self.entries.push(Entry::parse(entry)?);
        Ok(())
    }

    /// Whether every origin is allowed: worth a warning at the start.
    #[must_use]
    pub fn allows_any(&self) -> bool {
        self.entries.contains(&Entry::Any)
    }

    /// Judges the Origin of a request.
    ///
    /// No Origin passes, for no browser omits it. The server's own origin passes: its host and port are those that the
    /// request is addressed to. If the request came by `https`, so did the page. If it came by `http`, the page may have
    /// come by either, since a proxy in front may speak the other; a port left out is the default of the Origin's scheme
    /// on both sides.
    ///
    /// # Errors
    ///
    /// [`HttpError::OriginNotAllowed`] for any other origin that is not listed, [`HttpError::RepeatedField`] for more
    /// than one.
    pub fn judge(&self, request: &Request<'_>, scheme: Scheme) -> Result<(), HttpError> {
        let Some(value) = request.header("origin")? else {
            return Ok(());
        };
        let value = str::from_utf8(value).map_err(|_| HttpError::OriginNotAllowed)?;
        let origin = Origin::parse(value);
        let is_own = origin
            .zip(request.host())
            .is_some_and(|(origin, host)| origin.is_at(host) && origin.is_as_safe_as(scheme));
        if is_own
            || self
                .entries
                .iter()
                .any(|entry| entry.matches(value, origin))
        {
            Ok(())
        } else {
            Err(HttpError::OriginNotAllowed)
        }
    }
}

/// How a request came (RFC 9110 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// For everyone on the way to read.
    Http,
    /// Encrypted.
    Https,
}

/// Why an entry for the list of allowed origins, or of hosts, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginEntryError {
    /// It is not `scheme://host[:port]`, or for a host not `host[:port]`; paths, a final slash and user names are no part of an origin.
    Malformed,
    /// Its wildcard does not stand for whole labels on the left of a name, as in `https://*.example.com`.
    MisplacedWildcard,
}

impl fmt::Display for OriginEntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "an origin is written scheme://host[:port], null or *, and a host without the scheme",
            Self::MisplacedWildcard => {
                "a wildcard stands for whole labels on the left, as in https://*.example.com"
            }
        })
    }
}

impl std::error::Error for OriginEntryError {}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// Every origin.
    Any,
    /// The origin that is none.
    Null,
    /// Origins with a host and port, the port with its default filled in.
    Site {
        /// In lower case.
        scheme: Box<str>,
        /// Which host.
        host: HostPattern,
        /// `None` for schemes without ports.
        port: Option<u16>,
    },
}

/// Which host an entry is about, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// This one.
    Exact(Box<str>),
    /// Every name that ends with this, which begins with a dot.
    Below(Box<str>),
}

impl Entry {
    /// Reads what the operator wrote.
    fn parse(text: &str) -> Result<Self, OriginEntryError> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        let Origin { scheme, authority } =
            Origin::parse(text).ok_or(OriginEntryError::Malformed)?;
        let host = HostPattern::parse(authority.host)?;
        let scheme = scheme.to_ascii_lowercase();
        let port = authority.port.or_else(|| default_port(&scheme));
        Ok(Self::Site {
            scheme: scheme.into(),
            host,
            port,
        })
    }

    /// Whether the entry allows the Origin `value`, which parses to `origin` if it names a site.
    fn matches(&self, value: &str, origin: Option<Origin<'_>>) -> bool {
        match self {
            Self::Any => true,
            Self::Null => value == "null",
            Self::Site { scheme, host, port } => origin.is_some_and(|origin| {
                origin.scheme.eq_ignore_ascii_case(scheme)
                    && origin.port() == *port
                    && host.matches(origin.authority.host)
            }),
        }
    }
}

impl HostPattern {
    /// Reads a host, with or without a wildcard.
    pub(super) fn parse(host: &str) -> Result<Self, OriginEntryError> {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix('*') {
            Some(suffix) if is_parent_name(suffix) => Ok(Self::Below(suffix.into())),
            None if !host.contains('*') => Ok(Self::Exact(host.into())),
            _ => Err(OriginEntryError::MisplacedWildcard),
        }
    }

    /// Whether the pattern is about `host`.
    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact),
            Self::Below(suffix) => host
                .split_at_checked(host.len().saturating_sub(suffix.len()))
                .is_some_and(|(labels, end)| {
                    end.eq_ignore_ascii_case(suffix) && are_labels(labels)
                }),
        }
    }
}

/// An origin with a host (RFC 6454 6.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// As written.
    scheme: &'a str,
    /// Host and port.
    authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    /// Reads `scheme://host[:port]` and nothing around it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        Some(Self {
            scheme,
            authority: Authority::parse(authority)?,
        })
    }

    /// The port, the default of the scheme filled in.
    fn port(&self) -> Option<u16> {
        self.authority.port.or_else(|| default_port(self.scheme))
    }

    /// Whether pages of this origin are served at `host`, over http or https.
    pub(super) fn is_at(&self, host: &str) -> bool {
        self.is_web()
            && Authority::parse(host)
                .is_some_and(|host| self.authority.is_same(&host, default_port(self.scheme)))
    }

    /// Whether nobody on the way can have made the pages of this origin up who could not do so with `scheme`.
    fn is_as_safe_as(&self, scheme: Scheme) -> bool {
        scheme == Scheme::Http || self.scheme.eq_ignore_ascii_case("https")
    }

    /// Whether both have the same host and, defaults filled in, the same port, whatever their schemes.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        self.authority
            .host
            .eq_ignore_ascii_case(other.authority.host)
            && self.port() == other.port()
    }

    /// Whether the scheme is http or https.
    pub(super) fn is_web(&self) -> bool {
        default_port(self.scheme).is_some()
    }
}

/// The port that a scheme uses when none is written (RFC 9110 4.2).
fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// Whether `suffix` is a dot and a name that can have names below it: labels, and no address.
fn is_parent_name(suffix: &str) -> bool {
    let last_label = suffix.rsplit('.').next().unwrap_or_default();
    suffix.strip_prefix('.').is_some_and(are_labels)
        && !last_label.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `name` is one or more labels of letters, digits, hyphens and underscores between dots.
fn are_labels(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    /// The status for a request to `host` from a page of `origin`, under a policy with `entries`.
    fn judge(entries: &[&str], host: &str, origin: &str) -> Result<(), HttpError> {
        let mut policy = OriginPolicy::default();
        for entry in entries {
            policy.allow(entry).unwrap();
        }
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
        policy.judge(&request(&text).unwrap(), Scheme::Http)
    }

    #[test]
    fn ac_01_no_origin_passes_and_two_are_malformed() {
        let policy = OriginPolicy::default();
        assert_eq!(
            policy.judge(
                &request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap(),
                Scheme::Https
            ),
            Ok(())
        );
        let twice = "GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n\r\n";
        assert_eq!(
            policy.judge(&request(twice).unwrap(), Scheme::Http),
            Err(HttpError::RepeatedField)
        );
    }

    #[test]
    fn ac_01_the_servers_own_pages_pass() {
        for (host, origin) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("example.com", "http://example.com"),
            ("example.com", "https://example.com"),
            ("example.com:80", "http://example.com"),
            ("Example.com", "https://eXample.com:443"),
            ("example.com:8443", "https://example.com:8443"),
        ] {
            assert_eq!(judge(&[], host, origin), Ok(()), "{origin} at {host}");
        }
    }

    #[test]
    fn ac_01_encrypted_the_servers_own_pages_are_those_that_came_encrypted() {
        let mut policy = OriginPolicy::default();
        policy.allow("http://other.example").unwrap();
        for (origin, expected) in [
            ("https://example.com", Ok(())),
            ("HTTPS://example.com:443", Ok(())),
            ("http://example.com", Err(HttpError::OriginNotAllowed)),
            ("http://example.com:443", Err(HttpError::OriginNotAllowed)),
            ("http://other.example", Ok(())),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: example.com\r\nOrigin: {origin}\r\n\r\n");
            let verdict = policy.judge(&request(&text).unwrap(), Scheme::Https);
            assert_eq!(verdict, expected, "{origin}");
        }
    }

    #[test]
    fn ac_01_ac_02_other_pages_do_not() {
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8081"),
            ("localhost:8080", "http://localhost"),
            ("localhost:8080", "http://127.0.0.1:8080"),
            ("example.com:80", "https://example.com"),
            ("example.com", "http://example.com.evil.test"),
            ("example.com", "http://evil.test"),
            ("example.com", "http://sub.example.com"),
            ("example.com", "http://example.com."),
            ("example.com", "http://example.com@evil.test"),
            ("example.com", "http://user@example.com"),
            ("example.com", "http://example.com/"),
            ("example.com", "http://example.com http://evil.test"),
            ("example.com", "ftp://example.com"),
            ("example.com", "//example.com"),
            ("example.com", "example.com"),
            ("example.com", "null"),
            ("example.com", ""),
            ("example.com", "http://é"),
        ] {
            assert_eq!(
                judge(&[], host, origin),
                Err(HttpError::OriginNotAllowed),
                "{origin} at {host}"
            );
        }
    }

    #[test]
    fn ac_02_a_listed_origin_compares_by_scheme_host_and_port() {
        let entries = [
            "https://good.example",
            "HTTP://127.0.0.1:3000",
            "chrome-extension://abc",
        ];
        for origin in [
            "https://good.example",
            "https://good.example:443",
            "HTTPS://Good.Example",
            "http://127.0.0.1:3000",
            "chrome-extension://abc",
        ] {
            assert_eq!(judge(&entries, "server.test", origin), Ok(()), "{origin}");
        }
        for origin in [
            "http://good.example",
            "https://good.example:8443",
            "https://good.example.",
            "https://good.example.evil.test",
            "https://evilgood.example",
            "https://a.good.example",
            "https://good.example@evil.test",
            "https://good.example/",
            "http://127.0.0.1",
            "chrome-extension://abcd",
            "chrome-extension://abc:1",
            "null",
        ] {
            assert_eq!(
                judge(&entries, "server.test", origin),
                Err(HttpError::OriginNotAllowed),
                "{origin}"
            );
        }
    }

    #[test]
    fn ac_02_a_wildcard_stands_for_whole_labels() {
        let entries = ["https://*.good.example"];
        for origin in [
            "https://a.good.example",
            "https://a.b-1.GOOD.example",
            "https://a.good.example:443",
        ] {
            assert_eq!(judge(&entries, "server.test", origin), Ok(()), "{origin}");
        }
        for origin in [
            "https://good.example",
            "https://.good.example",
            "https://a..good.example",
            "https://evilgood.example",
            "https://a.good.example.evil.test",
            "https://a.good.example.",
            "https://*.good.example",
            "http://a.good.example",
            "https://a.good.example:1",
            "https://a@b.good.example",
        ] {
            assert_eq!(
                judge(&entries, "server.test", origin),
                Err(HttpError::OriginNotAllowed),
                "{origin}"
            );
        }
    }

    #[test]
    fn ac_01_a_star_allows_all_and_null_only_null() {
        for origin in ["https://evil.test", "null", "nonsense"] {
            assert_eq!(judge(&["*"], "server.test", origin), Ok(()), "{origin}");
        }
        assert_eq!(judge(&["null"], "server.test", "null"), Ok(()));
        assert_eq!(
            judge(&["null"], "server.test", "http://null"),
            Err(HttpError::OriginNotAllowed)
        );
        let mut policy = OriginPolicy::default();
        assert!(!policy.allows_any());
        policy.allow("*").unwrap();
        assert!(policy.allows_any());
    }

    #[test]
    fn ac_02_entries_that_mean_nothing_are_refused() {
        let allow = |entry| OriginPolicy::default().allow(entry);
        for entry in [
            "",
            "example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "https://a b",
            "1://a",
            "NULL",
        ] {
            assert_eq!(allow(entry), Err(OriginEntryError::Malformed), "{entry}");
        }
        for entry in [
            "https://*",
            "https://*a.b",
            "https://a.*",
            "https://a.*.b",
            "https://*.",
            "https://*.*.a",
            "http://*.0.0.1",
        ] {
            assert_eq!(
                allow(entry),
                Err(OriginEntryError::MisplacedWildcard),
                "{entry}"
            );
        }
    }
}
