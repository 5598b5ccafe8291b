//! A delivery on its way to its receivers on this loop.
//!
//! Nearly all of them are owed nothing else, take all of it, and need not be looked at again. If nothing more is known to
//! follow in the turn, it is written to them at once, from where it lies: then no outbox holds it and nobody has to be
//! flushed. If more follows, one write at the end of the turn brings everything. Whoever is in any other way special gets
//! one message after the other, each judged by its terms.

use std::mem;

use super::compression::Parcel;
use super::connection::{Connection, Now};
use super::event_loop::EventLoop;
use super::numbered::Numbered;
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::{Delivery, Feed, Outcome, Policy, SessionId};
use crate::handler::Handler;
use crate::outbox::{Overflow, Pushed};
use crate::proto::EncodedFrame;

/// When a delivery is written to those who are owed nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// At once: nothing is known that follows.
    AtOnce,
    /// At the end of the turn, together with what follows.
    WithTheTurn,
}

impl Haste {
    /// What is right for a delivery, depending on whether it is the last one that is known of.
    pub(super) fn when(is_last: bool) -> Self {
        if is_last {
            Self::AtOnce
        } else {
            Self::WithTheTurn
        }
    }
}

/// A delivery as those get it who are not special: all messages in one.
struct Batch {
    message_count: u32,
    feed: Option<Feed>,
    haste: Haste,
}

/// What has become of a batch.
enum Taken {
    /// The socket has taken all of it.
    Whole,
    /// It waits for a flush.
    Queued,
    /// Nothing: the peer is special.
    Not,
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Brings the messages to every recipient that lives on this loop.
    pub(super) fn deliver_here(
        &mut self,
        delivery: &mut Delivery<Parcel>,
        haste: Haste,
    ) -> Outcome {
        let mut special = mem::take(&mut self.spare_receivers);
        let mut outcome = self.deliver_together(delivery, haste, &mut special);
        if !special.is_empty() {
            if delivery.message_count > 1 {
                self.compress_together(delivery, &special);
            }
            let mut rest = delivery.frame.clone();
            for _ in 0..delivery.message_count {
                let message = rest.split_first();
                outcome += self.deliver_singly(delivery, message, &special);
            }
            special.clear();
        }
        self.spare_receivers = special;
        outcome
    }

    /// Brings all messages at once to everyone but those who are special, who are listed.
    fn deliver_together(
        &mut self,
        delivery: &mut Delivery<Parcel>,
        haste: Haste,
        special: &mut Vec<SessionId>,
    ) -> Outcome {
        let batch = Batch {
            message_count: delivery.message_count,
            feed: self.feed_of(delivery),
            haste,
        };
        let (mut whole_count, mut queued_count, mut byte_count) = (0, 0, 0);
        let parcel = &mut delivery.frame;
        let may_compress = parcel.may_be_compressed(delivery.terms.as_deref(), &self.now);
        for &id in self.registry.recipients(&delivery.recipients) {
            if delivery.except.contains(id) {
                continue;
            }
            let Some(connection) = self.connections.get_mut(key_of(id)) else {
                continue;
            };
            let frames = if may_compress && connection.recovery.is_none() {
                parcel.for_receiver(connection.deflate(), &mut self.compression)
            } else {
                &parcel.plain
            };
            match connection.take_batch(id, frames, &batch, &self.now) {
                Taken::Whole => {
                    whole_count += 1;
                    byte_count += frames.len();
                }
                Taken::Queued => {
                    queued_count += 1;
                    self.dirty.add(id, &mut connection.is_dirty);
                }
                Taken::Not => special.push(id),
            }
        }
        let messages = |receivers: u32| u64::from(receivers) * u64::from(batch.message_count);
        let counters = &self.now.counters;
        counters.fan_out.add(messages(whole_count + queued_count));
        counters.delivered.add(messages(whole_count));
        counters.queued.add(messages(queued_count));
        counters.bytes_out.add(byte_count as u64);
        Outcome {
            recipients: whole_count + queued_count,
            dropped: 0,
        }
    }

