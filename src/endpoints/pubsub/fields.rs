//! The fields of a client's message, out of its text.
//!
//! There are two ways to the same result. Nearly all messages are written plainly: an object of fields that we know, each
//! once, with strings without escapes. These are read by [`Fields::fill_plainly`] in about a sixth of the instructions
//! that `serde_json` takes. Whatever it does not know it leaves alone, and then [`Fields::parse_any`] decides; a property
//! says that they agree.
//!
//! `data` and `metadata` are only delimited, by `serde_json` if they are more than a plain string.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::codec::InvalidMessage;
use super::nesting;

/// The fields of all messages; which of them are needed depends on the type. One that is null is absent.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields<'a> {
    /// Which message it is.
    #[serde(borrow)]
    pub(super) r#type: Option<Text<'a>>,
    /// What is joined, left or sent to.
    #[serde(borrow)]
    pub(super) group: Option<Text<'a>>,
    /// The number for the acknowledgement; an integer without sign, point or exponent.
    pub(super) ack_id: Option<u64>,
    /// The number of a message that the client has; an integer like `ack_id`.
    pub(super) sequence_id: Option<u64>,
    /// Whether the sender is left out; false if absent.
    pub(super) no_echo: Option<bool>,
    /// Whether who joins wants to know of the others; false if absent.
    pub(super) presence: Option<bool>,
    /// Whether who joins wants to know what was said before; false if absent.
    pub(super) history: Option<bool>,
    /// The name of a data type.
    #[serde(borrow)]
    pub(super) data_type: Option<Text<'a>>,
    /// The payload.
    #[serde(borrow)]
    pub(super) data: Option<Json<'a>>,
    /// The name of an event.
    #[serde(borrow)]
    pub(super) event: Option<Text<'a>>,
    /// How long the message is of use, in seconds.
    pub(super) ttl_seconds: Option<u64>,
    /// What travels with the payload.
    #[serde(borrow)]
    pub(super) metadata: Option<Json<'a>>,
}

/// A string that is borrowed unless it has escapes (serde borrows no `Cow` within an `Option` by itself).
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A complete value as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Json<'a>(pub(super) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(deserializer).map(|value| Self(value.get()))
    }
}

impl<'a> Fields<'a> {
    /// Takes the fields from the text of one message; there must be none yet.
    ///
    /// They are filled in here because there are many of them: to return them means to copy them a few times.
    ///
    /// # Errors
    /// [`InvalidMessage::TooDeep`], or [`InvalidMessage::Malformed`] if it is not an object whose fields, if they are ours,
    /// come once and are of the right type.
    pub(super) fn fill(&mut self, text: &'a str) -> Result<(), InvalidMessage> {
        if self.fill_plainly(text).is_none() {
            *self = Self::parse_any(text)?;
        }
        Ok(())
    }

    /// Reads any text.
    fn parse_any(text: &'a str) -> Result<Self, InvalidMessage> {
        if !nesting::is_shallow(text) {
            return Err(InvalidMessage::TooDeep);
        }
        // serde would read the fields from an array as well.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(InvalidMessage::Malformed);
        }
        serde_json::from_str(text).map_err(|_| InvalidMessage::Malformed)
    }

    /// Takes the fields from a text that is written plainly; `None` if it is not, though some may be set then.
    fn fill_plainly(&mut self, text: &'a str) -> Option<()> {
        let mut reader = Reader { text, rest: text };
        reader.take(b'{')?;
        loop {
            let key = reader.string()?;
            reader.take(b':')?;
            match key {
                "type" => set(&mut self.r#type, reader.text()?)?,
                "group" => set(&mut self.group, reader.text()?)?,
                "ackId" => set(&mut self.ack_id, reader.number()?)?,
                "sequenceId" => set(&mut self.sequence_id, reader.number()?)?,
                "noEcho" => set(&mut self.no_echo, reader.boolean()?)?,
                "presence" => set(&mut self.presence, reader.boolean()?)?,
                "history" => set(&mut self.history, reader.boolean()?)?,
                "dataType" => set(&mut self.data_type, reader.text()?)?,
                "data" => set(&mut self.data, reader.json()?)?,
                "event" => set(&mut self.event, reader.text()?)?,
                "ttlSeconds" => set(&mut self.ttl_seconds, reader.number()?)?,
                "metadata" => set(&mut self.metadata, reader.json()?)?,
                _ => return None,
            }
            if reader.take(b',').is_none() {
                reader.take(b'}')?;
                return reader.is_at_end().then_some(());
            }
        }
    }
}

