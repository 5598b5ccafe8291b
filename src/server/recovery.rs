//! Connections that outlive their sockets.
//!
//! A recoverable connection that loses its socket keeps its slot, and with it its id, its memberships and the state of
//! the application; what is delivered to it is numbered and kept. A new socket may land on any loop. It is handed to
//! the loop of the connection, which takes it in place of the old one, be that lost or only half-open. If there is no
//! such connection, or the token is wrong, the peer is told so with a Close frame.

use std::sync::atomic::Ordering;

use mio::Interest;

use super::application::Application;
use super::compression::{Compression, Parcel};
use super::connection::{Connection, Now, first_ping_after};
use super::event_loop::EventLoop;
use super::link::Link;
use super::mailbox::Letter;
use super::places::Place;
use super::reading::Kept;
use super::socket::Socket;
use super::tokens::{key_of, token_of};
use crate::clock::Moment;
use crate::delivery::{RecoveryToken, SessionId};
use crate::handler::{Handler, Recover};
use crate::metrics::Eviction;
use crate::proto::{CloseCode, CloseFrame, EncodedFrame};
use crate::replay::Replay;
use crate::session::{Cause, Session};

/// A socket on its way to the session that it recovers.
#[derive(Debug)]
pub(super) struct Attachment<S> {
    link: Link<S>,
    place: Option<Place>,
    recover: Recover,
    /// What came behind the request.
    input: Vec<u8>,
}

/// What only a recoverable connection has.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) replay: Replay,
    /// Set while there is no socket: when the connection ends if none comes.
    lost_until: Option<Moment>,
    /// When its credential ends, whatever socket it has then.
    expires_at: Moment,
}

impl Recovery {
    pub(super) fn new(replay: Replay, expires_at: Moment) -> Self {
        Self {
            replay,
            lost_until: None,
            expires_at,
        }
    }

    /// Whether what is numbered is sent, too, and not just kept.
    pub(super) fn is_live(&self) -> bool {
        self.lost_until.is_none() && !self.replay.is_paused()
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// Has a parcel compressed as this peer gets it.
    pub(super) fn compress(&self, parcel: &mut Parcel, compression: &mut Compression) {
        let deflate = self.deflate();
        match &self.recovery {
            None => {
                parcel.for_receiver(deflate, compression);
            }
            Some(recovery) if recovery.is_live() => {
                let numbering = recovery.replay.numbering();
                parcel.rest_for_receiver(deflate, numbering, compression);
            }
            Some(_) => {}
        }
    }

    /// The WebSocket has ended: for good, or until a new socket comes.
    pub(super) fn on_closed<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        application: &mut Application<H>,
        now: &Now,
    ) {
        let is_lost = matches!(self.session.ending().cause, Cause::PeerLost | Cause::Silent);
        match &mut self.recovery {
            Some(recovery) if is_lost && !now.is_draining() => {
                let until = now.moment + now.config.recovery_timeout;
                recovery.lost_until = Some(until.min(recovery.expires_at));
                self.outbox.clear();
                self.session.on_broken();
                log::debug!("{id}: lost, may be recovered");
            }
            _ => {
                self.recovery = None;
                application.on_closed(id, self.peer.take());
            }
        }
    }

