//! Which path leads where: the only place that knows paths.

use std::borrow::Cow;

use super::EndpointSettings;
use super::metrics::Probe;
use super::page::Page;
use super::pubsub::{self, HubName, Speech};
use crate::handler::Entrance;
use crate::http::{HttpError, Request};

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Something to read.
    Page(Page),
    /// Something to ask about the server.
    Probe(Probe),
    /// Something to open a WebSocket with.
    Socket(Endpoint<'a>),
    /// `/api/hubs/…`, which services ask; its own table knows what is there.
    Rest,
}

/// What a WebSocket can be opened with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    /// `/echo`
    Echo,
    /// `/relay/{group}`, with the name of the group, decoded.
    Relay(Cow<'a, str>),
    /// `/ws`: the hub for everyone, always in the JSON protocol.
    Default,
    /// `/client/hubs/{hub}` and `/client/?hub={hub}`: a hub, in the JSON protocol if that is agreed on.
    Hub(HubName),
}

impl<'a> Route<'a> {
    /// Finds what is at the path of `request`.
    ///
    /// Paths are compared as they came, byte by byte: other spellings, a slash at the end and dot segments lead nowhere.
    /// Only the name of a group is decoded, so one may contain an encoded slash.
    ///
    /// # Errors
    ///
    /// Nothing is there, or not by this entrance or with these settings; or the name of a group is not percent-encoded UTF-8. A name that no
    /// group can have, being blank or too long, is a path where nothing is.
    pub(super) fn find(
        request: &Request<'a>,
        entrance: Entrance,
        settings: &EndpointSettings,
    ) -> Result<Self, HttpError> {
        match request.path() {
            "/healthz" => Ok(Self::Probe(Probe::Health)),
            "/readyz" => Ok(Self::Probe(Probe::Readiness)),
            "/metrics" if settings.has_metrics_entrance == (entrance == Entrance::Metrics) => {
                Ok(Self::Probe(Probe::Metrics))
            }
            _ if entrance == Entrance::Metrics => Err(HttpError::NotFound),
            "/" => Ok(Self::Page(Page::FRONT)),
            "/api/health" => Ok(Self::Probe(Probe::Health)),
            path if path.starts_with("/api/hubs/") => Ok(Self::Rest),
            "/ws" => Ok(Self::Socket(Endpoint::Default)),
            "/client" | "/client/" => {
                let hub = request.query_value("hub").ok_or(HttpError::NotFound)?;
                Ok(Self::Socket(Endpoint::hub(&hub)?))
            }
            path if path.starts_with("/client/hubs/") => {
                let hub = only_segment_behind(2, request)?;
                Ok(Self::Socket(Endpoint::hub(&hub)?))
            }
            "/echo" if settings.offers_echo => Ok(Self::Socket(Endpoint::Echo)),
            path if let Some(name) = path.strip_prefix("/chat/") => Page::chat_file(name)
                .map(Self::Page)
                .ok_or(HttpError::NotFound),
            path if path.starts_with("/relay/") => {
                let group = only_segment_behind(1, request)?;
                if group.trim().is_empty() || group.len() > settings.group_name_bytes_max {
                    return Err(HttpError::NotFound);
                }
                Ok(Self::Socket(Endpoint::Relay(group)))
            }
            _ => Err(HttpError::NotFound),
        }
    }
}

impl Route<'_> {
    /// Whether whoever runs the server asks there how it is, often without knowing its name; nothing else is told.
    pub(super) fn is_for_probes(&self) -> bool {
        matches!(self, Self::Probe(Probe::Health | Probe::Readiness))
    }
}

/// The methods that pages offer, and those of the other endpoints, as values of an Allow field (RFC 9110 10.2.1).
pub(super) const PAGE_METHODS: &str = "GET, HEAD";
pub(super) const SOCKET_METHODS: &str = "GET";

