//! How a loop ends: asked to drain, it sends everyone away, one after the other, and waits for them; asked to stop, it
//! ends at once.

use std::io;
use std::sync::atomic::Ordering;

#[cfg(feature = "tls")]
use signal_hook::consts;

use super::drain::{Drain, Farewells};
use super::event_loop::EventLoop;
use super::mailbox::Letter;
use super::reading::ReadExtent;
use super::socket::Socket;
use super::tokens::{id_of, key_of};
use crate::clock::Moment;
use crate::delivery::SessionId;
use crate::handler::{Handler, What, Wish};
use crate::proto::CloseCode;
use crate::session::Cause;

/// How far the end has come.
#[derive(Debug)]
pub(super) enum Stop {
    Not,
    /// Everyone is asked to go, or was.
    Draining(Farewells),
    Now,
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// It was drained: everyone is gone, or the time for that was over.
    Drained,
    /// It was told to end at once.
    AtOnce,
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Whether there is nothing left to do. A loop without connections still answers to others, so all end together.
    pub(super) fn is_over(&self) -> bool {
        match &self.stop {
            Stop::Not => false,
            Stop::Draining(farewells) => {
                let is_everyone_gone = self.open_count.load(Ordering::Relaxed) == 0;
                is_everyone_gone || self.now.moment >= farewells.deadline()
            }
            Stop::Now => true,
        }
    }

    /// The first signal has everyone drain, the next one has everyone stop.
    pub(super) fn on_signals(&mut self) {
        let signals: Vec<_> = match &mut self.signals {
            Some(signals) => signals.pending().collect(),
            None => Vec::new(),
        };
        for signal in signals {
            match signal {
                #[cfg(feature = "tls")]
                consts::SIGHUP => self.reload_certificate(),
                _ => self.on_signal(),
            }
        }
    }

    fn on_signal(&mut self) {
        if !matches!(self.stop, Stop::Not) {
            log::warn!("stopping at once");
            self.tell_others(|| Letter::Stop);
            self.stop = Stop::Now;
            return;
        }
        let open_count = self.open_count.load(Ordering::Relaxed);
        let drain = Drain::new(self.now.moment, self.now.config.drain_timeout, open_count);
        log::info!("draining {open_count} connections");
        self.drain(drain);
        self.tell_others(|| Letter::Drain(drain));
    }

    /// Stops accepting, ends what is idle, and begins to ask everyone to go.
    pub(super) fn drain(&mut self, drain: Drain) {
        if !matches!(self.stop, Stop::Not) {
            return;
        }
        // Before anything else: whoever asks whether the server is ready must not be faster.
        self.now.is_draining.store(true, Ordering::Relaxed);
        // Those who have connected by now are told that it is too late; beyond the budget they are cut off.
        self.has_unaccepted = true;
        self.accept();
        self.listener = None;
        self.now.counters.accepting.set(0);
        let (peers, others): (Vec<_>, Vec<_>) = self
            .ids()
            .partition(|&id| self.connections[key_of(id)].session.is_open());
        self.stop = Stop::Draining(Farewells::new(drain, peers));
        for id in others {
            self.end_if_idle(id);
        }
    }

    /// Ends a connection that waits for a request or for a new socket; a request that has begun gets its answer.
    pub(super) fn end_if_idle(&mut self, id: SessionId) {
        // What has come before the end shows whether a request is under way.
        self.read(id, ReadExtent::UntilBlocked);
        if let Some(connection) = self.connections.get_mut(key_of(id)) {
            connection.take_no_more_requests(&self.now);
            self.dirty.add(id, &mut connection.is_dirty);
        }
    }

    /// Asks those to go whose time has come.
    pub(super) fn say_farewells(&mut self) {
        let Stop::Draining(farewells) = &mut self.stop else {
            return;
        };
        let mut due = Vec::new();
        due.extend(std::iter::from_fn(|| farewells.take_due(self.now.moment)));
        for id in due {
            // What has come before the end still counts.
            self.read(id, ReadExtent::UntilBlocked);
            let reason = "server is shutting down".into();
            let what = What::Close(CloseCode::GOING_AWAY, reason);
            self.application.wishes.push(Wish { session: id, what });
        }
    }

    /// When the drain goes on by itself.
    pub(super) fn next_farewell(&self) -> Option<Moment> {
        match &self.stop {
            Stop::Draining(farewells) => Some(farewells.next_moment()),
            _ => None,
        }
    }

    /// The loop is over: whoever is left is cut off, and loops that have only waited for this one look up.
    ///
    /// # Errors
    ///
    /// What the system says if it cannot wake them.
    pub(super) fn end(mut self) -> io::Result<Ended> {
        // Connections on their way here are cut off like all others; whatever else is in the mailbox comes too late.
        let mut letters = Vec::new();
        self.post_office.take(usize::MAX, &mut letters);
        for letter in letters {
            if let Letter::Adopt(link, place) = letter {
                self.adopt(link, place);
            }
        }
        let cut_off: Vec<_> = self.ids().collect();
        self.now.is_draining.store(true, Ordering::Relaxed);
        for &id in &cut_off {
            if let Some(connection) = self.connections.get_mut(key_of(id)) {
                connection.session.cut(Cause::Local);
                self.dirty.add(id, &mut connection.is_dirty);
            }
        }
        let ended = match &self.stop {
            Stop::Draining(farewells) => {
                let drain = farewells.drain();
                self.tell_others(|| Letter::Drain(drain));
                Ended::Drained
            }
            Stop::Not | Stop::Now => Ended::AtOnce,
        };
        self.settle()?;
        self.free_finished();
        self.end_log.finish();
        self.now.counters.open.set(self.connections.len() as u64);
        log::info!(
            "loop {} ends: {} connections cut off",
            self.index,
            cut_off.len()
        );
        Ok(ended)
    }

    fn ids(&self) -> impl Iterator<Item = SessionId> {
        let keys = self.connections.keys();
        keys.filter_map(|key| id_of(self.index, key))
    }

    fn tell_others(&mut self, letter: impl Fn() -> Letter<H, S>) {
        for index in self.post_office.others() {
            self.post_office.send(index, letter());
        }
    }
}
