//! The JSON protocol as a client reads and writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Delivered, HubEvent, HubMessage, Payload, Presence, Refusal, Request};

/// The subprotocols that are offered, the recoverable one first.
pub(super) const SUBPROTOCOLS: [&str; 2] = [
    "json.reliable.webpubsub.azure.v1",
    "json.webpubsub.azure.v1",
];

/// What a server says, as far as it concerns more than the application.
#[derive(Debug, PartialEq)]
pub(super) enum ServerMessage {
    /// The first message of every connection.
    Connected {
        connection_id: String,
        user_id: Option<String>,
        /// What this connection can be recovered with.
        token: Option<String>,
    },
    /// What became of the request with this number.
    Ack(u64, Result<Delivered, Refusal>),
    /// For the application; with the number of the message, if the connection is recoverable.
    Event(Option<u64>, HubEvent),
    /// Nothing that anybody has to know of: pongs, and what a later version of the protocol has.
    Other,
}

/// A message of the server that is not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of all messages.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    r#type: String,
    event: Option<String>,
    message: Option<String>,
    connection_id: Option<String>,
    user_id: Option<String>,
    reconnection_token: Option<String>,
    ack_id: Option<u64>,
    success: Option<bool>,
    recipients: Option<u64>,
    dropped: Option<u64>,
    error: Option<ErrorFields>,
    sequence_id: Option<u64>,
    group: Option<String>,
    data_type: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    from_user_id: Option<String>,
    history: Option<bool>,
    initial: Option<bool>,
    more: Option<bool>,
    joined: Option<Vec<String>>,
    left: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ErrorFields {
    name: String,
    message: Option<String>,
}

/// Reads one message.
///
/// # Errors
///
/// It is not JSON, or lacks what its type needs.
pub(super) fn parse(text: &str) -> Result<ServerMessage, Malformed> {
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| Malformed)?;
    match fields.r#type.as_str() {
        "ack" => fields.into_ack(),
        "message" => fields.into_message(),
        "system" => fields.into_system(),
        _ => Ok(ServerMessage::Other),
    }
}

impl Fields<'_> {
    fn into_ack(self) -> Result<ServerMessage, Malformed> {
        let ack_id = self.ack_id.ok_or(Malformed)?;
        let outcome = if self.success.ok_or(Malformed)? {
            Ok(Delivered {
                recipients: self.recipients,
                dropped: self.dropped,
            })
        } else {
            let error = self.error.ok_or(Malformed)?;
            Err(Refusal {
                name: error.name,
                message: error.message.unwrap_or_default(),
            })
        };
        Ok(ServerMessage::Ack(ack_id, outcome))
    }

    fn into_message(self) -> Result<ServerMessage, Malformed> {
        let data = self.data.ok_or(Malformed)?.get();
        let text = || serde_json::from_str::<String>(data).map_err(|_| Malformed);
        let payload = match self.data_type.as_deref() {
            Some("text") => Payload::Text(text()?),
            Some("json") => Payload::Json(data.into()),
            Some("binary") => Payload::Binary(STANDARD.decode(text()?).map_err(|_| Malformed)?),
            _ => return Err(Malformed),
        };
        let message = HubMessage {
            group: self.group,
            from_user: self.from_user_id,
            payload,
            is_history: self.history == Some(true),
        };
        Ok(ServerMessage::Event(
            self.sequence_id,
            HubEvent::Message(message),
        ))
    }

    fn into_system(self) -> Result<ServerMessage, Malformed> {
        let event = match self.event.as_deref() {
            Some("connected") => {
                return Ok(ServerMessage::Connected {
                    connection_id: self.connection_id.ok_or(Malformed)?,
                    user_id: self.user_id,
                    token: self.reconnection_token,
                });
            }
            Some("disconnected") => HubEvent::Farewell(self.message.unwrap_or_default()),
            Some("gap") => HubEvent::Gap {
                group: self.group,
                dropped: self.dropped.ok_or(Malformed)?,
            },
            Some("presence") => HubEvent::Presence(Presence {
                group: self.group.ok_or(Malformed)?,
                is_initial: self.initial == Some(true),
                has_more: self.more == Some(true),
                joined: self.joined.unwrap_or_default(),
                left: self.left.unwrap_or_default(),
            }),
            _ => return Ok(ServerMessage::Other),
        };
        Ok(ServerMessage::Event(self.sequence_id, event))
    }
}