/// Sets a field; `None` if it was set before.
fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// Takes plain JSON from the front of a text; whatever it is not sure of is `None`.
struct Reader<'a> {
    text: &'a str,
    /// What follows, an end of `text`.
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// This character of ASCII, with any space in front of it, of which there is none nearly always.
    #[inline]
    fn take(&mut self, wanted: u8) -> Option<()> {
        self.take_next(wanted).or_else(|| {
            self.skip_space();
            self.take_next(wanted)
        })
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let string = self.split_off(plain_len(self.rest.as_bytes()))?;
        self.take_next(b'"')?;
        Some(string)
    }

    fn text(&mut self) -> Option<Text<'a>> {
        self.string().map(|text| Text(text.into()))
    }

    /// An integer that surely fits.
    fn number(&mut self) -> Option<u64> {
        self.skip_space();
        let digits = self.split_off(count(self.rest, |byte| byte.is_ascii_digit()))?;
        let is_plain = match digits.len() {
            0 => false,
            1 => true,
            len => len <= DIGIT_COUNT_MAX && !digits.starts_with('0'),
        };
        let add = |number, digit| number * 10 + u64::from(digit - b'0');
        is_plain.then(|| digits.bytes().fold(0, add))
    }

    fn boolean(&mut self) -> Option<bool> {
        self.skip_space();
        match self.split_off(count(self.rest, |byte| byte.is_ascii_lowercase()))? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Any value but null.
    fn json(&mut self) -> Option<Json<'a>> {
        self.skip_space();
        let value = self.rest;
        if self.string().is_none() {
            self.rest = value;
            self.skip_value()?;
        }
        let len = value.len() - self.rest.len();
        value.get(..len).map(Json)
    }

    /// A value that takes a parser to find its end.
    fn skip_value(&mut self) -> Option<()> {
        if self.rest.starts_with("null") || !nesting::is_shallow(self.text) {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        self.split_off(values.byte_offset()).map(|_| ())
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    #[inline]
    fn take_next(&mut self, wanted: u8) -> Option<()> {
        if self.rest.as_bytes().first() != Some(&wanted) {
            return None;
        }
        self.rest = self.rest.get(1..)?;
        Some(())
    }

    fn skip_space(&mut self) {
        let is_space = |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        // One look is enough nearly always.
        if self
            .rest
            .as_bytes()
            .first()
            .is_some_and(|byte| *byte <= b' ')
        {
            self.split_off(count(self.rest, is_space));
        }
    }

    /// The next `len` bytes.
    fn split_off(&mut self, len: usize) -> Option<&'a str> {
        let (front, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(front)
    }
}

/// How many bytes at the front of `text` are of a kind.
fn count(text: &str, is_of_kind: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is_of_kind(*byte)).count()
}

/// More digits than this might not fit into 64 bits.
const DIGIT_COUNT_MAX: usize = 19;

/// Whether `text` is a string of JSON as it is, without escapes.
pub(super) fn is_plain(text: &str) -> bool {
    plain_len(text.as_bytes()) == text.len()
}

/// How many bytes of a string come before its end, its first escape or its first control character: eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH_BITS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks();
    let mut len = 0;
    for word in words {
        let bits = u64::from_le_bytes(*word);
        // In each, the lowest high bit is set by the first such byte; what is above it may be a false alarm.
        let below = |limit: u8| bits.wrapping_sub(ONES * u64::from(limit)) & !bits;
        let equal = |byte: u8| {
            let difference = bits ^ (ONES * u64::from(byte));
            difference.wrapping_sub(ONES) & !difference
        };
        let special = (below(b' ') | equal(b'"') | equal(b'\\')) & HIGH_BITS;
        if special != 0 {
            return len + special.trailing_zeros() as usize / 8;
        }
        len += word.len();
    }
    let is_plain = |byte: &&u8| !is_special(**byte);
    len + rest.iter().take_while(is_plain).count()
}

