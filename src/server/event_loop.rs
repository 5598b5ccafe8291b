//! One thread of the server: a poll, the connections that live here, and the order in which things happen to them.
//!
//! A turn is [`EventLoop::turn`]. Whatever happens to a connection puts it on the list of the dirty ones; what the
//! application wants is done when it has said all of it; each dirty connection is then flushed once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use signal_hook_mio::v1_0::Signals;
use slotmap::{DefaultKey, SlotMap};

use super::application::Application;
use super::compression::Compression;
use super::connection::{Connection, Now, Progress};
use super::ends::EndLog;
use super::fairness::Fairness;
use super::fan_out::Haste;
use super::listener::Listener;
use super::load::Load;
use super::mailbox::{Letter, PostOffice};
use super::marked_list::MarkedList;
use super::read_buffer::ReadBuffer;
use super::reading::ReadExtent;
use super::receipts::Receipts;
use super::shared::Shared;
use super::shutdown::{Ended, Stop};
use super::socket::Socket;
use super::timers::{Tick, Timers};
use super::tokens::{self, Readiness, key_of};
use super::waiting_line::WaitingLine;
use crate::clock::Moment;
use crate::delivery::SessionId;
use crate::handler::{Handler, Wish};
use crate::metrics::Budget;
use crate::registry::Registry;

/// Events taken from the system at once.
const EVENT_COUNT_MAX: usize = 1024;
/// When the frames of a turn are this many bytes, they go out before more is read: they are still in the cache.
const TURN_BYTES_MAX: usize = 64 << 10;
/// How long a loop sleeps at most while it does not read because another loop has to catch up.
const CONGESTION_PAUSE: Duration = Duration::from_millis(1);

/// One loop of the server.
pub(super) struct EventLoop<H: Handler, S: Socket = TcpStream> {
    pub(super) index: u8,
    pub(super) poll: Poll,
    pub(super) clock: Instant,
    pub(super) now: Now,
    pub(super) connections: SlotMap<DefaultKey, Connection<H::Peer, S>>,
    pub(super) registry: Registry,
    pub(super) application: Application<H>,
    pub(super) post_office: PostOffice<H, S>,
    pub(super) receipts: Receipts,
    /// What messages are compressed with.
    pub(super) compression: Compression,
    pub(super) load: Load,
    pub(super) timers: Timers,
    pub(super) listener: Option<Listener<S>>,
    pub(super) signals: Option<Signals>,
    read_buffer: ReadBuffer,
    /// Open connections of all loops.
    pub(super) open_count: Arc<AtomicUsize>,
    /// Those to which something happened in this turn.
    pub(super) dirty: MarkedList,
    /// Those that a budget cut off; no event will remind of them.
    pub(super) unfinished: WaitingLine,
    /// Those whose slot is to be freed when the turn is over.
    pub(super) finished: Vec<SessionId>,
    has_unread_letters: bool,
    /// Whether nothing is read in this turn, because another loop has to catch up first.
    is_congested: bool,
    pub(super) fairness: Fairness,
    pub(super) has_unaccepted: bool,
    /// The loop that gets the next connection.
    pub(super) next_loop: usize,
    pub(super) stop: Stop,
    /// How much was said of those who have ended.
    pub(super) end_log: EndLog,
    /// The memory of a list of wishes that was done.
    pub(super) spare_wishes: Vec<Wish<H::Note>>,
    /// The memory of a list of receivers.
    pub(super) spare_receivers: Vec<SessionId>,
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    pub(super) fn new(
        index: u8,
        poll: Poll,
        post_office: PostOffice<H, S>,
        handler: H,
        shared: Shared,
    ) -> Self {
        let now = shared.now(index);
        Self {
            index,
            poll,
            clock: shared.clock,
            timers: Timers::new(now.moment),
            connections: SlotMap::new(),
            registry: Registry::default(),
            application: Application::new(handler),
            post_office,
            receipts: Receipts::default(),
            compression: Compression::new(Arc::clone(&now.counters)),
            now,
            load: Load::new(usize::from(index), shared.loads),
            listener: None,
            signals: None,
            read_buffer: ReadBuffer::default(),
            open_count: shared.open_count,
            dirty: MarkedList::default(),
            unfinished: WaitingLine::default(),
            finished: Vec::new(),
            has_unread_letters: false,
            is_congested: false,
            fairness: Fairness::default(),
            has_unaccepted: false,
            next_loop: 0,
            stop: Stop::Not,
            end_log: EndLog::default(),
            spare_wishes: Vec::new(),
            spare_receivers: Vec::new(),
        }
    }

