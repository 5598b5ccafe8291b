//! How much memory the peers of all loops keep busy, and who keeps the most (SC-06).
//!
//! Only those are counted for whom something waits, or who have begun to send something. Each loop counts its own and
//! writes two numbers where the others can read them, so no two loops ever write to the same place. Nothing is added
//! up before somebody asks.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::Now;
use super::event_loop::EventLoop;
use super::mailbox::Letter;
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::SessionId;
use crate::handler::Handler;

/// What the loops of a server tell each other about their load.
#[derive(Clone, Debug)]
pub(super) struct Loads(Arc<[LoopLoad]>);

/// What one loop tells; on a cache line of its own, because one writes it and the others read theirs.
#[derive(Debug, Default)]
#[repr(align(64))]
struct LoopLoad {
    /// Bytes held for its connections.
    bytes: AtomicUsize,
    /// The most that any of them has, or had since that was last looked at closely.
    largest: AtomicUsize,
}

/// What the connections of one loop keep busy.
#[derive(Debug)]
pub(super) struct Load {
    loads: Loads,
    index: usize,
    /// Bytes by connection; never 0.
    held: HashMap<SessionId, usize>,
    sum: usize,
    /// No connection has more; it may be that none has so much any more.
    largest: usize,
    /// Whether something was counted since [`Load::take_change`].
    is_changed: bool,
}

impl Loads {
    /// Nothing is held by any of the loops.
    pub(super) fn new(loop_count: usize) -> Self {
        Self((0..loop_count).map(|_| LoopLoad::default()).collect())
    }

    /// Bytes held by all loops.
    pub(super) fn total(&self) -> usize {
        let bytes = |load: &LoopLoad| load.bytes.load(Ordering::Relaxed);
        self.0.iter().map(bytes).sum()
    }
}

impl Now {
    /// Whether three quarters of the budget for all peers are in use: services are turned away then, before anybody has to
    /// be given up on (HT-08).
    pub(super) fn is_overloaded(&self) -> bool {
        self.loads.total() > self.config.buffer_budget_bytes / 4 * 3
    }
}

impl Load {
    /// The load of the loop `index`.
    pub(super) fn new(index: usize, loads: Loads) -> Self {
        Self {
            loads,
            index,
            held: HashMap::new(),
            sum: 0,
            largest: 0,
            is_changed: false,
        }
    }

    /// Takes note that `len` bytes are held for a connection; returns whether it is counted, which it is above 0.
    pub(super) fn set(&mut self, id: SessionId, len: usize) -> bool {
        let before = if len == 0 {
            self.held.remove(&id)
        } else {
            self.held.insert(id, len)
        };
        self.sum = self.sum + len - before.unwrap_or(0);
        self.largest = self.largest.max(len);
        self.is_changed = true;
        len > 0
    }

    /// Whether something was counted since the last call; the other loops know of it then.
    pub(super) fn take_change(&mut self) -> bool {
        if !std::mem::take(&mut self.is_changed) {
            return false;
        }
        self.publish();
        true
    }

    /// Has [`Load::take_change`] say yes: another loop thinks that this one has to do something.
    pub(super) fn look_again(&mut self) {
        self.is_changed = true;
    }

    /// Bytes held by all loops.
    pub(super) fn total(&self) -> usize {
        self.loads.total()
    }

    /// The connections of this loop that keep anything busy, the largest last, so that they can be taken from the end.
    pub(super) fn by_size(&mut self) -> Vec<(usize, SessionId)> {
        let mut sized: Vec<_> = self.held.iter().map(|(&id, &len)| (len, id)).collect();
        sized.sort_unstable_by_key(|&(len, id)| (len, id.to_bits()));
        self.largest = sized.last().map_or(0, |&(len, _)| len);
        self.publish();
        sized
    }

    /// A loop with a larger connection than `len`, as far as is known here.
    pub(super) fn loop_with_larger(&self, len: usize) -> Option<usize> {
        let largest = |&index: &usize| self.loads.0[index].largest.load(Ordering::Relaxed);
        (0..self.loads.0.len())
            .filter(|&index| index != self.index)
            .max_by_key(largest)
            .filter(|index| largest(index) > len)
    }

