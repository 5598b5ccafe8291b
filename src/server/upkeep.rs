//! What is done for a connection once everything is done that has happened to it.

use super::connection::Progress;
use super::event_loop::EventLoop;
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::SessionId;
use crate::handler::Handler;
use crate::metrics::Budget;

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Looks after everyone to whom something has happened.
    pub(super) fn flush_dirty(&mut self) {
        let mut dirty = self.dirty.take();
        for id in dirty.drain(..) {
            if let Some(connection) = self.connections.get_mut(key_of(id)) {
                connection.is_dirty = false;
                self.look_after(id);
            }
        }
        // Nobody became dirty while the list was out: that takes a wish.
        self.dirty.give_back(dirty);
    }

    /// Flushes a connection, arms its timer and counts what is held for it; takes note if it has ended.
    pub(super) fn look_after(&mut self, id: SessionId) {
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return;
        };
        let progress = connection.flush(id, &mut self.application, &self.now);
        if connection.is_closed() {
            self.finished.push(id);
            return;
        }
        if connection.lost_until().is_some()
            && let Some(mut link) = connection.link.take()
        {
            // It fails only for a socket that is not registered, which is what is wanted.
            let _ = self.poll.registry().deregister(&mut link);
        }
        let tick = self.timers.tick_at(connection.deadline(&self.now.config));
        if tick.is_before(connection.armed_tick) {
            connection.armed_tick = tick;
            self.timers.arm(id, tick);
        }
        if matches!(progress, Progress::Unfinished) {
            self.now.counters.budgets_hit.add(Budget::Write, 1);
            self.unfinished.add_first(id, &mut connection.is_unfinished);
        }
        let held_len = connection.held_len();
        if held_len > 0 || connection.is_counted {
            connection.is_counted = self.load.set(id, held_len);
        }
    }
}
