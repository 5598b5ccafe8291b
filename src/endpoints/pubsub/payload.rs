//! What a client wants to tell others: a JSON text that is checked against its type and never changed.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::Deserializer as _;
use serde::de::{Error, Visitor};
use serde_json::value::RawValue;

use super::nesting;
use crate::proto::{Message, OpCode};

/// What a payload is said to be (`dataType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DataType {
    /// Any value but null.
    #[default]
    Json,
    /// A string.
    Text,
    /// A string of base64 (RFC 4648 4, padded).
    Binary,
}

impl DataType {
    /// Every type.
    const ALL: [Self; 3] = [Self::Json, Self::Text, Self::Binary];

    /// The type of that name, in any case; `None` if there is none.
    pub(super) fn from_name(wanted: &str) -> Option<Self> {
        let is_it = |name: &str| name == wanted || name.eq_ignore_ascii_case(wanted);
        Self::ALL
            .into_iter()
            .find(|data_type| is_it(data_type.name()))
    }

    /// The name on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// A value that is what its type promises, as the JSON text that the sender wrote.
///
/// Receivers get exactly this text, so nothing is lost by reading it in another way than they do: numbers keep all
/// their digits, keys their order and repetitions, and half a surrogate pair (`"\ud800"`) stays what it is.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::endpoints) struct Payload<'a> {
    /// What the value is.
    data_type: DataType,
    /// The value as it stood in the message.
    json: Cow<'a, str>,
}

impl<'a> Payload<'a> {
    /// Takes `json`, a complete value without space around it, as what `data_type` says; `None` if it is something else.
    pub(super) fn new(data_type: DataType, json: &'a str) -> Option<Self> {
        let fits = match data_type {
            DataType::Json => json != "null",
            DataType::Text => json.starts_with('"'),
            DataType::Binary => json.starts_with('"') && is_base64_string(json),
        };
        fits.then_some(Self {
            data_type,
            json: json.into(),
        })
    }

    /// Takes `text` as JSON; `None` if it is not one value that clients could send too.
    pub(in crate::endpoints) fn from_json(text: &'a str) -> Option<Self> {
        if !nesting::is_shallow(text) {
            return None;
        }
        let value: &RawValue = serde_json::from_str(text).ok()?;
        Self::new(DataType::Json, value.get())
    }

    /// Takes `text` as text.
    pub(in crate::endpoints) fn from_text(text: &str) -> Self {
        Self {
            data_type: DataType::Text,
            json: serde_json::to_string(text)
                .expect("a string is always JSON")
                .into(),
        }
    }

    /// Takes `bytes` as binary.
    pub(in crate::endpoints) fn from_binary(bytes: &[u8]) -> Self {
        let mut json = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
        json.push('"');
        STANDARD.encode_string(bytes, &mut json);
        json.push('"');
        Self {
            data_type: DataType::Binary,
            json: json.into(),
        }
    }

    /// Takes a message of a client that does not speak JSON.
    pub(super) fn from_message(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::from_text(text.as_str()),
            Message::Binary(bytes) => Self::from_binary(bytes),
        }
    }

    /// What a client that does not speak JSON gets: a string without its quotation marks, any other value as JSON.
    pub(super) fn to_plain(&self) -> (OpCode, Cow<'_, [u8]>) {
        match self.data_type {
            DataType::Json => (OpCode::Text, self.json.as_bytes().into()),
            DataType::Text => match text_of(&self.json) {
                Cow::Borrowed(text) => (OpCode::Text, text.as_bytes().into()),
                Cow::Owned(text) => (OpCode::Text, text.into_bytes().into()),
            },
            DataType::Binary => {
                let digits = text_of(&self.json);
                let bytes = LENIENT.decode(&*digits).unwrap_or_default();
                (OpCode::Binary, bytes.into())
            }
        }
    }

    /// How long the value is as JSON, in bytes.
    pub(in crate::endpoints) fn json_len(&self) -> usize {
        self.json.len()
    }

    /// What the value is.
    pub(super) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The value as it stood in the message.
    pub(super) fn json(&self) -> &str {
        &self.json
    }
}

/// Shows the value by its length.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.data_type, self.json.len())
    }
}

/// Base64 as [`is_base64`] takes it: bits that no byte uses may be set.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Whether the JSON string `json` (with its quotation marks) is padded base64.
fn is_base64_string(json: &str) -> bool {
    is_base64(text_of(json).as_bytes())
}

/// Whether `text` is base64 with the standard alphabet and all its padding; bits that no byte uses may be set.
fn is_base64(text: &[u8]) -> bool {
    let unpadded = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(text);
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // To look at every byte is eight times faster than to stop at the first bad one: no branch, so vector instructions.
    text.len().is_multiple_of(4)
        && unpadded
            .iter()
            .fold(true, |is_base64, byte| is_base64 & is_digit(byte))
}

