//! One peer from its first byte to its last: a state machine that knows no socket and no clock.
//!
//! | Stage | What happens | What comes of it |
//! |---|---|---|
//! | `Http` | a complete request | [`Event::Request`]; answered with a response: `Http`, or `Lingering` after the last one; accepted as a WebSocket: `Open` |
//! | `Http` | a request that cannot be accepted | refused with its status: `Lingering` |
//! | `Http` | anything while a response is awaited | kept for later |
//! | `Http` | the deadline | 408, or 503 if a response is awaited: `Lingering`; `Closed` if no request had begun |
//! | `Open` | a message | [`Event::Message`] |
//! | `Open` | a ping | a pong |
//! | `Open` | a Close frame | a Close frame: `Lingering` |
//! | `Open` | a violation of the protocol | a Close frame with its code: `Lingering` |
//! | `Open` | more than its rates allow | a Close frame with 1008: `Lingering` |
//! | `Open` | silence until the deadline | a ping; at the next one a Close frame with 1001: `Lingering` |
//! | `Open` | the end of the credential | a Close frame with 1008: `Closing` |
//! | `Open` | the server closes | a Close frame: `Closing` |
//! | `Closing` | data | discarded |
//! | `Closing` | a Close frame, or a violation | `Lingering` |
//! | `Lingering` | anything | discarded |
//! | any | the end of the stream | `Closed` |
//! | `Closing`, `Lingering` | the deadline | `Closed` |
//!
//! In `Lingering` everything is said: the connection flushes, ends its side of the stream and reads on for a moment,
//! so that a reset cannot destroy the last bytes on their way (RFC 6455 7.1.1). Leaving `Open`, whichever way,
//! yields [`Event::Closed`] exactly once.
//!
//! A Close frame that the peer asked for, by its own or by a fault, is queued only after the application has answered
//! what came before it: what was accepted is not lost to the end. Only a peer that does not read, or gives no sign of
//! life, loses what is queued for it.

mod ending;
mod http_reader;
mod lifecycle;
mod rates;

use std::time::Duration;

pub use self::ending::{Cause, Ending};
use self::http_reader::HttpReader;
use self::lifecycle::{Lifecycle, Stage};
pub use self::rates::{Excess, Intake, Rates};
use crate::clock::Moment;
use crate::config::Config;
use crate::http::{Handshake, HttpError, Request, Response};
use crate::outbox::Outbox;
use crate::proto::{
    CloseCode, CloseFrame, Deflate, Incoming, Inflater, Message, MessageReader, ProtocolError, Role,
};

/// The state of one peer. Faults of the peer become states, never errors.
#[derive(Debug)]
pub struct Session {
    reader: Reader,
    life: Lifecycle,
}

/// What makes sense of the peer's bytes.
#[derive(Debug)]
enum Reader {
    Http(Box<HttpReader>),
    WebSocket(MessageReader),
}

