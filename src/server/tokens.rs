//! The tokens by which a poll names what is ready. That of a connection is its id, whose slots count from one, so the
//! tokens of slot zero are free for everything else.

use mio::Token;
use mio::event::Event;
use slotmap::{DefaultKey, Key, KeyData};

use crate::delivery::SessionId;

/// Letters are in the mailbox.
pub(super) const WAKER: Token = Token(0);
/// The system has a signal for us.
pub(super) const SIGNALS: Token = Token(1 << 32);

/// The token of the listening socket with this number.
pub(super) fn listener(index: usize) -> Token {
    Token((index + 2) << 32)
}

/// What a poll says of one token. A hint: the socket may have nothing to read and no room, and may be gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) token: Token,
    pub(super) is_readable: bool,
    /// Whether the end of the stream, or an error, lies behind what there is to read.
    pub(super) has_ended: bool,
    pub(super) is_writable: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        let has_ended = event.is_read_closed() || event.is_error();
        Self {
            token: event.token(),
            // Whatever has happened to a socket, the next read tells.
            is_readable: event.is_readable() || has_ended,
            has_ended,
            is_writable: event.is_writable(),
        }
    }
}

/// The slot that an id names. An id of another loop must not get here.
pub(super) fn key_of(id: SessionId) -> DefaultKey {
    KeyData::from_ffi(u64::from(id.generation()) << 32 | u64::from(id.slot())).into()
}

pub(super) fn id_of(index: u8, key: DefaultKey) -> Option<SessionId> {
    let bits = key.data().as_ffi();
    let [generation, slot] =
        [bits >> 32, bits & u64::from(u32::MAX)].map(|half| u32::try_from(half).ok());
    SessionId::new(index, slot?, generation?)
}

/// The token of a connection is its id; `usize` has 64 bits on every system that this server runs on.
pub(super) fn token_of(id: SessionId) -> Token {
    Token(usize::try_from(id.to_bits()).unwrap_or_default())
}
