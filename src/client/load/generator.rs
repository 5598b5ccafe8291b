//! The course of a load: everyone is there, messages are sent, the last ones come, everyone goes.

use std::fmt;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::ledger::Ledger;
use super::payload::Payloads;
use super::peer::{End, Happening};
use super::schedule::Schedule;
use super::stopper::LoadStopper;
use super::tally::{LoadProgress, LoadReport};
use super::target::LoadTarget;
use super::{LoadConfig, LoadMode, Pace, visits};
use crate::client::ClientError;
use crate::proto::{Deflater, OpCode};

/// How often progress is told, and what takes too long is ended.
pub(super) const TELL_INTERVAL: Duration = Duration::from_millis(100);
/// How many connections are being opened at a time: fewer than wait in the queue of any listener.
const OPENING_MAX: usize = 100;
/// A connection is sent nothing more while more bytes than this wait for its socket.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// A load that is ready to begin.
pub struct Load {
    config: LoadConfig,
    crowd: Crowd,
}

impl Load {
    /// Prepares a load for `target`.
    ///
    /// # Errors
    ///
    /// The system has no means to wait for sockets.
    pub fn prepare(target: LoadTarget, config: LoadConfig) -> Result<Self, ClientError> {
        let crowd = Crowd::new(target, config.client.clone(), config.client_count)?;
        Ok(Self { config, crowd })
    }

    /// With it other threads end the load early.
    #[must_use]
    pub fn stopper(&self) -> LoadStopper {
        self.crowd.stopper().clone()
    }

