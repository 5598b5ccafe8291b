//! What a connection adds to the counters of its loop, so that both balances hold (LG-06).
//!
//! A message counts as queued from when it is put into the outbox until its last byte has been written, or it is given
//! up. Outboxes that are written to their end, as nearly all are at once, need no look at the single messages: then all
//! were written. Only a queue for a socket that is full counts them one by one.
//!
//! The messages of a recoverable connection are sent again until they are acknowledged. They are delivered when all that
//! waits has been written once, and lost only if the session ends before.

use std::io;

use super::connection::Connection;
use super::socket::Socket;
use crate::clock::Moment;
use crate::metrics::{Code, Counters, Dropped, Status};
use crate::outbox::{Overflow, Pushed};
use crate::session::{Cause, Ending, Intake};

impl<P, S: Socket> Connection<P, S> {
    /// So many messages were to be sent to the peer, and this became of them.
    #[inline]
    pub(super) fn account_for(
        &mut self,
        pushed: Result<Pushed, Overflow>,
        count: u32,
        counters: &Counters,
    ) {
        let messages = u64::from(count);
        counters.fan_out.add(messages);
        match pushed {
            Ok(Pushed::Queued) => {
                self.queued_count += count;
                counters.queued.add(messages);
            }
            Ok(Pushed::Dropped) => {
                counters.dropped.add(Dropped::Newest, messages);
                self.tally_lost(count);
            }
            Err(Overflow) => {
                counters.dropped.add(Dropped::Overflow, messages);
                self.tally_lost(count);
            }
        }
    }

    /// Messages that were dropped for later ones wait no longer.
    pub(super) fn account_for_displaced(&mut self, counters: &Counters) {
        let displaced = self.outbox.take_displaced_count().min(self.queued_count);
        if displaced > 0 {
            self.queued_count -= displaced;
            counters.queued.subtract(u64::from(displaced));
            counters
                .dropped
                .add(Dropped::Displaced, u64::from(displaced));
            self.tally_lost(displaced);
        }
    }

    /// Messages that were written while others wait behind them wait no longer.
    pub(super) fn account_for_written(&mut self, counters: &Counters) {
        let written = self.outbox.take_written_count().min(self.queued_count);
        if written > 0 && self.recovery.is_none() {
            self.queued_count -= written;
            counters.queued.subtract(u64::from(written));
            counters.delivered.add(u64::from(written));
            self.tally_sent(0, written);
        }
    }

    /// The outbox was written to its end: whatever was not given up for a Close frame is delivered.
    pub(super) fn account_for_flushed(&mut self, counters: &Counters) {
        // On an open WebSocket nothing was given up.
        let abandoned = if self.session.is_open() {
            0
        } else {
            u32::try_from(self.session.ending().dropped_count).unwrap_or(u32::MAX)
        };
        self.account_for_queue(abandoned, counters);
    }

    /// Nothing more will be written: whatever waits is lost.
    pub(super) fn account_for_unsent(&mut self, counters: &Counters) {
        self.account_for_queue(u32::MAX, counters);
    }

    /// No message waits any longer: `lost_count` at most are lost, and the others were written.
    fn account_for_queue(&mut self, lost_count: u32, counters: &Counters) {
        let queued = std::mem::take(&mut self.queued_count);
        if queued == 0 {
            return;
        }
        let lost = lost_count.min(queued);
        counters.queued.subtract(u64::from(queued));
        counters.delivered.add(u64::from(queued - lost));
        counters.dropped.add(Dropped::Unsent, u64::from(lost));
        self.tally_sent(0, queued - lost);
        self.tally_lost(lost);
    }

    /// The connection is about to be dropped.
    pub(super) fn on_end(&mut self, counters: &Counters) {
        self.account_for_unsent(counters);
        let ending = self.session.ending();
        counters.ended.add(ending.cause, 1);
        if let Cause::Refused(error) = ending.cause {
            counters.responses.add(Status(error.status()), 1);
        }
        if self.session.is_websocket() {
            count_closes(&ending, counters);
        }
    }

    /// What came from the peer of a WebSocket that was open before, unless that is no more than a pong.
    #[inline]
    pub(super) fn tally_intake(&mut self, intake: Intake, was_open: bool) {
        if intake.message_count > 0 || (was_open && intake.byte_count > PONG_LEN) {
            let tally = &mut self.activity.get_or_insert_default().tally;
            tally.messages_in += u64::from(intake.message_count);
            tally.bytes_in += intake.byte_count as u64;
        }
    }

