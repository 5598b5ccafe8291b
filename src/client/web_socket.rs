//! One WebSocket to a server: the one place where socket, clock and conversation meet.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::conversation::Conversation;
use super::dial::{Dialed, dial};
use super::doorbell::Doorbell;
use super::patience::{Patience, after};
use super::sender::{Order, Sender};
use super::stream::{Stream, Streams, lost_or};
use super::{ClientConfig, ClientError, Event};
use crate::http::SocketUrl;
use crate::proto::{CloseCode, OpCode};

/// Bytes read from the socket at once.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// A sender waits while more bytes than this wait to be written.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Nothing more is read while events of this size wait to be taken.
const QUEUED_BYTES_MAX: usize = 16 << 20;
/// What one of them costs even if it is empty.
const EVENT_BYTES: usize = size_of::<Event>();
/// Most reads before something else has its turn: a server that never stops must not keep us from the rest.
const READS_MAX: usize = 16;
/// Longest payload of a ping (RFC 6455 5.5).
const PING_BYTES_MAX: usize = 125;

/// A WebSocket that this side has opened; blocks the thread that uses it, and no longer than the timeouts of its
/// [`ClientConfig`] say.
pub struct WebSocket {
    bell: Doorbell,
    stream: Stream<TcpStream>,
    /// What came with the answer to the handshake, and was not looked at yet.
    early: Vec<u8>,
    is_readable: bool,
    is_writable: bool,
    /// Whether another thread has rung, which nobody was told yet.
    is_rung: bool,
    buffer: Box<[u8]>,
    conversation: Conversation,
    subprotocol: Option<String>,
    /// Events that were read while something was sent.
    queue: VecDeque<Event>,
    queued_len: usize,
    orders: Receiver<Order>,
    sender: Sender,
    patience: Patience,
    /// What ended the connection before its time, until that is told.
    failure: Option<ClientError>,
    /// Whether nothing more comes: the end is in the queue, or it is the failure, or it was told.
    is_ended: bool,
}

impl WebSocket {
    /// Opens a WebSocket at `url`.
    ///
    /// # Errors
    ///
    /// `url` or `config` cannot be used, the server cannot be reached, or it does not open a WebSocket.
    pub fn dial(url: &str, config: &ClientConfig) -> Result<Self, ClientError> {
        let url = SocketUrl::parse(url).map_err(ClientError::Url)?;
        Self::dial_url(&url, config)
    }

    /// The same for a URL that was parsed already.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::dial`].
    pub fn dial_url(url: &SocketUrl, config: &ClientConfig) -> Result<Self, ClientError> {
        let dialed = dial(url, config, &Streams::to(url, config)?)?;
        Self::begin(dialed, Doorbell::new()?, config)
    }

    /// Goes on with a WebSocket that is open.
    pub(super) fn begin(
        dialed: Dialed,
        bell: Doorbell,
        config: &ClientConfig,
    ) -> Result<Self, ClientError> {
        let Dialed {
            stream,
            subprotocol,
            deflate,
            input,
        } = dialed;
        let mut stream = stream.into_nonblocking()?;
        bell.watch(stream.socket())?;
        let (orders_in, orders) = mpsc::channel();
        let sender = Sender::new(orders_in, bell.waker());
        Ok(Self {
            bell,
            stream,
            early: input,
            is_readable: true,
            is_writable: true,
            is_rung: false,
            buffer: vec![0; READ_BUFFER_BYTES].into_boxed_slice(),
            conversation: Conversation::new(config.message).with_deflate(deflate),
            subprotocol,
            queue: VecDeque::new(),
            queued_len: 0,
            orders,
            sender,
            patience: Patience::new(config, Instant::now()),
            failure: None,
            is_ended: false,
        })
    }

    /// Sends a text message; waits while much of what was sent before is not written yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Closed`] if the WebSocket is closed or lost; [`WebSocket::next_event`] says why.
    pub fn send_text(&mut self, text: &str) -> Result<(), ClientError> {
        self.send(OpCode::Text, text.as_bytes())
    }

