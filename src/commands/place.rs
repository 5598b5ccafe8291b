//! Where something is asked for: the URL of a hub or of another endpoint, and what services call it.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use switchboard::endpoints::{AccessKey, HubName, TokenClaims};
use switchboard::http::SocketUrl;

use super::Failure;

/// The URL that commands talk to if nobody says another one.
pub(super) const DEFAULT_URL: &str = "ws://127.0.0.1:8080/ws";

/// Reads the URL of an endpoint.
///
/// # Errors
///
/// It is none; what is said of it does not repeat its query, which may hold a token.
pub(super) fn endpoint(url: &str) -> Result<SocketUrl, Failure> {
    SocketUrl::parse(url)
        .map_err(|error| Failure::Usage(format!("the address {:?}: {error}", without_secrets(url))))
}

/// What was meant to be a URL, without what may be a password, a token or part of one.
fn without_secrets(url: &str) -> String {
    let place = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    match rest.rsplit_once('@') {
        Some((_, site)) => format!("{scheme}://…@{site}"),
        None => place.into(),
    }
}

/// The hub of that name at the server of `url`.
///
/// # Errors
///
/// There can be no such hub.
pub(super) fn hub_at(url: &SocketUrl, hub: &str) -> Result<SocketUrl, Failure> {
    let failure = |says: &dyn Display| Failure::Usage(format!("the hub {hub:?}: {says}"));
    let name = HubName::new(hub).ok_or_else(|| {
        failure(&"a name is a letter and up to 127 letters, digits or characters of _`,.[]")
    })?;
    let site = web_site(url).replacen("http", "ws", 1);
    let hub_url = format!("{site}/client/hubs/{}", segment(name.as_str()));
    SocketUrl::parse(&hub_url).map_err(|error| failure(&error))
}

/// Whom a token for `url` is meant for: the same as a web address, without the query.
pub(super) fn audience(url: &SocketUrl) -> String {
    format!("{}{}", web_site(url), path(url))
}

/// The web address below which services ask of the hub at `url`.
///
/// # Errors
///
/// There is no hub.
pub(super) fn service_base(url: &SocketUrl) -> Result<String, Failure> {
    let hub = match path(url) {
        "/ws" => "default".into(),
        path => path
            .strip_prefix("/client/hubs/")
            .and_then(|hub| percent_decode_str(hub).decode_utf8().ok())
            .filter(|hub| !hub.is_empty() && !hub.contains('/'))
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "{url} is no hub: those are at /ws and /client/hubs/NAME"
                ))
            })?,
    };
    Ok(format!("{}/api/hubs/{}", web_site(url), segment(&hub)))
}

/// A part of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Claims without any right, that hold from now on for `span`.
pub(super) fn claims_from_now(audience: String, span: Duration) -> TokenClaims {
    // A clock before 1970 has tokens end in 1970, and the server says so.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    TokenClaims::new(audience, now, now.saturating_add(span.as_secs()))
}

/// A token that makes `claims`.
///
/// # Errors
///
/// No server would take it.
pub(super) fn sign(key: &AccessKey, claims: &TokenClaims) -> Result<String, Failure> {
    key.sign(claims)
        .map_err(|error| Failure::Usage(format!("the token: {error}")))
}

/// What is escaped in a part of a path: all but what never needs it (RFC 3986 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Scheme, host and port of the server as services write them.
fn web_site(url: &SocketUrl) -> String {
    let scheme = if url.is_secure() { "https" } else { "http" };
    format!("{scheme}://{}", url.authority())
}

fn path(url: &SocketUrl) -> &str {
    url.target().split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_has_an_address_for_clients_tokens_and_services() {
        for (url, token, base) in [
            (
                "ws://a:1/ws?x=y",
                "http://a:1/ws",
                "http://a:1/api/hubs/default",
            ),
            (
                "wss://a/client/hubs/chat",
                "https://a/client/hubs/chat",
                "https://a/api/hubs/chat",
            ),
            (
                "ws://[::1]:9/client/hubs/a%5B%5d",
                "http://[::1]:9/client/hubs/a%5B%5d",
                "http://[::1]:9/api/hubs/a%5B%5D",
            ),
        ] {
            let url = endpoint(url).unwrap();
            assert_eq!(audience(&url), token);
            assert_eq!(service_base(&url).unwrap(), base);
        }
        for url in [
            "ws://a/echo",
            "ws://a/",
            "ws://a/client/hubs/",
            "ws://a/client/hubs/a/b",
        ] {
            assert!(service_base(&endpoint(url).unwrap()).is_err(), "{url}");
        }
        let hub = |url, name| hub_at(&endpoint(url).unwrap(), name).unwrap().to_string();
        assert_eq!(hub("ws://a:1/ws?x=y", "chat"), "ws://a:1/client/hubs/chat");
        assert_eq!(hub("wss://a", "x[`]"), "wss://a/client/hubs/x%5B%60%5D");
    }
}