/// What the JSON string `json` (with its quotation marks) stands for; it is copied only if it has escapes.
///
/// Half a surrogate pair, which no text can have, becomes U+FFFD.
fn text_of(json: &str) -> Cow<'_, str> {
    /// Takes a string as bytes, in which `serde_json` leaves half pairs as they are.
    struct Lossy;

    impl Visitor<'_> for Lossy {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    if !json.contains('\\') {
        return json.trim_matches('"').into();
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_bytes(Lossy)
        .unwrap_or_default()
        .into()
}

#[cfg(test)]
mod tests {
    use super::{DataType, Payload};
    use crate::proto::{Message, OpCode};
    use serde_json::value::RawValue;

    fn fits(data_type: DataType, json: &str) -> bool {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        Payload::new(data_type, raw.get())
            .inspect(|payload| assert_eq!(payload.json(), json))
            .is_some()
    }

    #[test]
    fn json_is_anything_but_null() {
        for json in [
            "0",
            "-1.5e400",
            "\"\"",
            "\"null\"",
            "[null]",
            "{}",
            "true",
            r#"{"a":1,"a":2}"#,
        ] {
            assert!(fits(DataType::Json, json), "{json}");
        }
        assert!(!fits(DataType::Json, "null"));
    }

    #[test]
    fn text_is_a_string() {
        for json in ["\"\"", r#""a\n\u00e9""#, r#""\ud800""#] {
            assert!(fits(DataType::Text, json), "{json}");
        }
        for json in ["null", "1", "[\"a\"]", "{}", "true"] {
            assert!(!fits(DataType::Text, json), "{json}");
        }
    }

    #[test]
    fn binary_is_a_string_of_padded_base64() {
        for json in [
            "\"\"",
            "\"AQL/\"",
            "\"AQ==\"",
            "\"AQI=\"",
            "\"+/+/\"",
            r#""AQL\/""#,
            r#""\u002B\u002BAA""#,
        ] {
            assert!(fits(DataType::Binary, json), "{json}");
        }
        for json in [
            "null",
            "1",
            "\"AQL\"",
            "\"AQ=\"",
            "\"A===\"",
            "\"====\"",
            "\"AQ==AQ==\"",
            "\"AQ=A\"",
            "\"AQL_\"",
            "\"AQ L\"",
            "\"AQLé\"",
            r#""\ud800AAA""#,
            r#""AQL\n""#,
        ] {
            assert!(!fits(DataType::Binary, json), "{json}");
        }
    }

    #[test]
    fn who_does_not_speak_json_gets_what_the_value_stands_for() {
        for (data_type, json, opcode, plain) in [
            (
                DataType::Json,
                r#"{"a":[1, "x"]}"#,
                OpCode::Text,
                &br#"{"a":[1, "x"]}"#[..],
            ),
            (DataType::Json, r#""x""#, OpCode::Text, br#""x""#),
            (DataType::Text, r#""x""#, OpCode::Text, b"x"),
            (DataType::Text, r#""""#, OpCode::Text, b""),
            (
                DataType::Text,
                r#""a\"\n\u00e9\ud83d\ude00""#,
                OpCode::Text,
                "a\"\né😀".as_bytes(),
            ),
            (
                DataType::Text,
                r#""a\ud800b""#,
                OpCode::Text,
                "a\u{fffd}\u{fffd}\u{fffd}b".as_bytes(),
            ),
            (
                DataType::Binary,
                r#""AQL/""#,
                OpCode::Binary,
                b"\x01\x02\xff",
            ),
            (
                DataType::Binary,
                r#""AQL\/""#,
                OpCode::Binary,
                b"\x01\x02\xff",
            ),
            (DataType::Binary, r#""AR==""#, OpCode::Binary, b"\x01"),
            (DataType::Binary, r#""""#, OpCode::Binary, b""),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let payload = Payload::new(data_type, raw.get()).unwrap();
            assert_eq!(payload.to_plain(), (opcode, plain.into()), "{json}");
        }
    }

    #[test]
    fn ms_03_a_plain_message_is_the_same_for_all_who_do_not_speak_json() {
        for message in [
            Message::Text("".into()),
            Message::Text("a\"\\\u{0}é\u{2028}".into()),
            Message::Binary(b""),
            Message::Binary(b"\0\x01\xff\""),
        ] {
            let payload = Payload::from_message(message);
            let again: &RawValue = serde_json::from_str(payload.json()).unwrap();
            assert_eq!(
                Payload::new(payload.data_type(), again.get()),
                Some(payload.clone())
            );
            assert_eq!(
                payload.to_plain(),
                (message.opcode(), message.payload().into())
            );
        }
    }

    #[test]
    fn names_of_types_are_read_in_any_case() {
        assert_eq!(DataType::from_name("JSON"), Some(DataType::Json));
        assert_eq!(DataType::from_name("Text"), Some(DataType::Text));
        assert_eq!(DataType::from_name("binary"), Some(DataType::Binary));
        assert_eq!(DataType::from_name("protobuf"), None);
        assert_eq!(DataType::from_name(""), None);
    }
}
