//! From the wire: the text of one message to what the client asks for.
//!
//! Work and memory are linear in the length of the text, and nothing of it is copied but strings that are written with
//! escapes; see [`fields`](super::fields).

use std::borrow::Cow;

use super::fields::{Fields, Json, Text};
use super::payload::{DataType, Payload};

/// A valid message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum ClientMessage<'a> {
    /// Answered with a pong, which tells the client that the way there and back is open.
    Ping,
    /// The client has every message up to this number.
    SequenceAck(u64),
    /// Something to be done, and to be acknowledged if it has an id.
    Request {
        /// The number that the acknowledgement is to carry.
        ack_id: Option<u64>,
        /// What is to be done.
        request: Request<'a>,
    },
}

/// What a client can ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Request<'a> {
    /// To be a member of a group.
    JoinGroup(JoinGroup<'a>),
    /// To be a member no longer.
    LeaveGroup(Cow<'a, str>),
    /// To tell the members of a group something.
    SendToGroup(GroupMessage<'a>),
    /// To tell the application behind the server something.
    Event,
}

/// What somebody who joins a group wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JoinGroup<'a> {
    /// The group; not blank.
    pub(super) group: Cow<'a, str>,
    /// To be told who is in the group, and who comes and goes.
    pub(super) presence: bool,
    /// To be told what was said before.
    pub(super) history: bool,
}

/// A message for a group, or for what else a name can stand for.
#[derive(Debug, PartialEq)]
pub(super) struct GroupMessage<'a> {
    /// The group; not blank.
    pub(super) group: Cow<'a, str>,
    /// What is to be told.
    pub(super) payload: Payload<'a>,
    /// A JSON object of at most [`METADATA_BYTES_MAX`] that travels with the payload.
    pub(super) metadata: Option<&'a str>,
    /// Whether the sender is left out.
    pub(super) no_echo: bool,
}

/// What is wrong with a message; the connection ends with close code 1007 for any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidMessage {
    /// Values lie more than [`nesting::DEPTH_MAX`] deep in each other.
    TooDeep,
    /// Not one JSON object, a field twice, a field of another type than it has to be, or no `type`.
    Malformed,
    /// No such `type`.
    UnknownType,
    /// `group` is missing or blank.
    BadGroup,
    /// `event` is missing or not a name.
    BadEvent,
    /// No such `dataType`.
    UnknownDataType,
    /// `data` is missing, null or not what `dataType` says.
    BadData,
    /// `sequenceId` is missing.
    BadSequenceId,
    /// `ttlSeconds` is above [`TTL_SECONDS_MAX`].
    BadTimeToLive,
    /// `metadata` is not an object or longer than [`METADATA_BYTES_MAX`].
    BadMetadata,
}

impl InvalidMessage {
    /// The reason for the Close frame: never a word of the peer's.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooDeep => "message nested too deeply",
            Self::Malformed => "malformed message",
            Self::UnknownType => "unknown message type",
            Self::BadGroup => "group missing or blank",
            Self::BadEvent => "event missing or not a valid name",
            Self::UnknownDataType => "unknown dataType",
            Self::BadData => "data missing or not of its dataType",
            Self::BadSequenceId => "sequenceId missing",
            Self::BadTimeToLive => "ttlSeconds out of range",
            Self::BadMetadata => "metadata not an object or too long",
        }
    }
}

/// Longest `metadata` in bytes of JSON text.
const METADATA_BYTES_MAX: usize = 8 << 10;

/// Greatest `ttlSeconds`. The field is only checked: a message is queued at once or dropped, it never waits for a receiver.
const TTL_SECONDS_MAX: u64 = 300;

/// Longest name of an event in bytes.
const EVENT_BYTES_MAX: usize = 128;

/// Reads the text of one message.
///
/// Fields that no message has are ignored, and so are those that this one has no use for; a field that is null counts
/// as absent. Types are matched in any case, names of fields are not.
///
/// # Errors
/// Says what is wrong with the message.
pub(super) fn parse(text: &str) -> Result<ClientMessage<'_>, InvalidMessage> {
    let mut fields = Fields::default();
    fields.fill(text)?;
    fields.into_message()
}

