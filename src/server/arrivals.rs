//! How connections come to a loop.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use mio::Interest;

use super::connection::Connection;
use super::event_loop::EventLoop;
use super::listener::Accepted;
use super::mailbox::Letter;
use super::socket::Socket;
use super::tokens::{id_of, token_of};
use crate::delivery::SessionId;
use crate::handler::Handler;

/// Connections beyond the limit that are taken in to be told so.
const SURPLUS_COUNT_MAX: usize = 64;

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Accepts those who wait, if this is the loop that accepts, and hands them out to all loops in turn.
    pub(super) fn accept(&mut self) {
        let Some(listener) = &mut self.listener else {
            self.has_unaccepted = false;
            return;
        };
        let is_retry = listener
            .paused_until()
            .is_some_and(|moment| moment <= self.now.moment);
        if !std::mem::take(&mut self.has_unaccepted) && !is_retry {
            return;
        }
        let mut accepted = Vec::new();
        let progress = listener.accept(
            self.now.config.accept_budget,
            self.now.moment,
            |socket, remote| {
                accepted.push((socket, remote));
            },
        );
        self.has_unaccepted = progress == Accepted::UntilBudget;
        for (socket, remote) in accepted {
            let to = self.next_loop;
            self.next_loop = (to + 1) % self.now.config.loop_count;
            if to == usize::from(self.index) {
                _ = self.adopt(socket, remote);
            } else {
                self.post_office.send(to, Letter::Adopt(socket, remote));
            }
        }
    }

    /// Takes in a connection that was accepted; its id, or `None` if there is no room at all. One that is over the limit
    /// only gets to hear so.
    pub(super) fn adopt(&mut self, mut socket: S, remote: SocketAddr) -> Option<SessionId> {
        let open_count = self.open_count.fetch_add(1, Ordering::Relaxed);
        let is_surplus = open_count >= self.now.config.connections_max;
        let mut registered = None;
        if open_count
            < self
                .now
                .config
                .connections_max
                .saturating_add(SURPLUS_COUNT_MAX)
        {
            let registry = self.poll.registry();
            let key = self.connections.try_insert_with_key(|key| {
                let id =
                    id_of(self.index, key).ok_or_else(|| io::Error::other("no slot is free"))?;
                let interests = Interest::READABLE | Interest::WRITABLE;
                registry.register(&mut socket, token_of(id), interests)?;
                registered = Some(id);
                Ok::<_, io::Error>(Connection::new(socket, remote, is_surplus, &self.now))
            });
            if let Err(error) = key {
                log::warn!("{remote}: refused: {error}");
            }
        }
        match registered {
            Some(id) => self.touch(id),
            None => {
                self.open_count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        registered
    }
}
