//! Two loops of a server on made-up time, whose polls say what a test wants, true or not.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mio::{Poll, Token, Waker};

use super::room::{Room, Told};
use super::wire::{FaultyListener, FaultySocket, Waiting, Wire};
use crate::clock::Moment;
use crate::config::Config;
use crate::delivery::SessionId;
use crate::handler::Entrance;
use crate::metrics::Metrics;
use crate::replay::ReplayBudget;
use crate::server::drain::Drain;
use crate::server::event_loop::EventLoop;
use crate::server::listener::Listener;
use crate::server::load::Loads;
use crate::server::mailbox::{Letter, Mailbox, PostOffice};
use crate::server::shared::Shared;
use crate::server::tokens::{self, Readiness};

const LOOP_COUNT: usize = 2;

/// The loops, and everything around them that a test has its hands on.
pub(super) struct Rig {
    pub(super) loops: Vec<EventLoop<Room, FaultySocket>>,
    mailboxes: Arc<[Mailbox<Room, FaultySocket>]>,
    pub(super) shared: Shared,
    pub(super) now: Moment,
    waiting: Waiting,
    pub(super) wires: Vec<Rc<RefCell<Wire>>>,
    told: Receiver<Told>,
    /// Everything that was told so far.
    pub(super) history: Vec<Told>,
    /// Every token that a socket had.
    pub(super) known_tokens: Vec<Token>,
}

impl Rig {
    /// Limits and budgets are so small that a few bytes reach them.
    pub(super) fn small() -> Self {
        let mut config = Config::default();
        config.message.message_bytes_max = 1000;
        config.outbox_bytes_max = 2000;
        config.read_budget_bytes = 100;
        config.write_budget_bytes = 100;
        config.accept_budget = 2;
        config.letter_budget = 3;
        Self::new(config)
    }

    pub(super) fn new(mut config: Config) -> Self {
        config.loop_count = LOOP_COUNT;
        let polls: Vec<_> = (0..LOOP_COUNT).map(|_| Poll::new().unwrap()).collect();
        let mailboxes: Arc<[_]> = polls
            .iter()
            .map(|poll| Mailbox::new(Waker::new(poll.registry(), tokens::WAKER).unwrap()))
            .collect();
        let waiting = Waiting::default();
        let listener = Listener::new(
            vec![(Entrance::Public, FaultyListener(Rc::clone(&waiting)))],
            &config,
        );
        let shared = Shared {
            clock: Instant::now(),
            open_count: Arc::default(),
            is_draining: Arc::default(),
            compresses: Arc::default(),
            metrics: Metrics::new(LOOP_COUNT),
            loads: Loads::new(LOOP_COUNT),
            places: None,
            replay_budget: ReplayBudget::new(config.replay_budget_bytes),
            config: Arc::new(config),
        };
        let (sender, told) = channel();
        let mut loops: Vec<_> = (0..)
            .zip(polls)
            .map(|(index, poll)| {
                let post_office = PostOffice::new(usize::from(index), Arc::clone(&mailboxes));
                let room = Room {
                    told: sender.clone(),
                };
                EventLoop::new(index, poll, post_office, room, shared.clone())
            })
            .collect();
        loops[0].listen(listener).unwrap();
        Self {
            loops,
            mailboxes,
            shared,
            now: Moment::START + Duration::from_secs(1),
            waiting,
            wires: Vec::new(),
            told,
            history: Vec::new(),
            known_tokens: Vec::new(),
        }
    }

    /// A peer connects, with a socket like this one; its number.
    pub(super) fn connect(&mut self, wire: Wire) -> usize {
        let number = self.wires.len();
        let wire = Rc::new(RefCell::new(wire));
        self.wires.push(Rc::clone(&wire));
        let port = u16::try_from(number).unwrap();
        let remote = SocketAddr::from(([127, 0, 0, 1], port));
        self.wait_to_be_accepted(Ok((FaultySocket(wire), remote)));
        number
    }

    /// A peer connects whose socket has no faults, sends this and reads everything.
    pub(super) fn connect_healthy(&mut self, bytes: &[u8]) -> usize {
        self.connect(Wire {
            incoming: bytes.iter().copied().collect(),
            room: usize::MAX,
            ..Wire::default()
        })
    }