/// The types of messages that clients send.
#[derive(Clone, Copy)]
enum Kind {
    /// `sendToGroup`
    SendToGroup,
    /// `joinGroup`
    JoinGroup,
    /// `leaveGroup`
    LeaveGroup,
    /// `event`
    Event,
    /// `ping`
    Ping,
    /// `sequenceAck`
    SequenceAck,
}

impl Kind {
    /// Every type under its name, the most frequent ones first.
    const NAMES: [(&'static str, Self); 6] = [
        ("sendToGroup", Self::SendToGroup),
        ("sequenceAck", Self::SequenceAck),
        ("ping", Self::Ping),
        ("joinGroup", Self::JoinGroup),
        ("leaveGroup", Self::LeaveGroup),
        ("event", Self::Event),
    ];

    /// The type of that name, in any case; `None` if there is none.
    fn from_name(wanted: &str) -> Option<Self> {
        let (_, kind) = Self::NAMES
            .iter()
            .find(|(name, _)| *name == wanted || name.eq_ignore_ascii_case(wanted))?;
        Some(*kind)
    }
}

impl<'a> Fields<'a> {
    /// The message of its type, if all that it needs is there.
    fn into_message(self) -> Result<ClientMessage<'a>, InvalidMessage> {
        let Some(Text(name)) = &self.r#type else {
            return Err(InvalidMessage::Malformed);
        };
        let kind = Kind::from_name(name).ok_or(InvalidMessage::UnknownType)?;
        let ack_id = self.ack_id;
        let request = match kind {
            Kind::Ping => return Ok(ClientMessage::Ping),
            Kind::SequenceAck => {
                let number = self.sequence_id.ok_or(InvalidMessage::BadSequenceId)?;
                return Ok(ClientMessage::SequenceAck(number));
            }
            Kind::JoinGroup => Request::JoinGroup(JoinGroup {
                presence: self.presence.unwrap_or(false),
                history: self.history.unwrap_or(false),
                group: self.into_group()?,
            }),
            Kind::LeaveGroup => Request::LeaveGroup(self.into_group()?),
            Kind::SendToGroup => Request::SendToGroup(self.into_group_message()?),
            Kind::Event => {
                self.check_event()?;
                Request::Event
            }
        };
        Ok(ClientMessage::Request { ack_id, request })
    }

    /// The name of the group, which is needed and not blank.
    fn into_group(self) -> Result<Cow<'a, str>, InvalidMessage> {
        match self.group {
            Some(Text(group)) if !is_blank(&group) => Ok(group),
            _ => Err(InvalidMessage::BadGroup),
        }
    }

    /// All that is needed to send to a group.
    fn into_group_message(self) -> Result<GroupMessage<'a>, InvalidMessage> {
        if self
            .ttl_seconds
            .is_some_and(|seconds| seconds > TTL_SECONDS_MAX)
        {
            return Err(InvalidMessage::BadTimeToLive);
        }
        Ok(GroupMessage {
            payload: self.payload()?,
            metadata: self.metadata()?,
            no_echo: self.no_echo.unwrap_or(false),
            group: self.into_group()?,
        })
    }

    /// Whether all that an event needs is there.
    fn check_event(&self) -> Result<(), InvalidMessage> {
        if !self
            .event
            .as_ref()
            .is_some_and(|Text(name)| is_event_name(name))
        {
            return Err(InvalidMessage::BadEvent);
        }
        self.metadata()?;
        self.payload().map(|_| ())
    }

    /// The payload, which is needed and of the type that it is said to be.
    fn payload(&self) -> Result<Payload<'a>, InvalidMessage> {
        let data_type = match &self.data_type {
            None => DataType::default(),
            Some(Text(name)) => DataType::from_name(name).ok_or(InvalidMessage::UnknownDataType)?,
        };
        self.data
            .and_then(|Json(data)| Payload::new(data_type, data))
            .ok_or(InvalidMessage::BadData)
    }

    /// The metadata, if there is some.
    fn metadata(&self) -> Result<Option<&'a str>, InvalidMessage> {
        match self.metadata.map(|Json(json)| json) {
            Some(json) if !json.starts_with('{') || json.len() > METADATA_BYTES_MAX => {
                Err(InvalidMessage::BadMetadata)
            }
            metadata => Ok(metadata),
        }
    }
}

