//! What the messages of clients mean: the rules of one hub, told in wishes.
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

use super::ack_log::Audience;
use super::client::{Client, UserId};
use super::codec::{self, ClientMessage, GroupMessage, Request};
use super::connection_id::ConnectionIds;
use super::encoder::{self, Encoder};
use super::refusal::Refusal;
use crate::delivery::{GroupName, Outcome, Recipients};
use crate::handler::{Outgoing, Receipt};
use crate::proto::{CloseCode, Message, OpCode};

/// What a client may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct HubLimits {
    /// Groups that one client may be in at a time.
    pub(in crate::endpoints) groups_per_connection_max: usize,
    /// Length of a group's name in bytes.
    pub(in crate::endpoints) group_name_bytes_max: usize,
}

/// A hub, as one loop sees it.
#[derive(Clone, Debug)]
pub(in crate::endpoints) struct Hub {
    /// What sets its groups and connections apart from those of other hubs.
    name: &'static str,
    /// What its clients may use up.
    limits: HubLimits,
    /// What its connections are called.
    connection_ids: ConnectionIds,
    /// The group of everyone, made once.
    all: GroupName,
    /// Where messages to clients are written.
    encoder: Encoder,
}

/// When a request that was not refused is done.
enum Progress {
    /// It is.
    Done,
    /// When the receipt of the delivery comes.
    Pending(Audience),
}

impl Hub {
    /// The hub `name`, whose connections are known by `connection_ids`.
    pub(in crate::endpoints) fn new(
        name: &'static str,
        limits: HubLimits,
        connection_ids: ConnectionIds,
    ) -> Self {
        Self {
            name,
            limits,
            connection_ids,
            all: GroupName::new(name, ALL),
            encoder: Encoder::default(),
        }
    }

    /// A client has come: it can be addressed from now on, and learns who it is.
    pub(in crate::endpoints) fn on_open(&mut self, client: &Client, out: &mut Outgoing<'_>) {
        out.join(self.all.clone());
        if let Some(user) = &client.user {
            let address = format!("{USER}{}", user.as_str());
            out.join(GroupName::new(self.name, &address));
        }
        let connection = self.connection_ids.of(self.name, out.session());
        let connected = self.encoder.connected(client.user_name(), connection);
        out.reply(OpCode::Text, &[connected]);
    }

    /// A client has sent a message.
    pub(in crate::endpoints) fn on_message(
        &mut self,
        client: &mut Client,
        message: Message<'_>,
        out: &mut Outgoing<'_>,
    ) {
        let Message::Text(text) = message else {
            return out.close(CloseCode::UNSUPPORTED_DATA, "only text messages are taken");
        };
        match codec::parse(text) {
            Ok(ClientMessage::Ping) => out.reply(OpCode::Text, &[encoder::PONG]),
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
        receipt: Receipt,
        out: &mut Outgoing<'_>,
    ) {
        let ack_id = receipt.token;
        let Some(audience) = client.acks().take_pending(ack_id) else {
            return;
        };
        let ack = if audience == Audience::Direct && receipt.outcome == Outcome::default() {
            self.encoder.refusal(ack_id, Refusal::NobodyThere)
        } else {
            client.acks().push_done(ack_id);
            self.encoder.delivery_ack(ack_id, receipt.outcome)
        };
        out.reply(OpCode::Text, &[ack]);
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
            Ok(Progress::Pending(audience)) => return client.acks().push_pending(ack_id, audience),
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
            Request::JoinGroup(name) => self.join(client, name, out),
            Request::LeaveGroup(name) => self.leave(client, name, out),
            Request::SendToGroup(message) => self.send(client, token, message, out),
            // To say that it worked would be a lie: nothing behind this server takes events.
            Request::Event => Err(Refusal::NoEventHandler),
        }
    }

    /// Makes the client a member of a group, unless it is one.
    fn join(
        &self,
        client: &mut Client,
        name: &str,
        out: &mut Outgoing<'_>,
    ) -> Result<Progress, Refusal> {
        self.check_group_name(name)?;
        if client.group(name).is_none() {
            if client.group_count() >= self.limits.groups_per_connection_max {
                return Err(Refusal::TooManyGroups);
            }
            let group = GroupName::new(self.name, name);
            client.insert_group(group.clone());
            out.join(group);
        }
        Ok(Progress::Done)
    }

