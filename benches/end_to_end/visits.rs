//! The generator for short visits: connect, upgrade, say goodbye, and again, a few at a time.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::crowd::Score;
use super::entrance::{answer_len, request};
use super::farewell::{CLIENT_FAREWELL, FAREWELL};

/// What the yardstick answers to whatever comes first: byte by byte what switchboard does.
pub(crate) const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// How long nothing may happen.
const DEADLINE: Duration = Duration::from_secs(10);
/// Visits at a time.
const LANE_COUNT: usize = 16;

/// One visit.
struct Visit {
    socket: TcpStream,
    begun: Instant,
    stage: Stage,
    input: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    AwaitsAnswer,
    AwaitsFarewell,
    Over,
}

/// Visits for as long as `span`, each to its end.
pub(crate) fn drive(addr: SocketAddr, path: &str, span: Duration) -> Score {
    let request = request(path);
    let mut poll = Poll::new().expect("poll");
    let mut events = Events::with_capacity(LANE_COUNT);
    let mut latency = Histogram::new(2).expect("two digits are possible");
    let begun = Instant::now();
    let mut visits: Vec<_> = (0..LANE_COUNT)
        .map(|lane| Some(Visit::begin(addr, &poll, lane)))
        .collect();
    while visits.iter().any(Option::is_some) {
        match poll.poll(&mut events, Some(DEADLINE)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled.expect("poll"),
        }
        assert!(!events.is_empty(), "the server does not answer");
        for event in &events {
            let Token(lane) = event.token();
            let Some(visit) = &mut visits[lane] else {
                continue;
            };
            visit.go_on(request.as_bytes());
            if visit.stage == Stage::Over {
                let nanos = u64::try_from(visit.begun.elapsed().as_nanos()).expect("a short time");
                latency.record(nanos.max(1)).expect("it grows");
                visits[lane] = (begun.elapsed() < span).then(|| Visit::begin(addr, &poll, lane));
            }
        }
    }
    Score {
        message_count: latency.len(),
        wall: begun.elapsed(),
        latency,
    }
}

impl Visit {
    fn begin(addr: SocketAddr, poll: &Poll, lane: usize) -> Self {
        let mut socket = TcpStream::connect(addr).expect("connect");
        let interests = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut socket, Token(lane), interests)
            .expect("register");
        Self {
            socket,
            begun: Instant::now(),
            stage: Stage::Connecting,
            input: Vec::new(),
        }
    }

    /// Does what can be done now.
    fn go_on(&mut self, request: &[u8]) {
        if self.stage == Stage::Connecting {
            match self.socket.peer_addr() {
                Ok(_) => self.say(request, Stage::AwaitsAnswer),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return,
                Err(error) => panic!("connect: {error}"),
            }
        }
        let has_ended = self.read();
        if self.stage == Stage::AwaitsAnswer
            && let Some(len) = answer_len(&self.input)
        {
            assert_eq!(len, self.input.len(), "something came behind the answer");
            self.input.clear();
            self.say(&CLIENT_FAREWELL, Stage::AwaitsFarewell);
        }
        if has_ended {
            assert_eq!(
                (self.stage, self.input.as_slice()),
                (Stage::AwaitsFarewell, FAREWELL.as_slice()),
                "the server ends before everything is said"
            );
            self.stage = Stage::Over;
        }
    }

    fn say(&mut self, bytes: &[u8], next: Stage) {
        let count = self.socket.write(bytes).expect("write");
        assert_eq!(count, bytes.len(), "a fresh socket takes a few bytes");
        self.stage = next;
    }

    /// Reads what there is; whether that was all that will ever come.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("read: {error}"),
            }
        }
    }
}
