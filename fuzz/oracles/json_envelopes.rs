//! Messages of clients that know the JSON protocol: objects with its keys, often with the right values, then spoilt in
//! a few places. What must hold is what [`json`] says.

use std::fmt::Write as _;

use arbitrary::{Arbitrary, Unstructured};

use super::json;

/// Turns `data` into a message, and has the oracle of the JSON protocol judge it.
///
/// # Panics
///
/// If something comes of it that must not.
pub(crate) fn check(data: &[u8]) {
    let Ok(envelope) = Envelope::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut text = String::from("{");
    for (index, (key, value)) in envelope.fields.iter().enumerate() {
        if index > 0 {
            text.push_str(envelope.space.text());
            text.push(',');
        }
        let _ = write!(text, "{}{}:", envelope.space.text(), key.json());
        match value {
            Some(value) => value.write_to(&mut text, DEPTH_MAX),
            None => text.push_str(key.good_value()),
        }
    }
    text.push('}');
    let mut text = text.into_bytes();
    for (at, with) in envelope.spoilt {
        if let Some(byte) = text.get_mut(usize::from(at)) {
            *byte ^= with;
        }
    }
    json::check(&text);
}

/// Values are nested no deeper by chance; by [`Value::Deep`] they are.
const DEPTH_MAX: usize = 5;

/// One message.
#[derive(Arbitrary, Debug)]
struct Envelope {
    space: Space,
    /// A field without a value gets one that is right for its key.
    fields: Vec<(Key, Option<Value>)>,
    spoilt: Vec<(u16, u8)>,
}

/// What stands between the parts.
#[derive(Arbitrary, Debug)]
enum Space {
    None,
    Blank,
    Lines,
}

impl Space {
    fn text(&self) -> &'static str {
        match self {
            Self::None => "",
            Self::Blank => " ",
            Self::Lines => "\r\n\t",
        }
    }
}

/// The name of a field.
#[derive(Arbitrary, Debug)]
enum Key {
    SendToGroup,
    JoinGroup,
    LeaveGroup,
    Ping,
    Event,
    SequenceAck,
    Group,
    Everyone,
    User,
    Data,
    DataType,
    AckId,
    NoEcho,
    History,
    Presence,
    SequenceId,
    Other(String),
}

impl Key {
    fn json(&self) -> String {
        let name = match self {
            Self::SendToGroup
            | Self::JoinGroup
            | Self::LeaveGroup
            | Self::Ping
            | Self::SequenceAck => "type",
            Self::Event => "event",
            Self::Group | Self::Everyone | Self::User => "group",
            Self::Data => "data",
            Self::DataType => "dataType",
            Self::AckId => "ackId",
            Self::NoEcho => "noEcho",
            Self::History => "history",
            Self::Presence => "presence",
            Self::SequenceId => "sequenceId",
            Self::Other(name) => name,
        };
        json_string(name)
    }

    fn good_value(&self) -> &'static str {
        match self {
            Self::SendToGroup => "\"sendToGroup\"",
            Self::JoinGroup => "\"joinGroup\"",
            Self::LeaveGroup => "\"leaveGroup\"",
            Self::Ping => "\"ping\"",
            Self::SequenceAck => "\"sequenceAck\"",
            Self::Event | Self::Group => "\"g\\u00e9\"",
            Self::Everyone => "\"@all\"",
            Self::User => "\"@user/a\\\"\"",
            Self::Data => "\"YQ==\"",
            Self::DataType => "\"binary\"",
            Self::AckId | Self::SequenceId => "18446744073709551615",
            Self::NoEcho | Self::History | Self::Presence => "true",
            Self::Other(_) => "null",
        }
    }
}

/// Any value.
#[derive(Arbitrary, Debug)]
enum Value {
    Null,
    Bool(bool),
    Whole(i64),
    Fraction(f64),
    /// A number of that many digits.
    Digits(u8),
    Text(String),
    /// A text of which each character is escaped.
    Escaped(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// Brackets that deep.
    Deep(u16),
}

impl Value {
    fn write_to(&self, out: &mut String, depth: usize) {
        match self {
            Self::List(_) | Self::Object(_) if depth == 0 => out.push_str("[]"),
            Self::Null => out.push_str("null"),
            Self::Bool(value) => _ = write!(out, "{value}"),
            Self::Whole(value) => _ = write!(out, "{value}"),
            Self::Fraction(value) => _ = write!(out, "{value:e}"),
            Self::Digits(count) => out.push_str(&"7".repeat(usize::from(*count))),
            Self::Text(text) => out.push_str(&json_string(text)),
            Self::Escaped(text) => {
                out.push('"');
                for unit in text.encode_utf16() {
                    let _ = write!(out, "\\u{unit:04x}");
                }
                out.push('"');
            }
            Self::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    value.write_to(out, depth - 1);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    let _ = write!(
                        out,
                        "{}{}:",
                        if index > 0 { "," } else { "" },
                        json_string(name)
                    );
                    value.write_to(out, depth - 1);
                }
                out.push('}');
            }
            Self::Deep(depth) => {
                let depth = usize::from(depth % 300);
                out.push_str(&"[".repeat(depth));
                out.push_str(&"]".repeat(depth));
            }
        }
    }
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}
