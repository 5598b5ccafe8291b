//! Who waits for whom: a peer that sends a lot is read after those that send little (SC-04, LT-09).
//!
//! Somebody is *in bulk* for a while after a read that brought a lot at once. As long as others are served, too, such a
//! peer is put off: it is read after the others have their answers, a portion in each turn, and between two portions the
//! system is asked who else has something to say. So nobody waits for more than one portion of somebody else's flood.
//! Where everybody sends a lot, or nobody else is there, nothing is put off, because each message that is read in
//! portions is copied once more.

use std::io;
use std::time::Duration;

use super::connection::Connection;
use super::event_loop::EventLoop;
use super::reading::ReadExtent;
use super::socket::Socket;
use super::tokens::key_of;
use crate::clock::Moment;
use crate::delivery::SessionId;
use crate::handler::Handler;

/// A read that brings so much is in bulk.
const BULK_BYTES: u64 = 32 << 10;
/// What is read at once of somebody who was put off.
pub(super) const PORTION_BYTES: usize = 16 << 10;
/// What is read in a turn from all those who were put off, besides what one of them has too much.
const PORTIONS_BYTES: u64 = 64 << 10;
/// For how long somebody counts as being in bulk, or as being there, after the last read that made it so.
const MEMORY: Duration = Duration::from_millis(50);

/// What a loop remembers of the reads of the last few turns.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    /// Until when somebody is in bulk.
    bulk_until: Moment,
    /// Until when somebody is there who is not.
    others_until: Moment,
}

impl Fairness {
    /// Whether somebody has to be put off for somebody else.
    fn is_needed(&self, now: Moment) -> bool {
        now < self.bulk_until && now < self.others_until
    }
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Reads a connection of which the system says that it has something, or puts it off.
    pub(super) fn read_or_put_off(&mut self, id: SessionId, extent: ReadExtent) {
        let moment = self.now.moment;
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return;
        };
        if connection.is_unfinished {
            // It waits already, and has its turn.
            return;
        }
        if self.fairness.is_needed(moment) && connection.is_in_bulk(moment) {
            return self.unfinished.add(id, &mut connection.is_unfinished);
        }
        self.read(id, extent);
    }

    /// A budget has cut off the reading of a connection.
    pub(super) fn cut_off(&mut self, id: SessionId) {
        let is_needed = self.fairness.is_needed(self.now.moment);
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return;
        };
        let mark = &mut connection.is_unfinished;
        if is_needed {
            self.unfinished.add(id, mark);
        } else {
            self.unfinished.add_runner(id, mark);
        }
    }

    /// Goes on with those that a budget cut off, or that were put off for others, at most so many. The others have their
    /// answers first; where there are no others, there is time for one budget.
    pub(super) fn resume(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let is_needed = self.fairness.is_needed(self.now.moment);
        if is_needed {
            self.settle()?;
        }
        let before = self.now.counters.bytes_in.get();
        let bytes_max = if is_needed {
            PORTIONS_BYTES
        } else {
            self.now.config.read_budget_bytes as u64
        };
        for _ in 0..count {
            let Some(id) = self.unfinished.next() else {
                break;
            };
            self.go_on(id);
            if self.now.counters.bytes_in.get() - before >= bytes_max {
                break;
            }
        }
        Ok(())
    }

    /// Goes on with a connection.
    fn go_on(&mut self, id: SessionId) {
        let moment = self.now.moment;
        if let Some(connection) = self.connections.get_mut(key_of(id)) {
            connection.is_unfinished = false;
            let is_portion = self.fairness.is_needed(moment) && connection.is_in_bulk(moment);
            let extent = if is_portion {
                ReadExtent::Portion
            } else {
                ReadExtent::UntilBlocked
            };
            self.read(id, extent);
        }
    }

    /// Takes note of how much a read has brought.
    #[inline]
    pub(super) fn note_read(&mut self, id: SessionId, count: u64) {
        let now = self.now.moment;
        if count == 0 || now >= self.fairness.bulk_until && count < BULK_BYTES {
            return;
        }
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return;
        };
        let is_portion = count >= PORTION_BYTES as u64 && connection.is_in_bulk(now);
        if is_portion || count >= BULK_BYTES {
            self.fairness.bulk_until = now + MEMORY;
            connection.count_as_bulk(now + MEMORY);
        } else if !connection.is_in_bulk(now) {
            self.fairness.others_until = now + MEMORY;
        }
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// Whether the peer has sent a lot lately.
    fn is_in_bulk(&self, now: Moment) -> bool {
        self.activity
            .as_ref()
            .is_some_and(|activity| now < activity.bulk_until)
    }

    fn count_as_bulk(&mut self, until: Moment) {
        self.activity.get_or_insert_default().bulk_until = until;
    }
}
