//! One client of a crowd: a non-blocking socket, and as much of the protocol as a load needs.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;

use crate::peer::{masked_frame, opcode};
use opcode::FIN;

/// What is told of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening<'a> {
    /// Its connection stands; what it was given to send is on its way.
    Connected,
    /// The server has agreed to the WebSocket.
    Opened,
    /// The server has answered the request with another status than 101.
    Refused(u16),
    /// A message came.
    Message(&'a [u8]),
    /// Bytes came for a client that speaks no WebSocket.
    Bytes(&'a [u8]),
    /// Something came for a client that does not read.
    Unread,
    /// A ping came, and was answered.
    Ping,
    /// A Close frame came, and was answered.
    Close(Option<u16>),
    /// The connection is over, in whatever way; the client is gone.
    Ended,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Upgrading,
    Open,
}

/// A client of a `Crowd`.
#[derive(Debug)]
pub(crate) struct Client {
    /// `None` once it is over.
    socket: Option<TcpStream>,
    stage: Stage,
    /// Whether what comes is a response and then frames, and not just bytes.
    is_websocket: bool,
    /// Whether it leaves what comes where it is.
    is_deaf: bool,
    /// Whether it has sent a Close frame.
    has_closed: bool,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    /// The begin of a head or a frame whose end has not come yet.
    partial: Vec<u8>,
}

impl Client {
    /// A client that will send `first` once its connection stands.
    pub(super) fn new(socket: TcpStream, first: &[u8], is_websocket: bool) -> Self {
        Self {
            socket: Some(socket),
            stage: Stage::Connecting,
            is_websocket,
            is_deaf: false,
            has_closed: false,
            unsent: first.to_vec(),
            partial: Vec::new(),
        }
    }

    /// Sends bytes as they are, as far as the socket takes them; the rest follows.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        if self.stage != Stage::Connecting {
            self.flush();
        }
    }

    /// Sends a binary message.
    pub(crate) fn send(&mut self, payload: &[u8]) {
        self.send_raw(&masked_frame(FIN | opcode::BINARY, payload));
    }

    /// Sends a Close frame with the code 1000.
    pub(crate) fn send_close(&mut self) {
        self.close_with(&1000_u16.to_be_bytes());
    }

    /// Ends our direction of the stream.
    pub(crate) fn finish(&mut self) {
        if let Some(socket) = &self.socket {
            // It fails if the server was faster, which the next read will tell.
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// Reads nothing from now on.
    pub(crate) fn stop_reading(&mut self) {
        self.is_deaf = true;
    }

    /// Lets go of the socket without a word; what is unread makes that a reset.
    pub(crate) fn kill(&mut self) {
        self.socket = None;
    }

    /// Whether the connection is over.
    pub(crate) fn is_gone(&self) -> bool {
        self.socket.is_none()
    }

    /// Does what an event of the socket makes possible, and tells what came of it.
    pub(super) fn on_event(
        &mut self,
        event: &Event,
        buffer: &mut [u8],
        tell: &mut impl FnMut(&mut Self, Happening<'_>),
    ) {
        if self.stage == Stage::Connecting {
            if !self.is_connected() {
                return;
            }
            self.stage = if self.is_websocket {
                Stage::Upgrading
            } else {
                Stage::Open
            };
            tell(self, Happening::Connected);
        }
        if event.is_writable() {
            self.flush();
        }
        if event.is_readable() {
            self.read(event.is_read_closed(), buffer, tell);
        }
    }

    /// Whether the connection stands; one that cannot be made is the end of the test.
    fn is_connected(&self) -> bool {
        let socket = self.socket.as_ref().expect("it waits for its connection");
        if let Some(error) = socket.take_error().unwrap() {
            panic!("no connection: {error}");
        }
        socket.peer_addr().is_ok()
    }

    /// Sends a Close frame if there was none before.
    fn close_with(&mut self, payload: &[u8]) {
        if !self.has_closed {
            self.has_closed = true;
            self.send_raw(&masked_frame(FIN | opcode::CLOSE, payload));
        }
    }

    fn flush(&mut self) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let mut sent = 0;
        while sent < self.unsent.len() {
            match socket.write(&self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The server is gone, which the next read will tell.
                Err(_) => sent = self.unsent.len(),
            }
        }
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            // A crowd of ten thousand keeps no buffers for what it sent once.
            self.unsent = Vec::new();
        }
    }

    /// Reads all that is there. A short read ends it, unless the end of the stream was announced with it.
    fn read(
        &mut self,
        is_ending: bool,
        buffer: &mut [u8],
        tell: &mut impl FnMut(&mut Self, Happening<'_>),
    ) {
        loop {
            if self.is_deaf {
                return tell(self, Happening::Unread);
            }
            let Some(socket) = &mut self.socket else {
                return;
            };
            match socket.read(buffer) {
                Ok(0) => break,
                Ok(count) => {
                    self.on_bytes(&buffer[..count], tell);
                    if count < buffer.len() && !is_ending {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.socket = None;
        tell(self, Happening::Ended);
    }

    /// Takes heads and frames off the bytes that came, and keeps what is not complete.
    fn on_bytes(&mut self, bytes: &[u8], tell: &mut impl FnMut(&mut Self, Happening<'_>)) {
        if !self.is_websocket {
            return tell(self, Happening::Bytes(bytes));
        }
        let mut joined = mem::take(&mut self.partial);
        let mut input = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        while self.socket.is_some() && self.is_websocket {
            let rest = match self.stage {
                Stage::Connecting | Stage::Upgrading => self.take_head(input, tell),
                Stage::Open => self.take_frame(input, tell),
            };
            match rest {
                Some(rest) => input = rest,
                None => break,
            }
        }
        if !input.is_empty() {
            self.partial = input.to_vec();
        }
    }

    /// What follows the head of the response; `None` if that is not complete.
    fn take_head<'a>(
        &mut self,
        input: &'a [u8],
        tell: &mut impl FnMut(&mut Self, Happening<'_>),
    ) -> Option<&'a [u8]> {
        const END: &[u8] = b"\r\n\r\n";
        let len = input.windows(END.len()).position(|it| it == END)? + END.len();
        let status = std::str::from_utf8(&input[9..12]).unwrap();
        if status == "101" {
            self.stage = Stage::Open;
            tell(self, Happening::Opened);
        } else {
            self.is_websocket = false;
            tell(self, Happening::Refused(status.parse().unwrap()));
        }
        Some(&input[len..])
    }

    /// What follows the first frame; `None` if that is not complete.
    fn take_frame<'a>(
        &mut self,
        input: &'a [u8],
        tell: &mut impl FnMut(&mut Self, Happening<'_>),
    ) -> Option<&'a [u8]> {
        let (&first, &second) = (input.first()?, input.get(1)?);
        let (header_len, payload_len) = match second {
            126 => {
                let len = input.get(2..4)?.try_into().unwrap();
                (4, usize::from(u16::from_be_bytes(len)))
            }
            127 => {
                let len = input.get(2..10)?.try_into().unwrap();
                (10, usize::try_from(u64::from_be_bytes(len)).unwrap())
            }
            len => (2, usize::from(len)),
        };
        let payload = input.get(header_len..header_len + payload_len)?;
        match first {
            0x81 | 0x82 => tell(self, Happening::Message(payload)),
            0x88 => {
                let code = payload.get(..2).map(|it| it.try_into().unwrap());
                self.close_with(payload);
                tell(self, Happening::Close(code.map(u16::from_be_bytes)));
            }
            0x89 => {
                self.send_raw(&masked_frame(FIN | opcode::PONG, payload));
                tell(self, Happening::Ping);
            }
            0x8a => {}
            _ => panic!("a frame that begins with {first:#x}"),
        }
        Some(&input[header_len + payload_len..])
    }

    /// The socket, to be registered.
    pub(super) fn socket_mut(&mut self) -> io::Result<&mut TcpStream> {
        self.socket
            .as_mut()
            .ok_or_else(|| ErrorKind::NotConnected.into())
    }
}