    /// Compresses several messages in one go for those who get them one by one, so that loops can share that, too.
    fn compress_together(&mut self, delivery: &mut Delivery<Parcel>, receivers: &[SessionId]) {
        let parcel = &mut delivery.frame;
        if !parcel.may_be_compressed(delivery.terms.as_deref(), &self.now) {
            return;
        }
        for &id in receivers {
            if let Some(connection) = self.connections.get(key_of(id))
                && connection.can_receive()
            {
                connection.compress(parcel, &mut self.compression);
            }
        }
    }

    /// Queues one message for those who are special, each on its own terms.
    fn deliver_singly(
        &mut self,
        delivery: &Delivery<Parcel>,
        mut message: Parcel,
        receivers: &[SessionId],
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut numbered = Numbered::default();
        let feed = delivery
            .terms
            .as_ref()
            .and_then(|terms| Some((self.registry.feed(&delivery.recipients)?, terms)));
        let may_compress = message.may_be_compressed(delivery.terms.as_deref(), &self.now);
        for &id in receivers {
            let Some(connection) = self
                .connections
                .get_mut(key_of(id))
                .filter(|connection| connection.can_receive())
            else {
                continue;
            };
            let deflate = connection.deflate().filter(|_| may_compress);
            let compression = &mut self.compression;
            let pushed = if connection.recovery.is_some() {
                // What it loses it is sent again, so nothing may be missing in its count.
                numbered
                    .send(
                        id,
                        connection,
                        &mut message,
                        deflate,
                        compression,
                        &self.now,
                    )
                    .map(|()| Pushed::Queued)
            } else {
                let frame = message.for_receiver(deflate, compression);
                match feed {
                    None => connection.send(frame, &self.now).map(|()| Pushed::Queued),
                    Some((feed, terms)) => connection.send_of(feed, terms, frame, &self.now),
                }
            };
            connection.account_for(pushed, 1, &self.now.counters);
            match pushed {
                Ok(Pushed::Queued) => outcome.recipients += 1,
                Ok(Pushed::Dropped) | Err(Overflow) => outcome.dropped += 1,
            }
            self.dirty.add(id, &mut connection.is_dirty);
        }
        numbered.push_into(&mut self.connections);
        outcome
    }

    /// What tells the messages from others that may wait, if they can be dropped.
    fn feed_of(&self, delivery: &Delivery<Parcel>) -> Option<Feed> {
        let terms = delivery.terms.as_ref()?;
        if terms.policy == Policy::Close {
            return None;
        }
        self.registry.feed(&delivery.recipients)
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// Writes or queues a batch, if that is the same for this peer as one message after the other.
    #[inline]
    fn take_batch(
        &mut self,
        id: SessionId,
        frames: &EncodedFrame,
        batch: &Batch,
        now: &Now,
    ) -> Taken {
        let bytes_max = now.config.outbox_bytes_max;
        // Of what fits in no outbox, the first message goes out whatever its size.
        if !self.session.is_open() || self.recovery.is_some() || frames.len() > bytes_max {
            return Taken::Not;
        }
        if batch.haste == Haste::AtOnce && self.is_owed_nothing() {
            match self
                .outbox
                .write_through(frames, batch.feed, &mut self.link)
            {
                Ok(written) if written == frames.len() && !self.link.has_unsent() => {
                    self.tally_sent(written, batch.message_count);
                    return Taken::Whole;
                }
                Ok(written) => {
                    now.counters.bytes_out.add(written as u64);
                    self.tally_sent(written, 0);
                }
                Err(error) => {
                    log::debug!("{id}: write: {error}");
                    self.session.on_broken();
                }
            }
        } else if !self.outbox.try_push_all(frames, batch.feed, bytes_max) {
            return Taken::Not;
        }
        self.queued_count += batch.message_count;
        Taken::Queued
    }
}
