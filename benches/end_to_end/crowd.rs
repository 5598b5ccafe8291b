//! The generator: clients that keep a number of messages in flight and compare every byte that comes back.
//!
//! A message that is lost, doubled, altered or out of order is a panic, and so is a server that stops answering.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::entrance::{Entrance, Trust, Wire};
use super::template::Template;

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Everyone to themselves.
    Echo,
    /// Two to each other.
    Pairs,
    /// The first to all others.
    FanOut,
}

/// What the clients of one measurement do.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) flow: Flow,
    /// How many connect; with [`Flow::FanOut`] one more than receive.
    pub(crate) client_count: usize,
    /// Messages under way: of each client, or with [`Flow::FanOut`] of the only sender.
    pub(crate) in_flight: usize,
    /// What is sent.
    pub(crate) sent: Template,
    /// What arrives in its place.
    pub(crate) expected: Template,
    /// How a client gets in; its number is the second argument.
    pub(crate) enter: fn(&mut Entrance, usize),
}

/// What a measurement has found out, apart from the server's share.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    /// Messages that arrived.
    pub(crate) message_count: u64,
    /// From the first to the last of them.
    pub(crate) wall: Duration,
    /// From the call that sent a message to the call that brought it, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

/// How long nothing may arrive.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long to look for messages that should not come.
const SURPLUS_WAIT: Duration = Duration::from_millis(5);
/// Bytes read at once.
const READ_BUFFER_BYTES: usize = 256 << 10;

/// Connected clients.
pub(crate) struct Crowd {
    scene: Scene,
    poll: Poll,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    latency: Histogram<u64>,
    /// Messages that were sent, once for each receiver.
    owed_count: u64,
    received_count: u64,
    is_stopping: bool,
}

struct Client {
    wire: Wire<TcpStream>,
    /// What the socket did not take.
    unsent: Vec<u8>,
    /// The number of the next message to send.
    next_sent: u64,
    /// The number of the next message to arrive, and how many of its bytes have.
    next_received: u64,
    received_len: usize,
    /// When what it waits for was sent, and how many messages that were.
    sent_at: VecDeque<(Instant, u64)>,
}

impl Crowd {
    /// Connects everyone.
    pub(crate) fn enter(addr: SocketAddr, trust: Option<&Trust>, scene: Scene) -> Self {
        let poll = Poll::new().expect("poll");
        let clients = (0..scene.client_count)
            .map(|index| {
                let mut entrance = Entrance::connect_by(addr, trust);
                (scene.enter)(&mut entrance, index);
                let mut wire = entrance.into_wire().map(TcpStream::from_std);
                let interests = Interest::READABLE | Interest::WRITABLE;
                poll.registry()
                    .register(&mut wire.socket, Token(index), interests)
                    .expect("register");
                Client::new(wire)
            })
            .collect();
        Self {
            scene,
            poll,
            clients,
            buffer: vec![0; READ_BUFFER_BYTES],
            latency: new_histogram(),
            owed_count: 0,
            received_count: 0,
            is_stopping: false,
        }
    }

    /// Sends for as long as `span` and waits until everything has arrived.
    pub(crate) fn drive(&mut self, span: Duration) -> Score {
        let begun = Instant::now();
        let received_before = self.received_count;
        self.latency = new_histogram();
        self.is_stopping = false;
        self.send_first(begun);
        let mut events = Events::with_capacity(1024);
        let mut last = begun;
        while self.received_count < self.owed_count {
            self.turn(&mut events, DEADLINE);
            let now = Instant::now();
            assert!(!events.is_empty(), "messages are lost: {}", self.missing());
            last = now;
            self.is_stopping |= now - begun >= span;
        }
        self.turn(&mut events, SURPLUS_WAIT);
        assert_eq!(
            self.received_count, self.owed_count,
            "messages were doubled"
        );
        Score {
            message_count: self.received_count - received_before,
            wall: last - begun,
            latency: std::mem::replace(&mut self.latency, new_histogram()),
        }
    }

    fn send_first(&mut self, now: Instant) {
        let sender_count = match self.scene.flow {
            Flow::FanOut => 1,
            Flow::Echo | Flow::Pairs => self.clients.len(),
        };
        for index in 0..sender_count {
            self.send(index, self.scene.in_flight as u64, now);
        }
    }

