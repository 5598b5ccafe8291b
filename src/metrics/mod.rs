//! What the server counts, for whoever runs it.
//!
//! Each loop has [`Counters`] of its own, which it alone writes and every thread may read, so that to count costs no
//! more than to add. [`Metrics`] are those of all loops; whoever wants a total adds them up, at a cost that depends on
//! the number of loops only. Labels are the variants of an enum ([`Label`]): what a peer sends never becomes one.
//!
//! Two balances hold whenever no loop is in the middle of a turn (LG-06):
//!
//! ```text
//! accepted = open + ended
//! fan-out  = delivered + dropped + queued
//! ```

mod count;
mod histogram;
mod labels;

use std::fmt;
use std::sync::Arc;

pub use self::count::{Count, Counts};
pub use self::histogram::{BOUNDS, Histogram};
pub use self::labels::{AcceptError, Budget, Code, Dropped, Eviction, Label, Status};
use crate::session::Cause;

/// What one loop has counted; that loop alone writes it.
///
/// Counts only grow, except those whose documentation says that they are of what *is*.
#[derive(Debug, Default)]
// Two loops on one cache line, or on two that are fetched together, would take it from each other at every count.
#[repr(align(128))]
pub struct Counters {
    /// Connections that came, those that found no place included; all are accepted by one loop and counted there.
    pub accepted: Count,
    /// Connections that are open now.
    pub open: Count,
    /// Connections that have ended, by what ended them.
    pub ended: Counts<Cause, { Cause::COUNT }>,
    /// Opening handshakes that were accepted.
    pub upgraded: Count,
    /// Connections that encryption was agreed upon for.
    pub encrypted: Count,
    /// HTTP responses by status; those that refuse something are 400 and above.
    pub responses: Counts<Status, { Status::COUNT }>,
    /// Close frames that were sent.
    pub closes_sent: Counts<Code, { Code::COUNT }>,
    /// Close frames that came.
    pub closes_received: Counts<Code, { Code::COUNT }>,
    /// Errors of accepting.
    pub accept_errors: Counts<AcceptError, { AcceptError::COUNT }>,
    /// Bytes read from sockets.
    pub bytes_in: Count,
    /// Bytes written to sockets.
    pub bytes_out: Count,
    /// Messages that came.
    pub messages_in: Count,
    /// Messages that were to be sent, once for each receiver.
    pub fan_out: Count,
    /// Messages that were compressed, once for all receivers that get the same.
    #[cfg(feature = "deflate")]
    pub compressions: Count,
    /// Bytes of those messages.
    #[cfg(feature = "deflate")]
    pub compressed_bytes_before: Count,
    /// What was sent in their place, counted once.
    #[cfg(feature = "deflate")]
    pub compressed_bytes_after: Count,
    /// Those of [`Counters::fan_out`] whose last byte was written to the socket. The kernel has them then; that they came to
    /// the peer is known only of those that it acknowledges. Those of a recoverable session are written when all that
    /// waits has been written once.
    pub delivered: Count,
    /// Those of [`Counters::fan_out`] that will never be.
    pub dropped: Counts<Dropped, { Dropped::COUNT }>,
    /// Those of [`Counters::fan_out`] of which something has not been written.
    pub queued: Count,
    /// Bytes held for connections now: of what waits for sockets to take it, and of what has come and is not whole.
    pub outbox_bytes: Count,
    /// Peers that were given up on because of what waited for them.
    pub evicted: Counts<Eviction, { Eviction::COUNT }>,
    /// From a ping to its pong.
    pub ping_time: Histogram,
    /// How long turns took, the wait for events not included.
    pub turn_time: Histogram,
    /// When the turn began that is under way, in milliseconds of the server's clock; 0 while the loop waits for events.
    pub busy_since: Count,
    /// 1 if this loop accepts connections now.
    pub accepting: Count,
    /// Work that was put off to the next turn.
    pub budgets_hit: Counts<Budget, { Budget::COUNT }>,
}

/// A loop whose turn takes longer than this is stuck, and the server is not healthy (RS-11).
const TURN_MILLIS_MAX: u64 = 5_000;

/// What all loops of one server have counted; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    loops: Arc<[Arc<Counters>]>,
}

impl Metrics {
    /// Nothing is counted yet by `loop_count` loops.
    #[must_use]
    pub fn new(loop_count: usize) -> Self {
        Self {
            loops: (0..loop_count).map(|_| Arc::default()).collect(),
        }
    }

