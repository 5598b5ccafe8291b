//! The applications behind the server: what is at which path, and what becomes of the messages there.
//!
//! | Path | Methods | What it is |
//! |---|---|---|
//! | `/` | GET, HEAD | the chat page; its files are below `/chat/` |
//! | `/healthz` | GET, HEAD | `ok` while every loop turns |
//! | `/readyz` | GET, HEAD | `ok` while connections are accepted |
//! | `/metrics` | GET, HEAD | what is counted, for whoever asks from this machine |
//! | `/ws` | WebSocket | the JSON protocol on the hub `default` |
//! | `/client/hubs/{hub}`, `/client/?hub={hub}` | WebSocket | the JSON protocol on a hub; payloads alone without its subprotocol |
//! | `/relay/{group}` | WebSocket | messages as they are to the others of a group; `?echo=true`: to the sender as well |
//! | `/echo` | WebSocket | every message back, unless switched off |
//! | `/api/health` | GET, HEAD | as `/healthz`, for the service SDKs |
//! | `/api/hubs/{hub}/…` |  see `rest` | what services ask of a hub |
//!
//! A request is judged in one order, and the first fault answers: path (404), host (403), method (405), upgrade and
//! subprotocols (426, 400), origin (403, 400), token (429, 401, 400), what it gives a right to (403).
//!
//! Without an access key nobody needs a token, everybody may do everything, and `?userId=` names a client of a hub.

mod attempts;
mod credential;
mod echo;
#[cfg(test)]
mod loops;
mod metrics;
mod page;
mod policies;
mod pubsub;
#[cfg(test)]
mod recorder;
mod relay;
mod rest;
mod route;
mod settings;
mod signed_token;
mod token_claims;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::handler::{
    self, Answer, Arrival, Command, Entrance, Handler, LoopPlace, Receipt, Upgrade,
};
use crate::http::{ClientAddress, Handshake, HttpError, Request, Response};
use crate::metrics::Metrics;
use crate::proto::Message;
use credential::Gate;
pub use credential::{AccessKey, CredentialError, PublicUrl};
use metrics::{Probe, Vitals};
pub use policies::{GroupPattern, GroupPolicies, PolicyRule, PolicyRuleError};
use pubsub::{Client, ConnectionIds, Grant, HubLimits, Hubs, Speech};
pub use pubsub::{
    HistoryRule, HistoryRuleError, HistorySettings, HubName, Note, RoleName, RoleNameError,
};
use relay::RelayPeer;
use rest::{Reply, RestRate};
use route::{Endpoint, Route};
pub use settings::EndpointSettings;
pub use token_claims::{TokenClaims, TokenClaimsError};

/// All endpoints of the server; every loop has a clone, and all clones give connections names that the others know.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// What they were made with.
    settings: EndpointSettings,
    /// Who is let in.
    gate: Gate,
    /// How many requests of services are carried out.
    rest_rate: RestRate,
    /// What probes ask about.
    vitals: Vitals,
    /// The hub that was asked for last: whoever comes next will want the same one, and can share its name.
    last_hub: HubName,
    /// What the last member of a relayed group remembers, for the same reason.
    last_relay: Option<Arc<RelayPeer>>,
    /// The rules of all hubs.
    hubs: Hubs,
}

/// What is asked for, with notes from hub to hub.
type Outgoing<'a> = handler::Outgoing<'a, Note>;

/// What is remembered of one WebSocket; small, because a server has many that do little.
#[derive(Debug)]
pub struct Peer(PeerKind);

/// What the WebSocket was opened with.
#[derive(Debug)]
enum PeerKind {
    /// `/echo`, which remembers nothing.
    Echo,
    /// `/relay/{group}`
    Relay(Arc<RelayPeer>),
    /// `/ws` and `/client/…`
    PubSub(Box<Client>),
    /// No WebSocket but a request below `/api/hubs/` that waits for its response.
    Rest(Box<rest::Pending>),
}

