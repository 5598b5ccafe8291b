//! What waits for a peer, and what becomes of a peer that lets too much wait.

use super::connection::{Connection, Now};
use super::socket::Socket;
use crate::clock::Moment;
use crate::config::Config;
use crate::metrics::Eviction;
use crate::session::Cause;

impl<P, S: Socket> Connection<P, S> {
    /// How much may wait for the peer before it is not read any more.
    #[inline]
    pub(super) fn soft_bytes_max(&self, now: &Now) -> usize {
        let bytes_max = now.config.outbox_soft_bytes;
        bytes_max.saturating_add(self.replayed_bytes_max(now))
    }

    /// How much more may wait for a recoverable peer: what it has to be sent again is limited elsewhere.
    #[inline]
    pub(super) fn replayed_bytes_max(&self, now: &Now) -> usize {
        self.recovery
            .as_ref()
            .map_or(0, |_| now.config.replay.bytes_max)
    }

    /// After a flush, takes note of what is left; returns whether a peer that was held back because of that can be read
    /// again, of which no event tells.
    pub(super) fn catches_up(&mut self, now: &Now) -> bool {
        let soft_bytes_max = self.soft_bytes_max(now);
        self.outbox.watch(soft_bytes_max, now.moment);
        self.session.catches_up(&self.outbox, soft_bytes_max)
    }

    /// Gives up on a peer that does not keep up.
    pub(super) fn evict(&mut self, reason: Eviction, now: &Now) {
        if self.session.is_open() {
            now.counters.evicted.add(reason, 1);
        }
        let cause = match reason {
            Eviction::Overflow | Eviction::Unacknowledged => Cause::SlowConsumer,
            Eviction::Backlogged => Cause::Backlogged,
            Eviction::Stalled => Cause::Stalled,
            Eviction::Budget => Cause::Overload,
        };
        self.session
            .evict(cause, now.moment, &now.config, &mut self.outbox);
    }

    /// Bytes held for this connection: what waits for it, and what has come and is not complete.
    #[inline]
    pub(super) fn held_len(&self) -> usize {
        if self.session.is_closed() {
            return 0;
        }
        let unfinished_len = self.session.unfinished_len() + self.unread_len();
        self.outbox.data_len() + unfinished_len + self.link.held_len()
    }

    /// Gives up on a peer so that what is held for it becomes free: first with a Close frame, which may have to wait for
    /// the frame that is begun; then without.
    pub(super) fn relieve(&mut self, now: &Now) {
        if self.session.is_open() {
            self.evict(Eviction::Budget, now);
        } else {
            self.session.cut(Cause::Overload);
        }
    }

    /// Gives up on a peer for which bytes wait that should not wait any more.
    pub(super) fn evict_if_due(&mut self, now: &Now) {
        if now.moment >= self.stall_deadline(&now.config) {
            self.evict(Eviction::Stalled, now);
        } else if now.moment >= self.backlog_deadline(&now.config) {
            self.evict(Eviction::Backlogged, now);
        }
    }

    /// When [`Connection::evict_if_due`] has something to do.
    pub(super) fn eviction_deadline(&self, config: &Config) -> Moment {
        self.stall_deadline(config)
            .min(self.backlog_deadline(config))
    }

    /// When a peer that takes nothing is given up on; the later stages have deadlines of their own.
    fn stall_deadline(&self, config: &Config) -> Moment {
        match self.link.stalled_since(&self.outbox) {
            Some(since) if self.session.is_open() => since + config.write_timeout,
            _ => Moment::NEVER,
        }
    }

    /// When a peer is given up on for which too much waits for too long.
    fn backlog_deadline(&self, config: &Config) -> Moment {
        match self.outbox.over_since() {
            Some(since) if self.session.is_open() => since + config.outbox_soft_timeout,
            _ => Moment::NEVER,
        }
    }
}
