//! What a connection adds to the counters of its loop, so that both balances hold (LG-06).
//!
//! A message counts as queued from when it is put into the outbox until the outbox has been written to its end, or the
//! message is given up.

use std::io;

use super::connection::Connection;
use super::socket::Socket;
use crate::delivery::SessionId;
use crate::metrics::{Code, Count, Counters, Dropped, Status};
use crate::outbox::{Overflow, Pushed};
use crate::session::{Cause, Ending};

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
            Ok(Pushed::Dropped) => counters.dropped.add(Dropped::Newest, messages),
            Err(Overflow) => counters.dropped.add(Dropped::Overflow, messages),
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
        }
    }

    /// No message waits any longer: `unsent_count` of them are lost, besides those that were given up for a Close frame,
    /// and the others were written.
    pub(super) fn account_for_queue(&mut self, unsent_count: u32, counters: &Counters) {
        let queued = std::mem::take(&mut self.queued_count);
        if queued == 0 {
            return;
        }
        let abandoned = u32::try_from(self.session.ending().dropped_count).unwrap_or(u32::MAX);
        let lost = abandoned.saturating_add(unsent_count).min(queued);
        counters.queued.subtract(u64::from(queued));
        counters.delivered.add(u64::from(queued - lost));
        counters.dropped.add(Dropped::Unsent, u64::from(lost));
    }

    /// The connection is about to be dropped: counts it, and says in the log how it ended.
    pub(super) fn on_end(&mut self, id: SessionId, counters: &Counters) {
        let unsent = u32::try_from(self.outbox.clear()).unwrap_or(u32::MAX);
        self.account_for_queue(unsent, counters);
        let ending = self.session.ending();
        counters.ended.add(ending.cause, 1);
        if let Cause::Refused(error) = ending.cause {
            counters.responses.add(Status(error.status()), 1);
        }
        if self.session.is_websocket() {
            count_closes(&ending, counters);
        }
        let level = match ending.cause {
            Cause::Violation(_)
            | Cause::SlowConsumer
            | Cause::Backlogged
            | Cause::Stalled
            | Cause::Overload
            | Cause::Refused(_) => log::Level::Info,
            _ => log::Level::Debug,
        };
        log::log!(
            level,
            "{id} {}: {ending}, {unsent} messages unsent",
            self.remote.address()
        );
    }
}

fn count_closes(ending: &Ending, counters: &Counters) {
    counters.closes_sent.add(Code(ending.sent), 1);
    counters.closes_received.add(Code(ending.received), 1);
}

/// A socket whose written bytes are counted.
pub(super) struct Metered<'a, W> {
    socket: &'a mut W,
    bytes_out: &'a Count,
}

impl<'a, W: io::Write> Metered<'a, W> {
    pub(super) fn new(socket: &'a mut W, bytes_out: &'a Count) -> Self {
        Self { socket, bytes_out }
    }

    fn count(&self, written: io::Result<usize>) -> io::Result<usize> {
        written.inspect(|count| self.bytes_out.add(*count as u64))
    }
}

impl<W: io::Write> io::Write for Metered<'_, W> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.socket.write(bytes);
        self.count(written)
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let written = self.socket.write_vectored(slices);
        self.count(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