const _: () = assert!(
    size_of::<Peer>() <= 16,
    "every connection has a peer, however little it does"
);

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
            payload_bytes_max: settings.payload_bytes_max,
        };
        let gate = Gate::new(settings.access_keys.clone(), settings.public_urls.clone())
            .limiting_failures(settings.failed_log_ins_per_minute_max);
        let history = settings.history.clone();
        let policies = settings.policies.clone();
        Self {
            rest_rate: RestRate::new(settings.rest_requests_per_second_max),
            settings,
            gate,
            vitals: Vitals::default(),
            last_hub: HubName::of_default(),
            last_relay: None,
            hubs: Hubs::new(limits, policies, ConnectionIds::new(), history),
        }
    }

    /// Answers a request: the one function that owns the order of judging.
    fn answer(
        &mut self,
        request: &Request<'_>,
        arrival: Arrival,
        out: &mut Outgoing<'_>,
    ) -> Result<Answer<Peer>, HttpError> {
        match self.route(request, arrival.entrance)? {
            Route::Page(page) => {
                check_method(request, route::PAGE_METHODS)?;
                Ok(Answer::Respond(page.response()))
            }
            Route::Probe(probe) => {
                check_method(request, route::PAGE_METHODS)?;
                let response = self.vitals.response(probe, request, arrival)?;
                Ok(Answer::Respond(response))
            }
            Route::Socket(endpoint) => {
                check_method(request, route::SOCKET_METHODS)?;
                self.upgrade(endpoint, request, arrival)
            }
            Route::Rest => {
                let reply = rest::answer(
                    &self.gate,
                    &self.rest_rate,
                    &mut self.hubs,
                    request,
                    arrival,
                    out,
                );
                Ok(match reply {
                    Reply::Now(response) => Answer::Respond(response),
                    Reply::Later(pending) => Answer::Later(Peer(PeerKind::Rest(Box::new(pending)))),
                })
            }
        }
    }

    /// What a request leads to, if it is addressed to this server. Probes address it as they can.
    fn route<'a>(&self, request: &Request<'a>, entrance: Entrance) -> Result<Route<'a>, HttpError> {
        let route = Route::find(request, entrance, &self.settings)?;
        if !route.is_for_probes() && entrance == Entrance::Public {
            self.settings.hosts.judge(request)?;
        }
        Ok(route)
    }

    /// Accepts a WebSocket, or says why not.
    fn upgrade(
        &mut self,
        endpoint: Endpoint<'_>,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Result<Answer<Peer>, HttpError> {
        let handshake =
            Handshake::accept(request)?.choose_subprotocol(request, endpoint.subprotocols())?;
        #[cfg(feature = "deflate")]
        let handshake = if self.settings.compresses {
            handshake.compress(request)
        } else {
            handshake
        };
        self.settings.origins.judge(request, arrival.scheme)?;
        let speech = endpoint.speech(request, handshake.subprotocol())?;
        if let (Speech::Reliable(_), Some(hub)) = (&speech, endpoint.hub_name()) {
            let ids = self.hubs.connection_ids();
            if let Some(recover) = pubsub::recover(ids, &hub, request, arrival.client, &handshake) {
                // The token of the connection is the credential; the one of the hub may have expired since.
                self.gate.admit_attempt(&arrival)?;
                return Ok(Answer::Recover(recover));
            }
        }
        let recovery = match speech {
            Speech::Reliable(token) => Some((pubsub::NUMBERING, token)),
            Speech::Json | Speech::Plain(_) => None,
        };
        let grant = self.authorise(&endpoint, &speech, request, arrival)?;
        let expires_after = grant
            .seconds_left
            .filter(|_| self.settings.enforces_expiry)
            .map(Duration::from_secs);
        let peer = match endpoint {
            Endpoint::Echo => PeerKind::Echo,
            Endpoint::Relay(group) => {
                let has_echo = request
                    .query_value("echo")
                    .is_some_and(|value| value == "true");
                let terms = self.settings.policies.terms(&group, || None);
                PeerKind::Relay(self.relay(RelayPeer::new(&group, has_echo, terms)))
            }
            Endpoint::Default => self.client(HubName::of_default(), speech, grant),
            Endpoint::Hub(hub) => self.client(hub, speech, grant),
        };
        Ok(Answer::Upgrade(Upgrade {
            handshake,
            peer: Peer(peer),
            expires_after,
            recovery,
        }))
    }

    /// Says who opens a WebSocket and what it may do there: every endpoint passes here.
    fn authorise(
        &self,
        endpoint: &Endpoint<'_>,
        speech: &Speech,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Result<Grant, HttpError> {
        let grant = if self.gate.has_no_key() {
            Grant::without_token(request)?
        } else {
            let is_meant = |path: &str| endpoint.accepts_token_for(path);
            Grant::from_token(&self.gate, request, &arrival, is_meant)?
        };
        let rights = &grant.rights;
        let is_entitled = match (endpoint, speech) {
            (Endpoint::Relay(group), _) => rights.may_join(group) && rights.may_send(group),
            (Endpoint::Hub(_), Speech::Plain(Some(group))) => rights.may_send(group),
            (Endpoint::Echo | Endpoint::Default | Endpoint::Hub(_), _) => true,
        };
        is_entitled.then_some(grant).ok_or(HttpError::NotEntitled)
    }

    /// What a member of a relayed group remembers, shared with the one before if that is the same.
    fn relay(&mut self, peer: RelayPeer) -> Arc<RelayPeer> {
        match &self.last_relay {
            Some(last) if **last == peer => Arc::clone(last),
            _ => Arc::clone(self.last_relay.insert(Arc::new(peer))),
        }
    }

    /// A client of `hub`.
    fn client(&mut self, hub: HubName, speech: Speech, grant: Grant) -> PeerKind {
        if self.last_hub != hub {
            self.last_hub = hub;
        }
        let hub = self.last_hub.clone();
        let mut client = Client::new(hub, grant.user, grant.rights, speech);
        self.hubs.admit_to(&mut client, &grant.groups);
        PeerKind::PubSub(Box::new(client))
    }
}