    /// Ends the membership in a group, if there is one.
    fn leave(
        &self,
        client: &mut Client,
        name: &str,
        out: &mut Outgoing<'_>,
    ) -> Result<Progress, Refusal> {
        self.check_group_name(name)?;
        if let Some(group) = client.remove_group(name) {
            out.leave(group);
        }
        Ok(Progress::Done)
    }

    /// Forwards a message.
    fn send(
        &mut self,
        client: &Client,
        token: Option<u64>,
        message: &GroupMessage<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<Progress, Refusal> {
        let (recipients, audience) = self.resolve(client, &message.group)?;
        let except = message.no_echo.then(|| out.session());
        let parts = self.encoder.group_message(message, client.user_name());
        out.deliver(recipients, except, OpCode::Text, &parts, token);
        Ok(Progress::Pending(audience))
    }

    /// Who is meant by `name`.
    fn resolve(&self, client: &Client, name: &str) -> Result<(Recipients, Audience), Refusal> {
        if name == ALL {
            return Ok((Recipients::Group(self.all.clone()), Audience::Members));
        }
        if let Some(user) = name.strip_prefix(USER) {
            if !UserId::is_valid(user) {
                return Err(Refusal::NobodyThere);
            }
            let user = GroupName::new(self.name, name);
            return Ok((Recipients::Group(user), Audience::Direct));
        }
        if let Some(connection) = name.strip_prefix(CONNECTION) {
            let session = self
                .connection_ids
                .find(self.name, connection)
                .ok_or(Refusal::NobodyThere)?;
            return Ok((Recipients::One(session), Audience::Direct));
        }
        self.check_group_name(name)?;
        // A member's own name of the group is at hand; a new one has to be allocated.
        let group = client
            .group(name)
            .cloned()
            .unwrap_or_else(|| GroupName::new(self.name, name));
        Ok((Recipients::Group(group), Audience::Members))
    }

    /// Whether `name` can be that of a group which clients join, leave and send to.
    fn check_group_name(&self, name: &str) -> Result<(), Refusal> {
        if name.starts_with('@') {
            return Err(Refusal::ReservedName);
        }
        if name.len() > self.limits.group_name_bytes_max {
            return Err(Refusal::GroupNameTooLong);
        }
        Ok(())
    }
}

/// The address of everyone.
const ALL: &str = "@all";
/// What precedes the id of a user in the address of the user.
const USER: &str = "@user/";
/// What precedes the id of a connection in the address of the connection.
const CONNECTION: &str = "@conn/";

#[cfg(test)]
mod tests {
    use super::{Hub, HubLimits};
    use crate::delivery::{Outcome, SessionId};
    use crate::endpoints::pubsub::ack_log::{DONE_MAX, PENDING_MAX};
    use crate::endpoints::pubsub::{Client, ConnectionIds, UserId};
    use crate::endpoints::recorder::Recorder;
    use crate::handler::Receipt;
    use crate::proto::Message;

    /// A hub with one client of it; both are played to, and what they ask for is read back.
    struct Play {
        hub: Hub,
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
            };
            Self {
                hub: Hub::new("default", limits, ConnectionIds::new()),
                client: Client::new(user),
                recorder: Recorder::new(5),
            }
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
            self.message(Message::Text(text))
        }

        /// The outcome of the delivery with that token.
        fn receipt(&mut self, token: u64, recipients: u32, dropped: u32) -> Vec<String> {
            let receipt = Receipt {
                token,
                outcome: Outcome {
                    recipients,
                    dropped,
                },
            };
            self.hub
                .on_receipt(&mut self.client, receipt, &mut self.recorder.out());
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
        let connection = play.hub.connection_ids.of("default", play.recorder.session);
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
        let name = format!("@conn/{}", play.hub.connection_ids.of("default", session));
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
}
