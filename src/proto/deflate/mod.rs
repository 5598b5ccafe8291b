//! permessage-deflate: messages that are compressed as a whole (RFC 7692).
//!
//! | Part | Does |
//! |---|---|
//! | [`Deflate`] | says what one WebSocket has agreed on |
//! | [`Deflater`] | compresses frames that are to be sent, for everyone who gets them |
//! | [`CompressedRest`] | is compressed once for messages that begin differently for each receiver |
//! | [`Inflater`] | makes messages of what came compressed |
//!
//! What we send never refers to an earlier message, whatever was agreed on: so one compressed frame serves all receivers
//! with windows of the same size, one [`Deflater`] serves all connections of a loop, and an idle one holds nothing. A
//! message that gains nothing by it goes as it is, which needs no agreement (RFC 7692 6).
//!
//! As a server we say so in every answer, `server_no_context_takeover`, and ask the same of the client, which an answer
//! may do whatever was offered (RFC 7692 7.1.1). To keep a context for replies alone would not do: a client has one window
//! for all that it gets, so what it shares with others would have to pass through its compressor, too, a compression for
//! each receiver and up to 32 KiB of window each way for every client. As a client we take servers that keep theirs.

mod deflater;
mod inflater;
#[cfg(test)]
mod naive;
mod rest;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::deflater::{DeflateTally, Deflater};
pub use self::inflater::Inflater;
pub use self::rest::CompressedRest;

/// What the two ends of a WebSocket have agreed on, seen from one of them (RFC 7692 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// How far back in a message our compressed data may refer at most.
    pub own_window: WindowBits,
    /// Whether the peer's messages may refer to its earlier ones.
    pub peer_keeps_context: bool,
}

impl Deflate {
    /// What makes sense of the peer's messages.
    #[must_use]
    pub fn inflater(self) -> Inflater {
        Inflater::new(self.peer_keeps_context)
    }

    /// What makes sense of one message alone; `None` if the peer may refer to earlier ones.
    pub(super) fn inflater_of_one(self) -> Option<Inflater> {
        (!self.peer_keeps_context).then(|| Inflater::new(false))
    }
}

/// The size of a window: the binary logarithm of its bytes, 8 to 15 (RFC 7692 7.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// The largest window: 32 KiB, which is what holds if nothing was said.
    pub const MAX: Self = Self(15);

    /// Reads the value of a parameter: decimal, without a leading zero.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'8'..=b'9'] => Some(Self(digit.wrapping_sub(b'0'))),
            [b'1', digit @ b'0'..=b'5'] => Some(Self(digit.wrapping_sub(b'0').wrapping_add(10))),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
