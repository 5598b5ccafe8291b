//! Three independent readers of the same streams, and what each makes of one.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use switchboard::clock::Moment;
use switchboard::config::Config;
use switchboard::http::Handshake;
use switchboard::outbox::Outbox;
use switchboard::proto::{
    Incoming, Message, MessageLimits, MessageReader, OpCode, ProtocolError, Role,
};
use switchboard::session::{Event as SessionEvent, Session};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::{Role as TungsteniteRole, WebSocket, WebSocketConfig};

/// Something that a reader tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

/// How a stream ends for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// More bytes could follow.
    Open,
    /// With the Close frame that is the last event.
    Closed,
    /// With a fault, which has this status code.
    Failed(u16),
}

/// What a reader makes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) end: End,
}

/// A stream in the pieces in which it arrives.
#[derive(Clone, Copy)]
pub(crate) struct Arriving<'a> {
    pub(crate) stream: &'a [u8],
    /// The length of a piece.
    pub(crate) piece_len: usize,
}

impl<'a> Arriving<'a> {
    fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        self.stream.chunks(self.piece_len)
    }
}

/// What our reader makes of it, and the fault that it names.
pub(crate) fn ours(
    arriving: Arriving<'_>,
    limits: &MessageLimits,
) -> (Outcome, Option<ProtocolError>) {
    let mut reader = MessageReader::new(Role::Server);
    let mut events = Vec::new();
    for piece in arriving.pieces() {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            let event = match reader.next(&mut input, limits) {
                Ok(None) => break,
                Ok(Some(Incoming::Message(Message::Text(text)))) => {
                    Event::Text(text.as_str().to_owned())
                }
                Ok(Some(Incoming::Message(Message::Binary(bytes)))) => {
                    Event::Binary(bytes.to_vec())
                }
                Ok(Some(Incoming::Ping(payload))) => Event::Ping(payload.to_vec()),
                Ok(Some(Incoming::Pong(payload))) => Event::Pong(payload.to_vec()),
                Ok(Some(Incoming::Close(close))) => {
                    events.push(Event::Close(
                        close.map(|close| (close.code.get(), close.reason.to_owned())),
                    ));
                    return (
                        Outcome {
                            events,
                            end: End::Closed,
                        },
                        None,
                    );
                }
                Err(fault) => {
                    let end = End::Failed(fault.close_code().get());
                    return (Outcome { events, end }, Some(fault));
                }
            };
            events.push(event);
        }
    }
    (
        Outcome {
            events,
            end: End::Open,
        },
        None,
    )
}

/// The messages that a session tells its application, and what it sends back.
pub(crate) fn our_session(arriving: Arriving<'_>, limits: &MessageLimits) -> (Vec<Event>, Vec<u8>) {
    let mut config = Config::default();
    config.message = *limits;
    let now = Moment::START;
    let mut session = Session::new(now, &config);
    let mut outbox = Outbox::default();
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for piece in std::iter::once(HEAD).chain(arriving.pieces()) {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = session.next_event(&mut input, now, &config, &mut outbox) {
            match event {
                SessionEvent::Request(request) => {
                    let handshake = Handshake::accept(&request).expect("a good request");
                    session.open(&handshake, Duration::from_secs(20), now, &mut outbox);
                    outbox
                        .write_to(&mut io::sink(), usize::MAX, now)
                        .expect("a sink takes everything");
                }
                SessionEvent::Message(message) => {
                    let payload = message.payload().to_vec();
                    events.push(match message.opcode() {
                        OpCode::Text => {
                            Event::Text(String::from_utf8(payload).expect("a text is text"))
                        }
                        _ => Event::Binary(payload),
                    });
                }
                SessionEvent::Handled
                | SessionEvent::Control
                | SessionEvent::Answered(_)
                | SessionEvent::Closed => {}
            }
        }
        // Each piece is answered before the next, as over a socket.
        if !session.is_open() {
            session.push_owed_close(&mut outbox);
        }
        outbox
            .write_to(&mut sent, usize::MAX, now)
            .expect("a vector takes everything");
    }
    (events, sent)
}

const HEAD: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Somebody else's reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decoder {
    Tungstenite,
    TokioWebsockets,
}

