//! What goes back to the peer that has caused it.
//!
//! Nearly every peer that is answered is owed nothing else, and takes all of it. If an answer is also all that came of what
//! was read, it is written at once, from where it was encoded: no outbox holds it, nothing is shared, and the socket is
//! in the caches still. Otherwise it waits until everything is done that was asked for before it.

use super::connection::{Connection, Now};
use super::event_loop::EventLoop;
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::SessionId;
use crate::handler::{Handler, What, Wish};
use crate::outbox::Pushed;
use crate::proto::{EncodedFrame, FrameRange};

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Answers a connection that was just read, and looks after it, if nothing was asked for but the answer; returns whether
    /// that is done.
    #[inline]
    pub(super) fn answer_at_once(&mut self, id: SessionId) -> bool {
        let is_alone = match self.application.wishes.as_slice() {
            _ if !self.application.closed.is_empty() => false,
            [] => true,
            &[
                Wish {
                    session,
                    what: What::Reply(frames, count),
                },
            ] => session == id && self.reply_at_once(id, frames, count),
            _ => false,
        };
        if is_alone {
            self.look_after(id);
        }
        is_alone
    }

    /// Writes frames, of so many messages, that are the only wish, if the connection is owed nothing else and takes them as
    /// they are; returns whether the wish was granted.
    fn reply_at_once(&mut self, id: SessionId, range: FrameRange, count: u32) -> bool {
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return false;
        };
        let frames = &self.application.frames;
        let are_all = range == FrameRange::new(0, range.end) && range.end as usize == frames.len();
        if !are_all || !connection.takes_at_once() {
            return false;
        }
        let written = connection.write_at_once(id, frames.as_bytes(), count, &self.now);
        if written == frames.len() {
            self.application.frames.clear();
        } else {
            let frames = self.application.share_frames().slice(range);
            connection.outbox.push_rest(&frames, None, written);
            connection.account_for(Ok(Pushed::Queued), count, &self.now.counters);
        }
        self.application.wishes.clear();
        true
    }

    /// Sends frames, of so many messages, to the one who asked for them.
    pub(super) fn reply(&mut self, session: SessionId, frames: &EncodedFrame, count: u32) {
        if let Some(connection) = self
            .connections
            .get_mut(key_of(session))
            .filter(|connection| connection.can_send())
        {
            let compressed = connection
                .deflate()
                .and_then(|deflate| self.compression.compress(deflate, frames));
            let pushed = connection.send(compressed.as_ref().unwrap_or(frames), &self.now);
            let pushed = pushed.map(|()| Pushed::Queued);
            connection.account_for(pushed, count, &self.now.counters);
            self.dirty.add(session, &mut connection.is_dirty);
        }
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// Whether nothing comes before frames that are written now, and there is a socket to take them.
    #[inline]
    pub(super) fn is_owed_nothing(&self) -> bool {
        !self.is_blocked && self.outbox.is_empty() && self.link.has_socket()
    }

    /// Whether frames can go to the socket as they are.
    #[inline]
    fn takes_at_once(&self) -> bool {
        self.session.is_open() && self.is_owed_nothing() && self.deflate().is_none()
    }

    /// Writes frames of so many messages; returns how many bytes went out. If those are all, the messages are accounted for.
    #[inline]
    fn write_at_once(&mut self, id: SessionId, frames: &[u8], count: u32, now: &Now) -> usize {
        let written = self.outbox.write_unshared(frames, &mut self.link);
        let written = written.unwrap_or_else(|error| {
            log::debug!("{id}: write: {error}");
            self.session.on_broken();
            0
        });
        now.counters.bytes_out.add(written as u64);
        if written == frames.len() {
            now.counters.fan_out.add(u64::from(count));
            now.counters.delivered.add(u64::from(count));
            self.tally_sent(written, count);
        } else {
            self.tally_sent(written, 0);
        }
        written
    }
}
