//! What the messages of clients mean: the rules of all hubs, told in wishes.
//!
//! A valid message that is not carried out is answered with a refusal if it has an `ackId`, and with nothing if it has
//! none; an invalid one ends the connection. Names that begin with `@` are addresses and not groups:
//!
//! | Address | Who gets it | Nobody there |
//! |---|---|---|
//! | `@all` | every connection of the hub | delivered to none |
//! | `@user/<id>` | every connection of the user | refused, `NotFound` |
//! | `@conn/<id>` | one connection | refused, `NotFound` |
//! | any other name | the members of the group; the sender need not be one | delivered to none |
//!
//! The sender is among those who get it if it belongs to them, unless it asks for `noEcho`.
//!
//! Everyone is in `@all` and nobody can join or leave it; but `joinGroup` with `"presence":true` and `leaveGroup` say
//! whether one is told who is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ack_log::Audience;
use super::client::{Client, Speech, UserId};
use super::codec::{self, ClientMessage, GroupMessage, Request};
use super::connection_id::ConnectionIds;
use super::encoder::{self, Encoder};
use super::flavour::{Addressees, Flavour};
use super::group_names::GroupNames;
use super::history::{History, HistorySettings};
use super::home::Homes;
use super::hub_name::HubName;
use super::note::{Kind, Note};
use super::payload::Payload;
use super::presence::Presence;
use super::refusal::Refusal;
use crate::delivery::{GroupName, Outcome, Terms};
use crate::endpoints::{GroupPolicies, Outgoing};
use crate::handler::{LoopPlace, Receipt};
use crate::proto::{CloseCode, Message, OpCode};

/// What a client may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct HubLimits {
    /// Groups that one client may be in at a time.
    pub(in crate::endpoints) groups_per_connection_max: usize,
    /// Length of a group's name in bytes.
    pub(in crate::endpoints) group_name_bytes_max: usize,
    /// Length of a payload as JSON, in bytes.
    pub(in crate::endpoints) payload_bytes_max: usize,
}

/// All hubs, as one loop sees them; they share nothing but their rules.
#[derive(Clone, Debug)]
pub(in crate::endpoints) struct Hubs {
    /// What their clients may use up.
    pub(super) limits: HubLimits,
    /// Which groups drop messages for slow receivers.
    policies: GroupPolicies,
    /// What their connections are called.
    pub(super) connection_ids: ConnectionIds,
    /// How many clients there are on all loops that do not speak JSON: if none, nobody has to be told anything plainly.
    plain_count: Arc<AtomicUsize>,
    /// Who is there.
    pub(super) presence: Presence,
    /// What was said.
    pub(super) history: History,
    /// What groups are called that were spoken of lately.
    pub(super) names: GroupNames,
    /// Where messages to clients are written.
    pub(super) encoder: Encoder,
}

/// When a request that was not refused is done.
enum Progress {
    /// It is.
    Done,
    /// When the receipts of so many deliveries have come.
    Pending(Audience, u32),
}

impl Hubs {
    /// Hubs whose connections are known by `connection_ids`.
    pub(in crate::endpoints) fn new(
        limits: HubLimits,
        policies: GroupPolicies,
        connection_ids: ConnectionIds,
        history: HistorySettings,
    ) -> Self {
        let homes = Homes::new();
        Self {
            limits,
            policies,
            connection_ids,
            plain_count: Arc::default(),
            presence: Presence::new(homes.clone()),
            history: History::new(history, homes),
            names: GroupNames::default(),
            encoder: Encoder::default(),
        }
    }

    /// Says on which loop this is.
    pub(in crate::endpoints) fn on_start(&mut self, place: LoopPlace) {
        self.presence.homes.on_start(place);
        self.history.homes.on_start(place);
    }

    /// A client has come: it can be addressed from now on, is in its first groups, and learns who it is.
    pub(in crate::endpoints) fn on_open(&mut self, client: &Client, out: &mut Outgoing<'_>) {
        let flavour = client.speech.flavour();
        if flavour == Flavour::Plain {
            self.plain_count.fetch_add(1, Ordering::Relaxed);
        }
        out.join(self.names.get(flavour, &client.hub, ALL));
        if let Some(user) = &client.user {
            let address = format!("{USER}{}", user.as_str());
            out.join(flavour.group(&client.hub, &address));
        }
        self.presence.enter(client, client.hub.as_str(), ALL, out);
        for group in client.groups() {
            out.join(group.clone());
            self.presence
                .enter(client, client.hub.as_str(), group.name(), out);
        }
        if flavour == Flavour::Json {
            self.greet(client, out);
        }
    }

    /// A reliable client has come back: it learns that it is who it was, and gets what it missed.
    pub(in crate::endpoints) fn on_recovered(&mut self, client: &Client, out: &mut Outgoing<'_>) {
        self.greet(client, out);
        out.replay();
    }

