//! Where a peer is in its life, and how long it may stay there.

use std::time::Duration;

use super::ending::{Cause, Ending, Fate};
use super::rates::Excess;
use crate::clock::Moment;
use crate::config::Config;
use crate::http::{HttpError, Response};
use crate::outbox::Outbox;
use crate::proto::{CloseCode, CloseFrame, Incoming, ProtocolError};

/// The stages of the table in [`crate::session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Http,
    Open,
    Closing,
    Lingering,
    Closed,
}

/// The stage of a peer with its deadlines.
#[derive(Debug)]
pub(super) struct Lifecycle {
    /// When the stage has to be left, or a ping is due.
    deadline: Moment,
    /// When the peer last sent anything at all.
    last_seen: Moment,
    /// `None` means that it is [`Fate::OPEN`], which is that of most peers for most of the time.
    fate: Option<Box<Fate>>,
    stage: Stage,
    /// Set from leaving `Open` until that was told.
    owes_closed: bool,
    liveness: Liveness,
    /// Whether messages are discarded because the application has asked for the end.
    is_deaf: bool,
    /// Set until our Close frame, which answers the peer's or names its fault, is queued behind what was said before.
    owes_close_frame: bool,
    /// Whether our side of the stream is ended.
    has_ended_stream: bool,
    /// Whether the peer's side of the stream is ended, and we have something to say yet.
    has_peer_ended_stream: bool,
    /// Whether the peer is not read because it does not take what waits for it.
    is_held_back: bool,
}

/// What is known of the peer's life while the WebSocket is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liveness {
    /// The first ping comes at a moment of its own, so that peers which connect together are not pinged together.
    FirstPingDue,
    /// A ping is due once the peer was silent for the ping interval.
    Quiet,
    /// A ping is out; something has to come in time.
    Pinged,
}

impl Lifecycle {
    pub(super) fn new(now: Moment, deadline: Moment) -> Self {
        Self {
            deadline,
            last_seen: now,
            fate: None,
            stage: Stage::Http,
            owes_closed: false,
            liveness: Liveness::FirstPingDue,
            is_deaf: false,
            owes_close_frame: false,
            has_ended_stream: false,
            has_peer_ended_stream: false,
            is_held_back: false,
        }
    }

    /// The peer sent something: it lives.
    #[inline]
    pub(super) fn on_input(&mut self, now: Moment) {
        self.last_seen = now;
    }

    pub(super) fn await_request(&mut self, deadline: Moment) {
        self.deadline = deadline;
    }

    pub(super) fn open(&mut self, first_ping: Moment) {
        self.stage = Stage::Open;
        self.deadline = first_ping;
    }

    pub(super) fn expire_at(&mut self, expiry: Moment) {
        if self.stage == Stage::Open && expiry != Moment::NEVER {
            self.fate_mut().expiry = expiry;
        }
    }

    /// A message is complete.
    #[inline]
    pub(super) fn on_message(&mut self) {
        if let Some(fate) = &mut self.fate {
            fate.message_deadline = Moment::NEVER;
        }
    }

    /// The input is used up. What is unfinished then has a deadline, which further parts of it do not move.
    pub(super) fn on_input_end(&mut self, is_mid_message: bool, deadline: Moment) {
        if !is_mid_message {
            self.on_message();
        } else if self.fate().message_deadline == Moment::NEVER {
            self.fate_mut().message_deadline = deadline;
        }
    }

    /// Answers a control frame, and discards data that comes after our Close.
    pub(super) fn on_control(
        &mut self,
        incoming: Incoming<'_>,
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) {
        match incoming {
            Incoming::Ping(payload) if self.stage == Stage::Open => outbox.push_pong(payload),
            Incoming::Close(close) => self.on_close(close, now, config),
            Incoming::Ping(_) | Incoming::Pong(_) | Incoming::Message(_) => {}
        }
    }

    fn on_close(&mut self, close: Option<CloseFrame<'_>>, now: Moment, config: &Config) {
        self.fate_mut().ending.received = close.map(|close| close.code);
        if self.stage == Stage::Open {
            self.owes_close_frame = true;
            self.linger(Cause::PeerClosed, now, config);
        } else {
            self.linger(self.ending().cause, now, config);
        }
    }

    /// Queues the Close frame that is owed, if one is; nothing can be sent after it.
    pub(super) fn push_owed_close(&mut self, outbox: &mut Outbox) {
        if !std::mem::take(&mut self.owes_close_frame) {
            return;
        }
        let ending = &mut self.fate_mut().ending;
        let fault = match ending.cause {
            Cause::Violation(error) => Some((error.close_code(), error.to_string())),
            Cause::TooFast(excess) => Some((CloseCode::POLICY_VIOLATION, excess.to_string())),
            _ => None,
        };
        match fault {
            Some((code, reason)) => {
                ending.sent = Some(code);
                outbox.push_close(Some(CloseFrame {
                    code,
                    reason: &reason,
                }));
            }
            None => {
                ending.sent = ending.received;
                let answer = ending.received.map(|code| CloseFrame { code, reason: "" });
                outbox.push_close(answer);
            }
        }
    }