    /// The next call to accept fails.
    pub(super) fn fail_to_accept(&mut self, error: io::Error) {
        self.wait_to_be_accepted(Err(error));
    }

    /// Puts something into the backlog, unless nobody listens any more.
    fn wait_to_be_accepted(&mut self, result: io::Result<(FaultySocket, SocketAddr)>) {
        if Rc::strong_count(&self.waiting) > 1 {
            self.waiting.borrow_mut().push_back(result);
        }
    }

    /// One turn of every loop: what is true is told, save by those whose bit in `late` is set, and behind it these lies.
    pub(super) fn turn(&mut self, late: u32, lies: &[Readiness]) {
        let mut events: Vec<_> = (0..)
            .zip(&self.wires)
            .filter(|(number, _)| late >> (number % 32) & 1 == 0)
            .filter_map(|(_, wire)| readiness_of(&mut wire.borrow_mut()))
            .collect();
        events.extend(lies);
        for index in 0..self.loops.len() {
            self.turn_of(index, &events);
        }
        for wire in &self.wires {
            let wire = wire.borrow();
            assert_eq!(wire.misuse, None, "{wire:?}");
            self.known_tokens.extend(wire.token);
        }
        self.known_tokens.sort_unstable();
        self.known_tokens.dedup();
        self.history.extend(self.told.try_iter());
    }

    fn turn_of(&mut self, index: usize, events: &[Readiness]) {
        let is_here =
            |event: &&Readiness| SessionId::from_bits(event.token.0 as u64).loop_index() == index;
        // A poll wakes for no reason too, so the loop may as well look at everything that can wait.
        let always = [tokens::WAKER, tokens::listener(0)].map(|token| Readiness {
            token,
            is_readable: true,
            is_writable: false,
            has_ended: false,
        });
        let always = &always[..if index == 0 { 2 } else { 1 }];
        let events = events.iter().filter(is_here).chain(always).copied();
        self.loops[index].go_through(self.now, events).unwrap();
    }