    /// Runs the load to its end, and tells a few times in a second how far it is.
    ///
    /// # Errors
    ///
    /// One of the connections cannot be opened. What goes wrong behind that is in the report.
    pub fn run(
        self,
        mut on_progress: impl FnMut(&LoadProgress),
    ) -> Result<LoadReport, ClientError> {
        if self.config.mode == LoadMode::Connect {
            return visits::run(self.crowd, &self.config, on_progress);
        }
        let mut course = Course::new(self.crowd, self.config);
        course.open_all(&mut on_progress)?;
        course.send(&mut on_progress)?;
        course.await_rest()?;
        course.close_all()?;
        Ok(course.report)
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A load of messages under way.
struct Course {
    config: LoadConfig,
    crowd: Crowd,
    ledger: Ledger,
    report: LoadReport,
    /// What compresses messages, for whoever has agreed on that.
    deflater: Deflater,
    /// The number of the next message.
    next_number: u64,
    /// The place whose turn it is to send, if the clock says when.
    next_place: usize,
    /// Places where something came in this turn.
    heard: Vec<usize>,
    begun_at: Option<Instant>,
    told_at: Instant,
    /// Why a connection could not be opened.
    failure: Option<ClientError>,
}

impl Course {
    fn new(crowd: Crowd, config: LoadConfig) -> Self {
        Self {
            ledger: Ledger::new(config.client_count, Payloads::new(config.payload_len)),
            config,
            crowd,
            report: LoadReport::new(),
            deflater: Deflater::default(),
            next_number: 0,
            next_place: 0,
            heard: Vec::new(),
            begun_at: None,
            told_at: Instant::now(),
            failure: None,
        }
    }

    /// Opens all connections, a part of them at a time.
    fn open_all(&mut self, on_progress: &mut impl FnMut(&LoadProgress)) -> Result<(), ClientError> {
        let mut dialed = 0;
        loop {
            let ended = usize::try_from(self.report.ended).unwrap_or(usize::MAX);
            let settled = self.crowd.open_count().saturating_add(ended);
            if settled >= self.config.client_count || self.crowd.stopper().is_stopped() {
                return Ok(());
            }
            while dialed < self.config.client_count && dialed < settled + OPENING_MAX {
                self.crowd.dial(dialed, Instant::now())?;
                dialed += 1;
            }
            self.turn(TELL_INTERVAL, on_progress)?;
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
        }
    }

    /// Sends messages for as long as the load is to take.
    fn send(&mut self, on_progress: &mut impl FnMut(&LoadProgress)) -> Result<(), ClientError> {
        let begin = Instant::now();
        let end = begin + self.config.duration;
        self.begun_at = Some(begin);
        let mut schedule = match self.config.pace {
            Pace::PerSecond(rate) => Some(Schedule::new(begin, rate)),
            Pace::InFlight(_) => None,
        };
        self.heard = (0..self.config.client_count).collect();
        while Instant::now() < end && self.can_go_on() {
            let nap = match &mut schedule {
                Some(schedule) => {
                    self.send_due(schedule, end);
                    schedule.nap(Instant::now())
                }
                None => {
                    self.send_next();
                    TELL_INTERVAL
                }
            };
            let left = end.saturating_duration_since(Instant::now());
            self.turn(nap.min(left).min(TELL_INTERVAL), on_progress)?;
        }
        let ended_at = Instant::now().min(end);
        self.report.elapsed = ended_at - begin;
        self.report.behind = schedule.map_or(0, |schedule| schedule.behind(ended_at));
        Ok(())
    }

    /// Waits for what is still under way, as long as a server may take to close.
    fn await_rest(&mut self) -> Result<(), ClientError> {
        let end = Instant::now() + self.config.client.close_timeout;
        while self.ledger.awaited_count() > 0 && Instant::now() < end {
            self.turn(TELL_INTERVAL, &mut |_| ())?;
        }
        for place in 0..self.config.client_count {
            self.ledger.on_gone(place, &mut self.report);
        }
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), ClientError> {
        let now = Instant::now();
        self.crowd.close_all(now);
        let end = now + self.config.client.close_timeout;
        while !self.crowd.is_empty() && Instant::now() < end {
            self.crowd.turn(TELL_INTERVAL, |_, _, _| ())?;
        }
        Ok(())
    }

    /// Whether there is somebody to send to, and nobody wants an end.
    fn can_go_on(&mut self) -> bool {
        let has_sender = match self.config.mode {
            LoadMode::FanOut => self.crowd.open_count() > 1 && self.crowd.open_peer(0).is_some(),
            _ => self.crowd.open_count() > 0,
        };
        has_sender && !self.crowd.stopper().is_stopped()
    }

    /// Sends in place of what has come back.
    fn send_next(&mut self) {
        let Pace::InFlight(in_flight) = self.config.pace else {
            return;
        };
        let now = Instant::now();
        let mut heard = std::mem::take(&mut self.heard);
        if self.config.mode == LoadMode::FanOut {
            let receivers = self.crowd.open_count().saturating_sub(1);
            let room = receivers.saturating_mul(in_flight);
            while receivers > 0
                && self.ledger.awaited_count() + receivers <= room
                && self.send_one(0, now)
            {}
            self.flush(0);
        } else {
            for &place in &heard {
                while self.ledger.awaited_by(place) < in_flight && self.send_one(place, now) {}
                self.flush(place);
            }
        }
        heard.clear();
        self.heard = heard;
    }

    /// Sends what is due.
    fn send_due(&mut self, schedule: &mut Schedule, end: Instant) {
        self.heard.clear();
        let now = Instant::now();
        loop {
            let due = schedule.next_due();
            if due > now || due >= end {
                return;
            }
            let place = match self.config.mode {
                LoadMode::FanOut => Some(0),
                _ => self.next_open_place(),
            };
            let Some(place) = place else {
                return;
            };
            if !self.send_one(place, due) {
                // The socket takes no more: what is due now stays due, and the time that it waits counts.
                return;
            }
            schedule.advance();
            self.flush(place);
        }
    }

    /// The next place in turn with an open WebSocket.
    fn next_open_place(&mut self) -> Option<usize> {
        let len = self.config.client_count;
        let found = (0..len)
            .map(|step| (self.next_place + step) % len)
            .find(|&place| self.crowd.open_peer(place).is_some())?;
        self.next_place = found + 1;
        Some(found)
    }

    /// Queues the next message at a place; false if nothing can be sent there now.
    fn send_one(&mut self, place: usize, since: Instant) -> bool {
        let Some(peer) = self.crowd.open_peer(place) else {
            return false;
        };
        if peer.unsent_len() > UNSENT_BYTES_MAX {
            return false;
        }
        let opcode = match self.config.is_text {
            true => OpCode::Text,
            false => OpCode::Binary,
        };
        let number = self.next_number;
        let payloads = self.ledger.payloads();
        let (digits, rest) = payloads.parts(number);
        let parts = [&digits[..payloads.number_len()], rest];
        peer.push(opcode, parts, &mut self.deflater);
        self.next_number += 1;
        self.report.sent += 1;
        self.report.bytes_out += self.config.payload_len as u64;
        if self.config.mode == LoadMode::FanOut {
            for receiver in 1..self.config.client_count {
                if self.crowd.open_peer(receiver).is_some() {
                    self.ledger.on_sent(receiver, number, since);
                }
            }
        } else {
            self.ledger.on_sent(place, number, since);
        }
        true
    }

    fn flush(&mut self, place: usize) {
        if let Some(peer) = self.crowd.open_peer(place) {
            // A socket that is gone says so to the next read.
            let _ = peer.flush();
        }
    }

    /// Waits, takes in what comes, and tells now and then how far the load is.
    fn turn(
        &mut self,
        timeout: Duration,
        on_progress: &mut impl FnMut(&LoadProgress),
    ) -> Result<(), ClientError> {
        let (ledger, report) = (&mut self.ledger, &mut self.report);
        let (heard, failure) = (&mut self.heard, &mut self.failure);
        // The sender of a fan-out is no receiver; some servers let it hear itself.
        let is_deaf = |place| self.config.mode == LoadMode::FanOut && place == 0;
        self.crowd
            .turn(timeout, |place, happening, now| match happening {
                Happening::Opened(_) => {}
                Happening::Message(_) if is_deaf(place) => {}
                Happening::Message(payload) => {
                    ledger.on_received(place, payload, now, report);
                    heard.push(place);
                }
                Happening::Ended(end) => on_end(place, end, ledger, report, failure),
            })?;
        let now = Instant::now();
        if now - self.told_at < TELL_INTERVAL {
            return Ok(());
        }
        self.told_at = now;
        self.crowd.expire(now, |place, end| {
            on_end(place, end, ledger, report, failure);
        });
        on_progress(&LoadProgress {
            open_count: self.crowd.open_count(),
            elapsed: self.begun_at.map_or(Duration::ZERO, |begin| now - begin),
            received: self.report.received,
            error_count: self.report.error_count(),
        });
        Ok(())
    }
}

/// A connection has ended that should not have.
fn on_end(
    place: usize,
    end: End,
    ledger: &mut Ledger,
    report: &mut LoadReport,
    failure: &mut Option<ClientError>,
) {
    ledger.on_gone(place, report);
    report.ended += 1;
    report.on_end(&end);
    if let End::Failed(error) = end {
        failure.get_or_insert(error);
    }
}
