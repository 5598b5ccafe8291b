//! The one place where socket, session and outbox of a peer meet.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::TcpStream;

use super::accounts::{Metered, Sent, Since};
use super::activity::Activity;
use super::application::Application;
use super::link::{Link, Parting};
use super::load::Loads;
use super::places::Places;
use super::recovery::Recovery;
use super::socket::Socket;
use super::timers::Tick;
use crate::clock::Moment;
use crate::config::Config;
use crate::delivery::{Feed, SessionId, Terms};
use crate::handler::{Handler, Receipt, Recover};
use crate::metrics::{Counters, Eviction};
use crate::outbox::{Flushed, Outbox, Overflow, Pushed};
use crate::proto::{CloseFrame, Deflate, EncodedFrame};
use crate::replay::ReplayBudget;
use crate::session::Session;

/// A peer: its socket, where it is in its life, what it is owed, and what the application knows of it.
///
/// The fields lie in this order. What a delivery looks at, from the end of the session on, is at the end, next to the
/// generation that the slot map keeps behind: 2.5 lines of the cache for each receiver, and not 2.9.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Connection<P, S = TcpStream> {
    /// The application's state, from opening handshake to close or as long as a request waits for its response.
    pub(super) peer: Option<P>,
    /// What only a connection has that does something.
    pub(super) activity: Option<Box<Activity>>,
    /// The tick of the only timer that counts; others in the wheel are left over.
    pub(super) armed_tick: Tick,
    /// When it was accepted, or got its latest socket.
    pub(super) since: Since,
    pub(super) session: Session,
    /// What only a recoverable connection has.
    pub(super) recovery: Option<Box<Recovery>>,
    /// The way to the peer; that of a recoverable connection can be without a socket for a while.
    pub(super) link: Link<S>,
    /// What it was sent.
    pub(super) sent: Sent,
    /// Messages whose way ends neither in the socket nor in the count of what was dropped yet.
    pub(super) queued_count: u32,
    /// Whether it is on the list of those that something happened to.
    pub(super) is_dirty: bool,
    /// Whether it is on the list of those that a budget cut off.
    pub(super) is_unfinished: bool,
    /// Whether the last write found the socket full and no event has said otherwise since.
    pub(super) is_blocked: bool,
    /// Whether the loop counts what is held for it.
    pub(super) is_counted: bool,
    pub(super) outbox: Outbox,
}

/// Whether a budget cut the work on a connection short, although its socket would have gone on.
#[derive(Debug)]
#[must_use]
pub(super) enum Progress {
    /// Nothing is left until the next event of the socket.
    Done,
    /// There may be more at once; no event will say so.
    Unfinished,
    /// The socket belongs to another session from now on, and so does what was read from it already.
    Recovers(Box<(Recover, Vec<u8>)>),
}

/// What every step of a connection has to know of the moment.
#[derive(Clone, Debug)]
pub(super) struct Now {
    /// The time of this turn.
    pub(super) moment: Moment,
    pub(super) config: Arc<Config>,
    /// Where this loop counts.
    pub(super) counters: Arc<Counters>,
    /// Whether the server is going away; the first loop to know sets it for all.
    pub(super) is_draining: Arc<AtomicBool>,
    /// Whether any peer of the server has ever agreed to compress: until then nobody need be asked.
    pub(super) compresses: Arc<AtomicBool>,
    /// How much all peers of the server keep busy.
    pub(super) loads: Loads,
    /// How many connections each client has; `None` if that is not limited.
    pub(super) places: Option<Places>,
    /// What all recoverable connections of the process may leave unacknowledged.
    pub(super) replay_budget: ReplayBudget,
}

impl Now {
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// A peer has agreed on this, or on nothing.
    pub(super) fn note_agreement(&self, deflate: Option<Deflate>) {
        if deflate.is_some() {
            self.compresses.store(true, Ordering::Relaxed);
        }
    }
}