/// A request as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestFields<'a> {
    r#type: &'static str,
    group: &'a str,
    ack_id: u64,
    #[serde(skip_serializing_if = "is_false")]
    presence: bool,
    #[serde(skip_serializing_if = "is_false")]
    history: bool,
    #[serde(skip_serializing_if = "is_false")]
    no_echo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// The text of `request`, which the server is to acknowledge with `ack_id`.
///
/// # Errors
///
/// The payload is said to be JSON and is not.
pub(super) fn request_text(request: &Request, ack_id: u64) -> Result<String, serde_json::Error> {
    let mut fields = RequestFields {
        r#type: "",
        group: request.group(),
        ack_id,
        presence: false,
        history: false,
        no_echo: false,
        data_type: None,
        data: None,
    };
    match request {
        Request::Join {
            presence, history, ..
        } => {
            fields.r#type = "joinGroup";
            (fields.presence, fields.history) = (*presence, *history);
        }
        Request::Leave { .. } => fields.r#type = "leaveGroup",
        Request::Send {
            payload, no_echo, ..
        } => {
            fields.r#type = "sendToGroup";
            fields.no_echo = *no_echo;
            fields.data_type = Some(payload.data_type());
            fields.data = Some(RawValue::from_string(payload.to_json())?);
        }
    }
    serde_json::to_string(&fields)
}

impl Payload {
    /// What the protocol calls this kind of content.
    #[must_use]
    pub fn data_type(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Json(_) => "json",
            Self::Binary(_) => "binary",
        }
    }

    /// The content as a JSON value: a string for texts, one in base64 for binary content.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Json(json) => json.clone(),
            Self::Binary(bytes) => format!("\"{}\"", STANDARD.encode(bytes)),
        }
    }
}

