//! The applications behind the server: what is at which path, and what becomes of the messages there.
//!
//! | Path | Methods | What it is |
//! |---|---|---|
//! | `/` | GET, HEAD | a page that says what this server is |
//! | `/healthz` | GET, HEAD | `ok` while the process lives |
//! | `/ws` | WebSocket | the JSON protocol on the hub `default`; `?userId=` names the client |
//! | `/relay/{group}` | WebSocket | messages as they are to the others of a group; `?echo=true`: to the sender as well |
//! | `/echo` | WebSocket | every message back, unless switched off |
//!
//! A request is judged in one order, and the first fault answers: path (404), method (405), upgrade and subprotocols
//! (426, 400), origin (403, 400), right to be here (without an access key everybody has it), name of the client (400).

mod echo;
mod page;
mod pubsub;
#[cfg(test)]
mod recorder;
mod relay;
mod route;

use std::net::SocketAddr;

use crate::config::Config;
use crate::handler::{Answer, Handler, Outgoing, Receipt, Upgrade};
use crate::http::{Handshake, HttpError, OriginPolicy, Request, Response};
use crate::proto::Message;
use pubsub::{Client, ConnectionIds, Hub, HubLimits, UserId};
use relay::RelayPeer;
use route::{Endpoint, Route};

/// What the endpoints have to know of the server's settings.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Groups that one connection may be in at a time; default 128. `@all` and `@user/…` do not count.
    pub groups_per_connection_max: usize,
    /// Length of a group's name in bytes; default 128.
    pub group_name_bytes_max: usize,
    /// Whether `/echo` exists; default true.
    pub offers_echo: bool,
    /// Which web pages may connect; by default those of the same origin.
    pub origins: OriginPolicy,
}

impl From<&Config> for EndpointSettings {
    /// What the server's settings say, and the defaults for the rest.
    fn from(config: &Config) -> Self {
        Self {
            groups_per_connection_max: config.groups_per_connection_max,
            group_name_bytes_max: config.group_name_bytes_max,
            offers_echo: true,
            origins: OriginPolicy::default(),
        }
    }
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}

/// All endpoints of the server; every loop has a clone, and all clones give connections names that the others know.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// What they were made with.
    settings: EndpointSettings,
    /// The hub of `/ws`.
    hub: Hub,
}

/// What is remembered of one WebSocket; small, because a server has many that do little.
#[derive(Debug)]
pub struct Peer(PeerKind);

/// What the WebSocket was opened with.
#[derive(Debug)]
enum PeerKind {
    /// `/echo`, which remembers nothing.
    Echo,
    /// `/relay/{group}`
    Relay(RelayPeer),
    /// `/ws`
    PubSub(Box<Client>),
}

const _: () = assert!(
    size_of::<Peer>() <= 24,
    "every connection has a peer, however little it does"
);

/// Who opens a WebSocket, as far as it is known.
#[derive(Debug)]
struct Identity {
    /// Its name; only clients of a hub have one.
    user: Option<UserId>,
}

impl Endpoints {
    /// Endpoints with these settings.
    ///
    /// # Panics
    /// If the system has no source of random numbers.
    #[must_use]
    pub fn new(settings: EndpointSettings) -> Self {
        let limits = HubLimits {
            groups_per_connection_max: settings.groups_per_connection_max,
            group_name_bytes_max: settings.group_name_bytes_max,
        };
        Self {
            settings,
            hub: Hub::new(HUB, limits, ConnectionIds::new()),
        }
    }

    /// Answers a request: the one function that owns the order of judging.
    fn answer(&self, request: &Request<'_>) -> Result<Answer<Peer>, HttpError> {
        let route = Route::find(request, &self.settings)?;
        let allow = route.allow();
        if !allow.split(", ").any(|method| method == request.method()) {
            return Err(HttpError::MethodNotAllowed { allow });
        }
        match route {
            Route::Page(page) => Ok(Answer::Respond(page.response())),
            Route::Socket(endpoint) => self.upgrade(&endpoint, request),
        }
    }

    /// Accepts a WebSocket, or says why not.
    fn upgrade(
        &self,
        endpoint: &Endpoint<'_>,
        request: &Request<'_>,
    ) -> Result<Answer<Peer>, HttpError> {
        let handshake =
            Handshake::accept(request)?.choose_subprotocol(request, endpoint.subprotocols())?;
        self.settings.origins.judge(request)?;
        let identity = self.authorise(endpoint, request)?;
        let peer = match endpoint {
            Endpoint::Echo => PeerKind::Echo,
            Endpoint::Relay(group) => {
                let has_echo = request
                    .query_value("echo")
                    .is_some_and(|value| value == "true");
                PeerKind::Relay(RelayPeer::new(group, has_echo))
            }
            Endpoint::PubSub => PeerKind::PubSub(Box::new(Client::new(identity.user))),
        };
        Ok(Answer::Upgrade(Upgrade {
            handshake,
            peer: Peer(peer),
            recovery: None,
        }))
    }