    /// Sends a binary message; waits as [`WebSocket::send_text`] does.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send_text`].
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.send(OpCode::Binary, bytes)
    }

    /// Sends a ping; the answer is an [`Event::Pong`] with the same payload.
    ///
    /// # Errors
    ///
    /// The payload has more than 125 bytes; else as [`WebSocket::send_text`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        if payload.len() > PING_BYTES_MAX {
            return Err(ClientError::PingTooLong);
        }
        self.send(OpCode::Ping, payload)
    }

    /// Begins to close the WebSocket, after what was sent; go on with [`WebSocket::next_event`] until it is closed. Does
    /// nothing if it is being closed already.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.conversation.close(code, reason);
        self.step();
    }

    /// The next thing that comes from the server; `None` if nothing does within `timeout`, and without one only when the
    /// WebSocket has ended and that was told.
    ///
    /// Anything that other threads want to be sent is sent meanwhile, pings are answered, and a server that says nothing
    /// for too long is pinged.
    ///
    /// # Errors
    ///
    /// The WebSocket is lost, or the server broke the protocol; told once, after all events before it.
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, ClientError> {
        let until = timeout.map(|timeout| after(Instant::now(), timeout));
        loop {
            match self.next_event_or_ring(until)? {
                // Somebody sends something, which is no event; the end may have come with it, which is one.
                None if !self.is_told() && until.is_none_or(|until| Instant::now() < until) => {}
                event => return Ok(event),
            }
        }
    }

    /// The same, but ends when another thread rings, too.
    pub(super) fn next_event_or_ring(
        &mut self,
        until: Option<Instant>,
    ) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                self.queued_len -= event.cost();
                return Ok(Some(event));
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            if self.is_ended {
                return Ok(None);
            }
            self.step();
            if !self.queue.is_empty() || self.is_ended {
                continue;
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(None);
            }
            let deadline = until.into_iter().chain(self.patience.deadline()).min();
            if !self.is_rung {
                self.wait(deadline)?;
            }
            if std::mem::take(&mut self.is_rung) {
                self.step();
                return Ok(None);
            }
        }
    }

    /// Drops the socket and keeps what it was waited for with.
    pub(super) fn into_bell(mut self) -> Doorbell {
        self.bell.forget(self.stream.socket());
        self.bell
    }

    /// A handle with which other threads send.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// The subprotocol that the server chose, if any.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Whether the WebSocket has ended, and there is nothing left to tell of it.
    fn is_told(&self) -> bool {
        self.is_ended && self.queue.is_empty() && self.failure.is_none()
    }

    fn send(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), ClientError> {
        if self.is_ended || !self.conversation.is_open() {
            return Err(ClientError::Closed);
        }
        self.conversation.send(opcode, payload);
        self.step();
        while !self.is_ended && self.conversation.unsent().len() > UNSENT_BYTES_MAX {
            self.wait(self.patience.deadline())?;
            self.step();
        }
        if self.failure.is_some() {
            return Err(ClientError::Closed);
        }
        Ok(())
    }

    /// Does whatever can be done without waiting.
    fn step(&mut self) {
        if self.is_ended {
            return;
        }
        if let Err(error) = self.try_step() {
            self.failure = Some(error);
        }
        if self.failure.is_some() || self.conversation.is_over() {
            self.is_ended = true;
            self.wind_down();
        }
    }

    fn try_step(&mut self) -> Result<(), ClientError> {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Send(opcode, payload) => self.conversation.send(opcode, &payload),
                Order::Close(code, reason) => self.conversation.close(code, &reason),
                Order::Nudge => self.push_event(Event::Nudged),
            }
        }
        let mut early = std::mem::take(&mut self.early);
        self.converse(&mut early)?;
        let now = Instant::now();
        if self.patience.wants_ping(now) && self.conversation.is_open() {
            self.conversation.send(OpCode::Ping, &[]);
        }
        self.write(now)?;
        self.read()?;
        // What was read may have to be answered, and no event would remind us.
        self.write(now)?;
        if self.conversation.is_over() {
            return Ok(());
        }
        if !self.conversation.is_open() {
            self.patience.end_soon(now);
        }
        if self.patience.judge(now).is_err() {
            // The application may have been away for long: what has become of the socket meanwhile was not asked.
            self.wait(Some(now))?;
            self.write(now)?;
            self.read()?;
            self.write(now)?;
        }
        self.patience.judge(now)
    }

    /// Sleeps until the socket is ready, another thread wants something, or the deadline.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), ClientError> {
        let deadline = if self.can_read() {
            // What is there already brings no event.
            Some(Instant::now())
        } else {
            deadline
        };
        let rung = self.bell.wait(deadline)?;
        self.is_readable |= rung.is_readable;
        self.is_writable |= rung.is_writable;
        self.is_rung |= rung.by_other;
        Ok(())
    }

    /// Whether something may be there to read, and room for it.
    fn can_read(&self) -> bool {
        self.is_readable && self.queued_len < QUEUED_BYTES_MAX && !self.conversation.is_over()
    }

    /// Writes until everything is gone or the socket takes no more.
    fn write(&mut self, now: Instant) -> Result<(), ClientError> {
        while self.is_writable {
            let unsent = self.conversation.unsent();
            let written = if unsent.is_empty() {
                self.stream.flush().map(|()| None)
            } else {
                self.stream.write(unsent).map(Some)
            };
            match written {
                Ok(None) => return Ok(()),
                Ok(Some(0)) => return Err(ClientError::Lost),
                Ok(Some(len)) => {
                    self.conversation.on_written(len);
                    self.patience.stalled_since = None;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.is_writable = false;
                        self.patience.stalled_since.get_or_insert(now);
                    }
                    io::ErrorKind::Interrupted => {}
                    // The server may have said why before it went: what it said is still to be read.
                    _ if self.is_readable => return Ok(()),
                    _ => return Err(lost_or(error)),
                },
            }
        }
        Ok(())
    }

    /// Reads until there is nothing more, or enough waits to be taken, or for long enough.
    fn read(&mut self) -> Result<(), ClientError> {
        for _ in 0..READS_MAX {
            if !self.can_read() {
                break;
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(ClientError::Lost),
                Ok(len) => {
                    self.patience.on_heard(Instant::now());
                    let mut buffer = std::mem::take(&mut self.buffer);
                    let conversed = self.converse(&mut buffer[..len]);
                    self.buffer = buffer;
                    conversed?;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_readable = false,
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(lost_or(error)),
                },
            }
        }
        Ok(())
    }

    /// Has the conversation make sense of `input`.
    fn converse(&mut self, mut input: &mut [u8]) -> Result<(), ClientError> {
        loop {
            match self.conversation.next_event(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(event)) => {
                    self.push_event(event);
                }
                Err(error) => return Err(ClientError::Protocol(error)),
            }
        }
    }

    fn push_event(&mut self, event: Event) {
        self.queued_len += event.cost();
        self.queue.push_back(event);
    }

    /// Says what is left to say, and waits for the server to end the stream, which is its part (RFC 6455 7.1.1).
    fn wind_down(&mut self) {
        if !self.conversation.is_over() {
            return;
        }
        let deadline = after(Instant::now(), self.patience.close_timeout);
        while Instant::now() < deadline {
            if self.write(Instant::now()).is_err() {
                return;
            }
            if self.conversation.unsent().is_empty() {
                self.stream.finish();
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_readable = false,
                Err(_) => return,
            }
            if self.wait(Some(deadline)).is_err() {
                return;
            }
        }
    }
}

impl Event {
    /// Bytes that it takes while it waits.
    fn cost(&self) -> usize {
        EVENT_BYTES
            + match self {
                Self::Text(text) => text.len(),
                Self::Binary(bytes) | Self::Pong(bytes) => bytes.len(),
                Self::Closed(_) | Self::Nudged => 0,
            }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("conversation", &self.conversation)
            .field("subprotocol", &self.subprotocol)
            .finish_non_exhaustive()
    }
}
