//! What a client sleeps on: its socket, and whoever else wants its attention.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

const SOCKET: Token = Token(0);
const BELL: Token = Token(1);

/// A poll with a waker that other threads hold; it outlives the socket, so that they need not know of a new one.
pub(super) struct Doorbell {
    poll: Poll,
    waker: Arc<Waker>,
    events: Events,
}

/// What ended the sleep; nothing of it if the deadline did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rung {
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// Whether another thread rang.
    pub(super) by_other: bool,
}

impl Doorbell {
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), BELL)?);
        Ok(Self {
            poll,
            waker,
            events: Events::with_capacity(4),
        })
    }

    /// With it other threads ring.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Listens to `socket` from now on.
    pub(super) fn watch(&self, socket: &mut TcpStream) -> io::Result<()> {
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket, SOCKET, interests)
    }

    /// Listens to `socket` no more.
    pub(super) fn forget(&self, socket: &mut TcpStream) {
        // It fails only for a socket that is not watched, which is what is wanted.
        let _ = self.poll.registry().deregister(socket);
    }

    /// Sleeps until something happens, at the latest until the deadline.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Rung> {
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut rung = Rung::default();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(rung),
            polled => polled?,
        }
        for event in &self.events {
            if event.token() == SOCKET {
                rung.is_readable |=
                    event.is_readable() || event.is_read_closed() || event.is_error();
                rung.is_writable |= event.is_writable() || event.is_error();
            } else {
                rung.by_other = true;
            }
        }
        Ok(rung)
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").finish_non_exhaustive()
    }
}
