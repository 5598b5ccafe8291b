//! How connections come to a loop.

use std::io;
use std::sync::atomic::Ordering;

use mio::Interest;

use super::connection::Connection;
use super::event_loop::EventLoop;
use super::link::Link;
use super::listener::Accepted;
use super::mailbox::Letter;
use super::places::Place;
use super::socket::Socket;
use super::tokens::{id_of, token_of};
use crate::delivery::SessionId;
use crate::handler::Handler;
use crate::metrics::{Budget, Status};
use crate::session::Cause;

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Accepts those who wait, if this is the loop that accepts, and hands them out to all loops in turn. Those for whom
    /// there is no place are refused.
    pub(super) fn accept(&mut self) {
        let now = self.now.moment;
        let Some(listener) = &mut self.listener else {
            self.has_unaccepted = false;
            return;
        };
        listener.let_refused_go(now);
        let is_retry = listener.paused_until().is_some_and(|moment| moment <= now);
        if !std::mem::take(&mut self.has_unaccepted) && !is_retry {
            return;
        }
        let mut accepted = Vec::new();
        let budget = self.now.config.accept_budget;
        let progress = listener.accept(budget, now, &self.now.counters, |link| {
            accepted.push(link);
        });
        self.has_unaccepted = progress == Accepted::UntilBudget;
        let is_paused = listener.paused_until().is_some();
        self.now.counters.accepting.set(u64::from(!is_paused));
        self.now.counters.accepted.add(accepted.len() as u64);
        if self.has_unaccepted {
            self.now.counters.budgets_hit.add(Budget::Accept, 1);
        }
        for link in accepted {
            let address = link.address();
            // Only this loop takes places, so it cannot take too many.
            if self.open_count.load(Ordering::Relaxed) >= self.now.config.connections_max {
                if let Some(listener) = &mut self.listener {
                    log::debug!("{address}: refused, the limit of connections is reached");
                    listener.refuse(link, now);
                }
                self.now.counters.ended.add(Cause::NoPlace, 1);
                self.now.counters.responses.add(Status(503), 1);
                continue;
            }
            let Ok(place) = self.now.place_at_accept(address) else {
                if let Some(listener) = &mut self.listener {
                    log::debug!("{address}: refused, its address has too many connections");
                    listener.refuse_one_of_many(link, now);
                }
                self.now.counters.ended.add(Cause::NoPlace, 1);
                self.now.counters.responses.add(Status(503), 1);
                continue;
            };
            self.open_count.fetch_add(1, Ordering::Relaxed);
            let to = self.next_loop;
            self.next_loop = (to + 1) % self.now.config.loop_count;
            if to == usize::from(self.index) {
                _ = self.adopt(link, place);
            } else {
                self.post_office.send(to, Letter::Adopt(link, place));
            }
        }
    }

    /// Takes in a connection that another loop has accepted, maybe before it knew that the server drains.
    pub(super) fn adopt_sent(&mut self, link: Link<S>, place: Option<Place>) {
        let adopted = self.adopt(link, place);
        if let Some(id) = adopted
            && self.now.is_draining()
        {
            self.end_if_idle(id);
        }
    }

    /// Takes in a connection that has a place; its id, or `None` if the system or the loop has no room for it, which
    /// frees the place.
    pub(super) fn adopt(&mut self, mut link: Link<S>, place: Option<Place>) -> Option<SessionId> {
        let address = link.address();
        let registry = self.poll.registry();
        let key = self.connections.try_insert_with_key(|key| {
            let id = id_of(self.index, key).ok_or_else(|| io::Error::other("no slot is free"))?;
            let interests = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut link, token_of(id), interests)?;
            let mut connection = Connection::new(link, &self.now);
            connection.hold(place);
            Ok::<_, io::Error>(connection)
        });
        let key = key.inspect_err(|error| {
            log::warn!("{address}: refused: {error}");
            self.open_count.fetch_sub(1, Ordering::Relaxed);
            self.now.counters.ended.add(Cause::NoPlace, 1);
        });
        let id = id_of(self.index, key.ok()?)?;
        self.touch(id);
        Some(id)
    }
}