    /// Takes note that no connection holds more than `len`.
    fn shrink_largest(&mut self, len: usize) {
        self.largest = len;
        self.publish();
    }

    /// Tells the other loops.
    fn publish(&self) {
        let LoopLoad { bytes, largest } = &self.loads.0[self.index];
        bytes.store(self.sum, Ordering::Relaxed);
        largest.store(self.largest, Ordering::Relaxed);
    }
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Gives up on connections if all together hold more than they may, the largest first, until they do not. Before that,
    /// messages go that may be dropped on the terms of their groups.
    ///
    /// The loop with the largest one begins; the one that finds this out tells it to.
    pub(super) fn relieve(&mut self) -> io::Result<()> {
        let budget = self.now.config.buffer_budget_bytes;
        if !self.load.take_change() {
            return Ok(());
        }
        self.now.counters.outbox_bytes.set(self.load.sum as u64);
        if self.load.total() <= budget {
            return Ok(());
        }
        self.drop_spare();
        let mut largest_last = self.load.by_size();
        while self.load.total() > budget {
            let largest = largest_last.pop();
            let len = largest.map_or(0, |(len, _)| len);
            if let Some(index) = self.load.loop_with_larger(len) {
                self.post_office.send(index, Letter::Relieve);
                break;
            }
            let Some((_, id)) = largest else { break };
            if let Some(connection) = self.connections.get_mut(key_of(id)) {
                connection.relieve(&self.now);
                connection.is_counted = self.load.set(id, connection.held_len());
                self.dirty.add(id, &mut connection.is_dirty);
            }
            self.load
                .shrink_largest(largest_last.last().map_or(0, |&(len, _)| len));
        }
        self.settle()
    }

    /// Drops messages that may be dropped, from the largest connection on, until all together hold what they may.
    fn drop_spare(&mut self) {
        let budget = self.now.config.buffer_budget_bytes;
        for (_, id) in self.load.by_size().into_iter().rev() {
            let excess = self.load.total().saturating_sub(budget);
            if excess == 0 {
                return;
            }
            if let Some(connection) = self.connections.get_mut(key_of(id))
                && connection.outbox.drop_spare(excess) > 0
            {
                connection.is_counted = self.load.set(id, connection.held_len());
                self.dirty.add(id, &mut connection.is_dirty);
                self.load.publish();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> SessionId {
        SessionId::new(0, number, 1).unwrap()
    }

    #[test]
    fn sc_06_the_sum_follows_every_change_of_a_connection() {
        let loads = Loads::new(2);
        let mut load = Load::new(0, loads.clone());
        assert!(!load.take_change());
        assert!(load.set(id(1), 100) && load.set(id(2), 50));
        assert_eq!(loads.total(), 0, "not told yet");
        assert!(load.take_change());
        assert_eq!(loads.total(), 150);
        assert!(load.set(id(1), 30) && !load.set(id(2), 0) && !load.set(id(3), 0));
        assert!(load.take_change() && !load.take_change());
        assert_eq!(loads.total(), 30);
        assert!(!load.set(id(1), 0));
        assert!(load.take_change());
        assert_eq!((loads.total(), load.held.len()), (0, 0));
    }

    #[test]
    fn sc_06_the_loop_with_the_largest_connection_is_known_to_the_others() {
        let loads = Loads::new(3);
        let [mut first, mut second, mut third] =
            [0, 1, 2].map(|index| Load::new(index, loads.clone()));
        first.set(id(1), 100);
        first.set(id(2), 300);
        second.set(id(1), 200);
        third.set(id(1), 250);
        for load in [&mut first, &mut second, &mut third] {
            assert!(load.take_change());
        }
        assert_eq!(second.loop_with_larger(200), Some(0));
        assert_eq!(first.loop_with_larger(300), None);
        assert_eq!(first.by_size(), [(100, id(1)), (300, id(2))]);
        // That one has gone, but nobody has looked closely yet.
        first.set(id(2), 0);
        assert!(first.take_change());
        assert_eq!(third.loop_with_larger(250), Some(0));
        assert_eq!(first.by_size(), [(100, id(1))]);
        assert_eq!(third.loop_with_larger(250), None);
        assert_eq!(first.loop_with_larger(100), Some(2));
    }
}
