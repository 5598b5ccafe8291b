//! What a peer has said: whole messages and control frames, and how much of it may be one message.

use std::fmt;

use super::utf8::to_text;
use super::{CloseFrame, OpCode};

/// The limits of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Payload bytes of a message, all its fragments together.
    pub message_bytes_max: u64,
    /// Frames of a message, empty ones included. Judged from the second frame on: a message in a
    /// single frame is always within it.
    pub fragments_max: u32,
}

impl MessageLimits {
    /// Payload bytes on the wire of a message: a compressed one that does not gain by it is a little longer than the
    /// message, by an eighth if its compressor knows no better.
    pub(super) fn wire_bytes_max(&self, is_compressed: bool) -> u64 {
        const SLACK_BYTES: u64 = 4 << 10;
        let slack = if is_compressed {
            (self.message_bytes_max / 4).saturating_add(SLACK_BYTES)
        } else {
            0
        };
        self.message_bytes_max.saturating_add(slack)
    }
}

/// A whole message or control frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A data message.
    Message(Message<'a>),
    /// A Ping with its payload, which the Pong must repeat (RFC 6455 5.5.2).
    Ping(&'a [u8]),
    /// A Pong with its payload (RFC 6455 5.5.3).
    Pong(&'a [u8]),
    /// A Close; `None` if it is empty (RFC 6455 5.5.1).
    Close(Option<CloseFrame<'a>>),
}

/// Shows payloads by their length.
impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Ping(payload) => write!(f, "Ping({} bytes)", payload.len()),
            Self::Pong(payload) => write!(f, "Pong({} bytes)", payload.len()),
            Self::Close(None) => f.write_str("Close"),
            Self::Close(Some(close)) => close.fmt(f),
        }
    }
}

/// A whole data message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text: valid UTF-8 over the whole message.
    Text(Text<'a>),
    /// Binary: any bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The opcode of a frame with this message.
    #[inline]
    pub fn opcode(&self) -> OpCode {
        match self {
            Self::Text(_) => OpCode::Text,
            Self::Binary(_) => OpCode::Binary,
        }
    }

    /// The bytes of the message.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// The text of a message, which was judged when it came.
///
/// It becomes a `str` when somebody wants to read it. Most texts are passed on unread; and that one is ASCII, as most are, is
/// seen when it is unmasked, in a small part of the time that it takes to make a `str` of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// These bytes, if they are valid UTF-8.
    #[inline]
    pub(super) fn judge(bytes: &'a [u8]) -> Option<Self> {
        to_text(bytes).map(Self::from)
    }

    /// These bytes, which are ASCII.
    #[inline]
    pub(super) fn of_ascii(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.is_ascii(), "that was seen before");
        Self(bytes)
    }

    /// The text, to be read.
    ///
    /// # Panics
    ///
    /// Never: only what is valid becomes a text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        to_text(self.0).expect("it was valid when it came")
    }

    /// The text, to be passed on.
    #[must_use]
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

/// Shows the text by its length.
impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// Shows the payload by its length.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.opcode(), self.payload().len())
    }
}
