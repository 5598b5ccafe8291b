//! What a client wants to tell others: a JSON text that is checked against its type and never changed.

use std::borrow::Cow;

use serde_json::value::RawValue;

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
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|data_type| data_type.name().eq_ignore_ascii_case(name))
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload<'a> {
    /// What the value is.
    data_type: DataType,
    /// The value as it stood in the message.
    json: &'a str,
}

impl<'a> Payload<'a> {
    /// Takes `data`, a complete JSON value, as what `data_type` says; `None` if it is something else.
    pub(super) fn new(data_type: DataType, data: &'a RawValue) -> Option<Self> {
        let json = data.get();
        let fits = match data_type {
            DataType::Json => json != "null",
            DataType::Text => json.starts_with('"'),
            DataType::Binary => json.starts_with('"') && is_base64_string(json),
        };
        fits.then_some(Self { data_type, json })
    }

    /// What the value is.
    pub(super) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The value as it stood in the message.
    pub(super) fn json(&self) -> &'a str {
        self.json
    }
}

/// Whether the JSON string `json` (with its quotation marks) is padded base64.
///
/// Some encoders escape `/` or `+`; only then is the string decoded for the check.
fn is_base64_string(json: &str) -> bool {
    let text = if json.contains('\\') {
        serde_json::from_str::<String>(json).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(json.trim_matches('"')))
    };
    text.is_ok_and(|text| is_base64(text.as_bytes()))
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

#[cfg(test)]
mod tests {
    use super::{DataType, Payload};
    use serde_json::value::RawValue;

    fn fits(data_type: DataType, json: &str) -> bool {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let payload = Payload::new(data_type, raw);
        assert!(payload.is_none_or(|payload| payload.json() == json));
        payload.is_some()
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
    fn names_of_types_are_read_in_any_case() {
        assert_eq!(DataType::from_name("JSON"), Some(DataType::Json));
        assert_eq!(DataType::from_name("Text"), Some(DataType::Text));
        assert_eq!(DataType::from_name("binary"), Some(DataType::Binary));
        assert_eq!(DataType::from_name("protobuf"), None);
        assert_eq!(DataType::from_name(""), None);
    }
}