/// Whether `name` has nothing that can be seen.
pub(super) fn is_blank(name: &str) -> bool {
    name.chars().all(char::is_whitespace)
}

/// Whether `name` is a letter, followed by letters, digits, `_`, `.` and `-`.
fn is_event_name(name: &str) -> bool {
    name.len() <= EVENT_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::{
        ClientMessage, GroupMessage, InvalidMessage, JoinGroup, METADATA_BYTES_MAX, Request,
        is_event_name, parse,
    };
    use crate::endpoints::pubsub::nesting::DEPTH_MAX;
    use crate::endpoints::pubsub::payload::DataType;

    /// The message to a group that `text` is.
    fn sent(text: &str) -> GroupMessage<'_> {
        match parse(text) {
            Ok(ClientMessage::Request {
                request: Request::SendToGroup(message),
                ..
            }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_type_of_message_is_read() {
        let request = |ack_id, request| Ok(ClientMessage::Request { ack_id, request });
        let join = |group: &'static str, presence, history| {
            Request::JoinGroup(JoinGroup {
                group: group.into(),
                presence,
                history,
            })
        };
        assert_eq!(parse(r#"{"type":"ping"}"#), Ok(ClientMessage::Ping));
        assert_eq!(
            parse(r#"{"type":"joinGroup","group":"a","ackId":1}"#),
            request(Some(1), join("a", false, false))
        );
        assert_eq!(
            parse(r#"{"type":"joinGroup","group":"a","presence":true,"history":null}"#),
            request(None, join("a", true, false))
        );
        assert_eq!(
            parse(r#"{"history":true,"type":"joinGroup","group":"@all","presence":false}"#),
            request(None, join("@all", false, true))
        );
        assert_eq!(
            parse(r#"{"type":"leaveGroup","group":"a"}"#),
            request(None, Request::LeaveGroup("a".into()))
        );
        assert_eq!(
            parse(
                r#"{"type":"event","event":"e","dataType":"json","data":{},"ackId":18446744073709551615}"#
            ),
            request(Some(u64::MAX), Request::Event)
        );
        let message = sent(r#"{"type":"sendToGroup","group":"g","data":[1]}"#);
        assert_eq!(
            (&*message.group, message.payload.json(), message.no_echo),
            ("g", "[1]", false)
        );
        assert_eq!(
            (message.payload.data_type(), message.metadata),
            (DataType::Json, None)
        );
    }

    #[test]
    fn a_message_for_a_group_keeps_its_parts_as_they_were_written() {
        let message = sent(
            r#" { "metadata" : {"k": "v"} , "data" :  {"b" : 1.0e+2, "a":"\u00e9"}  ,"ttlSeconds":300,
                "noEcho":true,"dataType":"json","group":"g\u0022\n","type":"sendToGroup" } "#,
        );
        assert_eq!(message.payload.json(), r#"{"b" : 1.0e+2, "a":"\u00e9"}"#);
        assert_eq!(message.metadata, Some(r#"{"k": "v"}"#));
        assert_eq!((&*message.group, message.no_echo), ("g\"\n", true));
    }

    #[test]
    fn types_are_read_in_any_case_and_names_of_fields_are_not() {
        assert_eq!(parse(r#"{"type":"PING"}"#), Ok(ClientMessage::Ping));
        assert_eq!(
            parse(r#"{"\u0074ype":"\u0050ing"}"#),
            Ok(ClientMessage::Ping)
        );
        assert_eq!(parse(r#"{"Type":"ping"}"#), Err(InvalidMessage::Malformed));
        let message = sent(r#"{"type":"SENDTOGROUP","group":"g","dataType":"TEXT","data":""}"#);
        assert_eq!(message.payload.data_type(), DataType::Text);
    }

    #[test]
    fn unknown_fields_are_ignored_and_null_is_absent() {
        assert_eq!(
            parse(r#"{"x":[{"type":1}],"type":"ping","x":null,"x":1e999999}"#),
            Ok(ClientMessage::Ping)
        );
        let text = r#"{"type":"sendToGroup","group":"g","ackId":null,"noEcho":null,"dataType":null,"data":1,
            "ttlSeconds":null,"metadata":null,"event":null}"#;
        let message = sent(text);
        assert_eq!(
            (message.payload.data_type(), message.no_echo),
            (DataType::Json, false)
        );
        assert_eq!(message.metadata, None);
    }

    #[test]
    fn what_is_no_object_with_a_type_is_malformed() {
        for text in [
            "",
            " ",
            "{",
            "{}",
            "null",
            "1",
            "\"ping\"",
            "[\"ping\"]",
            r#"["ping",null,null,null,null,null,null,null,null]"#,
            r#"[{"type":"ping"}]"#,
            r#"{"type":"ping"}}"#,
            r#"{"type":"ping"} {"type":"ping"}"#,
            r#"{"type":"ping",}"#,
            r#"{"type":null}"#,
            r#"{"type":1}"#,
            r#"{"type":"joinGroup","group":"a","presence":1}"#,
            r#"{"type":"joinGroup","group":"a","history":"true"}"#,
            r#"{"type":"ping","x":}"#,
            r#"{"type":"ping","x":01}"#,
            r#"{"type":"ping","x":NaN}"#,
            r#"{"type":"ping","x":"\x"}"#,
            "{\"type\":\"ping\",\"x\":\"\n\"}",
            "{'type':'ping'}",
            "\u{feff}{\"type\":\"ping\"}",
        ] {
            assert_eq!(parse(text), Err(InvalidMessage::Malformed), "{text}");
        }
    }

    #[test]
    fn types_that_nobody_knows_are_invalid() {
        for kind in ["", "pong", "ack", "message", "joinGroup ", "invoke"] {
            let text = format!(r#"{{"type":"{kind}","group":"g","data":1}}"#);
            assert_eq!(parse(&text), Err(InvalidMessage::UnknownType), "{kind}");
        }
    }

    #[test]
    fn an_acknowledged_number_has_to_be_there() {
        assert_eq!(
            parse(r#"{"type":"sequenceAck","sequenceId":7}"#),
            Ok(ClientMessage::SequenceAck(7))
        );
        assert_eq!(
            parse(r#"{"type":"sequenceAck"}"#),
            Err(InvalidMessage::BadSequenceId)
        );
    }

    #[test]
    fn each_field_has_to_be_what_it_is_for() {
        let cases = [
            (r#"{"type":"joinGroup"}"#, InvalidMessage::BadGroup),
            (
                r#"{"type":"joinGroup","group":""}"#,
                InvalidMessage::BadGroup,
            ),
            (
                r#"{"type":"leaveGroup","group":" \t\u3000"}"#,
                InvalidMessage::BadGroup,
            ),
            (
                r#"{"type":"joinGroup","group":1}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"joinGroup","group":"\ud800"}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"joinGroup","group":"g","ackId":"1"}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"joinGroup","group":"g","ackId":-1}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"joinGroup","group":"g","ackId":1.0}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"joinGroup","group":"g","ackId":1e2}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"joinGroup","group":"g","ackId":18446744073709551616}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"sendToGroup","data":1}"#,
                InvalidMessage::BadGroup,
            ),
            (
                r#"{"type":"sendToGroup","group":"g"}"#,
                InvalidMessage::BadData,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","data":null}"#,
                InvalidMessage::BadData,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"text","data":1}"#,
                InvalidMessage::BadData,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"binary","data":"x"}"#,
                InvalidMessage::BadData,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"xml","data":1}"#,
                InvalidMessage::UnknownDataType,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":1,"data":1}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","noEcho":1,"data":1}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","ttlSeconds":301,"data":1}"#,
                InvalidMessage::BadTimeToLive,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","ttlSeconds":-1,"data":1}"#,
                InvalidMessage::Malformed,
            ),
            (
                r#"{"type":"sendToGroup","group":"g","metadata":[],"data":1}"#,
                InvalidMessage::BadMetadata,
            ),
            (r#"{"type":"event","data":1}"#, InvalidMessage::BadEvent),
            (
                r#"{"type":"event","event":"1","data":1}"#,
                InvalidMessage::BadEvent,
            ),
            (r#"{"type":"event","event":"e"}"#, InvalidMessage::BadData),
            (
                r#"{"type":"event","event":"e","data":1,"metadata":""}"#,
                InvalidMessage::BadMetadata,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn metadata_is_limited_in_bytes() {
        let text = |len: usize| {
            let metadata = format!(r#"{{"k":"{}"}}"#, "v".repeat(len - r#"{"k":""}"#.len()));
            format!(r#"{{"type":"sendToGroup","group":"g","data":1,"metadata":{metadata}}}"#)
        };
        assert_eq!(
            sent(&text(METADATA_BYTES_MAX)).metadata.map(str::len),
            Some(METADATA_BYTES_MAX)
        );
        assert_eq!(
            parse(&text(METADATA_BYTES_MAX + 1)),
            Err(InvalidMessage::BadMetadata)
        );
    }

    #[test]
    fn names_of_events_begin_with_a_letter_and_have_at_most_128_bytes() {
        for name in ["a", "Z9_.-", &"x".repeat(128)] {
            assert!(is_event_name(name), "{name}");
        }
        for name in ["", "1a", "_a", "a b", "aé", "a/", &"x".repeat(129)] {
            assert!(!is_event_name(name), "{name}");
        }
    }

    #[test]
    fn ms_10_fields_that_come_twice_are_refused() {
        for field in [
            r#""type":"ping""#,
            r#""\u0074ype":"ping""#,
            r#""group":"g""#,
            r#""ackId":1"#,
            r#""noEcho":true"#,
            r#""dataType":"json""#,
            r#""data":1"#,
            r#""ttlSeconds":1"#,
            r#""metadata":{}"#,
        ] {
            let text = format!(
                r#"{{"type":"sendToGroup","group":"g","ackId":1,"noEcho":true,"dataType":"json","data":1,"ttlSeconds":1,"metadata":{{}},{field}}}"#
            );
            assert_eq!(parse(&text), Err(InvalidMessage::Malformed), "{field}");
        }
    }

    #[test]
    fn ms_10_nesting_is_bounded_wherever_it_is() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for field in ["data", "unknown"] {
            let text = |depth| {
                format!(
                    r#"{{"type":"sendToGroup","group":"g","data":1,"{field}":{}}}"#,
                    nested(depth)
                )
                .replacen(r#""data":1,"data""#, r#""data""#, 1)
            };
            assert!(parse(&text(DEPTH_MAX - 1)).is_ok(), "{field}");
            assert_eq!(
                parse(&text(DEPTH_MAX)),
                Err(InvalidMessage::TooDeep),
                "{field}"
            );
            assert_eq!(
                parse(&text(10_000)),
                Err(InvalidMessage::TooDeep),
                "{field}"
            );
        }
        assert_eq!(parse(&"[".repeat(1 << 20)), Err(InvalidMessage::TooDeep));
        assert_eq!(
            parse(&r#"{"a":"#.repeat(1 << 18)),
            Err(InvalidMessage::TooDeep)
        );
    }

    #[test]
    fn ms_10_huge_numbers_and_many_keys_are_read_in_passing() {
        let digits = "9".repeat(1 << 20);
        let text = format!(r#"{{"type":"sendToGroup","group":"g","data":{digits}}}"#);
        assert_eq!(sent(&text).payload.json(), digits);
        let ack_id = format!(r#"{{"type":"sendToGroup","group":"g","data":1,"ackId":{digits}}}"#);
        assert_eq!(parse(&ack_id), Err(InvalidMessage::Malformed));
        let keys = format!(r#"{{"type":"ping"{}}}"#, r#","k":0"#.repeat(1 << 17));
        assert_eq!(parse(&keys), Ok(ClientMessage::Ping));
    }

    #[test]
    fn reasons_fit_into_a_close_frame() {
        for invalid in [
            InvalidMessage::TooDeep,
            InvalidMessage::Malformed,
            InvalidMessage::UnknownType,
            InvalidMessage::BadGroup,
            InvalidMessage::BadEvent,
            InvalidMessage::UnknownDataType,
            InvalidMessage::BadData,
            InvalidMessage::BadTimeToLive,
            InvalidMessage::BadMetadata,
        ] {
            assert!((1..=123).contains(&invalid.reason().len()));
        }
    }
}
