//! The connections of a load, and the poll that they share.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use super::peer::{End, Happening, Peer};
use super::stopper::LoadStopper;
use super::target::LoadTarget;
use crate::client::stream::Streams;
use crate::client::{ClientConfig, ClientError};

/// Bytes read from a socket at once.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// Events taken at once.
const EVENTS_MAX: usize = 1024;
/// What the waker is told apart by.
const WAKER: Token = Token(usize::MAX);

/// So many places for connections.
pub(super) struct Crowd {
    pub(super) config: ClientConfig,
    target: LoadTarget,
    streams: Streams,
    poll: Poll,
    events: Events,
    peers: Vec<Option<Peer>>,
    open_count: usize,
    buffer: Box<[u8]>,
    stopper: LoadStopper,
}

impl Crowd {
    /// Places without connections.
    ///
    /// # Errors
    ///
    /// Connections are to be encrypted and cannot be, or the system has no means to wait for them.
    pub(super) fn new(
        target: LoadTarget,
        config: ClientConfig,
        len: usize,
    ) -> Result<Self, ClientError> {
        // Each connection is to cost the server as much as that of a client of its own.
        let streams = Streams::to(target.url(), &config)?.without_resumption();
        let poll = Poll::new()?;
        let stopper = LoadStopper::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            config,
            target,
            streams,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            peers: (0..len).map(|_| None).collect(),
            open_count: 0,
            buffer: vec![0; READ_BUFFER_BYTES].into_boxed_slice(),
            stopper,
        })
    }

    /// Begins to open a WebSocket at a place that has none; it is wanted since `since`.
    pub(super) fn dial(&mut self, place: usize, since: Instant) -> Result<(), ClientError> {
        let mut peer = Peer::dial(&self.target, &self.streams, &self.config, since)?;
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(peer.stream.socket(), Token(place), interests)?;
        self.peers[place] = Some(peer);
        Ok(())
    }

    /// Waits for something to happen, at most for `timeout`, and tells what does and at which place.
    pub(super) fn turn(
        &mut self,
        timeout: Duration,
        mut tell: impl FnMut(usize, Happening<'_>, Instant),
    ) -> Result<(), ClientError> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            let place = event.token().0;
            let Some(peer) = self.peers.get_mut(place).and_then(Option::as_mut) else {
                continue;
            };
            // Read again for each: the crowd is served one by one, and what waits for its turn is not the server's.
            let now = Instant::now();
            let was_open = peer.is_open();
            let end = peer.on_ready(
                event,
                &self.target,
                &self.config,
                &mut self.buffer,
                &mut |happening| tell(place, happening, now),
            );
            let is_open = end.is_none() && peer.is_open();
            self.open_count += usize::from(is_open);
            self.open_count -= usize::from(was_open);
            if let Some(end) = end {
                forget(&self.poll, &mut self.peers[place]);
                tell(place, Happening::Ended(end), now);
            }
        }
        Ok(())
    }

    /// Ends what has taken too long.
    pub(super) fn expire(&mut self, now: Instant, mut tell: impl FnMut(usize, End)) {
        for place in 0..self.peers.len() {
            let peer = self.peers[place].as_ref();
            if let Some(end) = peer.and_then(|peer| peer.overdue(&self.config, now)) {
                forget(&self.poll, &mut self.peers[place]);
                tell(place, end);
            }
        }
    }

    /// Begins to close the WebSocket at a place, if it is open.
    pub(super) fn close(&mut self, place: usize, now: Instant) {
        if let Some(peer) = self.open_peer(place) {
            peer.close(now);
            // A socket that is gone says so to the next read.
            let _ = peer.flush();
            self.open_count -= 1;
        }
    }

    /// Begins to close everyone.
    pub(super) fn close_all(&mut self, now: Instant) {
        for place in 0..self.peers.len() {
            self.close(place, now);
        }
    }

    /// The connection at a place whose WebSocket is open.
    pub(super) fn open_peer(&mut self, place: usize) -> Option<&mut Peer> {
        self.peers[place].as_mut().filter(|peer| peer.is_open())
    }

    /// How many connections have an open WebSocket.
    pub(super) fn open_count(&self) -> usize {
        self.open_count
    }

    /// Whether there is no connection at all, open or not.
    pub(super) fn is_empty(&self) -> bool {
        self.peers.iter().all(Option::is_none)
    }

    pub(super) fn stopper(&self) -> &LoadStopper {
        &self.stopper
    }
}

/// Drops the connection of a place.
fn forget(poll: &Poll, place: &mut Option<Peer>) {
    if let Some(mut peer) = place.take() {
        // It fails only for a socket that is not registered, which is what is wanted.
        let _ = poll.registry().deregister(peer.stream.socket());
    }
}