impl Decoder {
    /// What it makes of a stream.
    pub(crate) fn read(self, arriving: Arriving<'_>, limits: &MessageLimits) -> Outcome {
        match self {
            Self::Tungstenite => tungstenite(arriving, limits),
            Self::TokioWebsockets => tokio_websockets(arriving, limits),
        }
    }
}

fn tungstenite(arriving: Arriving<'_>, limits: &MessageLimits) -> Outcome {
    use tungstenite::{Error, Message, error::ProtocolError};
    let len_max = bytes_max(limits);
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(len_max))
        .max_frame_size(Some(len_max));
    let mut socket =
        WebSocket::from_raw_socket(OneWay(arriving), TungsteniteRole::Server, Some(config));
    let mut events = Vec::new();
    let end = loop {
        events.push(match socket.read() {
            Ok(Message::Text(text)) => Event::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Event::Binary(bytes.to_vec()),
            Ok(Message::Ping(payload)) => Event::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Event::Pong(payload.to_vec()),
            Ok(Message::Frame(_)) => unreachable!("frames are only sent, never read"),
            Ok(Message::Close(close)) => {
                let close =
                    close.map(|close| (close.code.into(), close.reason.as_str().to_owned()));
                events.push(Event::Close(close));
                break End::Closed;
            }
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break End::Open,
            Err(Error::Protocol(_)) => break End::Failed(1002),
            Err(Error::Utf8(_)) => break End::Failed(1007),
            Err(Error::Capacity(_)) => break End::Failed(1009),
            Err(error) => panic!("{error:?}"),
        });
    };
    Outcome { events, end }
}

fn tokio_websockets(arriving: Arriving<'_>, limits: &MessageLimits) -> Outcome {
    use tokio_websockets::{Error, Limits, ServerBuilder, proto::ProtocolError};
    let len_max = bytes_max(limits);
    let mut socket = ServerBuilder::new()
        .limits(Limits::default().max_payload_len(Some(len_max)))
        .serve(OneWay(arriving));
    let mut context = Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    let end = loop {
        let Poll::Ready(item) = Pin::new(&mut socket).poll_next(&mut context) else {
            unreachable!("the stream is all there");
        };
        let message = match item {
            Some(Ok(message)) => message,
            None | Some(Err(Error::Io(_))) => break End::Open,
            Some(Err(Error::Protocol(ProtocolError::InvalidUtf8))) => break End::Failed(1007),
            Some(Err(Error::Protocol(_))) => break End::Failed(1002),
            Some(Err(Error::PayloadTooLong { .. })) => break End::Failed(1009),
            Some(Err(error)) => panic!("{error:?}"),
        };
        let (is_text, is_binary, is_ping, is_pong) = (
            message.is_text(),
            message.is_binary(),
            message.is_ping(),
            message.is_pong(),
        );
        let payload = message.into_payload().to_vec();
        events.push(match (is_text, is_binary, is_ping, is_pong) {
            // It gives what it has not looked at in full, see the table of differences.
            (true, ..) => Event::Text(String::from_utf8_lossy(&payload).into_owned()),
            (_, true, ..) => Event::Binary(payload),
            (_, _, true, _) => Event::Ping(payload),
            (_, _, _, true) => Event::Pong(payload),
            _ => {
                events.push(Event::Close(payload.split_first_chunk().map(
                    |(code, reason)| {
                        (
                            u16::from_be_bytes(*code),
                            String::from_utf8_lossy(reason).into_owned(),
                        )
                    },
                )));
                break End::Closed;
            }
        });
    };
    Outcome { events, end }
}

fn bytes_max(limits: &MessageLimits) -> usize {
    usize::try_from(limits.message_bytes_max).expect("the limits here are small")
}

/// A stream to read from; what is written is lost.
struct OneWay<'a>(Arriving<'a>);

impl OneWay<'_> {
    fn next_bytes(&mut self, len_max: usize) -> &[u8] {
        let len = self.0.piece_len.min(len_max).min(self.0.stream.len());
        let (piece, rest) = self.0.stream.split_at(len);
        self.0.stream = rest;
        piece
    }
}

impl Read for OneWay<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.next_bytes(out.len()).read(out)
    }
}

impl Write for OneWay<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for OneWay<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.next_bytes(out.remaining());
        out.put_slice(piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for OneWay<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