    /// Makes this the loop that accepts.
    pub(super) fn listen(&mut self, mut listener: Listener<S>) -> io::Result<()> {
        listener.register(self.poll.registry(), tokens::listener)?;
        self.listener = Some(listener);
        self.now.counters.accepting.set(1);
        Ok(())
    }

    /// Makes this the loop that hears signals.
    pub(super) fn hear(&mut self, mut signals: Signals) -> io::Result<()> {
        self.poll
            .registry()
            .register(&mut signals, tokens::SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    ///
    /// What the system says if it cannot be polled any more.
    pub(super) fn run(mut self) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENT_COUNT_MAX);
        while !self.is_over() {
            self.turn(&mut events)?;
        }
        self.end()
    }

    /// One turn: everything that is ready happens, then everything that was asked for, then everyone is flushed.
    pub(super) fn go_through(
        &mut self,
        moment: Moment,
        events: impl Iterator<Item = Readiness>,
    ) -> io::Result<()> {
        self.now.moment = moment;
        self.is_congested = self.post_office.is_congested();
        let unfinished_count = self.unfinished.len();
        for event in events {
            self.on_event(event);
        }
        self.accept();
        self.read_letters();
        self.resume(unfinished_count)?;
        self.say_farewells();
        self.settle()?;
        self.fire_timers();
        self.settle()?;
        self.relieve()?;
        self.free_finished();
        self.now.counters.open.set(self.connections.len() as u64);
        Ok(())
    }

    /// How long to sleep at most: not at all if something is left over, else until the next timer.
    pub(super) fn wait(&self) -> Option<Duration> {
        if self.has_unread_letters || self.has_unaccepted {
            return Some(Duration::ZERO);
        }
        if !self.unfinished.is_empty() {
            return Some(if self.is_congested {
                CONGESTION_PAUSE
            } else {
                Duration::ZERO
            });
        }
        let listener = self.listener.as_ref().and_then(Listener::next_moment);
        let moments = [listener, self.next_farewell()]
            .into_iter()
            .flatten()
            .map(|moment| moment - self.now.moment);
        moments.chain(self.timers.wait(self.now.moment)).min()
    }

    fn on_event(&mut self, event: Readiness) {
        match event.token {
            tokens::WAKER => self.has_unread_letters = true,
            tokens::SIGNALS => self.on_signals(),
            Token(bits) => {
                let id = SessionId::from_bits(bits as u64);
                if id.slot() == 0 {
                    self.has_unaccepted = true;
                    return;
                }
                // Sockets that have something to read tell each time that they take something, too.
                if event.is_writable
                    && let Some(connection) = self.connections.get_mut(key_of(id))
                    && connection.on_writable()
                {
                    self.dirty.add(id, &mut connection.is_dirty);
                }
                if event.is_readable {
                    let extent = if event.has_ended {
                        ReadExtent::UntilBlocked
                    } else {
                        ReadExtent::UntilDrained
                    };
                    self.read_or_put_off(id, extent);
                }
            }
        }
    }

    pub(super) fn read(&mut self, id: SessionId, extent: ReadExtent) {
        let Some(connection) = self.connections.get_mut(key_of(id)) else {
            return;
        };
        if self.is_congested {
            return self.unfinished.add(id, &mut connection.is_unfinished);
        }
        let read_before = self.now.counters.bytes_in.get();
        let buffer = self.read_buffer.bytes();
        let progress = connection.read(id, extent, buffer, &mut self.application, &self.now);
        self.note_read(id, self.now.counters.bytes_in.get() - read_before);
        match progress {
            Progress::Done => {}
            Progress::Unfinished => {
                self.now.counters.budgets_hit.add(Budget::Read, 1);
                self.cut_off(id);
            }
            Progress::Recovers(recover) => self.hand_over(id, *recover),
        }
        if self.application.frames.has_passed() {
            self.touch(id);
            self.application.input = Some(self.read_buffer.share());
            self.settle_or_log();
        } else if !self.answer_at_once(id) {
            self.touch(id);
            if self.application.frames.len() >= TURN_BYTES_MAX {
                self.settle_or_log();
            }
        }
    }

