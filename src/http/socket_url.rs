//! Where a WebSocket is: its URL (RFC 6455 3), as a client is given it.

use std::fmt;

use super::authority::{Authority, has_valid_escapes};

/// A `ws` or `wss` URL, taken apart; `http` and `https` stand for the same two.
///
/// ```
/// use switchboard::http::SocketUrl;
///
/// let url = SocketUrl::parse("ws://[::1]:8080/ws?userId=alice")?;
/// assert_eq!((url.host(), url.port(), url.target()), ("::1", 8080, "/ws?userId=alice"));
/// assert!(!url.is_secure());
/// # Ok::<(), switchboard::http::SocketUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SocketUrl {
    is_secure: bool,
    /// `host[:port]` as written.
    authority: Box<str>,
    /// A name, or an address without brackets.
    host: Box<str>,
    port: u16,
    /// Path and query; begins with a slash.
    target: Box<str>,
}

impl SocketUrl {
    /// Reads `ws://host[:port][/path][?query]`, or the same with `wss`, `http` or `https`, in any case.
    ///
    /// # Errors
    ///
    /// Says what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, SocketUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(SocketUrlError::NoScheme)?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(SocketUrlError::UnknownScheme),
        };
        let (site, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if target.contains('#') {
            return Err(SocketUrlError::Fragment);
        }
        if site.contains('@') {
            return Err(SocketUrlError::UserInformation);
        }
        let authority = Authority::parse(site).ok_or(SocketUrlError::MalformedAuthority)?;
        let port = match authority.port {
            Some(0) => return Err(SocketUrlError::MalformedAuthority),
            Some(port) => port,
            None if is_secure => 443,
            None => 80,
        };
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) || !has_valid_escapes(target) {
            return Err(SocketUrlError::MalformedTarget);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            is_secure,
            authority: site.into(),
            host: authority.host.trim_matches(['[', ']']).into(),
            port,
            target: [slash, target].concat().into(),
        })
    }

    /// Whether the connection is to be encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The name or address to connect to, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to, by default 80, or 443 if the connection is to be encrypted.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the Host field of a request has to say: host and port as written.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query, which is what a request asks for.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The same URL with `name=value` at the end of its query, the value percent-encoded.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        self.target = format!("{}{separator}{name}={value}", self.target).into();
        self
    }

    fn scheme(&self) -> &'static str {
        if self.is_secure { "wss" } else { "ws" }
    }
}

/// All of it but the query, which may hold a token.
impl fmt::Display for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme(), self.authority)
    }
}

/// Like [`Display`](fmt::Display): tokens stay out of logs.
impl fmt::Debug for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketUrl({self})")
    }
}

/// Why a text is not the URL of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketUrlError {
    /// It has no `://`.
    NoScheme,
    /// Its scheme is none of ws, wss, http and https.
    UnknownScheme,
    /// It has a fragment, which no such URL may have (RFC 6455 3).
    Fragment,
    /// It has a user name, which nobody would read; credentials go into a header field or the query.
    UserInformation,
    /// It has no host, or what should be host and port is neither.
    MalformedAuthority,
    /// Its path or query has a blank, a control character, a character beyond ASCII or a broken escape.
    MalformedTarget,
}

impl fmt::Display for SocketUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "a URL begins with ws:// or wss://",
            Self::UnknownScheme => "the scheme is none of ws, wss, http and https",
            Self::Fragment => "the URL of a WebSocket has no fragment",
            Self::UserInformation => "a user name in the URL would be ignored",
            Self::MalformedAuthority => "host or port is missing or malformed",
            Self::MalformedTarget => "path or query has characters that need percent-encoding",
        })
    }
}

impl std::error::Error for SocketUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        for (text, is_secure, host, port, authority, target) in [
            ("ws://a", false, "a", 80, "a", "/"),
            ("WSS://a", true, "a", 443, "a", "/"),
            ("http://a:81/b?c", false, "a", 81, "a:81", "/b?c"),
            ("https://a?b=c", true, "a", 443, "a", "/?b=c"),
            ("ws://[::1]:9/%20", false, "::1", 9, "[::1]:9", "/%20"),
        ] {
            let url = SocketUrl::parse(text).unwrap();
            assert_eq!(
                (url.is_secure(), url.host(), url.port()),
                (is_secure, host, port),
                "{text}"
            );
            assert_eq!(
                (url.authority(), url.target()),
                (authority, target),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused_with_the_reason() {
        for (text, error) in [
            ("", SocketUrlError::NoScheme),
            ("a:80", SocketUrlError::NoScheme),
            ("ftp://a", SocketUrlError::UnknownScheme),
            ("://a", SocketUrlError::UnknownScheme),
            ("ws://a/#b", SocketUrlError::Fragment),
            ("ws://u:p@a/", SocketUrlError::UserInformation),
            ("ws://", SocketUrlError::MalformedAuthority),
            ("ws:///a", SocketUrlError::MalformedAuthority),
            ("ws://a:0", SocketUrlError::MalformedAuthority),
            ("ws://a:65536", SocketUrlError::MalformedAuthority),
            ("ws://[::1", SocketUrlError::MalformedAuthority),
            ("ws://a b/", SocketUrlError::MalformedAuthority),
            ("ws://a/b c", SocketUrlError::MalformedTarget),
            ("ws://a/\r\nX: y", SocketUrlError::MalformedTarget),
            ("ws://a/ä", SocketUrlError::MalformedTarget),
            ("ws://a/%2", SocketUrlError::MalformedTarget),
        ] {
            assert_eq!(SocketUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_query_grows_at_its_end_and_is_never_shown() {
        let url = SocketUrl::parse("ws://a/ws").unwrap();
        let url = url
            .with_query("a", "b c/ü")
            .with_query("access_token", "secret");
        assert_eq!(url.target(), "/ws?a=b+c%2F%C3%BC&access_token=secret");
        assert_eq!(format!("{url} {url:?}"), "ws://a/ws SocketUrl(ws://a/ws)");
    }
}