    /// Turns with true events until nothing happens any more.
    pub(super) fn settle(&mut self) {
        const TURNS_MAX: usize = 2000;
        let mut quiet_turns = 0;
        for _ in 0..TURNS_MAX {
            self.turn(0, &[]);
            quiet_turns = if self.is_busy() { 0 } else { quiet_turns + 1 };
            // A letter that is written in one turn is read in the next.
            if quiet_turns == 2 {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Whether something is going to happen without time passing.
    fn is_busy(&self) -> bool {
        let is_restless = |event_loop: &EventLoop<_, _>| {
            event_loop.wait() == Some(Duration::ZERO) && !event_loop.is_over()
        };
        let is_ready = |wire: &Rc<RefCell<Wire>>| {
            let wire = wire.borrow();
            wire.token.is_some() && (wire.is_readable || wire.is_writable)
        };
        !self.waiting.borrow().is_empty()
            || self.loops.iter().any(is_restless)
            || self.wires.iter().any(is_ready)
    }

    /// Time passes with all that it brings, until no connection is left; fails if that takes longer than `at_most`.
    pub(super) fn pass_until_empty(&mut self, at_most: Duration) {
        let deadline = self.now + at_most;
        while self.loops.iter().any(|it| !it.connections.is_empty()) {
            assert!(self.now < deadline, "somebody stays: {:?}", self.wires);
            let waits = self.loops.iter().filter_map(EventLoop::wait);
            let wait = waits.min().expect("a connection without a deadline");
            self.now = self.now + wait.max(Duration::from_millis(1));
            self.settle();
        }
    }

    /// Drops what is known of peers that are gone; the numbers of the others change.
    pub(super) fn forget_the_gone(&mut self) {
        self.wires.retain(|wire| !wire.borrow().is_dropped);
        self.known_tokens.clear();
        let told = std::mem::take(&mut self.history);
        let is_open = |it: &Told| match it {
            Told::Opened(id) => !told.contains(&Told::Closed(*id)),
            Told::Closed(_) => false,
        };
        self.history = told.iter().copied().filter(is_open).collect();
    }

    /// Asks all loops to drain.
    pub(super) fn drain(&mut self) {
        let open_count = self
            .shared
            .open_count
            .load(std::sync::atomic::Ordering::Relaxed);
        let drain = Drain::new(self.now, self.shared.config.drain_timeout, open_count);
        for mailbox in self.mailboxes.iter() {
            mailbox.post(&mut vec![Letter::Drain(drain)]).unwrap();
        }
    }

    /// Nothing may be left of anybody.
    pub(super) fn assert_clean(&mut self) {
        let open_count = self
            .shared
            .open_count
            .load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(open_count, 0, "places are taken");
        assert_eq!(self.shared.replay_budget.used(), 0);
        // Timers of connections that are gone are left in the wheel until their tick comes.
        self.now = self.now + Duration::from_secs(60);
        self.turn(0, &[]);
        for event_loop in &self.loops {
            assert!(event_loop.connections.is_empty());
            assert_eq!(event_loop.registry.membership_count(), 0);
            assert_eq!(event_loop.registry.group_count(), 0);
            assert!(event_loop.dirty.is_empty() && event_loop.unfinished.is_empty());
            assert!(event_loop.finished.is_empty() && event_loop.application.wishes.is_empty());
            if !event_loop.is_over() {
                assert_eq!(event_loop.wait(), None, "a timer is armed");
            }
        }
        for wire in &self.wires {
            let wire = wire.borrow();
            assert!(wire.is_dropped && wire.token.is_none(), "{wire:?}");
        }
        self.assert_pairs(0);
        self.assert_balance();
    }

    /// Everybody and every message that was counted has come to an end (LG-06).
    pub(super) fn assert_balance(&self) {
        let balance = self.shared.metrics.balance();
        assert!(balance.holds(), "{balance}");
        assert_eq!((balance.open, balance.queued), (0, 0), "{balance}");
    }

    /// Every `Opened` has its one `Closed` behind it, but for so many who are open.
    pub(super) fn assert_pairs(&self, open_count: usize) {
        let mut open = Vec::new();
        for told in &self.history {
            match told {
                Told::Opened(id) => {
                    assert!(!open.contains(id), "{id} is opened twice");
                    open.push(*id);
                }
                Told::Closed(id) => {
                    let index = open.iter().position(|it| it == id);
                    open.swap_remove(index.unwrap_or_else(|| panic!("{id} is closed twice")));
                }
            }
        }
        assert_eq!(open.len(), open_count, "{open:?} are open");
    }

    /// The loops end, whatever is going on.
    pub(super) fn end(&mut self) {
        for event_loop in self.loops.drain(..) {
            event_loop.end().unwrap();
        }
        self.history.extend(self.told.try_iter());
    }

    /// The id of the session that was opened as the first, the second and so on.
    pub(super) fn opened(&self, index: usize) -> u64 {
        let mut opened = self.history.iter().filter_map(|told| match told {
            Told::Opened(id) => Some(id.to_bits()),
            Told::Closed(_) => None,
        });
        opened.nth(index).unwrap()
    }

    /// What the peer has got so far.
    pub(super) fn taken(&self, number: usize) -> Vec<u8> {
        self.wires[number].borrow().taken.clone()
    }

    /// The last session that was opened, as the path of a request that recovers it.
    pub(super) fn recovery_path(&self) -> String {
        let last = self.history.iter().rev().find_map(|told| match told {
            Told::Opened(id) => Some(id.to_bits()),
            Told::Closed(_) => None,
        });
        format!("/recover?session={}", last.unwrap_or(0))
    }
}

/// What a poll says of a socket, once for each change.
fn readiness_of(wire: &mut Wire) -> Option<Readiness> {
    let token = wire.token?;
    let is_readable = std::mem::take(&mut wire.is_readable);
    let is_writable = std::mem::take(&mut wire.is_writable);
    (is_readable || is_writable).then_some(Readiness {
        token,
        is_readable,
        is_writable,
        has_ended: wire.is_ended || wire.broken.is_some(),
    })
}

/// A request for a WebSocket.
pub(super) fn upgrade(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// A request for anything else.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Bytes to send, a piece at a time.
pub(super) type Script = VecDeque<u8>;
