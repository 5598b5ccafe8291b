//! How a connection ended, or is going to.

use std::fmt;

use super::rates::Excess;
use crate::clock::Moment;
use crate::http::HttpError;
use crate::proto::{CloseCode, ProtocolError};
#[cfg(feature = "tls")]
use crate::tls::TlsFault;

/// How a connection ended: what began it, and the codes of the Close frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What ended the connection.
    pub cause: Cause,
    /// The code of our Close frame; `None` if none was queued, or one without a code.
    pub sent: Option<CloseCode>,
    /// The code of the peer's Close frame; `None` if none came, or one without a code.
    pub received: Option<CloseCode>,
    /// Data frames that were given up in favour of our Close frame.
    pub dropped_count: usize,
}

impl Ending {
    /// The connection goes on.
    pub(super) const NONE: Self = Self {
        cause: Cause::None,
        sent: None,
        received: None,
        dropped_count: 0,
    };
}

/// How long an open WebSocket can last at most, and how the connection ends.
#[derive(Debug)]
pub(super) struct Fate {
    /// When the message that is being received has to be complete.
    pub(super) message_deadline: Moment,
    /// When the credential ends that let the peer in.
    pub(super) expiry: Moment,
    pub(super) ending: Ending,
}

impl Fate {
    /// Nothing is in sight.
    pub(super) const OPEN: Self = Self {
        message_deadline: Moment::NEVER,
        expiry: Moment::NEVER,
        ending: Ending::NONE,
    };
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        for (name, code) in [("sent", self.sent), ("received", self.received)] {
            if let Some(code) = code {
                write!(f, ", {name} {}", code.get())?;
            }
        }
        write!(f, ", {} messages dropped", self.dropped_count)
    }
}

/// What ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It goes on.
    None,
    /// The last response was sent.
    Response,
    /// The request could not be accepted.
    Refused(HttpError),
    /// No request came in time.
    Idle,
    /// The peer began the closing handshake.
    PeerClosed,
    /// The peer's stream ended without a Close frame: code 1006, which is never on the wire (RFC 6455 7.1.5).
    PeerLost,
    /// The peer violated the protocol.
    Violation(ProtocolError),
    /// The peer gave no sign of life.
    Silent,
    /// The peer did not finish a message in time.
    UnfinishedMessage,
    /// More waited for the peer than may wait.
    SlowConsumer,
    /// The peer sent more than its rates allow.
    TooFast(Excess),
    /// Much waited for the peer for too long.
    Backlogged,
    /// The peer took nothing of what waited for it.
    Stalled,
    /// All peers together kept too much busy, and this one the most.
    Overload,
    /// The credential that let the peer in has ended.
    Expired,
    /// The application or the operator closed it.
    Local,
    /// The socket went over to the session that it recovers.
    HandedOver,
    /// There was no place for it.
    NoPlace,
    /// Its encryption could not go on.
    #[cfg(feature = "tls")]
    Encryption(TlsFault),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::None => "open",
            Self::Response => "last response sent",
            Self::Refused(error) => return write!(f, "request refused: {error}"),
            Self::Idle => "no request came",
            Self::PeerClosed => "closed by the peer",
            Self::PeerLost => "lost without a close frame",
            Self::Violation(error) => return write!(f, "protocol violated: {error}"),
            Self::Silent => "no sign of life",
            Self::UnfinishedMessage => "message not finished in time",
            Self::SlowConsumer => "slow consumer",
            Self::TooFast(excess) => excess.reason(),
            Self::Backlogged => "slow consumer for too long",
            Self::Stalled => "nothing taken for too long",
            Self::Overload => "the largest of too much",
            Self::Expired => "credential expired",
            Self::Local => "closed by the server",
            Self::HandedOver => "goes on as another session",
            Self::NoPlace => "no place",
            #[cfg(feature = "tls")]
            Self::Encryption(fault) => return write!(f, "encryption failed: {fault}"),
        };
        f.write_str(text)
    }
}
