//! To the wire: what the server tells a client, as JSON text.
//!
//! The order of the keys is that of the protocol's transcripts. Everything is written into one buffer that is used
//! again and again; a payload is not copied into it but handed on as a part of its own.

use std::io::Write;

use super::client::UserId;
use super::codec::GroupMessage;
use super::connection_id::ConnectionId;
use super::fields::is_plain;
use super::payload::Payload;
use super::presence::{Change, PresenceKind};
use super::refusal::Refusal;
use super::reliable;
use crate::delivery::{Notice, Outcome, RecoveryToken};

/// The answer to a ping.
pub(super) const PONG: &[u8] = br#"{"type":"pong"}"#;

/// What tells a client how many messages of `group` it has lost.
pub(super) fn gap_notice(group: &str) -> Notice {
    let mut encoder = Encoder::default();
    encoder.begin(r#"{"type":"system","event":"gap","group":"#);
    encoder.push_json_string(group);
    encoder.push(r#","dropped":"#);
    let before = String::from_utf8(encoder.buffer).expect("names are UTF-8");
    Notice {
        before: before.into(),
        after: "}",
    }
}

/// Writes messages; what it returns is valid until it writes the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    /// The message that was written last, its payload left out.
    buffer: Vec<u8>,
}

impl Encoder {
    /// The first message that a client gets: who it is, and with which token it may come back.
    pub(super) fn connected(
        &mut self,
        user: Option<&str>,
        connection: ConnectionId,
        token: Option<RecoveryToken>,
    ) -> &[u8] {
        self.begin(r#"{"type":"system","event":"connected","userId":"#);
        match user {
            Some(user) => self.push_json_string(user),
            None => self.push("null"),
        }
        self.push_fmt(format_args!(r#","connectionId":"{connection}""#));
        if let Some(token) = token {
            self.push_fmt(format_args!(
                r#","reconnectionToken":"{}""#,
                reliable::token_text(token)
            ));
        }
        self.push("}");
        &self.buffer
    }

    /// What was asked for is done.
    pub(super) fn ack(&mut self, ack_id: u64) -> &[u8] {
        self.begin_ack(ack_id);
        self.push(r#","success":true}"#);
        &self.buffer
    }

    /// A message was delivered, to so many.
    pub(super) fn delivery_ack(&mut self, ack_id: u64, outcome: Outcome) -> &[u8] {
        let Outcome {
            recipients,
            dropped,
        } = outcome;
        self.begin_ack(ack_id);
        self.push(r#","success":true,"recipients":"#);
        self.push_number(recipients.into());
        self.push(r#","dropped":"#);
        self.push_number(dropped.into());
        self.push("}");
        &self.buffer
    }

    /// What was asked for is not done, and why.
    pub(super) fn refusal(&mut self, ack_id: u64, refusal: Refusal) -> &[u8] {
        let (name, message) = (refusal.name(), refusal.message(ack_id));
        self.begin_ack(ack_id);
        self.push_fmt(format_args!(
            r#","success":false,"error":{{"name":"{name}","message":"{message}"}}}}"#
        ));
        &self.buffer
    }

    /// A message of `from_user` to a group: the parts of its text, the payload among them untouched.
    pub(super) fn group_message<'s>(
        &'s mut self,
        message: &'s GroupMessage<'s>,
        from_user: Option<&str>,
    ) -> [&'s [u8]; 3] {
        self.begin(r#"{"type":"message","from":"group","group":"#);
        self.push_json_string(&message.group);
        self.push(r#","dataType":""#);
        self.push(message.payload.data_type().name());
        self.push(r#"","data":"#);
        let head_len = self.buffer.len();
        if let Some(user) = from_user {
            self.push(r#","fromUserId":"#);
            self.push_json_string(user);
        }
        if let Some(metadata) = message.metadata {
            self.push(r#","metadata":"#);
            self.push(metadata);
        }
        self.push("}");
        let (head, tail) = self.buffer.split_at(head_len);
        [head, message.payload.json().as_bytes(), tail]
    }

    /// A message of a service to somebody: the parts of its text, the payload among them untouched.
    pub(super) fn server_message<'s>(&'s mut self, payload: &'s Payload<'_>) -> [&'s [u8]; 3] {
        self.begin(r#"{"type":"message","from":"server","dataType":""#);
        self.push(payload.data_type().name());
        self.push(r#"","data":"#);
        [&self.buffer, payload.json().as_bytes(), b"}"]
    }

    /// The last message that a client gets before the server closes the connection: why.
    pub(super) fn disconnected(&mut self, reason: &str) -> &[u8] {
        self.begin(r#"{"type":"system","event":"disconnected","message":"#);
        self.push_json_string(reason);
        self.push("}");
        &self.buffer
    }

    /// Who has joined and left a group, or who is there.
    pub(super) fn presence(
        &mut self,
        group: &str,
        kind: PresenceKind,
        users: &[(&UserId, Change)],
    ) -> &[u8] {
        self.begin(r#"{"type":"system","event":"presence","group":"#);
        self.push_json_string(group);
        self.push(match kind {
            PresenceKind::News => "",
            PresenceKind::List => r#","initial":true"#,
            PresenceKind::PartOfList => r#","initial":true,"more":true"#,
        });
        for (key, change) in [("joined", Change::Joined), ("left", Change::Left)] {
            self.push_fmt(format_args!(r#","{key}":["#));
            let concerned = users.iter().filter(|(_, its_change)| *its_change == change);
            for (index, (user, _)) in concerned.enumerate() {
                self.push(if index > 0 { "," } else { "" });
                self.push_json_string(user.as_str());
            }
            self.push("]");
        }
        self.push("}");
        &self.buffer
    }

    /// Begins an answer to a request.
    fn begin_ack(&mut self, ack_id: u64) {
        self.begin(r#"{"type":"ack","ackId":"#);
        self.push_number(ack_id);
    }

    /// Begins a message with `text`.
    fn begin(&mut self, text: &str) {
        self.buffer.clear();
        self.push(text);
    }

    /// Goes on with `text` as it is.
    fn push(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Goes on with a number: in a third of the time that formatting takes.
    fn push_number(&mut self, number: u64) {
        serde_json::to_writer(&mut self.buffer, &number).expect("a Vec takes every byte");
    }

    /// Goes on with formatted text, for ids and what is rare.
    fn push_fmt(&mut self, text: std::fmt::Arguments<'_>) {
        self.buffer.write_fmt(text).expect("a Vec takes every byte");
    }

    /// Goes on with `text` as a JSON string.
    fn push_json_string(&mut self, text: &str) {
        if is_plain(text) {
            self.push("\"");
            self.push(text);
            self.push("\"");
            return;
        }
        serde_json::to_writer(&mut self.buffer, text)
            .expect("a Vec takes every byte, and a string is always JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Encoder, PresenceKind, UserId};
    use crate::delivery::{Outcome, SessionId};
    use crate::endpoints::pubsub::codec::{ClientMessage, Request, parse};
    use crate::endpoints::pubsub::connection_id::ConnectionIds;
    use crate::endpoints::pubsub::flavour::Flavour;
    use crate::endpoints::pubsub::hub_name::HubName;
    use crate::endpoints::pubsub::refusal::Refusal;

    /// What becomes of `message` when `user` sends it.
    fn forwarded(message: &str, user: Option<&str>) -> String {
        let Ok(ClientMessage::Request {
            request: Request::SendToGroup(message),
            ..
        }) = parse(message)
        else {
            panic!("{message}");
        };
        String::from_utf8(Encoder::default().group_message(&message, user).concat()).unwrap()
    }

    #[test]
    fn connected_names_the_user_and_the_connection() {
        let connection = ConnectionIds::new().of(
            &HubName::of_default(),
            Flavour::Json,
            SessionId::from_bits(1),
        );
        let mut encoder = Encoder::default();
        assert_eq!(
            str::from_utf8(encoder.connected(Some("a\"é"), connection, None)).unwrap(),
            format!(
                r#"{{"type":"system","event":"connected","userId":"a\"é","connectionId":"{connection}"}}"#
            )
        );
        assert_eq!(
            str::from_utf8(encoder.connected(
                None,
                connection,
                Some(crate::delivery::RecoveryToken([0xab; 16]))
            ))
            .unwrap(),
            format!(
                r#"{{"type":"system","event":"connected","userId":null,"connectionId":"{connection}","reconnectionToken":"{}"}}"#,
                "ab".repeat(16)
            )
        );
    }

    #[test]
    fn acks_are_as_the_protocol_shows_them() {
        let mut encoder = Encoder::default();
        assert_eq!(
            encoder.ack(1),
            br#"{"type":"ack","ackId":1,"success":true}"#
        );
        assert_eq!(
            encoder.delivery_ack(u64::MAX, Outcome { recipients: 3, dropped: 1 }),
            br#"{"type":"ack","ackId":18446744073709551615,"success":true,"recipients":3,"dropped":1}"#
        );
        assert_eq!(
            encoder.refusal(2, Refusal::Duplicate),
            br#"{"type":"ack","ackId":2,"success":false,"error":{"name":"Duplicate","message":"Message with ack-id: 2 has been processed"}}"#
        );
    }

    #[test]
    fn presence_lists_names_as_json_strings() {
        let [ann, bob] = ["a\"nn", "bob"].map(|name| UserId::new(name).unwrap());
        let mut encoder = Encoder::default();
        assert_eq!(
            encoder.presence("r\\m", PresenceKind::News, &[(&ann, Change::Left), (&bob, Change::Joined)]),
            br#"{"type":"system","event":"presence","group":"r\\m","joined":["bob"],"left":["a\"nn"]}"#
        );
        assert_eq!(
            encoder.presence("@all", PresenceKind::List, &[(&bob, Change::Joined), (&ann, Change::Joined)]),
            br#"{"type":"system","event":"presence","group":"@all","initial":true,"joined":["bob","a\"nn"],"left":[]}"#
        );
        assert_eq!(
            encoder.presence("@all", PresenceKind::PartOfList, &[(&bob, Change::Joined)]),
            br#"{"type":"system","event":"presence","group":"@all","initial":true,"more":true,"joined":["bob"],"left":[]}"#
        );
    }

    #[test]
    fn every_refusal_is_json_with_a_name_and_a_message() {
        for (refusal, name) in [
            (Refusal::Duplicate, "Duplicate"),
            (Refusal::ReservedName, "Forbidden"),
            (Refusal::GroupNameTooLong, "BadRequest"),
            (Refusal::TooManyGroups, "BadRequest"),
            (Refusal::NobodyThere, "NotFound"),
            (Refusal::NoEventHandler, "NotFound"),
            (Refusal::TooManyPending, "TooManyRequests"),
        ] {
            let mut encoder = Encoder::default();
            let ack: serde_json::Value =
                serde_json::from_slice(encoder.refusal(6, refusal)).unwrap();
            assert_eq!(ack["ackId"], 6);
            assert_eq!(ack["success"], false);
            assert_eq!(ack["error"]["name"], name);
            assert_eq!(ack["error"]["message"], &*refusal.message(6));
        }
    }

    #[test]
    fn a_message_is_forwarded_with_its_payload_as_it_was_written() {
        assert_eq!(
            forwarded(
                r#"{"type":"sendToGroup","group":"room1","ackId":2,"dataType":"json","data":{"hello" : "wor\u006cd"},"noEcho":false}"#,
                Some("alice")
            ),
            r#"{"type":"message","from":"group","group":"room1","dataType":"json","data":{"hello" : "wor\u006cd"},"fromUserId":"alice"}"#
        );
        assert_eq!(
            forwarded(
                r#"{"type":"sendToGroup","group":"room1","dataType":"binary","data":"AQL/"}"#,
                None
            ),
            r#"{"type":"message","from":"group","group":"room1","dataType":"binary","data":"AQL/"}"#
        );
        assert_eq!(
            forwarded(
                r#"{"type":"sendToGroup","group":"@user/bob","dataType":"TEXT","data":"x","metadata":{"k": "v"}}"#,
                Some("alice")
            ),
            r#"{"type":"message","from":"group","group":"@user/bob","dataType":"text","data":"x","fromUserId":"alice","metadata":{"k": "v"}}"#
        );
    }

    #[test]
    fn names_are_escaped_so_that_nobody_can_write_into_the_envelope() {
        assert_eq!(
            forwarded(
                r#"{"type":"sendToGroup","group":"\",\"data\":\"\n\\","data":1}"#,
                Some("\",\"x\":\"")
            ),
            r#"{"type":"message","from":"group","group":"\",\"data\":\"\n\\","dataType":"json","data":1,"fromUserId":"\",\"x\":\""}"#
        );
    }
}