impl<P, S: Socket> Connection<P, S> {
    pub(super) fn new(link: Link<S>, now: &Now) -> Self {
        Self {
            link,
            session: Session::new(now.moment, &now.config),
            outbox: Outbox::default(),
            peer: None,
            recovery: None,
            activity: None,
            armed_tick: Tick::NEVER,
            is_dirty: false,
            is_unfinished: false,
            is_blocked: false,
            is_counted: false,
            queued_count: 0,
            sent: Sent::default(),
            since: Since::at(now.moment),
        }
    }

    /// Queues frames; [`Connection::can_send`] must hold. A peer whose outbox would overflow is given up on.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if that happened: the peer does not get the frames.
    #[inline]
    pub(super) fn send(&mut self, frames: &EncodedFrame, now: &Now) -> Result<(), Overflow> {
        let bytes_max = now.config.outbox_bytes_max;
        let bytes_max = bytes_max.saturating_add(self.replayed_bytes_max(now));
        self.outbox
            .push(frames, bytes_max)
            .inspect_err(|Overflow| self.evict(Eviction::Overflow, now))
    }

    /// Queues a frame of `feed` on these terms; otherwise like [`Connection::send`].
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the peer was given up on.
    pub(super) fn send_of(
        &mut self,
        feed: Feed,
        terms: &Arc<Terms>,
        frame: &EncodedFrame,
        now: &Now,
    ) -> Result<Pushed, Overflow> {
        self.outbox
            .push_of(feed, terms, frame, now.config.outbox_bytes_max)
            .inspect_err(|Overflow| self.evict(Eviction::Overflow, now))
    }

    /// Closes the WebSocket after what is queued; a session that has lost its own does not wait for another.
    pub(super) fn close(&mut self, close: CloseFrame<'_>, now: &Now) {
        self.stop_waiting(now);
        self.session
            .close(close, now.moment, &now.config, &mut self.outbox);
    }

    /// Ends a connection that waits for a request; a request that is under way is the last.
    pub(super) fn take_no_more_requests(&mut self, now: &Now) {
        self.session
            .take_no_more_requests(&self.outbox, now.moment, &now.config);
    }

