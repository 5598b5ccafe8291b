//! One connection of a load: socket, handshake and frames, and nothing that is not needed to count messages.

use std::io::{self, Write};
use std::mem;
use std::time::Instant;

use mio::net::TcpStream;

use super::target::LoadTarget;
use crate::client::dial::request;
use crate::client::frame_queue::FrameQueue;
use crate::client::stream::{Stream, Streams, lost_or};
use crate::client::{ClientConfig, ClientError, Ending};
use crate::http::{Opening, OpeningAnswer};
use crate::proto::{
    CloseCode, CloseFrame, Deflate, Deflater, Incoming, Inflater, MessageReader, OpCode, Role,
};

/// Most bytes of a refusal's body that are kept to be shown.
const REASON_BYTES_MAX: usize = 1024;

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum Happening<'a> {
    /// Its WebSocket is open; it was wanted at this moment.
    Opened(Instant),
    /// This came.
    Message(&'a [u8]),
    /// It has ended, and this is the last that is told of it.
    Ended(End),
}

/// How a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// As this side wanted.
    Done,
    /// The server wanted it.
    Closed(Ending),
    /// It broke, or the WebSocket never opened.
    Failed(ClientError),
}

/// A connection.
pub(super) struct Peer {
    pub(super) stream: Stream<TcpStream>,
    stage: Stage,
    /// Since when it is in that stage, for as long as it does not stay there: all but when it is open.
    since: Instant,
    reader: MessageReader,
    /// How messages may be compressed and what makes sense of those of the server, if that was agreed on.
    compression: Option<Box<(Deflate, Inflater)>>,
    queue: FrameQueue,
    is_writable: bool,
}

enum Stage {
    /// The request waits for the connection.
    Connecting(Opening, Vec<u8>),
    /// This much of the answer has come.
    Upgrading(Opening, Vec<u8>),
    Open,
    /// Our Close frame is queued.
    Closing,
    /// Both Close frames are: the server ends the stream.
    Over,
    /// The server began to close.
    Closed(Ending),
}

impl Peer {
    /// Begins to connect; the WebSocket is wanted since `since`.
    pub(super) fn dial(
        target: &LoadTarget,
        streams: &Streams,
        config: &ClientConfig,
        since: Instant,
    ) -> Result<Self, ClientError> {
        let (opening, request) = request(target.url(), config)?;
        let socket = TcpStream::connect(target.address()).map_err(|error| lost(target, error))?;
        Ok(Self {
            stream: streams.begin(socket),
            stage: Stage::Connecting(opening, request),
            since,
            reader: MessageReader::new(Role::Client),
            compression: None,
            queue: FrameQueue::new(),
            is_writable: false,
        })
    }

    /// Queues a message; the payload is both parts in a row.
    pub(super) fn push(&mut self, opcode: OpCode, parts: [&[u8]; 2], deflater: &mut Deflater) {
        if let Some((deflate, _)) = self.compression.as_deref() {
            let payload = parts.concat();
            if self
                .queue
                .push_compressed(deflater, *deflate, opcode, &payload)
            {
                return;
            }
        }
        self.queue.push(opcode, &parts);
    }

