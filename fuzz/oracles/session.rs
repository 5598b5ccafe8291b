//! One peer from its first byte on: what it sends, how it is cut, and what happens to it in between.
//!
//! | Bytes of the input | Meaning |
//! |---|---|
//! | 0 | how many bytes the peer sends at once in the second run; 0 is one |
//! | 1 | `n`, the number of steps |
//! | 2 to 2 + n | steps for the third run, see [`Peer::take_step`] |
//! | the rest | what the peer sends; if it begins with `\x01`, behind a good opening handshake |

use std::time::Duration;

use switchboard::clock::Moment;
use switchboard::config::Config;
use switchboard::http::{Handshake, Response};
use switchboard::outbox::Outbox;
use switchboard::proto::{
    CloseCode, CloseFrame, EncodedFrame, FrameBuffer, Incoming, MessageReader, Role,
};
use switchboard::session::{Cause, Event, Session};

const HEAD: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Feeds the session and looks at everything that it says.
///
/// # Panics
///
/// If a cut changes what the session tells or answers, if it tells the end of a WebSocket twice, if a peer gets
/// anything but responses and then whole frames of which a Close is the last, or if a silent peer is not let go.
pub(crate) fn check(data: &[u8]) {
    let Some((&[cut, step_count], rest)) = data.split_first_chunk() else {
        return;
    };
    let (steps, sent) = rest.split_at(usize::from(step_count).min(rest.len()));
    let sent = match sent.strip_prefix(b"\x01") {
        Some(frames) => [HEAD, frames].concat(),
        None => sent.to_vec(),
    };
    let whole = Peer::after(&sent, usize::MAX);
    let pieces = Peer::after(&sent, usize::from(cut).max(1));
    assert_eq!(whole.told, pieces.told, "a cut changes what is told");
    assert_eq!(whole.got, pieces.got, "a cut changes what is answered");
    whole.check_end();

    let mut peer = Peer::new();
    let mut chunks = sent.chunks(usize::from(cut).max(1));
    for &step in steps {
        match step % 8 {
            0..4 => peer.send(chunks.next().unwrap_or_default()),
            _ => peer.take_step(step),
        }
    }
    peer.check_end();
}

/// A session, and what its peer and the application get to see.
struct Peer {
    session: Session,
    outbox: Outbox,
    config: Config,
    now: Moment,
    told: Vec<String>,
    got: Vec<u8>,
}

impl Peer {
    fn new() -> Self {
        let mut config = Config::default();
        config.message.message_bytes_max = 300;
        config.message.fragments_max = 20;
        config.http.head_bytes_max = 400;
        config.http.body_bytes_max = 40;
        config.http.target_bytes_max = 100;
        Self {
            session: Session::new(Moment::START, &config),
            outbox: Outbox::default(),
            config,
            now: Moment::START,
            told: Vec::new(),
            got: Vec::new(),
        }
    }

    /// A peer that has sent all of `bytes`, `cut` at once, and reads what it is sent.
    fn after(bytes: &[u8], cut: usize) -> Self {
        let mut peer = Self::new();
        for piece in bytes.chunks(cut) {
            peer.send(piece);
        }
        peer.read();
        peer
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let mut replies: Vec<EncodedFrame> = Vec::new();
        while let Some(event) =
            self.session
                .next_event(&mut input, self.now, &self.config, &mut self.outbox)
        {
            match event {
                Event::Request(request) => {
                    self.told
                        .push(format!("{} {}", request.method(), request.path()));
                    match Handshake::accept(&request) {
                        Ok(handshake) => self.session.open(
                            &handshake,
                            Duration::from_secs(20),
                            self.now,
                            &mut self.outbox,
                        ),
                        Err(error) => self.session.respond(
                            &Response::refusal(error),
                            self.now,
                            &self.config,
                            &mut self.outbox,
                        ),
                    }
                }
                Event::Message(message) => {
                    self.told
                        .push(format!("{:?} {:?}", message.opcode(), message.payload()));
                    let mut frames = FrameBuffer::default();
                    frames.encode(message.opcode(), &[message.payload()]);
                    replies.push(frames.share());
                }
                Event::Control | Event::Answered(_) | Event::Handled => {}
                Event::Closed => self.told.push("closed".to_owned()),
            }
        }
        for reply in replies {
            if self.session.can_send() {
                let _ = self.outbox.push(&reply, self.config.outbox_bytes_max);
            }
        }
        if !self.session.is_open() {
            self.session.push_owed_close(&mut self.outbox);
        }
    }

    /// Something other than bytes from the peer happens.
    fn take_step(&mut self, step: u8) {
        match step {
            4 => self.session.on_eof(&self.outbox, self.now, &self.config),
            12 => self.session.on_broken(),
            5 => self.session.evict(
                Cause::SlowConsumer,
                self.now,
                &self.config,
                &mut self.outbox,
            ),
            6 => {
                let close = CloseFrame {
                    code: CloseCode::NORMAL,
                    reason: "",
                };
                self.session
                    .close(close, self.now, &self.config, &mut self.outbox);
            }
            7 => self.session.stop_listening(),
            _ if step.is_multiple_of(2) => self.read(),
            _ => self.wait(Duration::from_secs(u64::from(step) / 4)),
        }
        self.send(&[]);
    }

    fn read(&mut self) {
        self.outbox
            .write_to(&mut self.got, usize::MAX, self.now)
            .expect("a vector takes everything");
        self.session.on_flushed(self.now, &self.config);
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.session
            .on_deadline(self.now, &self.config, &mut self.outbox);
    }

    /// From now on the peer is silent, though it reads: it must be let go, after nothing but what the protocol allows.
    fn check_end(mut self) {
        for _ in 0..8 {
            self.wait(Duration::from_secs(100));
            self.send(&[]);
            self.read();
        }
        assert!(self.session.is_closed(), "a silent peer is not let go");
        let was_opened = self.told.iter().filter(|told| *told == "closed").count();
        assert!(was_opened <= 1, "the end is told {was_opened} times");
        let mut got = &mut self.got[..];
        while got.starts_with(b"HTTP/1.1 ") {
            let head = String::from_utf8_lossy(got).into_owned();
            let head_len = head.find("\r\n\r\n").expect("a head has an end") + 4;
            let body_len = head[..head_len]
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .map_or(0, |len| len.parse().expect("a length is a number"));
            got = &mut got[head_len + body_len..];
        }
        let mut reader = MessageReader::new(Role::Client);
        let mut has_closed = false;
        while let Some(incoming) = reader
            .next(&mut got, &self.config.message)
            .expect("frames that are right")
        {
            assert!(!has_closed, "something follows the Close frame");
            has_closed = matches!(incoming, Incoming::Close(_));
        }
        assert!(!reader.is_mid_message(), "a frame is cut short");
    }
}