    /// Tells the application the outcome of a delivery.
    pub(super) fn on_receipt<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        receipt: Receipt,
        application: &mut Application<H>,
    ) {
        if let Some(peer) = &mut self.peer {
            let (handler, mut out) = application.for_session(id);
            handler.on_receipt(peer, receipt, &mut out);
        }
    }

    /// The socket takes bytes; returns whether it did not before, so that something waits for it.
    #[inline]
    pub(super) fn on_writable(&mut self) -> bool {
        std::mem::take(&mut self.is_blocked)
    }

    /// Does what is due at this moment.
    pub(super) fn on_deadline(&mut self, now: &Now) {
        self.evict_if_due(now);
        if self.is_held_back(now) {
            self.session.excuse_silence(now.moment);
        }
        self.forget_activity(now);
        self.session
            .on_deadline(now.moment, &now.config, &mut self.outbox);
    }

    /// Writes what is owed as far as socket and budget allow, and tells the application if that was the end.
    pub(super) fn flush<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        application: &mut Application<H>,
        now: &Now,
    ) -> Progress {
        let mut progress = Progress::Done;
        self.account_for_displaced(&now.counters);
        if self.is_blocked {
            self.outbox.keep_blocked();
        } else if !self.session.is_closed() && self.link.has_socket() {
            let (flushed, byte_count) = self.write_owed(now);
            now.counters.bytes_out.add(byte_count as u64);
            self.tally_sent(byte_count, 0);
            match flushed.and_then(|flushed| self.link.push(flushed, now.moment)) {
                Ok(Flushed::Everything) => self.on_flushed(now),
                Ok(Flushed::UntilBlocked) => self.is_blocked = true,
                Ok(Flushed::UntilBudget) => progress = Progress::Unfinished,
                Err(error) => {
                    log::debug!("{id}: write: {error}");
                    self.session.on_broken();
                }
            }
        }
        self.tell_end(id, application, now);
        self.end_if_unrecovered(id, application, now);
        let catches_up = self.catches_up(now);
        if self.take_release(now) || catches_up {
            progress = Progress::Unfinished;
        }
        progress
    }

    /// Writes what is owed; also returns how many bytes went out.
    fn write_owed(&mut self, now: &Now) -> (io::Result<Flushed>, usize) {
        let budget = now.config.write_budget_bytes;
        let written = if self.session.is_parting() {
            let mut link = Parting(&mut self.link);
            let mut link = Metered::new(&mut link);
            let flushed = self.outbox.write_to(&mut link, budget, now.moment);
            (flushed, link.byte_count)
        } else {
            let mut link = Metered::new(&mut self.link);
            let flushed = self.outbox.write_to(&mut link, budget, now.moment);
            (flushed, link.byte_count)
        };
        self.account_for_written(&now.counters);
        written
    }

    fn on_flushed(&mut self, now: &Now) {
        self.account_for_flushed(&now.counters);
        if self.session.on_flushed(now.moment, &now.config)
            && let Err(error) = self.link.finish()
        {
            if error.kind() == io::ErrorKind::WouldBlock {
                self.is_blocked = true;
                return;
            }
            log::trace!("shutdown: {error}");
            self.session.on_broken();
        }
    }

    /// When [`Connection::on_deadline`] has something to do.
    pub(super) fn deadline(&self, config: &Config) -> Moment {
        self.session
            .deadline()
            .min(self.eviction_deadline(config))
            .min(self.lost_until().unwrap_or(Moment::NEVER))
            .min(self.held_until())
    }

    /// Queues the Close frame that the peer is owed, now that everything else was said.
    pub(super) fn push_owed_close(&mut self) {
        self.session.push_owed_close(&mut self.outbox);
    }

    pub(super) fn can_send(&self) -> bool {
        self.session.can_send()
    }

    /// Whether it takes part in anything: an open WebSocket, or a session that may get one again.
    pub(super) fn is_present(&self) -> bool {
        self.session.is_open() || self.lost_until().is_some()
    }

    /// Whether nothing is left of it: its slot can be freed.
    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed() && self.lost_until().is_none()
    }
}

/// When the first ping of a connection is due: spread over the interval, evenly for consecutive slots.
pub(super) fn first_ping_after(id: SessionId, interval: Duration) -> Duration {
    /// 2^32 divided by the golden ratio: its multiples fall evenly into a ring of that size.
    const GOLDEN: u32 = 2_654_435_769;
    /// No ping comes in the first twentieth, when the peer has just shown that it lives.
    const PARTS: u32 = 20;
    let spread = f64::from(id.slot().wrapping_mul(GOLDEN)) / f64::from(u32::MAX);
    interval / PARTS + (interval - interval / PARTS).mul_f64(spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Peer;

    /// What every idle client costs, in bytes; the socket is larger in debug builds. Whoever adds to it should have
    /// looked first whether an idle client needs that: what only some connections need belongs into a box of theirs.
    #[test]
    fn rs_05_an_idle_connection_is_small() {
        let sizes = [
            (
                "MessageReader",
                size_of::<crate::proto::MessageReader>(),
                16,
            ),
            ("Session", size_of::<Session>(), 48),
            ("Outbox", size_of::<Outbox>(), 24),
            (
                "Link",
                size_of::<Link<TcpStream>>(),
                if cfg!(debug_assertions) { 32 } else { 16 },
            ),
            ("Peer", size_of::<Peer>(), 16),
            ("Option<Peer>", size_of::<Option<Peer>>(), 16),
            (
                "Connection",
                size_of::<Connection<Peer>>(),
                if cfg!(debug_assertions) { 160 } else { 144 },
            ),
        ];
        for (name, size, expected) in sizes {
            println!("{name}: {size}");
            assert_eq!(size, expected, "{name}");
        }
    }
}