impl Endpoint<'_> {
    /// The endpoint of the hub `name`.
    fn hub(name: &str) -> Result<Self, HttpError> {
        HubName::new(name).map(Self::Hub).ok_or(HttpError::NotFound)
    }

    /// The hub that its clients are in, if they are in one.
    pub(super) fn hub_name(&self) -> Option<HubName> {
        match self {
            Self::Echo | Self::Relay(_) => None,
            Self::Default => Some(HubName::of_default()),
            Self::Hub(hub) => Some(hub.clone()),
        }
    }

    /// The subprotocols that are spoken there; none has to be agreed on.
    pub(super) fn subprotocols(&self) -> &'static [&'static str] {
        match self {
            Self::Echo | Self::Relay(_) => &[],
            Self::Default | Self::Hub(_) => &[pubsub::SUBPROTOCOL, pubsub::RELIABLE_SUBPROTOCOL],
        }
    }

    /// Whether a token that was issued for `path` is good here. Paths of tokens are compared decoded, without case.
    ///
    /// A token for a hub is good for that hub alone, except that `/echo`, where nobody meets anybody, takes all of them.
    /// Relayed groups are in no hub; theirs is the token of the hub for everyone.
    pub(super) fn accepts_token_for(&self, path: &str) -> bool {
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let path = path.to_ascii_lowercase();
        let hub = path.strip_prefix("/client/hubs/").and_then(HubName::new);
        let is_for_everyone = || hub == Some(HubName::of_default());
        match self {
            Self::Echo => path == "/echo" || hub.is_some(),
            Self::Relay(group) => {
                let own = path.strip_prefix("/relay/");
                own.is_some_and(|own| own == group.to_ascii_lowercase()) || is_for_everyone()
            }
            Self::Default => path == "/ws" || is_for_everyone(),
            Self::Hub(own) => hub.as_ref() == Some(own),
        }
    }

    /// How a client of the hub is spoken to that has agreed on `subprotocol`.
    ///
    /// # Errors
    ///
    /// [`HttpError::MalformedTarget`] if what it says is to go to a group that it does not name.
    pub(super) fn speech(
        &self,
        request: &Request<'_>,
        subprotocol: Option<&str>,
    ) -> Result<Speech, HttpError> {
        if subprotocol == Some(pubsub::RELIABLE_SUBPROTOCOL) {
            return Ok(Speech::Reliable(pubsub::draw_token()));
        }
        if matches!(self, Self::Default) || subprotocol.is_some() {
            return Ok(Speech::Json);
        }
        match request.query_value("webpubsub_mode").as_deref() {
            None | Some("sendEvent") => Ok(Speech::Plain(None)),
            Some("sendToGroup") => {
                let group = request.query_value("group");
                let group = group.filter(|group| !group.trim().is_empty());
                let group = group.ok_or(HttpError::MalformedTarget)?;
                Ok(Speech::Plain(Some(group.into())))
            }
            Some(_) => Err(HttpError::MalformedTarget),
        }
    }
}

