//! Which path leads where: the only place that knows paths.

use std::borrow::Cow;

use super::page::Page;
use super::{EndpointSettings, pubsub};
use crate::http::{HttpError, Request};

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Something to read.
    Page(Page),
    /// Something to open a WebSocket with.
    Socket(Endpoint<'a>),
}

/// What a WebSocket can be opened with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    /// `/echo`
    Echo,
    /// `/relay/{group}`, with the name of the group, decoded.
    Relay(Cow<'a, str>),
    /// `/ws`
    PubSub,
}

impl<'a> Route<'a> {
    /// Finds what is at the path of `request`.
    ///
    /// Paths are compared as they came, byte by byte: other spellings, a slash at the end and dot segments lead nowhere.
    /// Only the name of a group is decoded, so one may contain an encoded slash.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not with these settings; or the name of a group is not percent-encoded UTF-8. A name that no
    /// group can have, being blank or too long, is a path where nothing is.
    pub(super) fn find(
        request: &Request<'a>,
        settings: &EndpointSettings,
    ) -> Result<Self, HttpError> {
        match request.path() {
            "/" => Ok(Self::Page(Page::Front)),
            "/healthz" => Ok(Self::Page(Page::Health)),
            "/ws" => Ok(Self::Socket(Endpoint::PubSub)),
            "/echo" if settings.offers_echo => Ok(Self::Socket(Endpoint::Echo)),
            path if path.starts_with("/relay/") => {
                let group = relay_group(request, settings.group_name_bytes_max)?;
                Ok(Self::Socket(Endpoint::Relay(group)))
            }
            _ => Err(HttpError::NotFound),
        }
    }

    /// The methods that the path offers, as the value of an Allow field (RFC 9110 10.2.1).
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Page(_) => "GET, HEAD",
            Self::Socket(_) => "GET",
        }
    }
}

impl Endpoint<'_> {
    /// The subprotocols that are spoken there; none has to be agreed on.
    pub(super) fn subprotocols(&self) -> &'static [&'static str] {
        match self {
            Self::Echo | Self::Relay(_) => &[],
            Self::PubSub => &[pubsub::SUBPROTOCOL],
        }
    }
}

/// The name of the group in a path `/relay/{group}`, decoded.
fn relay_group<'a>(request: &Request<'a>, len_max: usize) -> Result<Cow<'a, str>, HttpError> {
    let mut segments = request.path_segments().skip(1);
    let (Some(group), None) = (segments.next(), segments.next()) else {
        return Err(HttpError::NotFound);
    };
    let group = group?;
    if group.trim().is_empty() || group.len() > len_max {
        return Err(HttpError::NotFound);
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Route};
    use crate::endpoints::EndpointSettings;
    use crate::endpoints::page::Page;
    use crate::endpoints::recorder::request;
    use crate::http::HttpError;

    fn find(path: &str) -> Result<Route<'static>, HttpError> {
        let settings = EndpointSettings {
            group_name_bytes_max: 8,
            ..EndpointSettings::default()
        };
        Route::find(&request(&format!("GET {path} HTTP/1.1")), &settings)
    }

    #[test]
    fn every_path_leads_to_its_endpoint() {
        assert_eq!(find("/"), Ok(Route::Page(Page::Front)));
        assert_eq!(find("/healthz"), Ok(Route::Page(Page::Health)));
        assert_eq!(find("/ws"), Ok(Route::Socket(Endpoint::PubSub)));
        assert_eq!(find("/echo"), Ok(Route::Socket(Endpoint::Echo)));
        assert_eq!(
            find("/relay/room"),
            Ok(Route::Socket(Endpoint::Relay("room".into())))
        );
        assert_eq!(find("/ws?x=/echo"), Ok(Route::Socket(Endpoint::PubSub)));
    }

    #[test]
    fn ht_06_dot_segments_encoded_slashes_and_other_spellings_lead_nowhere() {
        for path in [
            "/x",
            "/WS",
            "/ws/",
            "/ws/../echo",
            "/./ws",
            "//ws",
            "/%77s",
            "/%2e%2e/etc/passwd",
            "/..%2fetc",
            "/healthz/",
            "/relay",
            "/relay/",
            "/relay/a/b",
            "/relay/a/",
            "/relay//",
            "/relay/%20",
            "/relay/%20%09",
        ] {
            assert_eq!(find(path), Err(HttpError::NotFound), "{path}");
        }
    }

    #[test]
    fn the_name_of_a_relayed_group_is_decoded() {
        for (path, group) in [
            ("/relay/a%20b", "a b"),
            ("/relay/a%2Fb", "a/b"),
            ("/relay/%c3%A9", "é"),
            ("/relay/a+b", "a+b"),
            ("/relay/%25", "%"),
            ("/relay/..", ".."),
            ("/relay/@all", "@all"),
        ] {
            assert_eq!(
                find(path),
                Ok(Route::Socket(Endpoint::Relay(group.into()))),
                "{path}"
            );
        }
        for path in [
            "/relay/%",
            "/relay/a%2",
            "/relay/%zz",
            "/relay/%+1",
            "/relay/%ff",
            "/relay/%c3",
        ] {
            assert_eq!(find(path), Err(HttpError::MalformedEscape), "{path}");
        }
    }

    #[test]
    fn lt_01_the_name_of_a_relayed_group_is_limited_in_decoded_bytes() {
        assert!(find("/relay/12345678").is_ok());
        assert!(find("/relay/%31%32%33%34%35%36%37%38").is_ok());
        assert_eq!(find("/relay/123456789"), Err(HttpError::NotFound));
        assert_eq!(find("/relay/1234567%C3%A9"), Err(HttpError::NotFound));
    }

    #[test]
    fn hs_20_echo_is_nowhere_if_it_is_not_offered() {
        let settings = EndpointSettings {
            offers_echo: false,
            ..EndpointSettings::default()
        };
        assert_eq!(
            Route::find(&request("GET /echo HTTP/1.1"), &settings),
            Err(HttpError::NotFound)
        );
    }
}