    /// Our Close frame is queued behind the data; the peer's is awaited.
    pub(super) fn start_closing(&mut self, cause: Cause, code: CloseCode, deadline: Moment) {
        self.leave_open();
        self.stage = Stage::Closing;
        self.deadline = deadline;
        let ending = &mut self.fate_mut().ending;
        ending.cause = cause;
        ending.sent = Some(code);
    }

    /// The peer broke the protocol. Nothing that comes after it counts (RFC 6455 7.1.7); what came before it does.
    pub(super) fn violated(&mut self, error: ProtocolError, now: Moment, config: &Config) {
        if self.stage == Stage::Open {
            self.owes_close_frame = true;
            self.linger(Cause::Violation(error), now, config);
        } else {
            self.linger(self.ending().cause, now, config);
        }
    }

    /// The peer sent too much. What it sent before is answered; what it sends from now on does not count.
    pub(super) fn on_excess(&mut self, excess: Excess, now: Moment, config: &Config) {
        if self.stage == Stage::Open {
            self.owes_close_frame = true;
            self.linger(Cause::TooFast(excess), now, config);
        }
    }

    /// How long after our ping its pong comes, if one that comes now is that; the next one is not.
    pub(super) fn take_awaited_pong(&mut self, now: Moment, config: &Config) -> Option<Duration> {
        if self.liveness != Liveness::Pinged {
            return None;
        }
        self.liveness = Liveness::Quiet;
        Some(config.ping_timeout.saturating_sub(self.deadline - now))
    }

    /// Says `close` in place of the unsent data, and nothing more.
    pub(super) fn fail(
        &mut self,
        cause: Cause,
        close: CloseFrame<'_>,
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) {
        if self.stage != Stage::Open {
            return;
        }
        let dropped = outbox.abandon_then(Some(close));
        let ending = &mut self.fate_mut().ending;
        ending.sent = Some(close.code);
        ending.dropped_count += dropped;
        self.linger(cause, now, config);
    }

    /// Refuses a request that could not be understood, whatever comes after it.
    pub(super) fn refuse(
        &mut self,
        error: HttpError,
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) {
        outbox.push_response(Response::refusal(error).encode(false, true));
        self.linger(Cause::Refused(error), now, config);
    }

    /// Everything is said. It has to be written before the close deadline.
    pub(super) fn linger(&mut self, cause: Cause, now: Moment, config: &Config) {
        self.leave_open();
        self.stage = Stage::Lingering;
        self.deadline = now + config.close_timeout;
        self.fate_mut().ending.cause = cause;
    }

    /// Whether our side of the stream is to be ended as soon as everything is written.
    #[inline]
    pub(super) fn is_parting(&self) -> bool {
        self.stage == Stage::Lingering
            && !self.owes_close_frame
            && !self.has_ended_stream
            && !self.has_peer_ended_stream
    }

    /// Everything is written; returns whether our side of the stream is to be ended now, which it is once.
    pub(super) fn on_flushed(&mut self, now: Moment, config: &Config) -> bool {
        if self.stage != Stage::Lingering || self.owes_close_frame || self.has_ended_stream {
            return false;
        }
        if self.has_peer_ended_stream {
            self.finish(self.ending().cause);
            return false;
        }
        self.has_ended_stream = true;
        // A peer that gave no sign of life for so long will not end its side either.
        let is_dead = self.ending().cause == Cause::Silent;
        self.deadline = if is_dead {
            now
        } else {
            now + config.linger_timeout
        };
        true
    }

    /// The connection is gone. The cause is kept if there is one already.
    pub(super) fn finish(&mut self, cause: Cause) {
        self.leave_open();
        self.owes_close_frame = false;
        self.stage = Stage::Closed;
        self.deadline = Moment::NEVER;
        let ending = &mut self.fate_mut().ending;
        if ending.cause == Cause::None {
            ending.cause = cause;
        }
    }

    /// The peer has ended its side of the stream. Answers that it is owed are still written; an open WebSocket is gone.
    pub(super) fn on_eof(&mut self, has_unsent: bool, now: Moment, config: &Config) {
        let is_owed = has_unsent || self.owes_close_frame;
        match self.stage {
            Stage::Http if is_owed => {
                self.has_peer_ended_stream = true;
                self.linger(Cause::PeerLost, now, config);
            }
            Stage::Lingering if is_owed => self.has_peer_ended_stream = true,
            _ => self.finish(Cause::PeerLost),
        }
    }