    /// The counters of each loop.
    #[must_use]
    pub fn loops(&self) -> &[Arc<Counters>] {
        &self.loops
    }

    /// One count of all loops together.
    pub fn sum(&self, count: impl Fn(&Counters) -> u64) -> u64 {
        let counts = self.loops.iter().map(|counters| count(counters));
        counts.fold(0, u64::wrapping_add)
    }

    /// Whether every loop has ended its turns in time, as the loop `index` sees it in a turn of its own.
    #[must_use]
    pub fn is_turning(&self, index: usize) -> bool {
        let now = self.loops.get(index).map_or(0, |it| it.busy_since.get());
        let is_stuck = |since: u64| since > 0 && now.saturating_sub(since) > TURN_MILLIS_MAX;
        !self.loops.iter().any(|it| is_stuck(it.busy_since.get()))
    }

    /// Whether somebody who comes now is accepted.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.sum(|it| it.accepting.get()) > 0
    }

    /// Both balances, as far as the loops have counted.
    #[must_use]
    pub fn balance(&self) -> Balance {
        Balance {
            accepted: self.sum(|it| it.accepted.get()),
            open: self.sum(|it| it.open.get()),
            ended: self.sum(|it| it.ended.total()),
            fan_out: self.sum(|it| it.fan_out.get()),
            delivered: self.sum(|it| it.delivered.get()),
            dropped: self.sum(|it| it.dropped.total()),
            queued: self.sum(|it| it.queued.get()),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("loop_count", &self.loops.len())
            .field("balance", &self.balance())
            .finish()
    }
}

/// What became of all connections and of all messages (LG-06); displayed as the log has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Connections that came.
    pub accepted: u64,
    /// Connections that are open.
    pub open: u64,
    /// Connections that have ended.
    pub ended: u64,
    /// Messages that were to be sent, once for each receiver.
    pub fan_out: u64,
    /// Messages that were written to their last byte.
    pub delivered: u64,
    /// Messages that never will be.
    pub dropped: u64,
    /// Messages that wait.
    pub queued: u64,
}

impl Balance {
    /// Whether nothing is missing and nothing was counted twice.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.accepted == self.open + self.ended
            && self.fan_out == self.delivered + self.dropped + self.queued
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            open,
            ended,
            fan_out,
            delivered,
            dropped,
            queued,
        } = self;
        write!(
            f,
            "accepted={accepted} open={open} ended={ended} \
             fan_out={fan_out} delivered={delivered} dropped={dropped} queued={queued}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_those_of_all_loops() {
        let metrics = Metrics::new(2);
        for (counters, n) in metrics.loops().iter().zip([1, 10]) {
            counters.accepted.add(2 * n);
            counters.open.set(n);
            counters.ended.add(Cause::Idle, n);
            counters.fan_out.add(3 * n);
            counters.delivered.add(n);
            counters.dropped.add(Dropped::Unsent, n);
            counters.queued.set(n);
        }
        let balance = metrics.balance();
        assert_eq!(
            balance.to_string(),
            "accepted=22 open=11 ended=11 fan_out=33 delivered=11 dropped=11 queued=11"
        );
        assert!(balance.holds());
    }

    #[test]
    fn lg_06_a_balance_fails_for_whatever_is_missing_or_counted_twice() {
        let balance = Balance::default();
        let faults: [fn(&mut Balance); 7] = [
            |it| it.accepted = 1,
            |it| it.open = 1,
            |it| it.ended = 1,
            |it| it.fan_out = 1,
            |it| it.delivered = 1,
            |it| it.dropped = 1,
            |it| it.queued = 1,
        ];
        assert!(balance.holds());
        for fault in faults {
            let mut balance = balance;
            fault(&mut balance);
            assert!(!balance.holds(), "{balance}");
        }
    }

    #[test]
    fn rs_11_a_turn_of_more_than_five_seconds_is_seen_by_another_loop() {
        let metrics = Metrics::new(2);
        let [own, other] = metrics.loops() else {
            unreachable!("there are two")
        };
        own.busy_since.set(10_000);
        for (since, is_turning) in [(0, true), (5_000, true), (4_999, false), (10_001, true)] {
            other.busy_since.set(since);
            assert_eq!(metrics.is_turning(0), is_turning, "{since}");
        }
    }

    #[test]
    fn counters_of_two_loops_share_no_cache_line() {
        assert_eq!(align_of::<Counters>(), 128);
    }
}
