//! Connecting, and the opening handshake, within one deadline.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{ClientConfig, ClientError};
use crate::http::{Opening, OpeningAnswer, SocketUrl};

/// Most bytes of a refusal's body that are kept to be shown.
const REASON_BYTES_MAX: usize = 1024;

/// A WebSocket that is open.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: TcpStream,
    /// The subprotocol that the server chose.
    pub(super) subprotocol: Option<String>,
    /// What came right behind the server's answer.
    pub(super) input: Vec<u8>,
}

/// Connects to the server of `url` and opens a WebSocket there.
///
/// # Errors
///
/// Every step has an error of its own, see [`ClientError`].
pub(super) fn dial(url: &SocketUrl, config: &ClientConfig) -> Result<Dialed, ClientError> {
    if url.is_secure() {
        return Err(ClientError::Encryption);
    }
    let opening = opening(config);
    let fields: Vec<_> = config
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = opening.encode(url, &fields).map_err(ClientError::Field)?;
    let addresses = (url.host(), url.port())
        .to_socket_addrs()
        .map_err(|error| ClientError::Resolve(url.host().into(), error))?;
    let deadline = Deadline(Instant::now() + config.dial_timeout);
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, deadline.left()?) {
            Ok(stream) => return deadline.exchange(stream, &opening, &request),
            Err(error) => failure = error,
        }
    }
    Err(match failure.kind() {
        io::ErrorKind::TimedOut => ClientError::DialTimeout,
        _ => ClientError::Connect(url.authority().into(), failure),
    })
}

/// A handshake with a key of its own.
fn opening(config: &ClientConfig) -> Opening {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("the system has a source of random numbers");
    let subprotocols: Vec<_> = config.subprotocols.iter().map(String::as_str).collect();
    Opening::new(nonce, &subprotocols)
}

/// When the whole handshake has to be done.
struct Deadline(Instant);

impl Deadline {
    /// The time that is left.
    fn left(&self) -> Result<Duration, ClientError> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(ClientError::DialTimeout)
        } else {
            Ok(left)
        }
    }

    /// Sends the request and reads the answer.
    fn exchange(
        &self,
        mut stream: TcpStream,
        opening: &Opening,
        request: &[u8],
    ) -> Result<Dialed, ClientError> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(self.left()?))?;
        stream.write_all(request).map_err(timeout_or)?;
        let mut input = Vec::new();
        loop {
            match opening.judge(&input).map_err(ClientError::Opening)? {
                OpeningAnswer::Incomplete => {
                    if self.read_more(&mut stream, &mut input)? == 0 {
                        return Err(ClientError::Lost);
                    }
                }
                OpeningAnswer::Open {
                    head_len,
                    subprotocol,
                } => {
                    input.drain(..head_len);
                    return Ok(Dialed {
                        stream,
                        subprotocol,
                        input,
                    });
                }
                OpeningAnswer::Refused {
                    head_len,
                    status,
                    body_len,
                } => {
                    let end = head_len + body_len.unwrap_or(REASON_BYTES_MAX).min(REASON_BYTES_MAX);
                    // The reason is a courtesy: whatever cuts it short is not worth another error.
                    while input.len() < end
                        && self
                            .read_more(&mut stream, &mut input)
                            .is_ok_and(|len| len > 0)
                    {}
                    input.truncate(end);
                    let body = String::from_utf8_lossy(&input[head_len..]).into_owned();
                    return Err(ClientError::Refused { status, body });
                }
            }
        }
    }

    /// Appends what comes next to `input`; returns how many bytes that are.
    fn read_more(&self, stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<usize, ClientError> {
        let mut buffer = [0; 4096];
        loop {
            stream.set_read_timeout(Some(self.left()?))?;
            match stream.read(&mut buffer) {
                Ok(len) => {
                    input.extend_from_slice(&buffer[..len]);
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(timeout_or(error)),
            }
        }
    }
}

/// What a blocking call on a socket with a timeout says when the time is over, or something else.
fn timeout_or(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::DialTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ClientError::Lost,
        _ => ClientError::Io(error),
    }
}