/// The only segment of the path behind the first `count`, decoded.
fn only_segment_behind<'a>(count: usize, request: &Request<'a>) -> Result<Cow<'a, str>, HttpError> {
    let mut segments = request.path_segments().skip(count);
    match (segments.next(), segments.next()) {
        (Some(segment), None) => segment,
        _ => Err(HttpError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Route};
    use crate::endpoints::EndpointSettings;
    use crate::endpoints::metrics::Probe;
    use crate::endpoints::page::Page;
    use crate::endpoints::pubsub::HubName;
    use crate::endpoints::recorder::request;
    use crate::handler::Entrance;
    use crate::http::HttpError;

    fn find(path: &str) -> Result<Route<'static>, HttpError> {
        let settings = EndpointSettings {
            group_name_bytes_max: 8,
            ..EndpointSettings::default()
        };
        let request = request(&format!("GET {path} HTTP/1.1"));
        Route::find(&request, Entrance::Public, &settings)
    }

    #[test]
    fn every_path_leads_to_its_endpoint() {
        assert_eq!(find("/"), Ok(Route::Page(Page::FRONT)));
        assert_eq!(
            find("/chat/main.js").ok(),
            Page::chat_file("main.js").map(Route::Page)
        );
        assert_eq!(find("/healthz"), Ok(Route::Probe(Probe::Health)));
        assert_eq!(find("/readyz"), Ok(Route::Probe(Probe::Readiness)));
        assert_eq!(find("/metrics"), Ok(Route::Probe(Probe::Metrics)));
        assert_eq!(find("/api/health"), Ok(Route::Probe(Probe::Health)));
        assert_eq!(find("/api/hubs/chat/:send"), Ok(Route::Rest));
        assert_eq!(find("/ws"), Ok(Route::Socket(Endpoint::Default)));
        assert_eq!(find("/echo"), Ok(Route::Socket(Endpoint::Echo)));
        assert_eq!(
            find("/relay/room"),
            Ok(Route::Socket(Endpoint::Relay("room".into())))
        );
        assert_eq!(find("/ws?x=/echo"), Ok(Route::Socket(Endpoint::Default)));
    }

    #[test]
    fn a_hub_is_named_by_path_or_query_in_any_case() {
        let hub = |name| Ok(Route::Socket(Endpoint::Hub(HubName::new(name).unwrap())));
        for path in [
            "/client/hubs/chat",
            "/client/hubs/Chat?x=1",
            "/client/hubs/%63hat",
            "/client/?hub=CHAT",
            "/client?a=b&hub=chat",
        ] {
            assert_eq!(find(path), hub("chat"), "{path}");
        }
        for path in [
            "/client",
            "/client/",
            "/client/?hub=",
            "/client/?hub=1",
            "/client/hubs",
            "/client/hubs/",
            "/client/hubs/1a",
            "/client/hubs/a%2Fb",
            "/client/hubs/chat/",
            "/client/chat",
            "/Client/hubs/chat",
        ] {
            assert_eq!(find(path), Err(HttpError::NotFound), "{path}");
        }
    }

    #[test]
    fn ac_04_a_token_is_good_for_its_own_hub_and_for_what_is_no_hub() {
        let hub = |name| Endpoint::Hub(HubName::new(name).unwrap());
        let relay = |name: &'static str| Endpoint::Relay(name.into());
        for (endpoint, path, is_good) in [
            (hub("chat"), "/client/hubs/chat", true),
            (hub("chat"), "/CLIENT/hubs/Chat", true),
            (hub("a[1]"), "/client/hubs/a%5B1%5D", true),
            (hub("chat"), "/client/hubs/default", false),
            (hub("chat"), "/client/hubs/chat/", false),
            (hub("chat"), "/client/hubs/chat?x=1", false),
            (hub("chat"), "/api/hubs/chat", false),
            (hub("chat"), "", false),
            (Endpoint::Default, "/ws", true),
            (Endpoint::Default, "/client/hubs/default", true),
            (Endpoint::Default, "/client/hubs/chat", false),
            (Endpoint::Echo, "/echo", true),
            (Endpoint::Echo, "/client/hubs/chat", true),
            (Endpoint::Echo, "/ws", false),
            (relay("a b"), "/relay/a%20b", true),
            (relay("a"), "/client/hubs/default", true),
            (relay("a"), "/client/hubs/a", false),
            (relay("a"), "/relay/b", false),
        ] {
            assert_eq!(
                endpoint.accepts_token_for(path),
                is_good,
                "{endpoint:?} {path}"
            );
        }
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
            "/api",
            "/api/hubs",
            "/relay",
            "/relay/",
            "/relay/a/b",
            "/relay/a/",
            "/relay//",
            "/relay/%20",
            "/relay/%20%09",
            "/chat",
            "/chat/",
            "/chat/main",
            "/chat/../ws",
            "/chat/%6dain.js",
            "/index.html",
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
            Route::find(&request("GET /echo HTTP/1.1"), Entrance::Public, &settings),
            Err(HttpError::NotFound)
        );
    }
}