impl Handler for Endpoints {
    type Peer = Peer;
    type Note = Note;

    fn on_start(&mut self, place: LoopPlace, metrics: &Metrics) {
        self.vitals = Vitals::new(place, metrics);
        self.hubs.on_start(place);
    }

    fn on_request(
        &mut self,
        request: &Request<'_>,
        arrival: Arrival,
        out: &mut Outgoing<'_>,
    ) -> Answer<Peer> {
        self.answer(request, arrival, out)
            .unwrap_or_else(|error| Answer::Respond(Response::refusal(error)))
    }

    fn on_request_while_draining(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Option<Response> {
        match self.route(request, arrival.entrance) {
            Ok(Route::Probe(Probe::Readiness)) | Err(_) => None,
            Ok(Route::Probe(probe)) => self.vitals.response(probe, request, arrival).ok(),
            Ok(Route::Page(_) | Route::Socket(_) | Route::Rest) => None,
        }
    }

    fn on_expectation(&mut self, request: &Request<'_>, arrival: Arrival) -> Result<(), Response> {
        self.route(request, arrival.entrance)
            .and_then(|route| match route {
                Route::Page(_) | Route::Probe(_) => check_method(request, route::PAGE_METHODS),
                Route::Socket(_) => check_method(request, route::SOCKET_METHODS),
                Route::Rest => rest::judge(&self.gate, request, arrival),
            })
            .map_err(Response::refusal)
    }

    fn on_open(&mut self, peer: &mut Peer, out: &mut Outgoing<'_>) {
        match &peer.0 {
            PeerKind::Echo | PeerKind::Rest(_) => {}
            PeerKind::Relay(relay) => relay.on_open(out),
            PeerKind::PubSub(client) => self.hubs.on_open(client, out),
        }
    }

    fn on_recovered(&mut self, peer: &mut Peer, out: &mut Outgoing<'_>) {
        // Only clients of a hub are recoverable.
        if let PeerKind::PubSub(client) = &peer.0 {
            self.hubs.on_recovered(client, out);
        }
    }

    fn on_wrong_token(&mut self, client: ClientAddress, moment: Moment) {
        self.gate.note_failure(client, moment);
    }

    fn on_message(&mut self, peer: &mut Peer, message: Message<'_>, out: &mut Outgoing<'_>) {
        match &mut peer.0 {
            PeerKind::Echo => echo::on_message(message, out),
            PeerKind::Relay(relay) => relay.on_message(message, out),
            PeerKind::PubSub(client) => self.hubs.on_message(client, message, out),
            PeerKind::Rest(_) => {}
        }
    }

    fn on_receipt(&mut self, peer: &mut Peer, receipt: Receipt, out: &mut Outgoing<'_>) {
        match &mut peer.0 {
            PeerKind::Echo | PeerKind::Relay(_) => {}
            PeerKind::PubSub(client) => self.hubs.on_receipt(client, &receipt, out),
            PeerKind::Rest(pending) => {
                if let Some(response) = pending.on_receipt(receipt, &self.hubs) {
                    out.respond(response);
                }
            }
        }
    }

    fn on_command(&mut self, peer: &mut Peer, command: &Command, out: &mut Outgoing<'_>) -> bool {
        match &mut peer.0 {
            PeerKind::PubSub(client) => self.hubs.on_command(client, command, out),
            PeerKind::Echo | PeerKind::Relay(_) | PeerKind::Rest(_) => false,
        }
    }

    fn name_of<'p>(&self, peer: &'p Peer) -> Option<&'p str> {
        match &peer.0 {
            PeerKind::PubSub(client) => client.user_name(),
            PeerKind::Echo | PeerKind::Relay(_) | PeerKind::Rest(_) => None,
        }
    }

    fn on_close(&mut self, peer: Peer, out: &mut Outgoing<'_>) {
        if let PeerKind::PubSub(client) = &peer.0 {
            self.hubs.on_close(client, out);
        }
    }

    fn on_note(&mut self, note: Note, out: &mut Outgoing<'_>) {
        self.hubs.on_note(note, out);
    }

    fn on_turn_end(&mut self, out: &mut Outgoing<'_>) {
        self.hubs.on_turn_end(out);
    }

    #[inline]
    fn has_put_off(&self) -> bool {
        self.hubs.has_put_off()
    }
}

