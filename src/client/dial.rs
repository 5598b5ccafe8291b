//! Connecting, and the opening handshake, within one deadline.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::patience::after;
use super::stream::{Stream, Streams, lost_or};
use super::{ClientConfig, ClientError};
use crate::http::{AnswerBody, Opening, OpeningAnswer, SocketUrl};
use crate::proto::Deflate;

/// Most bytes of a refusal's body that are kept to be shown.
const REASON_BYTES_MAX: usize = 1024;
/// How long that body may keep whoever waits: it is a courtesy, and some servers never end it.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);

/// A WebSocket that is open.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: Stream<TcpStream>,
    /// The subprotocol that the server chose.
    pub(super) subprotocol: Option<String>,
    /// How messages may be compressed, if that was agreed on.
    pub(super) deflate: Option<Deflate>,
    /// What came right behind the server's answer.
    pub(super) input: Vec<u8>,
}

/// Connects to the server of `url` and opens a WebSocket there.
///
/// # Errors
///
/// Every step has an error of its own, see [`ClientError`].
pub(super) fn dial(
    url: &SocketUrl,
    config: &ClientConfig,
    streams: &Streams,
) -> Result<Dialed, ClientError> {
    let (opening, request) = request(url, config)?;
    let (deadline, stream) = Deadline::connect(url, config, streams)?;
    deadline.exchange(stream, &opening, &request)
}

/// A handshake with a key of its own, and the request that begins it.
///
/// # Errors
///
/// A field that cannot be written.
pub(super) fn request(
    url: &SocketUrl,
    config: &ClientConfig,
) -> Result<(Opening, Vec<u8>), ClientError> {
    let opening = opening(config);
    let fields: Vec<_> = config
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = opening.encode(url, &fields).map_err(ClientError::Field)?;
    Ok((opening, request))
}

fn opening(config: &ClientConfig) -> Opening {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("the system has a source of random numbers");
    let subprotocols: Vec<_> = config.subprotocols.iter().map(String::as_str).collect();
    let opening = Opening::new(nonce, &subprotocols);
    #[cfg(feature = "deflate")]
    if config.offers_compression {
        return opening.offering_compression();
    }
    opening
}

/// When the whole exchange has to be done.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// Looks the server of `url` up, and connects to it; the time that it may take counts from then on.
    pub(super) fn connect(
        url: &SocketUrl,
        config: &ClientConfig,
        streams: &Streams,
    ) -> Result<(Self, Stream<TcpStream>), ClientError> {
        let addresses: Vec<_> = (url.host(), url.port())
            .to_socket_addrs()
            .map_err(|error| ClientError::Resolve(url.host().into(), error))?
            .collect();
        let deadline = Self(after(Instant::now(), config.dial_timeout));
        let socket = deadline.connect_to(url, &addresses)?;
        socket.set_nodelay(true)?;
        Ok((deadline, deadline.agree(streams.begin(socket))?))
    }

    /// Agrees on encryption with the server, if there is to be any.
    fn agree(self, mut stream: Stream<TcpStream>) -> Result<Stream<TcpStream>, ClientError> {
        loop {
            let left = Some(self.left()?);
            stream.socket().set_read_timeout(left)?;
            stream.socket().set_write_timeout(left)?;
            match stream.advance() {
                Ok(true) => return Ok(stream),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(ClientError::Lost);
                }
                Err(error) => return Err(timeout_or(error)),
            }
        }
    }

    /// The first connection that one of the addresses takes; one that does not answer leaves time for those behind it.
    fn connect_to(
        self,
        url: &SocketUrl,
        addresses: &[SocketAddr],
    ) -> Result<TcpStream, ClientError> {
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for (tried, address) in addresses.iter().enumerate() {
            let shares = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            // The system takes no timeout of zero.
            let share = (self.left()? / shares).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(address, share) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(match failure.kind() {
            io::ErrorKind::TimedOut => ClientError::DialTimeout,
            _ => ClientError::Connect(url.authority().into(), failure),
        })
    }

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
        mut stream: Stream<TcpStream>,
        opening: &Opening,
        request: &[u8],
    ) -> Result<Dialed, ClientError> {
        self.write(&mut stream, request)?;
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
                    deflate,
                } => {
                    input.drain(..head_len);
                    return Ok(Dialed {
                        stream,
                        subprotocol,
                        deflate,
                        input,
                    });
                }
                OpeningAnswer::Refused {
                    head_len,
                    status,
                    location,
                    body,
                } => {
                    input.drain(..head_len);
                    let body = self.read_reason(&mut stream, &mut input, body);
                    return Err(ClientError::Refused {
                        status,
                        location,
                        body,
                    });
                }
            }
        }
    }

    /// Sends `request` in full.
    pub(super) fn write(
        &self,
        stream: &mut Stream<TcpStream>,
        request: &[u8],
    ) -> Result<(), ClientError> {
        stream.socket().set_write_timeout(Some(self.left()?))?;
        stream.write_all(request).map_err(timeout_or)?;
        stream.flush().map_err(timeout_or)
    }

    /// The beginning of a refusal's body; whatever cuts it short is not worth another error.
    pub(super) fn read_reason(
        &self,
        stream: &mut Stream<TcpStream>,
        input: &mut Vec<u8>,
        body: AnswerBody,
    ) -> String {
        let patience = Self(self.0.min(Instant::now() + REASON_TIMEOUT));
        loop {
            let beginning = body.beginning(input, REASON_BYTES_MAX);
            if beginning.is_complete || !patience.read_more(stream, input).is_ok_and(|len| len > 0)
            {
                return String::from_utf8_lossy(&beginning.content).into_owned();
            }
        }
    }

    /// Appends what comes next to `input`; returns how many bytes that are.
    pub(super) fn read_more(
        &self,
        stream: &mut Stream<TcpStream>,
        input: &mut Vec<u8>,
    ) -> Result<usize, ClientError> {
        let mut buffer = [0; 4096];
        loop {
            stream.socket().set_read_timeout(Some(self.left()?))?;
            match stream.read_once(&mut buffer) {
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
        _ => lost_or(error),
    }
}