    /// Tells a client who it is.
    fn greet(&mut self, client: &Client, out: &mut Outgoing<'_>) {
        let flavour = client.speech.flavour();
        let connection = self.connection_ids.of(&client.hub, flavour, out.session());
        let token = client.recovery_token();
        let connected = self
            .encoder
            .connected(client.user_name(), connection, token);
        out.reply(OpCode::Text, &[connected]);
    }

    /// The names of connections.
    pub(in crate::endpoints) fn connection_ids(&self) -> &ConnectionIds {
        &self.connection_ids
    }

    /// A client has gone.
    pub(in crate::endpoints) fn on_close(&self, client: &Client, out: &mut Outgoing<'_>) {
        if client.speech.flavour() == Flavour::Plain {
            self.plain_count.fetch_sub(1, Ordering::Relaxed);
        }
        let groups = client.groups().iter().map(GroupName::name).chain([ALL]);
        self.presence
            .on_close(client, client.hub.as_str(), groups, out);
    }

    /// The hub of a loop has news of a group.
    pub(in crate::endpoints) fn on_note(&mut self, Note(kind): Note, out: &mut Outgoing<'_>) {
        match kind {
            Kind::Presence(news) => self.presence.on_news(news, out),
            Kind::History(news) => self.history.on_news(news, &self.policies, out),
        }
    }

    /// What was put off is to be said now.
    pub(in crate::endpoints) fn on_turn_end(&mut self, out: &mut Outgoing<'_>) {
        self.presence.on_turn_end(out);
    }

    /// Whether there is anything to tell at the end of a turn.
    #[inline]
    pub(in crate::endpoints) fn has_put_off(&self) -> bool {
        self.presence.has_changed()
    }

    /// A client has sent a message.
    pub(in crate::endpoints) fn on_message(
        &mut self,
        client: &mut Client,
        message: Message<'_>,
        out: &mut Outgoing<'_>,
    ) {
        if let Speech::Plain(group) = &client.speech {
            return self.on_plain_message(client, group.as_deref(), message, out);
        }
        let Message::Text(text) = message else {
            return out.close(CloseCode::UNSUPPORTED_DATA, "only text messages are taken");
        };
        match codec::parse(text.as_str()) {
            Ok(ClientMessage::Ping) => out.reply(OpCode::Text, &[encoder::PONG]),
            Ok(ClientMessage::SequenceAck(number)) if client.recovery_token().is_some() => {
                out.acknowledge(number);
            }
            // Nobody else has numbers to acknowledge.
            Ok(ClientMessage::SequenceAck(_)) => {
                let reason = codec::InvalidMessage::UnknownType.reason();
                out.close(CloseCode::INVALID_PAYLOAD, reason);
            }
            Ok(ClientMessage::Request { ack_id, request }) => {
                self.on_request(client, ack_id, &request, out);
            }
            Err(invalid) => out.close(CloseCode::INVALID_PAYLOAD, invalid.reason()),
        }
    }

    /// A delivery has its outcome, so its sender can be told.
    pub(in crate::endpoints) fn on_receipt(
        &mut self,
        client: &mut Client,
        receipt: &Receipt,
        out: &mut Outgoing<'_>,
    ) {
        let ack_id = receipt.token;
        let Some((audience, outcome)) = client.acks().add_outcome(ack_id, receipt.outcome) else {
            return;
        };
        let ack = if audience == Audience::Direct && outcome == Outcome::default() {
            self.encoder.refusal(ack_id, Refusal::NobodyThere)
        } else {
            client.acks().push_done(ack_id);
            self.encoder.delivery_ack(ack_id, outcome)
        };
        out.reply(OpCode::Text, &[ack]);
    }

    /// A client that does not speak JSON has sent a message, which goes to `group`.
    fn on_plain_message(
        &mut self,
        client: &Client,
        group: Option<&str>,
        message: Message<'_>,
        out: &mut Outgoing<'_>,
    ) {
        // Without a group it is an event, and nothing behind this server takes events.
        let Some(group) = group else { return };
        let message = GroupMessage {
            group: group.into(),
            payload: Payload::from_message(message),
            metadata: None,
            no_echo: false,
        };
        if message.payload.json_len() > self.limits.payload_bytes_max {
            return out.close(
                CloseCode::MESSAGE_TOO_BIG,
                "too long once it is written as JSON",
            );
        }
        // It asked for no acknowledgement, so it is not told of a refusal either.
        _ = self.send(client, None, &message, out);
    }