    fn turn(&mut self, events: &mut Events, timeout: Duration) {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            polled => polled.expect("poll"),
        }
        for event in &*events {
            let Token(index) = event.token();
            if event.is_writable() {
                self.clients[index].flush();
            }
            if event.is_readable() {
                self.read(index, event.is_read_closed());
            }
        }
    }

    fn read(&mut self, index: usize, has_ended: bool) {
        assert!(!has_ended, "the server has closed client {index}");
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.clients[index].wire.read(&mut buffer) {
                Ok(0) => panic!("the server has closed client {index}"),
                Ok(count) => {
                    let message_count = self.check(index, &buffer[..count]);
                    self.on_received(index, message_count);
                    if count < buffer.len() && !self.clients[index].wire.is_encrypted() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("client {index}: {error}"),
            }
        }
        self.buffer = buffer;
    }

    /// Compares bytes with those that must come; how many messages they complete.
    fn check(&mut self, index: usize, mut bytes: &[u8]) -> u64 {
        let sender = self.partner(index);
        let client = &mut self.clients[index];
        let expected = &mut self.scene.expected;
        let mut message_count = 0;
        while !bytes.is_empty() {
            let frame = &expected.fill(sender, index, client.next_received)[client.received_len..];
            let len = frame.len().min(bytes.len());
            let (piece, rest) = bytes.split_at(len);
            assert!(
                piece == &frame[..len],
                "client {index}: message {} is not what it should be: {:?}",
                client.next_received,
                String::from_utf8_lossy(&piece[..len.min(100)])
            );
            bytes = rest;
            client.received_len += len;
            if client.received_len == expected.len() {
                client.received_len = 0;
                client.next_received += 1;
                message_count += 1;
            }
        }
        message_count
    }

    /// Whom a client sends to, and gets from.
    fn partner(&self, index: usize) -> usize {
        match self.scene.flow {
            Flow::Echo => index,
            Flow::Pairs => index ^ 1,
            Flow::FanOut => 0,
        }
    }

    /// Messages have arrived: others take their place.
    fn on_received(&mut self, index: usize, message_count: u64) {
        if message_count == 0 {
            return;
        }
        self.received_count += message_count;
        let now = Instant::now();
        self.clients[index].time(message_count, now, &mut self.latency);
        if self.is_stopping {
            return;
        }
        match self.scene.flow {
            Flow::Echo | Flow::Pairs => self.send(index, message_count, now),
            Flow::FanOut if self.received_count == self.owed_count => {
                self.send(0, self.scene.in_flight as u64, now);
            }
            Flow::FanOut => {}
        }
    }

    /// Sends so many messages with one call.
    fn send(&mut self, index: usize, message_count: u64, now: Instant) {
        let receiver = self.partner(index);
        let client = &mut self.clients[index];
        let is_idle = client.unsent.is_empty();
        for number in client.next_sent..client.next_sent + message_count {
            let frame = self.scene.sent.fill(index, receiver, number);
            client.unsent.extend_from_slice(frame);
        }
        client.next_sent += message_count;
        if is_idle {
            client.flush();
        }
        if self.scene.flow == Flow::FanOut {
            for client in &mut self.clients[1..] {
                client.sent_at.push_back((now, message_count));
                self.owed_count += message_count;
            }
        } else {
            self.clients[receiver]
                .sent_at
                .push_back((now, message_count));
            self.owed_count += message_count;
        }
    }

    fn missing(&self) -> String {
        format!("{} of {} arrived", self.received_count, self.owed_count)
    }
}

impl Client {
    fn new(wire: Wire<TcpStream>) -> Self {
        Self {
            wire,
            unsent: Vec::new(),
            next_sent: 0,
            next_received: 0,
            received_len: 0,
            sent_at: VecDeque::new(),
        }
    }

    /// Writes what the socket takes.
    fn flush(&mut self) {
        let mut written = 0;
        while written < self.unsent.len() {
            match self.wire.write(&self.unsent[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("write: {error}"),
            }
        }
        self.unsent.drain(..written);
        match self.wire.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("write: {error}"),
            _ => {}
        }
    }

    /// Records how long messages took that have arrived now.
    fn time(&mut self, mut message_count: u64, now: Instant, latency: &mut Histogram<u64>) {
        while message_count > 0 {
            let (sent_at, left) = self.sent_at.front_mut().expect("a message that was sent");
            let count = message_count.min(*left);
            let nanos = u64::try_from((now - *sent_at).as_nanos()).expect("a short time");
            latency.record_n(nanos.max(1), count).expect("it grows");
            message_count -= count;
            *left -= count;
            if *left == 0 {
                self.sent_at.pop_front();
            }
        }
    }
}

/// Two significant digits, for any time.
fn new_histogram() -> Histogram<u64> {
    Histogram::new(2).expect("two digits are possible")
}