    /// Puts a connection on the list of those to be flushed, armed and looked after when the handlers are done.
    pub(super) fn touch(&mut self, id: SessionId) {
        if let Some(connection) = self.connections.get_mut(key_of(id)) {
            self.dirty.add(id, &mut connection.is_dirty);
        }
    }

    /// Does what was asked for and flushes everyone concerned, until nothing is left: an end or a receipt may have
    /// the application ask for more.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.application.on_turn_end();
        while !(self.application.wishes.is_empty()
            && self.application.closed.is_empty()
            && self.dirty.is_empty())
        {
            self.grant_wishes()?;
            self.application.on_turn_end();
            // Before anybody is told that it is done: whoever acts on that from another loop must not be faster.
            self.post_office.post_all()?;
            self.flush_dirty();
        }
        self.post_office.post_all()
    }

    pub(super) fn settle_or_log(&mut self) {
        if let Err(error) = self.settle() {
            log::error!("loop {}: cannot wake another loop: {error}", self.index);
        }
    }

    fn fire_timers(&mut self) {
        let mut due = Vec::new();
        self.timers.take_due(self.now.moment, &mut due);
        for (tick, id) in due {
            let Some(connection) = self.connections.get_mut(key_of(id)) else {
                continue;
            };
            if connection.armed_tick == tick {
                connection.armed_tick = Tick::NEVER;
                connection.on_deadline(&self.now);
                self.dirty.add(id, &mut connection.is_dirty);
            }
        }
    }

    /// Drops the connections that have ended. Not earlier: an event of the batch may still name their slot.
    pub(super) fn free_finished(&mut self) {
        for id in self.finished.drain(..) {
            let Some(mut connection) = self.connections.remove(key_of(id)) else {
                continue;
            };
            if let Some(mut link) = connection.link.take() {
                link.part();
                if !S::IS_FORGOTTEN_WHEN_DROPPED {
                    // It fails only for a socket that is not registered, and then there is nothing to undo.
                    let _ = self.poll.registry().deregister(&mut link);
                }
            }
            if connection.is_counted {
                self.load.set(id, 0);
            }
            connection.on_end(&self.now.counters);
            self.end_log.write(id, &connection, &self.now);
            self.open_count.fetch_sub(1, Ordering::Relaxed);
            // A descriptor is free, which no event of the listener will say.
            self.has_unaccepted |= self
                .listener
                .as_ref()
                .is_some_and(|listener| listener.paused_until().is_some());
        }
    }

    fn read_letters(&mut self) {
        if !std::mem::take(&mut self.has_unread_letters) {
            return;
        }
        let mut letters = Vec::new();
        self.has_unread_letters = self
            .post_office
            .take(self.now.config.letter_budget, &mut letters);
        if self.has_unread_letters {
            self.now.counters.budgets_hit.add(Budget::Letters, 1);
        }
        let mut letters = letters.into_iter();
        while let Some(letter) = letters.next() {
            match letter {
                Letter::Adopt(link, place) => self.adopt_sent(link, place),
                Letter::Deliver(mut delivery, address) => {
                    let is_last = letters.len() == 0 && self.application.wishes.is_empty();
                    self.on_delivery(&mut delivery, address, Haste::when(is_last));
                }
                Letter::Errand(errand, address) => self.on_errand(&errand, address),
                Letter::Receipt(key, report) => self.on_receipt(key, report),
                Letter::Note(note) => self.application.on_note(note),
                Letter::Relieve => self.load.look_again(),
                Letter::Drain(drain) => self.drain(drain),
                Letter::Attach(attachment) => self.attach(*attachment),
                Letter::Stop => self.stop = Stop::Now,
            }
        }
    }
}
