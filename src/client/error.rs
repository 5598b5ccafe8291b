//! What can go wrong for a client.

use std::fmt;
use std::io;

use crate::http::{OpeningError, SocketUrlError};
use crate::proto::ProtocolError;

/// Why a client cannot go on; the text fits on one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The text is not the URL of a WebSocket.
    Url(SocketUrlError),
    /// The connection would have to be encrypted, which this build cannot do.
    Encryption,
    /// The field with this name cannot be written into a request.
    Field(String),
    /// The name of the server has no address.
    Resolve(String, io::Error),
    /// No address of the server takes the connection; the error is that of the last one.
    Connect(String, io::Error),
    /// The server has not answered the opening handshake in time.
    DialTimeout,
    /// The server answers the opening handshake with a status of its own.
    Refused {
        /// The status (RFC 9110 15).
        status: u16,
        /// The beginning of the answer's body, which often says why.
        body: String,
    },
    /// The answer to the opening handshake cannot be trusted.
    Opening(OpeningError),
    /// The server broke the protocol.
    Protocol(ProtocolError),
    /// The stream has ended without a Close frame.
    Lost,
    /// The server gives no sign of life.
    Silent,
    /// The server takes nothing of what is sent.
    Stalled,
    /// The WebSocket is closed, or being closed, and nothing can be sent any more.
    Closed,
    /// The payload of a ping is longer than 125 bytes.
    PingTooLong,
    /// The system says this.
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "{error}"),
            Self::Encryption => {
                f.write_str("this build has no encryption: use ws:// instead of wss://")
            }
            Self::Field(name) => write!(
                f,
                "the header field {name:?} cannot be written into a request"
            ),
            Self::Resolve(host, error) => write!(f, "cannot find {host}: {error}"),
            Self::Connect(server, error) => write!(f, "cannot connect to {server}: {error}"),
            Self::DialTimeout => f.write_str("the server does not answer in time"),
            Self::Refused { status, body } if body.is_empty() => {
                write!(f, "the server refuses with status {status}")
            }
            Self::Refused { status, body } => {
                write!(
                    f,
                    "the server refuses with status {status}: {}",
                    body.trim().escape_debug()
                )
            }
            Self::Opening(error) => write!(f, "{error}"),
            Self::Protocol(error) => write!(f, "the server broke the protocol: {error}"),
            Self::Lost => f.write_str("the connection is lost"),
            Self::Silent => f.write_str("the server gives no sign of life"),
            Self::Stalled => f.write_str("the server takes nothing of what is sent"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::PingTooLong => f.write_str("the payload of a ping has at most 125 bytes"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve(_, error) | Self::Connect(_, error) | Self::Io(error) => Some(error),
            Self::Url(error) => Some(error),
            Self::Opening(error) => Some(error),
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
