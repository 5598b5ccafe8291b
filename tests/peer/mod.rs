//! A strict little WebSocket and HTTP client on a blocking socket, for the tests only.
//!
//! It shares no code with the server, so that the two do not share mistakes, and it panics on everything that a server
//! must not do: masked frames, lengths that are not in their shortest form, reserved bits, a wrong accept value.
//! Every read has a deadline; nothing sleeps.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

mod frame;
pub(crate) mod response;

pub(crate) use frame::{Frame, masked_frame, opcode};
use opcode::{COMPRESSED, FIN};
use response::Response;

/// How long the server may take for anything before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// The key of the opening handshake in RFC 6455 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What the RFC answers to it, so that nothing has to be computed here.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One TCP connection to the server, before or after the opening handshake.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    /// What was received and not yet looked at starts at `taken`.
    received: Vec<u8>,
    taken: usize,
    /// The reserved bits that frames of the server may have, because they were agreed on.
    allowed_bits: u8,
}

impl Peer {
    /// Connects and opens a WebSocket at `path`.
    pub(crate) fn connect(addr: SocketAddr, path: &str) -> Self {
        Self::connect_with(addr, path, "")
    }

    /// The same with more header fields, each ended by CR LF.
    pub(crate) fn connect_with(addr: SocketAddr, path: &str, fields: &str) -> Self {
        let mut peer = Self::open(addr);
        peer.send_raw(upgrade_request(addr, path, fields).as_bytes());
        peer.expect_upgrade();
        peer
    }

    /// The same with permessage-deflate as `offer` says; what the server has answered to that, if it has.
    pub(crate) fn connect_compressed(
        addr: SocketAddr,
        path: &str,
        offer: &str,
    ) -> (Self, Option<String>) {
        let mut peer = Self::open(addr);
        let field = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        peer.send_raw(upgrade_request(addr, path, &field).as_bytes());
        let response = peer.expect_upgrade();
        let answer = response.field("sec-websocket-extensions").map(String::from);
        peer.allowed_bits = if answer.is_some() { COMPRESSED } else { 0 };
        (peer, answer)
    }

