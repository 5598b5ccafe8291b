//! Turns of a loop, and what is said of those that take long (RS-11).
//!
//! A turn of more than a tenth of a second is noted in the log with what was done in it. While a turn is under way, the
//! other loops can see since when, and the server is not healthy if that is too long ago
//! ([`Metrics::is_turning`](crate::metrics::Metrics::is_turning)).

use std::fmt;
use std::io;
use std::time::Duration;

use mio::Events;

use super::event_loop::EventLoop;
use super::socket::Socket;
use super::tokens::Readiness;
use crate::clock::Moment;
use crate::handler::Handler;
use crate::metrics::Counters;

/// A turn that takes longer is noted.
const TURN_TIME_NOTED: Duration = Duration::from_millis(100);

/// What a loop had done by some moment, or in some time.
#[derive(Clone, Copy, Debug)]
struct Work {
    accepted: u64,
    messages_in: u64,
    bytes_in: u64,
    fan_out: u64,
    bytes_out: u64,
    ended: u64,
}

impl Work {
    fn of(counters: &Counters) -> Self {
        Self {
            accepted: counters.accepted.get(),
            messages_in: counters.messages_in.get(),
            bytes_in: counters.bytes_in.get(),
            fan_out: counters.fan_out.get(),
            bytes_out: counters.bytes_out.get(),
            ended: counters.ended.total(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            accepted: self.accepted.wrapping_sub(before.accepted),
            messages_in: self.messages_in.wrapping_sub(before.messages_in),
            bytes_in: self.bytes_in.wrapping_sub(before.bytes_in),
            fan_out: self.fan_out.wrapping_sub(before.fan_out),
            bytes_out: self.bytes_out.wrapping_sub(before.bytes_out),
            ended: self.ended.wrapping_sub(before.ended),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            messages_in,
            bytes_in,
            fan_out,
            bytes_out,
            ended,
        } = self;
        write!(
            f,
            "accepted={accepted} messages_in={messages_in} bytes_in={bytes_in} \
             fan_out={fan_out} bytes_out={bytes_out} ended={ended}"
        )
    }
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Waits for events and goes through one turn with them.
    pub(super) fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        match self.poll.poll(events, self.wait()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            polled => polled?,
        }
        let began = self.clock.elapsed();
        let moment = Moment::after_start(began);
        let before = Work::of(&self.now.counters);
        self.now.counters.busy_since.set(moment.as_millis().max(1));
        self.go_through(moment, events.iter().map(Readiness::from))?;
        self.now.counters.busy_since.set(0);
        let turn_time = self.clock.elapsed() - began;
        self.now.counters.turn_time.observe(turn_time);
        if turn_time > TURN_TIME_NOTED {
            log::warn!(
                "long turn loop={} millis={} events={} {}",
                self.index,
                turn_time.as_millis(),
                events.iter().count(),
                Work::of(&self.now.counters).since(before)
            );
        }
        Ok(())
    }
}