    /// The time for a request or its response is over; `late` says what is missing, if anything has begun.
    pub(super) fn on_http_deadline(
        &mut self,
        late: Option<HttpError>,
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) {
        match late {
            Some(error) => self.refuse(error, now, config, outbox),
            None => self.finish(Cause::Idle),
        }
    }

    pub(super) fn on_deadline(&mut self, now: Moment, config: &Config, outbox: &mut Outbox) {
        match self.stage {
            Stage::Open if now >= self.fate().expiry => {
                let code = CloseCode::POLICY_VIOLATION;
                outbox.push_close(Some(CloseFrame {
                    code,
                    reason: "token expired",
                }));
                self.start_closing(Cause::Expired, code, now + config.close_timeout);
            }
            Stage::Open if now >= self.fate().message_deadline => {
                let close = CloseFrame {
                    code: CloseCode::POLICY_VIOLATION,
                    reason: "unfinished message",
                };
                self.fail(Cause::UnfinishedMessage, close, now, config, outbox);
            }
            Stage::Open => self.check_liveness(now, config, outbox),
            Stage::Http | Stage::Closing | Stage::Lingering => self.finish(Cause::Silent),
            Stage::Closed => {}
        }
    }

    /// Pings a peer that was silent for the ping interval, and fails one that stays silent for the answer time too.
    ///
    /// Anything that comes is a sign of life, and it only sets `last_seen`; the deadline catches up when it fires.
    /// What we send is none.
    fn check_liveness(&mut self, now: Moment, config: &Config, outbox: &mut Outbox) {
        if self.is_held_back {
            // Whatever it says, nobody listens.
            self.last_seen = now;
        }
        let ping_due = self.last_seen + config.ping_interval;
        let dead_at = ping_due + config.ping_timeout;
        if self.liveness == Liveness::Pinged && now >= dead_at {
            let close = CloseFrame {
                code: CloseCode::GOING_AWAY,
                reason: "no sign of life",
            };
            self.fail(Cause::Silent, close, now, config, outbox);
        } else if self.liveness == Liveness::FirstPingDue || now >= ping_due {
            outbox.push_ping();
            self.liveness = Liveness::Pinged;
            // Not at the moment when the peer is dead, which after the early first ping is the same for all who have opened
            // together: if they were looked at only then, their next pings would come all at once.
            self.deadline = now + config.ping_timeout;
        } else {
            self.liveness = Liveness::Quiet;
            self.deadline = ping_due;
        }
    }

    /// Whether the peer should take what waits for it before it says more. In the later stages it may say what it likes,
    /// for nothing comes of it.
    #[inline]
    pub(super) fn holds_back(&mut self, outbox: &Outbox, soft_bytes_max: usize) -> bool {
        self.is_held_back = outbox.is_over(soft_bytes_max) && self.stage <= Stage::Open;
        self.is_held_back
    }

    #[inline]
    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// Whether the WebSocket has ended and that was not told yet; tells it.
    #[inline]
    pub(super) fn take_closed(&mut self) -> bool {
        std::mem::take(&mut self.owes_closed)
    }

    /// Whether nothing that comes from the peer counts any more.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.stage >= Stage::Lingering
    }

    #[inline]
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The application wants no more messages.
    pub(super) fn stop_listening(&mut self) {
        self.is_deaf = true;
    }

    /// Whether the application is told of messages.
    #[inline]
    pub(super) fn is_listening(&self) -> bool {
        self.stage == Stage::Open && !self.is_deaf
    }

    /// Whether data can be sent: until our Close frame is queued.
    #[inline]
    pub(super) fn can_send(&self) -> bool {
        self.stage == Stage::Open || self.owes_close_frame
    }

    pub(super) fn deadline(&self) -> Moment {
        let Fate {
            message_deadline,
            expiry,
            ..
        } = *self.fate();
        self.deadline.min(message_deadline).min(expiry)
    }

    pub(super) fn ending(&self) -> Ending {
        self.fate().ending
    }

    fn fate(&self) -> &Fate {
        self.fate.as_deref().unwrap_or(&Fate::OPEN)
    }

    fn fate_mut(&mut self) -> &mut Fate {
        self.fate.get_or_insert_with(|| Box::new(Fate::OPEN))
    }

    fn leave_open(&mut self) {
        self.owes_closed |= self.stage == Stage::Open;
        if let Some(fate) = &mut self.fate {
            fate.message_deadline = Moment::NEVER;
            fate.expiry = Moment::NEVER;
        }
    }
}