/// Whether a string goes on in another way behind this byte.
fn is_special(byte: u8) -> bool {
    matches!(byte, 0..b' ' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_bytes_are_counted_in_any_text(text in r#"[a-z\x00-\x30\\\x7f-\u{ff}"]{0,40}"#) {
            let bytes = text.as_bytes();
            let expected = bytes.iter().position(|byte| is_special(*byte)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_len(bytes), expected);
        }

        /// Whatever is read plainly is read in the same way by the parser for everything.
        #[test]
        fn ms_10_both_ways_of_reading_agree(text in message()) {
            if let Some(fields) = plain_fields(&text) {
                prop_assert_eq!(Ok(fields), Fields::parse_any(&text), "{}", text);
            }
        }

        #[test]
        fn ms_10_both_ways_agree_on_texts_with_a_fault(
            text in message(),
            at in any::<prop::sample::Index>(),
            fault in "[\\x00-\\x7fé]?",
            cut_len in 0_usize..3,
        ) {
            let start = text.floor_char_boundary(at.index(text.len()));
            let end = text.floor_char_boundary((start + cut_len).min(text.len())).max(start);
            let text = [&text[..start], &fault, &text[end..]].concat();
            if let Some(fields) = plain_fields(&text) {
                prop_assert_eq!(Ok(fields), Fields::parse_any(&text), "{}", text);
            }
        }
    }

    fn plain_fields(text: &str) -> Option<Fields<'_>> {
        let mut fields = Fields::default();
        fields.fill_plainly(text).map(|()| fields)
    }

    /// Objects that are much like messages.
    fn message() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            8 => prop::sample::select(vec![
                "type", "group", "ackId", "sequenceId", "noEcho", "presence", "history", "dataType", "data", "event",
                "ttlSeconds", "metadata",
            ]).prop_map(str::to_owned),
            1 => "[a-zA-Z]{0,6}",
        ];
        let value = prop_oneof![
            6 => r#""[ -!#-\[\]-~é😀]{0,20}""#,
            2 => r#""([a-z\x00-\x20]|\\[nu"/\\]|\\u00e9|\\ud800){0,6}""#,
            4 => "(true|false|null|nul|truer)",
            4 => "-?[0-9]{1,21}(\\.[0-9])?([eE]1)?",
            2 => r#"(\{\}|\[1, ?\{"a": ?\[null\]\}\]|\{"a"\}|\[\]\]|\{"b":"]"\})"#,
            1 => Just("[".repeat(70) + &"]".repeat(70)),
        ];
        let space = || prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t")];
        let field = (key, space(), space(), value, space())
            .prop_map(|(key, a, b, value, c)| format!(r#""{key}"{a}:{b}{value}{c}"#));
        (space(), prop::collection::vec(field, 0..5), space())
            .prop_map(|(before, fields, after)| format!("{before}{{{}}}{after}", fields.join(",")))
    }

    #[test]
    fn what_clients_usually_write_is_read_plainly() {
        for text in [
            r#"{"type":"sendToGroup","group":"room","dataType":"text","data":"hello é"}"#,
            r#"{"type":"sendToGroup","group":"@user/bob","ackId":1,"dataType":"json","data":{"a":[1,"\n"]},"noEcho":true}"#,
            r#"{"type": "sendToGroup", "group": "room", "data": 12.5, "metadata": {"k": "v"}, "ttlSeconds": 0}"#,
            "{\n  \"type\": \"joinGroup\",\n  \"group\": \"room\",\n  \"ackId\": 9999999999999999999\n}\n",
            r#"{"type":"sequenceAck","sequenceId":18}"#,
            r#"{"type":"sendToGroup","group":"a","dataType":"text","data":"two\nlines"}"#,
        ] {
            let fields = plain_fields(text);
            assert!(fields.is_some(), "{text}");
            assert_eq!(fields, Fields::parse_any(text).ok(), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_parser_for_everything() {
        for text in [
            "",
            "{}",
            r#"{"type":"ping",}"#,
            r#"{"type":"ping"}}"#,
            r#"{"type":"pi\u006eg"}"#,
            r#"{"type":"ping","type":"ping"}"#,
            r#"{"type":"ping","other":1}"#,
            r#"{"type":"ping","ackId":null}"#,
            r#"{"type":"ping","ackId":01}"#,
            r#"{"type":"ping","ackId":18446744073709551615}"#,
            r#"{"type":"ping","ackId":1.0}"#,
            r#"{"type":"ping","data":null}"#,
            "{\"type\":\"ping\n\"}",
        ] {
            assert_eq!(plain_fields(text), None, "{text}");
        }
    }
}