    /// Says who opens a WebSocket, and whether it may: every endpoint passes here.
    ///
    /// Without an access key everybody may, and a client of a hub is whoever it says it is.
    fn authorise(
        &self,
        endpoint: &Endpoint<'_>,
        request: &Request<'_>,
    ) -> Result<Identity, HttpError> {
        let user = match endpoint {
            Endpoint::Echo | Endpoint::Relay(_) => None,
            Endpoint::PubSub => request
                .query_value("userId")
                .map(|name| UserId::new(&name).ok_or(HttpError::MalformedTarget))
                .transpose()?,
        };
        Ok(Identity { user })
    }
}

impl Handler for Endpoints {
    type Peer = Peer;

    fn on_request(&mut self, request: &Request<'_>, _remote: SocketAddr) -> Answer<Peer> {
        self.answer(request)
            .unwrap_or_else(|error| Answer::Respond(Response::refusal(error)))
    }

    fn on_open(&mut self, peer: &mut Peer, out: &mut Outgoing<'_>) {
        match &peer.0 {
            PeerKind::Echo => {}
            PeerKind::Relay(relay) => relay.on_open(out),
            PeerKind::PubSub(client) => self.hub.on_open(client, out),
        }
    }

    fn on_message(&mut self, peer: &mut Peer, message: Message<'_>, out: &mut Outgoing<'_>) {
        match &mut peer.0 {
            PeerKind::Echo => echo::on_message(message, out),
            PeerKind::Relay(relay) => relay.on_message(message, out),
            PeerKind::PubSub(client) => self.hub.on_message(client, message, out),
        }
    }

    fn on_receipt(&mut self, peer: &mut Peer, receipt: Receipt, out: &mut Outgoing<'_>) {
        // Only deliveries of a hub ask for receipts.
        if let PeerKind::PubSub(client) = &mut peer.0 {
            self.hub.on_receipt(client, receipt, out);
        }
    }
}

/// The hub of `/ws`.
const HUB: &str = "default";

#[cfg(test)]
mod tests {
    use super::recorder::{Recorder, request};
    use super::{EndpointSettings, Endpoints, Peer};
    use crate::handler::{Answer, Handler, Upgrade};
    use crate::http::{Handshake, Response};
    use crate::proto::Message;
    use std::net::{Ipv4Addr, SocketAddr};

    const UPGRADE: &str = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

