//! Who waits for whom: a peer that sends a lot is read after those that send little (SC-04, LT-09).
//!
//! Somebody is *in bulk* for a while after a read that brought a lot at once. As long as others are served, too, such a
//! peer is put off: it is read after the others have their answers, a portion in each turn, and between two portions the
//! system is asked who else has something to say. So nobody waits for more than one portion of somebody else's flood.
//! Where everybody sends a lot, or nobody else is there, nothing is put off, because each message that is read in
//! portions is copied once more.

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
        if self.fairness.is_needed(moment)
            && let Some(connection) = self.connections.get_mut(key_of(id))
            && connection.is_in_bulk(moment)
        {
            return self.unfinished.add(id, &mut connection.is_unfinished);
        }
        self.read(id, extent);
    }

    /// Goes on with those that a budget cut off, or that were put off for others; the others have their answers first.
    pub(super) fn resume_all(&mut self, unfinished: Vec<SessionId>) -> std::io::Result<()> {
        if unfinished.is_empty() {
            return Ok(());
        }
        let is_needed = self.fairness.is_needed(self.now.moment);
        if is_needed {
            self.settle()?;
        }
        let before = self.now.counters.bytes_in.get();
        let mut waiting = unfinished.into_iter();
        for id in waiting.by_ref() {
            self.resume(id);
            if is_needed && self.now.counters.bytes_in.get() - before >= PORTIONS_BYTES {
                break;
            }
        }
        // They go first the next time.
        self.unfinished.put_first(waiting);
        Ok(())
    }

    /// Goes on with a connection.
    fn resume(&mut self, id: SessionId) {
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
