//! How a loop ends: asked to drain, it sends everyone away and waits for them; asked to stop, it ends at once.

use std::sync::atomic::Ordering;

use super::event_loop::EventLoop;
use super::mailbox::Letter;
use super::socket::Socket;
use super::tokens::{id_of, key_of};
use crate::clock::Moment;
use crate::handler::{Handler, What, Wish};
use crate::proto::CloseCode;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Not,
    /// Everyone was asked to go, and is dropped at this moment.
    Draining(Moment),
    Now,
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        match self.stop {
            Stop::Not => false,
            Stop::Draining(deadline) => self.connections.is_empty() || self.now.moment >= deadline,
            Stop::Now => true,
        }
    }

    /// The first signal has everyone drain, the next one has everyone stop.
    pub(super) fn on_signals(&mut self) {
        let count = self
            .signals
            .as_mut()
            .map_or(0, |signals| signals.pending().count());
        for _ in 0..count {
            let is_first = self.stop == Stop::Not;
            let deadline = self.now.moment + self.now.config.drain_timeout;
            let letter = || {
                if is_first {
                    Letter::Drain(deadline)
                } else {
                    Letter::Stop
                }
            };
            self.post_office
                .others()
                .for_each(|index| self.post_office.send(index, letter()));
            if is_first {
                log::info!("draining");
                self.drain(deadline);
            } else {
                self.stop = Stop::Now;
            }
        }
    }

    /// Stops accepting and asks everyone to go.
    pub(super) fn drain(&mut self, deadline: Moment) {
        if self.stop != Stop::Not {
            return;
        }
        self.stop = Stop::Draining(deadline);
        self.now.is_draining.store(true, Ordering::Relaxed);
        self.listener = None;
        let index = self.index;
        let ids: Vec<_> = self
            .connections
            .keys()
            .filter_map(|key| id_of(index, key))
            .collect();
        for id in ids {
            // What has come before the end still counts, and shows whether a request is under way.
            self.read(id);
            let reason = "server is shutting down".into();
            let what = What::Close(CloseCode::GOING_AWAY, reason);
            self.application.wishes.push(Wish { session: id, what });
            if let Some(connection) = self.connections.get_mut(key_of(id)) {
                connection.close_if_idle();
                self.dirty.add(id, &mut connection.is_dirty);
            }
        }
    }
}