    /// The same where the server may first have to get rid of others: tries until it is let in.
    pub(crate) fn connect_eventually(addr: SocketAddr, path: &str) -> Self {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let mut peer = Self::open(addr);
            let request = upgrade_request(addr, path, "");
            if peer.try_send_raw(request.as_bytes()) && peer.try_next_status() == Some(101) {
                peer.expect_upgrade();
                return peer;
            }
        }
        panic!("nobody is let in");
    }

    /// Connects and sends nothing.
    pub(crate) fn open(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&addr, DEADLINE).expect("connect"))
    }

    /// The same where there may be no room; `None` if the kernel does not answer soon.
    pub(crate) fn try_open(addr: SocketAddr) -> Option<Self> {
        let soon = Duration::from_millis(500);
        TcpStream::connect_timeout(&addr, soon).ok().map(Self::over)
    }

    /// Sets the deadlines of a socket.
    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream,
            received: Vec::new(),
            taken: 0,
            allowed_bits: 0,
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    /// Sends bytes as far as the server lets us; whether it took them all.
    pub(crate) fn try_send_raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends the same bytes over and over, `len` bytes in all, unless the server ends that or does not read for a second.
    pub(crate) fn send_at_most(&mut self, len: usize, bytes: &[u8]) {
        self.stream
            .set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        for _ in 0..len / bytes.len() {
            if !self.try_send_raw(bytes) {
                break;
            }
        }
        self.stream.set_write_timeout(Some(DEADLINE)).unwrap();
    }

    /// Sends one masked frame; `first` is its first byte, so any bits can be tried.
    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send_raw(&masked_frame(first, payload));
    }

    /// Sends a text message in one frame.
    pub(crate) fn send_text(&mut self, text: &str) {
        self.send_frame(FIN | opcode::TEXT, text.as_bytes());
    }

    /// Sends a binary message in one frame.
    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.send_frame(FIN | opcode::BINARY, bytes);
    }

    /// Sends a JSON value as a text message.
    pub(crate) fn send_json(&mut self, value: &Value) {
        self.send_text(&value.to_string());
    }

    /// Sends a Close frame with a code and a reason.
    pub(crate) fn send_close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send_frame(FIN | opcode::CLOSE, &payload);
    }

    /// Ends our direction of the connection (FIN) and leaves the other one open.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next frame, whatever it is.
    pub(crate) fn next_frame(&mut self) -> Frame {
        self.next_frame_or_eof()
            .expect("a frame and not the end of the stream")
    }

    /// The next frame, or `None` if the stream ends before it.
    pub(crate) fn next_frame_or_eof(&mut self) -> Option<Frame> {
        if !self.fill_to(1) {
            return None;
        }
        assert!(self.fill_to(2), "the stream ends within a frame header");
        let [first, second] = self.peek(2).try_into().unwrap();
        let reserved_bits = first & 0x70 & !self.allowed_bits;
        assert_eq!(reserved_bits, 0, "reserved bits in a frame of the server");
        assert_eq!(second & 0x80, 0, "the server masks");
        let (header_len, payload_len) = match second {
            126 => {
                assert!(self.fill_to(4), "the stream ends within a frame header");
                let len = u16::from_be_bytes(self.peek(4)[2..].try_into().unwrap());
                assert!(len > 125, "{len} bytes announced in 16 bits");
                (4, usize::from(len))
            }
            127 => {
                assert!(self.fill_to(10), "the stream ends within a frame header");
                let len = u64::from_be_bytes(self.peek(10)[2..].try_into().unwrap());
                assert!(
                    len > 0xffff && len < 1 << 32,
                    "{len} bytes announced in 64 bits"
                );
                (10, usize::try_from(len).unwrap())
            }
            len => (2, usize::from(len)),
        };
        let frame_len = header_len + payload_len;
        assert!(self.fill_to(frame_len), "the stream ends within a frame");
        let payload = self.peek(frame_len)[header_len..].to_vec();
        self.taken += frame_len;
        let frame = Frame {
            is_final: first & FIN != 0,
            is_compressed: first & COMPRESSED != 0,
            opcode: first & 0x0f,
            payload,
        };
        if frame.opcode >= opcode::CLOSE {
            assert!(
                frame.is_final && !frame.is_compressed && payload_len <= 125,
                "a control frame out of bounds"
            );
        }
        Some(frame)
    }

    /// The next message; pings on the way are answered.
    pub(crate) fn next_message(&mut self) -> Frame {
        loop {
            let frame = self.next_frame();
            match frame.opcode {
                opcode::PING => self.send_frame(FIN | opcode::PONG, &frame.payload),
                opcode::TEXT | opcode::BINARY => {
                    assert!(
                        frame.is_final,
                        "the server has no reason to split a message"
                    );
                    return frame;
                }
                _ => panic!("{frame:?} instead of a message"),
            }
        }
    }

    /// The next message, which must be this text.
    pub(crate) fn expect_text(&mut self, text: &str) {
        let frame = self.next_message();
        assert_eq!((frame.opcode, frame.text()), (opcode::TEXT, text));
    }

    /// The next message, which must be these bytes.
    pub(crate) fn expect_binary(&mut self, bytes: &[u8]) {
        let frame = self.next_message();
        assert_eq!(frame.opcode, opcode::BINARY);
        assert!(
            frame.payload == bytes,
            "{} other bytes came",
            frame.payload.len()
        );
    }

    /// The next message, which must be a text with JSON.
    pub(crate) fn next_json(&mut self) -> Value {
        let frame = self.next_message();
        assert_eq!(frame.opcode, opcode::TEXT, "JSON comes as text");
        serde_json::from_slice(&frame.payload).expect("JSON")
    }

    /// The next frame must be a Close with this code (`None`: an empty one); returns its reason.
    pub(crate) fn expect_close(&mut self, code: impl Into<Option<u16>>) -> String {
        let frame = self.next_frame();
        assert_eq!(frame.opcode, opcode::CLOSE, "{frame:?} instead of a close");
        assert_eq!(frame.close_code(), code.into());
        String::from_utf8(frame.payload.get(2..).unwrap_or_default().to_vec())
            .expect("a reason in UTF-8")
    }

    /// Reads on to the Close frame and past the end of the stream; the code of the Close.
    pub(crate) fn drain_to_close(&mut self) -> Option<u16> {
        loop {
            let frame = self.next_frame();
            if frame.opcode == opcode::CLOSE {
                return frame.close_code();
            }
        }
    }

    /// Nothing more may come but an orderly end of the stream.
    pub(crate) fn expect_eof(&mut self) {
        if self.fill_to(1) {
            panic!(
                "{:?} instead of the end",
                String::from_utf8_lossy(self.peek(1))
            );
        }
    }

    /// The connection must be ended by the server, in whatever way; what still arrives is dropped.
    pub(crate) fn expect_end(&mut self) {
        self.taken = self.received.len();
        let mut rest = [0; 64 << 10];
        loop {
            match uninterrupted(|| self.stream.read(&mut rest)) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it goes on"),
                Err(_) => return,
            }
        }
    }

    /// Whether nothing comes for this long: neither bytes nor the end.
    pub(crate) fn is_silent_for(&mut self, span: Duration) -> bool {
        if self.taken < self.received.len() {
            return false;
        }
        self.stream.set_read_timeout(Some(span)).unwrap();
        let read = uninterrupted(|| self.stream.peek(&mut [0]));
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        matches!(read, Err(error) if is_timeout(&error))
    }

    /// The same connection once more, to send on while this one reads.
    pub(crate) fn second_handle(&self) -> Self {
        Self::over(self.stream.try_clone().unwrap())
    }

    /// Reads nothing until the kernel has had the same bytes for us for so long: the server has stopped to send.
    pub(crate) fn wait_until_unread_stays(&self, span: Duration) {
        let deadline = Instant::now() + DEADLINE;
        let mut unread = vec![0; 16 << 20];
        let mut seen = (0, Instant::now());
        while seen.0 == 0 || seen.1.elapsed() < span {
            assert!(
                Instant::now() < deadline,
                "the server does not stop to send"
            );
            let count = uninterrupted(|| self.stream.peek(&mut unread)).unwrap();
            if count != seen.0 {
                seen = (count, Instant::now());
            }
            thread::yield_now();
        }
    }

    /// Proves that the connection works, on `/echo`: a message comes back, and nothing before it.
    pub(crate) fn expect_echo(&mut self) {
        self.send_text("still there?");
        self.expect_text("still there?");
    }

    /// The answer to an upgrade request must be the one of RFC 6455 1.3.
    pub(crate) fn expect_upgrade(&mut self) -> Response {
        let response = self.next_head();
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
        assert!(
            response
                .field("upgrade")
                .is_some_and(|it| it.eq_ignore_ascii_case("websocket"))
        );
        assert!(
            response
                .field("connection")
                .is_some_and(|it| it.eq_ignore_ascii_case("upgrade"))
        );
        response
    }

    /// The next response with its body, whose length must be given.
    pub(crate) fn next_response(&mut self) -> Response {
        let mut response = self.next_head();
        let len = response
            .field("content-length")
            .expect("a content-length")
            .parse()
            .unwrap();
        response.body = self.next_bytes(len);
        response
    }

    /// The next so many bytes, whatever they are.
    pub(crate) fn next_bytes(&mut self, len: usize) -> Vec<u8> {
        assert!(self.fill_to(len), "the stream ends within a body");
        let bytes = self.peek(len).to_vec();
        self.taken += len;
        bytes
    }

    /// The next response up to its empty line: all there is of an answer to HEAD or of a 101.
    pub(crate) fn next_head(&mut self) -> Response {
        let mut searched = 0;
        let len = loop {
            let unread = &self.received[self.taken..];
            if let Some(end) = unread[searched..]
                .windows(4)
                .position(|it| it == b"\r\n\r\n")
            {
                break searched + end + 4;
            }
            searched = unread.len().saturating_sub(3);
            assert!(
                self.fill_to(unread.len() + 1),
                "the stream ends before a response"
            );
        };
        let head = String::from_utf8(self.peek(len).to_vec()).expect("a head in ASCII");
        self.taken += len;
        Response::parse(&head)
    }

    /// The status of the next response without taking it; `None` if the connection ends before it.
    fn try_next_status(&mut self) -> Option<u16> {
        let mut chunk = [0; 1024];
        while self.received.len() < "HTTP/1.1 101".len() {
            let count = uninterrupted(|| self.stream.read(&mut chunk))
                .ok()
                .filter(|&count| count > 0)?;
            self.received.extend_from_slice(&chunk[..count]);
        }
        std::str::from_utf8(self.received.get(9..12)?)
            .ok()?
            .parse()
            .ok()
    }

    /// The first bytes of those received, which must be there.
    fn peek(&self, len: usize) -> &[u8] {
        &self.received[self.taken..self.taken + len]
    }

    /// Reads until `len` bytes are there; false if the stream ends before that, in good order.
    fn fill_to(&mut self, len: usize) -> bool {
        if self.received.len() - self.taken >= len {
            return true;
        }
        self.received.drain(..self.taken);
        self.taken = 0;
        let mut chunk = [0; 64 << 10];
        while self.received.len() < len {
            match uninterrupted(|| self.stream.read(&mut chunk)) {
                Ok(0) => return false,
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if is_timeout(&error) => panic!("nothing came within {DEADLINE:?}"),
                Err(error) => panic!("the connection was torn: {error}"),
            }
        }
        true
    }
}

/// A correct upgrade request; `fields` are further header fields, each ended by CR LF.
pub(crate) fn upgrade_request(addr: SocketAddr, path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// One request on a connection of its own; the connection, for more, and the response.
pub(crate) fn http(addr: SocketAddr, request: &str) -> (Peer, Response) {
    let mut peer = Peer::open(addr);
    peer.send_raw(request.as_bytes());
    let response = peer.next_response();
    (peer, response)
}

/// Repeats a call that a signal has interrupted. Calls with a deadline are, even by one that only stops a process for a
/// while.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Whether a read or write has reached its deadline.
fn is_timeout(error: &io::Error) -> bool {
    // Which of the two it is depends on the system.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