/// Something that came from the peer.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request that waits for [`Session::respond`], [`Session::wait`] or [`Session::open`].
    Request(Request<'a>),
    /// A message.
    Message(Message<'a>),
    /// A control frame that no ping of ours asked for; the session has dealt with it.
    Control,
    /// The pong to our ping, which took so long, in whole milliseconds.
    Answered(Duration),
    /// Something else that concerns the session alone, which has dealt with it: a part of a message, or data after our
    /// Close.
    Handled,
    /// The WebSocket has ended: nothing more comes, nothing more can be sent.
    Closed,
}

impl Session {
    /// A peer that has just connected and has until the handshake deadline to say what it wants.
    #[must_use]
    pub fn new(now: Moment, config: &Config) -> Self {
        Self {
            reader: Reader::Http(Box::default()),
            life: Lifecycle::new(now, now + config.handshake_timeout),
        }
    }

    /// Takes bytes from the front of `input` up to the next event; `None` when all of it is used up.
    ///
    /// After [`Event::Request`] the request must be answered before the next call. Call it with an empty `input`
    /// after any other method that may have ended the WebSocket, to get [`Event::Closed`].
    #[inline]
    pub fn next_event<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) -> Option<Event<'a>> {
        self.next_event_inflating(input, now, config, outbox, None)
    }

    /// The same, where [`Session::deflate`] says that messages may be compressed: they are borrowed from `inflater`.
    #[inline]
    pub fn next_event_inflating<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
        inflater: Option<&'a mut Inflater>,
    ) -> Option<Event<'a>> {
        let life = &mut self.life;
        if life.take_closed() {
            return Some(Event::Closed);
        }
        if life.is_over() {
            *input = &mut [];
            return None;
        }
        if input.is_empty() {
            if let Reader::WebSocket(reader) = &self.reader {
                life.on_input_end(reader.is_mid_message(), now + config.message_timeout);
            }
            return None;
        }
        life.on_input(now);
        match &mut self.reader {
            // Each of many requests in one input could have a large response.
            Reader::Http(http) if http.is_waiting || outbox.is_over(config.outbox_soft_bytes) => {
                http.held.extend_from_slice(input);
                *input = &mut [];
                None
            }
            Reader::Http(http) => http.next_event(life, input, now, config, outbox),
            Reader::WebSocket(reader) => {
                let incoming = reader.next_inflating(input, &config.message, inflater);
                next_message(incoming, life, input, now, config, outbox)
            }
        }
    }

    /// Whether there is an [`Event::Closed`], which this takes: for callers that have no input and every reason to be fast.
    #[must_use]
    #[inline]
    pub fn take_closed(&mut self) -> bool {
        self.life.take_closed()
    }

    /// How many bytes must follow `input` so that its last frame is whole; 0 if nothing is known to be missing.
    #[must_use]
    pub fn missing_len(&self, input: &[u8]) -> usize {
        match &self.reader {
            Reader::WebSocket(reader) => reader.missing_len(input),
            Reader::Http(_) => 0,
        }
    }

    /// Answers the request of the last [`Event::Request`] or [`Session::expectation`], now or after [`Session::wait`].
    pub fn respond(
        &mut self,
        response: &Response,
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) {
        let Reader::Http(http) = &mut self.reader else {
            return;
        };
        let is_last = http.respond(response, config, outbox);
        if is_last {
            self.life.linger(Cause::Response, now, config);
        } else {
            self.life.await_request(now + config.http_idle_timeout);
        }
    }

    /// Puts off the answer to the request of the last [`Event::Request`], though not for longer than the handshake
    /// timeout. What comes until then is kept for [`Session::take_held`].
    pub fn wait(&mut self, now: Moment, config: &Config) {
        if let Reader::Http(http) = &mut self.reader {
            http.is_waiting = true;
            self.life.await_request(now + config.handshake_timeout);
        }
    }

    /// Whether a request waits for its response. Nothing should be read until it has it, since that would be held.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(&self.reader, Reader::Http(http) if http.is_waiting) && !self.life.is_over()
    }

    /// Whether [`Session::take_held`] has something.
    #[must_use]
    #[inline]
    pub fn has_held(&self) -> bool {
        matches!(&self.reader, Reader::Http(http) if !http.is_waiting && !http.held.is_empty())
    }

    /// Takes the bytes that came behind the request which waited, or behind more responses than may wait, to be fed to
    /// [`Session::next_event`] before others.
    pub fn take_held(&mut self) -> Vec<u8> {
        match &mut self.reader {
            Reader::Http(http) if !http.is_waiting => std::mem::take(&mut http.held),
            _ => Vec::new(),
        }
    }

    /// The request whose client waits with its body until it is told to go on, by [`Session::go_on`], or not to, by
    /// [`Session::respond`]. To be asked for when [`Session::next_event`] has used its input up; there is one only once.
    pub fn expectation(&mut self, config: &Config) -> Option<Request<'_>> {
        match &mut self.reader {
            Reader::Http(http) if !self.life.is_over() => http.expectation(config),
            _ => None,
        }
    }

    /// Tells the client that waits with its body to send it (RFC 9110 15.2.1).
    pub fn go_on(&mut self, outbox: &mut Outbox) {
        outbox.push_response(Response::CONTINUE.to_vec());
    }

    /// Accepts the request of the last [`Event::Request`] as a WebSocket, whose first ping is due after `first_ping`.
    pub fn open(
        &mut self,
        handshake: &Handshake,
        first_ping: Duration,
        now: Moment,
        outbox: &mut Outbox,
    ) {
        outbox.push_response(handshake.encode());
        let deflate = handshake.deflate();
        self.reader = Reader::WebSocket(MessageReader::with_deflate(Role::Server, deflate));
        self.life.open(now + first_ping);
    }

    /// Closes the open WebSocket with 1008 when the moment of `expiry` has come: its credential ends then.
    pub fn expire_at(&mut self, expiry: Moment) {
        self.life.expire_at(expiry);
    }

    /// Closes an open WebSocket after what is queued; does nothing in any other stage.
    pub fn close(
        &mut self,
        close: CloseFrame<'_>,
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) {
        if self.is_open() {
            outbox.push_close(Some(close));
            self.life
                .start_closing(Cause::Local, close.code, now + config.close_timeout);
        }
    }

    /// Discards messages from now on: the application has asked for the end, which comes when the turn is over.
    pub fn stop_listening(&mut self) {
        self.life.stop_listening();
    }

    /// Gives up on a peer that does not take what it is sent: 1008 in place of the unsent data, which is counted. What it
    /// has begun to send is forgotten.
    pub fn evict(&mut self, cause: Cause, now: Moment, config: &Config, outbox: &mut Outbox) {
        if !self.is_open() {
            return;
        }
        self.reader = Reader::WebSocket(MessageReader::new(Role::Server));
        let close = CloseFrame {
            code: CloseCode::POLICY_VIOLATION,
            reason: "slow consumer",
        };
        self.life.fail(cause, close, now, config, outbox);
    }

    /// Closes the WebSocket of a peer that sends more than its rates allow: 1008 behind the answers to what came before.
    pub fn on_excess(&mut self, excess: Excess, now: Moment, config: &Config) {
        self.life.on_excess(excess, now, config);
    }

    /// Nothing is read from the peer on our account, so its silence until `now` says nothing about it.
    pub fn excuse_silence(&mut self, now: Moment) {
        self.life.on_input(now);
    }

    /// The server drains. A connection that waits for a request ends, once its last response is written; a request that
    /// waits for its response gets it, and is the last. An open WebSocket is ended by [`Session::close`].
    pub fn take_no_more_requests(&mut self, outbox: &Outbox, now: Moment, config: &Config) {
        let Reader::Http(http) = &mut self.reader else {
            return;
        };
        if self.life.is_over() {
            return;
        }
        http.is_keep_alive = false;
        if http.is_idle() {
            self.life.linger(Cause::Local, now, config);
            if outbox.is_empty() {
                self.life.finish(Cause::Local);
            }
        }
    }

    /// The peer has ended its side of the stream. What it is owed in answer to a request, or to its Close frame, is
    /// still written; an open WebSocket is gone (RFC 6455 7.1.5).
    pub fn on_eof(&mut self, outbox: &Outbox, now: Moment, config: &Config) {
        self.life.on_eof(!outbox.is_empty(), now, config);
    }

    /// The socket goes on with another session.
    pub fn hand_over(&mut self) {
        self.life.finish(Cause::HandedOver);
    }

    /// Ends the connection without a further word.
    pub fn cut(&mut self, cause: Cause) {
        self.life.finish(cause);
    }

    /// The connection is broken: nothing can be read or written any more.
    pub fn on_broken(&mut self) {
        self.life.finish(Cause::PeerLost);
    }

    /// Refuses a peer that has sent nothing that could be a request.
    pub fn refuse(&mut self, error: HttpError, now: Moment, config: &Config, outbox: &mut Outbox) {
        if !self.is_websocket() && !self.life.is_over() {
            self.life.refuse(error, now, config, outbox);
        }
    }

    /// Ends a connection whose peer was told why by other means, and waits for it to go.
    pub fn part(&mut self, cause: Cause, now: Moment, config: &Config) {
        self.life.linger(cause, now, config);
    }

    /// Whether what is to be written now is the last of all: [`Session::on_flushed`] will say that our side of the stream is
    /// to be ended.
    #[must_use]
    #[inline]
    pub fn is_parting(&self) -> bool {
        self.life.is_parting()
    }

    /// Everything is written. Returns whether our side of the stream is to be ended now; the peer then has until
    /// the linger deadline to end its own.
    pub fn on_flushed(&mut self, now: Moment, config: &Config) -> bool {
        self.life.on_flushed(now, config)
    }

    /// Does what is due if the moment of [`Session::deadline`] has come.
    pub fn on_deadline(&mut self, now: Moment, config: &Config, outbox: &mut Outbox) {
        if now < self.deadline() {
            return;
        }
        match &self.reader {
            Reader::Http(http) if self.life.stage() == Stage::Http => {
                self.life.on_http_deadline(http.late(), now, config, outbox);
            }
            _ => self.life.on_deadline(now, config, outbox),
        }
    }

    /// When [`Session::on_deadline`] has something to do; it may move with every call of another method.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.life.deadline()
    }

    /// Queues the Close frame that answers the peer's, or names its fault, behind what is queued by now.
    ///
    /// To be called once the application has said everything that it has to say to what came before, which is after
    /// [`Event::Closed`]; until then [`Session::can_send`] holds.
    pub fn push_owed_close(&mut self, outbox: &mut Outbox) {
        self.life.push_owed_close(outbox);
    }

    /// Whether data can be sent: on an open WebSocket, and on one that the peer has ended until our Close frame is
    /// queued.
    #[must_use]
    #[inline]
    pub fn can_send(&self) -> bool {
        self.life.can_send()
    }

    /// Whether it has become a WebSocket, be that open or not.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        matches!(self.reader, Reader::WebSocket(_))
    }

    /// How messages of and for the peer may be compressed, if that was agreed on.
    #[must_use]
    #[inline]
    pub fn deflate(&self) -> Option<Deflate> {
        match &self.reader {
            Reader::WebSocket(reader) => reader.deflate(),
            Reader::Http(_) => None,
        }
    }

    /// Whether the peer is to be read: not while a request waits for its response, nor while the peer should first take
    /// what waits for it (SC-07).
    #[must_use]
    #[inline]
    pub fn wants_input(&mut self, outbox: &Outbox, soft_bytes_max: usize) -> bool {
        !self.is_closed() && !self.is_waiting() && !self.life.holds_back(outbox, soft_bytes_max)
    }

    /// To be asked after a flush: whether a peer that was not read because of what waited for it can be read again, of
    /// which no event will tell.
    #[must_use]
    #[inline]
    pub fn catches_up(&mut self, outbox: &Outbox, soft_bytes_max: usize) -> bool {
        self.life.is_held_back() && !self.life.holds_back(outbox, soft_bytes_max)
    }

    /// Bytes that have come of a message, or of requests, that cannot be dealt with yet.
    #[must_use]
    #[inline]
    pub fn unfinished_len(&self) -> usize {
        match &self.reader {
            Reader::WebSocket(reader) => reader.held_len(),
            Reader::Http(http) => http.held_len(),
        }
    }

    /// Whether the WebSocket is open in both directions.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.life.stage() == Stage::Open
    }

    /// Whether the socket can be dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.life.stage() == Stage::Closed
    }

    /// How the connection ended, so far as it has.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.life.ending()
    }
}