/// Checks that `request` has one of the methods `allow`, which is the value of an Allow field.
fn check_method(request: &Request<'_>, allow: &'static str) -> Result<(), HttpError> {
    if allow.split(", ").any(|method| method == request.method()) {
        Ok(())
    } else {
        Err(HttpError::MethodNotAllowed { allow })
    }
}

#[cfg(test)]
mod tests {
    use super::credential::tests::{NOW, SECRET, token};
    use super::recorder::{Recorder, request};
    use super::route::{Endpoint, Route};
    use super::{EndpointSettings, Endpoints, Peer};
    use crate::handler::{Answer, Arrival, Entrance, Handler, Upgrade};
    use crate::http::{Handshake, Response};
    use crate::proto::Message;
    use serde_json::json;

    const UPGRADE: &str = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

    fn answer(endpoints: &mut Endpoints, lines: &str) -> Answer<Peer> {
        let arrival = Arrival::of_a_test(NOW);
        endpoints.on_request(&request(lines), arrival, &mut Recorder::new(0).out())
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
        for path in ["/", "/chat/main.js", "/healthz"] {
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
    fn hs_11_the_json_subprotocols_are_agreed_on_in_the_order_of_the_client() {
        let mut endpoints = Endpoints::new(EndpointSettings::default());
        let offer =
            "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1, json.webpubsub.azure.v1";
        for (path, lines, expected) in [
            ("/ws", offer, Some("json.reliable.webpubsub.azure.v1")),
            (
                "/ws",
                "Sec-WebSocket-Protocol: json.webpubsub.azure.v1, json.reliable.webpubsub.azure.v1",
                Some("json.webpubsub.azure.v1"),
            ),
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
            endpoints.on_message(
                &mut peer,
                Message::Text(message.into()),
                &mut recorder.out(),
            );
            assert_eq!(recorder.take(), [expected]);
        }
    }

    /// Endpoints with an access key.
    fn guarded() -> Endpoints {
        Endpoints::new(EndpointSettings {
            access_keys: vec![SECRET.parse().unwrap()],
            enforces_expiry: true,
            ..EndpointSettings::default()
        })
    }

    /// The target `path` with a token for `aud` and these roles.
    fn with_token(path: &str, aud: &str, roles: &[&str]) -> String {
        let claims =
            json!({"aud": format!("http://localhost{aud}"), "exp": NOW + 60, "role": roles});
        format!("{path}?access_token={}", token(&claims))
    }

    fn status(endpoints: &mut Endpoints, target: &str) -> u16 {
        match answer(endpoints, &format!("GET {target} HTTP/1.1\n{UPGRADE}")) {
            Answer::Respond(response) => response.status(),
            _ => 101,
        }
    }

    const JOIN: &str = "webpubsub.joinLeaveGroup.room";
    const SEND: &str = "webpubsub.sendToGroup.room";

    #[test]
    fn ac_06_with_an_access_key_every_websocket_path_needs_a_token() {
        let endpoints = &mut guarded();
        for (path, aud) in [
            ("/ws", "/ws"),
            ("/ws", "/client/hubs/default"),
            ("/echo", "/client/hubs/chat"),
            ("/client/hubs/chat", "/client/hubs/chat"),
        ] {
            assert_eq!(status(endpoints, path), 401, "{path}");
            assert_eq!(
                status(endpoints, &format!("{path}?access_token=x.y.z")),
                401
            );
            assert_eq!(
                status(endpoints, &with_token(path, "/client/hubs/no", &[])),
                401 - 300 * u16::from(path == "/echo")
            );
            assert_eq!(
                status(endpoints, &with_token(path, aud, &[])),
                101,
                "{path}"
            );
        }
        assert_eq!(status(endpoints, "/healthz"), 200);
    }

    /// Whether somebody without a token is let through there. This does not compile for a new kind of endpoint before it is
    /// decided.
    fn is_public(route: &Route<'_>) -> bool {
        match route {
            Route::Page(_) | Route::Probe(_) => true,
            Route::Rest => false,
            Route::Socket(endpoint) => match endpoint {
                Endpoint::Echo | Endpoint::Relay(_) | Endpoint::Default | Endpoint::Hub(_) => false,
            },
        }
    }

    #[test]
    fn ac_06_every_route_lets_in_whom_it_should() {
        let endpoints = &mut guarded();
        for path in [
            "/",
            "/chat/main.js",
            "/healthz",
            "/api/health",
            "/ws",
            "/echo",
            "/relay/room",
            "/client/hubs/chat",
            "/client/?hub=chat",
            "/api/hubs/chat/users/ann",
        ] {
            let head = format!("GET {path} HTTP/1.1");
            let route =
                Route::find(&request(&head), Entrance::Public, &endpoints.settings).unwrap();
            let expected = match is_public(&route) {
                true => 200,
                // The table of services knows no GET of a user.
                false if path.starts_with("/api/") => 405,
                false => 401,
            };
            assert_eq!(status(endpoints, path), expected, "{path}");
        }
        let head = "HEAD /api/hubs/chat/users/ann HTTP/1.1";
        let Answer::Respond(response) = answer(endpoints, head) else {
            panic!("let in");
        };
        assert_eq!(response.status(), 401);
    }

    #[test]
    fn ac_06_a_relayed_group_needs_the_role_to_join_and_the_one_to_send() {
        let endpoints = &mut guarded();
        let mut judge = |path: &str, roles: &[&str]| {
            status(endpoints, &with_token(path, "/client/hubs/default", roles))
        };
        assert_eq!(judge("/relay/room", &[]), 403);
        assert_eq!(judge("/relay/room", &[JOIN]), 403);
        assert_eq!(judge("/relay/room", &[SEND]), 403);
        assert_eq!(judge("/relay/room", &[JOIN, SEND]), 101);
        assert_eq!(judge("/relay/other", &[JOIN, SEND]), 403);
        let plain = "/client/hubs/default?webpubsub_mode=sendToGroup&group=room";
        let mut judge = |roles: &[&str]| {
            let target = with_token("", "/client/hubs/default", roles).replace('?', "&");
            status(endpoints, &format!("{plain}{target}"))
        };
        assert_eq!(judge(&[JOIN]), 403);
        assert_eq!(judge(&[SEND]), 101);
    }

    #[test]
    fn ac_03_no_token_and_a_wrong_one_get_the_same_answer() {
        let endpoints = &mut guarded();
        let mut refusal =
            |target: &str| match answer(endpoints, &format!("GET {target} HTTP/1.1\n{UPGRADE}")) {
                Answer::Respond(response) => {
                    String::from_utf8(response.encode(false, true)).unwrap()
                }
                _ => panic!("upgraded"),
            };
        let nothing = refusal("/ws");
        assert!(
            nothing.contains("\r\nWWW-Authenticate: Bearer\r\n"),
            "{nothing}"
        );
        assert_eq!(refusal("/ws?access_token=SECRETx"), nothing);
        assert_eq!(refusal(&with_token("/ws", "/echo", &[])), nothing);
    }

    #[test]
    fn ac_08_the_end_of_the_token_is_the_end_of_the_connection_if_that_is_wished() {
        for (enforces_expiry, expected) in [(true, Some(60)), (false, None)] {
            let mut endpoints = Endpoints::new(EndpointSettings {
                enforces_expiry,
                ..guarded().settings
            });
            let target = with_token("/ws", "/ws", &[]);
            let answer = answer(&mut endpoints, &format!("GET {target} HTTP/1.1\n{UPGRADE}"));
            let Answer::Upgrade(Upgrade { expires_after, .. }) = answer else {
                panic!("refused");
            };
            assert_eq!(expires_after.map(|time| time.as_secs()), expected);
        }
    }

    #[test]
    fn a_hub_speaks_json_to_those_who_agree_on_it_and_plainly_to_others() {
        let mut endpoints = Endpoints::new(EndpointSettings::default());
        let mut recorder = Recorder::new(0);
        let json = "Sec-WebSocket-Protocol: json.webpubsub.azure.v1";
        for (target, lines, first) in [
            ("/client/hubs/Chat?userId=bob", json, r#"join "chat/@all""#),
            ("/client/hubs/chat", "", r#"join "chat:plain/@all""#),
            ("/client/?hub=chat", "", r#"join "chat:plain/@all""#),
            ("/ws", "", r#"join "default/@all""#),
        ] {
            let (_, mut peer) = upgrade(&mut endpoints, target, lines);
            endpoints.on_open(&mut peer, &mut recorder.out());
            assert_eq!(recorder.take()[0], first, "{target}");
        }
        for query in [
            "webpubsub_mode=x",
            "webpubsub_mode=sendToGroup",
            "webpubsub_mode=sendToGroup&group=+",
        ] {
            assert_eq!(
                status(&mut endpoints, &format!("/client/hubs/chat?{query}")),
                400
            );
        }
    }
}