    /// Ends a connection for which no new socket has come in time.
    pub(super) fn end_if_unrecovered<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        application: &mut Application<H>,
        now: &Now,
    ) {
        let is_over = |until: Moment| now.moment >= until || now.is_draining();
        if self.lost_until().is_some_and(is_over) {
            self.recovery = None;
            self.account_for_unsent(&now.counters);
            application.on_closed(id, self.peer.take());
        }
    }

    /// When a connection that has lost its socket ends; `None` if it has one, or is none of that kind.
    pub(super) fn lost_until(&self) -> Option<Moment> {
        self.recovery
            .as_ref()
            .and_then(|recovery| recovery.lost_until)
    }

    /// Whether deliveries reach it, now or when it is recovered.
    #[inline]
    pub(super) fn can_receive(&self) -> bool {
        self.can_send() || self.lost_until().is_some()
    }

    /// Whether a socket with `token` may go on with it; `None` if no socket may.
    fn judge(&self, token: &RecoveryToken) -> Option<bool> {
        let recovery = self.recovery.as_deref()?;
        self.can_receive().then(|| recovery.replay.is_token(token))
    }

    /// Goes on with a new socket, which is registered in place of the old one.
    fn attach<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        attachment: Attachment<S>,
        application: &mut Application<H>,
        now: &Now,
    ) {
        // What is left of the old stream means nothing in the new one.
        drop(self.take_unread());
        let (Some(recovery), Some(peer)) = (&mut self.recovery, &mut self.peer) else {
            return;
        };
        recovery.lost_until = None;
        recovery.replay.pause();
        self.link = attachment.link;
        self.is_blocked = false;
        self.outbox.clear();
        self.session = Session::new(now.moment, &now.config);
        let first_ping = first_ping_after(id, now.config.ping_interval);
        self.session.open(
            &attachment.recover.handshake,
            first_ping,
            now.moment,
            &mut self.outbox,
        );
        now.note_agreement(attachment.recover.handshake.deflate());
        self.session.expire_at(recovery.expires_at);
        let (handler, mut out) = application.for_session(id);
        handler.on_recovered(peer, &mut out);
        let mut input = attachment.input;
        let recover = self.on_bytes(id, &mut input, Kept::Elsewhere, application, now);
        debug_assert!(recover.is_none(), "an open WebSocket has no requests");
    }

    /// Ends a connection that has too much unacknowledged. Its client must not come back for the same: 1008.
    pub(super) fn give_up(&mut self, now: &Now) {
        self.stop_waiting(now);
        self.evict(Eviction::Unacknowledged, now);
    }

    /// A connection that waits for a new socket ends when it is looked at next.
    pub(super) fn stop_waiting(&mut self, now: &Now) {
        if let Some(recovery) = &mut self.recovery
            && recovery.lost_until.is_some()
        {
            recovery.lost_until = Some(now.moment);
        }
    }
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Takes the socket from a connection whose request was to go on with another session, and sends it there.
    pub(super) fn hand_over(&mut self, id: SessionId, (recover, input): (Recover, Vec<u8>)) {
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return;
        };
        connection.session.hand_over();
        let Some(mut link) = connection.link.take() else {
            return;
        };
        let place = connection.take_place();
        if let Err(error) = self.poll.registry().deregister(&mut link) {
            log::warn!("{id}: cannot be handed over: {error}");
            return;
        }
        let home = recover.session.loop_index();
        let attachment = Attachment {
            link,
            place,
            recover,
            input,
        };
        if home == usize::from(self.index) || home >= self.now.config.loop_count {
            self.attach(attachment);
        } else {
            self.post_office
                .send(home, Letter::Attach(Box::new(attachment)));
        }
    }

    /// Has a socket go on with a connection of this loop, or tells the peer that there is none.
    pub(super) fn attach(&mut self, mut attachment: Attachment<S>) {
        // What was asked for so far is for the socket that the session has had until now.
        self.settle_or_log();
        let Recover {
            session: id,
            token,
            client,
            ..
        } = attachment.recover;
        let is_here = id.loop_index() == usize::from(self.index);
        let found = self.connections.get_mut(key_of(id));
        let found = found.filter(|_| is_here).and_then(|connection| {
            let is_token = connection.judge(&token)?;
            Some((connection, is_token))
        });
        let connection = match found {
            Some((connection, true)) => connection,
            Some((_, false)) => {
                let moment = self.now.moment;
                self.application.handler.on_wrong_token(client, moment);
                return self.refuse_recovery(attachment);
            }
            None => return self.refuse_recovery(attachment),
        };
        if let Some(mut old) = connection.link.take() {
            // It fails only for a socket that is not registered, which is what is wanted.
            let _ = self.poll.registry().deregister(&mut old);
        }
        let interests = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        let registered = registry.register(&mut attachment.link, token_of(id), interests);
        if let Err(error) = registered {
            // The connection is without a socket, as if this one had been lost at once.
            log::warn!("{id}: not recovered: {error}");
            connection.session.on_broken();
        } else {
            log::debug!("{id}: recovered");
            // The place of the new socket counts from now on, and that of the lost one is given back.
            connection.hold(attachment.place.take());
            connection.attach(id, attachment, &mut self.application, &self.now);
        }
        self.dirty.add(id, &mut connection.is_dirty);
    }

    /// Completes the handshake and closes: an HTTP error would make the client try again (PROTOCOL 4).
    fn refuse_recovery(&mut self, attachment: Attachment<S>) {
        let Attachment {
            link,
            place,
            recover,
            ..
        } = attachment;
        // The connection that brought the request has given its place back.
        self.open_count.fetch_add(1, Ordering::Relaxed);
        self.now.counters.accepted.add(1);
        let Some(id) = self.adopt(link, place) else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(key_of(id)) {
            let (code, reason) = recover.refusal;
            let now = &self.now;
            connection.session.open(
                &recover.handshake,
                now.config.ping_interval,
                now.moment,
                &mut connection.outbox,
            );
            connection.close(CloseFrame { code, reason }, now);
        }
    }

    /// Forgets what a peer says that it has. A peer that says so of what it was not sent breaks the protocol.
    pub(super) fn acknowledge(&mut self, session: SessionId, number: u64) {
        let Some(connection) = self.connections.get_mut(key_of(session)) else {
            return;
        };
        let is_known = connection
            .recovery
            .as_mut()
            .is_some_and(|recovery| recovery.replay.acknowledge(number).is_ok());
        if !is_known {
            let close = CloseFrame {
                code: CloseCode::INVALID_PAYLOAD,
                reason: "that number was not sent",
            };
            connection.close(close, &self.now);
            self.dirty.add(session, &mut connection.is_dirty);
        }
    }

    /// Sends what a recovered peer has not acknowledged, and goes on with what is live.
    pub(super) fn replay(&mut self, session: SessionId) {
        let Some(connection) = self.connections.get_mut(key_of(session)) else {
            return;
        };
        let Some(recovery) = &mut connection.recovery else {
            return;
        };
        let numbered: Vec<_> = recovery
            .replay
            .resume()
            .map(|(number, rest)| (number, rest.clone()))
            .collect();
        let mut beginnings = Vec::new();
        let ranges: Vec<_> = numbered
            .iter()
            .map(|(number, rest)| {
                recovery
                    .replay
                    .write_beginning(*number, rest.len(), &mut beginnings)
            })
            .collect();
        let beginnings = EncodedFrame::from_vec(beginnings);
        for (range, (_, rest)) in ranges.into_iter().zip(numbered) {
            connection
                .outbox
                .push_numbered(beginnings.part(range), rest);
        }
        self.dirty.add(session, &mut connection.is_dirty);
    }
}