#[inline]
fn next_message<'a>(
    incoming: Result<Option<Incoming<'a>>, ProtocolError>,
    life: &mut Lifecycle,
    input: &mut &mut [u8],
    now: Moment,
    config: &Config,
    outbox: &mut Outbox,
) -> Option<Event<'a>> {
    match incoming {
        Ok(Some(Incoming::Message(message))) if life.is_listening() => {
            life.on_message();
            Some(Event::Message(message))
        }
        Ok(None) => Some(Event::Handled),
        Ok(Some(incoming)) => {
            let event = match incoming {
                Incoming::Message(_) => Event::Handled,
                Incoming::Pong(_) => life
                    .take_awaited_pong(now, config)
                    .map_or(Event::Control, Event::Answered),
                Incoming::Ping(_) | Incoming::Close(_) => Event::Control,
            };
            life.on_control(incoming, now, config, outbox);
            Some(if life.take_closed() {
                Event::Closed
            } else {
                event
            })
        }
        Err(error) => {
            *input = &mut [];
            life.violated(error, now, config);
            life.take_closed().then_some(Event::Closed)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::HttpError;
    use crate::outbox::Flushed;
    use crate::proto::{EncodedFrame, OpCode, ProtocolError};

    const HEAD: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A session with all that is around it, where every upgrade is accepted and every other request answered.
    struct Fixture {
        session: Session,
        outbox: Outbox,
        config: Config,
        now: Moment,
        /// What was told, in words.
        told: Vec<String>,
    }

    impl Fixture {
        fn new() -> Self {
            let config = Config::default();
            let session = Session::new(Moment::START, &config);
            Self {
                session,
                outbox: Outbox::default(),
                config,
                now: Moment::START,
                told: Vec::new(),
            }
        }

        fn open() -> Self {
            let mut fixture = Self::new();
            fixture.feed(HEAD.as_bytes());
            assert!(fixture.session.is_open());
            fixture.written();
            fixture.told.clear();
            fixture
        }

        fn take_no_more_requests(&mut self) {
            let (outbox, now, config) = (&self.outbox, self.now, &self.config);
            self.session.take_no_more_requests(outbox, now, config);
        }

        fn feed(&mut self, bytes: &[u8]) {
            let mut bytes = bytes.to_vec();
            let mut input = &mut bytes[..];
            while let Some(event) =
                self.session
                    .next_event(&mut input, self.now, &self.config, &mut self.outbox)
            {
                match event {
                    Event::Request(request) => {
                        self.told
                            .push(format!("{} {}", request.method(), request.path()));
                        let (now, config, outbox) = (self.now, &self.config, &mut self.outbox);
                        match Handshake::accept(&request) {
                            _ if request.path() == "/later" => self.session.wait(now, config),
                            Ok(handshake) => self.session.open(&handshake, seconds(5), now, outbox),
                            Err(_) => self.session.respond(
                                &Response::new(200, "text/plain", b"ok".as_slice()),
                                now,
                                config,
                                outbox,
                            ),
                        }
                    }
                    Event::Message(message) => self
                        .told
                        .push(String::from_utf8_lossy(message.payload()).into_owned()),
                    Event::Control | Event::Answered(_) | Event::Handled => {}
                    Event::Closed => {
                        self.told.push("closed".into());
                        self.session.push_owed_close(&mut self.outbox);
                    }
                }
            }
        }

        fn at(&mut self, second: u64) {
            self.now = Moment::START + seconds(second);
            self.session
                .on_deadline(self.now, &self.config, &mut self.outbox);
            self.feed(&[]);
        }

        fn close(&mut self) {
            let close = CloseFrame {
                code: CloseCode::NORMAL,
                reason: "bye",
            };
            self.session
                .close(close, self.now, &self.config, &mut self.outbox);
            self.feed(&[]);
        }

        /// Answers a request that waits.
        fn respond(&mut self) {
            let response = Response::new(200, "text/plain", b"ok".as_slice());
            self.session
                .respond(&response, self.now, &self.config, &mut self.outbox);
        }

        fn eof(&mut self) {
            self.session.on_eof(&self.outbox, self.now, &self.config);
            self.feed(&[]);
        }

        /// Everything that the peer gets now.
        fn written(&mut self) -> Vec<u8> {
            let mut written = Vec::new();
            self.outbox
                .write_to(&mut written, usize::MAX, self.now)
                .unwrap();
            written
        }

        fn cause(&self) -> Cause {
            self.session.ending().cause
        }
    }

    /// A masked client frame, final; the mask is zero, so the payload stays readable.
    fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(payload.len()).unwrap();
        assert!(len < 126);
        [&[0x80 | opcode as u8, 0x80 | len, 0, 0, 0, 0], payload].concat()
    }

    fn close_frame(code: u16) -> Vec<u8> {
        frame(OpCode::Close, &code.to_be_bytes())
    }

    #[test]
    fn hs_17_frames_right_behind_the_head_are_answered_at_every_split() {
        let bytes = [
            HEAD.as_bytes(),
            &frame(OpCode::Text, b"first"),
            &frame(OpCode::Text, b"second"),
        ]
        .concat();
        for split in 0..=bytes.len() {
            let mut fixture = Fixture::new();
            fixture.feed(&bytes[..split]);
            fixture.feed(&bytes[split..]);
            assert_eq!(
                fixture.told,
                ["GET /echo", "first", "second"],
                "split at {split}"
            );
        }
    }

    #[test]
    fn sc_07_a_peer_that_was_held_back_is_read_again_when_it_has_taken_enough() {
        let mut fixture = Fixture::open();
        let soft_bytes_max = 100;
        let reply = EncodedFrame::from_vec([&[0x82, 99][..], &[7; 99]].concat());
        fixture.outbox.push(&reply, usize::MAX).unwrap();
        let Fixture {
            session, outbox, ..
        } = &mut fixture;
        assert!(session.wants_input(outbox, 101));
        assert!(!session.catches_up(outbox, 101), "it was not held back");
        assert!(!session.wants_input(outbox, soft_bytes_max));
        assert!(
            !session.catches_up(outbox, soft_bytes_max),
            "all of it still waits"
        );
        let mut byte = [0];
        let taken = outbox.write_to(&mut &mut byte[..], 1, Moment::START);
        assert_eq!(taken.unwrap(), Flushed::UntilBudget);
        assert!(session.catches_up(outbox, soft_bytes_max));
        assert!(
            !session.catches_up(outbox, soft_bytes_max),
            "that is told once"
        );
        assert!(session.wants_input(outbox, soft_bytes_max));
    }

    #[test]
    fn sc_07_a_peer_that_is_not_read_is_not_taken_for_dead() {
        let mut fixture = Fixture::open();
        let reply = EncodedFrame::from_vec([&[0x82, 99][..], &[7; 99]].concat());
        fixture.outbox.push(&reply, usize::MAX).unwrap();
        assert!(!fixture.session.wants_input(&fixture.outbox, 100));
        for second in (5..200).step_by(5) {
            fixture.at(second);
        }
        assert!(fixture.session.is_open());
        // Once it is read again it has to show that it lives.
        fixture.written();
        assert!(fixture.session.catches_up(&fixture.outbox, 100));
        fixture.at(260);
        fixture.at(300);
        assert_eq!(fixture.cause(), Cause::Silent);
    }

    #[test]
    fn hs_18_a_refusal_ends_the_connection_and_discards_what_follows() {
        let mut fixture = Fixture::new();
        fixture.feed(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let written = String::from_utf8(fixture.written()).unwrap();
        assert!(written.starts_with("HTTP/1.1 400 "));
        assert_eq!(written.matches("HTTP/1.1").count(), 1);
        assert!(fixture.told.is_empty());
        assert!(
            fixture.session.on_flushed(fixture.now, &fixture.config),
            "our side of the stream ends"
        );
        assert!(
            !fixture.session.on_flushed(fixture.now, &fixture.config),
            "and only once"
        );
    }

    #[test]
    fn hs_16_the_deadline_for_the_head_is_not_moved_by_traffic() {
        let mut fixture = Fixture::new();
        for (second, byte) in (0..9).zip(HEAD.bytes()) {
            fixture.at(second);
            fixture.feed(&[byte]);
        }
        fixture.at(10);
        assert!(fixture.written().starts_with(b"HTTP/1.1 408 "));
        assert_eq!(fixture.cause(), Cause::Refused(HttpError::RequestTimeout));
    }

    #[test]
    fn a_peer_that_says_nothing_is_closed_silently() {
        let mut fixture = Fixture::new();
        fixture.at(10);
        assert!(fixture.session.is_closed());
        assert!(fixture.written().is_empty());
        assert_eq!(fixture.cause(), Cause::Idle);
    }

    #[test]
    fn ht_05_requests_are_answered_in_order_until_the_limit_of_a_connection() {
        let mut fixture = Fixture::new();
        fixture.config.http_requests_max = 3;
        fixture.feed(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5).as_slice());
        assert_eq!(fixture.told.len(), 3);
        let written = String::from_utf8(fixture.written())
            .unwrap()
            .to_ascii_lowercase();
        assert_eq!(written.matches("http/1.1 200").count(), 3);
        assert_eq!(written.matches("connection: close").count(), 1);
    }

    #[test]
    fn a_kept_connection_has_the_idle_time_between_requests_and_the_head_time_within() {
        let request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut fixture = Fixture::new();
        fixture.feed(request);
        fixture.at(29);
        fixture.feed(&request[..5]);
        fixture.at(38);
        assert!(!fixture.session.is_closed());
        fixture.at(39);
        assert!(
            String::from_utf8(fixture.written())
                .unwrap()
                .contains("HTTP/1.1 408")
        );
        let mut idle = Fixture::new();
        idle.feed(request);
        idle.at(30);
        assert!(idle.session.is_closed());
    }

    #[test]
    fn cl_01_a_close_frame_is_answered_with_its_code_and_no_data_counts_after_it() {
        for (received, answer) in [
            (close_frame(1000), b"\x88\x02\x03\xe8".to_vec()),
            (close_frame(4999), b"\x88\x02\x13\x87".to_vec()),
            (frame(OpCode::Close, b""), b"\x88\x00".to_vec()),
        ] {
            let mut fixture = Fixture::open();
            fixture.feed(&[received, frame(OpCode::Text, b"late"), close_frame(1001)].concat());
            assert_eq!(fixture.written(), answer);
            assert_eq!(fixture.told, ["closed"]);
            assert_eq!(fixture.cause(), Cause::PeerClosed);
        }
    }

    #[test]
    fn cl_02_a_bad_close_frame_fails_the_connection() {
        let one_byte = frame(OpCode::Close, b"\x03");
        let bad_code = close_frame(1005);
        let bad_text = frame(OpCode::Close, b"\x03\xe8\xff");
        for (bytes, code) in [(one_byte, 1002_u16), (bad_code, 1002), (bad_text, 1007)] {
            let mut fixture = Fixture::open();
            fixture.feed(&bytes);
            assert_eq!(fixture.written()[2..4], code.to_be_bytes());
        }
    }

    #[test]
    fn cl_03_the_initiator_drops_data_and_waits_for_the_close_frame_or_the_timeout() {
        let mut fixture = Fixture::open();
        fixture.close();
        assert_eq!(fixture.told, ["closed"]);
        fixture.feed(&[frame(OpCode::Text, b"late"), frame(OpCode::Ping, b"late")].concat());
        assert_eq!(fixture.told, ["closed"], "nothing is told after the end");
        assert!(fixture.session.deadline() <= fixture.now + fixture.config.close_timeout);
        fixture.feed(&close_frame(1000));
        assert_eq!(fixture.written(), b"\x88\x05\x03\xe8bye");
        assert!(fixture.session.on_flushed(fixture.now, &fixture.config));
        fixture.eof();
        assert!(fixture.session.is_closed());
        assert_eq!(fixture.cause(), Cause::Local);

        let mut silent = Fixture::open();
        silent.close();
        silent.at(5);
        assert!(silent.session.is_closed());
    }

    #[test]
    fn messages_behind_the_one_that_the_application_closed_for_are_discarded() {
        let mut fixture = Fixture::open();
        fixture.feed(&frame(OpCode::Text, b"bad"));
        fixture.session.stop_listening();
        fixture.feed(&[frame(OpCode::Text, b"next"), frame(OpCode::Ping, b"")].concat());
        assert_eq!(fixture.told, ["bad"]);
        assert_eq!(
            fixture.written(),
            b"\x8a\x00",
            "pings are answered until the end"
        );
    }

    #[test]
    fn cl_04_nothing_counts_after_a_violation() {
        let mut fixture = Fixture::open();
        let unmasked = [0x81, 0x02, b'h', b'i'];
        fixture.feed(
            &[
                &unmasked[..],
                &frame(OpCode::Text, b"valid"),
                &close_frame(1000),
            ]
            .concat(),
        );
        fixture.feed(&frame(OpCode::Text, b"valid"));
        assert_eq!(fixture.told, ["closed"]);
        assert_eq!(
            fixture.cause(),
            Cause::Violation(ProtocolError::UnmaskedFrame)
        );
        assert_eq!(fixture.session.ending().received, None);
        let written = fixture.written();
        assert_eq!(written[2..4], 1002_u16.to_be_bytes());
        assert_eq!(
            usize::from(written[1]),
            written.len() - 2,
            "one frame and no more"
        );
    }

    #[test]
    fn cl_08_the_end_of_the_stream_releases_everything_without_writing() {
        for bytes in [&b""[..], &HEAD.as_bytes()[..30], HEAD.as_bytes()] {
            let mut fixture = Fixture::new();
            fixture.feed(bytes);
            fixture.written();
            fixture.eof();
            assert!(fixture.session.is_closed());
            assert!(fixture.written().is_empty());
            assert_eq!(fixture.cause(), Cause::PeerLost);
            assert_eq!(
                fixture.told.iter().filter(|told| *told == "closed").count(),
                usize::from(bytes.len() > 30)
            );
        }
    }

    #[test]
    fn a_peer_that_ends_its_side_still_gets_the_answers_it_asked_for() {
        let mut http = Fixture::new();
        http.feed(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        http.eof();
        assert!(!http.session.is_closed());
        assert!(http.written().starts_with(b"HTTP/1.1 200"));
        assert!(!http.session.on_flushed(http.now, &http.config));
        assert!(http.session.is_closed());

        let mut closing = Fixture::open();
        closing.feed(&close_frame(1000));
        closing.eof();
        assert_eq!(closing.written(), b"\x88\x02\x03\xe8");
        closing.session.on_flushed(closing.now, &closing.config);
        assert!(closing.session.is_closed());
        assert_eq!(closing.cause(), Cause::PeerClosed);
    }

    #[test]
    fn ac_08_a_websocket_is_closed_with_1008_when_its_credential_ends() {
        let mut fixture = Fixture::open();
        fixture.session.expire_at(Moment::START + seconds(12));
        assert_eq!(fixture.session.deadline(), Moment::START + seconds(5));
        fixture.at(5);
        fixture.feed(&frame(OpCode::Text, b"hi"));
        assert_eq!(fixture.session.deadline(), Moment::START + seconds(12));
        fixture.written();
        fixture.at(12);
        assert_eq!(fixture.written(), b"\x88\x0f\x03\xf0token expired");
        assert_eq!(fixture.told, ["hi", "closed"]);
        fixture.feed(&close_frame(1008));
        fixture.eof();
        assert_eq!(fixture.cause(), Cause::Expired);
    }

    /// A request whose response the application puts off.
    const SLOW: &[u8] = b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn ht_05_what_comes_behind_a_request_that_waits_is_kept_until_it_has_its_response() {
        let next = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = [SLOW, next].concat();
        for split in SLOW.len()..=bytes.len() {
            let mut fixture = Fixture::new();
            fixture.feed(&bytes[..split]);
            assert!(fixture.session.is_waiting());
            fixture.feed(&bytes[split..]);
            assert_eq!(fixture.told, ["GET /later"]);
            assert!(fixture.session.take_held().is_empty() && fixture.written().is_empty());
            fixture.respond();
            assert!(!fixture.session.is_waiting());
            let held = fixture.session.take_held();
            fixture.feed(&held);
            assert_eq!(fixture.told, ["GET /later", "GET /next"]);
            assert_eq!(
                String::from_utf8(fixture.written())
                    .unwrap()
                    .matches("200 OK")
                    .count(),
                2
            );
        }
    }

    #[test]
    fn hs_16_empty_lines_put_off_no_deadline() {
        for (first, deadline) in [("", 10), ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 30)] {
            let mut fixture = Fixture::new();
            fixture.feed(first.as_bytes());
            fixture.written();
            for second in 1..deadline {
                fixture.at(second);
                fixture.feed(b"\r\n");
            }
            assert!(!fixture.session.is_closed());
            fixture.at(deadline);
            assert!(fixture.session.is_closed(), "after {deadline} s");
        }
    }

    #[test]
    fn sd_01_a_request_that_is_under_way_gets_its_answer_and_is_the_last() {
        let mut fixture = Fixture::new();
        fixture.feed(SLOW);
        fixture.take_no_more_requests();
        assert!(fixture.session.is_waiting(), "it is not idle");
        fixture.respond();
        let response = String::from_utf8(fixture.written()).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(response.contains("Connection: close"), "{response}");
        fixture.feed(SLOW);
        assert_eq!(fixture.told, ["GET /later"]);
    }

    #[test]
    fn sd_01_an_idle_connection_ends_behind_its_last_response() {
        let mut fixture = Fixture::new();
        fixture.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        fixture.take_no_more_requests();
        assert!(!fixture.session.is_closed(), "its response is not out");
        assert!(fixture.written().starts_with(b"HTTP/1.1 200 "));
        let ends = fixture.session.on_flushed(fixture.now, &fixture.config);
        assert!(ends, "it says so to the peer");
        fixture.at(2);
        assert!(fixture.session.is_closed());
        let mut silent = Fixture::new();
        silent.take_no_more_requests();
        assert!(silent.session.is_closed());
        assert_eq!(silent.cause(), Cause::Local);
    }

    #[test]
    fn a_response_that_does_not_come_is_503_when_the_time_is_over() {
        let mut fixture = Fixture::new();
        fixture.feed(SLOW);
        fixture.at(9);
        assert!(fixture.session.is_waiting(), "it is not idle");
        fixture.at(10);
        assert!(!fixture.session.is_waiting());
        assert!(fixture.written().starts_with(b"HTTP/1.1 503 "));
        assert_eq!(fixture.cause(), Cause::Refused(HttpError::Unavailable));
    }

    #[test]
    fn ht_04_whoever_waits_with_its_body_is_judged_once_by_its_head() {
        let head =
            b"POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        for is_good in [true, false] {
            let mut fixture = Fixture::new();
            fixture.feed(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
            fixture.written();
            fixture.told.clear();
            fixture.feed(&head[..20]);
            assert!(fixture.session.expectation(&fixture.config).is_none());
            fixture.feed(&head[20..]);
            let request = fixture.session.expectation(&fixture.config).unwrap();
            assert_eq!((request.path(), request.body()), ("/p", &[][..]));
            assert!(fixture.session.expectation(&fixture.config).is_none());
            if is_good {
                fixture.session.go_on(&mut fixture.outbox);
                assert_eq!(fixture.written(), b"HTTP/1.1 100 Continue\r\n\r\n");
                fixture.feed(b"hi");
                assert_eq!(fixture.told, ["POST /p"]);
                assert!(fixture.written().starts_with(b"HTTP/1.1 200 "));
            } else {
                fixture.respond();
                fixture.feed(b"hiGET / HTTP/1.1\r\nHost: a\r\n\r\n");
                assert!(
                    fixture.told.is_empty(),
                    "what follows is the body, or is not"
                );
                assert_eq!(fixture.cause(), Cause::Response);
            }
        }
    }

    #[test]
    fn fr_12_every_ping_of_a_burst_is_answered_with_its_bytes() {
        let mut fixture = Fixture::open();
        fixture.feed(
            &[
                frame(OpCode::Ping, b"old"),
                frame(OpCode::Ping, b"new"),
                frame(OpCode::Pong, b"x"),
            ]
            .concat(),
        );
        assert_eq!(fixture.written(), b"\x8a\x03old\x8a\x03new");
    }

    #[test]
    fn lt_06_only_the_pong_that_a_ping_asked_for_is_not_counted() {
        let mut fixture = Fixture::open();
        let is_counted = |fixture: &mut Fixture| {
            let mut bytes = frame(OpCode::Pong, b"");
            let (session, mut input) = (&mut fixture.session, &mut bytes[..]);
            let (config, outbox) = (&fixture.config, &mut fixture.outbox);
            let event = session.next_event(&mut input, fixture.now, config, outbox);
            matches!(event, Some(Event::Control))
        };
        assert!(is_counted(&mut fixture));
        fixture.at(5);
        assert!(!is_counted(&mut fixture));
        assert!(is_counted(&mut fixture));
    }

    #[test]
    fn lt_06_a_peer_with_too_much_to_say_gets_1008_behind_what_it_is_owed() {
        let mut fixture = Fixture::open();
        fixture.feed(&frame(OpCode::Ping, b"p"));
        let (now, config) = (fixture.now, fixture.config.clone());
        fixture.session.on_excess(Excess::Messages, now, &config);
        fixture.feed(&frame(OpCode::Text, b"more"));
        assert_eq!(fixture.told, ["closed"]);
        assert_eq!(fixture.cause(), Cause::TooFast(Excess::Messages));
        fixture.session.push_owed_close(&mut fixture.outbox);
        assert_eq!(
            fixture.written(),
            b"\x8a\x01p\x88\x13\x03\xf0too many messages"
        );
    }

    #[test]
    fn lt_03_a_silent_peer_is_pinged_and_dropped_35_seconds_after_its_last_sign_of_life() {
        let mut fixture = Fixture::open();
        fixture.at(5);
        assert_eq!(
            fixture.written(),
            b"\x89\x00",
            "the first ping comes when it was said to"
        );
        fixture.feed(&frame(OpCode::Pong, b""));
        fixture.at(29);
        assert!(fixture.written().is_empty());
        let (mut second, mut pings) = (30, 0);
        while fixture.session.is_open() && second < 100 {
            fixture.at(second);
            if fixture.session.is_open() {
                pings += fixture.written().len() / 2;
            }
            second += 1;
        }
        assert_eq!(second - 1, 40);
        assert_eq!(pings, 1, "the second ping");
        assert_eq!(fixture.written(), b"\x88\x11\x03\xe9no sign of life");
        assert_eq!(fixture.told, ["closed"]);
        assert_eq!(fixture.session.ending().sent, Some(CloseCode::GOING_AWAY));
    }

    #[test]
    fn lt_04_the_moments_of_all_pings_follow_from_that_of_the_first() {
        let mut fixture = Fixture::open();
        let mut pings = Vec::new();
        while pings.len() < 4 {
            fixture.now = fixture.session.deadline();
            let (now, config) = (fixture.now, &fixture.config);
            fixture
                .session
                .on_deadline(now, config, &mut fixture.outbox);
            if fixture.written() == b"\x89\x00" {
                pings.push(now);
                fixture.feed(&frame(OpCode::Pong, b""));
            }
        }
        let due = [5, 30, 55, 80].map(|second| Moment::START + seconds(second));
        assert_eq!(pings, due);
    }

    #[test]
    fn lt_03_any_byte_is_a_sign_of_life_and_our_own_sending_is_none() {
        let mut fixture = Fixture::open();
        for second in 1..200 {
            fixture.at(second);
            if second % 20 == 0 {
                fixture.feed(&frame(OpCode::Text, b"x"));
            }
        }
        assert!(fixture.session.is_open());
        assert_eq!(
            fixture.written(),
            b"\x89\x00",
            "a peer that talks is not pinged after the first time"
        );
    }

    #[test]
    fn ms_04_an_unfinished_message_has_a_deadline_that_its_fragments_do_not_move() {
        let mut fixture = Fixture::open();
        let first = [0x01, 0x81, 0, 0, 0, 0, b'a'];
        let next = [0x00, 0x81, 0, 0, 0, 0, b'b'];
        fixture.feed(&first);
        for second in 1..60 {
            fixture.at(second);
            fixture.feed(&next);
        }
        assert!(fixture.session.is_open());
        fixture.at(60);
        assert_eq!(fixture.cause(), Cause::UnfinishedMessage);
        assert_eq!(
            fixture.session.ending().sent,
            Some(CloseCode::POLICY_VIOLATION)
        );
    }

    #[test]
    fn sc_02_a_slow_consumer_gets_1008_in_place_of_its_data() {
        let mut fixture = Fixture::open();
        fixture.session.evict(
            Cause::SlowConsumer,
            fixture.now,
            &fixture.config,
            &mut fixture.outbox,
        );
        fixture.feed(&[]);
        assert_eq!(fixture.told, ["closed"]);
        assert_eq!(fixture.written()[2..4], 1008_u16.to_be_bytes());
    }

    #[test]
    fn a_session_stays_small() {
        assert!(
            size_of::<Session>() <= 136,
            "{} bytes",
            size_of::<Session>()
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Feed(Vec<u8>),
        Close,
        Evict,
        Eof,
        Broken,
        Flush,
        Later(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop_oneof![
                Just(HEAD.as_bytes().to_vec()),
                Just(frame(OpCode::Text, b"hello")),
                Just(frame(OpCode::Ping, b"p")),
                Just(close_frame(1000)),
                Just(vec![0xff, 0xff]),
                Just(vec![0x01, 0x81, 0, 0]),
            ].prop_map(Step::Feed),
            1 => Just(Step::Close),
            1 => Just(Step::Evict),
            1 => Just(Step::Eof),
            1 => Just(Step::Broken),
            2 => Just(Step::Flush),
            2 => (0_u64..40).prop_map(Step::Later),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: one end at most, one Close frame at most, and time alone ends it all.
        #[test]
        fn cl_09_a_silent_peer_reaches_closed_from_every_state(steps in proptest::collection::vec(any_step(), 0..25)) {
            let mut fixture = Fixture::new();
            let mut written = Vec::new();
            for step in steps {
                match step {
                    Step::Feed(bytes) => fixture.feed(&bytes),
                    Step::Close => fixture.close(),
                    Step::Evict => fixture.session.evict(Cause::SlowConsumer, fixture.now, &fixture.config, &mut fixture.outbox),
                    Step::Eof => fixture.eof(),
                    Step::Broken => fixture.session.on_broken(),
                    Step::Flush => {
                        written.extend(fixture.written());
                        fixture.session.on_flushed(fixture.now, &fixture.config);
                    }
                    Step::Later(by) => fixture.at(fixture.now.as_millis() / 1000 + by),
                }
                fixture.feed(&[]);
            }
            let was_opened = fixture.told.iter().any(|told| told == "GET /echo");
            for _ in 0..10 {
                fixture.at(fixture.session.deadline().min(fixture.now + seconds(100)).as_millis() / 1000 + 1);
                written.extend(fixture.written());
                fixture.session.on_flushed(fixture.now, &fixture.config);
            }
            prop_assert!(fixture.session.is_closed());
            prop_assert_eq!(fixture.told.iter().filter(|told| *told == "closed").count(), usize::from(was_opened));
            prop_assert!(written.iter().filter(|&&byte| byte == 0x88).count() <= 1, "CL-06: {:?}", written);
        }
    }
}