    /// Queues a Close frame, if the WebSocket is open.
    pub(super) fn close(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Open) {
            self.push_close(Some(CloseCode::NORMAL));
            (self.stage, self.since) = (Stage::Closing, now);
        }
    }

    /// Whether messages can be sent.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Bytes that the socket has not taken.
    pub(super) fn unsent_len(&self) -> usize {
        self.queue.unsent().len()
    }

    /// What has taken too long, if anything has.
    pub(super) fn overdue(&self, config: &ClientConfig, now: Instant) -> Option<End> {
        let waited = now.saturating_duration_since(self.since);
        match self.stage {
            Stage::Connecting(..) | Stage::Upgrading(..) => {
                (waited > config.dial_timeout).then_some(End::Failed(ClientError::DialTimeout))
            }
            Stage::Closing | Stage::Over => (waited > config.close_timeout).then_some(End::Done),
            Stage::Open | Stage::Closed(_) => None,
        }
    }

    /// Does what a ready socket makes possible; returns how the connection has ended, if it has.
    pub(super) fn on_ready(
        &mut self,
        event: &mio::event::Event,
        target: &LoadTarget,
        config: &ClientConfig,
        buffer: &mut [u8],
        tell: &mut impl FnMut(Happening<'_>),
    ) -> Option<End> {
        self.is_writable |= event.is_writable();
        let went = self.connect(target).and_then(|is_connected| {
            if !is_connected {
                return Ok(false);
            }
            self.flush()?;
            match event.is_readable() {
                true => self.read(event.is_read_closed(), config, buffer, tell),
                false => Ok(false),
            }
        });
        match (went, mem::replace(&mut self.stage, Stage::Over)) {
            (_, Stage::Closed(ending)) => Some(End::Closed(ending)),
            // Whoever has said good-bye need not wait for the echo.
            (Ok(true) | Err(ClientError::Lost), Stage::Over | Stage::Closing) => Some(End::Done),
            (Ok(true), _) => Some(End::Failed(ClientError::Lost)),
            (Err(error), _) => Some(End::Failed(error)),
            (Ok(false), stage) => {
                self.stage = stage;
                None
            }
        }
    }

    /// Writes until everything is gone or the socket takes no more.
    pub(super) fn flush(&mut self) -> Result<(), ClientError> {
        while self.is_writable {
            let written = match self.queue.unsent() {
                [] => self.stream.flush().map(|()| None),
                unsent => self.stream.write(unsent).map(Some),
            };
            match written {
                Ok(None) => break,
                Ok(Some(len)) => self.queue.on_written(len),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_writable = false,
                    io::ErrorKind::Interrupted => {}
                    // What the server said before it went is still to be read, and so is its end.
                    _ => return Ok(()),
                },
            }
        }
        Ok(())
    }

    /// Sends the request if the connection stands; whether it does.
    fn connect(&mut self, target: &LoadTarget) -> Result<bool, ClientError> {
        let Stage::Connecting(_, request) = &self.stage else {
            return Ok(true);
        };
        let socket = self.stream.socket();
        if let Some(error) = socket.take_error()? {
            return Err(lost(target, error));
        }
        if socket.peer_addr().is_err() {
            return Ok(false);
        }
        socket.set_nodelay(true)?;
        // The first bytes of a connection always fit.
        let len = self
            .stream
            .write(request)
            .map_err(|error| lost(target, error))?;
        if len < request.len() {
            return Err(ClientError::Stalled);
        }
        if let Stage::Connecting(opening, _) = mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Upgrading(opening, Vec::new());
        }
        Ok(true)
    }

    /// Reads until there is nothing more; whether the stream has ended.
    fn read(
        &mut self,
        is_last: bool,
        config: &ClientConfig,
        buffer: &mut [u8],
        tell: &mut impl FnMut(Happening<'_>),
    ) -> Result<bool, ClientError> {
        loop {
            match self.stream.read_available(buffer) {
                Ok((0, _)) => return Ok(true),
                Ok((len, is_all)) => {
                    self.take(&mut buffer[..len], config, tell)?;
                    // What comes later has an event of its own; the end has had its.
                    if is_all && !is_last {
                        return Ok(false);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(false),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(lost_or(error)),
                },
            }
        }
    }

    fn take(
        &mut self,
        input: &mut [u8],
        config: &ClientConfig,
        tell: &mut impl FnMut(Happening<'_>),
    ) -> Result<(), ClientError> {
        let Stage::Upgrading(opening, answer) = &mut self.stage else {
            return self.take_frames(input, config, tell);
        };
        answer.extend_from_slice(input);
        match opening.judge(answer).map_err(ClientError::Opening)? {
            OpeningAnswer::Incomplete => Ok(()),
            OpeningAnswer::Open {
                head_len, deflate, ..
            } => {
                let mut early = answer.split_off(head_len);
                self.reader = MessageReader::with_deflate(Role::Client, deflate);
                self.compression = deflate.map(|deflate| Box::new((deflate, deflate.inflater())));
                self.stage = Stage::Open;
                tell(Happening::Opened(self.since));
                self.take_frames(&mut early, config, tell)
            }
            OpeningAnswer::Refused {
                head_len,
                status,
                location,
                body,
            } => {
                // What has come of the reason has to do: the load is off in any case.
                let beginning = body.beginning(&answer[head_len..], REASON_BYTES_MAX);
                Err(ClientError::Refused {
                    status,
                    location,
                    body: String::from_utf8_lossy(&beginning.content).into_owned(),
                })
            }
        }
    }

    fn take_frames(
        &mut self,
        mut input: &mut [u8],
        config: &ClientConfig,
        tell: &mut impl FnMut(Happening<'_>),
    ) -> Result<(), ClientError> {
        while matches!(self.stage, Stage::Open | Stage::Closing) {
            let inflater = self.compression.as_mut().map(|it| &mut it.1);
            let incoming = self
                .reader
                .next_inflating(&mut input, &config.message, inflater);
            match incoming.map_err(ClientError::Protocol)? {
                None => break,
                Some(Incoming::Message(message)) => tell(Happening::Message(message.payload())),
                Some(Incoming::Pong(_)) => {}
                Some(Incoming::Ping(payload)) => {
                    if matches!(self.stage, Stage::Open) {
                        self.queue.push_pong(payload);
                    }
                }
                Some(Incoming::Close(close)) => {
                    let ending = ending(close);
                    self.on_close(ending);
                }
            }
        }
        self.flush()
    }

    fn on_close(&mut self, ending: Ending) {
        if matches!(self.stage, Stage::Closing) {
            self.stage = Stage::Over;
            return;
        }
        self.push_close(ending.code);
        self.stage = Stage::Closed(ending);
    }

    fn push_close(&mut self, code: Option<CloseCode>) {
        match code {
            None => self.queue.push(OpCode::Close, &[]),
            Some(code) => self.queue.push(OpCode::Close, &[&code.get().to_be_bytes()]),
        }
    }
}

fn ending(close: Option<CloseFrame<'_>>) -> Ending {
    Ending {
        code: close.map(|close| close.code),
        reason: close.map_or_else(String::new, |close| close.reason.into()),
    }
}

fn lost(target: &LoadTarget, error: io::Error) -> ClientError {
    ClientError::Connect(target.url().authority().into(), error)
}