    fn answer(endpoints: &mut Endpoints, lines: &str) -> Answer<Peer> {
        endpoints.on_request(&request(lines), SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }

    /// The answer to a request that is no upgrade, or a refused one.
    fn response(lines: &str) -> Response {
        match answer(&mut Endpoints::new(EndpointSettings::default()), lines) {
            Answer::Respond(response) => response,
            _ => panic!("upgraded: {lines}"),
        }
    }

    /// The status of the answer and the whole head, as text.
    fn status_and_head(lines: &str) -> (u16, String) {
        let response = response(lines);
        (
            response.status(),
            String::from_utf8(response.encode(true, false)).unwrap(),
        )
    }

    /// A request to upgrade at `target`, with further lines.
    fn upgrade(endpoints: &mut Endpoints, target: &str, lines: &str) -> (Handshake, Peer) {
        match answer(
            endpoints,
            &format!("GET {target} HTTP/1.1\n{UPGRADE}\n{lines}"),
        ) {
            Answer::Upgrade(Upgrade {
                handshake, peer, ..
            }) => (handshake, peer),
            _ => panic!("{target} is not upgraded"),
        }
    }

    #[test]
    fn ht_05_pages_answer_get_and_head_and_nothing_else() {
        for path in ["/", "/healthz"] {
            assert_eq!(response(&format!("GET {path} HTTP/1.1")).status(), 200);
            assert_eq!(response(&format!("HEAD {path} HTTP/1.1")).status(), 200);
            for method in ["POST", "get", "OPTIONS"] {
                let (status, head) = status_and_head(&format!("{method} {path} HTTP/1.1"));
                assert_eq!(status, 405);
                assert!(head.contains("\r\nAllow: GET, HEAD\r\n"), "{head}");
            }
        }
        assert!(
            response("GET /healthz HTTP/1.1")
                .encode(false, false)
                .ends_with(b"\r\n\r\nok")
        );
    }

    #[test]
    fn the_front_page_says_what_this_is_and_runs_no_script() {
        let page = String::from_utf8(response("GET / HTTP/1.1").encode(false, false)).unwrap();
        assert!(page.contains("WebSocket message server"));
        assert!(page.contains("Content-Security-Policy: default-src 'none'"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn hs_01_a_websocket_path_offers_get_only() {
        for path in ["/ws", "/echo", "/relay/room"] {
            for method in ["POST", "HEAD", "get"] {
                let (status, head) =
                    status_and_head(&format!("{method} {path} HTTP/1.1\n{UPGRADE}"));
                assert_eq!(status, 405, "{method} {path}");
                assert!(head.contains("\r\nAllow: GET\r\n"), "{head}");
            }
            assert_eq!(response(&format!("GET {path} HTTP/1.1")).status(), 426);
        }
    }

    #[test]
    fn requests_are_judged_in_the_order_of_the_table() {
        let foreign = "Origin: http://evil.test";
        for (lines, status) in [
            ("POST /nothing HTTP/1.1".to_owned(), 404),
            (format!("POST /ws?userId= HTTP/1.1\n{foreign}"), 405),
            (format!("GET /ws?userId= HTTP/1.1\n{foreign}"), 426),
            (
                format!("GET /ws?userId= HTTP/1.1\n{UPGRADE}\nSec-WebSocket-Key: x\n{foreign}"),
                400,
            ),
            (
                format!("GET /echo HTTP/1.1\n{UPGRADE}\nSec-WebSocket-Protocol: a b\n{foreign}"),
                400,
            ),
            (
                format!("GET /ws?userId= HTTP/1.1\n{UPGRADE}\n{foreign}"),
                403,
            ),
            (format!("GET /ws?userId= HTTP/1.1\n{UPGRADE}"), 400),
        ] {
            assert_eq!(response(&lines).status(), status, "{lines}");
        }
    }

    #[test]
    fn ac_01_every_websocket_path_judges_the_origin() {
        let mut endpoints = Endpoints::new(EndpointSettings::default());
        for path in ["/ws", "/echo", "/relay/room"] {
            let foreign = format!("GET {path} HTTP/1.1\n{UPGRADE}\nOrigin: http://evil.test");
            assert_eq!(response(&foreign).status(), 403);
            _ = upgrade(&mut endpoints, path, "Origin: http://localhost");
        }
    }

    #[test]
    fn hs_11_only_the_json_subprotocol_is_agreed_on_and_only_on_ws() {
        let mut endpoints = Endpoints::new(EndpointSettings::default());
        let offer =
            "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1, json.webpubsub.azure.v1";
        for (path, lines, expected) in [
            ("/ws", offer, Some("json.webpubsub.azure.v1")),
            ("/ws", "Sec-WebSocket-Protocol: chat", None),
            ("/ws", "", None),
            ("/echo", offer, None),
            ("/relay/room", offer, None),
        ] {
            let (handshake, _) = upgrade(&mut endpoints, path, lines);
            assert_eq!(handshake.subprotocol(), expected, "{path} {lines}");
        }
    }

    #[test]
    fn a_user_id_in_the_query_is_decoded_and_has_to_be_valid() {
        for target in [
            "/ws?userId=",
            "/ws?userId=a%00b",
            "/ws?userId=a%0d",
            &format!("/ws?userId={}", "x".repeat(129)),
        ] {
            assert_eq!(
                response(&format!("GET {target} HTTP/1.1\n{UPGRADE}")).status(),
                400,
                "{target}"
            );
        }
        let mut endpoints = Endpoints::new(EndpointSettings::default());
        for (target, user) in [
            ("/ws?userId=al%20ice%2F", Some("al ice/")),
            ("/ws?x=1&userId=bob&userId=eve", Some("bob")),
            ("/ws?user=bob", None),
            ("/ws", None),
        ] {
            let (_, mut peer) = upgrade(&mut endpoints, target, "");
            let mut recorder = Recorder::new(0);
            endpoints.on_open(&mut peer, &mut recorder.out());
            let joined = user.map(|user| format!(r#"join "default/@user/{user}""#));
            assert_eq!(
                recorder
                    .take()
                    .into_iter()
                    .find(|line| line.contains("@user")),
                joined,
                "{target}"
            );
        }
    }

    #[test]
    fn messages_reach_the_endpoint_that_the_path_names() {
        let mut endpoints = Endpoints::new(EndpointSettings::default());
        let mut recorder = Recorder::new(0);
        for (target, message, expected) in [
            ("/echo", "hi", "Text: hi"),
            (
                "/relay/a%20b",
                "hi",
                r#"Text to "@relay/a b" except 0.0.0: hi"#,
            ),
            ("/relay/a?echo=true", "hi", r#"Text to "@relay/a": hi"#),
            (
                "/relay/a?echo=false",
                "hi",
                r#"Text to "@relay/a" except 0.0.0: hi"#,
            ),
            ("/ws", r#"{"type":"ping"}"#, r#"Text: {"type":"pong"}"#),
        ] {
            let (_, mut peer) = upgrade(&mut endpoints, target, "");
            endpoints.on_open(&mut peer, &mut recorder.out());
            recorder.take();
            endpoints.on_message(&mut peer, Message::Text(message), &mut recorder.out());
            assert_eq!(recorder.take(), [expected]);
        }
    }
}
