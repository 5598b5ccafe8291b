//! How a client gets in: the opening handshake and, for the JSON protocol, its first messages; one after the other.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use switchboard::proto::{OpCode, encode_masked_frame};

#[path = "wire.rs"]
mod wire;

pub(crate) use wire::{Trust, Wire};

/// A key and what RFC 6455 1.3 says must come back for it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How long a server may take for anything while nothing else goes on.
const DEADLINE: Duration = Duration::from_secs(10);

/// A connection on its way in.
pub(crate) struct Entrance {
    wire: Wire<TcpStream>,
    /// What has arrived and is not used up.
    input: Vec<u8>,
}

impl Entrance {
    /// Connects and says nothing.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::connect_by(addr, None)
    }

    /// The same, but encrypted if somebody is trusted.
    pub(crate) fn connect_by(addr: SocketAddr, trust: Option<&Trust>) -> Self {
        let wire = Wire::connect(addr, trust);
        wire.socket.set_nodelay(true).expect("nodelay");
        let timeout = Some(DEADLINE);
        wire.socket.set_read_timeout(timeout).expect("timeout");
        Self {
            wire,
            input: Vec::new(),
        }
    }

    /// Turns the connection into a WebSocket.
    pub(crate) fn upgrade(&mut self, path: &str) {
        self.write(request(path).as_bytes());
        loop {
            if let Some(len) = answer_len(&self.input) {
                self.input.drain(..len);
                return;
            }
            self.read();
        }
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, text: &str) {
        let mut frame = Vec::new();
        encode_masked_frame(&mut frame, OpCode::Text, &[text.as_bytes()], [1, 2, 3, 4]);
        self.write(&frame);
    }

    /// The next message, which must be a short text that contains `what`.
    pub(crate) fn expect(&mut self, what: &str) {
        while self.input.len() < 2 || self.input.len() < self.frame_len() {
            self.read();
        }
        let frame: Vec<u8> = self.input.drain(..self.frame_len()).collect();
        let text = String::from_utf8_lossy(&frame);
        assert!(text.contains(what), "{text} instead of {what}");
    }

    /// The socket, if the server has said nothing more.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.into_wire().socket
    }

    /// The same with what encrypts its bytes.
    pub(crate) fn into_wire(self) -> Wire<TcpStream> {
        assert!(
            self.input.is_empty(),
            "{:?}",
            String::from_utf8_lossy(&self.input)
        );
        let socket = &self.wire.socket;
        socket.set_nonblocking(true).expect("nonblocking");
        self.wire
    }

    /// Bytes of the frame that the input begins with.
    fn frame_len(&self) -> usize {
        match self.input[1] {
            126 if self.input.len() < 4 => 4,
            126 => 4 + usize::from(u16::from_be_bytes([self.input[2], self.input[3]])),
            len => 2 + usize::from(len),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).expect("write");
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        let count = loop {
            match self.wire.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.expect("an answer"),
            }
        };
        assert_ne!(count, 0, "the server has closed");
        self.input.extend(&buffer[..count]);
    }
}

/// A request to upgrade, as a library outside a browser sends it.
pub(crate) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// Bytes of the answer that lets a client in, if it is complete; another answer fails the run.
pub(crate) fn answer_len(input: &[u8]) -> Option<usize> {
    let len = input.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&input[..len]);
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT),
        "{head}"
    );
    Some(len)
}