    /// So many bytes went out, or so many messages were written to their end.
    #[inline]
    pub(super) fn tally_sent(&mut self, byte_count: usize, message_count: u32) {
        match self.sent.plus(byte_count, message_count) {
            Some(sent) => self.sent = sent,
            None => self.carry_sent(byte_count, message_count),
        }
    }

    /// What the peer has sent and was sent.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = self
            .activity
            .as_ref()
            .map_or_else(Tally::default, |it| it.tally);
        tally.bytes_out += u64::from(self.sent.byte_count);
        tally.messages_out += u64::from(self.sent.message_count);
        tally
    }

    /// For how many tenths of a second it has been there.
    pub(super) fn open_tenths(&self, now: Moment) -> u32 {
        self.since.tenths_until(now)
    }

    /// More was sent than is counted here: it goes to where there is room.
    #[cold]
    fn carry_sent(&mut self, byte_count: usize, message_count: u32) {
        let sent = std::mem::take(&mut self.sent);
        let tally = &mut self.activity.get_or_insert_default().tally;
        tally.bytes_out += u64::from(sent.byte_count) + byte_count as u64;
        tally.messages_out += u64::from(sent.message_count) + u64::from(message_count);
    }

    fn tally_lost(&mut self, count: u32) {
        if count > 0 {
            self.activity.get_or_insert_default().tally.dropped += u64::from(count);
        }
    }
}

/// Bytes of the answer to a ping of ours. Peers that send nothing else are many, and nothing is kept for them.
const PONG_LEN: usize = 6;

/// What one peer has sent and was sent. Bytes from it are those of frames, without the pongs of peers that do nothing else;
/// bytes to it are all that were written, the response to its request included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) messages_in: u64,
    pub(super) messages_out: u64,
    pub(super) dropped: u64,
}

impl Tally {
    /// Whether there is anything to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes_in + self.bytes_out + self.messages_out + self.dropped == 0
    }
}

/// What a peer was sent, where a delivery finds it in the connection itself; what it cannot hold is in the [`Tally`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    byte_count: u32,
    message_count: u32,
}

impl Sent {
    #[inline]
    fn plus(self, byte_count: usize, message_count: u32) -> Option<Self> {
        let byte_count = u32::try_from(byte_count).ok()?;
        Some(Self {
            byte_count: self.byte_count.checked_add(byte_count)?,
            message_count: self.message_count.checked_add(message_count)?,
        })
    }
}

/// When a connection began, in tenths of a second of the server's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(u32);

impl Since {
    pub(super) fn at(moment: Moment) -> Self {
        Self(u32::try_from(moment.as_millis() / 100).unwrap_or(u32::MAX))
    }

    fn tenths_until(self, now: Moment) -> u32 {
        Self::at(now).0.saturating_sub(self.0)
    }
}

fn count_closes(ending: &Ending, counters: &Counters) {
    counters.closes_sent.add(Code(ending.sent), 1);
    counters.closes_received.add(Code(ending.received), 1);
}

/// A socket whose written bytes are counted.
pub(super) struct Metered<'a, W> {
    socket: &'a mut W,
    pub(super) byte_count: usize,
}

impl<'a, W: io::Write> Metered<'a, W> {
    pub(super) fn new(socket: &'a mut W) -> Self {
        Self {
            socket,
            byte_count: 0,
        }
    }
}

impl<W: io::Write> io::Write for Metered<'_, W> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.socket.write(bytes)?;
        self.byte_count += written;
        Ok(written)
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let written = self.socket.write_vectored(slices)?;
        self.byte_count += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_carried_and_not_lost() {
        let sent = Sent {
            byte_count: u32::MAX - 1,
            message_count: 7,
        };
        let full = sent.plus(1, u32::MAX - 7).unwrap();
        assert_eq!((full.byte_count, full.message_count), (u32::MAX, u32::MAX));
        assert!(sent.plus(2, 0).is_none() && sent.plus(0, u32::MAX - 6).is_none());
        assert!(Sent::default().plus(1 << 32, 0).is_none());
    }
}