    /// Carries a request out and, if it has an `ack_id`, answers it: now or when its delivery has an outcome.
    fn on_request(
        &mut self,
        client: &mut Client,
        ack_id: Option<u64>,
        request: &Request<'_>,
        out: &mut Outgoing<'_>,
    ) {
        let Some(ack_id) = ack_id else {
            // Whoever gives no id does not want to know what became of it.
            _ = self.carry_out(client, None, request, out);
            return;
        };
        let result = client
            .acks()
            .admit(ack_id)
            .and_then(|()| self.carry_out(client, Some(ack_id), request, out));
        let ack = match result {
            Ok(Progress::Pending(audience, delivery_count)) => {
                return client.acks().push_pending(ack_id, audience, delivery_count);
            }
            Ok(Progress::Done) => {
                client.acks().push_done(ack_id);
                self.encoder.ack(ack_id)
            }
            Err(refusal) => self.encoder.refusal(ack_id, refusal),
        };
        out.reply(OpCode::Text, &[ack]);
    }

    /// Carries a request out, or says why not; a delivery asks for a receipt if it has a `token`.
    fn carry_out(
        &mut self,
        client: &mut Client,
        token: Option<u64>,
        request: &Request<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<Progress, Refusal> {
        match request {
            Request::JoinGroup(join) => self.join(client, join, out).map(|()| Progress::Done),
            Request::LeaveGroup(name) => self.leave(client, name, out).map(|()| Progress::Done),
            Request::SendToGroup(message) => self.send(client, token, message, out),
            // To say that it worked would be a lie: nothing behind this server takes events.
            Request::Event => Err(Refusal::NoEventHandler),
        }
    }

    /// Forwards a message.
    fn send(
        &mut self,
        client: &Client,
        token: Option<u64>,
        message: &GroupMessage<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<Progress, Refusal> {
        if !client.rights.may_send(&message.group) {
            return Err(Refusal::NoRole);
        }
        let (addressees, audience) = self.resolve(client, &message.group)?;
        let except = message.no_echo.then(|| out.session()).into();
        let parts = self.encoder.group_message(message, client.user_name());
        if audience == Audience::Members
            && let Some(group) = addressees.json_group()
        {
            self.history.keep(group, &parts, out);
        }
        let count = addressees.deliver(&except, &parts, &message.payload, token, out);
        Ok(Progress::Pending(audience, count))
    }

    /// Who is meant by `name`.
    fn resolve(&mut self, client: &Client, name: &str) -> Result<(Addressees, Audience), Refusal> {
        let audience = if name == ALL {
            Audience::Members
        } else if let Some(user) = name.strip_prefix(USER) {
            if !UserId::is_valid(user) {
                return Err(Refusal::NobodyThere);
            }
            Audience::Direct
        } else if let Some(connection) = name.strip_prefix(CONNECTION) {
            let (session, flavour) = self
                .connection_ids
                .find(&client.hub, connection)
                .ok_or(Refusal::NobodyThere)?;
            let addressees = Addressees::one(session, flavour).on(self.terms(name));
            return Ok((addressees, Audience::Direct));
        } else {
            self.check_group_name(name)?;
            Audience::Members
        };
        let group = self.names.get(Flavour::Json, &client.hub, name);
        Ok((self.members_of(group, &client.hub, name), audience))
    }

    /// The members of a group of `hub`, which may be `@all` or `@user/…`.
    pub(super) fn members(&self, hub: &HubName, name: &str) -> Addressees {
        self.members_of(Flavour::Json.group(hub, name), hub, name)
    }

    /// The same, where the members who speak JSON are those of `group`.
    fn members_of(&self, group: GroupName, hub: &HubName, name: &str) -> Addressees {
        let plain = self.has_plain().then(|| Flavour::Plain.group(hub, name));
        Addressees::members(group, plain).on(self.terms(name))
    }

    /// Whether there is any client that does not speak JSON.
    fn has_plain(&self) -> bool {
        self.plain_count.load(Ordering::Relaxed) > 0
    }

    /// On what terms messages to `name` are delivered.
    pub(super) fn terms(&self, name: &str) -> Option<Arc<Terms>> {
        self.policies
            .terms(name, || Some(encoder::gap_notice(name)))
    }
}

/// The address of everyone.
pub(super) const ALL: &str = "@all";
/// What precedes the id of a user in the address of the user.
pub(super) const USER: &str = "@user/";
/// What precedes the id of a connection in the address of the connection.
pub(super) const CONNECTION: &str = "@conn/";

#[cfg(test)]
mod tests {
    use super::{HistorySettings, HubLimits, Hubs};
    use crate::delivery::{Outcome, SessionId};
    use crate::endpoints::GroupPolicies;
    use crate::endpoints::pubsub::ack_log::{DONE_MAX, PENDING_MAX};
    use crate::endpoints::pubsub::client::{Client, Speech, UserId};
    use crate::endpoints::pubsub::flavour::Flavour;
    use crate::endpoints::pubsub::rights::Rights;
    use crate::endpoints::pubsub::{ConnectionIds, HubName};
    use crate::endpoints::recorder::Recorder;
    use crate::handler::Receipt;
    use crate::proto::Message;

    /// A hub with one client of it; both are played to, and what they ask for is read back.
    struct Play {
        hub: Hubs,
        client: Client,
        recorder: Recorder,
    }

    impl Play {
        /// With the user `alice`, a limit of two groups, and of eight bytes for their names.
        fn new() -> Self {
            Self::of(UserId::new("alice"))
        }

        fn of(user: Option<UserId>) -> Self {
            let limits = HubLimits {
                groups_per_connection_max: 2,
                group_name_bytes_max: 8,
                payload_bytes_max: 100,
            };
            let rules = ["\"f*=latest", "@*/slow=drop-newest"];
            let policies = GroupPolicies::from(rules.map(|rule| rule.parse().unwrap()).to_vec());
            Self {
                hub: Hubs::new(
                    limits,
                    policies,
                    ConnectionIds::new(),
                    HistorySettings::default(),
                ),
                client: Client::new(HubName::of_default(), user, Rights::All, Speech::Json),
                recorder: Recorder::new(5),
            }
        }

        /// What a JSON client of the hub with that session is called.
        fn connection(&self, session: SessionId) -> String {
            let ids = &self.hub.connection_ids;
            ids.of(&self.client.hub, Flavour::Json, session).to_string()
        }

        fn open(&mut self) -> Vec<String> {
            self.hub.on_open(&self.client, &mut self.recorder.out());
            self.recorder.take()
        }

        fn message(&mut self, message: Message<'_>) -> Vec<String> {
            self.hub
                .on_message(&mut self.client, message, &mut self.recorder.out());
            self.recorder.take()
        }

        fn text(&mut self, text: &str) -> Vec<String> {
            self.message(Message::Text(text.into()))
        }

        /// The outcome of the delivery with that token.
        fn receipt(&mut self, token: u64, recipients: u32, dropped: u32) -> Vec<String> {
            let receipt = Receipt {
                token,
                outcome: Outcome {
                    recipients,
                    dropped,
                },
                members: Vec::new(),
            };
            self.hub
                .on_receipt(&mut self.client, &receipt, &mut self.recorder.out());
            self.recorder.take()
        }

        /// `joinGroup` or `leaveGroup`.
        fn membership(&mut self, kind: &str, group: &str, ack_id: u64) -> Vec<String> {
            self.text(&format!(
                r#"{{"type":"{kind}","group":"{group}","ackId":{ack_id}}}"#
            ))
        }

        /// `sendToGroup` of the number 1.
        fn send(&mut self, group: &str, further: &str) -> Vec<String> {
            self.text(&format!(
                r#"{{"type":"sendToGroup","group":"{group}","data":1{further}}}"#
            ))
        }
    }

    fn ack(ack_id: u64) -> String {
        format!(r#"Text: {{"type":"ack","ackId":{ack_id},"success":true}}"#)
    }

    fn counted_ack(ack_id: u64, recipients: u32, dropped: u32) -> String {
        format!(
            r#"Text: {{"type":"ack","ackId":{ack_id},"success":true,"recipients":{recipients},"dropped":{dropped}}}"#
        )
    }

    fn refusal(ack_id: u64, name: &str, message: &str) -> String {
        format!(
            r#"Text: {{"type":"ack","ackId":{ack_id},"success":false,"error":{{"name":"{name}","message":"{message}"}}}}"#
        )
    }

    fn duplicate(ack_id: u64) -> String {
        refusal(
            ack_id,
            "Duplicate",
            &format!("Message with ack-id: {ack_id} has been processed"),
        )
    }

    fn nobody(ack_id: u64) -> String {
        refusal(ack_id, "NotFound", "nobody is connected under that address")
    }

    fn reserved(ack_id: u64) -> String {
        refusal(
            ack_id,
            "Forbidden",
            "group names beginning with @ are reserved",
        )
    }

    #[test]
    fn a_client_that_opens_can_be_addressed_and_learns_who_it_is() {
        let mut play = Play::new();
        let connection = play.connection(play.recorder.session);
        assert_eq!(
            play.open(),
            [
                r#"join "default/@all""#.to_owned(),
                r#"join "default/@user/alice""#.to_owned(),
                format!(
                    r#"Text: {{"type":"system","event":"connected","userId":"alice","connectionId":"{connection}"}}"#
                ),
            ]
        );
        let anonymous = Play::of(None).open();
        assert_eq!(anonymous.len(), 2);
        assert_eq!(anonymous[0], r#"join "default/@all""#);
        assert!(anonymous[1].contains(r#""userId":null,"connectionId":""#));
    }

    #[test]
    fn joining_and_leaving_are_done_once_and_acknowledged_each_time() {
        let mut play = Play::new();
        assert_eq!(
            play.membership("joinGroup", "room", 1),
            [r#"join "default/room""#, &ack(1)]
        );
        assert_eq!(play.membership("joinGroup", "room", 2), [ack(2)]);
        assert_eq!(
            play.membership("leaveGroup", "room", 3),
            [r#"leave "default/room""#, &ack(3)]
        );
        assert_eq!(play.membership("leaveGroup", "room", 4), [ack(4)]);
        assert_eq!(
            play.text(r#"{"type":"joinGroup","group":"room"}"#),
            [r#"join "default/room""#]
        );
        assert_eq!(
            play.text(r#"{"type":"leaveGroup","group":"room"}"#),
            [r#"leave "default/room""#]
        );
    }

    #[test]
    fn lt_01_a_client_is_in_as_many_groups_as_the_limit_says_and_no_more() {
        let mut play = Play::new();
        play.open();
        let too_many =
            |ack_id| refusal(ack_id, "BadRequest", "the connection is in too many groups");
        assert_eq!(
            play.membership("joinGroup", "a", 1),
            [r#"join "default/a""#, &ack(1)]
        );
        assert_eq!(
            play.membership("joinGroup", "b", 2),
            [r#"join "default/b""#, &ack(2)]
        );
        assert_eq!(play.membership("joinGroup", "c", 3), [too_many(3)]);
        assert_eq!(
            play.membership("joinGroup", "a", 4),
            [ack(4)],
            "it is in there already"
        );
        assert!(play.text(r#"{"type":"joinGroup","group":"c"}"#).is_empty());
        play.membership("leaveGroup", "a", 5);
        assert_eq!(
            play.membership("joinGroup", "c", 3),
            [r#"join "default/c""#, &ack(3)]
        );
    }

    #[test]
    fn lt_01_names_of_groups_are_limited_in_bytes() {
        let mut play = Play::new();
        let too_long = |ack_id| refusal(ack_id, "BadRequest", "the group name is too long");
        assert_eq!(play.membership("joinGroup", "12345678", 1).len(), 2);
        for (ack_id, kind) in [(2, "joinGroup"), (3, "leaveGroup")] {
            assert_eq!(
                play.membership(kind, "123456789", ack_id),
                [too_long(ack_id)]
            );
            assert_eq!(
                play.membership(kind, "1234567é", ack_id),
                [too_long(ack_id)]
            );
        }
        assert_eq!(play.send("12345678", "").len(), 1);
        assert_eq!(play.send("123456789", r#","ackId":4"#), [too_long(4)]);
        assert!(play.send("123456789", "").is_empty());
    }

    #[test]
    fn addresses_cannot_be_joined_or_left() {
        let mut play = Play::new();
        for name in ["@all", "@user/bob", "@conn/1", "@", "@x"] {
            assert_eq!(play.membership("joinGroup", name, 1), [reserved(1)]);
            assert_eq!(play.membership("leaveGroup", name, 1), [reserved(1)]);
            assert!(
                play.text(&format!(r#"{{"type":"joinGroup","group":"{name}"}}"#))
                    .is_empty()
            );
        }
    }

    #[test]
    fn ms_06_a_message_goes_to_whom_its_group_names_sender_included() {
        let mut play = Play::new();
        for name in ["room", "@all", "@user/bob", "@user/a/b"] {
            let expected = format!(
                r#"Text to "default/{name}": {{"type":"message","from":"group","group":"{name}","dataType":"json","data":1,"fromUserId":"alice"}}"#
            );
            let without_sender = expected.replacen("\":", "\" except 0.5.0:", 1);
            assert_eq!(play.send(name, ""), [expected]);
            assert_eq!(play.send(name, r#","noEcho":true"#), [without_sender]);
        }
        play.membership("joinGroup", "room", 1);
        assert!(
            play.send("room", "")[0].starts_with(r#"Text to "default/room": "#),
            "members send to the same group"
        );
    }

    #[test]
    fn sc_03_a_message_brings_the_policy_of_its_group_and_how_a_loss_is_told() {
        let mut play = Play::new();
        let notice = r#"{"type":"system","event":"gap","group":"\"f","dropped":7}"#;
        let expected = format!(r#"Text to "default/\"f" on Latest with notice {notice}: "#);
        for _ in 0..2 {
            let sent = play.send(r#"\"f"#, "");
            assert!(sent[0].starts_with(&expected), "{}", sent[0]);
            // Then the same as a member.
            play.membership("joinGroup", r#"\"f"#, 1);
        }
        let notice = r#"{"type":"system","event":"gap","group":"@user/slow","dropped":7}"#;
        let expected =
            format!(r#"Text to "default/@user/slow" on DropNewest with notice {notice}: "#);
        assert!(play.send("@user/slow", "")[0].starts_with(&expected));
        let name = format!("@conn/{}", play.connection(play.recorder.session));
        assert!(
            !play.send(&name, "")[0].contains(" on "),
            "no rule is meant"
        );
    }

    #[test]
    fn sc_03_who_does_not_speak_json_gets_no_notice() {
        let mut play = Play::new();
        let mut other = neighbour(&play, Rights::All, plain(None));
        other.open();
        let sent = play.send(r#"\"f"#, "");
        assert!(sent[0].contains(" on Latest with notice "), "{}", sent[0]);
        assert_eq!(sent[1], r#"Text to "default:plain/\"f" on Latest: 1"#);
    }

    #[test]
    fn a_client_without_a_name_is_not_named_as_the_sender() {
        assert_eq!(
            Play::of(None).send("room", ""),
            [
                r#"Text to "default/room": {"type":"message","from":"group","group":"room","dataType":"json","data":1}"#
            ]
        );
    }

    #[test]
    fn ms_06_a_message_to_a_connection_goes_to_that_one() {
        let mut play = Play::new();
        let session = SessionId::new(3, 9, 2).unwrap();
        let name = format!("@conn/{}", play.connection(session));
        let sent = play.send(&name, r#","ackId":1"#);
        assert_eq!(
            sent,
            [format!(
                r#"Text to {session} token 1: {{"type":"message","from":"group","group":"{name}","dataType":"json","data":1,"fromUserId":"alice"}}"#
            )]
        );
        assert_eq!(play.receipt(1, 1, 0), [counted_ack(1, 1, 0)]);
    }

    #[test]
    fn ms_08_addresses_that_nobody_can_have_are_refused_at_once() {
        let mut play = Play::new();
        let long = format!("@user/{}", "x".repeat(129));
        for name in [
            "@user/",
            "@user/\\u0007",
            &long,
            "@conn/",
            "@conn/1",
            "@conn/00000000000000010000000000000001",
        ] {
            assert_eq!(play.send(name, r#","ackId":1"#), [nobody(1)], "{name}");
            assert!(play.send(name, "").is_empty());
        }
        for name in ["@", "@room", "@All", "@all/x", "@user", "@users/x"] {
            assert_eq!(play.send(name, r#","ackId":1"#), [reserved(1)], "{name}");
        }
    }

    #[test]
    fn ms_08_a_direct_message_that_nobody_got_is_refused_and_may_be_tried_again() {
        let mut play = Play::new();
        for _ in 0..2 {
            assert_eq!(play.send("@user/bob", r#","ackId":1"#).len(), 1);
            assert_eq!(play.receipt(1, 0, 0), [nobody(1)]);
        }
        play.send("@user/bob", r#","ackId":1"#);
        assert_eq!(
            play.receipt(1, 0, 1),
            [counted_ack(1, 0, 1)],
            "bob is there, though his outbox is full"
        );
        assert_eq!(play.send("@user/bob", r#","ackId":1"#), [duplicate(1)]);
    }

    #[test]
    fn a_message_to_a_group_is_acknowledged_with_its_counts_when_they_are_known() {
        let mut play = Play::new();
        for (ack_id, name) in [(0, "room"), (7, "@all")] {
            let sent = play.send(name, &format!(r#","ackId":{ack_id}"#));
            assert_eq!(sent.len(), 1, "no ack yet");
            assert!(
                sent[0].starts_with(&format!(r#"Text to "default/{name}" token {ack_id}: "#)),
                "{}",
                sent[0]
            );
            assert_eq!(
                play.receipt(ack_id, 0, 0),
                [counted_ack(ack_id, 0, 0)],
                "a group may be empty"
            );
        }
        play.send("room", r#","ackId":8"#);
        assert_eq!(play.receipt(8, 1000, 2), [counted_ack(8, 1000, 2)]);
    }

    #[test]
    fn a_receipt_that_was_not_asked_for_is_ignored() {
        let mut play = Play::new();
        assert!(play.receipt(1, 1, 0).is_empty());
        play.send("room", r#","ackId":1"#);
        play.receipt(1, 1, 0);
        assert!(play.receipt(1, 1, 0).is_empty());
    }

    #[test]
    fn an_ack_id_serves_once_whatever_the_request() {
        let mut play = Play::new();
        play.membership("joinGroup", "room", 1);
        assert_eq!(
            play.membership("leaveGroup", "room", 1),
            [duplicate(1)],
            "nothing is left"
        );
        assert_eq!(play.send("room", r#","ackId":1"#), [duplicate(1)]);
        play.send("room", r#","ackId":2"#);
        assert_eq!(
            play.send("room", r#","ackId":2"#),
            [duplicate(2)],
            "its outcome is still to come"
        );
        assert_eq!(play.membership("joinGroup", "room", 2), [duplicate(2)]);
        assert_eq!(play.receipt(2, 1, 0), [counted_ack(2, 1, 0)]);
        assert_eq!(play.send("room", r#","ackId":2"#), [duplicate(2)]);
    }

    #[test]
    fn an_ack_id_is_free_again_after_a_refusal() {
        let mut play = Play::new();
        assert_eq!(play.membership("joinGroup", "@all", 1), [reserved(1)]);
        assert_eq!(
            play.membership("joinGroup", "room", 1),
            [r#"join "default/room""#, &ack(1)]
        );
    }

    #[test]
    fn an_ack_id_is_forgotten_after_1024_others() {
        let mut play = Play::new();
        let last = DONE_MAX as u64;
        for ack_id in 0..last {
            play.membership("joinGroup", "room", ack_id);
        }
        assert_eq!(play.membership("joinGroup", "room", 0), [duplicate(0)]);
        play.membership("joinGroup", "room", last);
        assert_eq!(play.membership("joinGroup", "room", 0), [ack(0)]);
    }

    #[test]
    fn lt_01_requests_that_wait_for_their_outcome_are_limited() {
        let mut play = Play::new();
        let last = PENDING_MAX as u64;
        for ack_id in 0..last {
            assert_eq!(play.send("room", &format!(r#","ackId":{ack_id}"#)).len(), 1);
        }
        let refused = play.send("room", &format!(r#","ackId":{last}"#));
        assert_eq!(
            refused,
            [refusal(
                last,
                "TooManyRequests",
                "too many requests wait for their acknowledgement"
            )]
        );
        play.receipt(0, 1, 0);
        assert!(play.send("room", &format!(r#","ackId":{last}"#))[0].starts_with("Text to"));
    }

    #[test]
    fn an_event_is_refused_because_nobody_takes_it() {
        let mut play = Play::new();
        let event = r#"{"type":"event","event":"e","dataType":"text","data":"x""#;
        assert_eq!(
            play.text(&format!(r#"{event},"ackId":1}}"#)),
            [refusal(1, "NotFound", "no event handler is registered")]
        );
        assert!(play.text(&format!("{event}}}")).is_empty());
    }

    #[test]
    fn a_ping_is_answered_with_a_pong() {
        assert_eq!(
            Play::new().text(r#"{"type":"ping"}"#),
            [r#"Text: {"type":"pong"}"#]
        );
    }

    #[test]
    fn ms_10_bad_envelopes_end_the_connection_with_1007_and_a_fixed_reason() {
        for (text, reason) in [
            ("", "malformed message"),
            ("<x>", "malformed message"),
            (r#"{"type":"ping","type":"ping"}"#, "malformed message"),
            (r#"{"type":"<x>"}"#, "unknown message type"),
            (
                r#"{"type":"joinGroup","group":" "}"#,
                "group missing or blank",
            ),
            (
                &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
                "message nested too deeply",
            ),
        ] {
            assert_eq!(Play::new().text(text), [format!("close 1007 {reason}")]);
        }
    }

    #[test]
    fn a_binary_message_ends_the_connection_with_1003() {
        assert_eq!(
            Play::new().message(Message::Binary(br#"{"type":"ping"}"#)),
            ["close 1003 only text messages are taken"]
        );
    }

    /// Another client of the same hub, with these rights.
    fn neighbour(play: &Play, rights: Rights, speech: Speech) -> Play {
        Play {
            hub: play.hub.clone(),
            client: Client::new(play.client.hub.clone(), UserId::new("bob"), rights, speech),
            recorder: Recorder::new(6),
        }
    }

    fn plain(group: Option<&str>) -> Speech {
        Speech::Plain(group.map(Box::from))
    }

    #[test]
    fn hubs_share_neither_groups_nor_addresses() {
        let mut play = Play::new();
        let session = SessionId::new(3, 9, 2).unwrap();
        let name = format!("@conn/{}", play.connection(session));
        play.client.hub = HubName::new("news").unwrap();
        assert_eq!(play.open()[0], r#"join "news/@all""#);
        assert_eq!(
            play.membership("joinGroup", "room", 1)[0],
            r#"join "news/room""#
        );
        assert!(play.send("room", "")[0].starts_with(r#"Text to "news/room""#));
        assert!(play.send("@user/bob", "")[0].starts_with(r#"Text to "news/@user/bob""#));
        assert_eq!(play.send(&name, r#","ackId":2"#), [nobody(2)]);
    }

    #[test]
    fn a_client_that_does_not_speak_json_is_in_groups_of_its_own_and_is_told_nothing() {
        let mut play = neighbour(&Play::new(), Rights::All, plain(None));
        assert_eq!(
            play.open(),
            [
                r#"join "default:plain/@all""#,
                r#"join "default:plain/@user/bob""#
            ]
        );
        assert!(play.text("{").is_empty(), "an event that nobody takes");
        assert!(play.message(Message::Binary(b"x")).is_empty());
    }

    #[test]
    fn a_message_is_encoded_once_for_each_flavour_that_there_is() {
        let mut play = Play::new();
        let mut bob = neighbour(&play, Rights::All, plain(None));
        assert_eq!(play.send("room", r#","ackId":1"#).len(), 1);
        bob.open();
        let sent = play.text(
            r#"{"type":"sendToGroup","group":"room","dataType":"binary","data":"AQL/","ackId":2,"noEcho":true}"#,
        );
        assert!(sent[0].starts_with(r#"Text to "default/room" except 0.5.0 token 2: {"#));
        assert_eq!(
            sent[1],
            "Binary to \"default:plain/room\" except 0.5.0 token 2: \u{1}\u{2}\u{fffd}"
        );
        assert!(play.receipt(2, 1, 0).is_empty(), "one of two");
        assert_eq!(play.receipt(2, 2, 1), [counted_ack(2, 3, 1)]);
        bob.hub.on_close(&bob.client, &mut bob.recorder.out());
        assert_eq!(play.send("room", "").len(), 1);
    }

    #[test]
    fn a_connection_is_reached_in_its_own_flavour() {
        let mut play = Play::new();
        let session = SessionId::new(3, 9, 2).unwrap();
        let name = play
            .hub
            .connection_ids
            .of(&play.client.hub, Flavour::Plain, session);
        let sent = play.send(&format!("@conn/{name}"), "");
        assert_eq!(sent, [format!("Text to {session}: 1")]);
    }

    #[test]
    fn what_a_plain_client_says_goes_to_its_group_as_text_or_binary() {
        let mut play = neighbour(&Play::new(), Rights::All, plain(Some("room")));
        play.open();
        assert_eq!(
            play.text("a\"b"),
            [
                r#"Text to "default/room": {"type":"message","from":"group","group":"room","dataType":"text","data":"a\"b","fromUserId":"bob"}"#,
                r#"Text to "default:plain/room": a"b"#,
            ]
        );
        assert_eq!(
            play.message(Message::Binary(b"\x01"))[0],
            r#"Text to "default/room": {"type":"message","from":"group","group":"room","dataType":"binary","data":"AQ==","fromUserId":"bob"}"#
        );
        assert_eq!(play.text(&"x".repeat(98)).len(), 2);
        assert_eq!(
            play.text(&"x".repeat(99)),
            ["close 1009 too long once it is written as JSON"]
        );
    }

    #[test]
    fn ac_07_roles_decide_who_joins_leaves_and_sends() {
        let forbidden = |ack_id| refusal(ack_id, "Forbidden", "no role allows this");
        let mut play = neighbour(&Play::new(), Rights::default(), Speech::Json);
        let own = format!("@conn/{}", play.connection(play.recorder.session));
        for (ack_id, name) in [(1, "room"), (2, "@all"), (3, "@user/bob"), (4, &own)] {
            let refused = play.send(name, &format!(r#","ackId":{ack_id}"#));
            assert_eq!(refused, [forbidden(ack_id)], "{name}");
            assert!(play.send(name, "").is_empty());
        }
        assert_eq!(play.membership("joinGroup", "room", 1), [forbidden(1)]);
        assert_eq!(play.membership("leaveGroup", "room", 1), [forbidden(1)]);
        let roles = [
            "webpubsub.joinLeaveGroup.room",
            "webpubsub.sendToGroups.@user/*",
        ];
        play.client.rights = Rights::from_roles(roles);
        assert_eq!(play.membership("joinGroup", "room", 1).len(), 2);
        assert_eq!(play.membership("joinGroup", "moor", 2), [forbidden(2)]);
        assert_eq!(play.send("room", r#","ackId":2"#), [forbidden(2)]);
        assert_eq!(play.send("@user/eve", r#","ackId":2"#).len(), 1);
        assert_eq!(play.membership("joinGroup", "@all", 3), [reserved(3)]);
    }

    #[test]
    fn groups_of_the_token_are_joined_at_once_as_far_as_the_limits_allow() {
        let mut play = Play::new();
        let groups = ["b", "@all", " ", "123456789", "a", "c"].map(Box::from);
        play.hub.admit_to(&mut play.client, &groups);
        let opened = play.open();
        let joins: Vec<_> = opened
            .iter()
            .filter(|line| line.starts_with("join"))
            .collect();
        assert_eq!(
            joins,
            [
                r#"join "default/@all""#,
                r#"join "default/@user/alice""#,
                r#"join "default/a""#,
                r#"join "default/b""#
            ]
        );
        assert_eq!(
            play.membership("leaveGroup", "a", 1),
            [r#"leave "default/a""#, &ack(1)]
        );
    }
}
