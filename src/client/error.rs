//! What can go wrong for a client.

use std::fmt;
use std::io;

use crate::http::{OpeningError, SocketUrlError};
use crate::proto::ProtocolError;
#[cfg(feature = "tls")]
use crate::tls::{TlsFault, TrustError};

/// Why a client cannot go on; the text fits on one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The text is not the URL of a WebSocket.
    Url(SocketUrlError),
    /// The connection would have to be encrypted, which this build cannot do.
    #[cfg(not(feature = "tls"))]
    CannotEncrypt,
    /// The connection cannot be encrypted, or the server is not who it should be.
    #[cfg(feature = "tls")]
    Encryption(TlsFault),
    /// Nobody can be trusted to say who the server is.
    #[cfg(feature = "tls")]
    Trust(TrustError),
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
        /// Where the answer points to instead, if it does; nobody follows it.
        location: Option<String>,
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
            #[cfg(feature = "tls")]
            Self::Encryption(fault) => write!(f, "the server cannot be trusted: {fault}"),
            #[cfg(feature = "tls")]
            Self::Trust(error) => write!(f, "{error}"),
            #[cfg(not(feature = "tls"))]
            Self::CannotEncrypt => {
                f.write_str("there is no encryption in this build: use ws:// instead of wss://")
            }
            Self::Field(name) => write!(
                f,
                "the header field {name:?} cannot be written into a request"
            ),
            Self::Resolve(host, error) => write!(f, "cannot find {host}: {error}"),
            Self::Connect(server, error) => write!(f, "cannot connect to {server}: {error}"),
            Self::DialTimeout => f.write_str("the server does not answer in time"),
            Self::Refused {
                status,
                location,
                body,
            } => write_refusal(f, *status, location.as_deref(), body),
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

/// Most characters of a refusal's body that are shown.
const BODY_CHARS_MAX: usize = 200;

/// Status, place and reason of a refusal as one line without anything that a terminal would obey.
fn write_refusal(
    f: &mut fmt::Formatter<'_>,
    status: u16,
    location: Option<&str>,
    body: &str,
) -> fmt::Result {
    write!(f, "the server refuses with status {status}")?;
    if let Some(location) = location {
        // Without the query, in which tokens are.
        let place = location.split('?').next().unwrap_or_default();
        write!(f, " and points to {}", place.escape_debug())?;
    }
    let words: Vec<&str> = body.split_whitespace().collect();
    let line = words.join(" ").replace(char::is_control, "\u{fffd}");
    match line.char_indices().nth(BODY_CHARS_MAX) {
        _ if line.is_empty() => Ok(()),
        None => write!(f, ": {line}"),
        Some((len, _)) => write!(f, ": {}…", &line[..len]),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_short_line_without_queries_and_escape_sequences() {
        let long = "ä".repeat(BODY_CHARS_MAX + 1);
        for (location, body, text) in [
            (None, "", "the server refuses with status 302"),
            (
                None,
                "<h1>\r\n  no\n</h1>\n",
                "the server refuses with status 302: <h1> no </h1>",
            ),
            (
                None,
                "a\u{1b}[31mb",
                "the server refuses with status 302: a\u{fffd}[31mb",
            ),
            (
                Some("https://a/b\n?token=planted"),
                "gone",
                "the server refuses with status 302 and points to https://a/b\\n: gone",
            ),
            (
                None,
                &long,
                &format!(
                    "the server refuses with status 302: {}…",
                    "ä".repeat(BODY_CHARS_MAX)
                ),
            ),
        ] {
            let error = ClientError::Refused {
                status: 302,
                location: location.map(String::from),
                body: body.into(),
            };
            assert_eq!(error.to_string(), text);
        }
    }
}