/// Says that every message up to `number` has come.
pub(super) fn sequence_ack(number: u64) -> String {
    format!(r#"{{"type":"sequenceAck","sequenceId":{number}}}"#)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Payload) -> HubMessage {
        HubMessage {
            group: Some("r".into()),
            from_user: None,
            payload,
            is_history: false,
        }
    }

    #[test]
    fn every_message_of_the_protocol_is_read() {
        let text = message(Payload::Text("a\"b".into()));
        let json = message(Payload::Json("{\"x\": 1}".into()));
        let binary = HubMessage {
            from_user: Some("ann".into()),
            is_history: true,
            ..message(Payload::Binary(vec![1, 2, 255]))
        };
        for (line, expected) in [
            (
                r#"{"type":"system","event":"connected","userId":null,"connectionId":"c"}"#,
                ServerMessage::Connected {
                    connection_id: "c".into(),
                    user_id: None,
                    token: None,
                },
            ),
            (
                r#"{"type":"system","event":"connected","userId":"u","connectionId":"c","reconnectionToken":"t"}"#,
                ServerMessage::Connected {
                    connection_id: "c".into(),
                    user_id: Some("u".into()),
                    token: Some("t".into()),
                },
            ),
            (
                r#"{"type":"ack","ackId":7,"success":true}"#,
                ServerMessage::Ack(7, Ok(Delivered::default())),
            ),
            (
                r#"{"type":"ack","ackId":7,"success":true,"recipients":3,"dropped":1}"#,
                ServerMessage::Ack(
                    7,
                    Ok(Delivered {
                        recipients: Some(3),
                        dropped: Some(1),
                    }),
                ),
            ),
            (
                r#"{"type":"ack","ackId":7,"success":false,"error":{"name":"N","message":"m"}}"#,
                ServerMessage::Ack(
                    7,
                    Err(Refusal {
                        name: "N".into(),
                        message: "m".into(),
                    }),
                ),
            ),
            (
                r#"{"type":"message","from":"group","group":"r","dataType":"text","data":"a\"b"}"#,
                ServerMessage::Event(None, HubEvent::Message(text)),
            ),
            (
                r#"{"sequenceId":5,"type":"message","from":"group","group":"r","dataType":"json","data":{"x": 1}}"#,
                ServerMessage::Event(Some(5), HubEvent::Message(json)),
            ),
            (
                r#"{"type":"message","from":"group","group":"r","dataType":"binary","data":"AQL/","fromUserId":"ann","history":true}"#,
                ServerMessage::Event(None, HubEvent::Message(binary)),
            ),
            (
                r#"{"type":"system","event":"gap","group":"r","dropped":3}"#,
                ServerMessage::Event(
                    None,
                    HubEvent::Gap {
                        group: Some("r".into()),
                        dropped: 3,
                    },
                ),
            ),
            (
                r#"{"type":"system","event":"presence","group":"r","initial":true,"joined":["a"],"left":[]}"#,
                ServerMessage::Event(
                    None,
                    HubEvent::Presence(Presence {
                        group: "r".into(),
                        is_initial: true,
                        has_more: false,
                        joined: vec!["a".into()],
                        left: vec![],
                    }),
                ),
            ),
            (
                r#"{"type":"system","event":"disconnected","message":"bye"}"#,
                ServerMessage::Event(None, HubEvent::Farewell("bye".into())),
            ),
            (r#"{"type":"pong"}"#, ServerMessage::Other),
            (
                r#"{"type":"system","event":"news","x":[1]}"#,
                ServerMessage::Other,
            ),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
        for line in [
            "",
            "[]",
            "{}",
            r#"{"type":"ack","success":true}"#,
            r#"{"type":"ack","ackId":1,"success":false}"#,
            r#"{"type":"message","dataType":"text"}"#,
            r#"{"type":"message","data":"a"}"#,
            r#"{"type":"message","dataType":"text","data":1}"#,
            r#"{"type":"message","dataType":"binary","data":"?"}"#,
            r#"{"type":"system","event":"connected"}"#,
        ] {
            assert_eq!(parse(line), Err(Malformed), "{line}");
        }
    }

    #[test]
    fn requests_are_written_as_the_protocol_has_them() {
        let send = |payload| Request::Send {
            group: "r".into(),
            payload,
            no_echo: true,
        };
        for (request, expected) in [
            (
                Request::Join {
                    group: "r\"".into(),
                    presence: true,
                    history: false,
                },
                r#"{"type":"joinGroup","group":"r\"","ackId":1,"presence":true}"#,
            ),
            (
                Request::Leave { group: "r".into() },
                r#"{"type":"leaveGroup","group":"r","ackId":1}"#,
            ),
            (
                send(Payload::Text("a\n".into())),
                r#"{"type":"sendToGroup","group":"r","ackId":1,"noEcho":true,"dataType":"text","data":"a\n"}"#,
            ),
            (
                send(Payload::Json("[1, 2]".into())),
                r#"{"type":"sendToGroup","group":"r","ackId":1,"noEcho":true,"dataType":"json","data":[1, 2]}"#,
            ),
            (
                send(Payload::Binary(vec![1, 2, 255])),
                r#"{"type":"sendToGroup","group":"r","ackId":1,"noEcho":true,"dataType":"binary","data":"AQL/"}"#,
            ),
        ] {
            assert_eq!(request_text(&request, 1).unwrap(), expected);
        }
        assert!(request_text(&send(Payload::Json("{".into())), 1).is_err());
    }
}
